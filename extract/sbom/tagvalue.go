// SPDX-License-Identifier: Apache-2.0

package sbom

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// maxValue bounds one value of a tag that is kept, bytes. The longest are
// Bulwark's notes on a package that lies in many places.
const maxValue = 8 << 20

// startsTags tells whether a file begins as SPDX in tags and values
// (https://spdx.github.io/spdx-spec/v2.3/conformance/), after any comments.
func startsTags(head []byte) bool {
	for line := range bytes.Lines(head) {
		line = bytes.TrimLeft(line, " \t\r\n")
		if len(line) > 0 && line[0] != '#' {
			return bytes.HasPrefix(line, []byte("SPDXVersion:"))
		}
	}
	return false
}

// wanted tells which tags are read. Values of others are passed, however long
// they are.
func wanted(tag string) bool {
	switch tag {
	case "SPDXVersion", "PackageName", "SPDXID", "PackageVersion", "PackageSupplier", "PackageLicenseDeclared",
		"PrimaryPackagePurpose", "PackageComment", "ExternalRef", "FileName", "SnippetSPDXID", "LicenseID",
		"Relationship", "Annotator", "SPDXREF", "AnnotationComment":
		return true
	}
	return false
}

// A tagReader takes a document in tags and values apart.
type tagReader struct {
	b   *bill
	r   *bufio.Reader
	pkg *spdxPackage // the package that tags belong to, nil outside of packages
	ref string       // what the annotation is about
}

// tags reads a document in tags and values.
func (b *bill) tags(r *bufio.Reader) error {
	t := &tagReader{b: b, r: r}
	for {
		if err := b.done(); err != nil {
			return err
		}
		tag, value, err := t.next()
		if tag != "" {
			if err := t.take(tag, value); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			if b.format == "" {
				return errFormat
			}
			return t.end()
		case err != nil:
			return errors.Join(t.end(), err)
		}
	}
}

// end ends the package.
func (t *tagReader) end() error {
	p := t.pkg
	t.pkg = nil
	if p == nil {
		return nil
	}
	return t.b.spdxPackage(p)
}

// take takes one tag.
func (t *tagReader) take(tag, value string) error {
	b, p := t.b, t.pkg
	switch tag {
	case "SPDXVersion":
		if !strings.HasPrefix(value, "SPDX-2.") {
			return fmt.Errorf("version %.40q: %w", value, bulwark.ErrUnsupported)
		}
		b.format = "SPDX"
		return nil
	case "PackageName":
		err := t.end()
		t.pkg = &spdxPackage{Name: value}
		return err
	case "FileName", "SnippetSPDXID", "LicenseID":
		return t.end()
	case "Relationship":
		if f := strings.Fields(value); len(f) >= 3 {
			return b.relationship(&spdxRelationship{From: f[0], Type: f[1], To: f[2]})
		}
		return nil
	case "Annotator":
		t.ref = ""
		return nil
	case "SPDXREF":
		t.ref = value
		return nil
	case "AnnotationComment":
		if t.ref == "" || t.ref == "SPDXRef-DOCUMENT" {
			return b.annotation(&spdxAnnotation{Comment: value})
		}
		return nil
	}
	if p == nil {
		return nil
	}
	switch tag {
	case "SPDXID":
		p.ID = value
	case "PackageVersion":
		p.Version = value
	case "PackageSupplier":
		p.Supplier = value
	case "PackageLicenseDeclared":
		p.Declared = value
	case "PrimaryPackagePurpose":
		p.Purpose = value
	case "PackageComment":
		p.Comment = value
	case "ExternalRef": // category, type, locator
		if f := strings.Fields(value); len(f) == 3 && f[1] == "purl" && len(p.Refs) < 64 {
			p.Refs = append(p.Refs, spdxRef{Type: f[1], Locator: f[2]})
		}
	}
	return nil
}

// next gives the next tag that is wanted and its value, with io.EOF at the end.
// The tag is "" for a line that has none, or one that is not wanted.
func (t *tagReader) next() (tag, value string, err error) {
	line, err := t.line(nil)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", "", err
	}
	trimmed := bytes.TrimLeft(line, " \t")
	name, rest, ok := bytes.Cut(trimmed, []byte(":"))
	if !ok || len(trimmed) == 0 || trimmed[0] == '#' {
		return "", "", err
	}
	tag = string(bytes.TrimSpace(name[:min(len(name), 64)]))
	keep := wanted(tag)
	rest = bytes.TrimSpace(rest)
	if after, isText := bytes.CutPrefix(rest, []byte("<text>")); isText {
		var more error
		if rest, more = t.text(bytes.Clone(after), keep); more != nil {
			return "", "", more
		}
	}
	if !keep {
		return "", "", err
	}
	return tag, string(rest), err
}

// text reads on to the end of a text of several lines; begin is what its first
// line has of it.
func (t *tagReader) text(begin []byte, keep bool) ([]byte, error) {
	const end = "</text>"
	if i := bytes.Index(begin, []byte(end)); i >= 0 {
		return begin[:i], nil
	}
	value := append(begin, '\n')
	for {
		if err := t.b.done(); err != nil {
			return nil, err
		}
		if !keep {
			value = value[:0]
		}
		from := len(value)
		var err error
		if value, err = t.line(value); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if i := bytes.Index(value[from:], []byte(end)); i >= 0 {
			return value[:from+i], nil
		}
		if err != nil {
			return nil, noEnd(err)
		}
		value = append(value, '\n')
	}
}

// line appends the next line to value, without its end.
func (t *tagReader) line(value []byte) ([]byte, error) {
	for {
		part, more, err := t.r.ReadLine()
		if value = append(value, part...); len(value) > maxValue {
			return nil, fmt.Errorf("a value of more than %d bytes: %w", maxValue, bulwark.ErrTooLarge)
		}
		if err != nil || !more {
			return value, err
		}
	}
}
