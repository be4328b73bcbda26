// SPDX-License-Identifier: Apache-2.0

//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package dir

import (
	"context"
	"os"

	"github.com/bulwark-sec/bulwark"
)

// A folder is an open directory. What is in it is reached through it; links that
// lead out of it are errors.
type folder struct{ r *os.Root }

func openRoot(name string) (folder, error) {
	r, err := os.OpenRoot(name)
	return folder{r}, err
}

func (d folder) close() error { return d.r.Close() }

func (d folder) folder(name string) (folder, error) {
	r, err := d.r.OpenRoot(name)
	return folder{r}, err
}

func (d folder) file(name string) (*os.File, error) { return d.r.Open(name) }

func (d folder) stat(name string) (bulwark.Stat, error) {
	info, err := d.r.Lstat(name)
	if err != nil {
		return bulwark.Stat{}, err
	}
	return bulwark.Stat{Size: info.Size(), Mode: info.Mode()}, nil
}

func (d folder) link(name string) (string, error) { return d.r.Readlink(name) }

func (d folder) list(ctx context.Context, limit int) ([]entry, bool, error) {
	f, err := d.r.Open(".")
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	return list(ctx, f, limit)
}

// nonblock is for pipes in directories, which do not exist here.
const nonblock = 0
