// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/policy/subject"
)

const explained = `
apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: ordered}
spec:
  subject: connection
  combine: firstMatch
  rules:
  - {id: api, when: src.app == "api" && conn.port == 5432, effect: allow}
  - {id: db, when: dst.app == "db", effect: block, message: src.app + " to " + dst.app}
---
apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: other}
spec:
  subject: connection
  onUnknown: ignore
  rules:
  - {id: dns, when: dst.dns.endsWith(".example"), effect: alert}
---
apiVersion: bulwark.dev/v1
kind: Exception
metadata: {name: batch}
spec:
  for: {policies: [ordered], rules: [db]}
  match: src.app == "batch"
  reason: nightly copy
  owner: team
  expires: 2027-01-31
`

func TestExplain(t *testing.T) {
	set, err := policy.Load([]policy.Source{{Name: "p.yaml", Data: []byte(explained)}})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	v := set.At(bulwark.StageRun, new(subject.Asset))
	type line struct {
		Rule, Answer, Why, Effect string
		Leaves, Exceptions        []string
	}
	for _, tc := range []struct {
		name string
		in   subject.ConnectionSubject
		want []line
	}{
		{"first", subject.ConnectionSubject{Src: subject.Endpoint{App: "api"}, Dst: subject.Endpoint{App: "db"}, Conn: subject.Conn{Port: 5432}}, []line{
			{Rule: "ordered/api", Answer: "match", Effect: "allow", Leaves: []string{`src.app == "api" yes [src.app = "api"]`, `conn.port == 5432 yes [conn.port = 5432]`}},
			{Rule: "ordered/db", Why: `rule "ordered/api" answered first`},
			{Rule: "other/dns", Answer: "unknown", Why: "dst.dns: not known", Effect: "ignore", Leaves: []string{`dst.dns.endsWith(".example") unknown [dst.dns = unknown]`}},
		}},
		{"second", subject.ConnectionSubject{Src: subject.Endpoint{App: "batch"}, Dst: subject.Endpoint{App: "db"}, Conn: subject.Conn{Port: 1}}, []line{
			{Rule: "ordered/api", Answer: "no", Leaves: []string{`src.app == "api" no [src.app = "batch"]`, `conn.port == 5432 no [conn.port = 1]`}},
			{Rule: "ordered/db", Answer: "match", Effect: "ignore", Leaves: []string{`dst.app == "db" yes [dst.app = "db"]`}, Exceptions: []string{"exception/batch applied: until 2027-01-31, owner team: nightly copy"}},
			{Rule: "other/dns", Answer: "unknown", Why: "dst.dns: not known", Effect: "ignore", Leaves: []string{`dst.dns.endsWith(".example") unknown [dst.dns = unknown]`}},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			lines := func(all []policy.Explanation, err error) []line {
				if err != nil {
					t.Fatal(err)
				}
				var got []line
				for _, x := range all {
					l := line{Rule: x.Rule, Answer: x.Answer, Why: x.Why}
					if x.Reason != nil {
						l.Effect = x.Reason.Effect.String()
					}
					for _, p := range x.Leaves {
						l.Leaves = append(l.Leaves, p.Source+" "+p.Value+" ["+join(p.Inputs)+"]")
					}
					for _, e := range x.Exceptions {
						s := e.Name + " not: " + e.Why
						if e.Applied {
							s = e.Name + " applied: " + e.Why
						}
						l.Exceptions = append(l.Exceptions, s)
					}
					got = append(got, l)
				}
				return got
			}
			unknown := []string{"dst.dns"}
			if diff := cmp.Diff(tc.want, lines(v.Explain("connection", &tc.in, unknown, at))); diff != "" {
				t.Error(diff)
			}
			for i := range tc.want {
				tc.want[i].Leaves = nil
			}
			if diff := cmp.Diff(tc.want, lines(v.Answers("connection", &tc.in, unknown, at))); diff != "" {
				t.Errorf("without leaves: %s", diff)
			}
		})
	}
	if _, err := v.Explain("connection", new(subject.ProcessSubject), nil, at); err == nil {
		t.Error("a subject of another kind was explained")
	}
}

func join(list []string) string {
	out := ""
	for i, s := range list {
		if i > 0 {
			out += "; "
		}
		out += s
	}
	return out
}
