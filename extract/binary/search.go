// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/bulwark-sec/bulwark"
)

const (
	// maxRead bounds the bytes read in one pass over a file. Browsers, the
	// largest programs in the list, have a third of it.
	maxRead = 1 << 30
	// chunk is read at once, bytes.
	chunk = 256 << 10
	// around is how far before and after a literal its pattern looks, bytes.
	around = 256
	// maxHits bounds how often one literal is looked at in a file.
	maxHits = 4096
	// maxVersions bounds the versions that are kept of one rule: two are already
	// one too many.
	maxVersions = 2
)

// A product is a piece of software, and how its files tell their version.
type product struct {
	name    string   // as its makers write it, in small letters
	bitnami string   // name in Bitnami's advisories, "" where there are none
	stems   []string // of the names of its files, see stem
	rules   []rule   // the first that finds something decides
	module  module   // of programs written in Go; the zero module is none
	spell   func(version string) string
}

// A rule is one way in which a file tells its version.
type rule struct {
	lit    []string // every match of re contains one of these
	re     string   // its first group is the version
	also   string   // must be in the file, too: it names the product
	or     string   // may be there in place of also
	series bool     // {} in lit and re stands for the series that the product's first rule finds, or the file's name tells
}

// A finder is a rule that is ready to be used.
type finder struct {
	lit    [][]byte
	re     *regexp.Regexp
	also   []byte
	or     []byte
	series bool
}

func (r rule) compile(series string) finder {
	f := finder{re: regexp.MustCompile(strings.ReplaceAll(r.re, "{}", regexp.QuoteMeta(series))), also: []byte(r.also), or: []byte(r.or)}
	for _, l := range r.lit {
		f.lit = append(f.lit, []byte(strings.ReplaceAll(l, "{}", series)))
	}
	return f
}

// finders holds the rules of each product, those with a series left empty. They
// are compiled when they are needed first.
var finders = sync.OnceValue(func() []func() []finder {
	all := make([]func() []finder, len(products))
	for i := range products {
		all[i] = sync.OnceValue(func() []finder {
			var f []finder
			for _, r := range slices.Concat(products[i].rules, products[i].module.rules()) {
				if r.series {
					f = append(f, finder{series: true})
				} else {
					f = append(f, r.compile(""))
				}
			}
			return f
		})
	}
	return all
})

// A search looks for versions in one file.
type search struct {
	ctx   context.Context
	f     *bulwark.File
	image image
	spans []span // of the file that are looked at; nil until it is opened
	buf   []byte
}

// A result is what one rule found.
type result struct {
	versions []string
	also     bool // what must be in the file was met
	hits     int
}

// version gives the version of product number i that the file tells, "" when it
// tells none.
func (s *search) version(i int, name string) (string, error) {
	p, find := &products[i], finders()[i]()
	if s.spans == nil {
		m, err := open(s.f, s.f.Size)
		if err != nil {
			return "", err
		}
		s.image, s.spans = m, m.constants(s.f.Size)
	}
	found, err := s.run(find)
	if err != nil {
		return "", err
	}
	for n, r := range found {
		if find[n].series {
			// The first rule of such a product gives the series, not the version.
			series := seriesOf(name)
			if series == "" && len(found[0].versions) == 1 {
				series = found[0].versions[0]
			}
			if series == "" {
				continue
			}
			again, err := s.run([]finder{p.rules[n].compile(series)})
			if err != nil {
				return "", err
			}
			r = again[0]
		} else if n == 0 && len(find) > 1 && find[1].series {
			continue
		}
		if len(r.versions) == 0 || !r.also {
			continue
		}
		if len(r.versions) > 1 {
			return "", nil
		}
		return p.spelled(r.versions[0]), nil
	}
	if p.module.variable && found[len(p.rules)+1].also {
		return s.variable(p.module.ignore)
	}
	return "", nil
}

func (p *product) spelled(v string) string {
	if p.spell != nil {
		return p.spell(v)
	}
	return v
}

// run goes through the file once and applies the finders.
func (s *search) run(find []finder) ([]result, error) {
	found := make([]result, len(find))
	for i := range find {
		found[i].also = len(find[i].also) == 0
	}
	left := int64(maxRead)
	for _, sp := range s.spans {
		if left -= sp.size; left < 0 {
			return found, fmt.Errorf("more than %d bytes to look at: %w", int64(maxRead), bulwark.ErrTooLarge)
		}
		if err := s.span(sp, find, found); err != nil {
			return found, err
		}
	}
	return found, nil
}

// span goes through one part of the file. The buffer keeps what lies around
// the end of the last chunk, so that nothing is lost at the seam.
func (s *search) span(sp span, find []finder, found []result) error {
	if s.buf == nil {
		s.buf = make([]byte, chunk+2*around)
	}
	kept := 0  // bytes at the begin of the buffer that are of the last chunk
	fresh := 0 // where in the buffer hits have not been looked at yet
	for off := int64(0); off < sp.size; {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		n, err := s.f.ReadAt(s.buf[kept:kept+int(min(chunk, sp.size-off))], sp.off+off)
		if n == 0 || err != nil && !errors.Is(err, io.EOF) {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		off += int64(n)
		b := s.buf[:kept+n]
		end := len(b)
		if off < sp.size {
			end = max(fresh, end-around)
		}
		for i := range find {
			find[i].look(b, fresh, end, &found[i])
		}
		from := max(0, end-around)
		kept, fresh = copy(s.buf, b[from:]), end-from
	}
	return nil
}

// look applies a finder to the literals that begin in b between from and to.
func (f *finder) look(b []byte, from, to int, r *result) {
	if !r.also {
		r.also = bytes.Contains(b, f.also) || len(f.or) > 0 && bytes.Contains(b, f.or)
	}
	if len(r.versions) >= maxVersions {
		return
	}
	for _, lit := range f.lit {
		for at := from; at < to && r.hits < maxHits; {
			i := bytes.Index(b[at:min(len(b), to+len(lit)-1)], lit)
			if i < 0 {
				break
			}
			at += i
			r.hits++
			r.add(f.re, b[max(0, at-around):min(len(b), at+around)])
			at++
		}
	}
}

// add takes the versions in a window. The end of a match may be the begin of the
// next one.
func (r *result) add(re *regexp.Regexp, window []byte) {
	for len(r.versions) < maxVersions {
		m := re.FindSubmatchIndex(window)
		if m == nil {
			return
		}
		if v := string(window[m[2]:m[3]]); !slices.Contains(r.versions, v) {
			r.versions = append(r.versions, v)
		}
		window = window[m[3]:]
	}
}

// seriesOf gives the first two numbers of a version in a file name: "3.11" of
// python3.11 and of libpython3.11.so.1.0.
func seriesOf(name string) string {
	if i := strings.Index(name, ".so"); i > 0 {
		name = name[:i]
	}
	m := inName().FindStringSubmatch(name)
	if m == nil {
		return ""
	}
	return m[1]
}

var inName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z]+-?(\d{1,2}\.\d{1,2})[a-z]{0,2}$`) })
