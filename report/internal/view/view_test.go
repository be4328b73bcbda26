// SPDX-License-Identifier: Apache-2.0

package view_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

func pkg(name, version, source string) bulwark.Package {
	return bulwark.Package{PURL: "pkg:deb/debian/" + name + "@" + version, Name: name, Version: version, Ecosystem: "Debian:12", Source: source}
}

func vuln(rule string, p bulwark.Package, s bulwark.Severity, fix string) bulwark.Finding {
	return bulwark.Finding{ID: rule + p.Name, Class: bulwark.ClassVulnerability, Rule: rule, Subject: p.PURL, Severity: s, Fix: fix}
}

// TestGroups: packages of one source with the same flaws are one group, others
// are not; what is known to be exploited comes first among equals.
func TestGroups(t *testing.T) {
	a, b, c, d := pkg("libssl3", "3.0", "openssl"), pkg("openssl", "3.0", "openssl"), pkg("libssl-dev", "3.0", "openssl"), pkg("zlib1g", "1.2", "zlib")
	high, low := bulwark.SeverityHigh, bulwark.SeverityLow
	r := &bulwark.Report{
		Inventory: bulwark.Inventory{Packages: []bulwark.Package{a, b, c, d}},
		Findings: []bulwark.Finding{
			vuln("CVE-1", a, high, "3.1"), vuln("CVE-1", b, high, "3.1"), vuln("CVE-1", c, high, ""),
			vuln("CVE-2", a, low, "3.2"), vuln("CVE-2", b, low, "3.2"),
			vuln("CVE-9", d, high, "1.3"),
			{Class: bulwark.ClassVulnerability, Rule: "CVE-8", Subject: "pkg:npm/%40s/x@1?a=b", Severity: low},
		},
		Advisories: map[string]bulwark.Advisory{"CVE-9": {Exploited: true}},
	}
	var got []string
	for _, g := range view.New(r).Groups() {
		got = append(got, g.Name()+" "+g.Version+" "+g.Open.Words())
	}
	want := []string{"zlib1g 1.2 1 high", "libssl3, openssl 3.0 1 high, 1 low", "libssl-dev 3.0 1 high", "@s/x 1 1 low"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestPlaces(t *testing.T) {
	one, two := bulwark.Digest("sha256:"+string(make([]byte, 64))), bulwark.Digest("sha256:1234567890abcdef")
	v := view.New(&bulwark.Report{Inventory: bulwark.Inventory{Layers: []bulwark.Layer{{DiffID: one}, {DiffID: "x"}}}})
	tests := []struct {
		in   bulwark.Location
		want string
	}{
		{bulwark.Location{}, ""},
		{bulwark.Location{Path: "a", Line: 3}, "a:3"},
		{bulwark.Location{Path: "a", Layer: one}, "a, layer 1"},
		{bulwark.Location{Layer: one, Deleted: two}, "layer 1, deleted by layer 1234567890ab"},
	}
	for _, tt := range tests {
		if got := v.Where(tt.in); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestReproduce(t *testing.T) {
	id := bulwark.Digest("sha256:0123456789012345678901234567890123456789012345678901234567890123")
	tests := []struct {
		a    bulwark.Artifact
		want string
	}{
		{bulwark.Artifact{Kind: bulwark.KindImage, Source: "registry", ID: id, Name: "r:5000/a/b:1"}, "bulwark scan image r:5000/a/b@" + string(id)},
		{bulwark.Artifact{Kind: bulwark.KindImage, Source: "registry", ID: id, Name: "r:5000/a/b"}, "bulwark scan image r:5000/a/b@" + string(id)},
		{bulwark.Artifact{Kind: bulwark.KindImage, Source: "docker", ID: id, Name: "a:1"}, "bulwark scan image a:1"},
		{bulwark.Artifact{Kind: bulwark.KindDir, Name: "./x; rm -rf ~"}, "bulwark scan fs './x; rm -rf ~'"},
		{bulwark.Artifact{Kind: bulwark.KindHost, Name: "box"}, "bulwark scan host"},
		{bulwark.Artifact{Kind: "$(x)", Name: "a"}, ""},
	}
	for _, tt := range tests {
		if got := view.New(&bulwark.Report{Artifact: tt.a}).Reproduce(); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.a, got, tt.want)
		}
	}
}

func TestSBOMIdentity(t *testing.T) {
	a := &bulwark.Report{Artifact: bulwark.Artifact{ID: "sha256:1", Name: "a"}}
	b := &bulwark.Report{Artifact: bulwark.Artifact{ID: "sha256:1", Name: "b"}, Created: time.Now()}
	c := &bulwark.Report{Artifact: bulwark.Artifact{ID: "sha256:2"}}
	if view.SBOMUUID(a) != view.SBOMUUID(b) || view.SBOMUUID(a) == view.SBOMUUID(c) {
		t.Error("the UUID does not follow the content")
	}
	if got := view.SBOMTime(b); got != "1970-01-01T00:00:00Z" {
		t.Errorf("time %q of an artifact without one", got)
	}
}
