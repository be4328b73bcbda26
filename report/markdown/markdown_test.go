// SPDX-License-Identifier: Apache-2.0

package markdown_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/markdown"
)

func load(t testing.TB, name string) *bulwark.Report {
	t.Helper()
	b, err := os.ReadFile("../testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	r := new(bulwark.Report)
	if err := json.Unmarshal(b, r); err != nil {
		t.Fatal(err)
	}
	return r
}

func write(t testing.TB, f markdown.Format, r *bulwark.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// big gives a report with n findings of each kind.
func big(n int) *bulwark.Report {
	r := &bulwark.Report{Advisories: map[string]bulwark.Advisory{"CVE-1": {Summary: strings.Repeat("words ", 100)}}}
	for i := range n {
		p := bulwark.Package{PURL: fmt.Sprintf("pkg:npm/p%d@1", i), Name: fmt.Sprintf("p%d", i), Version: "1"}
		r.Inventory.Packages = append(r.Inventory.Packages, p)
		r.Findings = append(r.Findings,
			bulwark.Finding{ID: p.Name, Class: bulwark.ClassVulnerability, Rule: "CVE-1", Subject: p.PURL, Severity: bulwark.SeverityHigh},
			bulwark.Finding{ID: "s" + p.Name, Class: bulwark.ClassSecret, Rule: "secret/x", Subject: p.Name, Severity: bulwark.SeverityLow},
			bulwark.Finding{ID: "c" + p.Name, Class: bulwark.ClassSecret, Rule: "secret/x", Subject: p.Name, Status: bulwark.Status{State: "accepted"}})
		r.Inventory.Gaps = append(r.Inventory.Gaps, bulwark.Gap{Kind: bulwark.GapLimit, Path: p.Name})
	}
	return r
}

// TestLimit: the text fits, and says what it left out.
func TestLimit(t *testing.T) {
	for _, n := range []int{0, 1, 50, 1000, 5000} {
		for _, limit := range []int{0, 1, 4_000, 10_000, 65_000} {
			out := write(t, markdown.Format{Limit: limit}, big(n))
			most := max(limit, 4_000)
			if limit == 0 {
				most = 60_000
			}
			if len(out) > most {
				t.Errorf("%d findings, limit %d: %d bytes", n, limit, len(out))
			}
			rows := 0
			for line := range strings.Lines(out) {
				if strings.HasPrefix(line, "| high |") || strings.HasPrefix(line, "| low |") || strings.HasPrefix(line, "| accepted |") || strings.HasPrefix(line, "| limit |") {
					rows++
				}
			}
			said := strings.Contains(out, fmt.Sprintf("**%s did not fit in this text.**", entries(4*n-rows)))
			if cut := rows < 4*n; cut != said {
				t.Errorf("%d findings, limit %d: %d of %d rows, and it is said: %t", n, limit, rows, 4*n, said)
			}
			if strings.Count(out, "<details>") != strings.Count(out, "</details>") {
				t.Errorf("%d findings, limit %d: details stay open", n, limit)
			}
		}
	}
}

func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	s := fmt.Sprint(n)
	if len(s) > 3 {
		s = s[:len(s)-3] + "," + s[len(s)-3:]
	}
	return s + " entries"
}

func TestSays(t *testing.T) {
	out := write(t, markdown.Format{}, load(t, "report"))
	for _, want := range []string{
		"## ❌ FAIL: `registry.example.com/shop/api:1.4.2`",
		"| vulnerabilities | 3 | 10 | 6 | – | 2 | 1 | 19 |",
		"[`CVE-2024-3094`](https://nvd.nist.gov/vuln/detail/CVE-2024-3094) | `liblzma5` | `5.6.1-1` | `5.6.1+really5.4.5-1` |",
		"`apt-get install --only-upgrade libssl3 openssl`",
		"**known to be exploited**",
		"STARTER SET",
		"2 gaps may hide packages",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if clean := write(t, markdown.Format{}, load(t, "clean")); !strings.Contains(clean, "✅ PASS") || !strings.Contains(clean, "None that the database knows for 5 packages.") {
		t.Errorf("clean: %s", clean)
	}
}

// active gives what Markdown, HTML or GitHub would act on in s, outside of code
// spans, beside what the format itself writes; "" when there is nothing.
func active(s string) string {
	for line := range strings.Lines(s) {
		line = strings.TrimSuffix(line, "\n")
		for _, own := range [][2]string{{"<details><summary>", "</summary>"}, {"", "</details>"}, {"<sub>", "</sub>"}} {
			if inner, ok := strings.CutPrefix(line, own[0]); ok {
				if inner, ok = strings.CutSuffix(inner, own[1]); ok {
					line = inner
				}
			}
		}
		bars, linked := 0, false // an unescaped "]" stands before
		for i := 0; i < len(line); i++ {
			was := linked
			linked = line[i] == ']'
			switch c := line[i]; c {
			case '\\':
				i++ // what follows is only itself
			case '`':
				n := len(line[i:]) - len(strings.TrimLeft(line[i:], "`"))
				fence := line[i : i+n]
				end := -1
				for j := i + n; j < len(line); {
					if line[j] != '`' {
						j++
						continue
					}
					m := len(line[j:]) - len(strings.TrimLeft(line[j:], "`"))
					if m == n {
						end = j + n
						break
					}
					j += m
				}
				if end < 0 {
					return "an open code span: " + fence + " in " + line
				}
				if strings.Contains(line[i:end], "|") {
					return "a bar in code: " + line
				}
				i = end - 1
			case '|':
				bars++
			case '*':
				if !strings.HasPrefix(line[i:], "**") {
					return "a star: " + line
				}
				i++
			case '<', '@', '~', '&', '$', '_', '{':
				return fmt.Sprintf("%q in %s", c, line)
			case '[':
				if !strings.HasPrefix(line[i:], "[`") {
					return "a link: " + line
				}
			case '(': // of a link: the address is ours to look at
				if was {
					end := strings.IndexByte(line[i:], ')')
					if end < 0 || !strings.HasPrefix(line[i:], "(https://") {
						return "an address: " + line
					}
					i += end
				}
			case '#':
				if strings.TrimLeft(line[:i], "#") != "" {
					return "an issue: " + line
				}
			case ':':
				if strings.HasPrefix(line[i:], "://") {
					return "an address: " + line
				}
			}
		}
		if strings.HasPrefix(line, "|") && bars != 4 && bars != 5 && bars != 7 && bars != 9 {
			return fmt.Sprintf("%d bars: %s", bars, line)
		}
	}
	return ""
}

func TestNothingActs(t *testing.T) {
	for _, name := range []string{"report", "clean", "empty"} {
		if s := active(write(t, markdown.Format{}, load(t, name))); s != "" {
			t.Errorf("%s: %s", name, s)
		}
	}
	for _, bad := range []string{"a <b>", "@a", "see #1", "`a", "[a](b)", "http://a", "| a | b |", "*a*"} {
		if active(bad) == "" {
			t.Errorf("%q passes, so the check says nothing", bad)
		}
	}
}

func FuzzWrite(f *testing.F) {
	for _, s := range []string{"a|b\\|c", "``a`", "@a #1 <b> [x](http://y) www.z \\", "</details>\n\n# x", "*_~&lt;$x$:smile:", " ", "\xff\x1b\u202e"} {
		f.Add(s)
	}
	f.Add("</details>")
	f.Fuzz(func(t *testing.T, s string) {
		loc := bulwark.Location{Path: s, Layer: bulwark.Digest(s)}
		r := &bulwark.Report{
			Tool: bulwark.Tool{Name: s, Version: s}, Artifact: bulwark.Artifact{Name: s, Kind: bulwark.Kind(s), Platform: s},
			Inventory: bulwark.Inventory{
				OS: &bulwark.OS{ID: s}, Layers: []bulwark.Layer{{DiffID: bulwark.Digest(s)}, {}},
				Packages: []bulwark.Package{{PURL: s, Name: s, Version: s}}, Gaps: []bulwark.Gap{{Kind: s, Path: s, Detail: s}},
			},
			Advisories: map[string]bulwark.Advisory{s: {Summary: s, References: []string{s, "https://" + s}}}, Rules: map[string]bulwark.Rule{s: {Title: s}},
			Decision: bulwark.Decision{Reasons: []bulwark.Reason{{Rule: s, Detail: s}}, Errors: []bulwark.Reason{{Rule: s, Detail: s}}},
			Actions:  []bulwark.Action{{Title: s, Command: s}}, Database: bulwark.Database{Uncovered: []string{s}},
			Findings: []bulwark.Finding{
				{Class: bulwark.ClassVulnerability, Rule: s, Subject: s, Fix: s},
				{Class: bulwark.Class(s), Rule: s, Fix: s, Evidence: []bulwark.Evidence{{Location: loc, Detail: s}}},
				{Class: bulwark.Class(s), Rule: s, Status: bulwark.Status{State: s, Reason: s, Owner: s}},
			},
		}
		out := write(t, markdown.Format{}, r)
		if why := active(out); why != "" {
			t.Error(why)
		}
		if len(out) > 60_000 {
			t.Errorf("%d bytes", len(out))
		}
	})
}
