// SPDX-License-Identifier: Apache-2.0

package scan_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/scan"
)

// TestLooked: a report says what was looked for, so that silence can be told from
// nobody having looked. What the reading looked for stays when a saved report is
// judged anew; the rest is what is asked now.
func TestLooked(t *testing.T) {
	debian := bulwark.Inventory{OS: &bulwark.OS{ID: "debian", Version: "12"}}
	for name, tc := range map[string]struct {
		s    scan.Scanner
		inv  bulwark.Inventory
		old  []string
		want []string
	}{
		"nothing":       {scan.Scanner{}, debian, nil, nil},
		"kept":          {scan.Scanner{}, debian, []string{"malware", "secret"}, []string{"malware", "secret"}},
		"no-database":   {scan.Scanner{}, debian, []string{"secret", "vulnerability"}, []string{"secret"}},
		"config":        {scan.Scanner{Config: true}, debian, []string{"misconfiguration"}, []string{"BW-EOL-0001", "compliance", "misconfiguration"}},
		"no-end-known":  {scan.Scanner{Config: true}, bulwark.Inventory{OS: &bulwark.OS{ID: "unheard-of"}}, []string{"BW-EOL-0001"}, []string{"compliance"}},
		"licences":      {scan.Scanner{Licenses: true}, bulwark.Inventory{}, nil, []string{"license"}},
		"runtime":       {scan.Scanner{Config: true}, bulwark.Inventory{Functions: []bulwark.Function{{Provider: "aws", Runtime: "python3.12"}}}, nil, []string{"BW-FN-0001", "compliance"}},
		"runtime-alien": {scan.Scanner{Config: true}, bulwark.Inventory{Functions: []bulwark.Function{{Provider: "aws", Runtime: "python3.12"}, {Runtime: "cobol"}}}, nil, []string{"compliance"}},
	} {
		t.Run(name, func(t *testing.T) {
			old := &bulwark.Report{Inventory: tc.inv, Scan: bulwark.Scan{Looked: slices.Clone(tc.old)}}
			r, err := tc.s.Rejudge(t.Context(), old)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, r.Scan.Looked); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if d := cmp.Diff(tc.old, old.Scan.Looked); d != "" {
				t.Errorf("the saved report was changed (-want +got):\n%s", d)
			}
		})
	}
}

// TestHidden: findings that were left out of a report are counted in it.
func TestHidden(t *testing.T) {
	r := &bulwark.Report{Findings: []bulwark.Finding{
		{ID: "a", Class: bulwark.ClassSecret, Severity: bulwark.SeverityHigh}, {ID: "b", Class: bulwark.ClassSecret, Severity: bulwark.SeverityLow},
	}}
	scan.Show(r, []bulwark.Severity{bulwark.SeverityHigh})
	if r.Scan.Hidden != 1 || len(r.Findings) != 1 {
		t.Errorf("%d hidden, %d shown", r.Scan.Hidden, len(r.Findings))
	}
}
