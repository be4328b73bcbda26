// SPDX-License-Identifier: Apache-2.0

package inline_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check/inline"
)

// said writes suppressions as the fixtures have them.
func said(list []bulwark.Suppression) string {
	var out strings.Builder
	for _, s := range list {
		fmt.Fprintf(&out, "%d %q", s.Line, s.Rule)
		if s.Until != "" {
			fmt.Fprintf(&out, " until=%s", s.Until)
		}
		if s.Reason != "" {
			fmt.Fprintf(&out, " reason=%q", s.Reason)
		}
		if s.Owner != "" {
			fmt.Fprintf(&out, " owner=%q", s.Owner)
		}
		if s.Fault != "" {
			fmt.Fprintf(&out, " FAULT %q", s.Fault)
		}
		fmt.Fprintln(&out)
	}
	return out.String()
}

func fixtures(t testing.TB) []txtar.File {
	t.Helper()
	a, err := txtar.ParseFile("testdata/comments.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Files) == 0 || len(a.Files)%2 != 0 {
		t.Fatalf("%d files", len(a.Files))
	}
	return a.Files
}

func TestRead(t *testing.T) {
	files := fixtures(t)
	for i := 0; i < len(files); i += 2 {
		in, want := files[i], string(files[i+1].Data)
		t.Run(in.Name, func(t *testing.T) {
			for what, data := range map[string]string{
				"as is": string(in.Data), "without a last line feed": strings.TrimSuffix(string(in.Data), "\n"),
				"of Windows": strings.ReplaceAll(string(in.Data), "\n", "\r\n"), "with a mark": "\xef\xbb\xbf" + string(in.Data),
			} {
				got, err := inline.Read(in.Name, 0, []byte(data))
				if err != nil {
					t.Fatal(what, err)
				}
				if d := cmp.Diff(want, said(got)); d != "" {
					t.Errorf("%s:\n%s", what, d)
				}
				for _, s := range got {
					if s.Path != in.Name || s.Layer != "" {
						t.Errorf("it lies in %+v", s.Location)
					}
				}
			}
		})
	}
}

func TestReadFrom(t *testing.T) {
	got, err := inline.Read("a", 40, []byte("x\n# bulwark:ignore R\n"))
	if err != nil || len(got) != 1 || got[0].Line != 41 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReadBinary(t *testing.T) {
	text := "# bulwark:ignore R\n"
	for _, tc := range []struct {
		data string
		want int
	}{
		{text, 1},
		{text + strings.Repeat("x", 8<<10) + "\x00", 1},
		{text + "\x00", 0},
		{"\x00" + text, 0},
		{"", 0},
		{"bulwark:ignor", 0},
	} {
		got, err := inline.Read("a", 1, []byte(tc.data))
		if err != nil || len(got) != tc.want || inline.Has([]byte(tc.data)) != (tc.want > 0) {
			t.Errorf("%.40q: %+v, %v", tc.data, got, err)
		}
	}
}

// TestReadBounds holds each bound: what lies beyond it is told.
func TestReadBounds(t *testing.T) {
	long := strings.Repeat("x", 4<<10)
	for _, tc := range []struct{ name, data, fault string }{
		{"comment-beyond", `"` + long + `" // bulwark:ignore R`, "it lies beyond the first 4096 bytes of its line"},
		{"comment-across", "# bulwark:ignore R reason='" + long + "'", "it goes on beyond the first 4096 bytes of its line"},
		{"mark-across", strings.Repeat("x", 4<<10-5) + "#bulwark:ignore R", "it goes on beyond the first 4096 bytes of its line"},
		{"reason", "# bulwark:ignore R reason='" + long[:1001] + "'", "the reason has more than 1000 bytes"},
		{"owner", "# bulwark:ignore R owner=" + long[:201], "the owner has more than 200 bytes"},
		{"rule", "# bulwark:ignore " + long[:201], "the rule has more than 200 bytes"},
		{"cut-letter", "# bulwark:ignore R reason='" + long[:999] + "éé'", "the reason has more than 1000 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := inline.Read("a", 1, []byte(tc.data+"\n# bulwark:ignore next\n"))
			if err != nil || len(got) != 2 {
				t.Fatalf("%+v, %v", got, err)
			}
			if d := cmp.Diff(tc.fault, got[0].Fault); d != "" {
				t.Error(d)
			}
			if got[1].Rule != "next" || got[1].Fault != "" || got[1].Line != 2 {
				t.Errorf("the next one: %+v", got[1])
			}
		})
	}
	// A comment of a line that goes on behind it is whole.
	got, err := inline.Read("a", 1, []byte("/* bulwark:ignore R */"+long+"/* bulwark:ignore S */"))
	if err != nil || said(got[:1]) != "1 \"R\"\n" || len(got) != 2 || got[1].Fault == "" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReadTooMany(t *testing.T) {
	one := "# bulwark:ignore A,B,C\n"
	for name, tc := range map[string]struct {
		data string
		want int
		fail bool
	}{
		"all":       {strings.Repeat(one, 333) + "# bulwark:ignore D\n", 1000, false},
		"many":      {strings.Repeat(one, 334), 1000, true},
		"at-end":    {strings.Repeat("\n", inline.MaxFile-10) + one, 3, false},
		"beyond":    {one + strings.Repeat("\n", inline.MaxFile) + one, 3, true},
		"mentioned": {one + strings.Repeat("\n", inline.MaxFile) + `"bulwark:ignore"`, 3, false},
	} {
		got, err := inline.Read("a", 1, []byte(tc.data))
		if len(got) != tc.want || errors.Is(err, bulwark.ErrTooLarge) != tc.fail || (err != nil) != tc.fail {
			t.Errorf("%s: %d, %v", name, len(got), err)
		}
	}
}

// TestReadHostile holds that what nobody writes costs little.
func TestReadHostile(t *testing.T) {
	fill := func(s string) []byte { return []byte(strings.Repeat(s, inline.MaxFile/len(s))) }
	for name, data := range map[string][]byte{
		"one-line-of-marks":      fill("bulwark:ignore"),
		"one-line-of-mentions":   fill(`"bulwark:ignore `),
		"blanks-and-marks":       fill(strings.Repeat(" ", 3000) + "bulwark:ignore"),
		"mentions-after-a-sign":  fill("# x " + strings.Repeat("bulwark:ignored ", 200) + "\n"),
		"mentions-without-sign":  fill("x " + strings.Repeat("bulwark:ignore ", 250) + "\n"),
		"comments-of-words":      fill("/* bulwark:ignored */"),
		"unended-comments":       fill("/* bulwark:ignored "),
		"rules":                  append([]byte("# bulwark:ignore "), fill("a,")...),
		"commas":                 append([]byte("# bulwark:ignore "), fill(", ")...),
		"keys":                   append([]byte("# bulwark:ignore R "), fill("a=b ")...),
		"quotes":                 append([]byte("# bulwark:ignore R "), fill(`a="" `)...),
		"lines":                  fill("#bulwark:ignore\n"),
		"line-feeds-then-a-mark": append(fill("\n"), "# bulwark:ignore R"...),
	} {
		start := time.Now()
		got, err := inline.Read("a.js", 1, data)
		if err != nil && !errors.Is(err, bulwark.ErrTooLarge) || len(got) > inline.MaxCount {
			t.Errorf("%s: %d, %v", name, len(got), err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

// TestReadTruncated holds that no cut makes a comment say more than the whole: it
// may lose its end.
func TestReadTruncated(t *testing.T) {
	for _, f := range fixtures(t) {
		for n := range f.Data {
			if _, err := inline.Read(f.Name, 1, f.Data[:n]); err != nil {
				t.Fatalf("%s, %d bytes: %v", f.Name, n, err)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, file := range fixtures(f) {
		f.Add(file.Name, file.Data)
	}
	f.Add("a", []byte("#bulwark:ignore \xff\xfe reason=\"\xc3"))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		list, err := inline.Read(name, 1, data)
		if err != nil && !errors.Is(err, bulwark.ErrTooLarge) {
			t.Fatal(err)
		}
		if len(list) > inline.MaxCount || len(list) > 0 && !inline.Has(data) {
			t.Errorf("%d suppressions", len(list))
		}
		lines, last := 1+strings.Count(string(data), "\n"), 1
		for _, s := range list {
			switch {
			case s.Line < last || s.Line > lines:
				t.Errorf("line %d after %d of %d", s.Line, last, lines)
			case s.Rule == "" && s.Fault == "":
				t.Errorf("neither rule nor fault: %+v", s)
			case len(s.Rule) > 800 || len(s.Reason) > 4000 || len(s.Owner) > 800 || len(s.Fault) > 1000:
				t.Errorf("over-long: %+v", s)
			case !utf8.ValidString(s.Rule + s.Reason + s.Owner + s.Until + s.Fault):
				t.Errorf("not UTF-8: %#v", s)
			}
			if _, err := time.Parse(time.DateOnly, s.Until); s.Until != "" && err != nil {
				t.Error(err)
			}
			last = s.Line
		}
	})
}
