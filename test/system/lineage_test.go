// SPDX-License-Identifier: Apache-2.0

package system

import (
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
)

// classes are the letters of lineage.txtar.
var classes = map[string]string{
	"B": bulwark.LayerBaseOS, "A": bulwark.LayerBaseAdded, "L": bulwark.LayerLanguage,
	"P": bulwark.LayerApp, "C": bulwark.LayerConfig, "D": bulwark.LayerData,
}

var ownersOf = map[string]string{"b": bulwark.OwnerBase, "a": bulwark.OwnerApp}

// A shop is where images are built and pushed to.
type shop struct {
	host, root, ctx string
	program, cache  string
}

func (s *shop) buildah(t *testing.T, args ...string) {
	t.Helper()
	run(t, "buildah", append([]string{"--root", filepath.Join(s.root, "store"), "--runroot", filepath.Join(s.root, "run")}, args...)...)
}

func (s *shop) build(t *testing.T, name string, dockerfile []byte) {
	t.Helper()
	file := filepath.Join(s.root, "Dockerfile")
	text := strings.ReplaceAll(string(dockerfile), "BASE/", s.host+"/base/")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	ref := s.host + "/" + name
	s.buildah(t, "bud", "-q", "--layers", "--format", "docker", "--isolation", "chroot", "--network", "host", "--tls-verify=false", "-t", ref, "-f", file, s.ctx)
	s.buildah(t, "push", "-q", "--tls-verify=false", ref, "docker://"+ref)
}

// look runs a command of the program and reads its JSON.
func (s *shop) look(t *testing.T, v any, args ...string) {
	t.Helper()
	args = append(args, "--cache", s.cache, "--plain-http", "--from", "registry", "-f", "json")
	if err := json.Unmarshal(run(t, s.program, args...), v); err != nil {
		t.Fatal(err)
	}
}

// roots writes the root file system as a tar, and one whose C library is older.
func roots(t *testing.T, images, ctx string) {
	t.Helper()
	r := scan(t, os.Getenv("BULWARK"), filepath.Join(images, "debian.oci"), "--allow-starter", "--secrets", "off")
	blob := filepath.Join(images, "debian.oci", "blobs", "sha256", strings.TrimPrefix(string(r.Inventory.Layers[0].Digest), "sha256:"))
	script := `set -e
gzip -dc "$1" >"$2/base.tar"; cp "$2/base.tar" "$2/old.tar"; mkdir "$2/edit"
tar -C "$2/edit" -xf "$2/base.tar" var/lib/dpkg/status
sed -i '/^Package: libc\(6\|-bin\)$/,/^Version:/s/^Version: .*/Version: 2.36-9+deb12u2/' "$2/edit/var/lib/dpkg/status"
tar -C "$2/edit" --owner=0 --group=0 -rf "$2/old.tar" var/lib/dpkg/status`
	run(t, "bash", "-c", script, "bash", blob, ctx)
}

// Images with known Dockerfiles: the class and the owner of every layer, the
// base of each, and what another base would remove, proved by building on it.
func TestLineage(t *testing.T) {
	dir, program := images(t)
	t.Setenv("CONTAINERS_CONF", filepath.Join(dir, "containers.conf"))
	ar, err := txtar.ParseFile("lineage.txtar")
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(srv.Close)
	s := &shop{host: strings.TrimPrefix(srv.URL, "http://"), root: t.TempDir(), ctx: t.TempDir(), program: program, cache: t.TempDir()}
	t.Cleanup(func() { s.buildah(t, "rmi", "-a", "-f") })
	files := map[string][]byte{}
	for _, f := range ar.Files {
		files[f.Name] = f.Data
		if strings.Contains(f.Name, ":") || f.Name == "build" {
			continue
		}
		path := filepath.Join(s.ctx, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	roots(t, dir, s.ctx)
	layers, right, bases, named := 0, 0, 0, 0
	for line := range strings.Lines(string(files["build"])) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		name, base, want := f[0], f[1], f[2:]
		if files[name] == nil {
			t.Fatalf("no Dockerfile for %s", name)
		}
		s.build(t, name, files[name])
		if strings.HasPrefix(name, "base/") {
			run(t, program, "scan", "image", s.host+"/"+name, "--cache", s.cache, "--plain-http", "--from", "registry", "--allow-starter", "--exit-zero", "-q")
		}
		var got struct {
			Base   *bulwark.Base
			Layers []bulwark.Layer
		}
		s.look(t, &got, "layers", s.host+"/"+name)
		if len(got.Layers) != len(want) {
			t.Errorf("%s: %d layers, want %d", name, len(got.Layers), len(want))
			continue
		}
		for i, l := range got.Layers {
			layers++
			if l.Class == classes[want[i][:1]] && l.Owner == ownersOf[want[i][1:]] {
				right++
			} else {
				t.Errorf("%s: layer %d is %s of %s, want %s; %v, made by %q", name, i+1, l.Class, l.Owner, want[i], l.Content, l.CreatedBy)
			}
		}
		said := "-"
		if got.Base != nil && got.Base.By == "layers" {
			said = strings.TrimPrefix(got.Base.Name, s.host+"/")
		}
		bases++
		if said == base {
			named++
		} else {
			t.Errorf("%s: built on %s, want %s", name, said, base)
		}
	}
	t.Logf("layers: %d of %d right; bases: %d of %d right", right, layers, named, bases)
	s.bump(t)
}

// bump takes the advice for an image on the older base, builds it, and compares.
func (s *shop) bump(t *testing.T) {
	t.Helper()
	var advice struct{ Bumps []bulwark.Bump }
	s.look(t, &advice, "recommend", s.host+"/old:1")
	if len(advice.Bumps) == 0 || advice.Bumps[0].Image != s.host+"/base/debian:12.1" {
		t.Fatalf("recommended %+v, want base/debian:12.1", advice.Bumps)
	}
	s.build(t, "new:1", []byte("FROM BASE/debian:12.1\nCOPY app/ /srv/app/\nCMD [\"/srv/app/run.sh\"]\n"))
	var d bulwark.Difference
	s.look(t, &d, "diff", s.host+"/old:1", s.host+"/new:1")
	var gone []string
	for _, f := range d.Removed {
		if f.Class == bulwark.ClassVulnerability && f.Status.Open() {
			gone = append(gone, f.ID)
		}
	}
	slices.Sort(gone)
	if !slices.Equal(gone, advice.Bumps[0].Removes) || len(gone) == 0 {
		t.Errorf("the bump removes %q, it was to remove %q", gone, advice.Bumps[0].Removes)
	}
	t.Logf("the bump removes %d findings, as told", len(gone))
}
