// SPDX-License-Identifier: Apache-2.0

package nix

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/sqlitefile"
)

const (
	databaseFile = "nix/var/nix/db/db.sqlite"
	logFile      = databaseFile + "-wal"

	// Bytes of one row. Paths are short; a path may have some signatures.
	maxRow  = 1 << 20
	maxGaps = 20
	maxBad  = 1000 // damaged rows; then there is no database
)

// The columns of the table that are read, in the order of Nix's schema.
const (
	columnPath    = 1
	columnDeriver = 4
	columnCA      = 8
	columns       = 9
)

var errRow = errors.New("malformed row")

// A Database reads the database of a Nix store, which lists its valid paths. The
// zero Database is ready.
type Database struct{}

// Name gives "nix".
func (Database) Name() string { return "nix" }

// Wants takes the database and the log beside it.
func (Database) Wants(path string, _ bulwark.Stat) bool {
	return path == databaseFile || path == logFile
}

// Extract gives the packages that were built or fetched as built, each once with
// all its store paths as places. What was fetched as a source or written as a
// text is none. It does not say which files a package owns: all below its places
// do. What cannot be read is a gap. The error is that of ctx, and comes with what
// was found before.
func (d Database) Extract(ctx context.Context, fsys fs.FS, _ *bulwark.OS, _ func(path string) bool) ([]bulwark.Package, []bulwark.Gap, error) {
	c := collector{by: d.Name(), known: map[string]int{}}
	f, err := open(fsys, databaseFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		c.gap(databaseFile, err)
		return nil, c.gaps, nil
	}
	defer f.Close() //nolint:errcheck // only read from
	var wal io.ReaderAt
	var walSize int64
	log, err := open(fsys, logFile)
	switch {
	case err == nil:
		defer log.Close() //nolint:errcheck // only read from
		wal, walSize = log, log.size
	case !errors.Is(err, fs.ErrNotExist):
		c.gap(logFile, err)
	}
	db, err := sqlitefile.Open(ctx, f, f.size, wal, walSize)
	if err != nil {
		if ctx.Err() != nil {
			return nil, c.gaps, ctx.Err()
		}
		c.gap(databaseFile, err)
		return nil, c.gaps, nil
	}
	for row, err := range db.Rows(ctx, "ValidPaths", maxRow) {
		if ctx.Err() != nil {
			return c.pkgs, c.gaps, ctx.Err()
		}
		if err == nil {
			err = c.row(row)
		}
		if err != nil {
			c.gap(databaseFile, err)
		}
		if c.bad >= maxBad {
			break
		}
	}
	return c.pkgs, c.gaps, nil
}

type collector struct {
	by    string
	pkgs  []bulwark.Package
	gaps  []bulwark.Gap
	known map[string]int // in pkgs, by purl
	bad   int
}

// row adds the package of one valid path.
func (c *collector) row(row sqlitefile.Row) error {
	// Older databases lack the last column.
	if len(row.Columns) <= columnDeriver || len(row.Columns) > columns+8 || row.Columns[columnPath].Kind != sqlitefile.Text {
		return fmt.Errorf("row %d with %d columns: %w", row.ID, len(row.Columns), errRow)
	}
	if len(row.Columns) > columnCA {
		// "text:…" is a file that Nix wrote, "fixed:…" what it fetched.
		if kind, _, ok := strings.Cut(string(row.Columns[columnCA].Bytes), ":"); ok && (kind == "text" || kind == "fixed") {
			return nil
		}
	}
	path := strings.TrimPrefix(string(row.Columns[columnPath].Bytes), "/")
	elem, ok := strings.CutPrefix(path, store)
	if !ok {
		return nil // a store elsewhere
	}
	s, ok := cutHash(elem)
	if !ok {
		return fmt.Errorf("row %d with path %q: %w", row.ID, path[:min(len(path), 300)], errRow)
	}
	name, version, ok := parse(s)
	if !ok {
		return nil
	}
	// The derivation is named without the output, which leaves no doubt.
	deriver := string(row.Columns[columnDeriver].Bytes)
	drv, ok := cutHash(strings.TrimSuffix(deriver[strings.LastIndexByte(deriver, '/')+1:], ".drv"))
	if ok && (s == drv || strings.HasPrefix(s, drv+"-")) {
		if n, v, versioned := split(drv); versioned {
			name, version = n, v
		}
	}
	p := noun(c.by, path, name, version)
	if i, found := c.known[p.PURL]; found {
		c.pkgs[i].Where = append(c.pkgs[i].Where, p.Where...)
		return nil
	}
	c.known[p.PURL] = len(c.pkgs)
	c.pkgs = append(c.pkgs, p)
	return nil
}

func (c *collector) gap(file string, err error) {
	c.bad++
	if c.bad > maxGaps {
		return
	}
	g := bulwark.Gap{Kind: bulwark.GapUnreadable, Path: file, Detail: err.Error(), Hides: true}
	switch {
	case c.bad == maxGaps:
		g.Kind, g.Detail = bulwark.GapLimit, "further damage in this database is not listed"
	case errors.Is(err, errRow), errors.Is(err, sqlitefile.ErrMalformed), errors.Is(err, sqlitefile.ErrNoTable):
		g.Kind = bulwark.GapMalformed
	case errors.Is(err, sqlitefile.ErrTooLarge):
		g.Kind = bulwark.GapLimit
	case errors.Is(err, sqlitefile.ErrUnsupported), errors.Is(err, bulwark.ErrUnsupported):
		g.Kind = bulwark.GapUnsupported
	}
	c.gaps = append(c.gaps, g)
}

// A file is an open file that can be read anywhere.
type file struct {
	io.ReaderAt
	io.Closer
	size int64
}

func open(fsys fs.FS, path string) (*file, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	ra, ok := f.(io.ReaderAt)
	if err == nil && !ok {
		err = fmt.Errorf("read %q: %w", path, bulwark.ErrUnsupported)
	}
	if err != nil {
		f.Close() //nolint:errcheck,gosec // only read from
		return nil, err
	}
	return &file{ReaderAt: ra, Closer: f, size: st.Size()}, nil
}
