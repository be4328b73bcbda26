// SPDX-License-Identifier: Apache-2.0

package funcset_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark/internal/funcset"
)

func build(tb testing.TB, main string, names ...string) funcset.Set {
	tb.Helper()
	b := funcset.Builder{Main: main}
	for _, n := range names {
		b.Add([]byte(n))
	}
	s, err := funcset.Parse(b.Set())
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestNames(t *testing.T) {
	s := build(t, "example.org/tool/cmd/x",
		"runtime.main", "runtime.goexit.abi0", "net/http.(*Server).Serve", "net/http.HandlerFunc.ServeHTTP", "net/http.(*conn).serve.func1",
		"gopkg.in/yaml%2ev3.(*parser).parse", "gopkg.in/yaml%2ev3.Unmarshal",
		"slices.SortFunc[...]", "example.org/g.(*Tree[...]).Put", "example.org/g.Map[example.org/other/p.T,int]",
		"main.main", "main.run.func1", "glob..func1", "type:.eq.example.org/only/types.T", "go:buildid",
		"example.org/lib.init.0", "example.org/lib.Do.gowrap1", "example.org/lib.Do.deferwrap2", "example.org/lib.T.M-fm", "nothing", "", ".", "a.", "[[", "x.[",
	)
	type answer struct{ Has, Ask bool }
	yes, no, unasked := answer{true, true}, answer{false, true}, answer{}
	for name, want := range map[string]answer{
		"runtime.main":                       yes,
		"runtime.goexit":                     yes,
		"runtime.*":                          yes,
		"net/http.Server.Serve":              yes,
		"net/http.(*Server).Serve":           yes,
		"net/http.HandlerFunc.ServeHTTP":     yes,
		"net/http.conn.serve":                no,
		"net/http.Server.Shutdown":           no,
		"gopkg.in/yaml.v3.parser.parse":      yes,
		"gopkg.in/yaml.v3.Unmarshal":         yes,
		"gopkg.in/yaml.v3.*":                 yes,
		"gopkg.in/yaml.v2.*":                 no,
		"slices.SortFunc":                    yes,
		"example.org/g.Tree.Put":             yes,
		"example.org/g.Tree[T].Put":          yes,
		"example.org/g.Map":                  yes,
		"example.org/other/p.*":              no,
		"example.org/tool/cmd/x.main":        yes,
		"main.main":                          no,
		"example.org/only/types.*":           no,
		"example.org/lib.init":               yes,
		"example.org/lib.Do":                 no,
		"example.org/lib.T.M":                no,
		"example.org/lib.Do.func1":           unasked,
		"example.org/lib.T.M-fm":             unasked,
		"word":                               unasked,
		"":                                   unasked,
		"example.org/lib.":                   unasked,
		"example.org/lib.function":           no,
		"example.org/lib.Do.function1thing":  no,
		"example.org/a-b/lib.Do":             no,
		"example.org/lib.Some Thing":         unasked,
		"example.org/lib.T." + long(5000):    unasked,
		"example.org/tool/cmd/x.run":         no,
		"example.org/g.Map[a.b/c.T[x.Y]].M2": no,
	} {
		var got answer
		got.Has, got.Ask = s.Has(name)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%.80q: %s", name, diff)
		}
	}
	if has, _ := (funcset.Set{}).Has("a.b"); has {
		t.Error("the empty set has a function")
	}
}

func TestReplaced(t *testing.T) {
	b := funcset.Builder{Replaced: [][2]string{{"example.org/a", "example.org/fork/v2"}}}
	for _, n := range []string{"example.org/a.F", "example.org/a/b.G", "example.org/ab.H"} {
		b.Add([]byte(n))
	}
	s, err := funcset.Parse(b.Set())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"example.org/a.F": true, "example.org/fork/v2.F": true, "example.org/fork/v2/b.G": true, "example.org/fork/v2/b.*": true,
		"example.org/fork/v2b.H": false, "example.org/fork/v2.H": false,
	} {
		if got, _ := s.Has(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func long(n int) string { return fmt.Sprintf("%0*d", n, 1) }

// TestSize shows what a set costs, that it misses nothing, and how often it is
// wrong about what is missing.
func TestSize(t *testing.T) {
	for _, n := range []int{1, 2, 63, 64, 65, 1000, 40_000} {
		var b funcset.Builder
		for i := range n {
			b.Add(fmt.Appendf(nil, "example.org/lib.Func%d", i))
		}
		raw := b.Set()
		s, err := funcset.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if s.Len() != n+1 || len(raw) > 10+(n+1)*3/2 {
			t.Errorf("%d names: %d entries in %d bytes", n, s.Len(), len(raw))
		}
		for i := range n {
			if has, ask := s.Has(fmt.Sprintf("example.org/lib.Func%d", i)); !has || !ask {
				t.Fatalf("%d names: %d is missing", n, i)
			}
		}
		wrong := 0
		const questions = 20_000
		for i := range questions {
			if has, _ := s.Has(fmt.Sprintf("example.org/other.Func%d", i)); has {
				wrong++
			}
		}
		if n >= 63 && wrong > questions/400 {
			t.Errorf("%d names: %d of %d answers are wrong", n, wrong, questions)
		}
	}
}

func TestTooMany(t *testing.T) {
	var b funcset.Builder
	for i := range funcset.Most {
		b.Add(fmt.Appendf(nil, "x.F%d", i))
	}
	if got := b.Set(); got != nil || !b.Full {
		t.Errorf("a set of %d bytes, full %v", len(got), b.Full)
	}
}

func TestDamaged(t *testing.T) {
	var b funcset.Builder
	for i := range 300 {
		b.Add(fmt.Appendf(nil, "example.org/p%d.F", i))
	}
	good := b.Set()
	for n := range len(good) {
		if _, err := funcset.Parse(good[:n]); err == nil {
			t.Errorf("the first %d bytes are taken for a set", n)
		}
	}
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 0xff
		if s, err := funcset.Parse(bad); err == nil {
			for j := range 50 {
				s.Has(fmt.Sprintf("example.org/p%d.F", j))
			}
		}
	}
}

func FuzzSet(f *testing.F) {
	var b funcset.Builder
	b.Add([]byte("net/http.(*Server).Serve"))
	f.Add(b.Set(), "net/http.Server.Serve")
	f.Add([]byte("\x01\x02"), "a.(*T[x]).b")
	f.Fuzz(func(t *testing.T, raw []byte, name string) {
		if s, err := funcset.Parse(raw); err == nil {
			s.Has(name)
		}
		// What was added is never missing.
		var b funcset.Builder
		b.Add([]byte("example.org/lib." + name))
		b.Add([]byte(name))
		s, err := funcset.Parse(b.Set())
		if err != nil {
			return
		}
		for _, n := range []string{"example.org/lib." + name, name} {
			var one funcset.Builder
			one.Add([]byte(n))
			if _, err := funcset.Parse(one.Set()); err != nil || strings.Contains(n, "%") {
				continue // left out, or escaped
			}
			if has, ask := s.Has(n); ask && !has {
				t.Errorf("%q is missing", n)
			}
		}
	})
}
