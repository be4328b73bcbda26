// SPDX-License-Identifier: Apache-2.0

package document

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3" // nodes with lines and columns; does not expand aliases in them

	"github.com/bulwark-sec/bulwark/internal/nearest"
)

// Limits on one file, far above what people write. Within them the worst that we
// know takes a second of processor time and 220 MB: the YAML parser is linear in its
// input, and bounds its depth, at 10,000, before ours can be asked.
const (
	maxBytes     = 1 << 20
	maxDocuments = 1000
	maxDepth     = 64
	maxScalar    = 64 << 10 // bytes of one value
	maxFaults    = 100      // who has made a hundred mistakes does not read the next
)

// A Fault is a mistake in a file that a person wrote. It is no sentinel of the
// root: the program cannot do its work with such a file.
type Fault struct {
	Place  Place
	Detail string
}

// Error gives "file:line:column: detail" on one line, with what could do something
// to a terminal written out.
func (f Fault) Error() string { return f.Place.String() + ": " + printable(f.Detail) }

// printable writes out what does not print: words of a file can stand in a fault of
// others, as the parser of conditions words it.
func printable(s string) string {
	odd := func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }
	if !strings.ContainsFunc(s, odd) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if odd(r) {
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// String gives "file:line:column", without what is not known. A name of a file that
// could do something to a terminal is quoted.
func (p Place) String() string {
	name := p.File
	if strings.ContainsFunc(name, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }) {
		name = strconv.Quote(name)
	}
	switch {
	case p.Line == 0:
		return name
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", name, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", name, p.Line, p.Column)
}

// Parse reads a file of documents that lines of "---" part. The name is used for
// places only. It gives the sound documents, in order, and a [Fault] for every
// mistake, in order, at most a hundred; with a fault the file as a whole must not
// be relied on. An empty file has no documents and no faults. The set is never
// nil.
func Parse(file string, data []byte) (*Set, []error) {
	set := new(Set)
	r := &reader{file: file}
	if len(data) > maxBytes {
		r.fault(Place{File: file}, "the file has %d bytes, at most %d are read; split it", len(data), maxBytes)
		return set, r.errors()
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if at, detail := foul(data); detail != "" {
		at.File = file
		r.fault(at, "%s", detail)
		return set, r.errors()
	}
	names := map[string]Place{} // by kind and name
	documents := 0
	for _, c := range chunks(string(data)) {
		if r.count > maxFaults {
			break
		}
		r.first, r.source, r.lines, r.starts = c.line, c.text, strings.Split(c.text, "\n"), nil
		if blank(r.lines) {
			continue
		}
		before := len(r.faults)
		n := r.decode()
		if n != nil && r.sound(n, 0) {
			documents++
			if documents > maxDocuments {
				r.fault(r.place(n), "the file has more than %d documents; split it", maxDocuments)
				break
			}
			r.document(n, set, names)
		}
		slices.SortStableFunc(r.faults[before:], func(a, b Fault) int {
			return cmp.Or(cmp.Compare(a.Place.Line, b.Place.Line), cmp.Compare(a.Place.Column, b.Place.Column))
		})
	}
	return set, r.errors()
}

// foul finds the first character that has no place in a file that people read:
// besides binary data, these are line breaks that editors do not show as such, and
// marks that show text in another order than the one in which it is read
// (https://www.unicode.org/reports/tr36/, section 2.9).
func foul(data []byte) (Place, string) {
	at := Place{Line: 1, Column: 1}
	for i := 0; i < len(data); {
		c, size := utf8.DecodeRune(data[i:])
		switch {
		case c == utf8.RuneError && size == 1:
			return at, fmt.Sprintf("byte %#02x is not UTF-8", data[i])
		case c == '\r' && (i+1 >= len(data) || data[i+1] != '\n'):
			return at, "carriage return without a line feed"
		case c < ' ' && c != '\t' && c != '\n' && c != '\r', c >= 0x7f && c <= 0x9f, c == '\ufeff':
			return at, fmt.Sprintf("control character %U", c)
		case c == '\u2028', c == '\u2029':
			return at, fmt.Sprintf("line separator %U; use a line feed", c)
		case c >= '\u202a' && c <= '\u202e', c >= '\u2066' && c <= '\u2069':
			return at, fmt.Sprintf("mark %U changes the order in which text is shown", c)
		}
		at.Column++
		if c == '\n' {
			at = Place{Line: at.Line + 1, Column: 1}
		}
		i += size
	}
	return Place{}, ""
}

// A chunk is the text of one document, from its line of dashes to the next.
type chunk struct {
	line int // lines before it
	text string
}

// chunks parts a file. A line of dashes begins a document wherever it stands: no
// scalar may hold one at the beginning of a line
// (https://yaml.org/spec/1.2.2/#rule-c-forbidden).
func chunks(data string) []chunk {
	var all []chunk
	start, first, line := 0, 0, 0
	for at := 0; at < len(data); line++ {
		end := len(data)
		if i := strings.IndexByte(data[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		if l := data[at:end]; at > 0 && strings.HasPrefix(l, "---") && (len(l) == 3 || strings.ContainsAny(l[3:4], " \t\r\n")) {
			all = append(all, chunk{first, data[start:at]})
			start, first = at, line
		}
		at = end
	}
	return append(all, chunk{first, data[start:]})
}

// blank tells whether a document is nothing but comments. A file may hold many
// thousands of these, and starting the YAML parser is dear.
func blank(lines []string) bool {
	for i, l := range lines {
		l = strings.TrimRight(l, " \t\r")
		if i == 0 && (l == "---" || strings.HasPrefix(l, "--- ") || strings.HasPrefix(l, "---\t")) {
			l = l[3:]
		}
		if l = strings.TrimLeft(l, " \t"); l != "" && l[0] != '#' && l != "..." {
			return false
		}
	}
	return true
}

// A reader reads the documents of one file, one after the other.
type reader struct {
	file   string
	faults []Fault // at most one more than are shown
	count  int     // of faults, also of those that are not kept

	source string          // of the document
	first  int             // lines of the file before it
	lines  []string        // of it, without their line feeds
	starts map[int][]int32 // of the characters of lines that are not ASCII, in bytes
}

func (r *reader) fault(at Place, format string, args ...any) {
	r.count++
	if len(r.faults) <= maxFaults {
		r.faults = append(r.faults, Fault{at, fmt.Sprintf(format, args...)})
	}
}

func (r *reader) errors() []error {
	var errs []error
	for i, f := range r.faults {
		if i == maxFaults-1 && len(r.faults) > maxFaults {
			f.Detail = "more faults follow; these are the first"
		}
		if i < maxFaults {
			errs = append(errs, f)
		}
	}
	return errs
}

func (r *reader) place(n *yaml.Node) Place {
	return Place{r.file, r.first + n.Line, n.Column}
}

// decode gives the root of the document's tree, or nil when it is empty or not
// YAML.
func (r *reader) decode() *yaml.Node {
	var doc, second yaml.Node
	dec := yaml.NewDecoder(strings.NewReader(r.source))
	err := decodeYAML(dec, &doc)
	if err == nil {
		err = decodeYAML(dec, &second)
		if err == nil {
			r.fault(r.place(&second), `a second document; begin it with a line "---"`)
			return nil
		}
	}
	if !errors.Is(err, io.EOF) {
		at, detail := r.unread(err)
		r.fault(at, "%s", detail)
		return nil
	}
	if len(doc.Content) == 0 {
		return nil
	}
	n := doc.Content[0]
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" && n.Value == "" && n.Style == 0 && n.Anchor == "" {
		return nil // comments only
	}
	return n
}

// noAnchors says why: what a word stands for should stand where people read it, and
// a few lines of aliases expand to more than any machine holds.
const noAnchors = "anchors and aliases are not read; write the value out"

// unread says where and why the document is not YAML.
func (r *reader) unread(err error) (Place, string) {
	line, detail := yamlError(err)
	at := Place{File: r.file, Line: r.first + line}
	name, alias := strings.CutPrefix(detail, "unknown anchor '")
	name, _, _ = strings.Cut(name, "'")
	switch i := strings.Index(r.source, "*"+name); {
	case alias && i >= 0:
		before := r.source[:i]
		last := strings.LastIndexByte(before, '\n') + 1
		at.Line, at.Column = r.first+1+strings.Count(before, "\n"), 1+utf8.RuneCountInString(before[last:])
		detail = noAnchors
	case strings.HasPrefix(r.source, "%"):
		detail = "directives are not read; remove the line"
	case strings.HasSuffix(detail, "cannot start any token") && strings.Contains(r.line(line), "\t"):
		detail += "; indent with spaces, not tabs"
	case strings.HasSuffix(detail, "<document start>"):
		detail += `; begin a document with a line "---"`
	}
	return at, detail
}

// decodeYAML makes an error of a panic: the parser panics where it meets a state
// that its authors held to be impossible, and its input is anybody's.
func decodeYAML(dec *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("not YAML: %v", p)
		}
	}()
	return dec.Decode(n)
}

// yamlError takes the line out of the decoder's message "yaml: line 3: …", which
// names no line where it means the first.
func yamlError(err error) (line int, detail string) {
	detail = strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(detail, "line "); ok {
		if n, after, ok := strings.Cut(rest, ": "); ok {
			if line, err := strconv.Atoi(n); err == nil {
				return line, after
			}
		}
	}
	return 1, detail
}

// sound tells whether the tree holds only what this package reads, so that nobody
// else need ask.
func (r *reader) sound(n *yaml.Node, depth int) bool {
	switch {
	case depth > maxDepth:
		r.fault(r.place(n), "more than %d levels of nesting", maxDepth)
		return false
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.fault(r.place(n), noAnchors)
		return false
	case n.Style&yaml.TaggedStyle != 0:
		r.fault(r.place(n), "tag %q: tags are not read; put a text in quotes", clip(n.Tag))
		return false
	case len(n.Value) > maxScalar:
		r.fault(r.place(n), "a value of %d bytes, at most %d are read", len(n.Value), maxScalar)
		return false
	}
	ok := true
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && c.Tag == "!!merge" {
			r.fault(r.place(c), `merge keys ("<<") are not read; write the keys out`)
			ok = false
			continue
		}
		ok = r.sound(c, depth+1) && ok
	}
	return ok
}

// document reads one document and adds it to the set, if it has no faults.
func (r *reader) document(n *yaml.Node, set *Set, names map[string]Place) {
	if n.Kind != yaml.MappingNode {
		r.fault(r.place(n), "a document wants a mapping with %s", quoted([]string{"apiVersion", "kind", "metadata", "spec"}))
		return
	}
	var k *yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "kind" && n.Content[i].Kind == yaml.ScalarNode {
			k = n.Content[i+1]
			break
		}
	}
	if k == nil {
		r.fault(r.place(n), "a document without %q; it is one of %s", "kind", quoted(Kinds()))
		return
	}
	if k.Kind != yaml.ScalarNode || k.Tag == "!!null" {
		r.wants(k, strconv.Quote("kind"), "one of "+quoted(Kinds()))
		return
	}
	for _, known := range kinds {
		if k.Value == known.name {
			r.named(n, known, set, names)
			return
		}
	}
	r.fault(r.place(k), "%s", unknown("kind", k.Value, Kinds()))
}

func (r *reader) named(n *yaml.Node, k kind, set *Set, names map[string]Place) {
	before := r.count
	h, add := k.read(r, n)
	if h.Name != "" {
		key := k.name + "/" + h.Name
		if first, twice := names[key]; twice {
			r.fault(h.Place, "%s %q is already in this file, in line %d", k.name, h.Name, first.Line)
		} else {
			names[key] = h.Place
		}
	}
	if r.count == before {
		add(set)
	}
}

// unknown says that a word is none of those that are wanted.
func unknown(what, word string, words []string) string {
	if near := nearest.Of(word, words); near != "" {
		return fmt.Sprintf("unknown %s %q, did you mean %q?", what, clip(word), near)
	}
	return fmt.Sprintf("unknown %s %q, want %s", what, clip(word), quoted(words))
}

func quoted(words []string) string {
	q := make([]string, len(words))
	for i, w := range words {
		q[i] = strconv.Quote(w)
	}
	return strings.Join(q, ", ")
}

func clip(s string) string { return s[:min(len(s), 64)] }
