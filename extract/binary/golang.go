// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"sync"
)

const (
	// maxData bounds the variables of a Go program that are looked at, bytes, and
	// maxTexts the texts among them that may be a version.
	maxData  = 32 << 20
	maxTexts = 1 << 20
	// shortest and longest are the lengths of a version, bytes.
	shortest = len("1.2.3")
	longest  = 48
)

// A module says how a program written in Go tells its version. The zero module
// tells nothing.
type module struct {
	path string // of the main module, without the suffix of its major version
	vars string // RE2 of further variables that the linker is told the version for
	// variable says that the version is a variable and not a constant, so that it
	// is found even when nothing names it.
	variable bool
	ignore   []string // versions in other variables: of protocols, of the oldest peer that is spoken to
	dep      string   // a module that is released with the program, always in the same version
}

// goVersion is a released version. Those that the go command makes up for
// commits between releases are none.
const goVersion = `v?(\d{1,4}\.\d{1,4}\.\d{1,5}(?:-(?:alpha|beta|rc|dev|preview)[0-9A-Za-z.]{0,24})?)`

// distribution is what others than the maker add to a version.
const distribution = `(?:[+~-](?:dfsg|ds|deb|security|\d)[0-9A-Za-z.+~-]{0,40})?`

// rules gives what to look for: the list of modules that the go command writes
// into a program, and in it the flags of the linker
// (https://pkg.go.dev/runtime/debug#BuildInfo).
func (m module) rules() []rule {
	if m.path == "" {
		return nil
	}
	path := regexp.QuoteMeta(m.path)
	vars := `main\.(?:[vV]ersion|VERSION)|` + path + `(?:/v\d{1,3})?/[0-9A-Za-z_./-]{1,128}\.(?:[vV]ersion|VERSION|[gG]itVersion|GitDescribe)`
	if m.vars != "" {
		vars += `|` + m.vars
	}
	// The package that the program was built from: in the module, or all of it.
	also, or := "path\t"+m.path+"/", "path\t"+m.path+"\n"
	rules := []rule{
		{lit: []string{"\nmod\t" + m.path}, re: `\nmod\t` + path + `(?:/v\d{1,3})?\t` + goVersion + `(?:\+incompatible|\+dirty)?[\t\n]`},
		{lit: []string{"-X "}, re: `-X['"\\ ]{1,4}(?:` + vars + `)=` + goVersion + distribution + `['"\\ ]`, also: also, or: or},
	}
	if m.dep != "" {
		rules = append(rules, rule{lit: []string{"\ndep\t" + m.dep + "\t"}, re: `\ndep\t` + regexp.QuoteMeta(m.dep) + `\t` + goVersion + `[\t\n]`, also: also, or: or})
	}
	return rules
}

// networkVersions are those of the CNI specification, which programs that connect
// containers keep in variables.
var networkVersions = []string{"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}

// prometheusVars is where programs of the Prometheus family keep their version.
const prometheusVars = `github\.com/(?:prometheus/common|grafana/loki(?:/v\d+)?/pkg/util/build)/version\.Version|github\.com/grafana/loki(?:/v\d+)?/pkg/util/build\.Version`

// released is a variable's text that is a version, with what distributions add.
var released = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:release-)?` + goVersion + distribution + `\n?$`)
})

// variable gives the version of a Go program that says nowhere which of its
// variables that is: if only one variable of the whole program is a version, or
// all are the same one. Lists of versions, as of protocols that a program
// speaks, do not count.
func (s *search) variable(ignore []string) (string, error) {
	width := 4
	if s.image.wide {
		width = 8
	}
	var (
		versions []string
		left     = maxData
		texts    = 0
	)
	for _, sect := range s.image.sections {
		if sect.kind != sectProgram || sect.flags&(flagWritable|flagLoaded|flagThread) != flagWritable|flagLoaded {
			continue
		}
		if left -= int(min(sect.size, maxData+1)); left < 0 {
			return "", nil
		}
		var run []string // versions that follow each other without a gap
		last := int64(-1)
		flush := func() {
			if len(run) < 3 {
				versions = append(versions, run...)
			}
			run = run[:0]
		}
		for off := int64(0); off+int64(2*width) <= int64(sect.size); {
			if err := s.ctx.Err(); err != nil {
				return "", err
			}
			// The next read begins one word before the end of this one.
			b := s.buf[:min(chunk, int64(sect.size)-off)]
			if n, err := s.f.ReadAt(b, int64(sect.off)+off); n < len(b) {
				if err == nil || errors.Is(err, io.EOF) {
					err = io.ErrUnexpectedEOF
				}
				return "", err
			}
			i := 0
			for ; i+2*width <= len(b); i += width {
				size := s.image.word(b[i+width:], 0, 0)
				if size < uint64(shortest) || size > uint64(longest) {
					continue
				}
				if texts++; texts > maxTexts {
					return "", nil
				}
				v, err := s.text(s.image.word(b[i:], 0, 0), int(size))
				if err != nil {
					return "", err
				}
				if v == "" {
					continue
				}
				if at := off + int64(i); at != last+int64(2*width) {
					flush()
				}
				last = off + int64(i)
				run = append(run, v)
			}
			off += int64(i)
		}
		flush()
	}
	slices.Sort(versions)
	versions = slices.DeleteFunc(slices.Compact(versions), func(v string) bool { return v == "0.0.0" || slices.Contains(ignore, v) })
	if len(versions) != 1 {
		return "", nil
	}
	return versions[0], nil
}

// text gives the version that lies at an address, "" when something else does.
func (s *search) text(addr uint64, size int) (string, error) {
	for _, sect := range s.image.sections {
		if sect.flags&flagLoaded == 0 || addr < sect.addr || addr-sect.addr >= sect.size || uint64(size) > sect.size-(addr-sect.addr) {
			continue
		}
		var b [longest]byte
		if n, err := s.f.ReadAt(b[:size], int64(sect.off+addr-sect.addr)); n < size {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
		if bytes.IndexByte(b[:size], '.') < 0 {
			return "", nil
		}
		m := released().FindSubmatch(b[:size])
		if m == nil {
			return "", nil
		}
		return string(m[1]), nil
	}
	return "", nil
}
