// SPDX-License-Identifier: Apache-2.0

package view_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

func TestDecision(t *testing.T) {
	const fail, alert, ignore = bulwark.EffectFail, bulwark.EffectAlert, bulwark.EffectIgnore
	day := func(d int) time.Time { return time.Date(2027, 1, d, 0, 0, 0, 0, time.UTC) }
	closed := func(id, until string) bulwark.Finding {
		return bulwark.Finding{ID: id, Status: bulwark.Status{State: bulwark.StateAccepted, Until: until}}
	}
	type want struct {
		Reasons                []string
		Tally, Excepted, Until string
		Refused                []string
	}
	tests := []struct {
		name     string
		decision bulwark.Decision
		findings []bulwark.Finding
		want     want
	}{
		{name: "zero"},
		{"old", bulwark.Decision{Reasons: []bulwark.Reason{{Rule: "a"}, {Rule: "b"}}}, nil, want{Reasons: []string{" a ", " b "}}},
		{"order", bulwark.Decision{Reasons: []bulwark.Reason{
			{Rule: "trust"}, {Rule: "alert", Effect: alert, Wanted: fail}, {Rule: "fail", Effect: fail}, {Rule: "records", Effect: ignore}, {Rule: "allows", Effect: bulwark.EffectAllow},
			{Rule: "grace", Effect: alert, Wanted: fail, Held: "grace until 2027-01-02"},
		}}, nil, want{Reasons: []string{"fail fail ", "alert alert fail held to alert", "alert grace grace until 2027-01-02", " trust "}, Tally: "1 rule says fail, 2 alert"}},
		{"excepted", bulwark.Decision{
			Reasons: []bulwark.Reason{
				{Rule: "p/a", Effect: ignore, Wanted: fail, Findings: []string{"x", "y"}, Count: 2, Until: day(9)},
				{Rule: "p/b", Effect: ignore, Wanted: alert, Findings: []string{"y", "z"}, Count: 2},
			},
			Exceptions: []bulwark.Considered{
				{Name: "exception/e", Rule: "p/a", About: true, Applied: true}, {Name: "exception/e", Rule: "p/b", About: true, Applied: true}, {Name: "vex.json", Applied: true},
				{Name: "exception/old", Rule: "p/b", About: true, Why: "it ended", Count: 2}, {Name: "exception/old", Rule: "p/a", About: true, Why: "it ended", Count: 1},
				{Name: "exception/other", Rule: "p/a", Why: "its match is false"},
			},
		}, []bulwark.Finding{closed("x", ""), closed("y", "2027-01-05"), closed("z", "nonsense")},
			want{Excepted: "3 findings are excepted by exception/e, vex.json; the first ends on 2027-01-05", Until: "2027-01-05", Refused: []string{"exception/old for p/a, p/b: it ended"}}},
		{"cut", bulwark.Decision{Reasons: []bulwark.Reason{{Effect: ignore, Wanted: fail, Findings: []string{"x"}, Count: 250}}}, nil, want{Excepted: "at least 250 findings are excepted"}},
		{"subject", bulwark.Decision{Reasons: []bulwark.Reason{{Effect: ignore, Wanted: fail, Count: 1}}}, nil, want{Excepted: "1 subject is excepted"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := view.New(&bulwark.Report{Decision: tt.decision, Findings: tt.findings})
			var got want
			for _, r := range v.Reasons() {
				got.Reasons = append(got.Reasons, fmt.Sprintf("%s %s %s", r.Effect, r.Rule, view.Aside(&r)))
			}
			x := v.Excepted()
			got.Tally, got.Excepted, got.Until = v.Tally(), x.Words(), x.Until()
			for _, r := range v.Refused() {
				got.Refused = append(got.Refused, r.Words())
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
