// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scan

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/artifact/dir"
)

// A repo is a work tree and git's folder, written by hand: tests need no git.
type repo struct {
	t       *testing.T
	dir     string
	objects map[string][]byte // as in a pack, by name
}

func newRepo(t *testing.T) *repo {
	return &repo{t: t, dir: t.TempDir(), objects: map[string][]byte{}}
}

func (r *repo) write(name string, b []byte) {
	r.t.Helper()
	name = filepath.Join(r.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, b, 0o600)); err != nil {
		r.t.Fatal(err)
	}
}

func deflated(b []byte) []byte {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	_, _ = z.Write(b)
	_ = z.Close()
	return out.Bytes()
}

// add makes a loose object, of a type as packs number them.
func (r *repo) add(kind byte, data string) string {
	whole := fmt.Appendf(nil, "%s %d\x00%s", []string{"", "commit", "tree", "blob"}[kind], len(data), data)
	sum := sha1.Sum(whole)
	id := hex.EncodeToString(sum[:])
	r.write(".git/objects/"+id[:2]+"/"+id[2:], deflated(whole))
	r.objects[id] = append([]byte{0x80 | kind<<4 | byte(len(data)&15), byte(len(data) >> 4)}, deflated([]byte(data))...)
	return id
}

// commit makes one of a tree with one file, as which the work tree has it, too.
func (r *repo) commit(author, lock string, parents ...string) string {
	raw, _ := hex.DecodeString(r.add(3, lock))
	text := "tree " + r.add(2, "100644 lock\x00"+string(raw)) + "\n"
	for _, p := range parents {
		text += "parent " + p + "\n"
	}
	at := 1_700_000_000 + len(r.objects)
	id := r.add(1, fmt.Sprintf("%sauthor %s <a@example.org> %d +0200\ncommitter C <c@example.org> %d +0000\n\nwhy\n", text, author, at, at))
	r.write(".git/HEAD", []byte(id+"\n"))
	r.write("lock", []byte(lock))
	return id
}

// pack moves all objects into one pack.
func (r *repo) pack() {
	data := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), uint32(len(r.objects)))
	index := []byte("\xfftOc\x00\x00\x00\x02")
	var ids, offsets []byte
	var fan [256]uint32
	names := slices.Sorted(func(yield func(string) bool) {
		for id := range r.objects {
			if !yield(id) {
				return
			}
		}
	})
	for _, id := range names {
		raw, _ := hex.DecodeString(id)
		for i := int(raw[0]); i < 256; i++ {
			fan[i]++
		}
		ids, offsets = append(ids, raw...), binary.BigEndian.AppendUint32(offsets, uint32(len(data)))
		data = append(data, r.objects[id]...)
	}
	for _, n := range fan {
		index = binary.BigEndian.AppendUint32(index, n)
	}
	index = slices.Concat(index, ids, make([]byte, 4*len(names)), offsets)
	if err := os.RemoveAll(filepath.Join(r.dir, ".git/objects")); err != nil {
		r.t.Fatal(err)
	}
	r.write(".git/objects/pack/pack-1.pack", data)
	r.write(".git/objects/pack/pack-1.idx", index)
}

func (r *repo) tree() *bulwark.Tree {
	r.t.Helper()
	tree, err := dir.Repo(r.t.Context(), r.dir, bulwark.OpenOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { tree.Close() })
	return tree
}

// asks makes questions about the lines of the file that all commits have, and one
// about a file that is not there.
func asks() []bulwark.Trace {
	return []bulwark.Trace{
		{Path: "lock", Name: "rails", Version: "5.2.0"}, {Path: "lock", Name: "rake", Version: "13.0"},
		{Path: "lock", Line: 3}, {Path: "lock", Name: "nokogiri", Version: "1.0"}, {Path: "gone", Line: 1}, {Path: "lock", Name: "new", Version: "1"},
	}
}

// second makes two commits and a change that is not committed.
func (r *repo) second() {
	first := r.commit("Ann", "rails (5.2.0)\n")
	r.commit("Bob\x1b[2J\u00e9", "rails (5.2.0)\nrake (13.0)\ntoken: abcdef\n", first)
	r.write("lock", []byte("rails (5.2.0)\nrake (13.0)\ntoken: abcdef\nnew (1)\n"))
}

// The child finds what this process finds, in loose objects and in packs.
func TestTracing(t *testing.T) {
	for _, packed := range []bool{false, true} {
		r := newRepo(t)
		r.second()
		if packed {
			r.pack()
		}
		var all [][]*bulwark.Change
		for _, here := range []bool{false, true} {
			s := &Scanner{InProcessUnsafe: here}
			got, gaps, err := s.trace(t.Context(), r.tree(), asks(), time.Minute)
			gaps = slices.DeleteFunc(gaps, func(g bulwark.Gap) bool { return g.Kind == bulwark.GapSandbox }) // an old kernel
			if err != nil || len(gaps) != 0 {
				t.Fatalf("packed %t, here %t: %v, %v", packed, here, gaps, err)
			}
			var who []string
			for _, c := range got {
				if c == nil {
					who = append(who, "?")
				} else {
					who = append(who, c.Author)
				}
			}
			if d := cmp.Diff([]string{"Ann", "Bob\ufffd[2J\u00e9", "Bob\ufffd[2J\u00e9", "?", "?", ""}, who); d != "" {
				t.Errorf("packed %t, here %t: -want +got:\n%s", packed, here, d)
			}
			all = append(all, got)
		}
		if d := cmp.Diff(all[1], all[0]); d != "" {
			t.Errorf("packed %t: -here +child:\n%s", packed, d)
		}
	}
}

// What the past lacks is told in the same words, whoever asks it.
func TestTracingGaps(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(r *repo)
		detail string
	}{
		{"no-head", func(r *repo) { r.write(".git/HEAD", []byte(strings.Repeat("ab", 20))) }, "the history was not asked who brought what: read commit abababababab: "},
		{"shallow", func(r *repo) {
			head := r.commit("Cem", "rails (5.2.0)\nrake (13.0)\ntoken: abcdef\n", strings.Repeat("ab", 20))
			r.write(".git/shallow", []byte(head+"\n"))
		}, "run git fetch --unshallow"},
		{"parent-missing", func(r *repo) {
			r.commit("Cem", "rails (5.2.0)\nrake (13.0)\ntoken: abcdef\n", strings.Repeat("ab", 20))
		}, "not every commit that brought something was found: "},
		{"no-folder-of-packs", func(r *repo) { r.write(".git/objects/pack", nil) }, "the history was not asked who brought what: "},
		{"object-is-a-folder", func(r *repo) {
			r.write(".git/HEAD", []byte(strings.Repeat("cd", 20)))
			r.write(".git/objects/cd/"+strings.Repeat("cd", 19)+"/x", nil)
		}, "not a regular file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var all [][]bulwark.Gap
			for _, here := range []bool{false, true} {
				r := newRepo(t)
				r.second()
				tc.change(r)
				_, gaps, err := (&Scanner{InProcessUnsafe: here}).trace(t.Context(), r.tree(), asks(), time.Minute)
				gaps = slices.DeleteFunc(gaps, func(g bulwark.Gap) bool { return g.Kind == bulwark.GapSandbox })
				if err != nil || len(gaps) != 1 || !strings.Contains(gaps[0].Detail, tc.detail) || gaps[0].Hides {
					t.Fatalf("here %t: %+v, %v", here, gaps, err)
				}
				all = append(all, gaps)
			}
			if d := cmp.Diff(all[1], all[0]); d != "" {
				t.Errorf("-here +child:\n%s", d)
			}
		})
	}
}

// execAs gives this program under a name by which TestMain knows a child that was
// taken over.
func execAs(t *testing.T, name string) string {
	t.Helper()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	as := filepath.Join(t.TempDir(), name)
	if err := os.Link(own, as); err != nil {
		t.Skip("no second name for this program: ", err)
	}
	return as
}

// A child that dies, hangs or was taken over costs its answers, which is told. The
// report stands, and soon.
func TestTracingTakenOver(t *testing.T) {
	for _, tc := range []struct{ name, detail string }{
		{"tracer-that-dies", "the parser ended before it was done"},
		{"tracer-that-is-killed", "the parser was killed"},
		{"tracer-that-complains", `the parser ended: exit status 2: "no\x1b[2J`},
		{"tracer-that-hangs", "the parser did not return within"},
		{"tracer-that-listens-to-nobody", "the parser did not return within"},
		{"tracer-that-takes-nothing", "the parser did not return within"},
		{"tracer-that-closes-its-mouth", "the parser did not return within"},
		{"tracer-that-talks-rubbish", "the parser's answer: "},
		{"tracer-of-half-a-line", "the parser ended before it was done"},
		{"tracer-that-greets-for-ever", "the parser answered what it was not asked"},
		{"tracer-of-one-endless-line", "larger than the limit"},
		{"tracer-that-answers-twice", "the parser answered what it was not asked"},
		{"tracer-that-answers-for-another", "the parser answered what it was not asked"},
		{"tracer-of-layers", "the parser answered what it was not asked"},
		{"tracer-of-no-commit", "the parser's answers: no commit"},
		{"tracer-that-paints-the-terminal", "the parser's answers: no commit"},
		{"tracer-that-paints-its-end", "the parser's answers: no text of one line"},
		{"tracer-that-wants-the-configuration", "the parser wants what it may not have"},
		{"tracer-that-wants-any-file", "the parser wants what it may not have"},
		{"tracer-that-wants-both", "the parser wants what it may not have"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			r.second()
			r.write("lock", append([]byte("rails (5.2.0)\n"), make([]byte, 8<<20)...))
			p, err := r.tree().Past()
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			grace := time.Minute // a machine may be slow
			if strings.HasPrefix(tc.detail, "the parser did not return") {
				grace = time.Second
			}
			tr := tracing{past: p, asked: asks(), exec: execAs(t, tc.name), limit: time.Millisecond, grace: grace}
			got, err := tr.run(t.Context())
			if err == nil || !strings.Contains(err.Error(), tc.detail) || got.changes != nil {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// Who interrupts a scan does not wait for a child that hangs.
func TestTracingInterrupted(t *testing.T) {
	r := newRepo(t)
	r.second()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	s := &Scanner{Exec: execAs(t, "tracer-that-hangs")}
	start := time.Now()
	if _, _, err := s.trace(ctx, r.tree(), asks(), time.Minute); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("it takes %s", d)
	}
}

// Whatever a child says, what is taken from it is bounded and plain.
func FuzzTraced(f *testing.F) {
	id := strings.Repeat("ab", 20)
	for _, seed := range []string{
		`{"lane":-1,"hello":{"missing":["x"]}}`,
		`{"lane":-1,"want":{"object":"` + id + `"}}`,
		`{"lane":-1,"want":{"file":2}}`,
		`{"lane":-1,"change":{"asked":1,"change":{"commit":"` + id + `","author":"A","mail":"a@example.org","date":"2024-05-01T10:00:00+02:00","older":true}}}`,
		`{"lane":-1,"change":{"asked":0,"change":{}}}` + "\n" + `{"lane":-1,"traced":{"cut":"bound reached","shallow":true}}`,
		`{"lane":-1,"traced":{"err":"read commit"}}`,
	} {
		f.Add([]byte(seed + "\n"))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		opened := 0
		tr := tracing{asked: asks(), past: &bulwark.Past{
			Head: id,
			File: func(string) (io.ReadCloser, error) { opened++; return io.NopCloser(strings.NewReader("x")), nil },
			Loose: func(id string) (io.ReadCloser, error) {
				if len(id) != 40 || strings.ContainsAny(id, "./") {
					t.Errorf("object %q is opened", id)
				}
				return nil, fs.ErrNotExist
			},
		}}
		sent := 0
		err := tr.talk(io.Discard, bytes.NewReader(said), func(r io.Reader) { sent++ })
		if sent != opened {
			t.Errorf("%d files opened, %d sent", opened, sent)
		}
		for _, c := range tr.told.changes {
			if c == nil {
				continue
			}
			for _, s := range []string{c.Author, c.Mail} {
				if len(s) > maxPerson || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
					t.Errorf("a person named %q", s)
				}
			}
			if _, err := hex.DecodeString(c.Commit); err != nil {
				t.Errorf("commit %q", c.Commit)
			}
		}
		if cut := tr.told.Cut; err == nil && (len(cut) > maxCut || strings.ContainsFunc(cut, unicode.IsControl)) {
			t.Errorf("cut %q", cut)
		}
	})
}

// A scan whose tracing child dies has a report with a gap.
func TestSinceWithoutChild(t *testing.T) {
	r := newRepo(t)
	r.second()
	report := &bulwark.Report{Findings: []bulwark.Finding{{Evidence: []bulwark.Evidence{{Location: bulwark.Location{Path: "lock", Line: 1}}}}}}
	s := &Scanner{Blame: BlameFindings, Exec: execAs(t, "tracer-that-dies")}
	if err := s.since(t.Context(), report, r.tree()); err != nil {
		t.Fatal(err)
	}
	if g := report.Inventory.Gaps; len(g) != 1 || g[0].Kind != bulwark.GapUnreadable || !strings.Contains(g[0].Detail, "the history was not asked who brought what: the parser") || g[0].Hides {
		t.Errorf("gaps %+v", g)
	}
	if since := report.Findings[0].Evidence[0].Location.Since; since != nil {
		t.Errorf("since %+v", since)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.since(ctx, report, r.tree()); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// The child that asks a past has the packs and nothing else: it opens no file, in
// git's folder or outside, and reaches no network.
func TestTracingNoWayOut(t *testing.T) {
	r := newRepo(t)
	r.second()
	r.pack()
	r.write(".git/config", []byte("secret"))
	r.write(".git/shallow", nil)
	asked := asks()
	asked[0].Name = r.dir // told to the child, for it to try
	got, gaps, err := (&Scanner{Exec: execAs(t, "tracer-that-looks-around")}).trace(t.Context(), r.tree(), asked, time.Minute)
	if err != nil || got == nil {
		t.Fatal(got, gaps, err)
	}
	said := gaps[len(gaps)-1].Detail
	if !strings.Contains(said, "descriptors 3: ") || strings.Contains(said, "ESCAPED") || strings.Count(said, "denied") < 20 {
		t.Errorf("the child says %q", said)
	}
}
