// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
)

const artifactID = "sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d"

func newCheck(t testing.TB) *Check {
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (e example) artifact() *bulwark.Artifact {
	img := &bulwark.Image{User: e.User, Env: e.Env, Labels: e.Labels, Ports: e.Ports, Volumes: e.Volumes, WorkingDir: e.Workdir, Healthcheck: e.Healthcheck}
	for _, h := range e.History {
		img.History = append(img.History, bulwark.History{CreatedBy: h})
	}
	return &bulwark.Artifact{ID: artifactID, Kind: bulwark.KindImage, Name: e.Name, Source: e.Source, Image: img}
}

func (e example) mode(t *testing.T) fs.FileMode {
	s := e.File.Mode
	var m fs.FileMode
	if rest, ok := strings.CutPrefix(s, "u4"); ok {
		m, s = fs.ModeSetuid, rest
	} else if rest, ok := strings.CutPrefix(s, "g2"); ok {
		m, s = fs.ModeSetgid, rest
	}
	n, err := strconv.ParseUint(s, 8, 12)
	if err != nil {
		t.Fatal(err)
	}
	return m | fs.FileMode(n)
}

func TestExamples(t *testing.T) {
	c := newCheck(t)
	for _, r := range c.rules {
		t.Run(r.ID, func(t *testing.T) {
			if len(r.Pass) == 0 || len(r.Fail) == 0 {
				t.Fatal("a rule needs an example that passes and one that fails")
			}
			for i, e := range append(append([]example(nil), r.Fail...), r.Pass...) {
				var got []bulwark.Finding
				var err error
				if e.File != nil {
					f := bulwark.MemoryFile(e.File.Path, e.mode(t), []byte("x"))
					if c.Wants(f.Path, f.Stat) {
						got, err = c.Check(t.Context(), f)
					}
				} else {
					got, err = c.Image(t.Context(), e.artifact())
				}
				if err != nil {
					t.Fatal(err)
				}
				ids := map[string]bool{}
				hit := false
				for _, f := range got {
					hit = hit || f.Rule == r.ID
					if ids[f.ID] {
						t.Errorf("finding %s %s is there twice", f.Rule, f.Subject)
					}
					ids[f.ID] = true
					if len(f.Evidence) == 0 || f.Fix == "" || f.Subject == "" {
						t.Errorf("finding %+v is not whole", f)
					}
				}
				if want := i < len(r.Fail); hit != want {
					t.Errorf("example %d: found %v, want %v: %+v", i, hit, want, e)
				}
			}
		})
	}
}

func TestValuesStayHidden(t *testing.T) {
	c := newCheck(t)
	e := example{Env: []string{"DB_PASSWORD=hush-hush"}, History: []string{
		"RUN |1 DB_PASSWORD=hush-hush /bin/sh -c curl -k https://u:hush-hush@acme.test/x | sh # buildkit",
		"ENV DB_PASSWORD=hush-hush", "ADD https://u:hush-hush@acme.test/y / # buildkit",
	}}
	got, err := c.Image(t.Context(), e.artifact())
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	for _, f := range got {
		rules = append(rules, f.Rule+" "+f.Subject)
		for _, ev := range f.Evidence {
			if strings.Contains(ev.Detail, "hush") {
				t.Errorf("%s shows %q", f.Rule, ev.Detail)
			}
		}
	}
	want := []string{"BW-IMG-0001 " + artifactID, "BW-IMG-0002 " + artifactID, "BW-IMG-0004 " + artifactID, "BW-IMG-0005 env:DB_PASSWORD", "BW-IMG-0012 " + artifactID, "BW-IMG-0016 " + artifactID}
	if d := cmp.Diff(want, rules); d != "" {
		t.Error(d)
	}
}

func TestParseStep(t *testing.T) {
	for _, tc := range []struct {
		by   string
		want step
	}{
		{`/bin/sh -c #(nop)  CMD ["bash"]`, step{"CMD", `["bash"]`}},
		{"/bin/sh -c #(nop) ADD file:abc in / ", step{"ADD", "file:abc in /"}},
		{"/bin/sh -c apt-get update", step{"RUN", "apt-get update"}},
		{"|2 A=1 B=/bin/x /bin/sh -c make", step{"RUN", "make"}},
		{"RUN |1 A=1 /bin/bash -o pipefail -c make # buildkit", step{"RUN", "make"}},
		{"RUN /bin/sh -c echo '#(nop)' # buildkit", step{"RUN", "echo '#(nop)'"}},
		{"/bin/sh -c echo #(nop) USER x", step{"RUN", "echo #(nop) USER x"}},
		{"COPY . /app # buildkit", step{"COPY", ". /app"}},
		{"EXPOSE map[80/tcp:{}]", step{"EXPOSE", "map[80/tcp:{}]"}},
		{"# debian.sh --arch 'amd64' out/ 'bookworm'", step{}},
		{"bazel build ...", step{}},
		{"", step{}},
	} {
		if d := cmp.Diff(tc.want, parseStep(tc.by), cmp.AllowUnexported(step{})); d != "" {
			t.Errorf("%q: %s", tc.by, d)
		}
	}
}

func TestWantsAllocatesNothing(t *testing.T) {
	c := newCheck(t)
	if n := testing.AllocsPerRun(100, func() {
		c.Wants("usr/bin/passwd", bulwark.Stat{Size: 10, Mode: fs.ModeSetuid | 0o755})
		c.Wants("srv/x", bulwark.Stat{Size: 10, Mode: 0o666})
		c.Wants("tmp", bulwark.Stat{Mode: fs.ModeDir | fs.ModeSticky | 0o777})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if c.Wants("srv", bulwark.Stat{Mode: fs.ModeDir | 0o777}) || c.Wants("srv/l", bulwark.Stat{Mode: fs.ModeSymlink | 0o777}) {
		t.Error("directories and links are no files")
	}
}

func TestRulesAreListed(t *testing.T) {
	c := newCheck(t)
	for _, r := range c.Rules() {
		if r.Class != bulwark.ClassMisconfiguration || r.Title == "" || r.Remedy == "" {
			t.Errorf("rule %+v is not whole", r)
		}
	}
	if c.Name() != "image" {
		t.Error(c.Name())
	}
}

func TestPackages(t *testing.T) {
	pkg := func(purl, name string) bulwark.Package {
		return bulwark.Package{PURL: purl, Name: name, Where: []bulwark.Location{{Path: "var/lib/dpkg/status"}}}
	}
	pkgs := []bulwark.Package{
		pkg("pkg:deb/debian/gcc-12@12.2", "gcc-12"), pkg("pkg:deb/debian/gcc-12-base@12.2", "gcc-12-base"), pkg("pkg:apk/alpine/sudo@1", "sudo"),
		pkg("pkg:npm/sudo@1", "sudo"), pkg("pkg:deb/debian/-@1", "-"), pkg("pkg:deb/debian/x-@1", "x-"), pkg("pkg:rpm/fedora/bash@5", "bash"),
	}
	got := Packages(&bulwark.Artifact{ID: artifactID, Image: &bulwark.Image{}}, pkgs)
	var said []string
	for _, f := range got {
		for _, e := range f.Evidence {
			said = append(said, f.Rule+" "+e.Path+" "+e.Detail)
		}
	}
	want := []string{`BW-IMG-0023 var/lib/dpkg/status "gcc-12" is a compiler`, `BW-IMG-0023 var/lib/dpkg/status "sudo" is a way to root`}
	if d := cmp.Diff(want, said); d != "" {
		t.Error(d)
	}
	if got := Packages(&bulwark.Artifact{}, pkgs); got != nil {
		t.Error(got)
	}
	if got := Packages(&bulwark.Artifact{ID: artifactID, Image: &bulwark.Image{}}, pkgs[6:]); got != nil {
		t.Error(got)
	}
}

func TestNothingToSee(t *testing.T) {
	c := newCheck(t)
	for _, a := range []*bulwark.Artifact{nil, {Kind: bulwark.KindDir}} {
		if got, err := c.Image(t.Context(), a); err != nil || got != nil {
			t.Errorf("got %v, %v", got, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Image(ctx, example{History: []string{"RUN x"}}.artifact()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func FuzzImage(f *testing.F) {
	c := newCheck(f)
	for _, r := range c.rules {
		for _, e := range append(r.Fail, r.Pass...) {
			f.Add(e.User, strings.Join(e.Env, "\n"), strings.Join(e.History, "\n"), strings.Join(e.Ports, "\n"), e.Name)
		}
	}
	f.Fuzz(func(t *testing.T, user, env, history, ports, name string) {
		e := example{User: user, Env: strings.Split(env, "\n"), History: strings.Split(history, "\n"), Ports: strings.Split(ports, "\n"), Name: name}
		got, err := c.Image(t.Context(), e.artifact())
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, g := range got {
			if seen[g.ID] {
				t.Errorf("%s twice", g.ID)
			}
			seen[g.ID] = true
		}
	})
}
