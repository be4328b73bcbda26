// SPDX-License-Identifier: Apache-2.0

package framework_test

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check"
	"github.com/bulwark-sec/bulwark/policy/framework"
)

// shipped are the rules of the policies that are shipped, which controls may name.
var shipped = []string{
	"default-vulnerabilities/kev", "default-vulnerabilities/critical-fixable", "default-vulnerabilities/high-fixable",
	"default-malware/known-malware", "default-secrets/secret",
	"default-images/root-user", "default-images/eol-distribution", "default-images/untrusted-base",
	"default-licenses/denied",
}

func all(t testing.TB) []framework.Framework {
	t.Helper()
	list, err := framework.All()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestMappings holds the data to what exists: rules that a check can name, and
// rules of policies that are shipped.
func TestMappings(t *testing.T) {
	every, err := check.Every()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range all(t) {
		names = append(names, f.Name)
		if !strings.HasPrefix(f.Source, "https://") || f.About == "" || !f.Digest.Valid() {
			t.Errorf("%s: source %q, about %q, digest %q", f.Name, f.Source, f.About, f.Digest)
		}
		for _, c := range f.Controls {
			var seen []string
			for _, x := range c.Rules {
				if x.Policy != "" && !slices.Contains(shipped, x.Policy) {
					t.Errorf("%s %s: no policy has the rule %q", f.Name, c.ID, x.Policy)
				}
				if x.Rule != "" && !slices.ContainsFunc(every, func(r bulwark.Rule) bool {
					ok, err := path.Match(x.Rule, r.ID)
					return ok && err == nil
				}) {
					t.Errorf("%s %s: no check has the rule %q", f.Name, c.ID, x.Rule)
				}
				if name := x.Rule + x.Policy; name != "" {
					if slices.Contains(seen, name) {
						t.Errorf("%s %s: %q twice", f.Name, c.ID, name)
					}
					seen = append(seen, name)
				}
			}
		}
	}
	if want := []string{"cis-docker", "hipaa", "nist-800-190", "nist-800-53", "pci-4.0", "soc2"}; !slices.Equal(names, want) {
		t.Errorf("frameworks %v, want %v", names, want)
	}
}

// TestCISDocker holds the mapping of section 4 to the recommendations that the
// scan judges.
func TestCISDocker(t *testing.T) {
	f, err := framework.ByName("cis-docker")
	if err != nil {
		t.Fatal(err)
	}
	r := load(t, "bad")
	judged, err := check.Benchmark("cis-docker", r, check.Looked{Config: true, Secrets: true, Vulns: true})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	for _, c := range f.Controls {
		ids[c.ID] = c.Title
	}
	for _, c := range judged {
		id := strings.TrimPrefix(c.ID, "CIS Docker ")
		if ids[id] != c.Title {
			t.Errorf("%s: %q, the benchmark says %q", id, ids[id], c.Title)
		}
	}
	for _, name := range []string{"bad", "good"} {
		r := load(t, name)
		r.Decision.Reasons = nil // policies are no part of the benchmark
		want, err := check.Benchmark("cis-docker", r, check.Looked{Config: true, Secrets: true, Vulns: true})
		if err != nil {
			t.Fatal(err)
		}
		a := judge(t, "cis-docker", r)
		for _, c := range want {
			i := slices.IndexFunc(a.Controls, func(x bulwark.Control) bool { return "CIS Docker "+x.ID == c.ID })
			if got := a.Controls[i]; got.State != c.State {
				t.Errorf("%s: %s is %q (%s), the benchmark says %q (%s)", name, c.ID, got.State, got.Detail, c.State, c.Detail)
			}
		}
	}
}

func TestByName(t *testing.T) {
	_, err := framework.ByName("pci")
	var hint *bulwark.Hint
	if !errors.Is(err, bulwark.ErrUsage) || !errors.As(err, &hint) || !strings.Contains(hint.Next, "pci-4.0") {
		t.Errorf("got %v", err)
	}
	if _, err := framework.Judge("pci-4.0", nil, framework.Options{}); !errors.Is(err, bulwark.ErrUsage) {
		t.Errorf("no report: %v", err)
	}
	if _, err := framework.Judge("pci-4.0", []*bulwark.Report{nil}, framework.Options{}); !errors.Is(err, bulwark.ErrUsage) {
		t.Errorf("nil report: %v", err)
	}
}

// TestParse holds what a mapping may not say.
func TestParse(t *testing.T) {
	const head = "name: x\ntitle: X\ncontrols:\n"
	for name, tc := range map[string]struct{ in, want string }{
		"sound":       {head + "- {id: a, title: A, scope: [image], rules: [{class: secret}], do: rotate}\n", ""},
		"empty":       {"", "EOF"},
		"no-controls": {"name: x\ntitle: X\n", "controls"},
		"unknown-key": {head + "- {id: a, titel: A}\n", "titel"},
		"two":         {head + "- {id: a, title: A, look: b}\n---\nname: y\n", "more than one document"},
		"same-id":     {head + "- {id: a, title: A, look: b}\n- {id: a, title: A, look: b}\n", `"a" is empty or taken`},
		"nothing":     {head + "- {id: a, title: A}\n", "look at"},
		"policy-only": {head + "- {id: a, title: A, scope: [image], rules: [{policy: a/b}], do: c}\n", "look at"},
		"no-scope":    {head + "- {id: a, title: A, rules: [{class: secret}], do: c}\n", "no scope"},
		"no-do":       {head + "- {id: a, title: A, scope: [image], rules: [{class: secret}]}\n", "what to do"},
		"kind":        {head + "- {id: a, title: A, scope: [pod], rules: [{class: secret}], do: c}\n", `"pod"`},
		"class":       {head + "- {id: a, title: A, scope: [image], rules: [{class: secrets}], do: c}\n", `"secrets"`},
		"two-ways":    {head + "- {id: a, title: A, scope: [image], rules: [{class: secret, rule: a}], do: c}\n", "exactly one"},
		"narrow":      {head + "- {id: a, title: A, scope: [image], rules: [{class: secret, fixable: true}], do: c}\n", "for vulnerabilities"},
		"severity":    {head + "- {id: a, title: A, scope: [image], rules: [{class: vulnerability, severity: bad}], do: c}\n", `"bad"`},
		"glob":        {head + "- {id: a, title: A, scope: [image], rules: [{rule: '[a'}], do: c}\n", "glob"},
		"policy":      {head + "- {id: a, title: A, look: b, rules: [{policy: a}], do: c}\n", "policy/rule"},
		"days":        {head + "- {id: a, title: A, scope: [image], rules: [{class: vulnerability, days: -1}], do: c}\n", "for vulnerabilities"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := framework.Parse([]byte(tc.in))
			switch {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want == "":
				if len(f.Controls) != 1 {
					t.Errorf("%d controls", len(f.Controls))
				}
			case err == nil || !strings.Contains(err.Error(), tc.want):
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	if _, err := framework.Parse(make([]byte, 2<<20)); !errors.Is(err, bulwark.ErrTooLarge) {
		t.Errorf("2 MiB: %v", err)
	}
}

// TestTruncated cuts every mapping at many places: an error or a sound part, and
// no panic.
func TestTruncated(t *testing.T) {
	files, err := filepath.Glob("data/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < len(b); n += 61 {
		if f, err := framework.Parse(b[:n]); err == nil && len(f.Controls) == 0 {
			t.Errorf("%d bytes: no control and no error", n)
		}
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("data/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:min(len(b), 2000)])
	}
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("name: x\ntitle: X\ncontrols:\n- {id: a, title: A, look: b}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := framework.Parse(b)
		if err == nil && (m.Name == "" || len(m.Controls) == 0 || !m.Digest.Valid()) {
			t.Errorf("%+v", m)
		}
	})
}
