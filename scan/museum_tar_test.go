// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scan_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/limit"
)

// A head is one raw tar header. archive/tar refuses to write lies; this does not.
type head struct {
	name, link string
	kind       byte   // '0' if zero
	mode       int64  // 0o644 if zero
	size       string // the size field as it stands there; "" tells the truth
	claim      int64  // size to tell instead of the truth, if size is ""
	sum        int    // added to the checksum
	magic      string // "ustar\x0000" if ""
	tail       string // from offset 345 on: the prefix, or what GNU keeps there
}

// bytes gives the header of an entry whose body has n bytes.
func (h head) bytes(n int) []byte {
	b := make([]byte, 512)
	if h.kind == 0 {
		h.kind = '0'
	}
	if h.mode == 0 {
		h.mode = 0o644
	}
	if h.magic == "" {
		h.magic = "ustar\x0000"
	}
	if h.size == "" {
		if h.claim == 0 {
			h.claim = int64(n)
		}
		h.size = octal(h.claim)
	}
	copy(b[0:100], h.name)
	copy(b[100:108], fmt.Sprintf("%07o\x00", h.mode))
	copy(b[108:116], "0000000\x00")
	copy(b[116:124], "0000000\x00")
	copy(b[124:136], h.size)
	copy(b[136:148], "00000000000\x00")
	b[156] = h.kind
	copy(b[157:257], h.link)
	copy(b[257:265], h.magic)
	copy(b[345:512], h.tail)
	copy(b[148:156], "        ")
	sum := h.sum
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

func octal(n int64) string {
	if n < 1<<33 {
		return fmt.Sprintf("%011o\x00", n)
	}
	return base256(n)
}

// base256 is GNU's form of numbers that octal digits do not hold.
func base256(n int64) string {
	b := make([]byte, 12)
	binary.BigEndian.PutUint64(b[4:], uint64(n))
	if n < 0 {
		copy(b, "\xff\xff\xff\xff")
	}
	b[0] |= 0x80
	return string(b)
}

// A stream is a tar stream that is being written.
type stream struct{ bytes.Buffer }

func (s *stream) put(h head, body string) *stream {
	s.Write(h.bytes(len(body)))
	s.WriteString(body)
	s.Write(make([]byte, -len(body)&511))
	return s
}

// file adds a regular file; a long name goes into an extended header.
func (s *stream) file(name, body string) *stream {
	if len(name) > 100 || strings.ContainsFunc(name, func(r rune) bool { return r > 0x7e }) {
		s.pax("path", name)
		name = "long"
	}
	return s.put(head{name: name}, body)
}

func (s *stream) dir(name string) *stream { return s.put(head{name: name, kind: '5', mode: 0o755}, "") }
func (s *stream) symlink(name, to string) *stream {
	return s.put(head{name: name, kind: '2', link: to}, "")
}
func (s *stream) hardlink(name, to string) *stream {
	return s.put(head{name: name, kind: '1', link: to}, "")
}

// npm adds an installed npm package.
func (s *stream) npm(name, version string) *stream {
	return s.file(npmPath(name), npmBody(name, version))
}

func npmPath(name string) string { return "app/node_modules/" + name + "/package.json" }
func npmBody(name, version string) string {
	return fmt.Sprintf(`{"name":%q,"version":%q}`, name, version)
}

// pax adds an extended header that holds for the next entry.
func (s *stream) pax(keyValues ...string) *stream {
	var b strings.Builder
	for i := 0; i < len(keyValues); i += 2 {
		b.WriteString(paxRecord(keyValues[i], keyValues[i+1]))
	}
	return s.put(head{name: "PaxHeaders/x", kind: 'x'}, b.String())
}

func paxRecord(key, value string) string {
	n := len(key) + len(value) + 3
	n += len(strconv.Itoa(n))
	r := fmt.Sprintf("%d %s=%s\n", n, key, value)
	if len(r) != n {
		r = fmt.Sprintf("%d %s=%s\n", len(r), key, value)
	}
	return r
}

// end gives the stream with its two blocks of zeros.
func (s *stream) end() []byte {
	s.Write(make([]byte, 1024))
	return s.Bytes()
}

// cut gives the stream without its last n bytes.
func (s *stream) cut(n int) []byte { return s.Bytes()[:s.Len()-n] }

const (
	status = "var/lib/dpkg/status"
	hello  = "Package: hello\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.10-3\n\n"
)

func stanzas(names ...string) string {
	var b strings.Builder
	for _, n := range names {
		name, version, _ := strings.Cut(n, " ")
		fmt.Fprintf(&b, "Package: %s\nStatus: install ok installed\nArchitecture: amd64\nVersion: %s\n\n", name, version)
	}
	return b.String()
}

// tarExhibits are layers whose tar stream lies, climbs or swells.
func tarExhibits() []exhibit {
	one := func(build func(s *stream)) func(*room) string {
		return func(r *room) string {
			s := new(stream)
			build(s)
			return r.layout(gz(s.end()))
		}
	}
	on := func(base, build func(s *stream)) func(*room) string {
		return func(r *room) string {
			b, s := new(stream), new(stream)
			base(b)
			build(s)
			return r.layout(gz(b.end()), gz(s.end()))
		}
	}
	broken := func(s *stream) []byte { return s.Bytes() } // no end
	raw := func(build func(s *stream) []byte) func(*room) string {
		return func(r *room) string { return r.layout(gz(build(new(stream)))) }
	}
	return []exhibit{
		// Paths.
		{name: "path-climbs", like: "CVE-2021-3762, CVE-2024-24579, CVE-2025-5981", make: one(func(s *stream) {
			s.file("../../canary/node_modules/evil/package.json", npmBody("evil", "1.0.0")).npm("good", "1.0.0")
		}), gap: gap{path: "../../canary/node_modules/evil/package.json", detail: "leaves the root", hides: true}, packages: []string{"good 1.0.0"},
			bug: "tarfs.one gives Fault without Ends and parser.layer takes Hides from Ends alone; containerd puts such a file inside the root"},
		{name: "path-climbs-in-the-middle", make: one(func(s *stream) {
			s.file("app/../../../canary/secret", "overwritten").npm("good", "1.0.0")
		}), gap: gap{path: "app/../../../canary/secret", detail: "leaves the root"}, packages: []string{"good 1.0.0"}},
		{name: "path-absolute", make: one(func(s *stream) {
			s.file("/app/node_modules/abs/package.json", npmBody("abs", "1.0.0")).
				file("//app//node_modules/./two/x/../package.json", npmBody("two", "2.0.0"))
		}), packages: []string{"abs 1.0.0", "two 2.0.0"}},
		{name: "path-absolute-to-canary", make: func(r *room) string {
			s := new(stream)
			s.file(r.canary+"/secret", "overwritten").file(r.canary+"/new", "made").npm("good", "1.0.0")
			return r.layout(gz(s.end()))
		}, packages: []string{"good 1.0.0"}},
		{name: "path-with-nul", make: one(func(s *stream) {
			s.npm("good", "1.0.0").pax("path", "app/node_modules/nul/package.json\x00/../x").put(head{name: "x"}, npmBody("nul", "1.0.0"))
		}), gap: gap{detail: "cannot be read on", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "path-with-trailing-slash", make: one(func(s *stream) {
			s.file("app/node_modules/slash/package.json/", npmBody("slash", "1.0.0")).
				dir("app/..").dir("..").dir("../").dir("./").dir("/").file("app/../", "x").npm("good", "1.0.0")
		}), gap: gap{path: "../", detail: "leaves the root"}, packages: []string{"good 1.0.0", "slash 1.0.0"}},
		{name: "path-of-64-KiB", make: one(func(s *stream) {
			s.file(strings.Repeat("deep/", 13_000)+"node_modules/far/package.json", npmBody("far", "1.0.0")).npm("good", "1.0.0")
		}), gap: gap{kind: bulwark.GapLimit, detail: "path of"}, packages: []string{"good 1.0.0"}},
		{name: "path-300-deep", make: one(func(s *stream) {
			s.file(strings.Repeat("d/", 300)+"node_modules/deep/package.json", npmBody("deep", "1.0.0"))
		}), packages: []string{"deep 1.0.0"}},
		{name: "names-that-differ-in-bad-bytes", make: one(func(s *stream) {
			s.file("app/\xff/node_modules/p/package.json", npmBody("first", "1.0.0")).
				file("app/\xfe/node_modules/p/package.json", npmBody("second", "1.0.0"))
		}), packages: []string{"first 1.0.0", "second 1.0.0"},
			bug: "tarfs.Clean makes U+FFFD of every bad byte: two files get one name, and parser.visit takes the first for overwritten"},
		{name: "names-that-paint-the-terminal", make: one(func(s *stream) {
			evil := "\x1b[2J\x1b]0;owned\x07\u202egpj.exe\u2066\n\r\t<script>"
			s.file("app/node_modules/"+evil+"/package.json", `{"name":"ok","version":"1.0.0\u001b[31m\u202e","license":"\u001b[2J"}`).
				symlink("l"+evil, evil).file("../"+evil, evil).npm("good", "1.0.0")
		}), gap: gap{detail: "leaves the root"}},

		// Links.
		{name: "file-through-a-link-to-the-root", make: one(func(s *stream) {
			s.symlink("mnt", "/").file("mnt/"+status, stanzas("hidden 1.0")).npm("good", "1.0.0")
		}), gap: gap{path: "mnt/" + status, hides: true}, or: []string{"good 1.0.0", "hidden 1.0"},
			bug: "a file below a link of the same layer is not where its name says; the package database lands in place at run time and nobody tells"},
		{name: "file-through-a-link-to-the-outside", like: "CVE-2021-29136", make: func(r *room) string {
			s := new(stream)
			s.symlink("out", r.canary).file("out/secret", "overwritten").file("out/new", "made").
				symlink("up", "../../../canary").file("up/secret", "overwritten").npm("good", "1.0.0")
			return r.layout(gz(s.end()))
		}, packages: []string{"good 1.0.0"}},
		{name: "links-in-a-circle", make: one(func(s *stream) {
			s.symlink("a", "b").symlink("b", "a").symlink("self", "self").file("a/b/a/self/x", "x").npm("good", "1.0.0")
		}), packages: []string{"good 1.0.0"}},
		{name: "hard-link-to-the-outside", make: func(r *room) string {
			s := new(stream)
			s.hardlink("app/node_modules/h/package.json", "../../canary/node_modules/escaped/package.json").
				hardlink("app/node_modules/i/package.json", r.canary+"/node_modules/escaped/package.json").npm("good", "1.0.0")
			return r.layout(gz(s.end()))
		}, gap: gap{path: "app/node_modules/h/package.json", detail: "its target path leaves the root"}, packages: []string{"good 1.0.0"}},
		{name: "database-is-a-hard-link", make: one(func(s *stream) {
			s.file("opt/db", stanzas("hidden 1.0")).hardlink(status, "opt/db").npm("good", "1.0.0")
		}), gap: gap{path: status, hides: true}, or: []string{"good 1.0.0", "hidden 1.0"}},
		{name: "database-is-a-symbolic-link", make: one(func(s *stream) {
			s.file("opt/db", stanzas("hidden 1.0")).symlink(status, "../../../opt/db").npm("good", "1.0.0")
		}), gap: gap{path: status, hides: true}, or: []string{"good 1.0.0", "hidden 1.0"}},
		{name: "database-directory-is-a-link", make: one(func(s *stream) {
			s.file("opt/dpkg/status", stanzas("hidden 1.0")).symlink("var/lib/dpkg", "../../opt/dpkg").npm("good", "1.0.0")
		}), gap: gap{path: "var/lib/dpkg", hides: true}, or: []string{"good 1.0.0", "hidden 1.0"},
			bug: "parser.visit asks for the database's own path only, not for a parent of it that is a link"},
		{name: "package-is-a-hard-link", make: one(func(s *stream) {
			s.file("opt/store/0a1b", npmBody("hidden", "1.0.0")).hardlink(npmPath("hidden"), "opt/store/0a1b").npm("good", "1.0.0")
		}), gap: gap{path: npmPath("hidden"), hides: true}, or: []string{"good 1.0.0", "hidden 1.0.0"},
			bug: "parser.visit drops links that an extractor would want; pnpm makes such links from its store"},
		{name: "database-is-a-device", make: one(func(s *stream) {
			s.put(head{name: status, kind: '3', size: octal(0)}, "").put(head{name: "dev/sda", kind: '4'}, "").
				put(head{name: "lib/apk/db/installed", kind: '6'}, "").npm("good", "1.0.0")
		}), gap: gap{path: status, hides: true}, packages: []string{"good 1.0.0"}},
		{name: "package-is-a-pipe-or-device", make: one(func(s *stream) {
			s.put(head{name: npmPath("p"), kind: '6', claim: 1 << 40, size: octal(1 << 40)}, "").
				put(head{name: npmPath("d"), kind: '3'}, "").npm("good", "1.0.0")
		}), packages: []string{"good 1.0.0"}},
		{name: "unknown-type", make: one(func(s *stream) {
			s.put(head{name: npmPath("odd"), kind: '7'}, npmBody("odd", "1.0.0")).
				put(head{name: "weird", kind: 'Z'}, "x").npm("good", "1.0.0")
		}), gap: gap{kind: bulwark.GapUnsupported, path: npmPath("odd"), detail: "unknown type", hides: true}, packages: []string{"good 1.0.0"},
			bug: "as with path-climbs: a regular file that is left out may hide packages"},

		// Sparse files.
		{name: "sparse-GNU-bomb", make: one(func(s *stream) {
			sparse := strings.Repeat("\x00", 41) + octal(0) + octal(512) + octal(1<<32) + octal(0) + strings.Repeat("\x00", 48) + "\x00" + octal(1<<32)
			s.put(head{name: status, kind: 'S', magic: "ustar  \x00", tail: sparse}, strings.Repeat("x", 512)).npm("good", "1.0.0")
		}), gap: gap{path: status, hides: true}, packages: []string{"good 1.0.0"},
			bug: "the sparse database is left out with Hides unset, see path-climbs"},
		{name: "sparse-GNU-extended-for-ever", like: "CVE-2026-32288", make: raw(func(s *stream) []byte {
			s.npm("good", "1.0.0")
			tail := strings.Repeat("\x00", 41) + strings.Repeat(octal(0)+octal(1), 4) + "\x01" + octal(1<<40)
			s.put(head{name: status, kind: 'S', magic: "ustar  \x00", tail: tail}, "")
			ext := make([]byte, 512)
			for i := range 21 {
				copy(ext[i*24:], octal(0)+octal(1))
			}
			ext[504] = 1
			s.Write(bytes.Repeat(ext, 60_000))
			return s.end()
		}), gap: gap{detail: "cannot be read on", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "sparse-PAX-0.1-bomb", make: one(func(s *stream) {
			s.npm("good", "1.0.0").pax("GNU.sparse.major", "0", "GNU.sparse.minor", "1", "GNU.sparse.name", status,
				"GNU.sparse.size", "9000000000000000000", "GNU.sparse.numblocks", "1", "GNU.sparse.map", "0,512").
				put(head{name: "x"}, strings.Repeat("x", 512)).npm("late", "1.0.0")
		}), gap: gap{path: status, hides: true}, bug: "see sparse-GNU-bomb"},
		{name: "sparse-PAX-0.0-map-of-many", like: "CVE-2025-58183", make: one(func(s *stream) {
			kv := []string{"GNU.sparse.size", "1000000", "GNU.sparse.numblocks", "30000"}
			for range 30_000 {
				kv = append(kv, "GNU.sparse.offset", "0", "GNU.sparse.numbytes", "0")
			}
			s.npm("good", "1.0.0").pax(kv...).put(head{name: status}, "")
		}), gap: gap{hides: true}, packages: []string{"good 1.0.0"}},
		{name: "sparse-PAX-1.0-map-bomb", make: raw(func(s *stream) []byte {
			s.npm("good", "1.0.0").pax("GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.name", status, "GNU.sparse.realsize", "1000000")
			return append(s.put(head{name: "x"}, "100000000\n"+strings.Repeat("0\n0\n", 1<<22)).Bytes(), make([]byte, 1024)...)
		}), gap: gap{detail: "cannot be read on", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "sparse-holes-that-overlap", make: one(func(s *stream) {
			s.npm("good", "1.0.0").pax("GNU.sparse.major", "0", "GNU.sparse.minor", "1", "GNU.sparse.name", status,
				"GNU.sparse.size", "1024", "GNU.sparse.numblocks", "2", "GNU.sparse.map", "512,512,0,512").
				put(head{name: "x"}, strings.Repeat("x", 1024))
		}), gap: gap{detail: "cannot be read on", hides: true}, packages: []string{"good 1.0.0"}},

		// Headers.
		{name: "PAX-record-of-a-gibibyte", make: raw(func(s *stream) []byte {
			s.npm("good", "1.0.0").Write(head{name: "x", kind: 'x', claim: 1 << 30}.bytes(0))
			s.WriteString("1073741824 path=")
			s.Write(bytes.Repeat([]byte("A"), 1<<20))
			return broken(s)
		}), gap: gap{detail: "cannot be read on", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "PAX-keys-of-a-mebibyte", make: one(func(s *stream) {
			key := strings.Repeat("k", 1<<20-64)
			for i := range 60 {
				s.pax(key[:len(key)-i], "v").put(head{name: fmt.Sprint("f", i)}, "")
			}
			s.npm("good", "1.0.0")
		}), packages: []string{"good 1.0.0"}},
		{name: "PAX-records-that-lie-about-length", make: one(func(s *stream) {
			s.npm("good", "1.0.0").put(head{name: "x", kind: 'x'}, "99 path=x\n").npm("late", "1.0.0")
		}), gap: gap{detail: "cannot be read on", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "PAX-sizes-that-lie", make: one(func(s *stream) {
			s.npm("good", "1.0.0").pax("size", "-1").put(head{name: npmPath("n")}, npmBody("n", "1.0.0")).npm("late", "1.0.0")
		}), gap: gap{detail: "cannot be read on", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "PAX-global-header-renames-all", make: one(func(s *stream) {
			s.put(head{name: "g", kind: 'g'}, paxRecord("path", "harmless.txt")).npm("good", "1.0.0").npm("also", "1.0.0")
		}), packages: []string{"also 1.0.0", "good 1.0.0"}},
		{name: "GNU-long-name-of-2-MiB", make: one(func(s *stream) {
			s.npm("good", "1.0.0").put(head{name: "././@LongLink", kind: 'L', magic: "ustar  \x00"}, strings.Repeat("n", 2<<20)).npm("late", "1.0.0")
		}), gap: gap{detail: "cannot be read on", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "GNU-long-names-in-a-chain", make: one(func(s *stream) {
			for range 100 {
				s.put(head{name: "././@LongLink", kind: 'L', magic: "ustar  \x00"}, strings.Repeat("n", 300<<10))
				s.put(head{name: "././@LongLink", kind: 'K', magic: "ustar  \x00"}, strings.Repeat("k", 300<<10))
			}
			s.npm("swallowed", "1.0.0").npm("good", "1.0.0")
		}), gap: gap{kind: bulwark.GapLimit, detail: "path of"}, packages: []string{"good 1.0.0"}},
		{name: "size-negative-in-base-256", make: one(func(s *stream) {
			s.npm("good", "1.0.0").put(head{name: npmPath("n"), size: base256(-512)}, npmBody("n", "1.0.0"))
		}), gap: gap{detail: "cannot be read on", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "size-of-exbibytes-in-base-256", make: one(func(s *stream) {
			s.npm("good", "1.0.0").put(head{name: npmPath("n"), size: base256(1 << 62)}, npmBody("n", "1.0.0"))
		}), gap: gap{path: npmPath("n"), hides: true}, packages: []string{"good 1.0.0"}},
		{name: "size-without-digits", make: one(func(s *stream) {
			s.npm("good", "1.0.0").put(head{name: npmPath("n"), size: "9zz8x7-6\x00\x00\x00\x00"}, npmBody("n", "1.0.0"))
		}), gap: gap{detail: "cannot be read on", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "size-beyond-the-stream", make: one(func(s *stream) {
			s.npm("good", "1.0.0").put(head{name: npmPath("n"), claim: 1 << 20}, npmBody("n", "1.0.0"))
		}), gap: gap{path: npmPath("n"), detail: "cut off", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "size-smaller-than-content", make: one(func(s *stream) {
			s.npm("good", "1.0.0").put(head{name: "x", claim: 10}, strings.Repeat("not a header ", 100)).npm("late", "1.0.0")
		}), gap: gap{detail: "cannot be read on", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "checksum-wrong", make: one(func(s *stream) {
			s.npm("good", "1.0.0").put(head{name: npmPath("n"), sum: 1}, npmBody("n", "1.0.0"))
		}), gap: gap{detail: "cannot be read on", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "cut-off-in-a-header", make: raw(func(s *stream) []byte { return s.npm("good", "1.0.0").npm("n", "1.0.0").cut(800) }),
			gap: gap{detail: "cannot be read on", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "cut-off-in-content", make: raw(func(s *stream) []byte {
			return s.npm("good", "1.0.0").file(npmPath("n"), npmBody("n", strings.Repeat("1", 4000))).cut(2000)
		}), gap: gap{path: npmPath("n"), detail: "cut off", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "not-tar-at-all", make: raw(func(*stream) []byte { return bytes.Repeat([]byte("no tar\n"), 1000) }),
			gap: gap{detail: "cannot be read on", hides: true}},

		// Entries that come twice, and whiteouts.
		{name: "file-twice", make: one(func(s *stream) {
			s.file(npmPath("p"), npmBody("p", "1.0.0")).file(status, stanzas("old 1.0")).
				file("./"+npmPath("p"), npmBody("p", "2.0.0")).file(status, stanzas("new 2.0"))
		}), packages: []string{"new 2.0", "p 2.0.0"}},
		{name: "file-then-link", make: one(func(s *stream) {
			s.npm("gone", "1.0.0").symlink(npmPath("gone"), "/dev/null").file(status, hello).symlink(status, "/dev/null").npm("good", "1.0.0")
		}), gap: gap{path: status, hides: true}, packages: []string{"good 1.0.0"}},
		{name: "file-then-directory", make: one(func(s *stream) {
			s.npm("gone", "1.0.0").dir(npmPath("gone")+"/").npm("good", "1.0.0")
		}), packages: []string{"good 1.0.0"},
			bug: "parser.visit says Again only if the second entry is no directory, so a package stays that is not there"},
		{name: "file-of-hundred-versions", make: one(func(s *stream) {
			for i := range 1000 {
				s.file(npmPath("p"), npmBody("p", fmt.Sprint(i)))
			}
		}), packages: []string{"p 999"}},
		{name: "whiteout-of-its-own-layer", make: on(func(s *stream) { s.npm("old", "1.0.0") }, func(s *stream) {
			s.npm("own", "1.0.0").file("app/node_modules/.wh.own", "").file("app/node_modules/.wh.old", "").file("app/node_modules/own/.wh.package.json", "")
		}), packages: []string{"own 1.0.0"}},
		{name: "opaque-root", make: on(func(s *stream) { s.npm("old", "1.0.0").file(status, hello) }, func(s *stream) {
			s.npm("own", "1.0.0").file(".wh..wh..opq", "")
		}), packages: []string{"own 1.0.0"}},
		{name: "whiteouts-that-name-nothing", make: on(func(s *stream) { s.npm("old", "1.0.0") }, func(s *stream) {
			s.file(".wh.", "").file("app/.wh..", "").file("app/.wh...", "").file("app/.wh.../", "").file("../.wh.app", "").file("..//.wh..wh..opq", "")
		}), gap: gap{path: "app/.wh...", detail: "names no file"}, packages: []string{"old 1.0.0"}},
		{name: "whiteouts-in-disguise", make: on(func(s *stream) { s.npm("old", "1.0.0").npm("dev", "1.0.0").file(status, hello) }, func(s *stream) {
			s.dir("app/node_modules/.wh.old/").put(head{name: "app/node_modules/.wh.dev", kind: '3'}, "").symlink("var/lib/.wh.dpkg", "/").npm("own", "1.0.0")
		}), packages: []string{"own 1.0.0"}},
		{name: "ten-thousand-whiteouts", make: on(func(s *stream) { s.npm("old", "1.0.0").npm("kept", "1.0.0") }, func(s *stream) {
			for i := range 10_000 {
				s.file(fmt.Sprintf("app/node_modules/.wh.p%d", i), "").file(fmt.Sprintf("x/%d/.wh..wh..opq", i), "")
			}
			s.file("app/node_modules/.wh.old", "")
		}), packages: []string{"kept 1.0.0"}},
		{name: "parent-becomes-a-file", make: on(func(s *stream) { s.npm("old", "1.0.0").file(status, hello) }, func(s *stream) {
			s.file("app/node_modules", "now a file").symlink("var", "/").npm("late", "1.0.0")
		}), packages: []string{"late 1.0.0"}, gap: gap{path: "var", hides: true}},

		// Sheer number.
		{name: "hundred-thousand-files", make: one(func(s *stream) {
			for i := range 100_000 {
				s.Write(head{name: fmt.Sprintf("d%d/f%d", i/100, i)}.bytes(0))
			}
			s.npm("good", "1.0.0")
		}), packages: []string{"good 1.0.0"}},
		{name: "entries-beyond-the-limit", limits: limit.Limits{Entries: 50}, make: one(func(s *stream) {
			for i := range 100 {
				s.npm(fmt.Sprint("p", i), "1.0.0")
			}
		}), gap: gap{kind: bulwark.GapLimit, detail: "more than 50 entries", hides: true}},
		{name: "results-beyond-the-limit", limits: limit.Limits{Results: 100}, make: one(func(s *stream) {
			for i := range 500 {
				s.npm(fmt.Sprint("p", i), "1.0.0")
			}
		}), gap: gap{kind: bulwark.GapLimit, detail: "results", hides: true}},
		{name: "file-beyond-the-limit", limits: limit.Limits{File: 1 << 20}, make: one(func(s *stream) {
			s.file(npmPath("big"), npmBody("big", "1.0.0")+strings.Repeat(" ", 1<<20)).npm("good", "1.0.0")
		}), gap: gap{kind: bulwark.GapLimit, path: npmPath("big"), hides: true}, packages: []string{"good 1.0.0"}},
		{name: "checked-file-beyond-the-limit", limits: limit.Limits{File: 1 << 20}, make: one(func(s *stream) {
			s.file("srv/notes.txt", strings.Repeat("x", 1<<20+1)).npm("good", "1.0.0")
		}), gap: gap{kind: bulwark.GapLimit, path: "srv/notes.txt", detail: "not by secret"}, packages: []string{"good 1.0.0"}},
		{name: "databases-beyond-the-limit", limits: limit.Limits{Kept: 1 << 20}, make: one(func(s *stream) {
			for i := range 40 {
				s.file(fmt.Sprintf("%s.d/p%d", status, i), stanzas(fmt.Sprintf("p%d 1.0", i))+"Description: "+strings.Repeat("x", 60<<10)+"\n")
			}
		}), gap: gap{kind: bulwark.GapLimit, detail: "package databases of more than", hides: true}},
		{name: "thousand-databases-of-nothing", limits: limit.Limits{Results: 100}, make: one(func(s *stream) {
			for i := range 5000 {
				s.file(fmt.Sprintf("%s.d/p%d", status, i), "")
			}
			s.npm("good", "1.0.0")
		}), gap: gap{hides: true}},
		{name: "deep-packages-under-many-layers", within: 30 * time.Second, make: func(r *room) string {
			s := new(stream)
			deep := strings.Repeat("d/", 1900)
			for i := range 300 {
				s.file(fmt.Sprintf("%s%d/node_modules/p/package.json", deep, i), npmBody("p", "1.0.0"))
			}
			layers := []layer{gz(s.end())}
			for i := range 60 {
				s := new(stream)
				layers = append(layers, gz(s.file(fmt.Sprint("etc/f", i), "").end()))
			}
			return r.layout(layers...)
		}, packages: []string{"p 1.0.0"},
			bug: "record.hides hashes every parent of every path anew for each layer above it: quadratic in depth, times layers, and without ctx"},
		{name: "three-hundred-layers", make: func(r *room) string {
			var layers []layer
			for i := range 300 {
				s := new(stream)
				layers = append(layers, gz(s.npm("p", fmt.Sprint(i)).file(fmt.Sprint("f", i), "").end()))
			}
			return r.layout(layers...)
		}, packages: []string{"p 299"}},
	}
}
