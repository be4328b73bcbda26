// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/bulwark-sec/bulwark"
)

const (
	minSize  = 12       // bytes; a shorter file holds no secret that can be told from a word
	maxSize  = 10 << 20 // bytes; larger texts are data, and cost more than they give
	headSize = 8 << 10  // bytes in which a NUL means that the file is not text
)

// What a file holds.
const (
	kindOther = iota
	kindText
	kindStore // binary, but worth a look all the same: a key store
)

// Wants tells whether Check should see the file: regular, 12 bytes to 10 MiB,
// and not of a kind that its name says is binary.
func (c *Check) Wants(path string, st bulwark.Stat) bool {
	if st.Size < minSize || st.Size > maxSize || !st.Mode.IsRegular() {
		return false
	}
	if strings.HasPrefix(path, "proc/") || strings.HasPrefix(path, "sys/") || strings.HasPrefix(path, "dev/") {
		return false
	}
	var low [12]byte
	return !binaryExt(extension(path, &low))
}

// extension gives what follows the last dot of the last element, in lower case
// and in buf; nil when there is none or it is longer than buf.
func extension(path string, buf *[12]byte) []byte {
	dot := -1
	for i := len(path) - 1; i >= 0 && path[i] != '/'; i-- {
		if path[i] == '.' {
			dot = i
			break
		}
	}
	if dot < 0 || len(path)-dot-1 > len(buf) {
		return nil
	}
	n := copy(buf[:], path[dot+1:])
	for i, c := range buf[:n] {
		if c >= 'A' && c <= 'Z' {
			buf[i] = c | foldBit
		}
	}
	return buf[:n]
}

// binaryExt tells whether files of this extension hold no text of their own.
func binaryExt(ext []byte) bool {
	switch string(ext) {
	case "so", "a", "o", "ko", "dll", "exe", "dylib", "pyc", "pyo", "class", "wasm", "node", "elc", "beam", "syso", "pdb", "obj", "lib",
		"png", "jpg", "jpeg", "gif", "bmp", "ico", "tif", "tiff", "webp", "avif", "icns", "psd", "xcf",
		"woff", "woff2", "ttf", "otf", "eot", "pfb", "pcf", "afm",
		"mp3", "mp4", "ogg", "oga", "ogv", "wav", "flac", "avi", "mkv", "webm", "mov", "m4a",
		"gz", "tgz", "xz", "txz", "bz2", "tbz2", "zst", "lz4", "lzma", "br", "zip", "jar", "war", "ear", "jmod", "whl", "egg", "gem", "nupkg",
		"7z", "rar", "cab", "iso", "img", "qcow2", "vmdk", "deb", "rpm", "apk", "squashfs", "cpio",
		"mo", "gmo", "gresource", "cache", "dat", "db", "sqlite", "sqlite3", "mdb", "idx", "pack", "bin", "nls",
		"pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "odt", "ods", "odp", "epub", "djvu",
		"dic", "hyp", "aff", "hwdb", "icc", "gir", "typelib", "tzdata", "svg", "svgz":
		return true
	}
	return false
}

// sourceCode tells whether the file is part of a program, by its name.
func sourceCode(path string) bool {
	var buf [12]byte
	switch string(extension(path, &buf)) {
	case "py", "js", "mjs", "cjs", "ts", "go", "java", "kt", "rb", "php", "pl", "pm", "c", "cc", "cpp", "h", "hpp", "cs", "swift", "rs", "lua", "map":
		return true
	}
	return false
}

// read gives the text of f, without byte order mark and in UTF-8. The result is
// valid until s is used again.
func (s *scratch) read(f *bulwark.File) ([]byte, int, error) {
	head := s.head[:min(int64(len(s.head)), f.Size)]
	if n, err := f.ReadAt(head, 0); n < len(head) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, kindOther, err
	}
	order := utf16Order(head)
	kind := kindText
	if order == 0 && bytes.IndexByte(head, 0) >= 0 || bytes.HasPrefix(head, []byte("\x30\x82")) {
		if !keystoreName(f.Path) {
			return nil, kindOther, nil
		}
		kind = kindStore
	}
	data, err := f.Bytes(maxSize)
	if err != nil {
		return nil, kindOther, err
	}
	if kind == kindText && order != 0 {
		s.wide = appendUTF16(s.wide[:0], data, order)
		data = s.wide
	}
	return data, kind, nil
}

// utf16Order gives 'l' or 'b' when head looks like UTF-16 text of that byte
// order, else 0.
func utf16Order(head []byte) byte {
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
		return 'l'
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		return 'b'
	}
	// Without a mark: Latin text has a NUL in every other byte and nowhere else.
	head = head[:min(len(head), 256)&^1]
	if len(head) < 8 || head[0] != 0 && head[1] != 0 {
		return 0
	}
	var zeros [2]int
	for i, c := range head {
		if c == 0 {
			zeros[i&1]++
		}
	}
	half := len(head) / 2
	switch {
	case zeros[0] == 0 && zeros[1] > half*9/10:
		return 'l'
	case zeros[1] == 0 && zeros[0] > half*9/10:
		return 'b'
	}
	return 0
}

func appendUTF16(dst, src []byte, order byte) []byte {
	hi, lo := 1, 0
	if order == 'b' {
		hi, lo = 0, 1
	}
	dst = slices.Grow(dst, len(src)/2+16)
	for i := 0; i+1 < len(src); i += 2 {
		r := rune(src[i+hi])<<8 | rune(src[i+lo])
		if utf16.IsSurrogate(r) && i+3 < len(src) {
			if full := utf16.DecodeRune(r, rune(src[i+2+hi])<<8|rune(src[i+2+lo])); full != utf8.RuneError {
				r = full
				i += 2
			}
		}
		if r != 0xFEFF {
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

func newlines(b []byte) int { return bytes.Count(b, []byte{'\n'}) }

func sortByStart(ms []match) {
	slices.SortStableFunc(ms, func(a, b match) int { return a.start - b.start })
}

// installed tells whether a package manager brought the file: code of others
// under /usr and in the trees of language packages.
func installed(path string) bool {
	if strings.HasPrefix(path, "usr/") && !strings.HasPrefix(path, "usr/src/app/") && !strings.HasPrefix(path, "usr/local/etc/") {
		switch {
		case strings.HasPrefix(path, "usr/lib/"), strings.HasPrefix(path, "usr/lib64/"), strings.HasPrefix(path, "usr/libexec/"),
			strings.HasPrefix(path, "usr/share/"), strings.HasPrefix(path, "usr/include/"),
			strings.HasPrefix(path, "usr/local/lib/"), strings.HasPrefix(path, "usr/local/go/"), strings.HasPrefix(path, "usr/local/share/"):
			return true
		}
	}
	for _, dir := range [...]string{"node_modules/", "site-packages/", "dist-packages/", "/gems/", "go/pkg/mod/", ".cargo/registry/", "vendor/bundle/", ".m2/repository/", "bower_components/"} {
		if strings.Contains(path, dir) {
			return true
		}
	}
	return strings.HasPrefix(path, "opt/") && strings.Contains(path, "/lib/") || strings.Contains(path, "/lib/python2.") || strings.Contains(path, "/lib/python3.")
}

// sampleReason says why a secret in this file is probably made for tests or
// documentation; "" when nothing says so.
func sampleReason(path string) string {
	if strings.HasPrefix(path, "usr/share/doc/") || strings.HasPrefix(path, "usr/share/man/") || strings.HasPrefix(path, "usr/share/info/") {
		return "documentation of a package"
	}
	rest := path
	for rest != "" {
		elem, after, more := strings.Cut(rest, "/")
		if !more {
			break
		}
		switch elem {
		case "test", "tests", "testing", "testdata", "testutil", "testutils", "test-data", "test_data", "__tests__", "spec", "specs", "fixtures", "fixture", "testsuite",
			"example", "examples", "sample", "samples", "demo", "demos", "mock", "mocks", "keytests", "testcert", "testcerts", "certdata":
			return "in a directory of tests or samples (" + elem + ")"
		}
		if strings.HasPrefix(elem, "test_") || strings.HasPrefix(elem, "test-") || strings.HasPrefix(elem, "dummy") || strings.HasSuffix(elem, "_test") || strings.HasSuffix(elem, "-test") || strings.HasSuffix(elem, "_tests") {
			return "in a directory of tests or samples"
		}
		rest = after
	}
	base := rest
	switch {
	case strings.HasSuffix(base, "_test.go"), strings.HasSuffix(base, "_test.py"), strings.HasPrefix(base, "test_") && strings.HasSuffix(base, ".py"),
		strings.Contains(base, ".test."), strings.Contains(base, ".spec."), strings.HasSuffix(base, "_spec.rb"), strings.HasSuffix(base, "_test.rb"),
		strings.HasSuffix(base, "Test.java"), strings.Contains(base, "_test."), strings.Contains(base, "test_data"), strings.Contains(base, "fake"), strings.Contains(base, "dummy"):
		return "a test by its name"
	case strings.HasSuffix(base, ".example"), strings.HasSuffix(base, ".sample"), strings.HasSuffix(base, ".template"), strings.HasSuffix(base, ".dist"):
		return "a sample by its name"
	}
	if installed(path) && (base == "PKG-INFO" || base == "METADATA" || strings.HasPrefix(base, "README") || strings.HasPrefix(base, "CHANGE") || strings.HasPrefix(base, "HISTORY") ||
		strings.HasSuffix(base, ".md") || strings.HasSuffix(base, ".rst") || strings.HasSuffix(base, ".html")) {
		return "documentation of a package"
	}
	return ""
}
