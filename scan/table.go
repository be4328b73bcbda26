// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract"
)

// A Jars is an open table of Maven's coordinates by SHA-1, which the parsing
// child asks. Its digest is part of what names kept results. The file must not
// be written to while it is used.
type Jars struct {
	file   *os.File
	size   int64
	digest bulwark.Digest
}

// OpenJars opens a table that extract.ImportJars wrote, and reads it once to its
// end: one that is not in order would know nothing and say nothing. The caller
// closes it.
func OpenJars(ctx context.Context, name string) (*Jars, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open table of archives: %w", err)
	}
	j := &Jars{file: f}
	if err := j.check(ctx); err != nil {
		f.Close()
		return nil, &bulwark.Hint{Err: fmt.Errorf("open table of archives %q: %w", name, err), Next: "make one with bulwark db import-jars"}
	}
	return j, nil
}

func (j *Jars) check(ctx context.Context) error {
	st, err := j.file.Stat()
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() {
		return errors.New("it is no regular file")
	}
	j.size = st.Size()
	h := sha256.New()
	if err := extract.CheckJars(ctx, io.TeeReader(io.NewSectionReader(j.file, 0, j.size), h)); err != nil {
		return err
	}
	j.digest = bulwark.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
	return nil
}

// Close closes the file. A nil table has none.
func (j *Jars) Close() error {
	if j == nil {
		return nil
	}
	return j.file.Close()
}

// known gives what extractors ask.
func (j *Jars) known() (extract.Known, error) {
	if j == nil {
		return extract.Known{}, nil
	}
	return extract.KnownJars(j.file, j.size)
}
