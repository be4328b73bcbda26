// SPDX-License-Identifier: Apache-2.0

// Package sbom reads bills of materials that somebody wrote: CycloneDX 1.2 to
// 1.6 as JSON and XML, SPDX 2.2 and 2.3 as JSON and as tags and values. It knows how their packages are named
// for advisories, also as Syft and Trivy write them, and takes Bulwark's own
// notes at their word, so that a bill gives the same vulnerabilities as what it
// was made of. It does not know components without a package URL, and does not
// check a bill against its schema.
package sbom

import (
	"bufio"
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

const (
	// name appears in reports and never changes.
	name = "sbom"
	// maxFile bounds a bill, bytes. One with all files of a large image has
	// 100 MiB.
	maxFile = 256 << 20
	// maxText bounds what is taken from a bill as a name, version or the like.
	maxText = 1024
	// maxDepth bounds components in components.
	maxDepth = 64
	// maxItems bounds components and packages. The largest images have some ten
	// thousand, with all files a million.
	maxItems = 2_000_000
)

// Document reads one bill of materials as an extractor. It wants every file,
// because it is only asked about the one that a person named. Its zero value is
// ready to use.
type Document struct{}

// Name gives "sbom".
func (Document) Name() string { return name }

// Wants is true for regular files.
func (Document) Wants(_ string, st bulwark.Stat) bool { return st.Mode&fs.ModeType == 0 }

// Extract gives the packages of the bill. Packages together with an error that
// wraps [bulwark.ErrUnsupported] mean that some components have no package URL
// and cannot be matched.
func (Document) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	inv, err := Read(ctx, f)
	return inv.Packages, err
}

// Read gives all that the bill in f says of an inventory: the packages, the
// operating system, the layers and the gaps that Bulwark noted. The errors are
// those of Extract.
func Read(ctx context.Context, f *bulwark.File) (bulwark.Inventory, error) {
	if f.Size > maxFile {
		return bulwark.Inventory{}, fmt.Errorf("read %q: %d bytes, limit %d: %w", f.Path, f.Size, int64(maxFile), bulwark.ErrTooLarge)
	}
	b := &bill{done: ctx.Err, path: f.Path, described: map[string]bool{}}
	err := b.read(bufio.NewReaderSize(reader{ctx.Err, f.Reader()}, 32<<10))
	inv := b.inventory()
	switch {
	case err != nil:
		return inv, fmt.Errorf("bill of materials %q: %w", f.Path, err)
	case b.nameless > 0:
		return inv, fmt.Errorf("bill of materials %q: %d components have no usable package URL and cannot be matched: %w",
			f.Path, b.nameless, bulwark.ErrUnsupported)
	}
	return inv, nil
}

// reader ends with its context.
type reader struct {
	done func() error
	r    io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.done(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// A bill is what has been read so far. The order of the parts in a file is not
// fixed, so they are judged at the end.
type bill struct {
	done      func() error // tells that the context is done
	path      string
	format    string // "CycloneDX" or "SPDX"
	items     []item
	os        *bulwark.OS
	layers    []bulwark.Layer
	gaps      []bulwark.Gap
	described map[string]bool // SPDX ids of what the document is about
	nameless  int             // components without a usable package URL
}

// An item is one component or package in the form that both standards share.
type item struct {
	id            string // SPDX
	group         string
	name, version string
	purl          string
	licenses      []string
	vendor        string
	dev           bool
	counts        bool // it is software, and so needs a package URL
	source        string
	sourceVersion string
	module        string
	own           *note // what Bulwark noted
}

// A note is what Bulwark writes beside a package for itself.
type note struct {
	Ecosystem     string             `json:"ecosystem"`
	Source        string             `json:"source"`
	SourceVersion string             `json:"sourceVersion"`
	Arch          string             `json:"arch"`
	Module        string             `json:"module"`
	Owner         string             `json:"owner"`
	By            string             `json:"by"`
	Dev           bool               `json:"dev"`
	Where         []bulwark.Location `json:"where"`
}

// read reads the document.
func (b *bill) read(r *bufio.Reader) error {
	head, err := r.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	head = bytes.TrimLeft(head, "\xef\xbb\xbf \t\r\n")
	switch {
	case bytes.HasPrefix(head, []byte("<")), bytes.HasPrefix(head, []byte("{")), startsTags(head):
	default:
		return errFormat
	}
	if mark, err := r.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
		if _, err := r.Discard(3); err != nil {
			return err
		}
	}
	switch head[0] {
	case '{':
	case '<':
		return b.xml(r)
	default:
		return b.tags(r)
	}
	d := json.NewDecoder(r)
	if err := b.document(d, 0); err != nil {
		return err
	}
	if b.format == "" {
		return errFormat
	}
	return nil
}

// errFormat is the answer to what is no bill of materials.
var errFormat = fmt.Errorf("neither CycloneDX nor SPDX: %w", bulwark.ErrUnsupported)

// add takes an item.
func (b *bill) add(it item) error {
	if len(b.items) >= maxItems {
		return fmt.Errorf("more than %d components: %w", maxItems, bulwark.ErrTooLarge)
	}
	b.items = append(b.items, it)
	return nil
}

// document reads the object that is the bill, or that holds it: an attestation
// has it as predicate, GitHub's export as sbom.
func (b *bill) document(d *json.Decoder, depth int) error {
	return b.members(d, func(key string) error {
		switch key {
		case "bomFormat":
			return b.text(d, func(s string) error {
				if s != "CycloneDX" {
					return fmt.Errorf("format %.40q: %w", s, bulwark.ErrUnsupported)
				}
				b.format = s
				return nil
			})
		case "spdxVersion":
			return b.text(d, func(s string) error {
				if !strings.HasPrefix(s, "SPDX-2.") {
					return fmt.Errorf("version %.40q: %w", s, bulwark.ErrUnsupported)
				}
				b.format = "SPDX"
				return nil
			})
		case "metadata":
			return b.metadata(d)
		case "components":
			return each(b, d, func(c *component) error { return b.component(c, 0) })
		case "packages":
			return each(b, d, b.spdxPackage)
		case "annotations":
			return each(b, d, b.annotation)
		case "relationships":
			return each(b, d, b.relationship)
		case "documentDescribes":
			return each(b, d, func(id *string) error {
				b.described[*id] = true
				return nil
			})
		case "predicate", "sbom":
			if depth == 0 {
				return b.document(d, depth+1)
			}
		case "@graph":
			return fmt.Errorf("SPDX 3: %w", bulwark.ErrUnsupported)
		}
		return skip(d)
	})
}

// members calls yield with each key of the next value. Yield must read its
// value. A value that is no object is passed.
func (b *bill) members(d *json.Decoder, yield func(key string) error) error {
	t, err := d.Token()
	if err != nil {
		return noEnd(err)
	}
	switch t {
	case json.Delim('{'):
	case json.Delim('['):
		return rest(d)
	default:
		return nil
	}
	for d.More() {
		if err := b.done(); err != nil {
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
	_, err = d.Token()
	return noEnd(err)
}

// each calls yield with each element of the next value. An element of another
// form is passed, as is a value that is no array.
func each[T any](b *bill, d *json.Decoder, yield func(*T) error) error {
	t, err := d.Token()
	if err != nil {
		return noEnd(err)
	}
	switch t {
	case json.Delim('['):
	case json.Delim('{'):
		return rest(d)
	default:
		return nil
	}
	for d.More() {
		if err := b.done(); err != nil {
			return err
		}
		var v T
		if err := decode(d, &v); err != nil {
			return noEnd(err)
		}
		if err := yield(&v); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return noEnd(err)
}

// decode reads the next value into v as far as it fits.
func decode(d *json.Decoder, v any) error {
	err := d.Decode(v)
	var other *json.UnmarshalTypeError
	if errors.As(err, &other) {
		return nil
	}
	return err
}

// text calls yield with the next value if it is a string.
func (b *bill) text(d *json.Decoder, yield func(string) error) error {
	t, err := d.Token()
	if err != nil {
		return noEnd(err)
	}
	switch t := t.(type) {
	case string:
		return yield(t)
	case json.Delim:
		return rest(d)
	}
	return nil
}

// skip passes the next value without holding it.
func skip(d *json.Decoder) error {
	t, err := d.Token()
	if err != nil {
		return noEnd(err)
	}
	if t == json.Delim('{') || t == json.Delim('[') {
		return rest(d)
	}
	return nil
}

// rest passes the rest of an object or array.
func rest(d *json.Decoder) error {
	for depth := 1; depth > 0; {
		t, err := d.Token()
		if err != nil {
			return noEnd(err)
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
	return nil
}

// noEnd makes the end of the file an error where more must follow.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// clean gives s if it is text of reasonable length, else "".
func clean(s string) string {
	if len(s) > maxText || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) {
		return ""
	}
	return s
}

// gap reads the text by which Bulwark notes a gap: "kind, may hide packages: …".
func (b *bill) gap(text string) {
	kind, detail, _ := strings.Cut(text, ":")
	kind, hides := strings.CutSuffix(kind, ", may hide packages")
	switch kind {
	case bulwark.GapUnreadable, bulwark.GapMalformed, bulwark.GapLimit, bulwark.GapUnsupported, bulwark.GapSkipped, bulwark.GapSandbox, bulwark.GapAdvisory:
		if len(b.gaps) < 10_000 {
			b.gaps = append(b.gaps, bulwark.Gap{Kind: kind, Detail: clean(strings.TrimSpace(detail)), Hides: hides})
		}
	}
}
