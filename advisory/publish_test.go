// SPDX-License-Identifier: Apache-2.0

package advisory_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory"
	"github.com/bulwark-sec/bulwark/advisory/bundle"
)

// corpus gives n records in two ecosystems, with texts as long as real ones.
func corpus(n int) *txtar.Archive {
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("a remote attacker may crafted request overflow the buffer of library which leads to execution denial service in versions before when parser reads long header with memory corruption path traversal allows users")
	ar := &txtar.Archive{}
	for i := range n {
		var text []string
		for range 60 + r.IntN(120) {
			text = append(text, words[r.IntN(len(words))]+strconv.Itoa(r.IntN(3)*r.IntN(1000)))
		}
		eco := []string{"npm", "Debian:12"}[i%2]
		f := record(fmt.Sprintf("T-%05d", i), eco, fmt.Sprintf("pkg%d", r.IntN(n)), fmt.Sprintf("1.%d", r.IntN(50)), "2026-01-01T00:00:00Z")
		f.Data = bytes.Replace(f.Data, []byte(`"affected"`), fmt.Appendf(nil, `"details":%q,"affected"`, strings.Join(text, " ")), 1)
		ar.Files = append(ar.Files, f)
	}
	return ar
}

// author imports records and publishes them.
func author(t *testing.T, dir, to string, ar *txtar.Archive, at time.Time) advisory.Published {
	t.Helper()
	data := t.TempDir()
	archives := map[string]*zip.Writer{}
	list := ""
	for _, f := range ar.Files {
		folder := filepath.Dir(f.Name)
		if archives[folder] == nil {
			list += filepath.Base(folder) + "\n"
			if err := os.MkdirAll(filepath.Join(data, folder), 0o755); err != nil {
				t.Fatal(err)
			}
			out, err := os.Create(filepath.Join(data, folder, "all.zip"))
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			archives[folder] = zip.NewWriter(out)
		}
		w, err := archives[folder].CreateHeader(&zip.FileHeader{Name: filepath.Base(f.Name)})
		if err == nil {
			_, err = w.Write(f.Data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range archives {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(data, "osv", "ecosystems.txt"), []byte(list), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := advisory.Import(t.Context(), data, advisory.ImportOptions{Dir: dir, Now: at}); err != nil {
		t.Fatal(err)
	}
	p, err := advisory.Publish(t.Context(), advisory.PublishOptions{Dir: dir, To: to, Now: at})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// edit changes every step-th record.
func edit(ar *txtar.Archive, from, step int) *txtar.Archive {
	out := &txtar.Archive{Files: append([]txtar.File(nil), ar.Files...)}
	for i := from; i < len(out.Files); i += step {
		out.Files[i].Data = bytes.Replace(out.Files[i].Data, []byte("2026-01-01T00:00:00Z"), []byte("2026-02-02T00:00:00Z"), 1)
		out.Files[i].Data = bytes.Replace(out.Files[i].Data, []byte(`{"fixed":"1.`), []byte(`{"fixed":"2.`), 1)
	}
	return out
}

// TestOnePercent changes one record in a hundred, spread over the database: an
// update moves five per cent of the bytes at most.
func TestOnePercent(t *testing.T) {
	ar := corpus(800)
	dir, m := t.TempDir(), serve(t)
	p := author(t, dir, m.dir, ar, now)
	opt := advisory.PullOptions{Dir: t.TempDir(), From: []string{m.URL}, Keys: []string{p.Key}, Client: m.Client(), Now: now.Add(time.Hour)}
	first, err := advisory.Pull(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	if first.Moved != first.Whole || first.Whole != p.Whole || first.Advisories != 800 || first.Deltas != 0 || first.From != m.URL {
		t.Errorf("%+v", first)
	}
	p = author(t, dir, m.dir, edit(ar, 17, 99), now.Add(time.Minute))
	m.log()
	got, err := advisory.Pull(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != p.ID || got.Deltas != 2 || got.Refused != 0 || got.Moved != p.Step || float64(got.Moved) > 0.05*float64(got.Whole) {
		t.Errorf("%+v; published %+v", got, p)
	}
	t.Logf("moved %d of %d bytes = %.2f %%", got.Moved, got.Whole, 100*float64(got.Moved)/float64(got.Whole))
	if l := m.log(); len(l) != 3 {
		t.Errorf("asked for %v", l)
	}
	if _, err := advisory.Verify(t.Context(), opt.Dir); err != nil {
		t.Error(err)
	}
	if d := gocmp.Diff(digests(t, dir), digests(t, opt.Dir)); d != "" {
		t.Error(d)
	}
	if _, err := os.Stat(filepath.Join(opt.Dir, "pull")); !errors.Is(err, os.ErrNotExist) {
		t.Error("the staging folder is left behind", err)
	}
	// Somebody who was away for some publications goes by all their deltas.
	late := opt
	late.Dir = t.TempDir()
	if _, err := advisory.Pull(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		ar = edit(ar, i, 97)
		p = author(t, dir, m.dir, ar, now.Add(time.Duration(2+i)*time.Minute))
	}
	got, err = advisory.Pull(t.Context(), late)
	if err != nil || got.ID != p.ID || got.Deltas != 2 || got.Moved > got.Whole/5 {
		t.Errorf("%+v, %v", got, err)
	}
	again, err := advisory.Pull(t.Context(), late)
	if err != nil || !again.Unchanged || again.ID != p.ID {
		t.Errorf("%+v, %v", again, err)
	}
	// What no index names any more is gone from the folder.
	files, _ := filepath.Glob(filepath.Join(m.dir, "blobs", "*"))
	if len(files) > 2*2+2*5 {
		t.Errorf("%d blobs", len(files))
	}
	// And the same database again adds nothing.
	same, err := advisory.Publish(t.Context(), advisory.PublishOptions{Dir: dir, To: m.dir, Now: now.Add(time.Hour)})
	if err != nil || same.Unchanged != 2 || same.ID != p.ID {
		t.Errorf("%+v, %v", same, err)
	}
}

// TestPullResumes breaks every blob off in the middle, once.
func TestPullResumes(t *testing.T) {
	m := serve(t)
	p := author(t, t.TempDir(), m.dir, corpus(600), now)
	files := http.FileServer(http.Dir(m.dir))
	broken := map[string]bool{}
	var ranges []string
	m.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		m.mu.Lock()
		first := !broken[r.URL.Path]
		broken[r.URL.Path] = true
		if h := r.Header.Get("Range"); h != "" {
			ranges = append(ranges, h)
		}
		m.mu.Unlock()
		if first {
			st, err := os.Stat(filepath.Join(m.dir, r.URL.Path))
			if err != nil {
				t.Error(err)
				return false
			}
			b, _ := os.ReadFile(filepath.Join(m.dir, r.URL.Path))
			w.Header().Set("Content-Length", strconv.FormatInt(st.Size(), 10))
			_, _ = w.Write(b[:len(b)/2])
			panic(http.ErrAbortHandler)
		}
		files.ServeHTTP(w, r)
		return true
	}
	opt := advisory.PullOptions{Dir: t.TempDir(), From: []string{m.URL}, Keys: []string{p.Key}, Client: m.Client(), Now: now}
	got, err := advisory.Pull(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	if len(ranges) != 2 || got.Moved != got.Whole {
		t.Errorf("ranges %v, moved %d of %d bytes", ranges, got.Moved, got.Whole)
	}
}

// TestPullInterrupted ends a pull between two blobs; the next one has the first.
func TestPullInterrupted(t *testing.T) {
	m := serve(t)
	p := author(t, t.TempDir(), m.dir, corpus(600), now)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	files := http.FileServer(http.Dir(m.dir))
	there := t.TempDir()
	blobs := 0
	m.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		m.mu.Lock()
		blobs++
		n := blobs
		m.mu.Unlock()
		if n == 1 {
			files.ServeHTTP(w, r)
			return true
		}
		b, _ := os.ReadFile(filepath.Join(m.dir, r.URL.Path))
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		_, _ = w.Write(b[:len(b)/2])
		w.(http.Flusher).Flush()
		// Wait until the other one has its name, then end it.
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for done := false; !done && ctx.Err() == nil; <-tick.C {
			found, _ := filepath.Glob(filepath.Join(there, "pull", "sha256-*"))
			for _, f := range found {
				done = done || !strings.HasSuffix(f, ".part")
			}
		}
		cancel()
		<-r.Context().Done()
		return true
	}
	opt := advisory.PullOptions{Dir: there, From: []string{m.URL}, Keys: []string{p.Key}, Client: m.Client(), Now: now}
	if _, err := advisory.Pull(ctx, opt); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err := advisory.Stored(opt.Dir); !errors.Is(err, bulwark.ErrNotFound) {
		t.Error(err)
	}
	m.mu.Lock()
	m.before = nil
	m.mu.Unlock()
	got, err := advisory.Pull(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	if got.Moved > got.Whole*2/3 {
		t.Errorf("moved %d of %d bytes after an interruption", got.Moved, got.Whole)
	}
}

// TestPullRefuses serves what must not be taken; the database that there is stays.
func TestPullRefuses(t *testing.T) {
	m := serve(t)
	dir, there := t.TempDir(), t.TempDir()
	p := author(t, dir, m.dir, corpus(200), now)
	opt := advisory.PullOptions{Dir: there, From: []string{m.URL}, Keys: []string{p.Key}, Client: m.Client(), Now: now.Add(time.Minute)}
	first, err := advisory.Pull(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	p = author(t, dir, m.dir, edit(corpus(200), 0, 10), now.Add(time.Minute))
	index, err := os.ReadFile(filepath.Join(m.dir, "bulwark-db.json"))
	if err != nil {
		t.Fatal(err)
	}
	zeros := func(w http.ResponseWriter, r *http.Request) bool {
		st, err := os.Stat(filepath.Join(m.dir, r.URL.Path))
		if err != nil || !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		_, _ = w.Write(make([]byte, st.Size()))
		return true
	}
	body := func(match string, b []byte, status int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, match) {
				return false
			}
			w.WriteHeader(status)
			_, _ = w.Write(b)
			return true
		}
	}
	other := author(t, t.TempDir(), t.TempDir(), corpus(10), now)
	for name, c := range map[string]struct {
		before func(http.ResponseWriter, *http.Request) bool
		change func(o *advisory.PullOptions)
		is     error
		text   string
	}{
		"other-key":   {nil, func(o *advisory.PullOptions) { o.Keys = []string{other.Key} }, bulwark.ErrDigest, "wanted ed25519:"},
		"no-key":      {nil, func(o *advisory.PullOptions) { o.Keys = []string{"x"} }, bulwark.ErrUsage, "key show"},
		"too-old":     {nil, func(o *advisory.PullOptions) { o.MaxAge, o.Now = time.Hour, now.Add(48*time.Hour) }, bundle.ErrOld, "are allowed"},
		"index-empty": {body("bulwark-db", nil, 200), nil, bulwark.ErrUnsupported, "index"},
		"index-cut":   {body("bulwark-db", index[:len(index)/2], 200), nil, bulwark.ErrUnsupported, "index"},
		"no-index":    {body("bulwark-db", nil, 404), nil, bulwark.ErrNotFound, "check the address"},
		"forbidden":   {body("bulwark-db", nil, 403), nil, nil, "403"},
		"no-blob":     {body("/blobs/", nil, 404), nil, bulwark.ErrNotFound, ""},
		"blob-other":  {zeros, nil, bulwark.ErrDigest, ""},
		"blob-longer": {body("/blobs/", make([]byte, 1<<20), 200), nil, bulwark.ErrTooLarge, ""},
		"blob-empty":  {body("/blobs/", nil, 200), nil, io.ErrUnexpectedEOF, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m.mu.Lock()
			m.before = c.before
			m.mu.Unlock()
			o := opt
			if c.change != nil {
				c.change(&o)
			}
			_, err := advisory.Pull(t.Context(), o)
			if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v", err)
			}
			st, err := advisory.Verify(t.Context(), there)
			if err != nil || st.ID != first.ID {
				t.Errorf("the database that there was: %+v, %v", st, err)
			}
		})
	}
	m.mu.Lock()
	m.before = nil
	m.mu.Unlock()
	if got, err := advisory.Pull(t.Context(), opt); err != nil || got.ID != p.ID {
		t.Error(err)
	}
}

// TestPullMirrors tries addresses in order; all that fail are told.
func TestPullMirrors(t *testing.T) {
	m := serve(t)
	dir, stale, empty := t.TempDir(), t.TempDir(), t.TempDir()
	author(t, dir, stale, corpus(100), now)
	p := author(t, dir, m.dir, edit(corpus(100), 0, 5), now.Add(time.Hour))
	opt := advisory.PullOptions{Dir: t.TempDir(), From: []string{empty, m.URL, stale}, Keys: []string{p.Key}, Client: m.Client(), Now: now.Add(time.Hour)}
	got, err := advisory.Pull(t.Context(), opt)
	if err != nil || got.From != m.URL || got.ID != p.ID {
		t.Fatal(got, err)
	}
	// A mirror that lags behind is passed over.
	opt.From = []string{stale, m.URL}
	if got, err = advisory.Pull(t.Context(), opt); err != nil || got.From != m.URL || !got.Unchanged {
		t.Error(got, err)
	}
	opt.From = []string{stale, empty, "ftp://x/y", "oci://reg.test/db", "https://127.0.0.1:1/?x=1"}
	_, err = advisory.Pull(t.Context(), opt)
	if !errors.Is(err, bundle.ErrOld) || !errors.Is(err, bulwark.ErrNotFound) || !errors.Is(err, bulwark.ErrUsage) {
		t.Fatal(err)
	}
	for _, want := range append([]string{"none of 5 addresses"}, opt.From...) {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	opt.From, opt.AllowOlder = opt.From[:1], true
	if got, err = advisory.Pull(t.Context(), opt); err != nil || got.ID == p.ID {
		t.Error(got, err)
	}
	if _, err := advisory.Pull(t.Context(), advisory.PullOptions{Dir: t.TempDir(), Now: now}); !errors.Is(err, bulwark.ErrUsage) {
		t.Error(err)
	}
}

// TestPullOtherDelta has a delta that gives other bytes than the manifest names,
// as of another release of bulwark, and one that is none: the file is fetched.
func TestPullOtherDelta(t *testing.T) {
	ar := corpus(400)
	index := func(site string) (pub bundle.Publication) {
		text, err := os.ReadFile(filepath.Join(site, "bulwark-db.json"))
		if err == nil {
			err = json.Unmarshal(text, &pub)
		}
		if err != nil || len(pub.Source("osv/npm").Steps) != 1 {
			t.Fatal(err, pub.Source("osv/npm"))
		}
		return pub
	}
	// Another publisher has the same database, but then other changes.
	elsewhere, dir := t.TempDir(), t.TempDir()
	author(t, dir, elsewhere, ar, now)
	author(t, dir, elsewhere, edit(ar, 2, 40), now.Add(time.Minute))
	before := index(elsewhere)
	theirs := before.Source("osv/npm").Steps[0]
	blob := func(b bundle.Blob) string { return "blobs/sha256-" + b.Digest.Hex() }
	for name, step := range map[string]bundle.Step{"other": theirs, "none": {From: theirs.From}} {
		t.Run(name, func(t *testing.T) {
			site, dir := t.TempDir(), t.TempDir()
			p := author(t, dir, site, ar, now)
			opt := advisory.PullOptions{Dir: t.TempDir(), From: []string{site}, Keys: []string{p.Key}, Now: now.Add(time.Hour)}
			if _, err := advisory.Pull(t.Context(), opt); err != nil {
				t.Fatal(err)
			}
			p = author(t, dir, site, edit(ar, 0, 40), now.Add(time.Minute))
			pub := index(site)
			b := []byte("no delta")
			if name == "other" {
				var err error
				if b, err = os.ReadFile(filepath.Join(elsewhere, blob(step.Blob))); err != nil {
					t.Fatal(err)
				}
			} else {
				sum := sha256.Sum256(b)
				step.Blob = bundle.Blob{Digest: bulwark.Digest("sha256:" + hex.EncodeToString(sum[:])), Size: int64(len(b))}
			}
			if err := os.WriteFile(filepath.Join(site, blob(step.Blob)), b, 0o644); err != nil {
				t.Fatal(err)
			}
			// The index is not signed; it can be changed by whoever serves it.
			npm := pub.Source("osv/npm")
			if npm.Steps[0].From != step.From {
				t.Fatal("not the same database")
			}
			npm.Steps[0] = step
			text, err := json.Marshal(&pub)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(site, "bulwark-db.json"), text, 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := advisory.Pull(t.Context(), opt)
			if err != nil || got.ID != p.ID || got.Refused != 1 {
				t.Errorf("%+v, %v", got, err)
			}
			if _, err := advisory.Verify(t.Context(), opt.Dir); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPublishRefuses(t *testing.T) {
	site, dir, ctx := t.TempDir(), t.TempDir(), t.Context()
	opt := advisory.PublishOptions{Dir: dir, To: site, Now: now}
	if _, err := advisory.Publish(ctx, opt); !errors.Is(err, bulwark.ErrNotFound) {
		t.Error(err)
	}
	author(t, dir, site, corpus(50), now)
	other := t.TempDir()
	author(t, other, t.TempDir(), corpus(50), now.Add(time.Hour))
	o := opt
	o.Dir = other
	if _, err := advisory.Publish(ctx, o); !errors.Is(err, bulwark.ErrDigest) || !strings.Contains(err.Error(), "--replace") {
		t.Error(err)
	}
	o.Replace = true
	if _, err := advisory.Publish(ctx, o); err != nil {
		t.Error(err)
	}
	// Now it is newer, and another's.
	if _, err := advisory.Publish(ctx, opt); !errors.Is(err, bulwark.ErrDigest) {
		t.Error(err)
	}
	late := t.TempDir()
	if err := os.CopyFS(late, os.DirFS(other)); err != nil {
		t.Fatal(err)
	}
	author(t, other, site, corpus(60), now.Add(2*time.Hour))
	if _, err := advisory.Publish(ctx, advisory.PublishOptions{Dir: late, To: site, Now: now}); !errors.Is(err, bundle.ErrOld) {
		t.Error(err)
	}
	for _, to := range []string{"https://x.test/db", "oci://x.test/db", "ftp://x"} {
		o := opt
		o.To = to
		if _, err := advisory.Publish(ctx, o); err == nil {
			t.Errorf("published to %s", to)
		}
	}
	if err := os.WriteFile(filepath.Join(site, "bulwark-db.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := advisory.Publish(ctx, opt); err == nil || !strings.Contains(err.Error(), "--replace") {
		t.Error(err)
	}
}

func TestExpiry(t *testing.T) {
	site, dir, there := t.TempDir(), t.TempDir(), t.TempDir()
	author(t, dir, t.TempDir(), corpus(20), now)
	p, err := advisory.Publish(t.Context(), advisory.PublishOptions{Dir: dir, To: site, Now: now, ValidFor: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	opt := advisory.PullOptions{Dir: there, From: []string{site}, Keys: []string{p.Key}, Now: now.Add(2 * time.Hour)}
	if _, err := advisory.Pull(t.Context(), opt); !errors.Is(err, bundle.ErrOld) {
		t.Error(err)
	}
	opt.Now = now.Add(time.Minute)
	if _, err := advisory.Pull(t.Context(), opt); err != nil {
		t.Fatal(err)
	}
	db, err := advisory.Open(there)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if db.Info(now.Add(time.Minute), 24*time.Hour).Stale || !db.Info(now.Add(2*time.Hour), 24*time.Hour).Stale {
		t.Error("a database is stale from its date on")
	}
}
