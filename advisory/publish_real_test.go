// SPDX-License-Identifier: Apache-2.0

//go:build unix

package advisory_test

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/bulwark-sec/bulwark/advisory"
)

// TestRealDelta changes one in a hundred of the real advisories in BULWARK_DATA
// and says how many bytes an update from a published database moves.
func TestRealDelta(t *testing.T) {
	data := os.Getenv("BULWARK_DATA")
	if data == "" {
		t.Skip("BULWARK_DATA names no directory of advisories")
	}
	ctx := t.Context()
	for i, kind := range []string{"spread", "clustered"} {
		author, site := t.TempDir(), t.TempDir()
		if _, err := advisory.Import(ctx, data, advisory.ImportOptions{Dir: author, Now: now}); err != nil {
			t.Fatal(err)
		}
		pub, err := advisory.Publish(ctx, advisory.PublishOptions{Dir: author, To: site, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		copied := t.TempDir()
		n := mutate(t, data, copied, kind == "clustered", uint64(i+1))
		at := now.Add(time.Duration(i+1) * time.Hour)
		reader := t.TempDir()
		opt := advisory.PullOptions{Dir: reader, From: []string{site}, Keys: []string{pub.Key}, Now: at}
		first, err := advisory.Pull(ctx, opt)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := advisory.Import(ctx, copied, advisory.ImportOptions{Dir: author, Now: at}); err != nil {
			t.Fatal(err)
		}
		start, used := time.Now(), cpu(t)
		if pub, err = advisory.Publish(ctx, advisory.PublishOptions{Dir: author, To: site, Now: at}); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: publish %.1f s, %.1f s CPU, wrote %d bytes", kind, time.Since(start).Seconds(), (cpu(t) - used).Seconds(), pub.Wrote)
		start, used = time.Now(), cpu(t)
		got, err := advisory.Pull(ctx, opt)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d records changed of %d; first pull moved %d bytes; the update %d of %d bytes = %.2f %%, %d deltas, %d refused; %.1f s, %.1f s CPU",
			kind, n, got.Advisories, first.Moved, got.Moved, got.Whole, 100*float64(got.Moved)/float64(got.Whole), got.Deltas, got.Refused,
			time.Since(start).Seconds(), (cpu(t) - used).Seconds())
		if got.ID != pub.ID || got.Refused > 0 || float64(got.Moved) > 0.05*float64(got.Whole) {
			t.Errorf("%s: %d of %d bytes moved, want 5 %% at most", kind, got.Moved, got.Whole)
		}
	}
}

// mutate copies an export of OSV with one in a hundred records of each ecosystem
// changed: half get another fix, a third another text, the others are withdrawn
// or new. Clustered ones follow each other by name.
func mutate(t *testing.T, from, to string, clustered bool, seed uint64) (changed int) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 7))
	archives, err := filepath.Glob(filepath.Join(from, "osv", "*", "all.zip"))
	if err != nil || len(archives) == 0 {
		t.Fatal("no archives", err)
	}
	for _, name := range archives {
		zr, err := zip.OpenReader(name)
		if err != nil {
			t.Fatal(err)
		}
		rel, _ := filepath.Rel(from, filepath.Dir(name))
		if err := os.MkdirAll(filepath.Join(to, rel), 0o755); err != nil {
			t.Fatal(err)
		}
		out, err := os.Create(filepath.Join(to, rel, "all.zip"))
		if err != nil {
			t.Fatal(err)
		}
		zw := zip.NewWriter(out)
		files := slices.Clone(zr.File)
		slices.SortFunc(files, func(a, b *zip.File) int { return len(a.Name) - len(b.Name) })
		slices.SortStableFunc(files, func(a, b *zip.File) int {
			if a.Name < b.Name {
				return -1
			}
			return 1
		})
		n := (len(files) + 99) / 100
		pick := map[int]bool{}
		start := r.IntN(len(files) - n + 1)
		for i := range n {
			if clustered {
				pick[start+i] = true
			} else {
				for before := len(pick); len(pick) == before; {
					pick[r.IntN(len(files))] = true
				}
			}
		}
		for i, f := range files {
			if !pick[i] {
				if err := zw.Copy(f); err != nil {
					t.Fatal(err)
				}
				continue
			}
			changed++
			rc, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			var rec map[string]any
			if err := json.NewDecoder(rc).Decode(&rec); err != nil {
				t.Fatal(err)
			}
			rc.Close()
			id := rec["id"].(string)
			rec["modified"] = time.Date(2026, 11, 21, 0, 0, r.IntN(80000), r.IntN(1e9), time.UTC).Format(time.RFC3339Nano)
			switch k := r.IntN(12); {
			case k < 6:
				refix(rec, r)
			case k < 10:
				rec["details"] = fmt.Sprint(rec["details"], " Further analysis of ", r.Uint64(), " showed that more callers are reached.")
			case k < 11:
				rec["withdrawn"] = rec["modified"]
			default:
				rec["id"] = id + "-new"
			}
			w, err := zw.Create(fmt.Sprint(rec["id"]) + ".json")
			if err == nil {
				err = json.NewEncoder(w).Encode(rec)
			}
			if err != nil {
				t.Fatal(err)
			}
			if rec["id"] != id { // the one that was there stays
				if err := zw.Copy(f); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := zw.Close(); err != nil {
			t.Fatal(err)
		}
		out.Close()
		zr.Close()
	}
	for _, name := range []string{"osv/ecosystems.txt", "kev/known_exploited_vulnerabilities.json"} {
		src, err := os.Open(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		dst, err := os.Create(filepath.Join(to, name))
		if err == nil {
			_, err = io.Copy(dst, src)
		}
		if err != nil {
			t.Fatal(err)
		}
		src.Close()
		dst.Close()
	}
	return changed
}

// refix changes the last event of the first range of a record.
func refix(rec map[string]any, r *rand.Rand) {
	list, _ := rec["affected"].([]any)
	for _, a := range list {
		ranges, _ := a.(map[string]any)["ranges"].([]any)
		for _, g := range ranges {
			events, _ := g.(map[string]any)["events"].([]any)
			for _, e := range events {
				ev := e.(map[string]any)
				if _, ok := ev["fixed"]; ok {
					ev["fixed"] = fmt.Sprintf("%v.%d", ev["fixed"], r.IntN(100))
					return
				}
			}
		}
	}
	if len(list) > 0 {
		rec["summary"] = fmt.Sprint(rec["summary"], " (", r.IntN(1000), ")")
	}
}
