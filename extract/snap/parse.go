// SPDX-License-Identifier: Apache-2.0

package snap

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/bulwark-sec/bulwark"
)

// A meta is what is kept of a snap.yaml.
type meta struct {
	name, version, base, license string

	archs []string
}

// parseMeta reads a snap.yaml. It gives what it could read beside the error.
func parseMeta(data []byte) (meta, error) {
	var y struct {
		Name          string   `yaml:"name"`
		Version       string   `yaml:"version"`
		Base          string   `yaml:"base"`
		License       string   `yaml:"license"`
		Architectures []string `yaml:"architectures"`
	}
	err := unmarshal(data, &y)
	m := meta{name: text(y.Name), version: text(y.Version), base: text(y.Base), license: text(y.License)}
	for _, a := range y.Architectures[:min(len(y.Architectures), 16)] {
		m.archs = append(m.archs, text(a))
	}
	if err == nil && m.name == "" {
		err = fmt.Errorf("no name: %w", errSnap)
	}
	return m, err
}

// parseManifest reads a manifest of snapcraft: what was taken from the archive
// of the distribution that it was built on. Newer ones say what is left of that
// in the snap, older ones only what each part asked for.
func parseManifest(ctx context.Context, data []byte) (release, []dpkg, error) {
	var y struct {
		ID      string   `yaml:"snapcraft-os-release-id"`
		Version string   `yaml:"snapcraft-os-release-version-id"`
		Base    string   `yaml:"base"`
		Primed  []string `yaml:"primed-stage-packages"`
		Parts   map[string]struct {
			Stage []string `yaml:"stage-packages"`
		} `yaml:"parts"`
	}
	err := unmarshal(data, &y)
	pairs := y.Primed
	if len(pairs) == 0 {
		for _, p := range y.Parts {
			pairs = append(pairs, p.Stage...)
		}
		slices.Sort(pairs)
	}
	r := meta{base: text(y.Base)}.release()
	if id := text(y.ID); id == "ubuntu" || id == "debian" {
		r = release{id, text(y.Version)}
	}
	list, bad := parsePairs(ctx, pairs)
	return r, list, errors.Join(err, bad)
}

// parsePackages reads the list of a base snap in its newer form.
func parsePackages(ctx context.Context, data []byte) (release, []dpkg, error) {
	var y struct {
		Packages []string `yaml:"packages"`
	}
	err := unmarshal(data, &y)
	list, bad := parsePairs(ctx, y.Packages)
	return release{}, list, errors.Join(err, bad)
}

func parsePairs(ctx context.Context, pairs []string) (list []dpkg, err error) {
	for _, s := range pairs {
		if ctx.Err() != nil {
			return list, ctx.Err()
		}
		if d, ok := parsePair(s); ok {
			list = append(list, d)
		} else if err == nil && strings.Contains(s, "=") {
			err = fmt.Errorf("package %q: %w", s[:min(len(s), 100)], errSnap)
		}
	}
	return list, err
}

// parseList reads what "dpkg -l" prints: two letters for the state, the second
// of them "i" for what is installed, then name, version, architecture, and a
// description.
func parseList(ctx context.Context, data []byte) (r release, list []dpkg, err error) {
	table := false
	for line := range bytes.Lines(data) {
		if ctx.Err() != nil {
			return r, list, ctx.Err()
		}
		if bytes.HasPrefix(line, []byte("+++-")) {
			table = true
			continue
		}
		f := strings.Fields(string(line[:min(len(line), maxText)]))
		if !table || len(f) < 4 || len(f[0]) < 2 || f[0][1] != 'i' {
			continue
		}
		name, _, _ := strings.Cut(f[1], ":")
		if !plain(name) || !plain(f[2]) || !plain(f[3]) {
			err = fmt.Errorf("package %q: %w", f[1], errSnap)
			continue
		}
		list = append(list, dpkg{strings.Clone(name), strings.Clone(f[2]), strings.Clone(f[3])})
	}
	if !table && err == nil {
		err = fmt.Errorf("no table: %w", errSnap)
	}
	return r, list, err
}

// unmarshal reads YAML. Values of another kind than asked for are left out, and
// are an error.
func unmarshal(data []byte, to any) error {
	if err := yaml.Unmarshal(data, to); err != nil {
		s := err.Error()
		return fmt.Errorf("%s: %w", text(s[:min(len(s), 200)]), errSnap)
	}
	return nil
}

// text drops what does not belong into a value.
func text(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), maxText)], "")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s))
}

// state adds the snaps that snapd has installed and that are not mounted.
func (c *collector) state(ctx context.Context) error {
	f, err := c.fsys.Open(stateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		c.gap(stateFile, err)
		return nil
	}
	defer f.Close() //nolint:errcheck // only read from
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		return nil
	}
	if err == nil && st.Size() > maxState {
		err = fmt.Errorf("%d bytes, limit %d: %w", st.Size(), maxState, bulwark.ErrTooLarge)
	}
	if err == nil {
		err = c.snaps(ctx, json.NewDecoder(f))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		c.gap(stateFile, err)
	}
	return nil
}

// snaps reads {"data": {"snaps": {NAME: {"current": REVISION}}}}. The rest, which
// is long, is passed over.
func (c *collector) snaps(ctx context.Context, d *json.Decoder) error {
	return object(ctx, d, func(key string) error {
		if key != "data" {
			return skip(ctx, d)
		}
		return object(ctx, d, func(key string) error {
			if key != "snaps" {
				return skip(ctx, d)
			}
			n := 0
			return object(ctx, d, func(snap string) error {
				if n++; n > maxSnaps {
					return fmt.Errorf("more than %d snaps: %w", maxSnaps, bulwark.ErrTooLarge)
				}
				var s struct {
					Current string `json:"current"`
				}
				if err := d.Decode(&s); err != nil {
					return malformed(err)
				}
				m := meta{name: text(snap)}
				// A parallel installation has a key behind the name.
				if i := strings.IndexByte(m.name, '_'); i > 0 {
					m.name = m.name[:i]
				}
				revision := text(s.Current)
				if m.name == "" || c.mounted[m.name+"/"+revision] || c.mounted[text(snap)+"/"+revision] {
					return nil
				}
				p := m.noun(revision)
				p.Where = []bulwark.Location{{Path: stateFile}}
				c.pkgs = append(c.pkgs, p)
				return nil
			})
		})
	})
}

// object calls each with every key of an object, which is to read its value.
func object(ctx context.Context, d *json.Decoder, each func(key string) error) error {
	t, err := d.Token()
	if err != nil {
		return malformed(err)
	}
	if t == nil {
		return nil // null
	}
	if t != json.Delim('{') {
		return fmt.Errorf("%v in place of an object: %w", t, errSnap)
	}
	for d.More() {
		if err := ctx.Err(); err != nil {
			return err
		}
		key, err := d.Token()
		if err != nil {
			return malformed(err)
		}
		s, ok := key.(string)
		if !ok {
			return fmt.Errorf("%v in place of a key: %w", key, errSnap)
		}
		if err := each(s); err != nil {
			return err
		}
	}
	if _, err = d.Token(); err != nil {
		return malformed(err)
	}
	return nil
}

// skip passes over one value.
func skip(ctx context.Context, d *json.Decoder) error {
	for depth := 0; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		t, err := d.Token()
		if err != nil {
			return malformed(err)
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth <= 0 {
			return nil
		}
	}
}

// malformed tells an error of the JSON from one of reading it.
func malformed(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	if errors.As(err, &syntax) || errors.As(err, &kind) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", err, errSnap)
	}
	return err
}
