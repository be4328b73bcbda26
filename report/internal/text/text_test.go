// SPDX-License-Identifier: Apache-2.0

package text_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark/report/internal/text"
)

func TestClean(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", "", ""},
		{"ascii", "libc6 2.36-9+deb12u3", "libc6 2.36-9+deb12u3"},
		{"letters", "Ünïcode 包装 ツール", "Ünïcode 包装 ツール"},
		{"escape", "a\x1b[31mb", `a\x1b[31mb`},
		{"c1", "a\u009b31m", `a\u009b31m`},
		{"lines", "a\nb\r\n\tc", `a\nb\r\n\tc`},
		{"bidi", "\u202egnp.exe\u2069", `\u202egnp.exe\u2069`},
		{"invisible", "a\u200bb\u00adc\ufeffd\u3164", `a\u200bb\u00adc\ufeffd\u3164`},
		{"tags", "\U000e0041", `\U000e0041`},
		{"wide-space", "a\u3000b\u00a0c", `a\u3000b\u00a0c`},
		{"not-utf8", "a\xffb\xc3", `a\xffb\xc3`},
		{"accent", "e\u0301", "e\u0301"},
		{"zalgo", "e" + strings.Repeat("\u0301", 50) + "f", "e" + strings.Repeat("\u0301", 4) + "f"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, text.Clean(tt.in)); d != "" {
				t.Error(d)
			}
		})
	}
	if got := text.Block("a\r\n\tb\x1b"); got != "a\n b\\x1b" {
		t.Errorf("Block: %q", got)
	}
	if got := text.ASCII("包b\x1b é"); got != `\u5305b\x1b \u00e9` {
		t.Errorf("ASCII: %q", got)
	}
}

func TestWidths(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "包装": 4, "e\u0301": 1, "한": 2, "…": 1, "✖": 1, "🎉": 2} {
		if got := text.Width(s); got != want {
			t.Errorf("Width(%q) = %d, want %d", s, got, want)
		}
	}
	tests := []struct {
		name, got, want string
	}{
		{"cut", text.Cut("abcdef", 4, "…"), "abc…"},
		{"cut-fits", text.Cut("abcd", 4, "…"), "abcd"},
		{"cut-wide", text.Cut("包装包装", 4, "…"), "包…"},
		{"cut-nothing", text.Cut("abc", 0, "…"), ""},
		{"cut-space", text.Cut("ab cdef", 4, "…"), "ab…"},
		{"left", text.CutLeft("a/b/c.json", 7, "…"), "…c.json"},
		{"left-wide", text.CutLeft("包装a", 4, "…"), "…装a"},
		{"left-nothing", text.CutLeft("abc", 0, "…"), ""},
		{"pad", text.Pad("包", 4), "包  "},
		{"pad-left", text.PadLeft("12", 4), "  12"},
		{"wrap", strings.Join(text.Wrap("aa bb ccccccc d", 5), "|"), "aa bb|ccccc|cc d"},
		{"wrap-empty", strings.Join(text.Wrap("", 5), "|"), ""},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

func TestNumbers(t *testing.T) {
	tests := []struct{ got, want string }{
		{text.Count(0), "0"}, {text.Count(999), "999"}, {text.Count(1000), "1,000"}, {text.Count(-1234567), "-1,234,567"},
		{text.Bytes(999), "999 B"}, {text.Bytes(1500), "1.5 kB"}, {text.Bytes(999_999), "1.0 MB"}, {text.Bytes(142_000_000), "142 MB"}, {text.Bytes(1 << 62), "4612 PB"},
		{text.Age(-1), "unknown age"}, {text.Age(60), "60 seconds"}, {text.Age(3 * 3600), "3 hours"}, {text.Age(1 << 40), "12,725,829 days"},
		{text.Duration(85), "85 ms"}, {text.Duration(3240), "3.2 s"}, {text.Duration(250_000), "4 min 10 s"},
		{text.Plural(1, "layer", "layers"), "1 layer"}, {text.Plural(0, "layer", "layers"), "0 layers"},
		{text.Quote("a/b:1.2@sha256:0"), "a/b:1.2@sha256:0"}, {text.Quote("a'; rm -rf $HOME"), `'a'\''; rm -rf $HOME'`}, {text.Quote("-x"), "'-x'"}, {text.Quote(""), "''"},
		{text.HTTPS("https://example.org/a?b#c"), "https://example.org/a?b#c"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
	for _, u := range []string{"", "http://a/", "https://", "https:///a", "https://u@a/", "javascript:alert(1)", "https://a/\"", "https://a/ b", "https://a/\u202e", "HTTPS://a/"} {
		if text.HTTPS(u) != "" {
			t.Errorf("%q passes", u)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\x1b\u202e\xff", 7)
	f.Fuzz(func(t *testing.T, s string, width int) {
		width %= 300
		c := text.Clean(s)
		for _, r := range c {
			if !text.Safe(r) {
				t.Fatalf("%U in %q", r, c)
			}
		}
		if text.Clean(c) != c {
			t.Errorf("cleaning twice changes %q", c)
		}
		for _, got := range []string{text.Cut(c, width, "…"), text.CutLeft(c, width, "…")} {
			if text.Width(got) > max(width, 0) {
				t.Errorf("%q has %d columns, not %d", got, text.Width(got), width)
			}
		}
		for _, l := range text.Wrap(c, width) {
			if text.Width(l) > max(width, 2) {
				t.Errorf("line %q has %d columns, not %d", l, text.Width(l), width)
			}
		}
		for _, r := range text.ASCII(s) {
			if r >= utf8.RuneSelf {
				t.Errorf("%U in ASCII", r)
			}
		}
	})
}

func FuzzJSONWriter(f *testing.F) {
	f.Add("a\x1b\u202e\U000e0041\xff\u007f", 3)
	f.Fuzz(func(t *testing.T, s string, chunk int) {
		in, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		w := text.NewJSONWriter(&out)
		step := 1 + (chunk%7+7)%7
		for b := in; len(b) > 0; b = b[min(step, len(b)):] {
			if _, err := w.Write(b[:min(step, len(b))]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		var was, is string
		if err := json.Unmarshal(in, &was); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out.Bytes(), &is); err != nil {
			t.Fatalf("%q: %v", out.Bytes(), err)
		}
		if was != is {
			t.Errorf("%q became %q", was, is)
		}
		for _, r := range out.String() {
			if !text.Safe(r) {
				t.Errorf("%U came through", r)
			}
		}
	})
}
