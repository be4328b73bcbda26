// SPDX-License-Identifier: Apache-2.0

package html_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/html"
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

func write(t testing.TB, r *bulwark.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := (html.Format{}).Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A tag is one element's start with its attributes.
type tag struct {
	name  string
	attrs map[string]string
	at    int
}

var (
	tagRE  = regexp.MustCompile(`<(/?)([a-zA-Z][a-zA-Z0-9]*)((?:\s+[a-zA-Z:-]+(?:="[^"]*")?)*)\s*>|<!doctype html>|<`)
	attrRE = regexp.MustCompile(`([a-zA-Z:-]+)(?:="([^"]*)")?`)
	void   = []string{"meta", "br", "input"}
)

// parse reads the page by a grammar stricter than HTML's: quoted attributes, no
// stray "<", every element closed in order.
func parse(t *testing.T, page string) []tag {
	t.Helper()
	var tags []tag
	var open []string
	for _, m := range tagRE.FindAllStringSubmatchIndex(page, -1) {
		whole := page[m[0]:m[1]]
		if whole == "<!doctype html>" {
			continue
		}
		if n := len(open); n > 0 && (open[n-1] == "script" || open[n-1] == "style") && !strings.HasPrefix(whole, "</"+open[n-1]) {
			continue
		}
		if whole == "<" {
			t.Fatalf("stray <: %q", page[m[0]:min(len(page), m[0]+60)])
		}
		name := page[m[4]:m[5]]
		if m[2] != m[3] {
			if n := len(open); n == 0 || open[n-1] != name {
				t.Fatalf("</%s> closes %v: %q", name, open, page[max(0, m[0]-80):m[1]])
			}
			open = open[:len(open)-1]
			continue
		}
		x := tag{name: name, attrs: map[string]string{}, at: m[0]}
		for _, a := range attrRE.FindAllStringSubmatch(page[m[6]:m[7]], -1) {
			if _, twice := x.attrs[a[1]]; twice {
				t.Errorf("<%s> has %s twice", name, a[1])
			}
			x.attrs[a[1]] = a[2]
		}
		tags = append(tags, x)
		if !slices.Contains(void, name) {
			open = append(open, name)
		}
	}
	if len(open) > 0 {
		t.Errorf("%v is not closed", open)
	}
	return tags
}

func TestStructure(t *testing.T) {
	for _, name := range []string{"report", "clean", "empty"} {
		t.Run(name, func(t *testing.T) {
			page := write(t, load(t, name))
			ids := map[string]bool{}
			var refs []string
			headings := 0
			for _, x := range parse(t, page) {
				if id, ok := x.attrs["id"]; ok {
					if id == "" || ids[id] {
						t.Errorf("<%s>: id %q is empty or taken", x.name, id)
					}
					ids[id] = true
				}
				for k, v := range x.attrs {
					switch {
					case strings.HasPrefix(k, "on") || k == "style" || k == "srcset" || k == "background" || k == "action" || k == "formaction":
						t.Errorf("<%s> has %s", x.name, k)
					case k == "src":
						t.Errorf("<%s> loads %q", x.name, v)
					case k == "href" && !strings.HasPrefix(v, "#"):
						if x.name != "a" || !strings.HasPrefix(v, "https://") || x.attrs["rel"] != "noreferrer" {
							t.Errorf("<%s href=%q rel=%q>", x.name, v, x.attrs["rel"])
						}
					case k == "aria-labelledby" || k == "for":
						refs = append(refs, v)
					}
				}
				switch x.name {
				case "h1":
					headings++
				case "link", "iframe", "object", "embed", "base", "form", "img", "audio", "video":
					t.Errorf("<%s> on the page", x.name)
				case "th":
					if x.attrs["scope"] == "" {
						t.Errorf("a header cell without scope: %q", page[x.at:x.at+60])
					}
				case "html":
					if x.attrs["lang"] == "" {
						t.Error("no language")
					}
				}
			}
			for _, id := range refs {
				if !ids[id] {
					t.Errorf("%q is not there", id)
				}
			}
			if headings != 1 {
				t.Errorf("%d headings of the first level", headings)
			}
			if strings.Count(page, "<table") != strings.Count(page, "<caption") {
				t.Error("a table without caption")
			}
			if strings.Contains(page, "url(") || strings.Contains(page, "@import") {
				t.Error("the style loads something")
			}
		})
	}
}

func TestPolicyFitsTheContent(t *testing.T) {
	page := write(t, load(t, "report"))
	between := func(from, to string) string {
		_, rest, ok := strings.Cut(page, from)
		s, _, ok2 := strings.Cut(rest, to)
		if !ok || !ok2 {
			t.Fatalf("no %s", from)
		}
		return s
	}
	policy := between(`Content-Security-Policy" content="`, `"`)
	for _, x := range []struct{ directive, content string }{
		{"style-src ", between("<style>", "</style>")}, {"script-src ", between("<script>", "</script>")},
	} {
		sum := sha256.Sum256([]byte(x.content))
		if want := x.directive + "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, want) {
			t.Errorf("policy %q has no %q", policy, want)
		}
	}
	if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	if n := strings.Count(page, "<script"); n != 1 {
		t.Errorf("%d scripts", n)
	}
}

// TestContrast computes WCAG 2.1 contrast for the colours of both schemes.
func TestContrast(t *testing.T) {
	css, err := os.ReadFile("page.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, _ := strings.Cut(string(css), "prefers-color-scheme: dark")
	for scheme, s := range map[string]string{"light": light, "dark": dark[:strings.Index(dark, "* {")]} {
		v := map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z0-9-]+): (#[0-9a-f]{3,6})`).FindAllStringSubmatch(s, -1) {
			v[m[1]] = m[2]
		}
		for _, pair := range [][2]string{
			{"ink", "bg"}, {"ink", "card"}, {"mute", "bg"}, {"mute", "card"}, {"link", "card"}, {"ink", "code"}, {"warn-ink", "warn-bg"}, {"warn-ink", "card"},
			{"fail", "card"}, {"pass", "card"}, {"open", "card"}, {"on", "fail"}, {"on", "pass"}, {"on", "open"},
			{"son", "s5"}, {"son", "s4"}, {"son", "s3"}, {"son", "s2"}, {"s1", "card"}, {"s0", "card"},
		} {
			if c := contrast(v[pair[0]], v[pair[1]]); c < 4.5 {
				t.Errorf("%s: %s on %s has %.2f, want 4.5", scheme, pair[0], pair[1], c)
			}
		}
	}
}

func TestEveryFindingAndPackageIsThere(t *testing.T) {
	r := load(t, "report")
	page := write(t, r)
	open := 0
	for _, f := range r.Findings {
		if f.Status.Open() {
			open++
			if !strings.Contains(page, `id="f-`+f.ID+`"`) {
				t.Errorf("%s %s is not there", f.Rule, f.ID)
			}
		}
	}
	if n := strings.Count(page, `<tr role="row" id="f-`); n != open {
		t.Errorf("%d rows for %d open findings", n, open)
	}
	if strings.Contains(page, "<script>alert") || strings.Contains(page, "javascript:") || strings.Contains(page, `href="http://`) {
		t.Error("something hostile came through")
	}
}
