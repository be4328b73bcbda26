// SPDX-License-Identifier: Apache-2.0

package system

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-sec/bulwark"
)

// judged scans with the shipped policies, with the database in the folder cache.
func judged(t *testing.T, program, cache, target string) *bulwark.Report {
	t.Helper()
	var r bulwark.Report
	if err := json.Unmarshal(run(t, program, "scan", target, "--cache", cache, "--policy", "default", "--allow-starter", "--offline", "--exit-zero", "-f", "json"), &r); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(r.Decision.Policy), "sha256:") || len(r.Decision.Errors) > 0 {
		t.Errorf("the policies did not decide: %+v", r.Decision)
	}
	return &r
}

// mendable checks that whatever fails can be mended, tells what was decided, and
// gives how many findings are behind what refuses.
func mendable(t *testing.T, what string, r *bulwark.Report) (failing int) {
	t.Helper()
	byID := map[string]*bulwark.Finding{}
	open, fixes := map[bulwark.Class]int{}, map[bulwark.Class]int{}
	for i := range r.Findings {
		f := &r.Findings[i]
		byID[f.ID] = f
		if f.Status.Open() {
			open[f.Class]++
			if f.Fix != "" {
				fixes[f.Class]++
			}
		}
	}
	t.Logf("%s: %s, %d packages, verdict %s, rules in effect %d", what, name(r.Inventory.OS), len(r.Inventory.Packages), r.Decision.Verdict, len(r.Decision.Reasons))
	for _, c := range slices.Sorted(maps.Keys(open)) {
		t.Logf("  open %-17s %4d, of them with a fix %4d", c, open[c], fixes[c])
	}
	behind := map[string]bool{}
	for _, x := range r.Decision.Reasons {
		t.Logf("  %-6s %-45s %4d", x.Effect, x.Rule, x.Count)
		if !x.Effect.Refuses() {
			continue
		}
		if len(x.Findings) == 0 {
			t.Errorf("%s: %s fails for no finding that could be mended: %s", what, x.Rule, x.Detail)
		}
		if x.Remedy == "" {
			t.Errorf("%s: %s fails and does not say what to do", what, x.Rule)
		}
		for _, id := range x.Findings {
			behind[id] = true
			switch f := byID[id]; {
			case f == nil:
				t.Errorf("%s: %s fails for %s, which is not in the report", what, x.Rule, id)
			case !f.Status.Open() || f.Fix == "" || f.Reach == bulwark.ReachNotLinked:
				t.Errorf("%s: %s fails for %s in %s: fix %q, reach %q, status %q", what, x.Rule, f.Rule, f.Subject, f.Fix, f.Reach, f.Status.State)
			}
		}
	}
	return len(behind)
}

func name(os *bulwark.OS) string {
	if os == nil {
		return "no distribution"
	}
	return os.Name
}

// TestSystemDefaultPolicies: the shipped policies fail nothing of a current Debian
// base image, built as the official ones are, that has no fix; nor of an image with
// many packages, which has what must fail.
func TestSystemDefaultPolicies(t *testing.T) {
	dir, program := images(t)
	cache := t.TempDir()
	if data := os.Getenv("BULWARK_DATA"); data != "" {
		run(t, program, "db", "import", data, "--cache", cache)
	} else {
		t.Log("BULWARK_DATA names no advisories: the starter set answers")
	}
	mendable(t, "base", judged(t, program, cache, filepath.Join(dir, "base.oci")))
	if r := judged(t, program, cache, filepath.Join(dir, "debian.oci")); mendable(t, "application", r) == 0 {
		t.Error("an image with a private key in a lower layer passes")
	}
}

// TestSystemDefaultPoliciesWorst: every source package of the base image gets a
// critical flaw that is in CISA's catalogue. Without a fix none of them fails;
// where half of them have one, these fail and no other does.
func TestSystemDefaultPoliciesWorst(t *testing.T) {
	dir, program := images(t)
	base := filepath.Join(dir, "base.oci")
	r := scan(t, program, base, "--allow-starter", "--offline")
	var sources []string
	for i := range r.Inventory.Packages {
		if p := &r.Inventory.Packages[i]; p.By == "dpkg" {
			source := p.Source
			if source == "" {
				source = p.Name
			}
			sources = append(sources, source)
		}
	}
	if sources = set(sources); len(sources) < 40 {
		t.Fatalf("%d source packages", len(sources))
	}
	for _, every := range []int{0, 2} { // which of them have a fix
		cache := t.TempDir()
		run(t, program, "db", "import", flawed(t, r.Inventory.OS.Ecosystem, sources, every), "--cache", cache)
		r := judged(t, program, cache, base)
		failing := mendable(t, fmt.Sprintf("worst, a fix for each of %d", every), r)
		wants, found := 0, 0
		for i := range r.Findings {
			if f := &r.Findings[i]; f.Class == bulwark.ClassVulnerability && f.Status.Open() {
				if found++; f.Fix != "" {
					wants++
				}
			}
		}
		if found < len(sources)*9/10 { // but for those that hold nothing that runs
			t.Errorf("%d flaws were found in %d source packages", found, len(sources))
		}
		if failing != wants || every == 0 && (wants > 0 || r.Decision.Verdict == bulwark.Fail) || every > 0 && r.Decision.Verdict != bulwark.Fail {
			t.Errorf("verdict %s: %d of %d findings fail, want the %d that have a fix", r.Decision.Verdict, failing, found, wants)
		}
	}
}

// flawed writes advisories in the layout of an OSV export: a critical, exploited
// flaw for each source package, with a fix for one in every; none for 0.
func flawed(t *testing.T, ecosystem string, sources []string, every int) string {
	t.Helper()
	dir := t.TempDir()
	base, _, _ := strings.Cut(ecosystem, ":")
	now := time.Now().UTC().Format(time.RFC3339)
	var all bytes.Buffer
	var ids []string
	var exploited []map[string]string
	zw := zip.NewWriter(&all)
	for i, source := range sources {
		id := fmt.Sprintf("CVE-2099-%05d", i+1)
		events := []map[string]string{{"introduced": "0"}}
		if every > 0 && i%every == 0 {
			events = append(events, map[string]string{"fixed": "99:1-1"})
		}
		b, err := json.Marshal(map[string]any{
			"schema_version": "1.7.0", "id": id, "modified": now, "published": now, "summary": "a flaw of a test",
			"severity": []any{map[string]string{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}},
			"affected": []any{map[string]any{
				"package": map[string]string{"ecosystem": ecosystem, "name": source},
				"ranges":  []any{map[string]any{"type": "ECOSYSTEM", "events": events}},
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		w, err := zw.Create(id + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, now+","+id)
		exploited = append(exploited, map[string]string{"cveID": id, "vulnerabilityName": "of a test", "dateAdded": "2026-01-01", "dueDate": "2026-02-01"})
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	kev, err := json.Marshal(map[string]any{"title": "test", "catalogVersion": "1", "count": len(exploited), "vulnerabilities": exploited})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "osv", "ecosystems.txt"), base+"\n")
	write(t, filepath.Join(dir, "osv", base, "all.zip"), all.String())
	write(t, filepath.Join(dir, "osv", base, "modified_id.csv"), strings.Join(ids, "\n")+"\n")
	write(t, filepath.Join(dir, "kev", "known_exploited_vulnerabilities.json"), string(kev))
	return dir
}
