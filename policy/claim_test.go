// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
)

func TestClaims(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	image := fresh()
	image.Artifact = bulwark.Artifact{Kind: bulwark.KindImage, Name: "ghcr.io/corp/web:1", ID: bulwark.Digest("sha256:" + strings.Repeat("b", 64))}
	image.Findings = []bulwark.Finding{finding("a", bulwark.SeverityHigh, ""), finding("b", bulwark.SeverityLow, "")}
	image.Findings[0].Status = bulwark.Status{State: bulwark.StateAccepted, By: "exception/e"}
	image.Advisories = map[string]bulwark.Advisory{"CVE-a": {Aliases: []string{"GHSA-a"}}}
	dir := fresh()
	dir.Artifact = bulwark.Artifact{Kind: bulwark.KindDir, Name: "src"}
	dir.Findings = []bulwark.Finding{finding("a", bulwark.SeverityHigh, "")}
	const until = "expires: 2026-08-01"
	match := func(s string) string { return "for: {policies: [gate]}, match: '" + s + "', " + until }
	for _, tc := range []struct {
		name string
		docs string
		want []string
	}{
		{"digest", except("e", match(`v.id == "CVE-x" && img.digest == "`+digest+`"`)), []string{"e CVE-x " + digest[:20] + " []"}},
		{"purls", except("e", match(`v.id in ["CVE-x", "CVE-y"] && (pkg.purl == "pkg:deb/z@1" || pkg.purl.startsWith("pkg:deb/y@"))`)), []string{
			"e CVE-x  [pkg:deb/y pkg:deb/z@1]", "e CVE-y  [pkg:deb/y pkg:deb/z@1]"}},
		{"both", except("e", match(`v.id == "CVE-x" && pkg.purl == "pkg:deb/z@1" && img.digest == "`+digest+`"`)), []string{"e CVE-x " + digest[:20] + " [pkg:deb/z@1]"}},
		{"narrower", except("e", match(`v.id == "CVE-a" && pkg.purl == "pkg:deb/z@1" && v.severity < sev.high`)), []string{"e! unused"}},
		{"not", except("e", match(`v.id == "CVE-a" && pkg.purl != "pkg:deb/z@1"`)), []string{
			"e CVE-a  [pkg:deb/a]", "e CVE-a sha256:bbbbbbbbbbbbb [pkg:deb/a] GHSA-a"}},
		{"prefix", except("e", match(`v.id == "CVE-x" && pkg.purl.startsWith("pkg:deb/z")`)), []string{"e! unused"}},
		{"wrong-digest", except("e", match(`v.id == "CVE-x" && img.digest == "latest"`)), []string{"e! unused"}},
		{"scope", except("e", match(`v.id == "CVE-x" && pkg.purl == "pkg:deb/z@1"`)+", scope: {collections: [elsewhere]}"), []string{"e! unused"}},
		{"everything-of-a-rule", except("e", "for: {policies: [gate]}, "+until), []string{"e CVE-a  [pkg:deb/a]", "e CVE-a sha256:bbbbbbbbbbbbb [pkg:deb/a] GHSA-a"}},
		{"over", except("e", `for: {policies: [gate]}, match: v.id == "CVE-a", expires: 2026-01-01`), []string{"e! expired"}},
		{"early", except("e", `for: {policies: [gate]}, match: v.id == "CVE-a", starts: 2027-01-01, expires: 2027-02-01`), []string{"e! not-yet-valid"}},
		{"other-kind", except("e", `for: {subject: secret}, match: "true", `+until), []string{"e! unused"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := policy.Load([]policy.Source{{Name: "p.yaml", Data: []byte(lintPolicies + tc.docs)}})
			if err != nil {
				t.Fatal(err)
			}
			claims, silent, err := policy.Lint{Now: lintNow}.Claims(t.Context(), s, slices.Values([]*bulwark.Report{image, dir}))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range claims {
				id := ""
				if c.Image != nil {
					id = string(c.Image.ID)[:20]
				}
				got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s %v %s", c.Exception.Name, c.Vulnerability, id, c.Packages, strings.Join(c.Aliases, " "))))
			}
			for _, r := range silent {
				got = append(got, strings.TrimPrefix(r.Name, "exception/")+"! "+r.Kind)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
