// SPDX-License-Identifier: Apache-2.0

package condition

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark/policy/subject"
)

var lists = map[string][]string{"shells": {"sh", "bash", "dash", "ash", "zsh", "ksh"}, "golden": {"sha256:a"}}

func env(t testing.TB, kind string) *Env {
	t.Helper()
	k, ok := subject.ByName(kind)
	if !ok {
		t.Fatalf("no subject %q", kind)
	}
	e, err := NewEnv(reflect.TypeOf(k.New()).Elem(), subject.Severities(), lists)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestKinds makes the environment of every subject: a struct that CEL cannot see
// is found here.
func TestKinds(t *testing.T) {
	for _, k := range subject.Kinds() {
		e := env(t, k.Name)
		for _, f := range e.Fields() {
			if f.Doc == "" {
				t.Errorf("%s: %s says nothing of itself", k.Name, f.Name)
			}
			for _, s := range f.Stages {
				known := false
				for _, stage := range k.Stages {
					known = known || string(stage) == s
				}
				if !known && len(f.Stages) == 1 {
					t.Errorf("%s: %s is known at %s, where there is no such subject", k.Name, f.Name, s)
				}
			}
		}
		if _, err := e.Bind(struct{}{}, time.Time{}, nil); err == nil {
			t.Errorf("%s takes any subject", k.Name)
		}
	}
}

func TestFaults(t *testing.T) {
	ar, err := txtar.ParseFile("testdata/faults.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range ar.Files {
		e := env(t, f.Name)
		lines := strings.Split(strings.TrimSpace(string(f.Data)), "\n")
		for i := 0; i+1 < len(lines); i += 2 {
			_, faults := e.Compile(lines[i])
			if len(faults) == 0 {
				t.Errorf("%s is taken", lines[i])
				continue
			}
			got := fmt.Sprintf("%d %s", faults[0].Offset, faults[0].Detail)
			if diff := cmp.Diff(lines[i+1], got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", lines[i], diff)
			}
		}
	}
}

// TestEval asks conditions about one process each way: what the table says and
// what CEL says is one thing.
func TestEval(t *testing.T) {
	e := env(t, "process")
	shell := &subject.ProcessSubject{
		Proc:  subject.Process{Name: "sh", Path: "/bin/sh", Parent: "nginx", Args: []string{"sh", "-c", "id"}, UID: 33},
		Asset: subject.Asset{Labels: map[string]string{"team": "web"}},
	}
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		when    string
		unknown []string
		want    Truth
		why     string
	}{
		{`proc.name in ["sh", "bash"] && proc.parent in ["nginx"]`, nil, Yes, ""},
		{`proc.name in lists.shells`, nil, Yes, ""},
		{`proc.name in lists.golden`, nil, No, ""},
		{`proc.name == "sh" && proc.uid != 33`, nil, No, ""},
		{`"sh" == proc.name && 33 == proc.uid && 30 < proc.uid`, nil, Yes, ""},
		{`!(proc.uid >= 33)`, nil, No, ""},
		{`proc.path.startsWith("/bin/") && !proc.path.endsWith(".py")`, nil, Yes, ""},
		{`proc.tty == false`, nil, Yes, ""},
		{`proc.tty || proc.args.exists(a, a == "-c")`, nil, Yes, ""},
		{`asset.labels["team"] == "web"`, nil, Yes, ""},
		{`asset.labels["owner"] == "web"`, nil, Unknown, "no such key: owner"},
		{`asset.labels["owner"] == "web" || proc.name == "sh"`, nil, Yes, ""},
		{`asset.labels["owner"] == "web" && proc.name == "nc"`, nil, No, ""},
		{`proc.name == "sh"`, []string{"proc.name"}, Unknown, "proc.name: not known"},
		{`proc.name == "sh" || proc.uid == 33`, []string{"proc.name"}, Yes, ""},
		{`proc.name == "sh" && proc.uid == 0`, []string{"proc"}, Unknown, "proc.name, proc.uid: not known"},
		{`proc.name.size() > 3`, []string{"proc.name"}, Unknown, "proc.name: not known"},
		{`now > timestamp("2026-01-01T00:00:00Z")`, nil, Yes, ""},
		{`true`, nil, Yes, ""},
		{`proc.uid / 0 == 1`, nil, Unknown, "division by zero"},
	} {
		c, faults := e.Compile(tc.when)
		if len(faults) > 0 {
			t.Errorf("%s: %v", tc.when, faults)
			continue
		}
		in, err := e.Bind(shell, now, tc.unknown)
		if err != nil {
			t.Fatal(err)
		}
		for name, eval := range map[string]func(*Input) (Truth, error){"table": c.Eval, "cel": c.evalCEL} {
			got, err := eval(in)
			why := ""
			if err != nil {
				why = err.Error()
			}
			if got != tc.want || why != tc.why {
				t.Errorf("%s by %s: %s %q, want %s %q", tc.when, name, got, why, tc.want, tc.why)
			}
		}
		in.Release()
	}
}

// TestTooLarge: what is larger than a field may be is unknown, not cut and not
// walked.
func TestTooLarge(t *testing.T) {
	e := env(t, "process")
	c, faults := e.Compile(`proc.args.exists(a, a == "x") || proc.path == "/x"`)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	for _, s := range []*subject.ProcessSubject{
		{Proc: subject.Process{Args: make([]string, 5000)}},
		{Proc: subject.Process{Path: strings.Repeat("a", 1<<20)}},
	} {
		in, err := e.Bind(s, time.Time{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Eval(in); got != Unknown || err == nil {
			t.Errorf("got %s, %v", got, err)
		}
		in.Release()
	}
}

// TestRunaway: a value without a type may be larger than its cost was taken for,
// and then it is unknown, soon.
func TestRunaway(t *testing.T) {
	e := env(t, "k8s.object")
	c, faults := e.Compile(`object.a.exists(a, object.a.exists(b, a != b && a == -1))`)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	many := make([]any, 20_000)
	for i := range many {
		many[i] = int64(i)
	}
	in, err := e.Bind(&subject.ObjectSubject{Object: map[string]any{"a": many}}, time.Time{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Eval(in); got != Unknown || err == nil || !strings.Contains(err.Error(), "more than 100000 items") {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestExplain(t *testing.T) {
	e := env(t, "process")
	c, faults := e.Compile(`proc.name in lists.shells && (proc.parent == "nginx" || proc.args.exists(a, a == "-i")) && !proc.tty`)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	in, err := e.Bind(&subject.ProcessSubject{Proc: subject.Process{Name: "sh", Args: []string{"sh", "-i"}}}, time.Time{}, []string{"proc.parent"})
	if err != nil {
		t.Fatal(err)
	}
	want := []Leaf{
		{Source: "proc.name in lists.shells", Value: "yes", Inputs: []string{`proc.name = "sh"`}},
		{Source: `proc.parent == "nginx"`, Value: "unknown", Why: "proc.parent: not known", Inputs: []string{"proc.parent = unknown"}},
		{Source: `proc.args.exists(a, a == "-i")`, Value: "yes", Inputs: []string{`proc.args = ["sh","-i"]`}},
		{Source: "proc.tty", Value: "no", Inputs: []string{"proc.tty = false"}},
	}
	if diff := cmp.Diff(want, c.Explain(in)); diff != "" {
		t.Errorf("Explain (-want +got):\n%s", diff)
	}
}

func TestMutants(t *testing.T) {
	e := env(t, "image")
	c, faults := e.Compile(`!(img.signers.exists(s, s.issuer == "x" && s.san.matches("^a")) || img.root) ? img.size > 3 : img.user == ""`)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	var got []string
	for _, m := range c.Mutants() {
		got = append(got, m.Leaf)
		if _, faults := e.Compile(m.Source); len(faults) > 0 {
			t.Errorf("%s: %v", m.Source, faults)
		}
	}
	want := []string{`s.issuer == "x"`, `s.san.matches("^a")`, "img.root", "img.size > 3", `img.user == ""`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Mutants (-want +got):\n%s", diff)
	}
}

func TestKeys(t *testing.T) {
	e := env(t, "process")
	for when, want := range map[string]string{
		`proc.name == "sh"`:                                             "proc.name [sh]",
		`proc.name in ["b", "a"] && proc.uid > 3`:                       "proc.name [a b]",
		`proc.name == "a" || proc.name == "b" && proc.path == "/b"`:     "proc.name [a b]",
		`proc.name == "a" || proc.path == "/b"`:                         "",
		`proc.name != "a"`:                                              "",
		`!(proc.name != "a")`:                                           "proc.name [a]",
		`proc.name == "a" && proc.args.exists(x, x == "y")`:             "proc.name [a]",
		`proc.name == "a" || proc.args.exists(x, x == "y")`:             "",
		`!(proc.name == "a" && proc.args.exists(x, x == "y"))`:          "",
		`!(proc.name != "a" || proc.args.exists(x, x == "y"))`:          "proc.name [a]",
		`proc.parent in ["a", "b", "c"] && proc.path in ["/x"] && true`: "proc.path [/x]",
	} {
		c, faults := e.Compile(when)
		if len(faults) > 0 {
			t.Fatal(when, faults)
		}
		got := ""
		if field, texts, ok := c.Keys(); ok {
			got = fmt.Sprint(field, " ", texts)
		}
		if got != want {
			t.Errorf("%s: keys %q, want %q", when, got, want)
		}
	}
}

// FuzzCompile: whatever somebody writes is refused or compiled, and then has an
// answer.
func FuzzCompile(f *testing.F) {
	ar, err := txtar.ParseFile("testdata/faults.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range ar.Files {
		for line := range strings.Lines(string(file.Data)) {
			f.Add(line)
		}
	}
	f.Add(`proc.name in lists.shells && (proc.parent == "nginx" || proc.args.exists(a, a == "-i")) && !proc.tty`)
	f.Add(`cidr("10.0.0.0/8").containsIP(proc.name) ? has(asset.labels.x) : asset.labels.?x.orValue("") == ""`)
	e := env(f, "process")
	in, err := e.Bind(&subject.ProcessSubject{Proc: subject.Process{Name: "sh", Args: []string{"sh"}}}, time.Unix(0, 0), []string{"ctr"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, source string) {
		c, faults := e.Compile(source)
		if len(faults) > 0 {
			for _, x := range faults {
				if x.Offset < 0 || x.Offset > len([]rune(source)) || x.Detail == "" {
					t.Errorf("fault %+v", x)
				}
			}
			return
		}
		got, err := c.Eval(in)
		if (got == Unknown) != (err != nil) {
			t.Errorf("%s, %v", got, err)
		}
		c.Explain(in)
		for _, m := range c.Mutants() {
			if _, faults := e.Compile(m.Source); len(faults) > 0 {
				t.Errorf("mutant %q of %q: %v", m.Source, source, faults)
			}
		}
		e.CompileText(source)
		e.CompileTemplate(source)
	})
}

// anything has a variable of every kind that a table knows.
type anything struct {
	P probe `json:"p"`
}

type probe struct {
	A string            `json:"a"`
	B string            `json:"b"`
	C string            `json:"c"`
	N int               `json:"n"`
	T bool              `json:"t"`
	F float64           `json:"f"`
	D time.Time         `json:"d"`
	L []string          `json:"l"`
	M map[string]string `json:"m"`
}

// grammar makes conditions of bytes, out of everything that a table can say and
// some things that it cannot.
type grammar struct{ data []byte }

func (g *grammar) next(n int) int {
	if len(g.data) == 0 {
		return 0
	}
	b := int(g.data[0])
	g.data = g.data[1:]
	return b % n
}

func (g *grammar) expr(depth int) string {
	if depth == 0 {
		return g.leaf()
	}
	switch g.next(5) {
	case 0:
		return "(" + g.expr(depth-1) + " && " + g.expr(depth-1) + ")"
	case 1:
		return "(" + g.expr(depth-1) + " || " + g.expr(depth-1) + ")"
	case 2:
		return "!" + "(" + g.expr(depth-1) + ")"
	case 3:
		return "(" + g.expr(depth-1) + " ? " + g.expr(depth-1) + " : " + g.expr(depth-1) + ")"
	}
	return g.leaf()
}

func (g *grammar) leaf() string {
	field := []string{"p.a", "p.b", "p.c"}[g.next(3)]
	text := fmt.Sprintf("%q", []string{"sh", "bash", "/bin/sh", "", "nginx", "10.1.2.3"}[g.next(6)])
	n := []string{"0", "33", "-1", "9223372036854775807", "sev.high"}[g.next(5)]
	switch g.next(18) {
	case 0:
		return field + " == " + text
	case 1:
		return text + " != " + field
	case 2:
		return field + " in [" + text + `, "sh"]`
	case 3:
		return field + " in lists.shells"
	case 4:
		return field + ".startsWith(" + text + ")"
	case 5:
		return field + ".endsWith(" + text + ")"
	case 6:
		return "p.n " + []string{"==", "!=", "<", "<=", ">", ">="}[g.next(6)] + " " + n
	case 7:
		return n + " " + []string{"==", "!=", "<", "<=", ">", ">="}[g.next(6)] + " p.n"
	case 8:
		return "p.t"
	case 9:
		return "p.t != " + []string{"true", "false"}[g.next(2)]
	case 10:
		return `cidr("10.0.0.0/8").containsIP(` + field + ")"
	case 11:
		return "p.l.exists(a, a == " + text + ")"
	case 12:
		return `p.m["team"] == ` + text
	case 13:
		return "p.f " + []string{">", "<=", "<", "==", ">="}[g.next(5)] + " " + []string{"0.5", "0.0", "-1.5e300"}[g.next(3)]
	case 14:
		return []string{"0.5", "2.0"}[g.next(2)] + " " + []string{">", "<=", "<", "=="}[g.next(4)] + " p.f"
	case 15:
		return `now - p.d ` + []string{">", "<"}[g.next(2)] + ` duration("` + []string{"720h", "0s", "-1h", "2562047h"}[g.next(4)] + `")`
	case 16:
		return `p.d < now - duration("24h")`
	}
	return []string{"true", "false"}[g.next(2)]
}

// FuzzTables: tables and CEL are one opinion, by all three values, of any condition
// about any input; and a table that is not all of a condition is never false where
// the condition is not.
func FuzzTables(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, []byte{0, 0, 0, 0})
	f.Add([]byte("some seed to walk the grammar with"), []byte{1, 1, 1, 1})
	f.Add([]byte{3, 0, 2, 1, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}, []byte{2, 3, 1, 0, 7})
	e, err := NewEnv(reflect.TypeFor[anything](), subject.Severities(), lists)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, source, input []byte) {
		g := grammar{source}
		when := g.expr(4)
		c, faults := e.Compile(when)
		if len(faults) > 0 {
			t.Skip("the grammar made a condition that is refused:", faults)
		}
		g = grammar{input}
		s := &anything{P: probe{
			A: []string{"sh", "bash", "", "10.1.2.3", "::ffff:10.0.0.1"}[g.next(5)], B: []string{"/bin/sh", "/x.py", ""}[g.next(3)],
			C: []string{"nginx", "10.9.9.9", "192.168.0.1"}[g.next(3)], N: []int{0, 33, -1, 1<<63 - 1}[g.next(4)], T: g.next(2) == 0,
			L: []string{"sh", "nginx"}[:g.next(3)], M: []map[string]string{nil, {"team": "sh"}}[g.next(2)],
			F: []float64{0.5, 0, 2, -1e308}[g.next(4)], D: []time.Time{{}, time.Unix(0, 0), time.Unix(-86400*31, 0), time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)}[g.next(4)],
		}}
		var unknown []string
		if u := g.next(9); u > 0 {
			unknown = [][]string{{"p.a"}, {"p.n"}, {"p"}, {"p.t", "p.b"}, {"p.m"}, {"p.l"}, {"p.c"}, {"p.d", "p.f"}}[u-1]
		}
		in, err := e.Bind(s, time.Unix(0, 0), unknown)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Release()
		want, _ := c.evalCEL(in)
		if got, _ := c.Eval(in); got != want {
			t.Errorf("%s about %+v, unknown %v: %s, CEL says %s", when, s.P, unknown, got, want)
		}
		table, exact, ok := c.Table()
		if got := table.eval(in); ok && (exact && got != want || got == No && want != No) {
			t.Errorf("%s about %+v, unknown %v: the table says %s, exact %t, CEL says %s", when, s.P, unknown, got, exact, want)
		}
		if field, texts, ok := c.Keys(); ok && want == Yes {
			text, known := e.Key(field).Of(in)
			if !known {
				return
			}
			for _, x := range texts {
				if x == text {
					return
				}
			}
			t.Errorf("%s is true, and %s = %q is none of its keys %q", when, field, text, texts)
		}
	})
}
