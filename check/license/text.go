// SPDX-License-Identifier: Apache-2.0

package license

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/google/licensecheck" // texts of licences as word patterns, BSD licence, no dependencies

	"github.com/bulwark-sec/bulwark"
)

const (
	minText = 40        // bytes; a shorter file names a licence at most
	maxText = 512 << 10 // bytes; longer files are collections for a whole browser or runtime
	// Below this share of bytes that belong to a licence, in percent, a text is
	// something that mentions one.
	minCover = 25
)

// A Text is a licence's text, or the address of one, inside a file.
type Text struct {
	License    string // SPDX id where there is one
	Risk       Risk
	Start, End int  // bytes
	Address    bool // only an address such as https://www.apache.org/licenses/LICENSE-2.0
}

// The patterns are built when they are first needed: only who meets a licence
// file pays, and only for the part that the file asks for. Texts that differ by a
// few words make the library's automaton grow with their product: 80 MB and three
// seconds for all in one. Each part is therefore split so that neighbours by name,
// which are alike, are apart: 8 MB and a second for everything.
var (
	usualPart = sync.OnceValues(func() ([]*licensecheck.Scanner, error) { return newScanners(usual) })
	riskyPart = sync.OnceValues(func() ([]*licensecheck.Scanner, error) { return newScanners(risky) })
	otherPart = sync.OnceValues(func() ([]*licensecheck.Scanner, error) { return newScanners(other) })
)

// A part is a third of the patterns.
type part int

const (
	usual part = iota // harmless and met every day, with what is like them
	risky             // ask for a decision
	other
)

func (p part) scanners() ([]*licensecheck.Scanner, error) {
	switch p {
	case usual:
		return usualPart()
	case risky:
		return riskyPart()
	}
	return otherPart()
}

// split is the number of automata of one part.
const split = 8

func newScanners(want part) ([]*licensecheck.Scanner, error) {
	lists := make([][]licensecheck.License, split)
	n := 0
	for _, l := range licensecheck.BuiltinLicenses() {
		if partOf(l.ID) == want {
			lists[n%split] = append(lists[n%split], l)
			n++
		}
	}
	var out []*licensecheck.Scanner
	for _, list := range lists {
		s, err := licensecheck.NewScanner(list)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func partOf(id string) part {
	if known().risk(Expression{id: id}).Risky() {
		return risky
	}
	for _, p := range [...]string{
		"0BSD", "Apache-", "Artistic", "BSD-", "BSL-1", "BlueOak", "CC0", "HPND", "ICU", "ISC", "JSON", "Libpng", "libpng", "MIT", "NCSA", "NTP", "OFL", "OpenSSL",
		"PSF", "PostgreSQL", "Python-2", "Ruby", "UPL", "Unicode", "Unlicense", "WTFPL", "X11", "ZPL", "Zlib", "curl", "zlib",
	} {
		if strings.HasPrefix(id, p) {
			return usual
		}
	}
	return other
}

// enough is the share of a file, in percent, that the usual licences must take
// for nobody to look for others in it.
const enough = 60

// Identify gives the licences whose text or address data holds, in its order.
// Data of more than 512 KiB is [bulwark.ErrTooLarge].
func Identify(data []byte) ([]Text, error) { return identify(data, usual, risky, other) }

// recognise is Identify, but builds no more patterns than the text asks for.
func recognise(data []byte) ([]Text, error) {
	parts := []part{usual}
	if suspect(data) {
		parts = append(parts, risky)
	}
	texts, err := identify(data, parts...)
	if err != nil {
		return nil, err
	}
	covered := 0
	for _, t := range texts {
		covered += t.End - t.Start
	}
	if covered*100 >= enough*len(data) {
		return texts, nil
	}
	return Identify(data)
}

// maxTexts bounds the texts of one file.
const maxTexts = 1024

// identify looks for the licences of some parts. Where texts overlap the longer
// one counts: the GPL quotes the BSD licence, and the like.
func identify(data []byte, parts ...part) ([]Text, error) {
	if len(data) > maxText {
		return nil, fmt.Errorf("licence text of %d bytes: %w", len(data), bulwark.ErrTooLarge)
	}
	var all []Text
	for _, p := range parts {
		scanners, err := p.scanners()
		if err != nil {
			return nil, fmt.Errorf("patterns of licences: %w", err)
		}
		for _, s := range scanners {
			for i, m := range s.Scan(data).Match {
				if i == maxTexts {
					break
				}
				e := Expression{id: m.ID}
				if _, ok := known().licenses[strings.ToLower(m.ID)]; ok {
					// The text of the GPL does not say whether later versions may be
					// chosen, so "GPL-2.0" means no more than that version.
					e = modern(e)
				}
				all = append(all, Text{License: e.id, Risk: known().risk(e), Start: m.Start, End: min(m.End, len(data)), Address: m.IsURL})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Text) int { return (b.End - b.Start) - (a.End - a.Start) })
	var out []Text
	for _, t := range all {
		if !slices.ContainsFunc(out, func(o Text) bool { return t.Start < o.End && o.Start < t.End }) {
			out = append(out, t)
		}
		if len(out) == maxTexts {
			break
		}
	}
	slices.SortFunc(out, func(a, b Text) int { return a.Start - b.Start })
	return out, nil
}

// A Check finds texts of licences in files that are named as such. The
// zero Check is ready; it is safe for concurrent use.
type Check struct {
	mu   sync.Mutex
	read map[[sha256.Size]byte]reading // by plain text, see plain
}

// A reading is what one text says. The same few texts are in thousands of files.
type reading struct {
	licenses Expression
	first    int // place of the worst
	length   int // bytes that all take
}

// maxRead bounds the texts that a Check remembers.
const maxRead = 4096

// readText gives what a plain text says.
func (c *Check) readText(text []byte) (reading, error) {
	sum := sha256.Sum256(text)
	c.mu.Lock()
	r, ok := c.read[sum]
	c.mu.Unlock()
	if ok {
		return r, nil
	}
	texts, err := recognise(text)
	if err != nil {
		return r, err
	}
	r.licenses, r.first, r.length = texted(texts, text)
	if len(r.licenses.String()) > maxSaid {
		r = reading{} // a collection of the licences of everything is nobody's licence
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.read == nil {
		c.read = map[[sha256.Size]byte]reading{}
	}
	if len(c.read) < maxRead {
		c.read[sum] = r
	}
	return r, nil
}

// maxShort is the size of the longest licence that is known by its words alone,
// bytes: in longer ones who holds the copyright of the licence is part of it.
const maxShort = 6 << 10

// plain gives the words of a text, one space between them, and the places at which
// its lines begin. Of short texts the lines that name who holds the copyright are
// left out: what remains is the same in most copies of a licence.
func plain(data []byte) (text []byte, begin []int) {
	text = make([]byte, 0, len(data))
	for line := range bytes.Lines(data) {
		begin = append(begin, len(text))
		if len(data) <= maxShort && holder(line) {
			continue
		}
		for word := range bytes.FieldsSeq(line) {
			if len(text) > 0 {
				text = append(text, ' ')
			}
			text = append(text, word...)
		}
	}
	return text, begin
}

// holder tells whether a line says who holds the copyright: "Copyright (c) 2024 …".
func holder(line []byte) bool {
	line = bytes.TrimLeft(line, " \t*#/;-")
	word := "copyright"
	if len(line) < len(word)+2 || !bytes.EqualFold(line[:len(word)], []byte(word)) {
		return false
	}
	line = bytes.TrimLeft(line[len(word):], " \t:")
	return len(line) > 0 && (line[0] >= '0' && line[0] <= '9' || line[0] == '(' || bytes.HasPrefix(line, []byte("©")) || bytes.HasPrefix(line, []byte("&copy;")))
}

// New gives a Check. It reads nothing before the first file.
func New() (*Check, error) { return &Check{}, nil }

// Name gives "license".
func (c *Check) Name() string { return "license" }

// Rules lists every rule that a finding may name.
func (c *Check) Rules() []bulwark.Rule { return Rules() }

// Wants tells whether the name is one of a licence file, LICENSE, COPYING,
// NOTICE and their like, and its size from 40 bytes to 512 KiB. The collection
// of texts that Debian keeps for all packages is left out: it applies to none.
func (c *Check) Wants(path string, st bulwark.Stat) bool {
	if st.Size < minText || st.Size > maxText || !st.Mode.IsRegular() {
		return false
	}
	base := path[strings.LastIndexByte(path, '/')+1:]
	if len(base) < 6 || len(base) > 64 || !licenceName(base) {
		return false
	}
	return !strings.HasPrefix(path, "usr/share/common-licenses/") && !strings.HasPrefix(path, "usr/share/licenses/common/")
}

// licenceName tells whether a file's name says that it holds a licence.
func licenceName(base string) bool {
	stem, ext := base, ""
	if i := strings.LastIndexByte(base, '.'); i > 0 {
		stem, ext = base[:i], base[i+1:]
	}
	switch strings.ToLower(ext) {
	case "", "txt", "md", "markdown", "rst", "adoc", "html", "htm", "text", "terms":
	default:
		// LICENSE.MIT and COPYING.LIB, but not license.js: the rest names a
		// licence, or has no lower case.
		if _, ok := name(ext); (!ok || len(ext) < 3) && ext != strings.ToUpper(ext) {
			return false
		}
	}
	for _, word := range [...]string{"LICENSE", "LICENCE", "LICENSES", "LICENCES", "COPYING", "NOTICE", "UNLICENSE"} {
		if len(stem) >= len(word) && (strings.EqualFold(stem[:len(word)], word) && edge(stem, len(word)) ||
			strings.EqualFold(stem[len(stem)-len(word):], word) && edge(stem, len(stem)-len(word)-1)) {
			return true
		}
	}
	return false
}

// edge tells whether a word ends or begins at place i of s.
func edge(s string, i int) bool {
	if i < 0 || i >= len(s) {
		return true
	}
	c := s[i] | 0x20
	return (c < 'a' || c > 'z') || i == len(s)-1 && c == 's'
}

// Check gives one finding for f when a quarter of it or more is the text of
// licences, harmless ones, too: [Conclude] makes packages' licences of them.
// Addresses count only where no text stands. It reads at most 512 KiB; a larger
// file is [bulwark.ErrTooLarge].
func (c *Check) Check(ctx context.Context, f *bulwark.File) ([]bulwark.Finding, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("licence text %q: %w", f.Path, err)
	}
	data, err := f.Bytes(maxText)
	if err != nil {
		return nil, fmt.Errorf("licence text: %w", err)
	}
	if bytes.IndexByte(data, 0) >= 0 {
		return nil, nil // not text
	}
	text, begin := plain(data)
	r, err := c.readText(text)
	if err != nil {
		return nil, fmt.Errorf("licence text %q: %w", f.Path, err)
	}
	e, length := r.licenses, r.length
	if e.Zero() || length*100 < minCover*len(text) {
		return nil, nil
	}
	after, _ := slices.BinarySearch(begin, r.first+1) // the first line that begins behind the place
	risk := e.Risk()
	_, _, remedy := risk.words()
	return []bulwark.Finding{{
		ID: bulwark.FindingID(bulwark.ClassLicense, risk.rule(), f.Path), Class: bulwark.ClassLicense, Rule: risk.rule(), Severity: risk.Severity(),
		Subject: f.Path, Fix: remedy,
		Evidence: []bulwark.Evidence{{Location: bulwark.Location{Path: f.Path, Line: max(1, f.Line) + after - 1}, Detail: said(e, risk, length, len(text))}},
	}}, nil
}

// maxSaid bounds the expression of one file, bytes.
const maxSaid = 400

// texted joins the licences of one file, and gives the place of the worst and
// the bytes that all take. A file that speaks of a choice, outside the licences,
// means any of them, another all.
func texted(texts []Text, data []byte) (e Expression, first, length int) {
	worst, full, at := Unencumbered, false, 0
	for _, t := range texts {
		full = full || !t.Address
	}
	var terms []Expression
	var outside []byte // what the owner of the file wrote
	for _, t := range texts {
		if t.Address && full || t.Start < at {
			continue
		}
		outside = append(outside, data[at:t.Start]...)
		at = t.End
		length += t.End - t.Start
		if t.Address {
			length = len(data) // a file that is named NOTICE and gives an address means it
		}
		if e := (Expression{id: t.License}); !slices.ContainsFunc(terms, func(o Expression) bool { return o.id == e.id }) {
			terms = append(terms, e)
		}
		if t.Risk.rank() > worst.rank() {
			worst, first = t.Risk, t.Start
		}
	}
	outside = append(outside, data[at:]...)
	if choice(outside) {
		return join(or, terms), first, length
	}
	return join(and, terms), first, length
}

// suspect tells whether a text has words without which none of the risky
// licences can be in it: most licence files are the MIT's, and need no more.
func suspect(b []byte) bool {
	low := bytes.ToLower(b)
	for _, w := range [...]string{"public licen", "gnu", "copyleft", "creative commons", "creativecommons", "commons clause", "mozilla", "eclipse", "gpl", "mpl", "cddl", "polyform", "prosperity", "parity",
		"noncommercial", "non-commercial", "open software licen", "reciproc", "source code form", "complete source code", "cecill", "eupl", "share alike", "sharealike", "anti 996", "anti-996", "european union", "public source"} {
		if bytes.Contains(low, []byte(w)) {
			return true
		}
	}
	return false
}

// choice tells whether a text offers its licences to choose from.
func choice(b []byte) bool {
	low := bytes.ToLower(b[:min(len(b), 16<<10)])
	for _, w := range [...]string{"dual licen", "dual-licen", "dually licen", "triple licen", "tri-licen", "at your option", "at your choice", "under either", "terms of either", "either the", "of your choice", "either of", "choose between", "you may choose", "alternatively"} {
		if bytes.Contains(low, []byte(w)) {
			return true
		}
	}
	return false
}
