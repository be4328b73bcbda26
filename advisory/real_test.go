// SPDX-License-Identifier: Apache-2.0

//go:build unix

package advisory_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory"
)

// cpu gives the processor time that this process has used.
func cpu(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestReal builds the database of real advisories in BULWARK_DATA and looks up
// what testdata/known.txt knows about them.
func TestReal(t *testing.T) {
	data := os.Getenv("BULWARK_DATA")
	if data == "" {
		t.Skip("BULWARK_DATA names no directory of advisories")
	}
	ctx, dir := t.Context(), t.TempDir()
	start, used := time.Now(), cpu(t)
	st, err := advisory.Import(ctx, data, advisory.ImportOptions{Dir: dir, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	t.Logf("build: %.2f s wall, %.2f s CPU, peak RSS %d MiB", time.Since(start).Seconds(), (cpu(t) - used).Seconds(), usage.Maxrss>>10)
	t.Logf("size: %d advisories, %d rows, %d bytes, hot %d bytes = %.1f bytes/row", st.Advisories, st.Rows, st.Bytes, st.Hot, float64(st.Hot)/float64(st.Rows))
	for _, f := range st.Feeds {
		t.Logf("feed %-14s %6d records, %d withdrawn, %d bad %v", f.Name, f.Records, f.Withdrawn, f.Bad, f.Samples)
		if f.Bad > 0 || f.Err != "" {
			t.Errorf("feed %s: %d bad records, error %q", f.Name, f.Bad, f.Err)
		}
	}
	if got := float64(st.Hot) / float64(st.Rows); got > 40 {
		t.Errorf("%.1f bytes for an affected row, want at most 40", got)
	}
	start = time.Now()
	if _, err := advisory.Verify(ctx, dir); err != nil {
		t.Error(err)
	}
	t.Logf("verify: %.1f ms", 1000*time.Since(start).Seconds())

	const opens = 20
	start = time.Now()
	for range opens {
		db, err := advisory.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		db.Close()
	}
	open := time.Since(start) / opens
	t.Logf("open: %.2f ms", 1000*open.Seconds())
	if open > 10*time.Millisecond {
		t.Errorf("opening takes %s, want at most 10 ms", open)
	}
	db, err := advisory.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	lookups(t, db)
	known(t, db)
}

// lookups times packages that nobody has heard of, and packages with many
// advisories that no longer hold, in processor time.
func lookups(t *testing.T, db *advisory.DB) {
	clock := func(what string, inv *bulwark.Inventory, limit time.Duration) {
		if _, err := db.Match(t.Context(), inv); err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		start := cpu(t)
		r, err := db.Match(t.Context(), inv)
		if err != nil {
			t.Fatal(err)
		}
		each := (cpu(t) - start) / time.Duration(len(inv.Packages))
		t.Logf("match of %s: %d ns for each of %d packages, %d findings", what, each.Nanoseconds(), len(inv.Packages), len(r.Findings))
		if each > limit {
			t.Errorf("match of %s takes %s, want at most %s", what, each, limit)
		}
	}
	unknown, fixed, old := &bulwark.Inventory{}, &bulwark.Inventory{}, &bulwark.Inventory{}
	for i := range 100_000 {
		name := fmt.Sprintf("no-such-package-%d", i)
		unknown.Packages = append(unknown.Packages, bulwark.Package{PURL: "pkg:npm/" + name, Name: name, Version: "1.0.0", Ecosystem: "npm"})
		fixed.Packages = append(fixed.Packages, bulwark.Package{PURL: "pkg:npm/lodash", Name: "lodash", Version: "99.0.0", Ecosystem: "npm"})
	}
	for _, name := range strings.Fields("openssl openssl-libs bash curl libcurl glibc systemd python3 python3-libs sqlite-libs zlib expat libxml2 gnutls krb5-libs openssh vim-minimal tar gzip xz-libs") {
		old.Packages = append(old.Packages, bulwark.Package{PURL: "pkg:rpm/" + name, Name: name, Version: "0.1-1", Ecosystem: "AlmaLinux:8"})
	}
	clock("an unknown package", unknown, 2*time.Microsecond)
	clock("lodash after all fixes", fixed, 20*time.Microsecond)
	clock("an old package", old, 20*time.Millisecond)
}

// known checks testdata/known.txt: ecosystem, package, version, "->" and the
// rules wanted, "-" for none, separated by tabs.
func known(t *testing.T, db *advisory.DB) {
	f, err := os.Open(filepath.Join("testdata", "known.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, ecosystems := 0, map[string]bool{}
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		line := sc.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) != 5 || fields[3] != "->" {
			t.Fatalf("line %q", line)
		}
		lines++
		p := bulwark.Package{PURL: "pkg:test/" + fields[1] + "@" + fields[2], Ecosystem: fields[0], Name: fields[1], Version: fields[2]}
		if name, module, ok := strings.Cut(fields[1], "|"); ok {
			p.Name, p.Module = name, module
		}
		base, _, _ := strings.Cut(p.Ecosystem, ":")
		ecosystems[base] = true
		r, err := db.Match(t.Context(), &bulwark.Inventory{Packages: []bulwark.Package{p}})
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, f := range r.Findings {
			if f.Status.By != "bulwark/bug-fix" {
				got = append(got, f.Rule)
			}
		}
		want := strings.Fields(fields[4])
		if fields[4] == "-" {
			want = []string{}
		}
		slices.Sort(got)
		slices.Sort(want)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s %s %s:\n%s", fields[0], fields[1], fields[2], d)
		}
		for _, g := range r.Gaps {
			t.Errorf("%s %s %s: gap %s", fields[0], fields[1], fields[2], g.Detail)
		}
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	t.Logf("known: %d lines in %d ecosystems", lines, len(ecosystems))
	if lines < 200 || len(ecosystems) < 8 {
		t.Errorf("%d lines in %d ecosystems, want 200 in 8", lines, len(ecosystems))
	}
}
