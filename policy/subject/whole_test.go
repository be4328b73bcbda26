// SPDX-License-Identifier: Apache-2.0

package subject_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy/subject"
)

// TestSeveralLicences: what one may choose from is not all that one must accept.
func TestSeveralLicences(t *testing.T) {
	r := &bulwark.Report{Inventory: bulwark.Inventory{Packages: []bulwark.Package{
		{PURL: "pkg:npm/one@1", Licenses: []string{"MIT"}},
		{PURL: "pkg:gem/two@1", Licenses: []string{"MIT", "AGPL-3.0-only"}},
		{PURL: "pkg:gem/mixed@1", Licenses: []string{"MIT AND AGPL-3.0-only", "AGPL-3.0-only"}},
		{PURL: "pkg:deb/debian/parts@1", Licenses: []string{"MIT", "GPL-2.0-only OR BSD-3-Clause"}},
		{PURL: "pkg:npm/none@1"},
	}}}
	var got []string
	for i := range subject.OfReport(r, subject.Asset{}, func(kind string) bool { return kind == "package.license" }) {
		l := i.Subject.(*subject.LicenseSubject)
		got = append(got, l.Pkg.PURL+": "+l.License.Expression+": "+strings.Join(l.License.Unavoidable, " "))
	}
	want := []string{
		"pkg:npm/one@1: MIT: MIT",
		"pkg:gem/two@1: (MIT) OR (AGPL-3.0-only): ",
		"pkg:gem/mixed@1: (MIT AND AGPL-3.0-only) OR (AGPL-3.0-only): AGPL-3.0-only",
		"pkg:deb/debian/parts@1: (MIT) AND (GPL-2.0-only OR BSD-3-Clause): MIT",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestBaseName: a base image has one name, however a label writes it.
func TestBaseName(t *testing.T) {
	for name, want := range map[string]string{
		"":                       "",
		"debian:12":              "docker.io/library/debian:12",
		"acme/base":              "docker.io/acme/base",
		"acme.test:5000/base:1":  "acme.test:5000/base:1",
		"scratch":                "docker.io/library/scratch",
		"debian@sha256:abc":      "docker.io/library/debian@sha256:abc",
		"acme.test/x:1@sha256:a": "acme.test/x:1@sha256:a",
	} {
		r := &bulwark.Report{Artifact: bulwark.Artifact{Kind: bulwark.KindImage}, Base: &bulwark.Base{Name: name}}
		for i := range subject.OfReport(r, subject.Asset{}, func(kind string) bool { return kind == "image" }) {
			if got := i.Subject.(*subject.ImageSubject).Img.Base.Name; got != want {
				t.Errorf("%q: %q, want %q", name, got, want)
			}
		}
	}
}
