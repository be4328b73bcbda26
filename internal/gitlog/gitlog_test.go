// SPDX-License-Identifier: Apache-2.0

package gitlog_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark/internal/gitlog"
)

// A repo is git's folder, written by hand: tests need no git.
type repo struct {
	t       testing.TB
	dir     string
	objects []object // in the order of their making
}

type object struct {
	id   string
	kind byte // as in a pack
	data []byte
}

func newRepo(t testing.TB) *repo {
	return &repo{t: t, dir: t.TempDir()}
}

func (r *repo) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func deflate(b []byte) []byte {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	_, err := z.Write(b)
	if err := errors.Join(err, z.Close()); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func (r *repo) write(name string, b []byte) {
	r.t.Helper()
	name = filepath.Join(r.dir, name)
	r.check(os.MkdirAll(filepath.Dir(name), 0o755))
	r.check(os.WriteFile(name, b, 0o600))
}

// add makes a loose object.
func (r *repo) add(kind byte, data []byte) string {
	word := []string{"", "commit", "tree", "blob"}[kind]
	whole := append(fmt.Appendf(nil, "%s %d\x00", word, len(data)), data...)
	sum := sha1.Sum(whole)
	id := hex.EncodeToString(sum[:])
	r.objects = append(r.objects, object{id, kind, data})
	r.write("objects/"+id[:2]+"/"+id[2:], deflate(whole))
	return id
}

// tree makes a tree of files, in one folder each or none.
func (r *repo) tree(files map[string]string) string {
	entries := map[string][]byte{}
	below := map[string]map[string]string{}
	for name, text := range files {
		if dir, rest, ok := strings.Cut(name, "/"); ok {
			if below[dir] == nil {
				below[dir] = map[string]string{}
			}
			below[dir][rest] = text
			continue
		}
		id, _ := hex.DecodeString(r.add(3, []byte(text)))
		entries[name] = append([]byte("100644 "+name+"\x00"), id...)
	}
	for dir, files := range below {
		id, _ := hex.DecodeString(r.tree(files))
		entries[dir] = append([]byte("40000 "+dir+"\x00"), id...)
	}
	var b []byte
	var names []string
	for name := range entries {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b = append(b, entries[name]...)
	}
	return r.add(2, b)
}

// commit makes a commit by an author at a time.
func (r *repo) commit(author string, at int, files map[string]string, parents ...string) string {
	text := "tree " + r.tree(files) + "\n"
	for _, p := range parents {
		text += "parent " + p + "\n"
	}
	text += fmt.Sprintf("author %s <%s@example.org> %d +0200\ncommitter C <c@example.org> %d +0000\n\nwhy\n", author, strings.ToLower(author), 1000+at, 1000+at)
	return r.add(1, []byte(text))
}

// pack moves every object into a pack: every second blob as a delta of the one
// before it, by offset and by name in turn.
func (r *repo) pack() {
	list := slices.CompactFunc(slices.SortedFunc(slices.Values(r.objects), func(a, b object) int { return strings.Compare(a.id, b.id) }), func(a, b object) bool { return a.id == b.id })
	data := []byte("PACK\x00\x00\x00\x02")
	data = binary.BigEndian.AppendUint32(data, uint32(len(list)))
	offsets, sums := make([]int, len(list)), make([]uint32, len(list))
	base := -1
	deltas := 0
	for i, x := range list {
		offsets[i] = len(data)
		kind, content, extra := x.kind, x.data, []byte(nil)
		if x.kind == 3 && base >= 0 {
			b := list[base]
			content = delta(b.data, x.data)
			if deltas%2 == 0 {
				kind, extra = 6, back(len(data)-offsets[base])
			} else {
				kind = 7
				extra, _ = hex.DecodeString(b.id)
			}
			if deltas++; deltas%5 == 0 {
				base = -1
			} else {
				base = i
			}
		} else if x.kind == 3 {
			base = i
		}
		data = append(data, head(kind, len(content))...)
		data = append(append(data, extra...), deflate(content)...)
		sums[i] = crc32.ChecksumIEEE(data[offsets[i]:])
	}
	sum := sha1.Sum(data)
	data = append(data, sum[:]...)
	index := []byte("\xfftOc\x00\x00\x00\x02")
	for first := range 256 {
		n := 0
		for _, x := range list {
			if b, _ := hex.DecodeString(x.id[:2]); int(b[0]) <= first {
				n++
			}
		}
		index = binary.BigEndian.AppendUint32(index, uint32(n))
	}
	for _, x := range list {
		id, _ := hex.DecodeString(x.id)
		index = append(index, id...)
	}
	for _, c := range sums {
		index = binary.BigEndian.AppendUint32(index, c)
	}
	for _, o := range offsets {
		index = binary.BigEndian.AppendUint32(index, uint32(o))
	}
	index = append(index, sum[:]...)
	r.check(os.RemoveAll(filepath.Join(r.dir, "objects")))
	r.write("objects/pack/pack-1.pack", data)
	r.write("objects/pack/pack-1.idx", index)
}

func head(kind byte, size int) []byte {
	b := kind<<4 | byte(size&15)
	var out []byte
	for size >>= 4; size > 0; size >>= 7 {
		out = append(out, b|0x80)
		b = byte(size & 0x7f)
	}
	return append(out, b)
}

func back(n int) []byte {
	out := []byte{byte(n & 0x7f)}
	for n >>= 7; n > 0; n >>= 7 {
		n--
		out = append([]byte{byte(n&0x7f) | 0x80}, out...)
	}
	return out
}

// delta copies what both begin with and adds the rest.
func delta(base, next []byte) []byte {
	n := 0
	for n < len(base) && n < len(next) && n < 0xffff && base[n] == next[n] {
		n++
	}
	out := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(len(base))), uint64(len(next)))
	if n > 0 {
		out = append(out, 0x80|0x10|0x20, byte(n), byte(n>>8))
	}
	for rest := next[n:]; len(rest) > 0; {
		k := min(len(rest), 127)
		out = append(append(out, byte(k)), rest[:k]...)
		rest = rest[k:]
	}
	return out
}

func (r *repo) trace(head string, bounds gitlog.Bounds, questions ...gitlog.Question) (gitlog.Result, error) {
	root, err := os.OpenRoot(r.dir)
	r.check(err)
	defer root.Close()
	files, err := gitlog.Open(root)
	r.check(err)
	defer files.Close()
	return gitlog.Trace(r.t.Context(), files, head, questions, bounds)
}

// word asks for a word in a file.
func word(path, w string) gitlog.Question {
	return gitlog.Question{Path: path, Find: func(b []byte) (int, int) {
		at := 0
		for line := range strings.Lines(string(b)) {
			if slices.Contains(strings.Fields(line), w) {
				return at, at + len(line)
			}
			at += len(line)
		}
		return 0, 0
	}}
}

// who gives the authors of the answers, "?" for none, "+" behind those who may not
// have been the first.
func who(r gitlog.Result) string {
	var out []string
	for _, a := range r.Answers {
		s := a.Author
		if a.Commit == "" {
			s = "?"
		}
		if a.Older {
			s += "+"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

// history makes one with a branch, a merge, something that went and came again, a
// file that was renamed, and a folder.
func history(r *repo) (head string, commits map[string]string) {
	files := func(lock, more string) map[string]string {
		out := map[string]string{"lock": strings.Repeat("long text of a lock file\n", 20) + lock, "other": more}
		if more != "" {
			out["deep/er/lock"] = more
		}
		return out
	}
	c := map[string]string{}
	c["A"] = r.commit("Ann", 1, files("one", ""))
	c["B"] = r.commit("Bob", 2, files("one two", ""), c["A"])
	c["S"] = r.commit("Sue", 3, files("one side", "x"), c["A"])
	c["M"] = r.commit("Max", 4, files("one two side merged", "x"), c["B"], c["S"])
	c["G"] = r.commit("Gil", 5, files("two side merged", "x y"), c["M"])
	c["H"] = r.commit("Hal", 6, files("one two side merged last", "x y"), c["G"])
	return c["H"], c
}

func questions() []gitlog.Question {
	return []gitlog.Question{
		word("lock", "one"), word("lock", "two"), word("lock", "side"), word("lock", "merged"), word("lock", "last"),
		word("lock", "never"), word("deep/er/lock", "x"), word("deep/er/lock", "y"), word("deep", "x"), word("none", "x"), word("lock/x", "x"),
	}
}

const answers = "Hal Bob Sue Max Hal ? Sue Gil ? ? ?"

func TestTrace(t *testing.T) {
	for _, packed := range []bool{false, true} {
		r := newRepo(t)
		head, commits := history(r)
		if packed {
			r.pack()
		}
		got, err := r.trace(head, gitlog.Bounds{}, questions()...)
		if err != nil || got.Cut != "" || got.Shallow {
			t.Fatalf("packed %t: %v, %+v", packed, err, got)
		}
		if d := cmp.Diff(answers, who(got)); d != "" {
			t.Errorf("packed %t: -want +got:\n%s", packed, d)
		}
		want := gitlog.Answer{Commit: commits["B"], Author: "Bob", Mail: "bob@example.org", Date: time.Unix(1002, 0).In(time.FixedZone("", 7200))}
		if d := cmp.Diff(want, got.Answers[1]); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
	}
}

func TestShallow(t *testing.T) {
	r := newRepo(t)
	head, commits := history(r)
	r.write("shallow", []byte(commits["M"]+"\n"))
	for _, id := range []string{commits["A"], commits["B"], commits["S"]} {
		r.check(os.Remove(filepath.Join(r.dir, "objects", id[:2], id[2:])))
	}
	got, err := r.trace(head, gitlog.Bounds{}, questions()...)
	if err != nil || !got.Shallow || got.Cut != "" {
		t.Errorf("%v, %+v", err, got)
	}
	if d := cmp.Diff("Hal Max+ Max+ Max+ Hal ? Max+ Gil ? ? ?", who(got)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// What is missing or damaged, and every bound, is told; answers say what was seen.
func TestCut(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(r *repo, c map[string]string)
		bounds gitlog.Bounds
		cut    string
		want   string
	}{
		{"commit-missing", func(r *repo, c map[string]string) {
			r.check(os.Remove(filepath.Join(r.dir, "objects", c["M"][:2], c["M"][2:])))
		}, gitlog.Bounds{}, "no such git object", "Hal Gil+ Gil+ Gil+ Hal ? Gil+ Gil+ ? ? ?"},
		{"commit-damaged", func(r *repo, c map[string]string) { r.write("objects/"+c["B"][:2]+"/"+c["B"][2:], []byte("no zlib")) }, gitlog.Bounds{}, "damaged", "Hal Max+ Sue Max+ Hal ? Sue Gil ? ? ?"},
		{"commits", nil, gitlog.Bounds{Commits: 1}, "commits were looked at", "Hal+ Hal+ Hal+ Hal+ Hal+ ? ? ? ? ? ?"},
		{"bytes", nil, gitlog.Bounds{Bytes: 1}, "bytes of objects", ""},
		{"circle", func(r *repo, c map[string]string) { // objects under names that are not theirs
			b, err := os.ReadFile(filepath.Join(r.dir, "objects", c["H"][:2], c["H"][2:]))
			r.check(err)
			r.write("objects/"+c["G"][:2]+"/"+c["G"][2:], b)
		}, gitlog.Bounds{Commits: 100}, "commits were looked at", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRepo(t)
			head, commits := history(r)
			if tc.change != nil {
				tc.change(r, commits)
			}
			got, err := r.trace(head, tc.bounds, questions()...)
			if err != nil || !strings.Contains(got.Cut, tc.cut) || got.Cut == "" {
				t.Errorf("%v, cut %q, want %q", err, got.Cut, tc.cut)
			}
			if tc.want != "" && who(got) != tc.want {
				t.Errorf("%s, want %s", who(got), tc.want)
			}
		})
	}
}

func TestNoHead(t *testing.T) {
	r := newRepo(t)
	for _, head := range []string{strings.Repeat("0", 40), strings.Repeat("a", 64), "", "zz"} {
		if _, err := r.trace(head, gitlog.Bounds{}, questions()...); err == nil {
			t.Errorf("%q is a commit", head)
		}
	}
	head, _ := history(r)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	root, err := os.OpenRoot(r.dir)
	r.check(err)
	defer root.Close()
	files, err := gitlog.Open(root)
	r.check(err)
	defer files.Close()
	if _, err := gitlog.Trace(ctx, files, head, questions(), gitlog.Bounds{}); err == nil {
		t.Error("a context that is done is not told")
	}
}

// A pack that was cut off or changed anywhere gives answers or faults, soon.
func TestHostilePack(t *testing.T) {
	r := newRepo(t)
	tip, _ := history(r)
	r.pack()
	for _, name := range []string{"objects/pack/pack-1.pack", "objects/pack/pack-1.idx"} {
		good, err := os.ReadFile(filepath.Join(r.dir, name))
		r.check(err)
		for n := 0; n < len(good); n = n*2 + 1 {
			r.write(name, good[:n])
			_, _ = r.trace(tip, gitlog.Bounds{Time: time.Second}, questions()...)
		}
		for at := 0; at < len(good); at += 1 + len(good)/120 {
			bad := bytes.Clone(good)
			bad[at] ^= 0xff
			r.write(name, bad)
			_, _ = r.trace(tip, gitlog.Bounds{Time: time.Second}, questions()...)
		}
		r.write(name, good)
	}
	if got, err := r.trace(tip, gitlog.Bounds{}, questions()...); err != nil || who(got) != answers {
		t.Error(who(got), err)
	}
}

// A small object that unfolds into a large one is refused.
func TestBomb(t *testing.T) {
	r := newRepo(t)
	text := bytes.Repeat([]byte("x "), 20<<20)
	id := r.add(3, text)
	raw, _ := hex.DecodeString(id)
	tree := r.add(2, append([]byte("100644 lock\x00"), raw...))
	tip := r.add(1, []byte("tree "+tree+"\nauthor A <a> 1 +0000\ncommitter A <a> 1 +0000\n\nx"))
	got, err := r.trace(tip, gitlog.Bounds{}, word("lock", "x"))
	if err != nil || got.Cut == "" || got.Answers[0].Commit != "" {
		t.Errorf("%v, %+v", err, got)
	}
}

func FuzzPack(f *testing.F) {
	r := newRepo(f)
	tip, _ := history(r)
	r.pack()
	pack, err := os.ReadFile(filepath.Join(r.dir, "objects/pack/pack-1.pack"))
	r.check(err)
	index, err := os.ReadFile(filepath.Join(r.dir, "objects/pack/pack-1.idx"))
	r.check(err)
	f.Add(pack, index)
	f.Fuzz(func(t *testing.T, pack, index []byte) {
		r := newRepo(t)
		r.write("objects/pack/pack-1.pack", pack)
		r.write("objects/pack/pack-1.idx", index)
		start := time.Now()
		_, _ = r.trace(tip, gitlog.Bounds{Time: time.Second}, questions()...)
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("it takes %s", d)
		}
	})
}
