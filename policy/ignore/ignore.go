// SPDX-License-Identifier: Apache-2.0

// Package ignore reads files in which somebody accepts findings until a date, and
// sets the status of those findings. It is the short form of exceptions: it knows
// rules, packages and paths, and nothing of policies.
package ignore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3" // maintained forks are still release candidates; gives line numbers

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/nearest"
)

// Limits on ignore files, far above what a team could keep in its head.
const (
	maxIgnoreBytes   = 1 << 20
	maxIgnoreEntries = 5000
	maxIgnoreField   = 4096 // bytes of one value
)

// An Entry is one entry of an ignore file: somebody accepts some findings
// until a date. ID, Package and Path must all match.
type Entry struct {
	ID      string // rule, alias of it, or glob: "CVE-2023-1234", "secret/*"
	Package string // purl glob, "name" or "name@version" glob; "" is any
	Path    string // path glob that holds every place of the finding; "" is any
	Reason  string // why the risk is taken
	Owner   string // who answers for it
	Until   string // RFC 3339 full-date, the last day on which it holds, in UTC
	File    string // the ignore file, as it was named
	Line    int    // where the entry begins, from 1

	end     time.Time // first moment at which it no longer holds
	id, pkg *glob
	path    *glob
}

// Name gives "file:line", which tells entries apart.
func (ig *Entry) Name() string { return fmt.Sprintf("%s:%d", ig.File, ig.Line) }

// Expired tells whether the entry's last day is over at now.
func (ig *Entry) Expired(now time.Time) bool { return !now.Before(ig.end) }

// A Fault is a mistake in a file that a person wrote. It is
// [bulwark.ErrUsage].
type Fault struct {
	File   string
	Line   int // from 1; 0 when the whole file is meant
	Detail string
}

// Error gives "file:line: detail".
func (f Fault) Error() string {
	if f.Line == 0 {
		return f.File + ": " + f.Detail
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Detail)
}

// Unwrap gives [bulwark.ErrUsage].
func (f Fault) Unwrap() error { return bulwark.ErrUsage }

// Parse reads an ignore file, a YAML document of the form
//
//	ignore:
//	  - id: CVE-2023-1234            # rule, alias or glob; required
//	    package: pkg:deb/debian/tar  # purl glob, name or name@version
//	    path: usr/share/doc/**       # glob: * stays in a directory, ** does not
//	    reason: not reachable        # required
//	    owner: jane@example.org      # required
//	    until: 2027-01-31            # last day, UTC; required
//
// name is used for messages only. It gives the sound entries in file order, and
// a [Fault] for every mistake; with a fault the file as a whole must not be
// relied on. An empty file has no entries and no faults.
func Parse(name string, data []byte) ([]Entry, []error) {
	p := &ignoreParser{file: name}
	p.parse(data)
	return p.entries, p.faults
}

type ignoreParser struct {
	file    string
	entries []Entry
	faults  []error
}

func (p *ignoreParser) fault(line int, format string, args ...any) {
	if len(p.faults) < 100 { // who has made a hundred mistakes does not read the next
		p.faults = append(p.faults, Fault{p.file, line, fmt.Sprintf(format, args...)})
	}
}

func (p *ignoreParser) parse(data []byte) {
	if len(data) > maxIgnoreBytes {
		p.fault(0, "%d bytes, limit %d", len(data), maxIgnoreBytes)
		return
	}
	doc, line, err := decodeYAML(data)
	if err != nil {
		p.fault(line, "%v", err)
		return
	}
	if doc == nil {
		return
	}
	if doc.Kind == yaml.SequenceNode {
		p.fault(doc.Line, `want a mapping with the key "ignore", not a list; write "ignore:" above it`)
		return
	}
	fields, ok := p.mapping(doc, "ignore")
	if !ok {
		return
	}
	list := fields["ignore"]
	if list == nil || list.Tag == "!!null" {
		return
	}
	if list.Kind != yaml.SequenceNode {
		p.fault(list.Line, `"ignore" wants a list of entries, written out`)
		return
	}
	if len(list.Content) > maxIgnoreEntries {
		p.fault(list.Line, "%d entries, limit %d", len(list.Content), maxIgnoreEntries)
		return
	}
	for _, n := range list.Content {
		p.entry(n)
	}
}

func (p *ignoreParser) entry(n *yaml.Node) {
	before := len(p.faults)
	fields, ok := p.mapping(n, "id", "package", "path", "reason", "owner", "until")
	if !ok {
		return
	}
	ig := Entry{File: p.file, Line: n.Line}
	for _, f := range []struct {
		key      string
		to       *string
		required bool
		why      string
	}{
		{"id", &ig.ID, true, "which rule is accepted"},
		{"package", &ig.Package, false, ""},
		{"path", &ig.Path, false, ""},
		{"reason", &ig.Reason, true, "why the risk is taken"},
		{"owner", &ig.Owner, true, "who answers for it"},
		{"until", &ig.Until, true, "the last day, as 2027-01-31"},
	} {
		v := fields[f.key]
		if v == nil {
			if f.required {
				p.fault(n.Line, "entry without %q: say %s", f.key, f.why)
			}
			continue
		}
		if v.Kind != yaml.ScalarNode || v.Tag == "!!null" || strings.TrimSpace(v.Value) == "" {
			p.fault(v.Line, "%q wants a text, written out", f.key)
			continue
		}
		if len(v.Value) > maxIgnoreField {
			p.fault(v.Line, "%q is %d bytes long, limit %d", f.key, len(v.Value), maxIgnoreField)
			continue
		}
		*f.to = strings.TrimSpace(v.Value)
		if f.key == "until" {
			day, err := time.Parse(time.DateOnly, ig.Until)
			if err != nil {
				p.fault(v.Line, `"until" %q is not a date like 2027-01-31`, ig.Until)
				continue
			}
			ig.end = day.AddDate(0, 0, 1)
		}
	}
	if len(p.faults) > before {
		return
	}
	if strings.Trim(ig.ID, "*") == "" && strings.Trim(ig.Package, "*") == "" && strings.Trim(ig.Path, "*/") == "" {
		p.fault(n.Line, "the entry matches every finding; name a rule, a package or a path")
		return
	}
	ig.id = newGlob(strings.ToLower(ig.ID), anyStar)
	ig.pkg = newPackageGlob(ig.Package)
	ig.path = newPathGlob(ig.Path)
	p.entries = append(p.entries, ig)
}

// mapping gives the values of a mapping node by key. Foreign and repeated keys
// are faults. It is false when n is no mapping.
func (p *ignoreParser) mapping(n *yaml.Node, keys ...string) (map[string]*yaml.Node, bool) {
	if n.Kind != yaml.MappingNode {
		p.fault(n.Line, "want a mapping with %s", quoted(keys))
		return nil, false
	}
	fields := make(map[string]*yaml.Node, len(keys))
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch {
		case k.Kind != yaml.ScalarNode || !slices.Contains(keys, k.Value):
			if near := nearest.Of(k.Value, keys); near != "" {
				p.fault(k.Line, "unknown key %q, did you mean %q?", clip(k.Value), near)
			} else {
				p.fault(k.Line, "unknown key %q, want %s", clip(k.Value), quoted(keys))
			}
		case fields[k.Value] != nil:
			p.fault(k.Line, "key %q is given twice", k.Value)
		default:
			fields[k.Value] = v
		}
	}
	return fields, true
}

// decodeYAML gives the root of the only document, or nil when there is none,
// and the line of the mistake where there is one.
func decodeYAML(data []byte) (*yaml.Node, int, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, 0, nil
	}
	if err == nil {
		err = dec.Decode(&second)
		if err == nil {
			return nil, second.Line, errors.New("a second document; write one")
		}
	}
	if !errors.Is(err, io.EOF) {
		line, detail := yamlError(err)
		return nil, line, errors.New(detail)
	}
	if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		return nil, 0, nil
	}
	return doc.Content[0], 0, nil
}

// yamlError takes the line out of the decoder's message "yaml: line 3: …".
func yamlError(err error) (line int, detail string) {
	detail = strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(detail, "line "); ok {
		if n, after, ok := strings.Cut(rest, ": "); ok {
			if line, err := strconv.Atoi(n); err == nil {
				return line, after
			}
		}
	}
	return 0, detail
}

func quoted(keys []string) string {
	q := make([]string, len(keys))
	for i, k := range keys {
		q[i] = fmt.Sprintf("%q", k)
	}
	return strings.Join(q, ", ")
}

func clip(s string) string { return s[:min(len(s), 64)] }
