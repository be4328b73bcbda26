// SPDX-License-Identifier: Apache-2.0

package python

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// maxHeader bounds the part of the metadata that is read, bytes. The fields that
// are wanted come first; a licence text in a field may be long.
const maxHeader = 1 << 20

// Installed finds distributions by the metadata that installers leave
// (https://packaging.python.org/specifications/core-metadata/): METADATA in
// *.dist-info, PKG-INFO in *.egg-info and EGG-INFO, and *.egg-info files. Its
// zero value is ready to use.
type Installed struct{}

// Name gives "python-installed".
func (Installed) Name() string { return "python-installed" }

// Wants tells whether p is such a file.
func (Installed) Wants(p string, st bulwark.Stat) bool {
	if st.Mode&fs.ModeType != 0 {
		return false
	}
	return strings.HasSuffix(p, ".dist-info/METADATA") || strings.HasSuffix(p, ".egg-info") ||
		strings.HasSuffix(p, ".egg-info/PKG-INFO") || strings.HasSuffix(p, "EGG-INFO/PKG-INFO")
}

// Extract gives the distribution that the metadata describes. Only the head of
// the file is read, not the description after it.
func (e Installed) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	size := 4096
	if f.Size < 4096 {
		size = int(max(16, f.Size))
	}
	m, err := readMetadata(ctx, bufio.NewReaderSize(io.LimitReader(f.Reader(), maxHeader), size))
	if err != nil {
		return nil, malformed(f, err)
	}
	if m.name == "" && m.version == "" && f.Size == 0 {
		return nil, nil // an empty *.egg-info marks a distribution without data
	}
	l := newList(f, e.Name())
	l.add(m.name, m.version, m.line, false)
	if len(l.pkgs) == 0 {
		return nil, malformed(f, errors.New("no name"))
	}
	l.pkgs[0].Licenses = m.licences()
	return l.pkgs, nil
}

type metadata struct {
	name, version       string
	expression, licence string
	classifiers         []string
	line                int
}

// readMetadata reads header fields up to the first empty line.
func readMetadata(ctx context.Context, r *bufio.Reader) (metadata, error) {
	var m metadata
	for n := 1; ; n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return m, ctx.Err()
		}
		line, whole, err := readLine(r)
		if err != nil && !errors.Is(err, io.EOF) {
			return m, err
		}
		if line == "" && whole {
			return m, nil
		}
		if key, value, ok := strings.Cut(line, ":"); ok && line[0] != ' ' && line[0] != '\t' {
			value = strings.TrimSpace(value)
			switch {
			case strings.EqualFold(key, "Name") && m.name == "":
				m.name, m.line = value, n
			case strings.EqualFold(key, "Version") && m.version == "":
				m.version = value
			case strings.EqualFold(key, "License-Expression"):
				m.expression = value
			case strings.EqualFold(key, "License"):
				m.licence = value
			case strings.EqualFold(key, "Classifier"):
				if text, ok := strings.CutPrefix(value, "License :: "); ok && len(m.classifiers) < 8 {
					text = text[strings.LastIndex(text, ":: ")+1:]
					m.classifiers = append(m.classifiers, strings.TrimPrefix(text, ": "))
				}
			}
		}
		if err != nil {
			return m, nil
		}
	}
}

// readLine reads a line without its end. Of a longer line than the buffer it
// gives the begin; whole tells that the line was not cut.
func readLine(r *bufio.Reader) (line string, whole bool, err error) {
	b, err := r.ReadSlice('\n')
	line = strings.TrimRight(string(b), "\r\n")
	whole = true
	for errors.Is(err, bufio.ErrBufferFull) {
		whole = false
		_, err = r.ReadSlice('\n')
	}
	return line, whole, err
}

// licences gives the licence in the best form there is: an SPDX expression, the
// short text of the old field, or the classifiers.
func (m metadata) licences() []string {
	switch {
	case m.expression != "":
		return []string{m.expression}
	case m.licence != "" && m.licence != "UNKNOWN" && len(m.licence) <= 64:
		return []string{m.licence}
	}
	return m.classifiers
}
