// SPDX-License-Identifier: Apache-2.0

package advisory

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory/bundle"
)

// ImportOptions say how a database is brought in. Dir and Now are needed.
type ImportOptions struct {
	Dir        string   // of the database
	Ecosystems []string // see [UpdateOptions]; for a directory only
	Key        string   // public key that must have signed, as [Status] shows it; "" is any; for an exported file only
	Keys       []string // more of them: one must have signed
	Now        time.Time
	Log        *slog.Logger
	Progress   func(feed Progress)
}

// Import makes what path holds the current database: a file that [Export] wrote,
// or a directory in the layout of the OSV.dev export, either itself or as "osv"
// beside "kev" and "epss". It needs no network. An exported file is taken for
// hostile until its signature and digests have been checked.
func Import(ctx context.Context, path string, o ImportOptions) (Status, error) {
	if o.Dir == "" || o.Now.IsZero() {
		return Status{}, fmt.Errorf("import advisories: directory and time are needed: %w", bulwark.ErrUsage)
	}
	st, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return Status{}, fmt.Errorf("import advisories from %q: %w", path, bulwark.ErrNotFound)
	}
	if err != nil {
		return Status{}, fmt.Errorf("import advisories: %w", err)
	}
	if st.IsDir() {
		return importDir(ctx, path, o)
	}
	if o.Key != "" {
		o.Keys = append([]string{o.Key}, o.Keys...)
	}
	keys, err := bundle.ParseKeys(o.Keys)
	if err != nil {
		return Status{}, fmt.Errorf("import advisories: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return Status{}, fmt.Errorf("import advisories: %w", err)
	}
	defer f.Close()
	br := bufio.NewReader(f)
	if head, _ := br.Peek(4); !bundle.Exported(head) {
		return Status{}, &bulwark.Hint{Err: fmt.Errorf("import advisories from %q: not an exported database: %w", path, bulwark.ErrUnsupported),
			Next: "give a file made by bulwark db export, or a directory in the layout of the OSV.dev export"}
	}
	w, err := bundle.NewWriter(ctx, o.Dir)
	if err != nil {
		return Status{}, fmt.Errorf("import advisories: %w", err)
	}
	g, err := w.Import(ctx, br, keys)
	if err := errors.Join(err, w.Close()); err != nil {
		return Status{}, fmt.Errorf("import advisories from %q: %w", path, err)
	}
	return status(g, nil), nil
}

func importDir(ctx context.Context, path string, o ImportOptions) (Status, error) {
	u := UpdateOptions{Dir: o.Dir, Source: path, KEV: None, EPSS: None, Ecosystems: o.Ecosystems, Full: true, Now: o.Now, Log: o.Log, Progress: o.Progress}
	if st, err := os.Stat(filepath.Join(path, "osv")); err == nil && st.IsDir() {
		u.Source = filepath.Join(path, "osv")
	}
	if p := filepath.Join(path, "kev", "known_exploited_vulnerabilities.json"); exists(p) {
		u.KEV = p
	}
	if found, _ := filepath.Glob(filepath.Join(path, "epss", "*.csv.gz")); len(found) > 0 {
		u.EPSS = found[len(found)-1] // named by day: the newest
	}
	return Update(ctx, u)
}

func exists(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.Mode().IsRegular()
}

// Export writes the current database of dir to dst, as one file for [Import].
// Its digests are checked on the way.
func Export(ctx context.Context, dir string, dst io.Writer) error {
	g, err := current(dir)
	if err == nil {
		err = g.Export(ctx, dst)
	}
	if err != nil {
		return fmt.Errorf("export advisories: %w", err)
	}
	return nil
}

// Verify reads the whole current database of dir and compares the signature and
// every digest.
func Verify(ctx context.Context, dir string) (Status, error) {
	g, err := current(dir)
	if err == nil {
		err = g.Verify(ctx)
	}
	if err != nil {
		return Status{}, fmt.Errorf("verify advisories: %w", err)
	}
	return status(g, nil), nil
}

// Stored describes the current database of dir without reading its files.
func Stored(dir string) (Status, error) {
	g, err := current(dir)
	if err != nil {
		return Status{}, fmt.Errorf("look at advisories: %w", err)
	}
	return status(g, nil), nil
}

func current(dir string) (*bundle.Generation, error) {
	g, err := bundle.Current(dir)
	if errors.Is(err, bulwark.ErrNotFound) {
		err = &bulwark.Hint{Err: err, Next: "run bulwark db update, or bulwark db import FILE where there is no network"}
	}
	return g, err
}
