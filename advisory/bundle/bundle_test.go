// SPDX-License-Identifier: Apache-2.0

package bundle_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory/bundle"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// publish makes a generation of files with the given contents.
func publish(t testing.TB, dir string, at time.Time, contents map[string]string) *bundle.Generation {
	t.Helper()
	w, err := bundle.NewWriter(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	m := bundle.Manifest{Built: at}
	for name, text := range contents {
		f, err := w.Add(name, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		m.Files = append(m.Files, f)
		m.Feeds = append(m.Feeds, bundle.Feed{Feed: bulwark.Feed{Name: name}})
	}
	g, err := w.Publish(m)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return g
}

func read(t testing.TB, g *bundle.Generation, name string) string {
	t.Helper()
	b, release, err := g.Map(g.File(name))
	if err != nil {
		t.Fatal(err)
	}
	s := string(b)
	if err := release(); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestGenerations(t *testing.T) {
	dir := t.TempDir()
	if _, err := bundle.Current(dir); !errors.Is(err, bulwark.ErrNotFound) {
		t.Fatal(err)
	}
	publish(t, dir, now, map[string]string{"a": "one", "b": "two", "empty": ""})
	g, err := bundle.Current(dir)
	if err != nil {
		t.Fatal(err)
	}
	if read(t, g, "a") != "one" || read(t, g, "b") != "two" || read(t, g, "empty") != "" || g.File("c") != nil || g.Feed("b") == nil || g.Feed("c") != nil {
		t.Errorf("%+v", g.Manifest)
	}
	if err := g.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	// The next one keeps a file; a reader of the old one is not disturbed.
	old, release, err := g.Map(g.File("b"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := bundle.NewWriter(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Keep(g.File("a")), w.Keep(g.File("a"))); err != nil {
		t.Fatal(err)
	}
	c, err := w.Add("c", strings.NewReader("three"))
	if err != nil {
		t.Fatal(err)
	}
	next, err := w.Publish(bundle.Manifest{Built: now.Add(time.Hour), Files: []bundle.File{c, *g.File("a")}})
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	if string(old) != "two" {
		t.Error("a mapped file changed")
	}
	if err := release(); err != nil {
		t.Error(err)
	}
	cur, err := bundle.Current(dir)
	if err != nil || cur.ID != next.ID || read(t, cur, "a") != "one" || read(t, cur, "c") != "three" {
		t.Error(cur, err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*"))
	for i := range left {
		left[i] = filepath.Base(left[i])
	}
	want := []string{"CURRENT", "PREVIOUS", "gen-" + g.ID.Hex()[:16], "gen-" + next.ID.Hex()[:16], "key", "lock", "trusted"}
	slices.Sort(want)
	if d := cmp.Diff(want, left); d != "" {
		t.Error(d)
	}
	if st, err := os.Stat(filepath.Join(dir, "key")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("key %v, %v", st.Mode(), err)
	}
}

func TestPublishNeedsFiles(t *testing.T) {
	dir := t.TempDir()
	w, err := bundle.NewWriter(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	f, err := w.Add("a", strings.NewReader("one"))
	if err != nil {
		t.Fatal(err)
	}
	f.Digest = "sha256:" + bulwark.Digest(strings.Repeat("0", 64))
	if _, err := w.Publish(bundle.Manifest{Files: []bundle.File{f}}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	f.Digest = "../../etc/passwd"
	if _, err := w.Publish(bundle.Manifest{Files: []bundle.File{f}}); !errors.Is(err, bulwark.ErrUnsupported) {
		t.Error(err)
	}
	if err := w.Keep(&f); !errors.Is(err, bulwark.ErrNotFound) {
		t.Error(err)
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	w, err := bundle.NewWriter(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := bundle.NewWriter(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("a second writer: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w, err = bundle.NewWriter(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestForeign(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	g := publish(t, dir, now, map[string]string{"a": "one"})
	publish(t, other, now, map[string]string{"a": "two"})
	name := "gen-" + g.ID.Hex()[:16]
	// A generation that somebody else signed is not taken because it lies there.
	if err := os.CopyFS(filepath.Join(other, name), os.DirFS(filepath.Join(dir, name))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(other, "CURRENT"), []byte(name+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var hint *bulwark.Hint
	if _, err := bundle.Current(other); !errors.Is(err, bulwark.ErrDigest) || !errors.As(err, &hint) {
		t.Error(err)
	}
	for _, text := range []string{"", "../x", "gen-0123456789abcdef/..", name + "/x", strings.Repeat("x", 1000)} {
		if err := os.WriteFile(filepath.Join(other, "CURRENT"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := bundle.Current(other); err == nil {
			t.Errorf("current generation %q is taken", text)
		}
	}
}

func TestPublicKey(t *testing.T) {
	g := publish(t, t.TempDir(), now, map[string]string{"a": "one"})
	k, err := bundle.ParsePublicKey(" " + bundle.PublicKey(g.Key) + "\n")
	if err != nil || !k.Equal(g.Key) {
		t.Error(k, err)
	}
	for _, s := range []string{"", "ed25519:", "ed25519:AAAA", "rsa:" + bundle.PublicKey(g.Key)[8:], strings.Repeat("x", 500)} {
		if _, err := bundle.ParsePublicKey(s); !errors.Is(err, bulwark.ErrUsage) {
			t.Errorf("%.20q: %v", s, err)
		}
	}
}

// entry is a member of an exported tar.
type entry struct {
	tar.Header
	body []byte
}

func unpack(t testing.TB, b []byte) (out []entry) {
	t.Helper()
	zr, err := zstd.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer zr.Close()
	tr := tar.NewReader(zr)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, entry{*h, body})
	}
}

func pack(t testing.TB, list []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	zw, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	tw := tar.NewWriter(zw)
	for _, e := range list {
		if err := tw.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func importInto(t testing.TB, dir string, b []byte) (*bundle.Generation, error) {
	t.Helper()
	w, err := bundle.NewWriter(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	g, err := w.Import(context.Background(), bytes.NewReader(b), nil)
	return g, errors.Join(err, w.Close())
}

func TestExchange(t *testing.T) {
	g := publish(t, t.TempDir(), now, map[string]string{"a": "one", "b": strings.Repeat("two", 10000), "same": "one"})
	var first, second bytes.Buffer
	if err := errors.Join(g.Export(t.Context(), &first), g.Export(t.Context(), &second)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) || !bundle.Exported(first.Bytes()) {
		t.Error("two exports of one generation differ")
	}
	dir := t.TempDir()
	got, err := importInto(t, dir, first.Bytes())
	if err != nil || got.ID != g.ID {
		t.Fatal(got, err)
	}
	if cur, err := bundle.Current(dir); err != nil || cur.Verify(t.Context()) != nil || read(t, cur, "same") != "one" {
		t.Error(cur, err)
	}
	list := unpack(t, first.Bytes())
	rename := func(i int, name string) []entry {
		l := append([]entry(nil), list...)
		l[i].Name = name
		return l
	}
	link := rename(2, list[2].Name)
	link[2].Typeflag, link[2].Linkname, link[2].Size, link[2].body = tar.TypeSymlink, "/etc/passwd", 0, nil
	changed := rename(2, list[2].Name)
	changed[2].body = bytes.Repeat([]byte("x"), len(changed[2].body))
	longer := rename(2, list[2].Name)
	longer[2].body, longer[2].Size = append(bytes.Clone(longer[2].body), 'x'), longer[2].Size+1
	forged := rename(0, list[0].Name)
	forged[0].body = bytes.Replace(forged[0].body, []byte("2026"), []byte("2027"), 1)
	big := rename(0, list[0].Name)
	big[0].body = make([]byte, 17<<20)
	big[0].Size = int64(len(big[0].body))
	for name, l := range map[string][]entry{
		"empty": nil, "path": rename(2, "../../evil"), "absolute": rename(2, "/tmp/evil"), "unknown": rename(2, "x.seg"),
		"order": {list[1], list[0]}, "no-signature": {list[0], list[2]}, "missing-file": list[:3], "link": link,
		"changed": changed, "longer": longer, "forged": forged, "huge-manifest": big,
		"twice": {list[0], list[1], list[2], list[2]},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := importInto(t, dir, pack(t, l)); err == nil {
				t.Error("taken")
			}
			if cur, err := bundle.Current(dir); err != nil || cur.ID != g.ID || cur.Verify(t.Context()) != nil {
				t.Errorf("the database that there was: %v, %v", cur, err)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 4 { // no key of its own yet
				t.Errorf("left behind: %v", left)
			}
		})
	}
	for n := 1; n < first.Len(); n *= 2 {
		if _, err := importInto(t, dir, first.Bytes()[:n]); err == nil {
			t.Errorf("%d of %d bytes are taken for all", n, first.Len())
		}
	}
}

func FuzzImport(f *testing.F) {
	g := publish(f, f.TempDir(), now, map[string]string{"a": "one"})
	var b bytes.Buffer
	if err := g.Export(context.Background(), &b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte("\x28\xb5\x2f\xfd"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := importInto(t, dir, b); err == nil && got.ID != g.ID {
			t.Errorf("%s is taken", got.ID)
		}
	})
}
