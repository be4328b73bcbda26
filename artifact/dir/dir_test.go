// SPDX-License-Identifier: Apache-2.0

//go:build unix

package dir_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/artifact/dir"
	"github.com/bulwark-sec/bulwark/internal/tarfs"
)

// unpack writes the files of a txtar archive below a new directory.
func unpack(t *testing.T, text string) string {
	t.Helper()
	root := t.TempDir()
	for _, f := range txtar.Parse([]byte(text)).Files {
		put(t, filepath.Join(root, f.Name), string(f.Data))
	}
	return root
}

func put(t *testing.T, name, content string) {
	t.Helper()
	check(t, os.MkdirAll(filepath.Dir(name), 0o755))
	check(t, os.WriteFile(name, []byte(content), 0o644))
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openDir(t testing.TB, root string, o bulwark.OpenOptions) *bulwark.Tree {
	t.Helper()
	tree, err := dir.Dir(t.Context(), root, o)
	check(t, err)
	t.Cleanup(func() { check(t, tree.Close()) })
	return tree
}

func stream(t testing.TB, tree *bulwark.Tree) io.ReadCloser {
	t.Helper()
	r, err := tree.Layers[0].Open(t.Context())
	check(t, err)
	return r
}

// read gives the whole stream.
func read(t testing.TB, tree *bulwark.Tree) []byte {
	t.Helper()
	r := stream(t, tree)
	b, err := io.ReadAll(r)
	check(t, err)
	check(t, r.Close())
	return b
}

// listing gives one line for each entry: mode, size, name, what a link says.
func listing(t testing.TB, b []byte) []string {
	t.Helper()
	out := []string{}
	for tr := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return out
		}
		check(t, err)
		line := fmt.Sprintf("%c %04o %d %s", h.Typeflag, h.Mode, h.Size, h.Name)
		if h.Linkname != "" {
			line += " -> " + h.Linkname
		}
		out = append(out, line)
	}
}

// content gives the content of the files in a stream by name.
func content(t testing.TB, b []byte) map[string]string {
	t.Helper()
	out := map[string]string{}
	for tr := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		check(t, err)
		c, err := io.ReadAll(tr)
		check(t, err)
		out[h.Name] = string(c)
	}
}

func names(t testing.TB, b []byte) []string {
	out := []string{}
	for _, l := range listing(t, b) {
		out = append(out, strings.SplitN(l, " ", 4)[3])
	}
	return out
}

func diff(t testing.TB, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestStream(t *testing.T) {
	root := unpack(t, `
-- b/two --
22
-- b.d/four --
4444
-- a --
1
-- b/c/three --
333
-- empty --
`)
	check(t, os.Chmod(root+"/a", 0o755|fs.ModeSetuid|fs.ModeSetgid))
	check(t, os.Chmod(root+"/b/two", 0o600|fs.ModeSticky))
	check(t, os.Symlink("b/two", root+"/z"))
	check(t, os.Symlink("/", root+"/y"))
	tree := openDir(t, root, bulwark.OpenOptions{})
	b := read(t, tree)
	diff(t, "entries", []string{
		"0 6755 2 a",
		"0 0644 4 b/c/three",
		"0 1600 3 b/two",
		"0 0644 5 b.d/four",
		"0 0644 0 empty",
		"2 0644 0 y -> /",
		"2 0644 0 z -> b/two",
	}, listing(t, b))
	diff(t, "content", "333\n", content(t, b)["b/c/three"])
	diff(t, "gaps", []bulwark.Gap(nil), tree.Layers[0].Gaps())
	diff(t, "artifact", bulwark.Artifact{Kind: bulwark.KindDir, Name: root, Source: "directory"}, tree.Artifact)

	// The same stream again, and from a copy that is younger and was made in
	// another order.
	diff(t, "second stream", hash(b), hash(read(t, tree)))
	other := t.TempDir()
	for _, f := range []string{"empty", "b.d/four", "b/two", "b/c/three", "a"} {
		put(t, other+"/"+f, content(t, b)[f])
		check(t, os.Chtimes(other+"/"+f, time.Unix(1e9, 5), time.Unix(1e9, 5)))
	}
	check(t, os.Chmod(other+"/a", 0o755|fs.ModeSetuid|fs.ModeSetgid))
	check(t, os.Chmod(other+"/b/two", 0o600|fs.ModeSticky))
	check(t, os.Symlink("/", other+"/y"))
	check(t, os.Symlink("b/two", other+"/z"))
	check(t, os.Mkdir(other+"/nothing", 0o700))
	same := read(t, openDir(t, other, bulwark.OpenOptions{}))
	diff(t, "stream of a copy", hash(b), hash(same))
	put(t, other+"/a", "2\n")
	if hash(read(t, openDir(t, other, bulwark.OpenOptions{}))) == hash(b) {
		t.Error("other content has the same hash")
	}
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func TestOpenErrors(t *testing.T) {
	root := unpack(t, "-- file --\n")
	check(t, syscall.Mkfifo(root+"/pipe", 0o600))
	for _, tc := range []struct {
		name, target string
		o            bulwark.OpenOptions
		is           error
		want         string
	}{
		{name: "missing", target: "none", is: bulwark.ErrNotFound, want: `open "ROOT/none": not found`},
		{name: "file", target: "file", want: `open "ROOT/file": not a directory`},
		{name: "pipe", target: "pipe", want: `open "ROOT/pipe": not a directory`},
		{name: "pattern", o: bulwark.OpenOptions{SkipDirs: []string{"a", "b["}}, is: bulwark.ErrUsage, want: `skip-dirs "b[": syntax error in pattern: wrong usage`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := dir.Dir(t.Context(), filepath.Join(root, tc.target), tc.o)
			if err == nil || tc.is != nil && !errors.Is(err, tc.is) {
				t.Fatalf("error %v, want %v", err, tc.is)
			}
			diff(t, "error", tc.want, strings.ReplaceAll(err.Error(), root, "ROOT"))
		})
	}
}

func TestSkipDirs(t *testing.T) {
	const files = `
-- a/x --
-- a/b/x --
-- c/b/x --
-- c/d/b/x --
-- vendor --
-- x --
`
	for _, tc := range []struct {
		name  string
		globs []string
		want  []string
		left  []string
	}{
		{"none", nil, []string{"a/b/x", "a/x", "c/b/x", "c/d/b/x", "vendor", "x"}, nil},
		{"top", []string{"a"}, []string{"c/b/x", "c/d/b/x", "vendor", "x"}, []string{"a"}},
		{"star", []string{"*/b"}, []string{"a/x", "c/d/b/x", "vendor", "x"}, []string{"a/b", "c/b"}},
		{"slashes", []string{"/a/", "./c/d"}, []string{"c/b/x", "vendor", "x"}, []string{"a", "c/d"}},
		{"class", []string{"[ac]"}, []string{"vendor", "x"}, []string{"a", "c"}},
		{"no-file", []string{"vendor", "x"}, []string{"a/b/x", "a/x", "c/b/x", "c/d/b/x", "vendor", "x"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tree := openDir(t, unpack(t, files), bulwark.OpenOptions{SkipDirs: tc.globs})
			diff(t, "names", tc.want, names(t, read(t, tree)))
			var want []bulwark.Gap
			for _, p := range tc.left {
				want = append(want, bulwark.Gap{Kind: bulwark.GapSkipped, Path: p, Detail: "left out by skip-dirs"})
			}
			diff(t, "gaps", want, tree.Layers[0].Gaps())
		})
	}
}

func TestWants(t *testing.T) {
	root := unpack(t, "-- a/want --\n1\n-- a/not --\n22\n-- b/want --\n333\n")
	check(t, os.Chmod(root+"/b/want", 0o711|fs.ModeSetuid))
	check(t, os.Symlink("want", root+"/a/link"))
	check(t, os.Symlink("nowhere", root+"/a/wanted"))
	check(t, syscall.Mkfifo(root+"/b/wanted", 0o600))
	asked := map[string]bulwark.Stat{}
	tree := openDir(t, root, bulwark.OpenOptions{Wants: func(p string, st bulwark.Stat) bool {
		asked[p] = st
		return strings.HasPrefix(path.Base(p), "want")
	}})
	diff(t, "entries", []string{"0 0644 2 a/want", "2 0644 0 a/wanted -> nowhere", "0 4711 4 b/want", "6 0644 0 b/wanted"}, listing(t, read(t, tree)))
	diff(t, "asked", map[string]bulwark.Stat{
		"a/want": {Size: 2, Mode: 0o644}, "a/not": {Size: 3, Mode: 0o644}, "b/want": {Size: 4, Mode: 0o711 | fs.ModeSetuid},
		// What is no file is asked for as if it were one.
		"a/link": {Size: 1, Mode: 0o644}, "a/wanted": {Size: 1, Mode: 0o644}, "b/wanted": {Size: 1, Mode: 0o644},
	}, asked)
}

// TestLinks shows that no link is followed, wherever it leads.
func TestLinks(t *testing.T) {
	outside := unpack(t, "-- secret --\nsecret\n-- d/secret --\nsecret\n")
	root := unpack(t, "-- a/file --\n1\n")
	for name, target := range map[string]string{
		"self": "self", "a/up": "..", "a/b": "c", "a/c": "b", "root": "/", "out": outside + "/secret", "dir": outside + "/d", "rel": "../../../../../../../../../../etc/passwd",
	} {
		check(t, os.Symlink(target, filepath.Join(root, name)))
	}
	b := read(t, openDir(t, root, bulwark.OpenOptions{}))
	if bytes.Contains(b, []byte("secret\n")) || bytes.Contains(b, []byte("root:")) {
		t.Error("the stream has content from outside")
	}
	diff(t, "files", map[string]string{"a/b": "", "a/c": "", "a/file": "1\n", "a/up": "", "dir": "", "out": "", "rel": "", "root": "", "self": ""}, content(t, b))

	// The root itself may be a link: whoever asks has named it.
	link := t.TempDir() + "/link"
	check(t, os.Symlink(root, link))
	diff(t, "hash", hash(b), hash(read(t, openDir(t, link, bulwark.OpenOptions{}))))
}

// TestSpecial shows that nothing but files is opened: a pipe would wait.
func TestSpecial(t *testing.T) {
	root := unpack(t, "-- z --\n1\n")
	check(t, syscall.Mkfifo(root+"/pipe", 0o644))
	short := root + "/s"
	if len(short) < 100 { // a socket's path is short
		l, err := net.Listen("unix", short)
		check(t, err)
		defer l.Close()
	}
	if os.Geteuid() == 0 {
		check(t, syscall.Mknod(root+"/null", syscall.S_IFCHR|0o666, 1<<8|3))
	}
	tree := openDir(t, root, bulwark.OpenOptions{Wants: func(p string, st bulwark.Stat) bool { return p == "z" }})
	diff(t, "names", []string{"z"}, names(t, read(t, tree)))
	diff(t, "gaps", []bulwark.Gap(nil), tree.Layers[0].Gaps())
}

func TestLimits(t *testing.T) {
	t.Run("entries", func(t *testing.T) {
		root := unpack(t, "-- a --\n-- b/c --\n-- d --\n-- e --\n")
		tree := openDir(t, root, bulwark.OpenOptions{MaxEntries: 4})
		diff(t, "names", []string{"a", "b/c", "d"}, names(t, read(t, tree)))
		diff(t, "gaps", []bulwark.Gap{{Kind: bulwark.GapLimit, Detail: "the walk stopped after 4 entries", Hides: true}}, tree.Layers[0].Gaps())
		tree = openDir(t, root, bulwark.OpenOptions{MaxEntries: 5})
		diff(t, "names", []string{"a", "b/c", "d", "e"}, names(t, read(t, tree)))
		diff(t, "gaps", []bulwark.Gap(nil), tree.Layers[0].Gaps())
	})
	t.Run("wide", func(t *testing.T) {
		root := t.TempDir()
		for i := range 3000 { // more than is listed at once
			check(t, os.WriteFile(fmt.Sprintf("%s/%d", root, i), nil, 0o644))
		}
		got := names(t, read(t, openDir(t, root, bulwark.OpenOptions{})))
		if len(got) != 3000 || !slices.IsSorted(got) {
			t.Errorf("%d names, sorted %v", len(got), slices.IsSorted(got))
		}
	})
	t.Run("size", func(t *testing.T) {
		root := unpack(t, "-- a --\n-- z --\n1\n")
		check(t, os.Truncate(root+"/a", 1<<40))
		tree := openDir(t, root, bulwark.OpenOptions{})
		diff(t, "names", []string{"z"}, names(t, read(t, tree)))
		diff(t, "gaps", []bulwark.Gap{{Kind: bulwark.GapLimit, Path: "a", Detail: "a file of 1099511627776 bytes; at most 1073741824 are looked into", Hides: true}}, tree.Layers[0].Gaps())
	})
	t.Run("beginning", func(t *testing.T) {
		root := unpack(t, "-- a --\n12345\n-- b --\n-- z --\n1\n")
		check(t, os.Truncate(root+"/a", 1<<40))
		check(t, os.Truncate(root+"/b", 1<<40))
		tree := openDir(t, root, bulwark.OpenOptions{Beginning: func(p string, st bulwark.Stat) int64 {
			if st.Size != 1<<40 {
				t.Errorf("%s has %d bytes", p, st.Size)
			}
			return int64(strings.Count(p, "a")) * 4
		}})
		diff(t, "names", []string{"a", "z"}, names(t, read(t, tree)))
		diff(t, "gaps", []bulwark.Gap{{Kind: bulwark.GapLimit, Path: "b", Detail: "a file of 1099511627776 bytes; at most 1073741824 are looked into", Hides: true}}, tree.Layers[0].Gaps())
		tr := tar.NewReader(bytes.NewReader(read(t, tree)))
		for {
			h, err := tr.Next()
			check(t, err)
			if h.Name != "a" {
				continue
			}
			body, err := io.ReadAll(tr)
			check(t, err)
			if string(body) != "1234" || h.PAXRecords[tarfs.RestRecord] != strconv.Itoa(1<<40-4) {
				t.Errorf("%q, %v", body, h.PAXRecords)
			}
			break
		}
	})
	t.Run("whiteout", func(t *testing.T) {
		tree := openDir(t, unpack(t, "-- a/.wh.b --\n1\n-- a/.wh..wh..opq --\n-- c --\n"), bulwark.OpenOptions{Wants: func(p string, _ bulwark.Stat) bool { return p != "a/.wh..wh..opq" }})
		diff(t, "names", []string{"c"}, names(t, read(t, tree)))
		diff(t, "gaps", []bulwark.Gap{{Kind: bulwark.GapUnsupported, Path: "a/.wh.b", Detail: "not looked into: its name means a removed file in a stream of layers"}}, tree.Layers[0].Gaps())
	})
}

// nest makes depth directories named name, one in the other, and a file in the
// last.
func nest(t *testing.T, at, name string, depth int) {
	t.Helper()
	r, err := os.OpenRoot(at)
	check(t, err)
	for range depth {
		check(t, r.Mkdir(name, 0o755))
		next, err := r.OpenRoot(name)
		check(t, err)
		check(t, r.Close())
		r = next
	}
	check(t, r.WriteFile("file", []byte("1"), 0o644))
	check(t, r.Close())
}

func TestDeep(t *testing.T) {
	root := unpack(t, "-- z --\n")
	nest(t, root, "d", 512)
	tree := openDir(t, root, bulwark.OpenOptions{})
	diff(t, "names", []string{strings.Repeat("d/", 512) + "file", "z"}, names(t, read(t, tree)))

	root = unpack(t, "-- z --\n")
	nest(t, root, "d", 513)
	tree = openDir(t, root, bulwark.OpenOptions{})
	diff(t, "names", []string{"z"}, names(t, read(t, tree)))
	diff(t, "gaps", []bulwark.Gap{{Kind: bulwark.GapLimit, Path: strings.TrimSuffix(strings.Repeat("d/", 513), "/"), Detail: "a directory more than 512 levels deep is not entered", Hides: true}}, tree.Layers[0].Gaps())

	// A path longer than the system takes at once: 16 * 256 + 4.
	root = unpack(t, "-- z --\n")
	long := strings.Repeat("n", 255)
	nest(t, root, long, 16)
	tree = openDir(t, root, bulwark.OpenOptions{})
	diff(t, "names", []string{"z"}, names(t, read(t, tree)))
	diff(t, "gaps", []bulwark.Gap{{Kind: bulwark.GapLimit, Path: strings.Repeat(long+"/", 16) + "file", Detail: "a path of 4100 bytes; at most 4096 are read", Hides: true}}, tree.Layers[0].Gaps())
	root = unpack(t, "-- z --\n")
	nest(t, root, long, 17)
	tree = openDir(t, root, bulwark.OpenOptions{})
	diff(t, "names", []string{"z"}, names(t, read(t, tree)))
	if g := tree.Layers[0].Gaps(); len(g) != 1 || !strings.Contains(g[0].Detail, "a path of 4351 bytes") || !g[0].Hides {
		t.Errorf("gaps %+v", g)
	}
}

// TestNames shows that no name breaks the stream, and that it stays UTF-8.
func TestNames(t *testing.T) {
	root := t.TempDir()
	long := strings.Repeat("é", 127)
	for _, n := range []string{"\xff", "\xfe\xff", "a\nb", "\x1b[2J", "-", "ü", "a\\b", "...", " ", "\u202e", long, "n " + strings.Repeat("x", 200), "d\xc3/f\x80", `\xfa`, "\xfa"} {
		err := os.MkdirAll(filepath.Dir(filepath.Join(root, n)), 0o755)
		if err == nil {
			err = os.WriteFile(filepath.Join(root, n), []byte(n), 0o644)
		}
		if errors.Is(err, syscall.EILSEQ) {
			t.Skipf("the file system takes only UTF-8: %v", err)
		}
		check(t, err)
	}
	tree := openDir(t, root, bulwark.OpenOptions{})
	got := content(t, read(t, tree))
	want := map[string]string{`\xff`: "\xff", `\xfe\xff`: "\xfe\xff", `d\xc3/f\x80`: "d\xc3/f\x80", `\xfa`: `\xfa`}
	for _, n := range []string{"a\nb", "\x1b[2J", "-", "ü", "a\\b", "...", " ", "\u202e", long, "n " + strings.Repeat("x", 200)} {
		want[n] = n
	}
	diff(t, "content", want, got)
	for n := range got {
		if !utf8.ValidString(n) {
			t.Errorf("name %q", n)
		}
	}
	// Two names that would look the same: one of them is told.
	diff(t, "gaps", []bulwark.Gap{{Kind: bulwark.GapUnreadable, Path: `\xfa`, Detail: "its name differs from another only in bytes that are no UTF-8", Hides: true}}, tree.Layers[0].Gaps())
}

// asNobody runs the test again without root's rights, and tells whether this
// process is the one without.
func asNobody(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		return true
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534, NoSetGroups: true}}
	cmd.Dir = "/"
	cmd.Env = []string{"TMPDIR=/tmp"}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrNotExist):
		t.Skipf("needs to run as nobody: %v", err)
	case err != nil:
		t.Errorf("as nobody: %v\n%s", err, out)
	case !bytes.Contains(out, []byte("--- PASS")):
		t.Skipf("as nobody:\n%s", out)
	}
	return false
}

func TestUnreadable(t *testing.T) {
	if !asNobody(t) {
		return
	}
	root := unpack(t, "-- a/closed --\n-- a/file --\n1\n-- closed/file --\n-- listed/file --\n-- listed/other --\n-- z --\n")
	check(t, os.Chmod(root+"/a/closed", 0))
	check(t, os.Chmod(root+"/closed", 0))
	check(t, os.Chmod(root+"/listed", 0o444))
	t.Cleanup(func() {
		os.Chmod(root+"/closed", 0o755)
		os.Chmod(root+"/listed", 0o755)
	})
	tree := openDir(t, root, bulwark.OpenOptions{})
	diff(t, "names", []string{"a/file", "z"}, names(t, read(t, tree)))
	diff(t, "gaps", []bulwark.Gap{
		{Kind: bulwark.GapUnreadable, Path: "a/closed", Detail: "permission denied"},
		{Kind: bulwark.GapUnreadable, Path: "closed", Detail: "permission denied", Hides: true},
		{Kind: bulwark.GapUnreadable, Path: "listed", Detail: "permission denied", Hides: true},
	}, tree.Layers[0].Gaps())

	if _, err := dir.Dir(t.Context(), root+"/closed", bulwark.OpenOptions{}); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("open: %v", err)
	}
	if one, err := dir.File(t.Context(), root+"/a/closed", bulwark.KindSBOM, "sbom", bulwark.OpenOptions{}); err == nil {
		r := stream(t, one)
		if _, err := io.ReadAll(r); err == nil || !strings.Contains(err.Error(), `open "closed": permission denied`) {
			t.Errorf("read a closed file: %v", err)
		}
		check(t, r.Close())
		check(t, one.Close())
	} else {
		t.Error(err)
	}
}

// TestManyUnreadable shows that the gaps stay few.
func TestManyUnreadable(t *testing.T) {
	if !asNobody(t) {
		return
	}
	root := t.TempDir()
	for i := range 250 {
		check(t, os.WriteFile(fmt.Sprintf("%s/%03d", root, i), nil, 0))
	}
	check(t, os.Mkdir(root+"/d", 0))
	for i := range 300 {
		check(t, os.Mkdir(fmt.Sprintf("%s/s%03d", root, i), 0o755))
	}
	tree := openDir(t, root, bulwark.OpenOptions{SkipDirs: []string{"s*"}})
	diff(t, "names", []string{}, names(t, read(t, tree)))
	gaps := tree.Layers[0].Gaps()
	if len(gaps) != 402 {
		t.Fatalf("%d gaps", len(gaps))
	}
	diff(t, "last gaps", []bulwark.Gap{
		{Kind: bulwark.GapSkipped, Detail: "100 more files and directories were left out"},
		{Kind: bulwark.GapUnreadable, Detail: "51 more files and directories could not be read", Hides: true},
	}, gaps[400:])
}

func TestFile(t *testing.T) {
	root := unpack(t, "-- d/sbom.json --\n{}\n-- d/other --\nother\n-- e/nothing --\n")
	check(t, os.Symlink("../d/sbom.json", root+"/e/link.json"))
	check(t, os.Symlink("nowhere", root+"/e/broken"))
	check(t, syscall.Mkfifo(root+"/pipe", 0o600))
	never := func(string, bulwark.Stat) bool { return false }
	for name, want := range map[string]string{"d/sbom.json": "sbom.json", "e/link.json": "link.json"} {
		tree, err := dir.File(t.Context(), root+"/"+name, bulwark.KindSBOM, "sbom", bulwark.OpenOptions{Wants: never, SkipDirs: []string{"["}})
		check(t, err)
		for range 2 {
			diff(t, name, map[string]string{want: "{}\n"}, content(t, read(t, tree)))
		}
		diff(t, "artifact", bulwark.Artifact{Kind: bulwark.KindSBOM, Name: root + "/" + name, Source: "sbom"}, tree.Artifact)
		check(t, tree.Close())
	}
	for _, tc := range []struct {
		name, want string
		is         error
	}{
		{"d", `open "ROOT/d": not a regular file: not supported`, bulwark.ErrUnsupported},
		{"pipe", `open "ROOT/pipe": not a regular file: not supported`, bulwark.ErrUnsupported},
		{"none", `open "ROOT/none": not found`, bulwark.ErrNotFound},
		{"e/broken", `open "ROOT/e/broken": not found`, bulwark.ErrNotFound},
	} {
		_, err := dir.File(t.Context(), root+"/"+tc.name, bulwark.KindSBOM, "sbom", bulwark.OpenOptions{})
		if !errors.Is(err, tc.is) {
			t.Fatalf("%s: %v", tc.name, err)
		}
		diff(t, "error", tc.want, strings.ReplaceAll(err.Error(), root, "ROOT"))
	}

	// A file that went, or became a pipe, after it was opened is an error.
	tree, err := dir.File(t.Context(), root+"/d/other", bulwark.KindSBOM, "sbom", bulwark.OpenOptions{})
	check(t, err)
	defer tree.Close()
	check(t, os.Remove(root+"/d/other"))
	if _, err := io.ReadAll(stream(t, tree)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that went: %v", err)
	}
	check(t, syscall.Mkfifo(root+"/d/other", 0o600))
	if _, err := io.ReadAll(stream(t, tree)); !errors.Is(err, bulwark.ErrUnsupported) {
		t.Errorf("a file that became a pipe: %v", err)
	}
}

func TestName(t *testing.T) {
	root := unpack(t, "-- a --\n")
	t.Chdir(root)
	for given, want := range map[string]string{".": filepath.Base(root), root: root, "./": "./"} {
		diff(t, given, want, openDir(t, given, bulwark.OpenOptions{}).Artifact.Name)
	}
}
