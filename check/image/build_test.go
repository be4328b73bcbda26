// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
)

func newBuild(t testing.TB) *BuildCheck {
	b, err := NewBuild()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func said(found []bulwark.Finding) string {
	var out strings.Builder
	for _, f := range found {
		for _, e := range f.Evidence {
			fmt.Fprintln(&out, f.Rule, e.Line, e.Detail)
		}
	}
	return out.String()
}

func TestBuildFiles(t *testing.T) {
	a, err := txtar.ParseFile("testdata/build.txtar")
	if err != nil {
		t.Fatal(err)
	}
	b := newBuild(t)
	for i := 0; i+1 < len(a.Files); i += 2 {
		in, want := a.Files[i], a.Files[i+1]
		t.Run(strings.ReplaceAll(in.Name, "/", "-"), func(t *testing.T) {
			f := bulwark.MemoryFile(in.Name, 0o644, in.Data)
			if !b.Wants(f.Path, f.Stat) {
				t.Fatal("not wanted")
			}
			got, err := b.Check(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want.Data), said(got)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestBuildWants(t *testing.T) {
	b := newBuild(t)
	for path, want := range map[string]bool{
		"Dockerfile": true, "a/dockerfile": true, "Dockerfile.prod": true, "web.Dockerfile": true, "Containerfile": true, "x/Containerfile.ci": true,
		"Dockerfile.dockerignore": false, "myDockerfile": false, "Dockerfiles": false, "docker-compose.yml": false, "Dockerfile/x": false, "": false,
	} {
		if got := b.Wants(path, bulwark.Stat{Size: 10, Mode: 0o644}); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
	if b.Wants("Dockerfile", bulwark.Stat{Size: maxBuild + 1, Mode: 0o644}) || b.Wants("Dockerfile", bulwark.Stat{Size: 1, Mode: fs.ModeSymlink | 0o777}) {
		t.Error("too large, or no file")
	}
	if n := testing.AllocsPerRun(100, func() { b.Wants("usr/lib/python3/x.py", bulwark.Stat{Size: 10, Mode: 0o644}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestBuildHostile holds that what nobody writes costs little and panics nowhere.
func TestBuildHostile(t *testing.T) {
	b := newBuild(t)
	for name, text := range map[string]string{
		"endless line":    "FROM a\nRUN " + strings.Repeat("x \\\n", 200_000),
		"many steps":      "FROM a\n" + strings.Repeat("RUN x\n", 150_000),
		"open heredocs":   "FROM a\nRUN " + strings.Repeat("<<A ", 100_000) + "\n" + strings.Repeat("B\n", 100_000),
		"many stages":     strings.Repeat("FROM a AS a\n", 80_000),
		"many variables":  "FROM a\nENV " + strings.Repeat("PASSWORD=abc ", 70_000),
		"empty heredoc":   "FROM a\nRUN <<\n<<-\nRUN <<'\n",
		"only escapes":    "FROM a\n" + strings.Repeat("\\\n", 500_000),
		"binary":          "FROM a\nRUN \x00\xff",
		"words alone":     "FROM\nUSER\nADD\nENV\nWORKDIR\nEXPOSE\nVOLUME\nRUN\n",
		"byte order mark": "\xef\xbb\xbfFROM a\nUSER 0\n",
	} {
		f := bulwark.MemoryFile("Dockerfile", 0o644, []byte(text))
		got, err := b.Check(t.Context(), f)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, g := range got {
			if len(g.Evidence) > maxEvidence {
				t.Errorf("%s: %d pieces of evidence", name, len(g.Evidence))
			}
		}
	}
}

func FuzzBuild(f *testing.F) {
	b := newBuild(f)
	a, err := txtar.ParseFile("testdata/build.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range a.Files {
		f.Add(file.Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := b.Check(t.Context(), bulwark.MemoryFile("Dockerfile", 0o644, data))
		if err != nil && len(data) <= maxBuild {
			t.Fatal(err)
		}
		for _, g := range got {
			if g.ID == "" || len(g.Evidence) == 0 || g.Evidence[0].Line < 1 {
				t.Errorf("not whole: %+v", g)
			}
		}
	})
}
