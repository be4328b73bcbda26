// SPDX-License-Identifier: Apache-2.0

package bundle_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory/bundle"
	"github.com/bulwark-sec/bulwark/internal/signing"
)

// fixedKey gives a key that is the same each time.
func fixedKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func publicOf(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

// carry makes a carried file of a database's current generation.
func carry(t testing.TB, dir string, key ed25519.PrivateKey, l bundle.Label) []byte {
	t.Helper()
	w, err := bundle.NewWriter(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	w.Signer = key
	var b bytes.Buffer
	_, err = w.Carry(context.Background(), &b, l)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func apply(t testing.TB, dir string, b []byte, a bundle.Acceptance) (*bundle.Label, *bundle.Generation, error) {
	t.Helper()
	w, err := bundle.NewWriter(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	l, g, err := w.Apply(context.Background(), bytes.NewReader(b), a)
	return l, g, errors.Join(err, w.Close())
}

func TestCarry(t *testing.T) {
	src := t.TempDir()
	g := publish(t, src, now, map[string]string{"a": "one", "b": strings.Repeat("two", 10000), "same": "one", "empty": ""})
	label := bundle.Label{Created: now, Expires: now.Add(time.Hour), Tool: "bulwark test", Versions: map[string]string{"starter": "x"}, Note: "for you"}
	key := fixedKey(1)
	first := carry(t, src, key, label)
	if again := carry(t, src, key, label); !bytes.Equal(first, again) {
		t.Error("two bundles of one generation differ")
	}
	if ok, err := bundle.Carried(bytes.NewReader(first)); !ok || err != nil {
		t.Error(ok, err)
	}
	good := bundle.Acceptance{Keys: []ed25519.PublicKey{publicOf(fixedKey(2)), publicOf(key)}, Now: now}
	dir := t.TempDir()
	l, got, err := apply(t, dir, first, good)
	if err != nil || got.ID != g.ID || !got.Key.Equal(publicOf(key)) {
		t.Fatal(got, err)
	}
	label.Format, label.Database = bundle.LabelFormat, g.ID
	if d := cmp.Diff(&label, l); d != "" {
		t.Error(d)
	}
	if cur, err := bundle.Current(dir); err != nil || cur.Verify(t.Context()) != nil || read(t, cur, "same") != "one" {
		t.Error(cur, err)
	}
	if _, _, err := bundle.VerifyCarried(t.Context(), bytes.NewReader(first), good, "", nil); err != nil {
		t.Error(err)
	}
	// The second time the key is known.
	if _, _, err := apply(t, dir, first, bundle.Acceptance{Now: now}); err != nil {
		t.Error(err)
	}

	list := unpack(t, first)
	with := func(edit func(l []entry) []entry) []byte {
		l := append([]entry(nil), list...)
		return pack(t, edit(l))
	}
	set := func(i int, body string) func([]entry) []entry {
		return func(l []entry) []entry {
			l[i].body, l[i].Size = []byte(body), int64(len(body))
			return l
		}
	}
	forged := strings.Replace(string(list[0].body), "for you", "for all", 1)
	older := publish(t, t.TempDir(), now.Add(-time.Hour), map[string]string{"a": "old"})
	foreign := unpack(t, carry(t, src, fixedKey(3), label))
	cases := map[string]struct {
		b      []byte
		change func(*bundle.Acceptance)
		is     error
		text   string
	}{
		"not-pinned":      {first, func(a *bundle.Acceptance) { a.Keys = nil }, bulwark.ErrDigest, "not pinned"},
		"foreign":         {first, func(a *bundle.Acceptance) { a.Keys = a.Keys[:1] }, bulwark.ErrDigest, "wanted ed25519:"},
		"expired":         {first, func(a *bundle.Acceptance) { a.Now = now.Add(2 * time.Hour) }, bundle.ErrOld, "good until"},
		"too-old":         {first, func(a *bundle.Acceptance) { a.Now, a.MaxAge = now.Add(time.Hour), time.Minute }, bundle.ErrOld, "are allowed"},
		"from-the-future": {first, func(a *bundle.Acceptance) { a.Now = now.Add(-48 * time.Hour) }, nil, "in the future"},
		"label-forged":    {with(set(0, forged)), nil, bulwark.ErrDigest, "signature of the label"},
		"label-not-json":  {with(set(1, "{")), nil, bulwark.ErrDigest, "signature"},
		"two-keys":        {with(func(l []entry) []entry { l[0], l[1] = foreign[0], foreign[1]; return l }), func(a *bundle.Acceptance) { a.Keys = append(a.Keys, publicOf(fixedKey(3))) }, bulwark.ErrDigest, "two keys"},
		"other-database":  {with(func(l []entry) []entry { return append(l[:2:2], unpack(t, carryOf(t, older, key))[2:]...) }), nil, bulwark.ErrDigest, "label names"},
		"file-changed":    {with(set(4, "eno")), nil, bulwark.ErrDigest, ""},
		"file-longer":     {with(set(4, "onee")), nil, bulwark.ErrUnsupported, "not in the manifest"},
		"file-missing":    {with(func(l []entry) []entry { return l[:len(l)-1] }), nil, io.ErrUnexpectedEOF, "missing"},
		"file-twice":      {with(func(l []entry) []entry { return append(l, l[4]) }), nil, bulwark.ErrUnsupported, "not in the manifest"},
		"file-more":       {with(func(l []entry) []entry { e := l[4]; e.Name = "more"; return append(l, e) }), nil, bulwark.ErrUnsupported, "not in the manifest"},
		"outside":         {with(func(l []entry) []entry { l[4].Name = "../../evil"; return l }), nil, bulwark.ErrUnsupported, "evil"},
		"absolute":        {with(func(l []entry) []entry { l[0].Name = "/etc/passwd"; return l }), nil, bulwark.ErrUnsupported, "passwd"},
		"link": {with(func(l []entry) []entry {
			l[4].Typeflag, l[4].Linkname, l[4].Size, l[4].body = tar.TypeSymlink, "/etc/passwd", 0, nil
			return l
		}), nil, bulwark.ErrUnsupported, ""},
		"huge-label":     {with(set(0, strings.Repeat(" ", 2<<20))), nil, bulwark.ErrUnsupported, "bundle.json"},
		"empty":          {with(func([]entry) []entry { return nil }), nil, io.ErrUnexpectedEOF, "bundle.json"},
		"behind-the-end": {append(bytes.Clone(first), first...), nil, bulwark.ErrUnsupported, "behind the end"},
		"no-zstd-behind": {append(bytes.Clone(first), "more"...), nil, nil, ""},
		"an-export":      {pack(t, list[2:]), nil, bulwark.ErrUnsupported, "db import"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := good
			a.Keys = append([]ed25519.PublicKey(nil), good.Keys...)
			if c.change != nil {
				c.change(&a)
			}
			empty := t.TempDir()
			for which, target := range map[string]string{"there": dir, "nothing": empty} {
				if which == "there" && name == "not-pinned" {
					continue // it is trusted there
				}
				_, _, err := apply(t, target, c.b, a)
				if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.text) {
					t.Errorf("%s: %v", which, err)
				}
			}
			if _, _, err := bundle.VerifyCarried(t.Context(), bytes.NewReader(c.b), a, "", nil); err == nil || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("verify: %v", err)
			}
			if cur, err := bundle.Current(dir); err != nil || cur.ID != g.ID || cur.Verify(t.Context()) != nil {
				t.Errorf("the database that there was: %v, %v", cur, err)
			}
			if left, _ := filepath.Glob(filepath.Join(empty, "*")); len(left) != 1 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	for n := range first {
		if _, _, err := bundle.VerifyCarried(t.Context(), bytes.NewReader(first[:n]), good, "", nil); err == nil {
			t.Fatalf("%d of %d bytes are taken for all", n, len(first))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := bundle.VerifyCarried(ctx, bytes.NewReader(first), good, "", nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// carryOf makes a carried file of a generation of its own database.
func carryOf(t *testing.T, g *bundle.Generation, key ed25519.PrivateKey) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := g.Export(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := importInto(t, dir, b.Bytes()); err != nil {
		t.Fatal(err)
	}
	return carry(t, dir, key, bundle.Label{Created: now})
}

func TestOlder(t *testing.T) {
	key := fixedKey(1)
	src, dir := t.TempDir(), t.TempDir()
	publish(t, src, now, map[string]string{"a": "one"})
	old := carry(t, src, key, bundle.Label{Created: now})
	publish(t, src, now.Add(time.Hour), map[string]string{"a": "two"})
	next := carry(t, src, key, bundle.Label{Created: now})
	a := bundle.Acceptance{Keys: []ed25519.PublicKey{publicOf(key)}, Now: now.Add(2 * time.Hour)}
	if _, _, err := apply(t, dir, next, a); err != nil {
		t.Fatal(err)
	}
	if _, _, err := apply(t, dir, old, a); !errors.Is(err, bundle.ErrOld) || !strings.Contains(err.Error(), "--allow-older") {
		t.Error(err)
	}
	a.AllowOlder = true
	if _, g, err := apply(t, dir, old, a); err != nil || read(t, g, "a") != "one" {
		t.Error(err)
	}
	// The one before is kept, and has a name.
	if g, err := bundle.Named(dir, "previous"); err != nil || read(t, g, "a") != "two" {
		t.Error(g, err)
	}
	cur, err := bundle.Named(dir, "current")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{string(cur.ID), cur.ID.Hex(), cur.ID.Hex()[:8], cur.ID.Short()} {
		if g, err := bundle.Named(dir, name); err != nil || g.ID != cur.ID {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "0123456789abcdef", cur.ID.Hex()[:7], "../" + cur.ID.Hex(), "*", "????????"} {
		if _, err := bundle.Named(dir, name); !errors.Is(err, bulwark.ErrNotFound) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestFresh(t *testing.T) {
	m := &bundle.Manifest{Built: now, Feeds: []bundle.Feed{{Feed: bulwark.Feed{Name: "a", Fetched: now.Add(-30 * time.Hour)}}, {Feed: bulwark.Feed{Name: "b", Fetched: now.Add(-20 * time.Hour)}}}}
	if got := m.Asked(); !got.Equal(now.Add(-20 * time.Hour)) {
		t.Error(got)
	}
	for name, c := range map[string]struct {
		a       bundle.Acceptance
		expires time.Time
		current *bundle.Manifest
		bad     bool
	}{
		"any":          {a: bundle.Acceptance{Now: now}},
		"young-enough": {a: bundle.Acceptance{Now: now, MaxAge: 20 * time.Hour}},
		"too-old":      {a: bundle.Acceptance{Now: now, MaxAge: 19 * time.Hour}, bad: true},
		"old-allowed":  {a: bundle.Acceptance{Now: now, MaxAge: 19 * time.Hour, AllowOlder: true}, bad: true}, // the reader's own limit holds
		"expired":      {a: bundle.Acceptance{Now: now}, expires: now.Add(-1), bad: true},
		"not-expired":  {a: bundle.Acceptance{Now: now}, expires: now},
		"taken-yet":    {a: bundle.Acceptance{Now: now, AllowOlder: true}, expires: now.Add(-1)},
		"same":         {a: bundle.Acceptance{Now: now}, current: &bundle.Manifest{Built: now}},
		"newer-there":  {a: bundle.Acceptance{Now: now}, current: &bundle.Manifest{Built: now.Add(1)}, bad: true},
		"clock-ahead":  {a: bundle.Acceptance{Now: now.Add(-23 * time.Hour)}},
		"future":       {a: bundle.Acceptance{Now: now.Add(-25 * time.Hour), AllowOlder: true}, bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			m := *m
			m.Expires = c.expires
			if err := c.a.Fresh(&m, c.current); (err != nil) != c.bad {
				t.Error(err)
			}
		})
	}
}

func TestKeyFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "org.key")
	pub, err := bundle.NewKey(name, bytes.NewReader(bytes.Repeat([]byte("random"), 100)))
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(name); err != nil || st.Mode().Perm() != 0o600 {
		t.Error(st, err)
	}
	text, err := os.ReadFile(name + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := signing.ParsePublic(text); err != nil || !got.Equal(pub) {
		t.Errorf("%q, %v", text, err)
	}
	key, err := bundle.ReadKey(name)
	if err != nil || !publicOf(key).Equal(pub) {
		t.Error(err)
	}
	if _, err := bundle.NewKey(name, bytes.NewReader(make([]byte, 100))); !errors.Is(err, os.ErrExist) {
		t.Error(err)
	}
	if again, err := bundle.ReadKey(name); err != nil || !again.Equal(key) {
		t.Error("the key was written over")
	}
	if err := os.Chmod(name, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := bundle.ReadKey(name); !errors.Is(err, bulwark.ErrUnsupported) {
		t.Error(err)
	}
	for _, bad := range []string{"", "ed25519:AAAA", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"} {
		name := filepath.Join(t.TempDir(), "bad")
		if err := os.WriteFile(name, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := bundle.ReadKey(name); !errors.Is(err, bulwark.ErrUnsupported) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := bundle.ParseKeys([]string{bundle.PublicKey(pub), bundle.PublicKey(pub), "rsa:x"}); !errors.Is(err, bulwark.ErrUsage) {
		t.Error(err)
	}
	if l, err := bundle.ParseKeys([]string{bundle.PublicKey(pub), bundle.PublicKey(pub)}); err != nil || len(l) != 1 {
		t.Error(l, err)
	}
}

func FuzzCarried(f *testing.F) {
	dir := f.TempDir()
	g := publish(f, dir, now, map[string]string{"a": "one", "b": "two"})
	key := fixedKey(1)
	f.Add(carry(f, dir, key, bundle.Label{Created: now}))
	f.Add([]byte("\x28\xb5\x2f\xfd"))
	a := bundle.Acceptance{Keys: []ed25519.PublicKey{publicOf(key)}, Now: now}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, got, err := bundle.VerifyCarried(context.Background(), bytes.NewReader(b), a, "", nil); err == nil && got.ID != g.ID {
			t.Errorf("%s is taken", got.ID)
		}
		_, _ = bundle.Carried(bytes.NewReader(b))
	})
}
