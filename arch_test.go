// SPDX-License-Identifier: Apache-2.0

package bulwark_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/bulwark-sec/bulwark"

// floors lists the packages from the ground up. A package imports what stands on
// a lower floor.
var floors = [][]string{
	{"."},
	{"artifact", "extract", "check", "advisory", "attest", "policy", "store", "report"},
	{"scan"},
	{"cmd"},
}

// owners names, for each direct dependency, the packages that may import it and
// why it is there. Outside tests nothing else may.
var owners = map[string]struct {
	packages []string
	why      string
}{
	"github.com/google/go-containerregistry":   {[]string{"artifact"}, "registry protocol, credentials, image formats"},
	"google.golang.org/protobuf":               {[]string{"artifact"}, "messages of containerd's services"},
	"cel.dev/cel-go":                           {[]string{"policy/condition"}, "conditions of policies: typed, total, no I/O"},
	"github.com/package-url/packageurl-go":     {[]string{"extract", "attest", "advisory", "report"}, "canonical package URLs"},
	"github.com/zricethezav/gitleaks/v8":       {[]string{"check"}, "secret rules, MIT, used as a module"},
	"github.com/pelletier/go-toml/v2":          {[]string{"check", "extract"}, "gitleaks' rules and lock files are TOML"},
	"github.com/pandatix/go-cvss":              {[]string{"advisory"}, "CVSS vectors"},
	"github.com/klauspost/compress":            {[]string{"advisory", "artifact", "check", "extract", "scan", "store", "internal/disk", "internal/gitlog", "internal/tarfs", "policy/bundle", "test"}, "gzip a fifth faster than the standard library's, and zstd"},
	"github.com/CycloneDX/cyclonedx-go":        {[]string{"report", "extract"}, "CycloneDX model"},
	"github.com/spdx/tools-golang":             {[]string{"report", "extract"}, "SPDX model"},
	"github.com/landlock-lsm/go-landlock":      {[]string{"internal/sandbox"}, "Landlock for all threads"},
	"github.com/spf13/cobra":                   {[]string{"cmd"}, "commands, help, completion"},
	"github.com/spf13/pflag":                   {[]string{"cmd"}, "flags"},
	"github.com/go-git/go-git/v5":              {[]string{"artifact", "internal/gitpack"}, "git's protocol, and objects in its packs"},
	"github.com/go-git/go-billy/v5":            {[]string{"artifact"}, "repositories of this machine for go-git"},
	"golang.org/x/net":                         {[]string{"internal/sandbox", "artifact"}, "BPF assembler; public suffixes"},
	"golang.org/x/sys":                         {[]string{"internal", "artifact", "advisory"}, "system calls"},
	"golang.org/x/term":                        {[]string{"cmd"}, "size of the terminal"},
	"github.com/therootcompany/xz":             {[]string{"extract"}, "xz with a bound on its window"},
	"github.com/google/licensecheck":           {[]string{"check"}, "which licence a text is"},
	"github.com/nwaples/rardecode/v2":          {[]string{"check"}, "RAR archives"},
	"github.com/ulikunitz/xz":                  {[]string{"check"}, "LZMA streams"},
	"golang.org/x/mod":                         {[]string{"extract"}, "go.mod files"},
	"gopkg.in/yaml.v3":                         {[]string{"advisory", "attest", "check", "cmd", "extract", "policy"}, "YAML with positions"},
	"golang.org/x/tools":                       {[]string{"extract/extracttest", "policy/policytest"}, "txtar"},
	"github.com/google/go-cmp":                 {nil, "tests"},
	"github.com/rogpeppe/go-internal":          {nil, "tests: txtar and testscript"},
	"github.com/santhosh-tekuri/jsonschema/v6": {nil, "tests: published schemas"},
}

// only names which packages may import a dangerous part of the standard library.
var only = map[string][]string{
	"net/http": {"artifact", "advisory", "cmd"},
	"net":      {"artifact", "advisory", "cmd"},
	"os/exec":  {"internal/sandbox", "cmd", "test"},
	"unsafe":   {"internal/sandbox", "advisory"},
	"plugin":   {},
}

// banned are words that name no knowledge.
var banned = []string{"util", "utils", "common", "helper", "helpers", "misc", "types", "manager", "base", "shared"}

type pkg struct {
	ImportPath, Name, Dir, Doc         string
	GoFiles, Imports, CgoFiles         []string
	TestImports, XTestImports          []string
	TestGoFiles, XTestGoFiles, Ignored []string
}

func (p pkg) rel() string {
	if p.ImportPath == module {
		return "."
	}
	return strings.TrimPrefix(p.ImportPath, module+"/")
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Dir,Doc,GoFiles,CgoFiles,Imports,TestImports,XTestImports,TestGoFiles,XTestGoFiles", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func top(p string) string {
	first, _, _ := strings.Cut(p, "/")
	return first
}

func floor(name string) int {
	return slices.IndexFunc(floors, func(f []string) bool { return slices.Contains(f, name) })
}

// within tells whether p is one of the packages or below one.
func within(p string, list []string) bool {
	return slices.ContainsFunc(list, func(q string) bool { return p == q || strings.HasPrefix(p, q+"/") })
}

// fault says why from may not import to; "" when it may. Both are relative.
func fault(from, to string) string {
	switch ft, tt := top(from), top(to); {
	case ft == "internal" && tt != "internal":
		return "internal knows no nouns"
	case tt == "internal", from == to:
		return ""
	case ft == tt && strings.Contains(to, "/internal/"):
		return "" // a parent's internal readers serve its leaves
	case ft == tt && path.Dir(to) == from:
		return "" // a parent knows its children
	case ft == tt && strings.HasSuffix(from, "test"):
		return "" // an acceptance kit knows its parent
	case ft == tt:
		return "children know neither parent nor siblings"
	case strings.Contains(from, "/") && ft != "cmd" && to != ".":
		return "a leaf knows only the nouns"
	case floor(ft) < 0 || floor(tt) < 0:
		return "not on any floor: name it in arch_test.go"
	case floor(tt) >= floor(ft):
		return "same floor or above"
	}
	return ""
}

func TestFloors(t *testing.T) {
	for _, p := range packages(t) {
		if f := p.rel(); top(f) != "internal" && floor(top(f)) < 0 && top(f) != "test" {
			t.Errorf("%s: not on any floor: name it in arch_test.go", f)
		}
		for _, imp := range p.Imports {
			to := strings.TrimPrefix(imp, module+"/")
			if imp == module {
				to = "."
			} else if to == imp {
				continue
			}
			if why := fault(p.rel(), to); why != "" {
				t.Errorf("%s imports %s: %s", p.rel(), to, why)
			}
		}
	}
}

// TestFault shows that each kind of wrong import is caught.
func TestFault(t *testing.T) {
	for _, tc := range []struct {
		from, to string
		wrong    bool
	}{
		{"extract/npm", "extract/python", true},
		{"extract/npm", "extract", true},
		{"extract", "extract/npm", false},
		{"extract/npm", ".", false},
		{"extract/npm", "check", true},
		{"scan", "extract", false},
		{"scan", "scan", false},
		{"extract", "scan", true},
		{"policy", "report", true},
		{"internal/limit", ".", true},
		{"cmd/bulwark", "scan", false},
		{"nowhere", "scan", true},
	} {
		if got := fault(tc.from, tc.to); (got != "") != tc.wrong {
			t.Errorf("fault(%q, %q) = %q", tc.from, tc.to, got)
		}
	}
}

func TestDependencies(t *testing.T) {
	for _, p := range packages(t) {
		for i, imports := range [][]string{p.Imports, p.TestImports, p.XTestImports} {
			for _, imp := range imports {
				if allowed, ok := only[imp]; ok && i == 0 && !within(p.rel(), allowed) {
					t.Errorf("%s imports %s, which only %v may", p.rel(), imp, allowed)
				}
				if first := top(imp); !strings.Contains(first, ".") || strings.HasPrefix(imp, module) {
					continue // the standard library, or ours
				}
				dep := ""
				for d := range owners {
					if (imp == d || strings.HasPrefix(imp, d+"/")) && len(d) > len(dep) {
						dep = d
					}
				}
				if dep == "" {
					t.Errorf("%s imports %s: a direct dependency needs an owner and a reason in arch_test.go", p.rel(), imp)
					continue
				}
				if i == 0 && !within(p.rel(), owners[dep].packages) {
					t.Errorf("%s imports %s, which only %v may", p.rel(), imp, owners[dep].packages)
				}
			}
		}
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mod), "replace ") {
		t.Error("go.mod has a replace")
	}
	required := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\s*(\S+\.\S+) v\S+$`).FindAllStringSubmatch(string(mod), -1) {
		required[m[1]] = true
		if _, ok := owners[m[1]]; !ok {
			t.Errorf("go.mod requires %s directly, without an owner in arch_test.go", m[1])
		}
	}
	for d := range owners {
		if !required[d] {
			t.Errorf("%s has an owner and is not in go.mod", d)
		}
	}
}

func TestHygiene(t *testing.T) {
	fset := token.NewFileSet()
	for _, p := range packages(t) {
		if len(p.CgoFiles) > 0 {
			t.Errorf("%s uses cgo", p.rel())
		}
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", p.rel())
		}
		for part := range strings.SplitSeq(p.rel(), "/") {
			if slices.Contains(banned, part) {
				t.Errorf("%s: name the package after what it knows", p.rel())
			}
		}
		for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			file := filepath.Join(p.Dir, name)
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if generated(src) {
				continue
			}
			if !strings.HasPrefix(string(src), "// SPDX-License-Identifier: Apache-2.0\n\n") && !strings.HasPrefix(string(src), "//go:build") {
				t.Errorf("%s: the first line is not the licence", file)
			}
			f, err := parser.ParseFile(fset, file, src, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(p.GoFiles, name) {
				declarations(t, p, f, file)
			}
		}
	}
}

func generated(src []byte) bool {
	return regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`).Match(src)
}

// declarations finds init functions, and package variables that somebody writes
// to: a list of literals, a sentinel error or a go:embed is none of these.
func declarations(t *testing.T, p pkg, f *ast.File, file string) {
	t.Helper()
	vars := map[string]bool{}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.Name == "init" {
				t.Errorf("%s has an init function", file)
			}
		case *ast.GenDecl:
			if d.Tok != token.VAR {
				continue
			}
			for _, s := range d.Specs {
				for _, n := range s.(*ast.ValueSpec).Names {
					vars[n.Name] = true
				}
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		a, ok := n.(*ast.AssignStmt)
		if !ok || a.Tok == token.DEFINE {
			return true
		}
		for _, l := range a.Lhs {
			if id, ok := l.(*ast.Ident); ok && vars[id.Name] && !shadowed(f, id) {
				t.Errorf("%s: package variable %s is written to", file, id.Name)
			}
		}
		return true
	})
}

// shadowed tells whether a function around id declares the name itself.
func shadowed(f *ast.File, id *ast.Ident) bool {
	found := false
	ast.Inspect(f, func(n ast.Node) bool {
		fn, ok := n.(*ast.FuncDecl)
		if !ok || fn.Body == nil || id.Pos() < fn.Pos() || id.Pos() > fn.End() {
			return true
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok == token.DEFINE {
					for _, l := range n.Lhs {
						if x, ok := l.(*ast.Ident); ok && x.Name == id.Name {
							found = true
						}
					}
				}
			case *ast.ValueSpec:
				for _, x := range n.Names {
					found = found || x.Name == id.Name
				}
			case *ast.Field:
				for _, x := range n.Names {
					found = found || x.Name == id.Name
				}
			}
			return true
		})
		return false
	})
	return found
}

// maxRoot bounds the nouns, in lines.
const maxRoot = 1600

func TestRoot(t *testing.T) {
	lines := 0
	for _, p := range packages(t) {
		if p.rel() != "." {
			continue
		}
		for _, imp := range p.Imports {
			if strings.Contains(top(imp), ".") {
				t.Errorf("the nouns import %s: standard library only", imp)
			}
		}
		for _, f := range p.GoFiles {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			lines += strings.Count(string(b), "\n")
		}
	}
	if lines == 0 || lines > maxRoot {
		t.Errorf("the nouns have %d lines, at most %d", lines, maxRoot)
	}
}

// TestListed fails for a leaf folder that its parent does not import: it would
// be dead weight that looks like a feature.
func TestListed(t *testing.T) {
	imported := map[string]bool{}
	all := packages(t)
	for _, p := range all {
		for _, imp := range p.Imports {
			imported[imp] = true
		}
	}
	for _, p := range all {
		if r := p.rel(); strings.Contains(r, "/") && p.Name != "main" && !strings.HasSuffix(r, "test") && top(r) != "test" && len(p.GoFiles) > 0 && !imported[p.ImportPath] {
			t.Errorf("%s is in no list: nothing imports it", r)
		}
	}
}

// TestWalk checks that docs/walk.md names functions that exist.
func TestWalk(t *testing.T) {
	doc, err := os.ReadFile("docs/walk.md")
	if err != nil {
		t.Fatal(err)
	}
	links := regexp.MustCompile("\\[`[^`]+`\\]\\(\\.\\./([^)#]+)#([A-Za-z.]+)\\)").FindAllStringSubmatch(string(doc), -1)
	if len(links) < 10 {
		t.Fatalf("docs/walk.md links to %d functions", len(links))
	}
	for _, l := range links {
		if !declares(t, l[1], l[2]) {
			t.Errorf("docs/walk.md: %s has no %s", l[1], l[2])
		}
	}
}

// declares tells whether a file declares a function, or a method as Type.Name.
func declares(t *testing.T, file, name string) bool {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	typ, method, isMethod := strings.Cut(name, ".")
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if !isMethod && fn.Recv == nil && fn.Name.Name == name {
			return true
		}
		if isMethod && fn.Recv != nil && fn.Name.Name == method {
			r := fn.Recv.List[0].Type
			if s, ok := r.(*ast.StarExpr); ok {
				r = s.X
			}
			if id, ok := r.(*ast.Ident); ok && id.Name == typ {
				return true
			}
		}
	}
	return false
}
