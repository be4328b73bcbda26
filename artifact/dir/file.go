// SPDX-License-Identifier: Apache-2.0

package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bulwark-sec/bulwark"
)

// File opens a single file as an artifact of its own, a bill of materials say. A
// link is followed: it was named by whoever asks. The stream errs when the file
// cannot be read.
func File(_ context.Context, name string, kind bulwark.Kind, source string, o bulwark.OpenOptions) (*bulwark.Tree, error) {
	real, err := filepath.EvalSymlinks(name)
	if err == nil {
		var info fs.FileInfo
		if info, err = os.Lstat(real); err == nil && !info.Mode().IsRegular() {
			return nil, fmt.Errorf("open %q: not a regular file: %w", name, bulwark.ErrUnsupported)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = bulwark.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", name, cause(err))
	}
	o.SkipDirs, o.Wants = nil, nil
	t, w, err := open(filepath.Dir(real), kind, source, o)
	if err != nil {
		return nil, err
	}
	w.only, w.as = filepath.Base(real), escape(filepath.Base(name))
	t.Artifact.Name = name
	return t, nil
}
