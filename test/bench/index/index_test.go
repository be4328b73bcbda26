// SPDX-License-Identifier: Apache-2.0

//go:build unix

// Package index_test builds a database of advisories and prints what it costs.
// It is a test program, which may stand above the advisories as otherwise only
// the command does: the benchmark builds it and calls it as index DIR, where DIR
// has the layout of the OSV.dev export, or as index synthetic.
package index_test

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory"
)

func TestMain(m *testing.M) {
	if len(os.Args) != 2 || strings.HasPrefix(os.Args[1], "-") {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "bulwark-index-*")
	if err == nil {
		var c cost
		c, err = measure(context.Background(), os.Args[1], dir, 50_000)
		err = errors.Join(err, os.RemoveAll(dir))
		fmt.Printf("rows %d advisories %d hot %d bytes %d build %.2f rss %d open %.3f unknown %d fixed %d\n",
			c.Rows, c.Advisories, c.Hot, c.Bytes, c.build.Seconds(), c.rss, 1000*c.open.Seconds(), c.unknown.Nanoseconds(), c.fixed.Nanoseconds())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "index:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A cost is what one database costs.
type cost struct {
	advisory.Status
	build   time.Duration // processor time of the import
	rss     int64         // peak after it, bytes
	open    time.Duration // least of several, by the clock
	unknown time.Duration // processor time of matching a package that no advisory names
	fixed   time.Duration // the same of one that several name and none affects
}

// rounds is how often each is done; the least counts, for a busy machine can
// only add.
const rounds = 10

func measure(ctx context.Context, data, dir string, rows int) (c cost, err error) {
	if data == "synthetic" {
		data = filepath.Join(dir, "data")
		if err := synthesise(data, rows); err != nil {
			return c, err
		}
	}
	db := filepath.Join(dir, "db")
	start := used()
	if c.Status, err = advisory.Import(ctx, data, advisory.ImportOptions{Dir: db, Now: time.Now()}); err != nil {
		return c, err
	}
	for _, f := range c.Feeds {
		if f.Err != "" || f.Bad > 0 {
			return c, fmt.Errorf("feed %q: %d bad records: %s", f.Name, f.Bad, f.Err)
		}
	}
	c.build = used() - start
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		return c, err
	}
	c.rss = ru.Maxrss << 10
	for i := range rounds {
		start := time.Now()
		d, err := advisory.Open(db)
		took := time.Since(start)
		if err != nil {
			return c, err
		}
		if err := d.Close(); err != nil {
			return c, err
		}
		if i == 0 || took < c.open {
			c.open = took
		}
	}
	d, err := advisory.Open(db)
	if err != nil {
		return c, err
	}
	defer d.Close()
	var unknown, fixed bulwark.Inventory
	for i := range 50_000 {
		name := fmt.Sprint("no-such-package-", i)
		unknown.Packages = append(unknown.Packages, bulwark.Package{PURL: "pkg:npm/" + name, Name: name, Version: "1.0.0", Ecosystem: "npm"})
		fixed.Packages = append(fixed.Packages, bulwark.Package{PURL: "pkg:npm/lodash", Name: "lodash", Version: "99.0.0", Ecosystem: "npm"})
	}
	if c.unknown, err = match(ctx, d, &unknown); err != nil {
		return c, err
	}
	c.fixed, err = match(ctx, d, &fixed)
	return c, err
}

// match gives the processor time for each package of inv, in none of which
// anything is to be found.
func match(ctx context.Context, db *advisory.DB, inv *bulwark.Inventory) (least time.Duration, err error) {
	for i := range rounds {
		runtime.GC()
		start := used()
		r, err := db.Match(ctx, inv)
		took := (used() - start) / time.Duration(len(inv.Packages))
		if err != nil {
			return 0, err
		}
		if len(r.Findings) > 0 {
			return 0, fmt.Errorf("%d findings in %q", len(r.Findings), inv.Packages[0].PURL)
		}
		if i == 0 || took < least {
			least = took
		}
	}
	return least, nil
}

// used gives the processor time of this process so far.
func used() time.Duration {
	var ru syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &ru) != nil {
		return 0
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// synthesise writes an export of about rows affected packages in the three
// shapes that the public feeds have most of: a distribution that names source
// packages in several releases, one that names every binary package of an
// erratum, and a language registry with a range or two for one package. Versions
// differ from row to row, as they do in the feeds, for equal ones are stored once.
func synthesise(dir string, rows int) error {
	rnd := rand.New(rand.NewPCG(1, 2))
	version := func() string {
		return fmt.Sprintf("%d.%d.%d-%d", rnd.IntN(20), rnd.IntN(40), rnd.IntN(100), 1+rnd.IntN(30))
	}
	affected := func(ecosystem, name, fixed string) map[string]any {
		return map[string]any{
			"package": map[string]string{"ecosystem": ecosystem, "name": name},
			"ranges":  []any{map[string]any{"type": "ECOSYSTEM", "events": []any{map[string]string{"introduced": "0"}, map[string]string{"fixed": fixed}}}},
		}
	}
	shapes := []struct {
		ecosystem, id string
		rows          func(int) []any
	}{
		{"Debian", "DEBIAN-CVE-2026-%d", func(int) (out []any) {
			name := fmt.Sprint("source-", rnd.IntN(3000))
			for _, release := range []string{"11", "12", "13"} {
				out = append(out, affected("Debian:"+release, name, version()+"+deb"+release+"u1"))
			}
			return out
		}},
		{"AlmaLinux", "ALSA-2026:%d", func(int) (out []any) {
			name, fixed := fmt.Sprint("binary-", rnd.IntN(1500)), version()+".el9_5"
			for _, part := range []string{"", "-libs", "-devel", "-doc", "-tools", "-plugins", "-langpacks", "-static"} {
				out = append(out, affected("AlmaLinux:9", name+part, fixed))
			}
			return out
		}},
		{"npm", "GHSA-2026-%d", func(i int) []any {
			name := fmt.Sprint("package-", rnd.IntN(5000))
			if i%1000 == 0 {
				name = "lodash"
			}
			a := affected("npm", name, fmt.Sprintf("%d.%d.%d", rnd.IntN(9), rnd.IntN(40), rnd.IntN(40)))
			a["ranges"].([]any)[0].(map[string]any)["type"] = "SEMVER"
			return []any{a}
		}},
	}
	for _, s := range shapes {
		sub := filepath.Join(dir, "osv", s.ecosystem)
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return err
		}
		var list strings.Builder
		f, err := os.Create(filepath.Join(sub, "all.zip"))
		if err != nil {
			return err
		}
		z := zip.NewWriter(f)
		for i, n := 0, 0; n < rows/len(shapes); i++ {
			id := fmt.Sprintf(s.id, 10000+i)
			parts := s.rows(i)
			n += len(parts)
			w, err := z.Create(id + ".json")
			if err != nil {
				return errors.Join(err, f.Close())
			}
			err = json.NewEncoder(w).Encode(map[string]any{
				"id": id, "modified": "2026-01-01T00:00:00Z", "published": "2026-01-01T00:00:00Z",
				"aliases": []string{fmt.Sprint("CVE-2026-", 10000+i)},
				"summary": fmt.Sprint("a flaw in ", s.ecosystem, " number ", i), "affected": parts,
			})
			if err != nil {
				return errors.Join(err, f.Close())
			}
			fmt.Fprintf(&list, "2026-01-01T00:00:00Z,%s\n", id)
		}
		if err := errors.Join(z.Close(), f.Close()); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(sub, "modified_id.csv"), []byte(list.String()), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "osv", "ecosystems.txt"), []byte("AlmaLinux\nDebian\nnpm\n"), 0o644)
}

// TestMeasure shows that the made-up export is one that the import takes whole.
func TestMeasure(t *testing.T) {
	c, err := measure(t.Context(), "synthetic", t.TempDir(), 600)
	if err != nil {
		t.Fatal(err)
	}
	if c.Rows < 600 || len(c.Feeds) < 3 {
		t.Errorf("%d rows in %d feeds", c.Rows, len(c.Feeds))
	}
}
