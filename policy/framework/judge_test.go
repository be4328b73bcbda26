// SPDX-License-Identifier: Apache-2.0

package framework_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy/framework"
)

var update = flag.Bool("update", false, "write the golden files")

// now is the day after the fixtures were scanned.
var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

var week = framework.Options{Now: now, StaleAfter: 7 * 24 * time.Hour}

func load(t testing.TB, name string) *bulwark.Report {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	r := new(bulwark.Report)
	if err := json.Unmarshal(b, r); err != nil {
		t.Fatal(err)
	}
	return r
}

func judge(t testing.TB, name string, reports ...*bulwark.Report) *framework.Assessment {
	t.Helper()
	a, err := framework.Judge(name, reports, week)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func words(list []bulwark.Control) string {
	var b strings.Builder
	for _, c := range list {
		fmt.Fprintf(&b, "%s %s", c.ID, c.State)
		if c.Lacks != "" {
			b.WriteString(" for want of " + c.Lacks)
		}
		fmt.Fprintf(&b, ": %s\n", c.Detail)
		if len(c.Findings) > 0 {
			fmt.Fprintf(&b, "\tagainst %d: %s\n", c.Count, strings.Join(c.Findings, " "))
		}
		if len(c.Accepted) > 0 {
			fmt.Fprintf(&b, "\taccepted: %s\n", strings.Join(c.Accepted, " "))
		}
	}
	return b.String()
}

// TestGolden judges a bad image and a good one by every framework.
func TestGolden(t *testing.T) {
	for _, name := range []string{"bad", "good"} {
		for _, f := range all(t) {
			t.Run(name+"/"+f.Name, func(t *testing.T) {
				r := load(t, name)
				a := judge(t, f.Name, r)
				if d := cmp.Diff(load(t, name), r); d != "" {
					t.Errorf("the report was changed (-want +got):\n%s", d)
				}
				got := fmt.Sprintf("%s: %s\n%s", a.Title, a.Verdict, words(a.Controls))
				golden := filepath.Join("testdata", "golden", name+"."+f.Name)
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

func control(t *testing.T, a *framework.Assessment, id string) bulwark.Control {
	t.Helper()
	i := slices.IndexFunc(a.Controls, func(c bulwark.Control) bool { return c.ID == id })
	if i < 0 {
		t.Fatalf("no control %s", id)
	}
	return a.Controls[i]
}

// TestSilenceIsNoPass takes from a good report, one by one, what its passes rest
// on.
func TestSilenceIsNoPass(t *testing.T) {
	const vulns, secrets, malware, user, release, list = "11.3.1", "8.6.2", "5.2.2", "7.2.2", "12.3.4", "6.3.2"
	for name, tc := range map[string]struct {
		change func(*bulwark.Report)
		lacks  string
		want   []string // controls that are undecided for it
		keep   []string // controls that pass all the same
		detail string
	}{
		"no-database":  {func(r *bulwark.Report) { r.Database = bulwark.Database{AgeSeconds: -1} }, bulwark.LacksTrust, []string{vulns}, []string{secrets, user}, "bulwark db update"},
		"starter":      {func(r *bulwark.Report) { r.Database.Starter = true }, bulwark.LacksTrust, []string{vulns}, nil, "starter set"},
		"stale":        {func(r *bulwark.Report) { r.Database.Built = now.AddDate(0, 0, -8) }, bulwark.LacksTrust, []string{vulns}, nil, "2026-11-14, more than 7 days"},
		"clock":        {func(r *bulwark.Report) { r.Database.Built = r.Created.AddDate(0, 0, 2) }, bulwark.LacksTrust, []string{vulns}, nil, "set the clock"},
		"uncovered":    {func(r *bulwark.Report) { r.Database.Uncovered = []string{"Hex"} }, bulwark.LacksTrust, []string{vulns}, nil, `"Hex"`},
		"no-feed":      {gap(bulwark.Gap{Kind: bulwark.GapAdvisory, Detail: "Debian 99 is in no feed"}), bulwark.LacksTrust, []string{vulns}, []string{list}, "Debian 99"},
		"hides":        {gap(bulwark.Gap{Kind: bulwark.GapMalformed, Path: "a/b.lock", Hides: true}), bulwark.LacksTrust, []string{vulns, list, secrets, malware}, []string{user}, `"a/b.lock"`},
		"unreadable":   {gap(bulwark.Gap{Kind: bulwark.GapUnreadable, Path: "root/.ssh/id_rsa"}), bulwark.LacksTrust, []string{secrets, malware}, []string{vulns, user}, `"root/.ssh/id_rsa"`},
		"skipped":      {gap(bulwark.Gap{Kind: bulwark.GapSkipped, Path: "srv", Detail: "left out by skip-dirs"}), bulwark.LacksCheck, []string{vulns, secrets, malware, list}, []string{user}, "--skip-dirs"},
		"interrupted":  {func(r *bulwark.Report) { r.Scan.Interrupted = true }, bulwark.LacksTrust, []string{vulns, secrets, malware, user, list}, nil, "interrupted"},
		"hidden":       {func(r *bulwark.Report) { r.Scan.Hidden = 3 }, bulwark.LacksCheck, []string{vulns, secrets, user}, nil, "3 findings were left out"},
		"older":        {func(r *bulwark.Report) { r.Scan.Looked = nil }, bulwark.LacksCheck, []string{vulns, secrets, malware, user, release}, []string{list}, "older program"},
		"no-secrets":   {without("secret"), bulwark.LacksCheck, []string{secrets}, []string{vulns, malware}, "--secrets on"},
		"no-malware":   {without("malware"), bulwark.LacksCheck, []string{malware}, []string{secrets}, "--malware on"},
		"no-config":    {without("misconfiguration"), bulwark.LacksCheck, []string{user}, []string{malware}, "--no-config"},
		"no-end":       {without("BW-EOL-0001"), bulwark.LacksTrust, []string{release}, []string{user}, "trixie"},
		"no-release":   {func(r *bulwark.Report) { r.Inventory.OS = nil }, bulwark.LacksTrust, []string{release}, []string{user}, "which release"},
		"unrated":      {unrated, bulwark.LacksTrust, []string{vulns}, []string{user}, "1 vulnerability without a severity"},
		"sbom-secrets": {func(r *bulwark.Report) { r.Artifact.Kind, r.Artifact.Image = bulwark.KindSBOM, nil }, bulwark.LacksKind, []string{secrets, malware, user}, []string{vulns, list}, "bill of materials"},
	} {
		t.Run(name, func(t *testing.T) {
			r := load(t, "good")
			tc.change(r)
			a := judge(t, "pci-4.0", r)
			for _, id := range tc.want {
				c := control(t, a, id)
				if c.State != bulwark.ControlUndecided || c.Lacks != tc.lacks || !strings.Contains(c.Detail, tc.detail) {
					t.Errorf("%s: %s, lacks %q: %s", id, c.State, c.Lacks, c.Detail)
				}
			}
			for _, id := range tc.keep {
				if c := control(t, a, id); c.State != bulwark.ControlPass {
					t.Errorf("%s: %s: %s", id, c.State, c.Detail)
				}
			}
			want := bulwark.Warn
			if tc.lacks == bulwark.LacksKind {
				want = bulwark.Pass
			}
			if a.Verdict != want {
				t.Errorf("verdict %q, want %q", a.Verdict, want)
			}
		})
	}
}

func gap(g bulwark.Gap) func(*bulwark.Report) {
	return func(r *bulwark.Report) { r.Inventory.Gaps = append(r.Inventory.Gaps, g) }
}

func without(name string) func(*bulwark.Report) {
	return func(r *bulwark.Report) {
		r.Scan.Looked = slices.DeleteFunc(r.Scan.Looked, func(s string) bool { return s == name })
	}
}

func unrated(r *bulwark.Report) { r.Findings = []bulwark.Finding{vuln(bulwark.SeverityUnknown, "")} }

func vuln(s bulwark.Severity, state string) bulwark.Finding {
	return bulwark.Finding{
		ID: "f", Class: bulwark.ClassVulnerability, Rule: "CVE-2026-1", Severity: s, Subject: "pkg:deb/debian/runc@1.0", Fix: "1.1",
		Status: bulwark.Status{State: state}, Evidence: []bulwark.Evidence{{Detail: "x"}},
	}
}

// TestStates holds which findings speak against a control.
func TestStates(t *testing.T) {
	accepted := func(until string) bulwark.Finding {
		f := vuln(bulwark.SeverityHigh, bulwark.StateAccepted)
		f.Status.Owner, f.Status.Until = "jane", until
		return f
	}
	for name, tc := range map[string]struct {
		f      bulwark.Finding
		state  string
		detail string
	}{
		"open":            {vuln(bulwark.SeverityHigh, ""), bulwark.ControlFail, "1 finding speaks against it: 1 high"},
		"mild":            {vuln(bulwark.SeverityMedium, ""), bulwark.ControlPass, "none with a fix"},
		"known":           {vuln(bulwark.SeverityHigh, bulwark.StateKnown), bulwark.ControlFail, "in the baseline, and still there"},
		"not-affected":    {vuln(bulwark.SeverityHigh, bulwark.StateNotAffected), bulwark.ControlPass, "1 not affected"},
		"suppressed":      {vuln(bulwark.SeverityHigh, bulwark.StateSuppressed), bulwark.ControlPass, "1 suppressed"},
		"accepted":        {accepted("2026-11-22"), bulwark.ControlPass, "1 accepted: by jane, until 2026-11-22"},
		"accepted-always": {accepted(""), bulwark.ControlPass, "by jane"},
		"ended":           {accepted("2026-11-21"), bulwark.ControlFail, "accepted until 2026-11-21, which is over"},
		"ended-time":      {accepted("2026-11-22T11:59:59Z"), bulwark.ControlFail, "which is over"},
		"no-date":         {accepted("soon"), bulwark.ControlFail, "which is over"},
	} {
		t.Run(name, func(t *testing.T) {
			r := load(t, "good")
			r.Findings = []bulwark.Finding{tc.f}
			c := control(t, judge(t, "pci-4.0", r), "11.3.1")
			if c.State != tc.state || !strings.Contains(c.Detail, tc.detail) {
				t.Errorf("%s: %s", c.State, c.Detail)
			}
			if n := len(c.Accepted); n == 1 != (tc.f.Status.State == bulwark.StateAccepted && tc.state == bulwark.ControlPass) {
				t.Errorf("%d accepted", n)
			}
		})
	}
}

// TestSelectors holds what narrows the class of vulnerabilities.
func TestSelectors(t *testing.T) {
	r := load(t, "good")
	f := vuln(bulwark.SeverityHigh, "")
	r.Findings = []bulwark.Finding{f}
	r.Advisories = map[string]bulwark.Advisory{f.Rule: {ID: f.Rule, Published: now.AddDate(0, 0, -29)}}
	if c := control(t, judge(t, "pci-4.0", r), "6.3.3"); c.State != bulwark.ControlPass || !strings.Contains(c.Detail, "1 is younger than 30 days") {
		t.Errorf("29 days: %s: %s", c.State, c.Detail)
	}
	r.Advisories[f.Rule] = bulwark.Advisory{ID: f.Rule, Published: now.AddDate(0, 0, -30)}
	if c := control(t, judge(t, "pci-4.0", r), "6.3.3"); c.State != bulwark.ControlFail {
		t.Errorf("30 days: %s: %s", c.State, c.Detail)
	}
	r.Advisories[f.Rule] = bulwark.Advisory{ID: f.Rule, Published: now, Exploited: true}
	if c := control(t, judge(t, "pci-4.0", r), "6.3.3"); c.State != bulwark.ControlFail {
		t.Errorf("exploited: %s: %s", c.State, c.Detail)
	}
	if c := control(t, judge(t, "nist-800-190", r), "4.4.1"); c.Lacks != bulwark.LacksKind {
		t.Errorf("an image is no host: %s: %s", c.State, c.Detail)
	}
	r.Artifact.Kind, r.Artifact.Image = bulwark.KindHost, nil
	if c := control(t, judge(t, "nist-800-190", r), "4.4.1"); c.State != bulwark.ControlFail {
		t.Errorf("runc on a host: %s: %s", c.State, c.Detail)
	}
	for _, purl := range []string{"pkg:golang/github.com/opencontainers/runc@v1.0.0", "pkg:golang/github.com/containerd/containerd/v2@v2.0.0", "pkg:rpm/fedora/Docker-CE@1?arch=x86_64"} {
		r.Findings[0].Subject = purl
		if c := control(t, judge(t, "nist-800-190", r), "4.4.1"); c.State != bulwark.ControlFail {
			t.Errorf("%s on a host: %s: %s", purl, c.State, c.Detail)
		}
	}
	r.Findings[0].Subject = "pkg:deb/debian/bash@5"
	if c := control(t, judge(t, "nist-800-190", r), "4.4.1"); c.State != bulwark.ControlPass {
		t.Errorf("bash is no runtime: %s: %s", c.State, c.Detail)
	}
}

// TestBuildFile: what is wrong in a build file fails a control about images, and
// a repository passes none of them.
func TestBuildFile(t *testing.T) {
	r := load(t, "good")
	r.Artifact.Kind, r.Artifact.Image = bulwark.KindRepo, nil
	if c := control(t, judge(t, "pci-4.0", r), "7.2.2"); c.Lacks != bulwark.LacksKind {
		t.Errorf("a repository without findings: %s: %s", c.State, c.Detail)
	}
	r.Findings = []bulwark.Finding{{ID: "r", Class: bulwark.ClassMisconfiguration, Rule: "BW-IMG-0001", Severity: bulwark.SeverityMedium, Subject: "Dockerfile", Evidence: []bulwark.Evidence{{Detail: "x"}}}}
	if c := control(t, judge(t, "pci-4.0", r), "7.2.2"); c.State != bulwark.ControlFail {
		t.Errorf("a build file that ends as root: %s: %s", c.State, c.Detail)
	}
}

// TestPolicies: what a policy rule says counts, its silence does not.
func TestPolicies(t *testing.T) {
	r := load(t, "good")
	r.Decision.Reasons = []bulwark.Reason{{Rule: "default-images/root-user", Detail: "root", Effect: bulwark.EffectIgnore}}
	if c := control(t, judge(t, "pci-4.0", r), "7.2.2"); c.State != bulwark.ControlPass {
		t.Errorf("ignored: %s: %s", c.State, c.Detail)
	}
	r.Decision.Reasons[0].Effect = bulwark.EffectAlert
	if c := control(t, judge(t, "pci-4.0", r), "7.2.2"); c.State != bulwark.ControlFail || !strings.Contains(c.Detail, "default-images/root-user says: root") {
		t.Errorf("alert: %s: %s", c.State, c.Detail)
	}
	r.Findings = []bulwark.Finding{vuln(bulwark.SeverityLow, bulwark.StateAccepted)}
	r.Decision.Reasons = []bulwark.Reason{{Rule: "default-vulnerabilities/kev", Effect: bulwark.EffectFail, Findings: []string{"f"}}}
	if c := control(t, judge(t, "pci-4.0", r), "6.3.3"); c.State != bulwark.ControlPass || len(c.Accepted) != 1 {
		t.Errorf("accepted: %s: %s", c.State, c.Detail)
	}
}

// TestTogether holds the answer of several artifacts.
func TestTogether(t *testing.T) {
	good, bad, sbom, blind := load(t, "good"), load(t, "bad"), load(t, "good"), load(t, "good")
	sbom.Artifact.Kind, sbom.Artifact.Image = bulwark.KindSBOM, nil
	without("secret")(blind)
	for name, tc := range map[string]struct {
		reports []*bulwark.Report
		verdict bulwark.Verdict
		state   string // of 8.6.2, secrets
		detail  string
	}{
		"good-bad":   {[]*bulwark.Report{good, bad}, bulwark.Fail, bulwark.ControlFail, "fails for 1, passes for 1 of 2 artifacts"},
		"good-sbom":  {[]*bulwark.Report{sbom, good}, bulwark.Pass, bulwark.ControlPass, "undecided for 1, passes for 1 of 2 artifacts"},
		"good-blind": {[]*bulwark.Report{good, blind}, bulwark.Warn, bulwark.ControlUndecided, "undecided for 1, passes for 1 of 2 artifacts"},
		"blind-bad":  {[]*bulwark.Report{blind, bad}, bulwark.Fail, bulwark.ControlFail, "fails for 1, undecided for 1 of 2 artifacts"},
		"sbom":       {[]*bulwark.Report{sbom}, bulwark.Pass, bulwark.ControlUndecided, "the report is of: bill of materials"},
	} {
		t.Run(name, func(t *testing.T) {
			a := judge(t, "pci-4.0", tc.reports...)
			c := control(t, a, "8.6.2")
			if a.Verdict != tc.verdict || c.State != tc.state || !strings.Contains(c.Detail, tc.detail) {
				t.Errorf("%s; %s: %s", a.Verdict, c.State, c.Detail)
			}
		})
	}
}

// TestManyFindings bounds what a control lists, and counts the rest.
func TestManyFindings(t *testing.T) {
	r := load(t, "good")
	for i := range 5000 {
		f := vuln(bulwark.SeverityHigh, "")
		f.ID = fmt.Sprintf("%016x", i)
		r.Findings = append(r.Findings, f)
	}
	c := control(t, judge(t, "pci-4.0", r), "11.3.1")
	if c.Count != 5000 || len(c.Findings) != 100 || !strings.Contains(c.Detail, "5,000 findings") {
		t.Errorf("%d, %d listed: %s", c.Count, len(c.Findings), c.Detail)
	}
}

// TestNothing: an empty report passes nothing.
func TestNothing(t *testing.T) {
	for _, f := range all(t) {
		a := judge(t, f.Name, &bulwark.Report{})
		for _, c := range a.Controls {
			if c.State != bulwark.ControlUndecided {
				t.Errorf("%s %s: %s: %s", f.Name, c.ID, c.State, c.Detail)
			}
		}
		if a.Verdict != bulwark.Warn {
			t.Errorf("%s: %q", f.Name, a.Verdict)
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	r := load(b, "bad")
	for i := range 2000 {
		f := vuln(bulwark.SeverityMedium, "")
		f.ID = fmt.Sprint(i)
		r.Findings = append(r.Findings, f)
	}
	for b.Loop() {
		if _, err := framework.Judge("nist-800-53", []*bulwark.Report{r}, week); err != nil {
			b.Fatal(err)
		}
	}
}
