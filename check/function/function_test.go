// SPDX-License-Identifier: Apache-2.0

package function_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check/function"
)

func TestFindings(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		provider, runtime string
		want              string
	}{
		{"aws", "nodejs12.x", "BW-FN-0001 high aws:nodejs12.x use the runtime nodejs24.x"},
		{"", "nodejs12.x", "BW-FN-0001 high aws:nodejs12.x use the runtime nodejs24.x"},
		{"aws", "python3.10", "BW-FN-0002 low aws:python3.10 use the runtime python3.13"},
		{"aws", "python3.13", ""},
		{"aws", "java17.al2023", ""},
		{"aws", "nodejs4.3-edge", "BW-FN-0001 high aws:nodejs4.3-edge use the runtime nodejs24.x"},
		{"gcp", "go124", "BW-FN-0002 low gcp:go124 use the runtime go127"},
		{"azure", "dotnet-isolated8.0", "BW-FN-0002 low azure:dotnet-isolated8.0 use the runtime dotnet-isolated10.0"},
		{"azure", "PowerShell|7.4", "BW-FN-0002 low azure:powershell7.4 use the runtime powershell7.6"},
		{"gcp", "nodejs12", "BW-FN-0001 high gcp:nodejs12 use the runtime nodejs24"},
		{"azure", "NODE|16", "BW-FN-0001 high azure:node16 use the runtime node24"},
		{"azure", "python3.9", "BW-FN-0001 high azure:python3.9 use the runtime python3.12"},
		{"aws", "nodejs", ""}, // a language alone
		{"aws", "cobol85", ""},
		{"gcp", "nodejs12.x", ""}, // another provider's name
	} {
		got := ""
		for _, f := range function.Findings([]bulwark.Function{{Provider: tc.provider, Runtime: tc.runtime, Path: "template.yaml", Line: 3}}, now) {
			got = strings.Join([]string{f.Rule, f.Severity.String(), f.Subject, f.Fix}, " ")
			if f.ID != bulwark.FindingID(f.Class, f.Rule, f.Subject) || f.Evidence[0].Path != "template.yaml" || f.Evidence[0].Line != 3 {
				t.Errorf("%s: %+v", tc.runtime, f)
			}
		}
		if got != tc.want {
			t.Errorf("%s %s: %q, want %q", tc.provider, tc.runtime, got, tc.want)
		}
	}
}

// TestTogether shows that functions with one runtime are one finding.
func TestTogether(t *testing.T) {
	found := function.Findings([]bulwark.Function{
		{Name: "a", Provider: "aws", Runtime: "python3.8"}, {Name: "b", Provider: "aws", Runtime: "python3.8"},
	}, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if len(found) != 1 || len(found[0].Evidence) != 2 {
		t.Fatalf("%+v", found)
	}
	if d := cmp.Diff("b: python3.8: security updates ended on 2024-10-14", found[0].Evidence[1].Detail); d != "" {
		t.Error(d)
	}
}

// TestRules shows that every finding has its rule.
func TestRules(t *testing.T) {
	ids := map[string]bool{}
	for _, r := range function.Rules() {
		ids[r.ID] = r.Title != "" && r.Remedy != "" && len(r.References) > 0
	}
	for _, id := range []string{function.RuleEnded, function.RuleEnding, function.RuleSecret} {
		if !ids[id] {
			t.Errorf("rule %s is not told in full", id)
		}
	}
	f := function.Secret(&bulwark.Function{Name: "F"}, "KEY")
	if f.Subject != "F env:KEY" || f.Evidence[0].Detail != "F: the environment variable KEY holds a secret" {
		t.Errorf("%+v", f)
	}
}
