// SPDX-License-Identifier: Apache-2.0

package system

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark"
)

// data gives the folder of real advisory data, which lies outside the
// repository.
func data(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("BULWARK_DATA")
	if dir == "" {
		t.Skip("BULWARK_DATA names no folder of advisory data")
	}
	return dir
}

// TestSystemDatabase imports real data and looks a real image up in it.
func TestSystemDatabase(t *testing.T) {
	dir, program := images(t)
	cache := t.TempDir()
	t.Logf("%s", run(t, program, "db", "import", data(t), "--cache", cache))
	t.Logf("%s", run(t, program, "db", "verify", "--cache", cache))
	var r bulwark.Report
	if err := json.Unmarshal(run(t, program, "scan", filepath.Join(dir, "debian.oci"), "--cache", cache, "--secrets", "off", "--exit-zero", "-f", "json"), &r); err != nil {
		t.Fatal(err)
	}
	if r.Database.Starter || r.Database.Advisories < 30_000 {
		t.Errorf("the database is %+v", r.Database)
	}
	if !slices.ContainsFunc(r.Findings, func(f bulwark.Finding) bool {
		return f.Rule == "CVE-2022-24785" && strings.Contains(f.Subject, "moment")
	}) {
		t.Error("moment 2.29.1 is not reported for CVE-2022-24785")
	}
}

// peer is what osv-scanner's JSON says, as far as it is compared.
type peer struct {
	Results []struct {
		Packages []struct {
			Package         struct{ Name, Version, Ecosystem string }
			Vulnerabilities []struct {
				ID       string
				Aliases  []string
				Upstream []string
			}
		}
	}
}

// explained lists the claims that only osv-scanner makes of this image, and why.
var explained = map[string]string{
	"npm lodash 4.17.15": "the last layer deletes it; osv-scanner reads npm's node_modules/.package-lock.json, which still names it",
}

// A claim says that a package has a flaw. Flaws go by every id they have.
type claim struct {
	pkg string // "npm moment 2.29.1"
	ids []string
}

func shared(a, b []string) bool {
	return slices.ContainsFunc(a, func(id string) bool { return slices.Contains(b, id) })
}

// TestSystemAgreement compares the findings with those of osv-scanner 2.5.0 on
// the same advisory data and the same image, finding for finding. What differs
// must be on the list of explained differences.
func TestSystemAgreement(t *testing.T) {
	dir, program := images(t)
	src := data(t)
	scanner := os.Getenv("OSV_SCANNER")
	if scanner == "" {
		t.Skip("OSV_SCANNER names no program; make bench builds it")
	}
	tmp := t.TempDir()
	// Its offline database is a folder of the same zips.
	zips, err := filepath.Glob(filepath.Join(src, "osv", "*", "all.zip"))
	if err != nil || len(zips) == 0 {
		t.Fatal(zips, err)
	}
	for _, z := range zips {
		to := filepath.Join(tmp, "osv-scalibr", filepath.Base(filepath.Dir(z)), "all.zip")
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(z, to); err != nil {
			t.Fatal(err)
		}
	}
	archive := filepath.Join(tmp, "image.tar")
	run(t, "skopeo", "copy", "-q", "oci:"+filepath.Join(dir, "debian.oci")+":1", "docker-archive:"+archive+":localhost/debian:1")
	cmd := exec.Command(scanner, "scan", "image", "--archive", archive, "--offline", "--format", "json", "--all-packages")
	cmd.Env = append(os.Environ(), "OSV_SCALIBR_LOCAL_DB_CACHE_DIRECTORY="+tmp)
	out, err := cmd.Output()
	if len(out) == 0 {
		t.Fatalf("osv-scanner: %v", err)
	}
	var p peer
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	run(t, program, "db", "import", src, "--cache", cache)
	var r bulwark.Report
	if err := json.Unmarshal(run(t, program, "scan", archive, "--cache", cache, "--secrets", "off", "--exit-zero", "-f", "json"), &r); err != nil {
		t.Fatal(err)
	}

	theirPackages := map[string]bool{}
	var theirs, ours []claim
	for _, res := range p.Results {
		for _, pk := range res.Packages {
			eco, _, _ := strings.Cut(pk.Package.Ecosystem, ":")
			name := eco + " " + pk.Package.Name + " " + strings.TrimPrefix(pk.Package.Version, "v")
			theirPackages[name] = true
			for _, v := range pk.Vulnerabilities {
				theirs = append(theirs, claim{name, slices.Concat([]string{v.ID}, v.Aliases, v.Upstream)})
			}
		}
	}
	subjects := map[string][]string{}
	for _, pk := range r.Inventory.Packages {
		eco, _, _ := strings.Cut(pk.Ecosystem, ":")
		subjects[pk.PURL] = append(subjects[pk.PURL], eco+" "+pk.Name+" "+strings.TrimPrefix(pk.Version, "v"))
	}
	for _, f := range r.Findings {
		if f.Class != bulwark.ClassVulnerability {
			continue
		}
		a := r.Advisories[f.Rule]
		for _, s := range subjects[f.Subject] {
			ours = append(ours, claim{s, slices.Concat([]string{f.Rule, a.ID}, a.Aliases, a.Upstream, a.Related)})
		}
	}
	lacks := func(list []claim, c claim) bool {
		return !slices.ContainsFunc(list, func(o claim) bool { return o.pkg == c.pkg && shared(o.ids, c.ids) })
	}
	agreed, unlisted := 0, 0
	for _, c := range theirs {
		if !lacks(ours, c) {
			agreed++
		} else if why := explained[c.pkg]; why != "" {
			t.Logf("only osv-scanner: %s: %v: %s", c.pkg, c.ids, why)
		} else {
			t.Errorf("only osv-scanner: %s: %v", c.pkg, c.ids)
		}
	}
	for _, c := range ours {
		switch {
		case !lacks(theirs, c):
		case !theirPackages[c.pkg]:
			unlisted++ // osv-scanner did not list the package at all
			t.Logf("only here, osv-scanner does not list the package: %s: %s", c.pkg, c.ids[0])
		default:
			t.Errorf("only here: %s: %v", c.pkg, c.ids)
		}
	}
	t.Logf("osv-scanner makes %d claims, %d of them are found here; %d claims here, %d about packages that it does not list", len(theirs), agreed, len(ours), unlisted)
	if agreed == 0 {
		t.Error("nothing was compared")
	}
}
