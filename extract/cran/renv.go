// SPDX-License-Identifier: Apache-2.0

package cran

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// RenvLock reads renv.lock: https://rstudio.github.io/renv/articles/lockfile.html
// Its zero value is ready to use.
type RenvLock struct{}

// Name gives "renv-lock".
func (RenvLock) Name() string { return "renv-lock" }

// Wants tells whether p is a renv.lock.
func (RenvLock) Wants(p string, st bulwark.Stat) bool {
	return named(p, "renv.lock") && st.Mode&fs.ModeType == 0
}

// An entry is one locked package. Since renv 1.1 it holds most fields of the
// package's DESCRIPTION, too.
type entry struct {
	Package    string          `json:"Package"`
	Version    string          `json:"Version"`
	Source     string          `json:"Source"`
	Repository json.RawMessage `json:"Repository"`
	License    json.RawMessage `json:"License"`
}

// Extract gives the locked packages, also those that come from a repository of
// sources: their names are those of CRAN.
func (e RenvLock) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxFile)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, malformed(f, errors.Join(errors.New("no object"), noEnd(err)))
	}
	var (
		pkgs []bulwark.Package
		seen = map[string]bool{}
		line = lines{data: data, line: 1}
	)
	err = members(ctx, d, func(key string) error {
		if key != "Packages" {
			return d.Decode(&json.RawMessage{})
		}
		if t, err := d.Token(); err != nil {
			return err
		} else if t != json.Delim('{') {
			return fmt.Errorf("%v where the packages are expected", t)
		}
		return members(ctx, d, func(string) error {
			at := line.of(d.InputOffset())
			var raw json.RawMessage
			if err := d.Decode(&raw); err != nil {
				return err
			}
			var p entry
			if json.Unmarshal(raw, &p) != nil || !plausible(p.Package, p.Version) || seen[p.Package+" "+p.Version] {
				return nil
			}
			seen[p.Package+" "+p.Version] = true
			pkgs = append(pkgs, made(e.Name(), f.Path, p.Package, p.Version, at, p.Source == "Bioconductor", licenses(text(p.License))))
			return nil
		})
	})
	if err != nil {
		return pkgs, malformed(f, err)
	}
	return pkgs, nil
}

// text gives a value that is a string of bearable length, else "".
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil || len(s) > maxLicense {
		return ""
	}
	return strings.TrimSpace(s)
}

// members reads the rest of an object.
func members(ctx context.Context, d *json.Decoder, yield func(key string) error) error {
	for d.More() {
		if err := ctx.Err(); err != nil {
			return err
		}
		key, err := d.Token()
		if err != nil {
			return noEnd(err)
		}
		if err := yield(fmt.Sprint(key)); err != nil {
			return noEnd(err)
		}
	}
	_, err := d.Token()
	return noEnd(err)
}

// noEnd makes the end of the file an error where more must follow.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// lines counts the lines of data as they are asked for.
type lines struct {
	data     []byte
	at, line int // a place in data that has been counted to
}

// of gives the line of an offset that is not before the last one asked for.
func (l *lines) of(offset int64) int {
	if end := int(offset); end > l.at && end <= len(l.data) {
		l.line += bytes.Count(l.data[l.at:end], []byte{'\n'})
		l.at = end
	}
	return l.line
}
