// SPDX-License-Identifier: Apache-2.0

package advisory_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory"
	"github.com/bulwark-sec/bulwark/advisory/bundle"
)

// A mirror serves a directory and remembers what it was asked for. before, when
// set, may answer a request itself.
type mirror struct {
	*httptest.Server
	dir    string
	before func(w http.ResponseWriter, r *http.Request) (done bool)

	mu    sync.Mutex
	asked []string
}

func serve(t *testing.T) *mirror {
	t.Helper()
	m := &mirror{dir: t.TempDir()}
	files := http.FileServer(http.Dir(m.dir))
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		m.asked = append(m.asked, strings.TrimPrefix(r.URL.Path, "/"))
		before := m.before
		m.mu.Unlock()
		if before != nil && before(w, r) {
			return
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(m.Close)
	return m
}

func (m *mirror) log() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.asked
	m.asked = nil
	slices.Sort(l)
	return l
}

func (m *mirror) options(dir string) advisory.UpdateOptions {
	return advisory.UpdateOptions{Dir: dir, Source: m.URL + "/osv", KEV: m.URL + "/kev/known_exploited_vulnerabilities.json", EPSS: m.URL + "/epss/epss_scores-current.csv.gz", Client: m.Client(), Now: now}
}

// small is a recipe with two ecosystems and scores.
func small() *txtar.Archive {
	return &txtar.Archive{Files: []txtar.File{
		record("GHSA-1", "npm", "one", "1.1.0", "2026-01-01T00:00:00Z"),
		record("GHSA-2", "npm", "two", "1.2.0", "2026-01-02T00:00:00.5Z"),
		record("GHSA-3", "npm", "three", "1.3.0", "2026-01-03T00:00:00.123456789123Z"),
		record("ALSA-2026:1", "AlmaLinux:9", "bash", "5.1-2.el9", "2026-01-01T00:00:00Z"),
		{Name: "kev/known_exploited_vulnerabilities.json", Data: []byte(`{"vulnerabilities":[{"cveID":"CVE-2026-0001","dateAdded":"2026-01-01","dueDate":"2026-01-20"}]}`)},
		{Name: "epss/epss_scores-current.csv.gz", Data: []byte("#model_version:v2025.03.14,score_date:2026-11-20T12:55:00Z\ncve,epss,percentile\nCVE-2026-0001,0.5,0.9\n")},
	}}
}

// digests gives the digest of each file of a database.
func digests(t *testing.T, dir string) map[string]bulwark.Digest {
	t.Helper()
	g, err := bundle.Current(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bulwark.Digest{}
	for _, f := range g.Files {
		out[f.Name] = f.Digest
	}
	return out
}

func feedOf(t *testing.T, st advisory.Status, name string) advisory.FeedStatus {
	t.Helper()
	for _, f := range st.Feeds {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("no feed %q in %+v", name, st)
	return advisory.FeedStatus{}
}

func TestUpdateIncremental(t *testing.T) {
	m, dir, ctx := serve(t), t.TempDir(), t.Context()
	ar := small()
	write(t, m.dir, ar)
	var told []advisory.Progress
	o := m.options(dir)
	o.Progress = func(p advisory.Progress) { told = append(told, p) }
	st, err := advisory.Update(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if st.Advisories != 4 || st.Rows != 4 || len(st.Feeds) != 4 || len(told) != 8 || told[7] != (advisory.Progress{Feed: "epss", Index: 3, Count: 4, Done: true}) {
		t.Errorf("first update %+v, %+v", st, told)
	}
	want := []string{"epss/epss_scores-current.csv.gz", "kev/known_exploited_vulnerabilities.json", "osv/AlmaLinux/all.zip", "osv/AlmaLinux/modified_id.csv", "osv/ecosystems.txt", "osv/npm/all.zip", "osv/npm/modified_id.csv"}
	if d := gocmp.Diff(want, m.log()); d != "" {
		t.Error("first update asks", d)
	}
	first := digests(t, dir)

	o.Now = now.Add(time.Hour)
	if st, err = advisory.Update(ctx, o); err != nil {
		t.Fatal(err)
	}
	for _, f := range st.Feeds {
		if !f.Unchanged || !f.Fetched.Equal(o.Now) {
			t.Errorf("second update, feed %+v", f)
		}
	}
	if slices.ContainsFunc(m.log(), func(s string) bool { return strings.HasSuffix(s, ".zip") || strings.Contains(s, "GHSA") }) {
		t.Error("an unchanged feed was fetched again")
	}
	if d := gocmp.Diff(first, digests(t, dir)); d != "" {
		t.Error(d)
	}

	// One changes, one is new, one is withdrawn.
	ar.Files[0] = record("GHSA-1", "npm", "one", "1.1.1", "2026-02-01T00:00:00Z")
	ar.Files[1].Data = []byte(`{"id":"GHSA-2","modified":"2026-02-01T00:00:00Z","withdrawn":"2026-02-01T00:00:00Z"}`)
	ar.Files = append(ar.Files, record("GHSA-4", "npm", "four", "1.4.0", "2026-02-02T00:00:00Z"))
	write(t, m.dir, ar)
	if st, err = advisory.Update(ctx, o); err != nil {
		t.Fatal(err)
	}
	f := feedOf(t, st, "osv/npm")
	if f.Records != 3 || f.Withdrawn != 1 || f.Bad != 0 {
		t.Errorf("third update, npm %+v", f)
	}
	got := slices.DeleteFunc(m.log(), func(s string) bool { return !strings.Contains(s, "npm") })
	// GHSA-3 has the time of the last mark: another one may have come with it.
	if d := gocmp.Diff([]string{"osv/npm/GHSA-1.json", "osv/npm/GHSA-2.json", "osv/npm/GHSA-3.json", "osv/npm/GHSA-4.json", "osv/npm/modified_id.csv"}, got); d != "" {
		t.Error("third update asks", d)
	}
	after := digests(t, dir)
	if after["osv/AlmaLinux"] != first["osv/AlmaLinux"] || after["osv/npm"] == first["osv/npm"] {
		t.Error("the wrong segment changed", after)
	}
	whole := t.TempDir()
	o.Dir = whole
	if _, err := advisory.Update(ctx, o); err != nil {
		t.Fatal(err)
	}
	if d := gocmp.Diff(digests(t, whole), after); d != "" {
		t.Error("changes give another database than everything", d)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "gen-*")); len(left) != 2 { // the current one and the one before
		t.Errorf("generations left: %v", left)
	}
}

func TestUpdateMany(t *testing.T) {
	m, dir, ctx := serve(t), t.TempDir(), t.Context()
	ar := small()
	write(t, m.dir, ar)
	o := m.options(dir)
	o.KEV, o.EPSS = advisory.None, advisory.None
	if _, err := advisory.Update(ctx, o); err != nil {
		t.Fatal(err)
	}
	for i := range 501 {
		ar.Files = append(ar.Files, record(fmt.Sprintf("GHSA-m%d", i), "npm", fmt.Sprintf("many%d", i), "2.0.0", "2026-03-01T00:00:00Z"))
	}
	write(t, m.dir, ar)
	m.log()
	st, err := advisory.Update(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if f := feedOf(t, st, "osv/npm"); f.Records != 504 || f.Changed != 504 {
		t.Errorf("%+v", f)
	}
	if got := m.log(); !slices.Contains(got, "osv/npm/all.zip") || len(got) != 4 {
		t.Errorf("asks %v", got)
	}
}

func TestUpdateArchivesOnly(t *testing.T) {
	m, dir, ctx := serve(t), t.TempDir(), t.Context()
	ar := small()
	write(t, m.dir, ar)
	o := m.options(dir)
	if _, err := advisory.Update(ctx, o); err != nil {
		t.Fatal(err)
	}
	ar.Files = append(ar.Files, record("GHSA-4", "npm", "four", "1.4.0", "2026-02-02T00:00:00Z"))
	write(t, m.dir, ar)
	m.before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "GHSA-") {
			http.NotFound(w, r)
			return true
		}
		return false
	}
	st, err := advisory.Update(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if f := feedOf(t, st, "osv/npm"); f.Records != 4 || f.Changed != 4 {
		t.Errorf("%+v", f)
	}
}

func TestUpdateSubset(t *testing.T) {
	m, dir, ctx := serve(t), t.TempDir(), t.Context()
	write(t, m.dir, small())
	o := m.options(dir)
	o.KEV, o.EPSS, o.Ecosystems = advisory.None, advisory.None, []string{"AlmaLinux:9", "AlmaLinux:8"}
	if _, err := advisory.Update(ctx, o); err != nil {
		t.Fatal(err)
	}
	if d := gocmp.Diff([]string{"osv/AlmaLinux/all.zip", "osv/AlmaLinux/modified_id.csv"}, m.log()); d != "" {
		t.Error(d)
	}
	o.Ecosystems, o.Now = []string{"npm"}, now.Add(48*time.Hour)
	st, err := advisory.Update(ctx, o)
	if err != nil || len(st.Feeds) != 2 {
		t.Fatal(st, err)
	}
	db, err := advisory.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if d := gocmp.Diff([]string{"AlmaLinux", "npm"}, db.Ecosystems()); d != "" {
		t.Error(d)
	}
	// AlmaLinux was asked two days ago, npm just now.
	if i := db.Info(o.Now, 24*time.Hour); !i.Stale || i.AgeSeconds != 48*3600 {
		t.Errorf("%+v", i)
	}
	if i := db.Info(o.Now, 24*time.Hour, "npm"); i.Stale || i.AgeSeconds != 0 {
		t.Errorf("%+v", i)
	}
	o.Ecosystems = []string{"../etc"}
	if _, err := advisory.Update(ctx, o); !errors.Is(err, bulwark.ErrUsage) {
		t.Error(err)
	}
}

func TestUpdateFailures(t *testing.T) {
	ctx := t.Context()
	var hint *bulwark.Hint
	for _, tc := range []struct {
		name   string
		path   string // requests that fail
		times  int32  // how often; 0 is always
		answer func(w http.ResponseWriter, r *http.Request)
		good   bool
		hint   string
	}{
		{name: "busy-for-a-moment", path: "all.zip", times: 2, good: true, answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
		}},
		{name: "busy-until-a-date", path: "modified_id.csv", times: 1, good: true, answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT")
			w.WriteHeader(http.StatusServiceUnavailable)
		}},
		{name: "busy-for-long", path: "all.zip", hint: "try again later", answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
		}},
		{name: "busy-for-ever", path: "all.zip", hint: "try again later", answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusBadGateway)
		}},
		{name: "broken-off-once", path: "all.zip", times: 1, good: true, answer: truncate},
		{name: "broken-off", path: "all.zip", answer: truncate},
		{name: "missing", path: "all.zip", answer: http.NotFound},
		{name: "forbidden", path: "modified_id.csv", answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }},
		{name: "a-login-page", path: "all.zip", answer: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>please log in</html>") }},
		{name: "a-login-page-for-the-list", path: "modified_id.csv", answer: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>please log in</html>") }},
		{name: "sent-to-plain-http", path: "all.zip", hint: "use an https address", answer: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://example.invalid/all.zip", http.StatusFound)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, dir := serve(t), t.TempDir()
			ar := small()
			write(t, m.dir, ar)
			o := m.options(dir)
			if _, err := advisory.Update(ctx, o); err != nil {
				t.Fatal(err)
			}
			before := digests(t, dir)
			ar.Files = append(ar.Files, record("GHSA-9", "npm", "nine", "9.0.0", "2026-09-09T00:00:00Z"),
				record("ALSA-2026:2", "AlmaLinux:9", "zsh", "1-1.el9", "2026-09-09T00:00:00Z"))
			write(t, m.dir, ar)
			var failed atomic.Int32
			m.mu.Lock()
			m.before = func(w http.ResponseWriter, r *http.Request) bool {
				if strings.Contains(r.URL.Path, "/npm/") && strings.HasSuffix(r.URL.Path, tc.path) && (tc.times == 0 || failed.Add(1) <= tc.times) {
					tc.answer(w, r)
					return true
				}
				return false
			}
			m.mu.Unlock()
			o.Full = true
			st, err := advisory.Update(ctx, o)
			after := digests(t, dir)
			if tc.good {
				if err != nil || after["osv/npm"] == before["osv/npm"] {
					t.Fatalf("not updated: %v", err)
				}
				return
			}
			// npm stays as it was, and AlmaLinux is new.
			if err == nil {
				t.Fatal("no error")
			}
			if after["osv/npm"] != before["osv/npm"] || after["osv/AlmaLinux"] == before["osv/AlmaLinux"] {
				t.Errorf("after %v: %v, before %v", err, after, before)
			}
			if f := feedOf(t, st, "osv/npm"); f.Err == "" || f.Records != 3 {
				t.Errorf("%+v", f)
			}
			if tc.hint != "" && (!errors.As(err, &hint) || !strings.Contains(hint.Next, tc.hint)) {
				t.Errorf("no hint %q in %v", tc.hint, err)
			}
			if !strings.Contains(err.Error(), "osv/npm") {
				t.Errorf("error does not name the feed: %v", err)
			}
		})
	}
}

func truncate(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "100000")
	_, _ = w.Write([]byte("PK\x03\x04 and then no more"))
}

func TestUpdateRefuses(t *testing.T) {
	ctx := t.Context()
	for _, src := range []string{"http://example.invalid/osv", "ftp://example.invalid/osv"} {
		var hint *bulwark.Hint
		_, err := advisory.Update(ctx, advisory.UpdateOptions{Dir: t.TempDir(), Source: src, KEV: advisory.None, EPSS: advisory.None, Now: now})
		if !errors.Is(err, bulwark.ErrUnsupported) || !errors.As(err, &hint) {
			t.Errorf("%s: %v", src, err)
		}
	}
	if _, err := advisory.Update(ctx, advisory.UpdateOptions{}); !errors.Is(err, bulwark.ErrUsage) {
		t.Error(err)
	}
	var hint *bulwark.Hint
	if _, err := advisory.Open(t.TempDir()); !errors.Is(err, bulwark.ErrNotFound) || !errors.As(err, &hint) {
		t.Error(err)
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := advisory.Update(done, advisory.UpdateOptions{Dir: t.TempDir(), Source: t.TempDir(), Now: now}); err == nil {
		t.Error("a cancelled update ended well")
	}
}

func TestImportExport(t *testing.T) {
	ctx, data, dir := t.Context(), t.TempDir(), t.TempDir()
	write(t, data, small())
	st, err := advisory.Import(ctx, data, advisory.ImportOptions{Dir: dir, Now: now})
	if err != nil || st.Advisories != 4 || len(st.Feeds) != 4 {
		t.Fatal(st, err)
	}
	file := filepath.Join(t.TempDir(), "advisories.tar.zst")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(advisory.Export(ctx, dir, f), f.Close()); err != nil {
		t.Fatal(err)
	}
	there := t.TempDir()
	got, err := advisory.Import(ctx, file, advisory.ImportOptions{Dir: there, Now: now, Key: st.Key})
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != st.ID || got.Rows != st.Rows || got.Hot != st.Hot {
		t.Errorf("%+v\nwant %+v", got, st)
	}
	if _, err := advisory.Verify(ctx, there); err != nil {
		t.Error(err)
	}
	db, err := advisory.Open(there)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if i := db.Info(now, time.Hour); i.Advisories != 4 || i.ID != st.ID {
		t.Errorf("%+v", i)
	}
	// A key that is wanted must be the one.
	other := t.TempDir()
	if _, err := advisory.Import(ctx, data, advisory.ImportOptions{Dir: other, Now: now}); err != nil {
		t.Fatal(err)
	}
	wrong, err := advisory.Stored(other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := advisory.Import(ctx, file, advisory.ImportOptions{Dir: there, Now: now, Key: wrong.Key}); !errors.Is(err, bulwark.ErrDigest) {
		t.Errorf("another key: %v", err)
	}
	if _, err := advisory.Import(ctx, filepath.Join(data, "osv", "ecosystems.txt"), advisory.ImportOptions{Dir: there, Now: now}); !errors.Is(err, bulwark.ErrUnsupported) {
		t.Error(err)
	}
	if _, err := advisory.Import(ctx, filepath.Join(data, "nowhere"), advisory.ImportOptions{Dir: there, Now: now}); !errors.Is(err, bulwark.ErrNotFound) {
		t.Error(err)
	}
	// After an import the database can be updated, by this machine's own key.
	if _, err := advisory.Import(ctx, filepath.Join(data, "osv"), advisory.ImportOptions{Dir: there, Now: now}); err != nil {
		t.Error(err)
	}
}

func TestDeterminism(t *testing.T) {
	ar := small()
	for i := range 200 {
		ar.Files = append(ar.Files, record(fmt.Sprintf("GHSA-d%d", i), "npm", fmt.Sprintf("pkg%d", i%17), fmt.Sprintf("%d.0.%d", i%5, i), "2026-03-01T00:00:00Z"))
	}
	var first map[string]bulwark.Digest
	for range 3 {
		data, dir := t.TempDir(), t.TempDir()
		write(t, data, ar)
		if _, err := advisory.Import(t.Context(), data, advisory.ImportOptions{Dir: dir, Now: now}); err != nil {
			t.Fatal(err)
		}
		got := digests(t, dir)
		if first == nil {
			first = got
		} else if d := gocmp.Diff(first, got); d != "" {
			t.Error(d)
		}
		slices.Reverse(ar.Files)
	}
}

// TestConcurrent matches all the time while two updates at a time replace the
// database.
func TestConcurrent(t *testing.T) {
	data, dir, ctx := t.TempDir(), t.TempDir(), t.Context()
	write(t, data, small())
	if _, err := advisory.Import(ctx, data, advisory.ImportOptions{Dir: dir, Now: now}); err != nil {
		t.Fatal(err)
	}
	inv := &bulwark.Inventory{Packages: []bulwark.Package{{PURL: "pkg:npm/one@1.0.0", Ecosystem: "npm", Name: "one", Version: "1.0.0"}}}
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	for w := range 2 {
		writers.Go(func() {
			for i := range 10 {
				at := now.Add(time.Duration(w*100+i) * time.Minute)
				if _, err := advisory.Import(ctx, data, advisory.ImportOptions{Dir: dir, Now: at}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				db, err := advisory.Open(dir)
				if err != nil {
					t.Error(err)
					return
				}
				r, err := db.Match(ctx, inv)
				if err != nil || len(r.Findings) != 1 {
					t.Error(r, err)
				}
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
}

func TestCorruptDatabase(t *testing.T) {
	data, dir, ctx := t.TempDir(), t.TempDir(), t.Context()
	write(t, data, small())
	if _, err := advisory.Import(ctx, data, advisory.ImportOptions{Dir: dir, Now: now}); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "gen-*", "*"))
	inv := &bulwark.Inventory{Packages: []bulwark.Package{{PURL: "p", Ecosystem: "npm", Name: "one", Version: "1.0.0"}, {PURL: "q", Ecosystem: "AlmaLinux:9", Name: "bash", Version: "1"}}}
	for _, name := range files {
		good, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, 0o644); err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(good); at += 1 + len(good)/40 {
			bad := slices.Clone(good)
			bad[at] ^= 0x41
			if err := os.WriteFile(name, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			// The last bits of base64 say nothing.
			if _, err := advisory.Verify(ctx, dir); err == nil && filepath.Base(name) != "manifest.sig" {
				t.Errorf("%s: byte %d changed, and nobody noticed", filepath.Base(name), at)
			}
			if db, err := advisory.Open(dir); err == nil {
				_, _ = db.Match(ctx, inv) // may be an error, must not be more
				_ = db.Close()
			}
		}
		if err := os.WriteFile(name, good[:len(good)/2], 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := advisory.Open(dir); err == nil {
			t.Errorf("%s: half of it opens", filepath.Base(name))
		}
		if err := os.WriteFile(name, good, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := advisory.Verify(ctx, dir); err != nil {
		t.Error(err)
	}
}
