// SPDX-License-Identifier: Apache-2.0

//go:build unix

// Package decide_test measures what decisions cost, and prints it: the benchmark
// builds it as a program and calls it as decide now. As a test it checks that what
// is measured is what it says.
package decide_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/policy/subject"
)

// Sizes that the bounds are about.
const (
	processRules    = 500
	gateRules       = 20
	vulnerabilities = 300
)

// turns is how often all of it is measured.
const turns = 6

func TestMain(m *testing.M) {
	if len(os.Args) != 2 || os.Args[1] != "now" {
		os.Exit(m.Run())
	}
	runtime.GOMAXPROCS(1)
	// A shared machine is slow for seconds at a time: the least of several is what it
	// costs.
	var c cost
	for i := range turns {
		m, err := measure()
		if err != nil {
			fmt.Fprintln(os.Stderr, "decide:", err)
			os.Exit(1)
		}
		if i == 0 {
			c = m
			continue
		}
		c.load, c.event, c.idle, c.gate = min(c.load, m.load), min(c.event, m.event), min(c.idle, m.idle), min(c.gate, m.gate)
		time.Sleep(time.Second)
	}
	fmt.Printf("load %.2f event %.0f allocs %.2f idle %.0f idleallocs %.2f gate %.1f gateallocs %.0f fired %d failed %d\n",
		1000*c.load.Seconds(), c.event, c.allocs, c.idle, c.idleAllocs, c.gate/1000, c.gateAllocs, c.fired, c.failed)
	os.Exit(0)
}

// A cost is what was measured, in processor time.
type cost struct {
	load       time.Duration // of all rules about processes, from their text
	event      float64       // ns for each decision about mixed events
	allocs     float64       // for each of them
	idle       float64       // ns for an event that no rule is about
	idleAllocs float64
	gate       float64 // ns for a report
	gateAllocs float64
	fired      int // events of the mix on which a rule fired
	failed     int // vulnerabilities that failed the gate
}

// used is the processor time of this process.
func used() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// least gives the least processor time of several rounds of n calls, in ns each,
// and the allocations of a call.
func least(n int, f func()) (ns, allocs float64) {
	f()
	for round := range 7 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := used()
		for range n {
			f()
		}
		d := float64(used()-start) / float64(n)
		runtime.ReadMemStats(&after)
		if round == 0 || d < ns {
			ns = d
		}
		allocs = float64(after.Mallocs-before.Mallocs) / float64(n)
	}
	return ns, allocs
}

// processPolicies writes rules as people write them: most name programs, some
// their parents and paths, one in ten looks at arguments, and a third is for one
// collection.
func processPolicies() []policy.Source {
	var b strings.Builder
	b.WriteString("apiVersion: bulwark.dev/v1\nkind: Collection\nmetadata: {name: prod}\nspec: {include: [{labels: {tier: prod}}]}\n")
	b.WriteString("---\napiVersion: bulwark.dev/v1\nkind: Collection\nmetadata: {name: lab}\nspec: {include: [{labels: {tier: lab}}]}\n")
	rule := func(i int) string {
		switch {
		case i%10 == 9:
			return fmt.Sprintf(`proc.name == "tool-%d" && proc.args.exists(a, a.startsWith("--flag-%d"))`, i%100, i)
		case i%10 == 8:
			return fmt.Sprintf(`proc.path.startsWith("/opt/app-%d/") && proc.uid == 0`, i)
		case i%10 == 7:
			return fmt.Sprintf(`proc.parent in ["svc-%d", "svc-%d"] && proc.name in ["sh", "bash", "dash"]`, i, i+1)
		case i%10 >= 5:
			return fmt.Sprintf(`proc.name in ["tool-%d", "tool-%d", "tool-%d"] && !proc.tty && proc.uid >= %d`, i%100, (i+1)%100, (i+7)%100, i%1000)
		}
		return fmt.Sprintf(`proc.name in ["tool-%d", "nc-%d"] && proc.parent in ["nginx", "httpd", "svc-%d"]`, i%100, i, i)
	}
	for p := range processRules / 10 {
		scope := ""
		if p%3 == 0 {
			scope = "scope: {collections: [prod]}, "
		} else if p%3 == 1 {
			scope = "scope: {not: [lab]}, "
		}
		fmt.Fprintf(&b, "---\napiVersion: bulwark.dev/v1\nkind: Policy\nmetadata: {name: p-%d}\nspec:\n  {subject: process, tier: org, %srules: [\n", p, scope)
		for i := range 10 {
			fmt.Fprintf(&b, "    {id: r-%d, when: '%s', effect: {run: alert}, message: \"proc.name + ' of ' + proc.parent\"},\n", i, rule(10*p+i))
		}
		b.WriteString("  ]}\n")
	}
	return []policy.Source{{Name: "process.yaml", Data: []byte(b.String())}}
}

func gatePolicies() []policy.Source {
	var b strings.Builder
	b.WriteString("apiVersion: bulwark.dev/v1\nkind: Policy\nmetadata: {name: gate}\nspec:\n  subject: vulnerability\n  stages: [build]\n  rules:\n")
	for i := range gateRules {
		when := []string{
			`v.severity >= sev.critical && v.fixed_in != "" && !vex.not_affected`, fmt.Sprintf("v.kev && v.epss > 0.%d", i+1),
			fmt.Sprintf(`v.pkg in ["pkg-%d", "pkg-%d"] && v.severity >= sev.high`, i, i+1), fmt.Sprintf(`v.id == "CVE-2026-%d"`, i),
			fmt.Sprintf(`now - v.published > duration("%dh") && v.severity >= sev.high`, 100000*(i+1)),
		}[i%5]
		fmt.Fprintf(&b, "  - {id: r-%d, when: '%s', effect: {build: fail}, message: \"v.id + ' in ' + v.pkg\"}\n", i, when)
	}
	return []policy.Source{{Name: "gate.yaml", Data: []byte(b.String())}}
}

func report(now time.Time) *bulwark.Report {
	r := &bulwark.Report{Created: now, Artifact: bulwark.Artifact{ID: "sha256:a", Kind: bulwark.KindImage, Name: "corp/web:1", Image: &bulwark.Image{}}, Advisories: map[string]bulwark.Advisory{}}
	r.Database = bulwark.Database{ID: "sha256:x", Built: now, Advisories: 1000}
	for i := range vulnerabilities {
		purl := fmt.Sprintf("pkg:deb/debian/pkg-%d@1.0", i)
		id := fmt.Sprintf("CVE-2026-%d", i)
		r.Inventory.Packages = append(r.Inventory.Packages, bulwark.Package{PURL: purl, Name: fmt.Sprintf("pkg-%d", i), Version: "1.0", Ecosystem: "Debian:12", Where: []bulwark.Location{{Path: "var/lib/dpkg/status"}}})
		r.Advisories[id] = bulwark.Advisory{ID: id, Published: now.AddDate(0, 0, -i), Severity: bulwark.Severity(i % 6), EPSS: float64(i%100) / 200}
		fix := ""
		if i%3 == 0 {
			fix = "1.1"
		}
		r.Findings = append(r.Findings, bulwark.Finding{ID: fmt.Sprintf("%016x", i), Class: bulwark.ClassVulnerability, Rule: id, Severity: bulwark.Severity(i % 6), Subject: purl, Fix: fix, Evidence: []bulwark.Evidence{{Location: bulwark.Location{Path: "var/lib/dpkg/status"}}}})
	}
	return r
}

func measure() (c cost, err error) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	var set *policy.Set
	for round := range 5 {
		start := used()
		if set, err = policy.Load(processPolicies()); err != nil {
			return c, err
		}
		if d := used() - start; round == 0 || d < c.load {
			c.load = d // the first is the cold one, and the least is what a quiet machine would give
		}
	}
	asset := &subject.Asset{Labels: map[string]string{"tier": "prod"}}
	v := set.At(bulwark.StageRun, asset)
	// What a busy node starts: many programs that a rule names in part, few that
	// one fires on.
	var events []*subject.ProcessSubject
	for i := range 200 {
		s := &subject.ProcessSubject{Proc: subject.Process{
			Name: fmt.Sprintf("tool-%d", i%150), Path: fmt.Sprintf("/usr/bin/tool-%d", i%150), Parent: []string{"bash", "cron", "systemd", "svc-17", "make"}[i%5],
			Args: []string{"tool", "-v", fmt.Sprintf("--flag-%d", i)}, UID: i, TTY: i%2 == 0,
		}, Asset: *asset}
		events = append(events, s)
		d, err := v.Decide("process", s, nil, now)
		if err != nil {
			return c, err
		}
		if len(d.Reasons) > 0 {
			c.fired++
		}
	}
	i := 0
	c.event, c.allocs = least(20_000, func() {
		if _, e := v.Decide("process", events[i%len(events)], nil, now); e != nil {
			err = e
		}
		i++
	})
	idle := &subject.ProcessSubject{Proc: subject.Process{Name: "idle", Path: "/usr/bin/idle", Parent: "systemd", Args: []string{"idle"}}, Asset: *asset}
	// Rules that have no key are asked about every event; without them nothing is.
	keyed, err := policy.Load(keyedPolicies())
	if err != nil {
		return c, err
	}
	k := keyed.At(bulwark.StageRun, asset)
	c.idle, c.idleAllocs = least(100_000, func() {
		if _, e := k.Decide("process", idle, nil, now); e != nil {
			err = e
		}
	})
	gate, e := policy.Load(gatePolicies())
	if e != nil {
		return c, e
	}
	r := report(now)
	j := policy.Judge{Set: gate}
	c.gate, c.gateAllocs = least(200, func() {
		d, _, e := j.Judge(r, now)
		if e != nil {
			err = e
		}
		c.failed = 0
		for _, x := range d.Reasons {
			c.failed += x.Count
		}
	})
	return c, err
}

// keyedPolicies are the rules about processes that name a program or its parent.
func keyedPolicies() []policy.Source {
	s := processPolicies()
	var b strings.Builder
	for line := range strings.Lines(string(s[0].Data)) {
		if !strings.Contains(line, "proc.path.startsWith") {
			b.WriteString(line)
		}
	}
	return []policy.Source{{Name: "keyed.yaml", Data: []byte(b.String())}}
}

// TestMeasured checks that the benchmark is about what it says: rules fire, and
// where none is about an event nothing is allocated.
func TestMeasured(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	set, err := policy.Load(keyedPolicies())
	if err != nil {
		t.Fatal(err)
	}
	asset := &subject.Asset{Labels: map[string]string{"tier": "prod"}}
	v := set.At(bulwark.StageRun, asset)
	idle := &subject.ProcessSubject{Proc: subject.Process{Name: "idle", Parent: "systemd"}, Asset: *asset}
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := v.Decide("process", idle, nil, now); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations where no rule is about the event, want none", n)
	}
	busy := &subject.ProcessSubject{Proc: subject.Process{Name: "tool-1", Parent: "nginx"}, Asset: *asset}
	if d, err := v.Decide("process", busy, nil, now); err != nil || len(d.Reasons) == 0 {
		t.Errorf("no rule fires: %+v, %v", d, err)
	}
	n := 0
	for _, p := range mustLoad(t, processPolicies()).Policies() {
		n += len(p.Rules)
	}
	if n != processRules {
		t.Errorf("%d rules", n)
	}
}

func mustLoad(t *testing.T, s []policy.Source) *policy.Set {
	t.Helper()
	set, err := policy.Load(s)
	if err != nil {
		t.Fatal(err)
	}
	return set
}
