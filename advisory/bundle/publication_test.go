// SPDX-License-Identifier: Apache-2.0

package bundle_test

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory/bundle"
)

func anybody(ed25519.PublicKey) error { return nil }

func digest(c string) bulwark.Digest { return bulwark.Digest("sha256:" + strings.Repeat(c, 64)) }

// sources gives a source for each file of a generation.
func sources(g *bundle.Generation) []bundle.Source {
	var out []bundle.Source
	for _, f := range g.Files {
		out = append(out, bundle.Source{Name: f.Name, Digest: f.Digest, Whole: bundle.Blob{Digest: digest("a"), Size: 100}, Steps: []bundle.Step{
			{From: digest("1"), Blob: bundle.Blob{Digest: digest("b"), Size: 60}},
			{From: digest("2"), Blob: bundle.Blob{Digest: digest("c"), Size: 50}},
			{From: digest("3"), Blob: bundle.Blob{Digest: digest("d"), Size: 10}},
		}})
	}
	return out
}

func TestPublication(t *testing.T) {
	g := publish(t, t.TempDir(), now, map[string]string{"a": "one <&>", "b": "two"})
	text, err := g.Publish(sources(g))
	if err != nil {
		t.Fatal(err)
	}
	p, got, err := bundle.ParsePublication(text, anybody)
	if err != nil || got.ID != g.ID {
		t.Fatal(err)
	}
	if d := cmp.Diff(sources(g), p.Files); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[bulwark.Digest]int64{digest("a"): 100, digest("b"): 60, digest("c"): 50, digest("d"): 10}, p.Blobs()); d != "" {
		t.Error(d)
	}
	s := p.Source("a")
	for from, want := range map[string]int{"1": 0, "2": 2, "3": 1, "4": 0} { // from 1 on it is more than the whole
		if got := s.From(digest(from)); len(got) != want {
			t.Errorf("from %s: %d steps, want %d", from, len(got), want)
		}
	}
	if p.Source("c") != nil {
		t.Error("a source for a file that is not there")
	}
	no := errors.New("no")
	if _, _, err := bundle.ParsePublication(text, func(ed25519.PublicKey) error { return no }); !errors.Is(err, no) {
		t.Error(err)
	}
	for name, edit := range map[string]func(p *bundle.Publication){
		"format":       func(p *bundle.Publication) { p.Format = 2 },
		"manifest":     func(p *bundle.Publication) { p.Manifest = strings.Replace(p.Manifest, "2026", "2027", 1) },
		"signature":    func(p *bundle.Publication) { p.Signature = "{}" },
		"missing":      func(p *bundle.Publication) { p.Files = p.Files[1:] },
		"more":         func(p *bundle.Publication) { p.Files = append(p.Files, p.Files[0]) },
		"order":        func(p *bundle.Publication) { p.Files[0], p.Files[1] = p.Files[1], p.Files[0] },
		"other-digest": func(p *bundle.Publication) { p.Files[0].Digest = digest("f") },
		"blob-digest":  func(p *bundle.Publication) { p.Files[0].Whole.Digest = "../../etc/passwd" },
		"blob-sha512": func(p *bundle.Publication) {
			p.Files[0].Whole.Digest = bulwark.Digest("sha512:" + strings.Repeat("a", 128))
		},
		"blob-negative": func(p *bundle.Publication) { p.Files[0].Whole.Size = -1 },
		"blob-empty":    func(p *bundle.Publication) { p.Files[0].Whole.Size = 0 },
		"blob-huge":     func(p *bundle.Publication) { p.Files[0].Whole.Size = 1 << 40 },
		"step-huge":     func(p *bundle.Publication) { p.Files[0].Steps[1].Size = 1 << 40 },
		"step-from":     func(p *bundle.Publication) { p.Files[0].Steps[1].From = "x" },
		"steps":         func(p *bundle.Publication) { p.Files[0].Steps = make([]bundle.Step, bundle.MaxSteps+1) },
	} {
		t.Run(name, func(t *testing.T) {
			var p bundle.Publication
			if err := json.Unmarshal(text, &p); err != nil {
				t.Fatal(err)
			}
			edit(&p)
			bad, err := json.Marshal(&p)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := bundle.ParsePublication(bad, anybody); err == nil {
				t.Error("taken")
			}
		})
	}
	for n := range text {
		if _, _, err := bundle.ParsePublication(text[:n], anybody); err == nil {
			t.Fatalf("%d of %d bytes are taken for all", n, len(text))
		}
	}
	if _, _, err := bundle.ParsePublication(make([]byte, bundle.MaxIndex+1), anybody); !errors.Is(err, bulwark.ErrTooLarge) {
		t.Error(err)
	}
}

func FuzzPublication(f *testing.F) {
	g := publish(f, f.TempDir(), now, map[string]string{"a": "one", "b": "two"})
	text, err := g.Publish(sources(g))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, got, err := bundle.ParsePublication(b, anybody)
		if err != nil {
			return
		}
		if got.ID != g.ID {
			t.Errorf("%s is taken", got.ID)
		}
		for _, file := range got.Files {
			if s := p.Source(file.Name); s == nil || s.Digest != file.Digest {
				t.Errorf("no source for %q", file.Name)
			}
		}
		p.Blobs()
	})
}
