// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scan_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/limit"
	"github.com/bulwark-sec/bulwark/scan"
)

// An exhibit is one hostile artifact and what a scan must make of it: an error
// that says refused, a gap, or, where a runtime would see no fault either,
// exactly the packages that the runtime would see.
type exhibit struct {
	name   string
	like   string               // advisories of scanners and libraries that fell for it
	make   func(r *room) string // makes it and gives the target
	limits limit.Limits         // beside those of the museum
	within time.Duration        // the time it may take; 0 is that of the museum

	refused  string   // words of the error; "" when there is a report
	gap      gap      // a gap that the report has; the zero gap is none
	or       []string // packages that make the gap unnecessary
	packages []string // all packages, "name version", sorted; nil is not asked
	holds    string   // one package that is there
	number   int      // of packages, if not 0

	scan func(ctx context.Context, s scan.Scanner, r *room, target string) (*bulwark.Report, error) // nil scans once
	free func(r *room)                                                                              // lets go a scan that hangs

	bug string // why it fails today; kept only as long as it does
}

// A gap is what a [bulwark.Gap] must say. Zero fields are not asked.
type gap struct {
	kind, path, detail string
	hides              bool
}

func (g gap) in(all []bulwark.Gap) bool {
	return slices.ContainsFunc(all, func(h bulwark.Gap) bool {
		return (g.kind == "" || g.kind == h.Kind) && (g.path == "" || g.path == h.Path || strings.Contains(h.Detail, g.path)) &&
			strings.Contains(h.Detail, g.detail) && (h.Hides || !g.hides)
	})
}

// What a scan of one exhibit may cost. The figures are for a slow and busy
// machine; what they shall find takes for ever or everything.
const (
	museumTime   = 60 * time.Second
	museumHeap   = 256 << 20 // bytes by which this process's heap may grow
	museumChild  = 512 << 20 // bytes of any child's resident set
	museumGrowth = 64        // file descriptors and goroutines that may be left at the end
)

// secretOfCanary stands in files that no scan may look into.
const secretOfCanary = "CANARY-b7e1d6"

var errSkip = errors.New("cannot be shown on this machine")

// A room is where one exhibit is.
type room struct {
	dir, canary string
}

func (r *room) path(name string) string { return filepath.Join(r.dir, name) }

// put writes a file into the room and gives its path.
func (r *room) put(name string, b []byte) string {
	p := r.path(name)
	must(os.MkdirAll(filepath.Dir(p), 0o700))
	must(os.WriteFile(p, b, 0o600))
	return p
}

func (r *room) sub(name string) *room { return &room{dir: r.path(name), canary: r.canary} }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// noise gives n bytes, always the same, that do not compress.
func noise(n int) []byte {
	b := make([]byte, n)
	c := rand.NewChaCha8([32]byte{1})
	c.Read(b)
	return b
}

// named gives the packages of a report as "name version", sorted.
func named(r *bulwark.Report) []string {
	out := []string{}
	for _, p := range r.Inventory.Packages {
		out = append(out, strings.TrimSpace(p.Name+" "+p.Version))
	}
	slices.Sort(out)
	return out
}

// told gives the gaps of a report that are not about this machine, about the
// support of a distribution, or about what was not asked for.
func told(r *bulwark.Report) []bulwark.Gap {
	return slices.DeleteFunc(slices.Clone(r.Inventory.Gaps), func(g bulwark.Gap) bool {
		return g.Kind == bulwark.GapSandbox || g.Kind == bulwark.GapAdvisory || g.Kind == bulwark.GapSkipped && g.Path == "" && g.Layer == ""
	})
}

// TestMuseum shows hostile artifacts to the real scanner with its sandboxed
// child. Whatever it is, the answer is a clear error or a report that tells what
// it does not cover, in bounded time and memory; nothing outside is touched, and
// the next scan is right.
func TestMuseum(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	m := open(t)
	m.controls(t)
	fds, routines := descriptors(t), runtime.NumGoroutine()
	all := slices.Concat(tarExhibits(), packExhibits(), imageExhibits(), contentExhibits(), directoryExhibits(), childExhibits(), formatExhibits())
	seen := map[string]bool{}
	for _, x := range all {
		if seen[x.name] {
			t.Errorf("two exhibits are called %q", x.name)
		}
		seen[x.name] = true
		t.Run(x.name, func(t *testing.T) { m.show(t, &x) })
	}
	m.controls(t)
	if n := descriptors(t); n > fds+museumGrowth {
		t.Errorf("%d file descriptors at the end, %d at the begin", n, fds)
	}
	if n := runtime.NumGoroutine(); n > routines+museumGrowth {
		t.Errorf("%d goroutines at the end, %d at the begin", n, routines)
	}
	t.Logf("%d exhibits; largest resident set of a child %d MiB (%s), largest growth of the heap %d MiB (%s)", len(all), m.rss>>20, m.big, m.heap>>20, m.fat)
	if len(all) < 286 {
		t.Errorf("only %d exhibits", len(all))
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// A museum holds the rooms, a canary beside them that must not change, and the
// one empty directory that scans may use.
type museum struct {
	root, canary, tmp string
	before            map[string]string
	honest            []control
	rss               int64  // of the largest child so far
	big               string // of which exhibit
	heap              uint64 // largest growth
	fat               string // of which exhibit
}

func open(t *testing.T) *museum {
	t.Helper()
	root := t.TempDir()
	m := &museum{root: root, canary: filepath.Join(root, "canary"), tmp: filepath.Join(root, "tmp")}
	r := &room{dir: m.canary}
	r.put("secret", []byte("root:"+secretOfCanary+"\nsecond\n"))
	r.put("config", []byte(secretOfCanary))
	r.put("sha256/"+strings.Repeat("a", 64), []byte(secretOfCanary))
	r.put("node_modules/escaped/package.json", []byte(npmBody("escaped", "1.0.0")))
	must(os.Symlink("secret", r.path("link")))
	must(os.MkdirAll(m.tmp, 0o700))
	t.Setenv("TMPDIR", m.tmp)
	m.before = snapshot(t, m.canary)
	here := filepath.Join(root, "working/here") // from where ../../canary is the canary
	must(os.MkdirAll(here, 0o700))
	t.Chdir(here)
	m.honest = controls(&room{dir: filepath.Join(root, "honest"), canary: m.canary})
	return m
}

// snapshot gives what can be seen of every file below dir.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		s := fmt.Sprint(info.Mode(), info.ModTime().UnixNano())
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			s += digest(b)
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(p)
			if err != nil {
				return err
			}
			s += to
		}
		out[p] = s
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (m *museum) scanner(x *exhibit) scan.Scanner {
	lim := x.limits
	if lim.Wall == 0 {
		lim.Wall = 5 * time.Second
	}
	return scan.Scanner{
		Tool: bulwark.Tool{Name: "bulwark", Version: "museum"}, TempDir: m.tmp,
		Limits: lim, Parallel: 2, Secrets: true, Config: true,
	}
}

// show scans one exhibit and judges the answer.
func (m *museum) show(t *testing.T, x *exhibit) {
	r := &room{dir: filepath.Join(m.root, "rooms", x.name), canary: m.canary}
	must(os.MkdirAll(r.dir, 0o700))
	defer func() {
		unlock(r.dir)
		must(os.RemoveAll(r.dir))
	}()
	if t.Failed() {
		return
	}
	target := x.make(r)
	report, err := m.run(t, x, r, target)
	if errors.Is(err, errSkip) {
		t.Skip(err)
	}
	if !t.Failed() {
		x.judge(t, report, err)
	}
	if diff := cmp.Diff(m.before, snapshot(t, m.canary)); diff != "" {
		t.Errorf("the canary changed:\n%s", diff)
	}
	if left, err := os.ReadDir(m.tmp); err != nil || len(left) > 0 {
		t.Errorf("left in the directory for scratch files: %v, %v", left, err)
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("left in the working directory: %v, %v", left, err)
	}
	m.honest[len(m.honest)-1].check(t, m)
	if x.like != "" {
		t.Logf("like %s", x.like)
	}
	if t.Failed() && x.bug != "" {
		t.Logf("bug: %s", x.bug)
	}
	if !t.Failed() && x.bug != "" {
		t.Logf("passes: its note on a bug can go")
	}
}

// unlock makes everything below dir removable.
func unlock(dir string) {
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(p, 0o700)
		}
		return nil
	})
}

// run scans, and watches time and memory meanwhile.
func (m *museum) run(t *testing.T, x *exhibit, r *room, target string) (*bulwark.Report, error) {
	t.Helper()
	within := x.within
	if within == 0 {
		within = museumTime
	}
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	type answer struct {
		report *bulwark.Report
		err    error
	}
	runtime.GC()
	base, peak := heap(), uint64(0)
	rss := int64(0)
	done := make(chan answer, 1)
	start := time.Now()
	go func() {
		s := m.scanner(x)
		var a answer
		defer func() {
			if v := recover(); v != nil {
				a.err = fmt.Errorf("panic: %v", v)
			}
			done <- a
		}()
		if x.scan != nil {
			a.report, a.err = x.scan(ctx, s, r, target)
		} else {
			a.report, a.err = s.Run(ctx, target)
		}
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(within + 10*time.Second)
	for {
		select {
		case a := <-done:
			if grown := max(peak, heap()) - min(base, peak); grown > m.heap && grown < 1<<62 {
				m.heap, m.fat = grown, x.name
			}
			if peak > base+museumHeap {
				t.Errorf("the heap grew by %d MiB", (peak-base)>>20)
			}
			if took := time.Since(start); ctx.Err() != nil {
				t.Errorf("took %v, and more than %v is for ever: %v", took, within, a.err)
			}
			if rss > museumChild {
				t.Errorf("a child had %d MiB in memory", rss>>20)
			}
			if rss > m.rss {
				m.rss, m.big = rss, x.name
			}
			return a.report, a.err
		case <-tick.C:
			peak, rss = max(peak, heap()), max(rss, children())
		case <-late:
			t.Errorf("the scan hangs, and does not end with its context either")
			if x.free != nil {
				x.free(r)
			}
			select {
			case <-done:
			case <-time.After(10 * time.Second):
			}
			return nil, nil
		}
	}
}

// heap gives the bytes of all objects, dead ones included that are not swept.
func heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// children gives the largest resident set that a running parsing child has had,
// in bytes. Rusage would count what this process had when it made the child.
func children() int64 {
	most := int64(0)
	for _, pid := range parsing() {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(b), "VmHWM:")
		kib := int64(0)
		if _, err := fmt.Sscan(rest, &kib); err == nil {
			most = max(most, kib<<10)
		}
	}
	return most
}

// judge compares the answer with what the exhibit's label says.
func (x *exhibit) judge(t *testing.T, r *bulwark.Report, err error) {
	t.Helper()
	defer func() {
		if v := recover(); v != nil {
			t.Errorf("panic: %v", v)
		}
	}()
	clear := func(what, s string) {
		t.Helper()
		if strings.TrimSpace(s) == "" || len(s) > 4096 {
			t.Errorf("%s of %d bytes", what, len(s))
		}
		for _, bad := range []string{"panic", "goroutine", "runtime error", "nil pointer", "unreachable", secretOfCanary} {
			if strings.Contains(s, bad) {
				t.Errorf("%s holds %q: %.300s", what, bad, s)
			}
		}
		if !utf8.ValidString(s) {
			t.Errorf("%s is not UTF-8: %.300q", what, s)
		}
	}
	if err != nil {
		clear("the error", err.Error())
		if x.refused == "" {
			t.Errorf("error %.600v, want a report", err)
		} else if !strings.Contains(err.Error(), x.refused) {
			t.Errorf("error %.600v, want one that says %q", err, x.refused)
		}
		return
	}
	gaps := told(r)
	if x.refused != "" {
		t.Errorf("packages %.10q and gaps %.5v, want an error that says %q", named(r), gaps, x.refused)
		return
	}
	for _, g := range gaps {
		clear("a gap's detail", g.Detail)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatalf("the report is no JSON: %v", err)
	}
	for _, s := range []string{secretOfCanary, `"name":"escaped"`} {
		if bytes.Contains(b, []byte(s)) {
			t.Errorf("the report holds %q from the outside", s)
		}
	}
	if !r.Scan.Sandboxed {
		t.Error("not sandboxed")
	}
	got := named(r)
	if x.gap != (gap{}) && !x.gap.in(gaps) && (x.or == nil || !slices.Equal(got, x.or)) {
		t.Errorf("gaps %+.5v and packages %.10q, want a gap like %+v", gaps, got, x.gap)
	}
	if x.gap == (gap{}) && x.packages != nil && len(gaps) > 0 {
		t.Errorf("gaps %+.5v, want none", gaps)
	}
	if x.packages != nil {
		if diff := cmp.Diff(x.packages, got[:min(len(got), 200)]); diff != "" {
			t.Errorf("packages (-want +got):\n%s", diff)
		}
	}
	if x.holds != "" && !slices.Contains(got, x.holds) {
		t.Errorf("packages %.10q, want %q among them", got, x.holds)
	}
	if x.number > 0 && len(got) != x.number {
		t.Errorf("%d packages, want %d", len(got), x.number)
	}
}

// A control is an honest artifact. Its packages are known, and there is nothing
// to tell about it.
type control struct {
	name, target string
	packages     []string
}

func (m *museum) controls(t *testing.T) {
	for _, c := range m.honest {
		t.Run("honest-"+c.name, func(t *testing.T) { c.check(t, m) })
	}
}

func (c control) check(t *testing.T, m *museum) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), museumTime)
	defer cancel()
	s := m.scanner(&exhibit{})
	s.Secrets, s.Config = c.name != "small", c.name != "small"
	r, err := s.Run(ctx, c.target)
	if err != nil {
		t.Errorf("the honest artifact %q: %v", c.name, err)
		return
	}
	if gaps := told(r); len(gaps) > 0 {
		t.Errorf("the honest artifact %q has gaps: %+v", c.name, gaps)
	}
	if diff := cmp.Diff(c.packages, named(r)); diff != "" {
		t.Errorf("the honest artifact %q, packages (-want +got):\n%s", c.name, diff)
	}
}

// controls makes the honest artifacts.
func controls(r *room) []control {
	var jar bytes.Buffer
	z := zip.NewWriter(&jar)
	w, err := z.Create("META-INF/maven/org.x/lib/pom.properties")
	must(err)
	fmt.Fprint(w, "groupId=org.x\nartifactId=lib\nversion=3.0\n")
	must(z.Close())

	debian := new(stream)
	debian.dir("etc/").dir("var/").symlink("bin", "usr/bin").
		file("etc/os-release", "ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n").
		file(status, stanzas("hello 2.10-3", "libc6 2.36-9")).
		hardlink("usr/bin/hi", "usr/bin/hello").put(head{name: "dev/null", kind: '3', mode: 0o666}, "").
		put(head{name: "etc/holes", kind: 'S', magic: "ustar  \x00", tail: strings.Repeat("\x00", 41) + octal(0) + octal(512) + octal(4096) + octal(0) + strings.Repeat("\x00", 48) + "\x00" + octal(4096)}, strings.Repeat("h", 512))
	languages := new(stream)
	languages.npm("left-pad", "1.3.0").npm("@scope/pkg", "2.0.0").npm("old", "1.0.0").
		file("usr/lib/python3/site-packages/flask-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: flask\nVersion: 1.0\n\ntext\n").
		file("opt/lib.jar", jar.String()).file("usr/share/umlaut-ä/"+strings.Repeat("long/", 30)+"name.txt", "ä")
	newer := new(stream)
	newer.file("app/node_modules/.wh.old", "").file(status, stanzas("hello 2.10-4", "libc6 2.36-9"))

	alpine := new(stream)
	alpine.file("etc/os-release", "ID=alpine\nVERSION_ID=3.20.1\nPRETTY_NAME=\"Alpine Linux v3.20\"\n").
		file("lib/apk/db/installed", "C:Q1abc=\nP:musl\nV:1.2.5-r0\nA:x86_64\nS:1\nI:2\nT:libc\nU:x\nL:MIT\no:musl\n\nC:Q1abd=\nP:busybox\nV:1.36.1-r29\nA:x86_64\nL:GPL-2.0-only\no:busybox\nF:bin\nR:busybox\n\n")
	apk := alpine.end()
	app := new(stream).npm("express", "4.18.2").end()

	r.put("tree/"+npmPath("good"), []byte(npmBody("good", "1.0.0")))
	r.put("tree/"+status, []byte(hello))
	small := new(stream).npm("good", "1.0.0").file(status, hello).end()
	return []control{
		{"image", r.sub("a").layout(gz(debian.end()), gz(languages.end()), gz(newer.end())),
			[]string{"@scope/pkg 2.0.0", "flask 1.0", "hello 2.10-4", "left-pad 1.3.0", "libc6 2.36-9", "org.x:lib 3.0"}},
		{"image-zstd", r.sub("b").layout(asLayer(zstandard(apk), apk, "+zstd"), plain(app)),
			[]string{"busybox 1.36.1-r29", "express 4.18.2", "musl 1.2.5-r0"}},
		{"archive", r.saved("image.tar", []string{digest(apk), digest(app)}, []string{"1/layer.tar", "2/layer.tar"}, func(s *stream) {
			s.file("1/layer.tar", string(apk)).file("2/layer.tar", string(gzipped(app)))
		}), []string{"busybox 1.36.1-r29", "express 4.18.2", "musl 1.2.5-r0"}},
		{"directory", r.path("tree"), []string{"good 1.0.0", "hello 2.10-3"}},
		{"small", r.sub("c").layout(gz(small)), []string{"good 1.0.0", "hello 2.10-3"}},
	}
}
