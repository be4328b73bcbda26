// SPDX-License-Identifier: Apache-2.0

package rust

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

const (
	// maxSection bounds the section with the list of crates, bytes. A thousand
	// crates make about 20 KiB.
	maxSection = 8 << 20
	// maxAudit bounds the list after decompression, bytes; the makers' own
	// readers stop there, too.
	maxAudit = 8 << 20
)

// Auditable reads the list of crates that cargo-auditable puts into programs
// (https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md).
// Its zero value is ready to use.
type Auditable struct{}

// Name gives "cargo-auditable".
func (Auditable) Name() string { return "cargo-auditable" }

// Wants tells whether a file may be a program.
func (Auditable) Wants(p string, st bulwark.Stat) bool {
	if st.Mode&fs.ModeType != 0 || st.Size < 128 {
		return false
	}
	return st.Mode.Perm()&0o111 != 0 || strings.HasSuffix(p, ".exe")
}

// WantsHead tells whether head begins an ELF, PE or Mach-O file that can be run.
func (Auditable) WantsHead(_ string, head []byte) bool {
	switch formatOf(head) {
	case formatELF:
		if len(head) < 18 {
			return false
		}
		kind := head[16+int(head[5]>>1&1)]
		return kind == 2 || kind == 3
	case formatPE, formatMachO:
		return true
	}
	return false
}

// Extract gives the crates that a program was built from, itself included.
// Crates that were only needed to build it are for development. A file without
// a list has no packages and is no error.
func (e Auditable) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	packed, err := section(f, f.Size)
	if len(packed) == 0 || err != nil {
		if err != nil {
			err = malformed(f, err)
		}
		return nil, err
	}
	r, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, malformed(f, err)
	}
	text, err := io.ReadAll(io.LimitReader(r, maxAudit+1))
	if err != nil {
		return nil, malformed(f, err)
	}
	if len(text) > maxAudit {
		return nil, malformed(f, fmt.Errorf("list of more than %d bytes: %w", maxAudit, bulwark.ErrTooLarge))
	}
	l := newList(f, e.Name())
	d := json.NewDecoder(bytes.NewReader(text))
	if err := readList(ctx, d, l); err != nil {
		return l.pkgs, malformed(f, err)
	}
	return l.pkgs, nil
}

// readList reads {"packages": [{"name", "version", "source", "kind"}]}.
func readList(ctx context.Context, d *json.Decoder, l *list) error {
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.Join(errors.New("no object"), err)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		if key != "packages" {
			if err := d.Decode(&json.RawMessage{}); err != nil {
				return err
			}
			continue
		}
		if t, err := d.Token(); err != nil || t != json.Delim('[') {
			return errors.Join(errors.New("no array of packages"), err)
		}
		for d.More() {
			if err := ctx.Err(); err != nil {
				return err
			}
			var p struct {
				Name    string `json:"name"`
				Version string `json:"version"`
				Kind    string `json:"kind"`
			}
			if err := d.Decode(&p); err != nil {
				return err
			}
			l.add(p.Name, p.Version, 0, p.Kind == "build")
		}
		if _, err := d.Token(); err != nil {
			return err
		}
	}
	return nil
}
