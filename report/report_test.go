// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/jsonreport"
	"github.com/bulwark-sec/bulwark/report/table"
)

var update = flag.Bool("update", false, "write the golden files")

func load(t testing.TB, name string) *bulwark.Report {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := jsonreport.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// forms are the formats under test: all of the list, and the forms of the table
// that a terminal gets.
func forms() map[string]report.Format {
	m := map[string]report.Format{
		"table-60":       table.Format{Width: 60, Unicode: true},
		"table-80":       table.Format{Width: 80, Unicode: true, Color: true},
		"table-140":      table.Format{Width: 140, Unicode: true, Color: true},
		"table-all":      table.Format{Width: 200, Unicode: true, Limit: -1},
		"table-narrow":   table.Format{Width: 1, Limit: 3},
		"table-quick":    table.Format{Width: 80, Unicode: true, Color: true, Quick: true, Rows: 24},
		"table-quick-40": table.Format{Width: 100, Quick: true, Rows: 40},
	}
	for _, f := range report.Formats() {
		m[f.Name()] = f
	}
	return m
}

func write(t testing.TB, f report.Format, r *bulwark.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	for _, fixture := range []string{"report", "clean", "empty"} {
		r := load(t, fixture)
		for name, f := range forms() {
			t.Run(fixture+"/"+name, func(t *testing.T) {
				if name == "vuln-attestation" && !r.Artifact.ID.Valid() {
					if err := f.Write(io.Discard, r); !errors.Is(err, bulwark.ErrUnsupported) {
						t.Errorf("an attestation about nothing: %v", err)
					}
					return
				}
				got := write(t, f, r)
				if got != write(t, f, r) {
					t.Error("the second writing differs from the first")
				}
				if d := cmp.Diff(load(t, fixture), r); d != "" {
					t.Errorf("the report was changed (-want +got):\n%s", d)
				}
				if name == "json" { // the fixture is its own golden file
					want, err := os.ReadFile(filepath.Join("testdata", fixture+".json"))
					if err != nil {
						t.Fatal(err)
					}
					if d := cmp.Diff(string(want), got); d != "" {
						t.Error(d)
					}
					return
				}
				golden := filepath.Join("testdata", "golden", fixture+"."+name)
				if *update {
					if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(string(want), got); d != "" {
					t.Errorf("%s (-want +got; write with -update):\n%s", golden, d)
				}
			})
		}
	}
}

// TestNothingActs looks for anything in any output that would act on a terminal
// or turn the writing direction.
func TestNothingActs(t *testing.T) {
	r := load(t, "report")
	for name, f := range forms() {
		t.Run(name, func(t *testing.T) {
			out := write(t, f, r)
			if !utf8.ValidString(out) {
				t.Error("not UTF-8")
			}
			if tf, ok := f.(table.Format); ok && tf.Color {
				out = withoutColor(out)
			}
			for i, c := range out {
				if c != '\n' && !(c == '\t' && (name == "plain" || name == "html")) && !(c == '\r' && name == "csv" && strings.HasPrefix(out[i:], "\r\n")) && !text.Safe(c) && !mark(c) {
					t.Fatalf("%U at %d: %q", c, i, out[max(0, i-60):min(len(out), i+60)])
				}
			}
			if name == "plain" || strings.HasPrefix(name, "table") {
				for line := range strings.Lines(out) {
					if strings.TrimRight(line, " \n") != strings.TrimRight(line, "\n") {
						t.Errorf("spaces at the end of %q", line)
					}
				}
			}
		})
	}
}

func mark(r rune) bool { return r >= 0x300 && r < 0x370 }

// withoutColor takes the colours of the table away, and nothing else.
func withoutColor(s string) string {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(s, "\x1b[")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		digits := strings.TrimLeft(after, "0123456789;")
		if !strings.HasPrefix(digits, "m") {
			b.WriteString("\x1b[")
			s = after
			continue
		}
		s = digits[1:]
	}
}

// TestColorIsNoLayout: the coloured table is the plain table with colour.
func TestColorIsNoLayout(t *testing.T) {
	r := load(t, "report")
	for _, width := range []int{60, 80, 100, 140, 200} {
		bare := write(t, table.Format{Width: width, Unicode: true}, r)
		color := withoutColor(write(t, table.Format{Width: width, Unicode: true, Color: true}, r))
		// The verdict is in brackets where it has no background.
		bare = strings.NewReplacer("[FAIL]", " FAIL ").Replace(bare)
		if d := cmp.Diff(bare, color); d != "" {
			t.Errorf("width %d:\n%s", width, d)
		}
	}
}

func TestWidthIsKept(t *testing.T) {
	for _, fixture := range []string{"report", "clean", "empty"} {
		r := load(t, fixture)
		for width := 60; width <= 200; width += 7 {
			for _, uni := range []bool{true, false} {
				for line := range strings.Lines(write(t, table.Format{Width: width, Unicode: uni}, r)) {
					line = strings.TrimRight(line, "\n")
					if strings.Contains(line, "$ ") { // commands are whole, so that they can be copied
						continue
					}
					if n := text.Width(line); n > width {
						t.Errorf("%s, width %d: %d columns: %q", fixture, width, n, line)
					}
				}
			}
		}
	}
}

// TestQuickFits: the quick view leaves one row of the screen to the prompt, and
// no line of it is wider than the screen.
func TestQuickFits(t *testing.T) {
	many := big(300)
	for i := range 40 {
		many.Actions = append(many.Actions, bulwark.Action{Title: strings.Repeat("long ", 60), Command: strings.Repeat("x", i*10), Findings: []string{"x"}})
		many.Findings = append(many.Findings, bulwark.Finding{Class: bulwark.Class(fmt.Sprintf("class-%d", i)), Rule: strings.Repeat("包", 90), Severity: bulwark.SeverityCritical})
		many.Decision.Reasons = append(many.Decision.Reasons, bulwark.Reason{Rule: "r", Detail: strings.Repeat("words ", 40)})
	}
	many.Database.Uncovered = []string{strings.Repeat("Alpine:v3.20", 20)}
	many.Database.Stale, many.Database.Starter, many.Scan.Interrupted = true, true, true
	many.Artifact.Name = strings.Repeat("registry.example/", 30)
	others := *many // the same without an open vulnerability
	others.Findings = slices.DeleteFunc(slices.Clone(many.Findings), func(f bulwark.Finding) bool { return f.Class == bulwark.ClassVulnerability })
	for name, r := range map[string]*bulwark.Report{"report": load(t, "report"), "clean": load(t, "clean"), "empty": load(t, "empty"), "many": many, "others": &others} {
		for _, rows := range []int{0, 25, 40} {
			for _, width := range []int{60, 80, 140} {
				out := write(t, table.Format{Width: width, Unicode: rows%20 == 0, Quick: true, Rows: rows}, r)
				if n := strings.Count(out, "\n"); n >= max(rows, 24) {
					t.Errorf("%s, %d rows of %d: %d lines", name, rows, width, n)
				}
				for line := range strings.Lines(out) {
					if n := text.Width(strings.TrimRight(line, "\n")); n > width {
						t.Errorf("%s, width %d: %d columns: %q", name, width, n, line)
					}
				}
				if !strings.Contains(out, "--full") || !strings.Contains(out, "database") {
					t.Errorf("%s: it does not say where all of it is, or what was known", name)
				}
			}
		}
	}
}

func TestHonest(t *testing.T) {
	tests := []struct {
		name string
		edit func(*bulwark.Report)
		want string
	}{
		{"clean", func(*bulwark.Report) {}, "None that the database knows for 5 packages."},
		{"starter", func(r *bulwark.Report) { r.Database.Starter, r.Database.Advisories = true, 150 }, "starter set. All others were not looked for"},
		{"no-database", func(r *bulwark.Report) { r.Database = bulwark.Database{AgeSeconds: -1} }, "NO DATABASE"},
		{"stale", func(r *bulwark.Report) { r.Database.Stale, r.Database.AgeSeconds = true, 9*86400 }, "None that was known 9 days ago"},
		{"uncovered", func(r *bulwark.Report) { r.Database.Uncovered = []string{"Alpine:v3.20"} }, "Not asked: Alpine:v3.20."},
		{"no-packages", func(r *bulwark.Report) { r.Inventory.Packages = nil }, "nothing to look up"},
		{"gaps", func(r *bulwark.Report) {
			r.Inventory.Gaps = []bulwark.Gap{{Kind: bulwark.GapLimit, Hides: true}}
		}, "Gaps may hide packages."},
		{"no-version", func(r *bulwark.Report) { r.Inventory.Packages[0].Version = "" }, "declared no version"},
		{"interrupted", func(r *bulwark.Report) { r.Scan.Interrupted = true }, "interrupted"},
		{"undecided", func(r *bulwark.Report) { r.Decision = bulwark.Decision{} }, "NO VERDICT"},
		{"odd-verdict", func(r *bulwark.Report) { r.Decision.Verdict = "splendid" }, "NO VERDICT"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := load(t, "clean")
			tt.edit(r)
			for _, f := range []report.Format{table.Format{Width: 200}, table.Format{Width: 200, Quick: true}, mustName(t, "plain"), mustName(t, "html")} {
				out := strings.Join(strings.Fields(write(t, f, r)), " ")
				if tf, ok := f.(table.Format); ok && tf.Quick && tt.name == "no-version" {
					continue // a small matter, for the whole table
				}
				if !strings.Contains(out, tt.want) {
					t.Errorf("%s does not say %q", f.Name(), tt.want)
				}
				if strings.Contains(strings.ToLower(out), "no vulnerabilities") {
					t.Errorf("%s says that there are no vulnerabilities, which nobody can know", f.Name())
				}
			}
		})
	}
}

func mustName(t testing.TB, name string) report.Format {
	t.Helper()
	f, err := report.ByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestByName(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range report.Formats() {
		if seen[f.Name()] {
			t.Errorf("%q is there twice", f.Name())
		}
		seen[f.Name()] = true
		if got := mustName(t, f.Name()); got != f {
			t.Errorf("%q gives %v", f.Name(), got)
		}
	}
	_, err := report.ByName("yaml\x1b")
	if !errors.Is(err, bulwark.ErrUsage) || !strings.Contains(err.Error(), "sarif") || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("error %q", err)
	}
}

// failing takes some bytes and then fails.
type failing struct{ left int }

var errFull = errors.New("disk full")

func (f *failing) Write(p []byte) (int, error) {
	if len(p) > f.left {
		return f.left, errFull
	}
	f.left -= len(p)
	return len(p), nil
}

func TestWriteErrorIsTold(t *testing.T) {
	r := load(t, "report")
	for name, f := range forms() {
		for _, left := range []int{0, 500} {
			if err := f.Write(&failing{left}, r); !errors.Is(err, errFull) {
				t.Errorf("%s after %d bytes: error %v", name, left, err)
			}
		}
	}
}

// big gives a report with that many packages and twice as many findings.
func big(packages int) *bulwark.Report {
	r := &bulwark.Report{Schema: bulwark.ReportSchema, Advisories: map[string]bulwark.Advisory{}}
	r.Database.Advisories = 1
	r.Artifact.ID = bulwark.Digest("sha256:" + strings.Repeat("b1", 32))
	for i := range packages {
		p := bulwark.Package{
			PURL: fmt.Sprintf("pkg:deb/debian/p%d@1.0?arch=amd64", i), Name: fmt.Sprintf("p%d", i), Version: "1.0", Ecosystem: "Debian:12",
			Source: fmt.Sprintf("s%d", i/3), Licenses: []string{"MIT", "GPL-2+"}, By: "dpkg", Where: []bulwark.Location{{Path: "var/lib/dpkg/status"}},
		}
		r.Inventory.Packages = append(r.Inventory.Packages, p)
		for j := range 2 {
			rule := fmt.Sprintf("CVE-2024-%d", (i+j)%(packages/5+1))
			r.Advisories[rule] = bulwark.Advisory{ID: rule, Summary: "something is wrong", Details: strings.Repeat("long words ", 20), Severity: bulwark.SeverityHigh}
			f := bulwark.Finding{Class: bulwark.ClassVulnerability, Rule: rule, Subject: p.PURL, Severity: bulwark.Severity(i % 6), Fix: "1.1", Evidence: []bulwark.Evidence{{Location: p.Where[0], Detail: "before 1.1"}}}
			f.ID = bulwark.FindingID(f.Class, f.Rule, f.Subject)
			r.Findings = append(r.Findings, f)
		}
		r.Inventory.Gaps = append(r.Inventory.Gaps, bulwark.Gap{Kind: bulwark.GapLimit, Path: p.Name})
	}
	return r
}

// TestLinear compares the memory for a report and for one four times as large.
func TestLinear(t *testing.T) {
	small, large := big(500), big(2000)
	for _, f := range report.Formats() {
		a, b := allocated(t, f, small), allocated(t, f, large)
		if b > 5*a+1<<20 {
			t.Errorf("%s: %d bytes for 500 packages, %d for 2,000", f.Name(), a, b)
		}
	}
}

// allocated gives the bytes that one writing allocates.
func allocated(t testing.TB, f report.Format, r *bulwark.Report) int64 {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := f.Write(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

func BenchmarkWrite(b *testing.B) {
	r := big(50_000)
	for _, f := range report.Formats() {
		b.Run(f.Name(), func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				if err := f.Write(io.Discard, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
