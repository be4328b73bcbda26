// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/policy/condition"
	"github.com/bulwark-sec/bulwark/policy/subject"
)

var (
	noon   = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	stages = bulwark.Stages()
)

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// when gives a condition about a vulnerability; some cannot be evaluated.
func when(r *rand.Rand) string {
	leaf := pick(r,
		"v.severity >= sev.high", "v.severity == sev.unknown", `v.fixed_in != ""`, "v.kev", `v.id == "CVE-2026-1"`, `v.pkg in ["openssl", "zlib"]`,
		`asset.labels["team"] == "web"`, `asset.labels["owner"] == "x"`, "now - v.published > duration('720h')", "v.epss > 0.5", `pkg.paths.exists(p, p.startsWith("usr/"))`,
		"asset.internal", `v.pkg.startsWith("open")`, "true", `v.aliases.exists(a, a == "GHSA-1")`)
	switch r.IntN(5) {
	case 0:
		return "!(" + leaf + ")"
	case 1:
		return leaf + " && " + pick(r, "v.kev", `v.pkg == "zlib"`, "v.severity > sev.low", `asset.labels["owner"] == "y"`)
	case 2:
		return leaf + " || " + pick(r, "v.kev", `v.pkg == "zlib"`, "v.score > 9.0")
	}
	return leaf
}

// policyDoc writes a random policy of a tier.
func policyDoc(r *rand.Rand, name, tier string) string {
	combine := pick(r, "strictest", "strictest", "firstMatch")
	var b strings.Builder
	fmt.Fprintf(&b, "---\napiVersion: bulwark.dev/v1\nkind: Policy\nmetadata: {name: %s}\nspec:\n  subject: vulnerability\n  tier: %s\n  mode: %s\n  combine: %s\n  onUnknown: %s\n", name, tier, pick(r, "enforce", "enforce", "audit", "off"), combine, pick(r, "ignore", "alert", "fail", "block"))
	if r.IntN(2) == 0 {
		fmt.Fprintf(&b, "  scope: {collections: [%s]}\n", pick(r, "web", "prod"))
	}
	b.WriteString("  rules:\n")
	for i := range 1 + r.IntN(3) {
		effects := []string{"ignore", "alert", "warn", "fail", "block", "{build: fail, admit: block}", "{run: kill, default: alert}"}
		if combine == "firstMatch" {
			effects = append(effects, "allow", "{build: allow, default: warn}")
		}
		fmt.Fprintf(&b, "  - id: r%d\n    when: %q\n    effect: %s\n", i, when(r), pick(r, effects...))
		if r.IntN(3) == 0 {
			fmt.Fprintf(&b, "    grace: {days: %d, from: %s}\n", r.IntN(60), pick(r, "fix_date", "published"))
		}
	}
	return b.String()
}

const world = `
---
apiVersion: bulwark.dev/v1
kind: Collection
metadata: {name: web}
spec: {include: [{labels: {team: web}}]}
---
apiVersion: bulwark.dev/v1
kind: Collection
metadata: {name: prod}
spec: {include: [{repos: ["corp/*"]}], exclude: [{tags: ["dev-*"]}]}
`

func exceptionDoc(r *rand.Rand, name string, policies []string, match string) string {
	return fmt.Sprintf("---\napiVersion: bulwark.dev/v1\nkind: Exception\nmetadata: {name: %s}\nspec:\n  for: {policies: [%s]}\n  match: %q\n  reason: r\n  owner: o\n  approverTier: %s\n  expires: 2027-01-01\n",
		name, pick(r, policies...), match, pick(r, "team", "org", "guardrail"))
}

func vulnerability(r *rand.Rand) *subject.Vulnerability {
	v := &subject.Vulnerability{V: subject.Vuln{
		ID: fmt.Sprintf("CVE-2026-%d", r.IntN(3)), Severity: bulwark.Severity(r.IntN(6)), FixedIn: pick(r, "", "1.2"), KEV: r.IntN(3) == 0, Pkg: pick(r, "openssl", "zlib", "tar"), EPSS: r.Float64(),
	}}
	if r.IntN(3) > 0 {
		v.V.Published = noon.AddDate(0, 0, -r.IntN(90))
	}
	if r.IntN(2) == 0 {
		v.V.FixDate = noon.AddDate(0, 0, -r.IntN(90))
	}
	v.Pkg.Paths = pick(r, nil, []string{"usr/lib/x"}, []string{"app/y"})
	v.Asset = subject.Asset{Repo: pick(r, "corp/web", "else/where"), Tag: pick(r, "1", "dev-2"), Internal: r.IntN(2) == 0, Labels: pick(r, nil, map[string]string{"team": "web"})}
	return v
}

func sources(docs ...string) []policy.Source {
	out := []policy.Source{{Name: "world.yaml", Data: []byte(world)}}
	for i, d := range docs {
		out = append(out, policy.Source{Name: fmt.Sprintf("%c.yaml", 'a'+i), Data: []byte(d)})
	}
	return out
}

func load(t testing.TB, docs ...string) *policy.Set {
	t.Helper()
	s, err := policy.Load(sources(docs...))
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(docs, ""))
	}
	return s
}

func decide(t testing.TB, s *policy.Set, stage bulwark.Stage, v *subject.Vulnerability, unknown []string) bulwark.Decision {
	t.Helper()
	d, err := s.At(stage, &v.Asset).Decide("vulnerability", v, unknown, noon)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestProperties checks over random sets and inputs: a policy of a lower tier never
// lowers the effect; an exception never raises it; the order of files means
// nothing; the same question has the same answer, to the byte; nothing passes or is
// allowed on an error, unless the policy says to ignore that.
func TestProperties(t *testing.T) {
	n := 150
	if testing.Short() {
		n = 20
	}
	raised, excepted, failed := 0, 0, 0
	for seed := range uint64(n) {
		r := rand.New(rand.NewPCG(seed, 1))
		high, low := "guardrail", "team"
		docs := []string{policyDoc(r, "p", high), policyDoc(r, "q", "org")}
		base := load(t, docs...)
		more := load(t, append(slices.Clone(docs), policyDoc(r, "a", low))...)
		match := when(r)
		lenient := load(t, append(slices.Clone(docs), exceptionDoc(r, "x", []string{"p", "q"}, match))...)

		turned := sources(docs...)
		slices.Reverse(turned)
		back, err := policy.Load(turned)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			v, stage := vulnerability(r), pick(r, stages...)
			unknown := pick(r, nil, nil, []string{"v.kev"}, []string{"v"}, []string{"asset.labels", "v.published"})
			d := decide(t, base, stage, v, unknown)
			if got := decide(t, more, stage, v, unknown); got.Effect < d.Effect {
				t.Fatalf("seed %d: a lower tier's policy lowers %s to %s", seed, d.Effect, got.Effect)
			} else if got.Effect > d.Effect {
				raised++
			}
			if got := decide(t, lenient, stage, v, unknown); got.Effect > d.Effect {
				t.Fatalf("seed %d: an exception raises %s to %s\n%+v", seed, d.Effect, got.Effect, got)
			} else if got.Effect < d.Effect {
				excepted++
			}
			a, b := encode(t, d), encode(t, decide(t, back, stage, v, unknown))
			if !bytes.Equal(a, b) || !bytes.Equal(a, encode(t, decide(t, base, stage, v, unknown))) {
				t.Fatalf("seed %d: one question, two answers:\n%s\n%s", seed, a, b)
			}
			if len(d.Errors) > 0 {
				failed++
				sound(t, d)
			}
		}
	}
	if raised == 0 || excepted == 0 || failed == 0 {
		t.Errorf("%d raised, %d excepted, %d with errors: the test does not reach what it is about", raised, excepted, failed)
	}
}

// sound checks that no error made a decision milder than its policy asks for.
func sound(t testing.TB, d bulwark.Decision) {
	t.Helper()
	for _, e := range d.Errors {
		if e.Detail == "" || e.Rule == "" {
			t.Errorf("an error that says nothing: %+v", e)
		}
		if e.Effect > d.Effect {
			t.Errorf("the error's effect %s is not in the decision's %s", e.Effect, d.Effect)
		}
		if e.Effect > bulwark.EffectIgnore && d.Verdict == bulwark.Pass {
			t.Errorf("passed on an error: %+v", d)
		}
	}
	if len(d.Errors) > 0 && d.Effect == bulwark.EffectAllow {
		t.Errorf("allowed on an error: %+v", d)
	}
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTargets reads the tables of rules from their JSON alone, as an enforcement
// point would, and compares what they say with what the set decides.
func TestTargets(t *testing.T) {
	docs := `
---
apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: net}
spec: {subject: connection, combine: firstMatch, rules: [
  {id: api, when: 'src.app == "api" && dst.app in ["db", "cache"] && conn.port == 5432', effect: allow},
  {id: private, when: 'cidr("10.0.0.0/8").containsIP(dst.ip) && conn.port >= 1024 && conn.port < 2000', effect: {run: block}},
  {id: other, when: '!(dst.app == "web" || dst.dns.endsWith(".corp")) && conn.protocol != "udp"', effect: {run: alert}}]}
---
apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: shells}
spec: {subject: process, rules: [
  {id: shell, when: 'proc.name in ["sh", "bash"] && !proc.tty', effect: {run: prevent}},
  {id: args, when: 'proc.name == "nc" && proc.args.exists(a, a == "-e")', effect: {run: kill}}]}
---
apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: pods}
spec: {subject: k8s.object, stages: [admit], scope: {kinds: [Pod]}, rules: [
  {id: hostpath, when: 'object.spec.volumes.exists(v, has(v.hostPath))', effect: block},
  {id: asset, when: 'object.kind == "Pod" && asset.cluster == "x"', effect: block}]}
`
	s := load(t, docs)
	forms := map[string]string{}
	var tables []policy.Target
	var decoded []policy.Target
	if err := json.Unmarshal(encode(t, s.Targets()), &decoded); err != nil {
		t.Fatal(err)
	}
	for _, x := range decoded {
		forms[x.Rule] = x.Form
		if x.Form == policy.FormTable && x.Subject == "connection" {
			tables = append(tables, x)
		}
		if x.Form != policy.FormTable && x.Why == "" {
			t.Errorf("%s does not say why it is no table", x.Rule)
		}
	}
	for rule, want := range map[string]string{"net/api": "table", "net/private": "table", "net/other": "table", "shells/shell": "table", "shells/args": "evaluate", "pods/hostpath": "admission", "pods/asset": "evaluate"} {
		if forms[rule] != want {
			t.Errorf("%s is of form %q, want %q", rule, forms[rule], want)
		}
	}
	r := rand.New(rand.NewPCG(7, 7))
	fired := map[string]int{}
	for range 5000 {
		c := &subject.ConnectionSubject{
			Src:  subject.Endpoint{App: pick(r, "api", "web", "")},
			Dst:  subject.Endpoint{App: pick(r, "db", "cache", "web", ""), IP: pick(r, "10.1.2.3", "192.168.1.1", "2001:db8::1"), DNS: pick(r, "a.corp", "b.example")},
			Conn: subject.Conn{Port: pick(r, 5432, 1023, 1024, 1999, 2000), Protocol: pick(r, "tcp", "udp")},
		}
		var flat map[string]any
		if err := json.Unmarshal(encode(t, c), &flat); err != nil {
			t.Fatal(err)
		}
		want := ""
		for _, x := range tables { // in order: the first answers
			if slices.ContainsFunc(x.Table, func(row condition.Row) bool {
				return !slices.ContainsFunc(row, func(test condition.Test) bool { return !holds(t, test, flat) })
			}) {
				want = x.Rule + " " + x.Effects[bulwark.StageRun].String()
				break
			}
		}
		d, err := s.At(bulwark.StageRun, &c.Asset).Decide("connection", c, nil, noon)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if len(d.Reasons) > 0 {
			got = d.Reasons[0].Rule + " " + d.Reasons[0].Effect.String()
		}
		if got != want {
			t.Fatalf("%s: decided %q, the tables say %q", encode(t, c), got, want)
		}
		fired[got]++
	}
	if len(fired) != 4 {
		t.Errorf("not every rule fired: %v", fired)
	}
}

// holds is a second reading of a test, from its JSON.
func holds(t *testing.T, x condition.Test, flat map[string]any) bool {
	t.Helper()
	var v any = flat
	for part := range strings.SplitSeq(x.Field, ".") {
		m, _ := v.(map[string]any)
		v = m[part]
	}
	text, _ := v.(string)
	number, _ := v.(float64)
	truth, _ := v.(bool)
	yes := false
	switch x.Op {
	case condition.OpIn:
		yes = slices.Contains(x.Texts, text)
	case condition.OpPrefix:
		yes = strings.HasPrefix(text, x.Texts[0])
	case condition.OpSuffix:
		yes = strings.HasSuffix(text, x.Texts[0])
	case condition.OpTrue:
		yes = truth
	case condition.OpRange:
		yes = x.Min <= int64(number) && int64(number) <= x.Max
	case condition.OpCIDR:
		yes = netip.MustParsePrefix(x.Texts[0]).Contains(netip.MustParseAddr(text))
	default:
		t.Fatalf("operator %q", x.Op)
	}
	return yes != x.Not
}
