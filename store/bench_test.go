// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/store"
)

// largeReport gives a report on 400 findings in 500 packages with texts that compress as
// real ones do, or the one that BULWARK_REPORT names.
func largeReport(b *testing.B) *bulwark.Report {
	b.Helper()
	if name := os.Getenv("BULWARK_REPORT"); name != "" {
		text, err := os.ReadFile(name)
		check(b, err)
		r := &bulwark.Report{}
		check(b, json.Unmarshal(text, r))
		return r
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("a buffer in the parser of may overflow when an attacker who sends crafted input to function causes denial service or arbitrary code execution remote heap use after free before version allows via")
	prose := func(n int) string {
		var s strings.Builder
		for range n {
			s.WriteString(words[rnd.IntN(len(words))])
			s.WriteByte(' ')
		}
		return s.String()
	}
	r := kept("registry.example/shop/web:1", day(1), 400)
	for i := range 500 {
		name := fmt.Sprintf("package-%d", i)
		r.Inventory.Packages = append(r.Inventory.Packages, bulwark.Package{Name: name, Version: "1.2.3-4", PURL: "pkg:deb/debian/" + name + "@1.2.3-4?arch=amd64&distro=debian-12"})
	}
	r.Advisories = map[string]bulwark.Advisory{}
	for i := range r.Findings {
		f := &r.Findings[i]
		f.Subject = r.Inventory.Packages[i].PURL
		f.Evidence = []bulwark.Evidence{{Location: bulwark.Location{Path: "var/lib/dpkg/status", Layer: digest(i % 5)}, Detail: prose(8)}}
		r.Advisories[f.Rule] = bulwark.Advisory{ID: f.Rule, Summary: prose(12), Details: prose(150)}
	}
	return r
}

// BenchmarkPut keeps one more report when a hundred are kept. What it costs is
// added to every scan.
func BenchmarkPut(b *testing.B) {
	r := largeReport(b)
	s := store.OpenReports(b.TempDir(), store.ReportBounds{})
	for i := range 100 {
		putReport(b, s, kept("a", day(1).Add(time.Duration(i)*time.Second), 1), "policies")
	}
	at := r.Created
	for i := 0; b.Loop(); i++ {
		r.Created = at.Add(time.Duration(i%50) * time.Minute)
		putReport(b, s, r, "")
	}
	h, err := s.Held(b.Context())
	check(b, err)
	text, err := json.Marshal(r)
	check(b, err)
	b.ReportMetric(float64(len(text)), "B/report")
	b.ReportMetric(float64(h.Bytes)/float64(h.Reports), "B/kept")
}

// BenchmarkFind looks for what no report has: all are read.
func BenchmarkFind(b *testing.B) {
	r := largeReport(b)
	s := store.OpenReports(b.TempDir(), store.ReportBounds{})
	at := r.Created
	for i := range 200 {
		r.Created = at.Add(time.Duration(i) * time.Second)
		putReport(b, s, r, "")
	}
	for b.Loop() {
		if _, _, err := s.Find(b.Context(), "0123456789abcdef"); err == nil {
			b.Fatal("found")
		}
	}
}
