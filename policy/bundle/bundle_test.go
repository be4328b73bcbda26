// SPDX-License-Identifier: Apache-2.0

package bundle_test

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/signing"
	"github.com/bulwark-sec/bulwark/policy/bundle"
)

var signedAt = time.Date(2026, 11, 22, 10, 20, 30, 0, time.UTC)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// key gives a key that is always the same.
func key(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func public(n byte) ed25519.PublicKey { return signing.Public(key(n)) }

// set gives files from names and contents in turn.
func set(list ...string) (out []bundle.File) {
	for i := 0; i+1 < len(list); i += 2 {
		out = append(out, bundle.File{Name: list[i], Data: []byte(list[i+1])})
	}
	return out
}

func sample() []bundle.File {
	return set("prod/gate.yaml", "kind: Policy\n", "lists.yaml", "kind: ValueList\n", "prod/ünï.yaml", "")
}

func write(t testing.TB, files []bundle.File) []byte {
	t.Helper()
	var b bytes.Buffer
	_, err := bundle.Write(&b, files, key(1), signedAt)
	check(t, err)
	return b.Bytes()
}

func read(b []byte, trusted ...ed25519.PublicKey) (*bundle.Bundle, error) {
	return bundle.Read(bytes.NewReader(b), int64(len(b)), trusted)
}

func readUnsafe(b []byte) (*bundle.Bundle, error) {
	return bundle.ReadUnsafe(bytes.NewReader(b), int64(len(b)), nil)
}

func TestDigest(t *testing.T) {
	want := bundle.Digest(set("a.yaml", "1", "b/c.yaml", "2"))
	if !want.Valid() {
		t.Errorf("digest %q", want)
	}
	for name, tc := range map[string]struct {
		files []bundle.File
		same  bool
	}{
		"order":            {set("b/c.yaml", "2", "a.yaml", "1"), true},
		"folder":           {set("x/y/a.yaml", "1", "x/y/b/c.yaml", "2"), true},
		"absolute":         {set("/etc/x/b/c.yaml", "2", "/etc/x/a.yaml", "1"), true},
		"root":             {set("/a.yaml", "1", "/b/c.yaml", "2"), true},
		"dot":              {set("./a.yaml", "1", "b/../b//c.yaml", "2"), true},
		"above":            {set("../a.yaml", "1", "../b/c.yaml", "2"), true},
		"content":          {set("a.yaml", "1", "b/c.yaml", "3"), false},
		"name":             {set("a.yaml", "1", "b/d.yaml", "2"), false},
		"contents-swapped": {set("a.yaml", "2", "b/c.yaml", "1"), false},
		"one-more":         {set("a.yaml", "1", "b/c.yaml", "2", "d", ""), false},
		"one-less":         {set("a.yaml", "1"), false},
		"borders":          {set("a.yaml", "1b/c.yaml", "", "2"), false},
		"empty":            {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := bundle.Digest(tc.files); (got == want) != tc.same {
				t.Errorf("%s, and the other is %s", got, want)
			}
		})
	}
	// A file alone is the same wherever it lies.
	if bundle.Digest(set("a/b.yaml", "x")) != bundle.Digest(set("/c/d/b.yaml", "x")) {
		t.Error("a file alone depends on its folder")
	}
}

// The digest goes into every decision that is kept: it must never change.
func TestDigestStays(t *testing.T) {
	const want = "sha256:d896abeb1bef8e9055c37ce7c307b3b0624c118457d7c5e15b83e65c582edd87"
	if got := bundle.Digest(sample()); got != want {
		t.Errorf("digest %q, want %q", got, want)
	}
}

func TestDigestAnyOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	files := set("a", "1", "a.yaml", "1", "b/a", "", "b/a-1", "x", "/z", "1", "../q", "")
	want := bundle.Digest(files)
	for range 200 {
		r.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
		if got := bundle.Digest(files); got != want {
			t.Fatalf("%v: %s, want %s", files, got, want)
		}
	}
}

func TestWriteRead(t *testing.T) {
	files := sample()
	slices.Reverse(files)
	var b, again bytes.Buffer
	d, err := bundle.Write(&b, files, key(1), signedAt.Add(time.Millisecond).In(time.FixedZone("x", 3600)))
	check(t, err)
	_, err = bundle.Write(&again, sample(), key(1), signedAt)
	check(t, err)
	if !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Error("the bytes depend on order or zone")
	}
	if d != bundle.Digest(files) {
		t.Error("another digest than Digest gives")
	}
	got, err := read(b.Bytes(), public(2), public(1))
	check(t, err)
	want := &bundle.Bundle{
		Digest: d, Files: set("lists.yaml", "kind: ValueList\n", "prod/gate.yaml", "kind: Policy\n", "prod/ünï.yaml", ""),
		Key: public(1), KeyID: signing.ID(public(1)), SignedAt: signedAt, Trusted: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got.Digest != bundle.Digest(got.Files) {
		t.Error("what was read has another digest")
	}
	// What was read is written again as it was.
	if !bytes.Equal(write(t, got.Files), b.Bytes()) {
		t.Error("written again it is another file")
	}
	if _, err := bundle.Write(broken{}, files, key(1), signedAt); !errors.Is(err, errBroken) {
		t.Error(err)
	}
	if _, err := bundle.Read(broken{}, 100, nil); !errors.Is(err, errBroken) {
		t.Error(err)
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Write([]byte) (int, error)         { return 0, errBroken }
func (broken) ReadAt([]byte, int64) (int, error) { return 0, errBroken }

func TestWhoSigned(t *testing.T) {
	signed := write(t, sample())
	var b bytes.Buffer
	d, err := bundle.WriteUnsigned(&b, sample())
	check(t, err)
	unsigned := b.Bytes()

	_, err = read(signed, public(2))
	if !errors.Is(err, bulwark.ErrDigest) || !strings.Contains(err.Error(), signing.ID(public(1))) || !strings.Contains(err.Error(), signing.ID(public(2))) || !strings.Contains(err.Error(), "compare the id") {
		t.Error(err)
	}
	if _, err = read(signed); !errors.Is(err, bulwark.ErrDigest) || !strings.Contains(err.Error(), "no key is trusted") {
		t.Error(err)
	}
	if _, err = read(unsigned, public(1)); !errors.Is(err, bulwark.ErrDigest) || !strings.Contains(err.Error(), "not signed") {
		t.Error(err)
	}
	got, err := readUnsafe(unsigned)
	check(t, err)
	if got.Key != nil || got.KeyID != "" || got.Trusted || !got.SignedAt.IsZero() || got.Digest != d {
		t.Errorf("%+v", got)
	}
	got, err = readUnsafe(signed)
	check(t, err)
	if !got.Key.Equal(public(1)) || got.Trusted || got.Digest != d {
		t.Errorf("%+v", got)
	}
	for _, k := range []ed25519.PrivateKey{nil, make([]byte, 5)} {
		if _, err := bundle.Write(io.Discard, sample(), k, signedAt); !errors.Is(err, bulwark.ErrUsage) {
			t.Error(err)
		}
	}
	if _, err := bundle.Write(io.Discard, sample(), key(1), time.Time{}); !errors.Is(err, bulwark.ErrUsage) {
		t.Error(err)
	}
}

func TestWriteWrong(t *testing.T) {
	many := make([]bundle.File, bundle.MaxFiles+1)
	for i := range many {
		many[i].Name = fmt.Sprint(i)
	}
	for name, tc := range map[string]struct {
		files []bundle.File
		want  error
		text  string
	}{
		"none":            {nil, bulwark.ErrUsage, "no policy files"},
		"twice":           {set("a", "1", "a", "2"), bulwark.ErrUsage, "twice"},
		"twice-cleaned":   {set("x/a", "1", "x//a", "2", "b", ""), bulwark.ErrUsage, "twice"},
		"file-and-folder": {set("a", "1", "a/b", "2"), bulwark.ErrUsage, "folder"},
		"climbs":          {set("../../a", "1", "../b", "2"), bulwark.ErrUsage, "clean relative"},
		"mixed":           {set("/a", "1", "b", "2"), bulwark.ErrUsage, "clean relative"},
		"no-name":         {set("", "1"), bulwark.ErrUsage, "clean relative"},
		"control":         {set("a\x1b[2J", "1"), bulwark.ErrUsage, `\x1b`},
		"backslash":       {set(`a\b`, "1"), bulwark.ErrUsage, "clean relative"},
		"not-utf8":        {set("a\xff", "1"), bulwark.ErrUsage, "clean relative"},
		"direction":       {set("a\u202eb", "1"), bulwark.ErrUsage, "clean relative"},
		"long-name":       {set(strings.Repeat("x", 201), "1"), bulwark.ErrTooLarge, "200"},
		"many":            {many, bulwark.ErrTooLarge, "at most 1000"},
		"large":           {[]bundle.File{{Name: "a", Data: make([]byte, 9<<20)}, {Name: "b", Data: make([]byte, 8<<20)}}, bulwark.ErrTooLarge, "together"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := bundle.Write(io.Discard, tc.files, key(1), signedAt)
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
				t.Error(err)
			}
		})
	}
	// Just within the limits.
	long := strings.Repeat("x", 194)
	for i := range many[1:] {
		many[i].Name = fmt.Sprintf("%s%05d", long, i)
	}
	most := append([]bundle.File{{Name: "a", Data: make([]byte, bundle.MaxBytes)}}, many[:bundle.MaxFiles-1]...)
	got, err := read(write(t, most), public(1))
	if err != nil || len(got.Files) != bundle.MaxFiles || got.Digest != bundle.Digest(most) {
		t.Error(err)
	}
}

// TestFlip changes each byte in turn: nobody takes anything else for the set.
func TestFlip(t *testing.T) {
	good := write(t, sample())
	want, err := read(good, public(1))
	check(t, err)
	other := 0
	for i := range good {
		for _, x := range []byte{0x01, 0x80, 0xff} {
			bad := bytes.Clone(good)
			bad[i] ^= x
			got, err := read(bad, public(1))
			if err == nil {
				other++
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("byte %d changed by %#x: -want +got:\n%s", i, x, diff)
				}
			} else if !errors.Is(err, bulwark.ErrDigest) && !errors.Is(err, bulwark.ErrUnsupported) && !errors.Is(err, bulwark.ErrTooLarge) {
				t.Errorf("byte %d changed by %#x: %v", i, x, err)
			}
		}
	}
	if other > 10 { // bits of the frame's head that mean nothing
		t.Errorf("%d changes were not seen", other)
	}
	// In the tar, of a signed bundle and of one that nobody signed, each is seen.
	var b bytes.Buffer
	_, err = bundle.WriteUnsigned(&b, set("a", "1"))
	check(t, err)
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	check(t, err)
	for _, good := range [][]byte{write(t, set("a", "1")), b.Bytes()} {
		plain := unzstd(t, good)
		want, err := readUnsafe(good)
		check(t, err)
		for i := range plain {
			bad := bytes.Clone(plain)
			bad[i] ^= 0x01
			if got, err := readUnsafe(z.EncodeAll(bad, nil)); err == nil && (want.Key != nil || !cmp.Equal(want.Files, got.Files)) {
				t.Errorf("byte %d of the tar: %+v", i, got)
			}
		}
	}
}

func unzstd(t testing.TB, b []byte) []byte {
	t.Helper()
	z, err := zstd.NewReader(nil)
	check(t, err)
	defer z.Close()
	plain, err := z.DecodeAll(b, nil)
	check(t, err)
	return plain
}

func zstdOf(t testing.TB, b []byte, o ...zstd.EOption) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil, append(o, zstd.WithEncoderConcurrency(1))...)
	check(t, err)
	defer z.Close()
	return z.EncodeAll(b, nil)
}

func TestTruncated(t *testing.T) {
	good := write(t, sample())
	plain := unzstd(t, good)
	for n := 0; n < len(good); n = max(2*n, n+1) {
		if _, err := read(good[:n], public(1)); err == nil {
			t.Errorf("%d of %d bytes are taken", n, len(good))
		}
		if _, err := read(good[:len(good)-max(n, 1)], public(1)); err == nil {
			t.Errorf("all but %d bytes are taken", n)
		}
	}
	for n := 0; n < len(plain); n = max(2*n, n+1) {
		if _, err := read(zstdOf(t, plain[:n]), public(1)); err == nil {
			t.Errorf("%d of %d bytes of the tar are taken", n, len(plain))
		}
	}
	// More is promised than there is.
	if _, err := bundle.Read(bytes.NewReader(good), int64(len(good))+1, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if _, err := bundle.Read(bytes.NewReader(good), -1, nil); !errors.Is(err, bulwark.ErrUnsupported) {
		t.Error(err)
	}
}

// A member is one of a tar that somebody else made.
type member struct {
	tar.Header
	data []byte
}

func tarOf(t testing.TB, list ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range list {
		h := m.Header
		h.Size = int64(len(m.data))
		if h.Mode == 0 {
			h.Mode = 0o444
		}
		if h.ModTime.IsZero() {
			h.ModTime = time.Unix(0, 0)
		}
		h.Format = tar.FormatPAX
		check(t, w.WriteHeader(&h))
		_, err := w.Write(m.data)
		check(t, err)
	}
	check(t, w.Close())
	return b.Bytes()
}

// membersOf gives the members of a bundle.
func membersOf(t testing.TB, b []byte) (out []member) {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(unzstd(t, b)))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		check(t, err)
		data, err := io.ReadAll(r)
		check(t, err)
		out = append(out, member{tar.Header{Name: h.Name}, data})
	}
}

func digestOf(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// signedManifest makes a manifest and its signature with any content.
func signedManifest(t testing.TB, change func(map[string]any)) []member {
	t.Helper()
	list := membersOf(t, write(t, sample()))
	var m map[string]any
	check(t, json.Unmarshal(list[0].data, &m))
	change(m)
	text, err := json.Marshal(m)
	check(t, err)
	return resigned(t, list, text)
}

func resigned(t testing.TB, list []member, text []byte) []member {
	t.Helper()
	sig, err := signing.Sign(key(1), "bulwark policy bundle v1", digestOf(text))
	check(t, err)
	list[0].data, list[1].data = text, sig
	return list
}

func TestHostile(t *testing.T) {
	good := write(t, sample())
	list := func() []member { return membersOf(t, good) }
	pack := func(m ...member) []byte { return zstdOf(t, tarOf(t, m...)) }
	file := func(name, text string) member { return member{tar.Header{Name: name}, []byte(text)} }
	with := func(i int, m member) []byte { l := list(); l[i] = m; return pack(l...) }
	plain := unzstd(t, good)
	skippable := append(append([]byte{}, good...), 0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 0)
	link := list()
	link[2].Typeflag, link[2].Linkname, link[2].data = tar.TypeSymlink, "/etc/passwd", nil
	later := list()
	later[2].ModTime = time.Unix(1, 0)
	owner := list()
	owner[2].Uname = "root"
	swapped := list()
	swapped[2], swapped[3] = swapped[3], swapped[2]
	other := membersOf(t, write(t, set("x", "y")))
	for name, tc := range map[string]struct {
		b    []byte
		want error
		text string
	}{
		"empty":              {nil, bulwark.ErrUnsupported, "no policy bundle"},
		"text":               {[]byte("kind: Policy\n"), bulwark.ErrUnsupported, "no policy bundle"},
		"not-zstd":           {plain, bulwark.ErrUnsupported, "no policy bundle"},
		"empty-tar":          {zstdOf(t, nil), bulwark.ErrDigest, ""},
		"database":           {pack(file("bundle.json", "{}")), bulwark.ErrUnsupported, "for databases"},
		"no-checksum":        {zstdOf(t, plain, zstd.WithEncoderCRC(false)), bulwark.ErrDigest, "checksum"},
		"two-frames":         {append(append([]byte{}, good...), good...), bulwark.ErrDigest, "follows"},
		"skippable-frame":    {skippable, bulwark.ErrDigest, "follows"},
		"byte-follows":       {append(append([]byte{}, good...), 0), bulwark.ErrDigest, "follows"},
		"tar-follows":        {zstdOf(t, append(append([]byte{}, plain...), plain...)), bulwark.ErrDigest, ""},
		"zeros-follow":       {zstdOf(t, append(append([]byte{}, plain...), make([]byte, 512)...)), bulwark.ErrDigest, ""},
		"no-signature":       {pack(append(list()[:1:1], list()[2:]...)...), bulwark.ErrDigest, "not signed"},
		"foreign-signature":  {with(1, other[1]), bulwark.ErrDigest, "wrong signature"},
		"foreign-manifest":   {with(0, other[0]), bulwark.ErrDigest, "wrong signature"},
		"signature-not-json": {with(1, file("manifest.sig", "{")), bulwark.ErrDigest, "wrong signature"},
		"signature-spaced":   {with(1, file("manifest.sig", " "+string(list()[1].data))), bulwark.ErrDigest, "wrong signature"},
		"large-signature":    {with(1, file("manifest.sig", strings.Repeat(" ", 2000))), bulwark.ErrTooLarge, "manifest.sig"},
		"large-manifest":     {with(0, file("manifest.json", strings.Repeat(" ", 2<<20))), bulwark.ErrTooLarge, "manifest.json"},
		"file-changed":       {with(2, file("policies/lists.yaml", "kind: ValueList!")), bulwark.ErrDigest, "lists.yaml"},
		"file-renamed":       {with(2, file("policies/list.yaml", "kind: ValueList\n")), bulwark.ErrDigest, "list.yaml"},
		"file-missing":       {pack(list()[:4]...), bulwark.ErrDigest, "2 policy files"},
		"file-more":          {pack(append(list(), file("policies/z", ""))...), bulwark.ErrDigest, "4 policy files"},
		"file-twice":         {pack(append(list(), list()[4])...), bulwark.ErrUnsupported, "twice"},
		"files-swapped":      {pack(swapped...), bulwark.ErrDigest, ""},
		"elsewhere":          {pack(append(list(), file("other/z", ""))...), bulwark.ErrUnsupported, "does not belong"},
		"climbs":             {with(2, file("policies/../../etc/passwd", "")), bulwark.ErrUnsupported, "clean relative"},
		"absolute":           {with(2, file("policies//etc/passwd", "")), bulwark.ErrUnsupported, "clean relative"},
		"link":               {pack(link...), bulwark.ErrDigest, ""},
		"time":               {pack(later...), bulwark.ErrDigest, "not as a bundle"},
		"owner":              {pack(owner...), bulwark.ErrDigest, "not as a bundle"},
		"zeros":              {zstdOf(t, make([]byte, 64<<20)), bulwark.ErrTooLarge, "unpacked"},
		"huge-file":          {with(2, file("policies/lists.yaml", strings.Repeat("x", 16<<20+1))), bulwark.ErrTooLarge, "lists.yaml"},
		"schema":             {pack(signedManifest(t, func(m map[string]any) { m["schema"] = "bulwark.bundle/v2" })...), bulwark.ErrUnsupported, "update bulwark"},
		"no-schema":          {pack(signedManifest(t, func(m map[string]any) { delete(m, "schema") })...), bulwark.ErrUnsupported, "update bulwark"},
		"unknown-member":     {pack(signedManifest(t, func(m map[string]any) { m["expires"] = "2026-01-01T00:00:00Z" })...), bulwark.ErrUnsupported, "update bulwark"},
		"other-digest":       {pack(signedManifest(t, func(m map[string]any) { m["digest"] = "sha256:" + strings.Repeat("0", 64) })...), bulwark.ErrDigest, "manifest names"},
		"no-digest":          {pack(signedManifest(t, func(m map[string]any) { delete(m, "digest") })...), bulwark.ErrDigest, "manifest names"},
		"other-key-id":       {pack(signedManifest(t, func(m map[string]any) { m["keyId"] = "0000000000000000" })...), bulwark.ErrDigest, "manifest names key"},
		"no-time":            {pack(signedManifest(t, func(m map[string]any) { delete(m, "signedAt") })...), bulwark.ErrDigest, "manifest names key"},
		"no-files":           {pack(signedManifest(t, func(m map[string]any) { m["files"] = nil })...), bulwark.ErrDigest, "manifest names 0"},
		"null":               {pack(resigned(t, list(), []byte("null"))...), bulwark.ErrUnsupported, "schema"},
		"not-json":           {pack(resigned(t, list(), []byte("{"))...), bulwark.ErrUnsupported, "manifest"},
		"json-follows":       {pack(resigned(t, list(), append(list()[0].data, "{}"...))...), bulwark.ErrUnsupported, "manifest"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(tc.b, public(1))
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) || len(err.Error()) > 600 {
				t.Error(err)
			}
		})
	}
	// All of it signed, but in a folder that Write would have left out.
	deep := membersOf(t, write(t, set("a", "1")))
	deep[2].Name = "policies/x/a"
	deep = resigned(t, deep, bytes.Replace(deep[0].data, []byte(`"name": "a"`), []byte(`"name": "x/a"`), 1))
	if _, err := read(pack(deep...), public(1)); !errors.Is(err, bulwark.ErrUnsupported) || !strings.Contains(err.Error(), "one folder") {
		t.Error(err)
	}
	if _, err := bundle.Read(endless{}, 1<<40, nil); !errors.Is(err, bulwark.ErrTooLarge) {
		t.Error(err)
	}
}

type endless struct{}

func (endless) ReadAt(p []byte, _ int64) (int, error) { return len(p), nil }

func FuzzRead(f *testing.F) {
	good := write(f, sample())
	f.Add(good)
	f.Add(good[:len(good)/2])
	var b bytes.Buffer
	_, err := bundle.WriteUnsigned(&b, set("a", "1"))
	check(f, err)
	f.Add(b.Bytes())
	f.Add(unzstd(f, good)) // a tar, which the target compresses
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, in := range [][]byte{in, zstdOf(t, in)} {
			if _, err := read(in, public(2)); err == nil {
				t.Fatal("somebody else signed it")
			}
			got, err := readUnsafe(in)
			if err != nil {
				continue
			}
			if got.Digest != bundle.Digest(got.Files) {
				t.Errorf("digest %s of %v", got.Digest, got.Files)
			}
			if _, err := bundle.WriteUnsigned(io.Discard, got.Files); err != nil {
				t.Error(err)
			}
		}
	})
}
