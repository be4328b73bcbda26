// SPDX-License-Identifier: Apache-2.0

package intoto_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/intoto"
)

func load(t testing.TB, name string) *bulwark.Report {
	t.Helper()
	b, err := os.ReadFile("../testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	r := new(bulwark.Report)
	if err := json.Unmarshal(b, r); err != nil {
		t.Fatal(err)
	}
	return r
}

func write(t testing.TB, r *bulwark.Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := (intoto.Format{}).Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type statement struct {
	Type    string `json:"_type"`
	Subject []struct {
		Name   string            `json:"name"`
		Digest map[string]string `json:"digest"`
	} `json:"subject"`
	PredicateType string `json:"predicateType"`
	Predicate     struct {
		Scanner struct {
			URI     string `json:"uri"`
			Version string `json:"version"`
			DB      struct {
				URI        string    `json:"uri"`
				Version    string    `json:"version"`
				LastUpdate time.Time `json:"lastUpdate"`
			} `json:"db"`
			Result []struct {
				ID       string `json:"id"`
				Severity []struct {
					Method string `json:"method"`
					Score  string `json:"score"`
				} `json:"severity"`
				Annotations []map[string]string `json:"annotations"`
			} `json:"result"`
		} `json:"scanner"`
		Metadata struct {
			Started  time.Time `json:"scanStartedOn"`
			Finished time.Time `json:"scanFinishedOn"`
		} `json:"metadata"`
	} `json:"predicate"`
}

// check reads a statement as strictly as the specifications of Statement v1 and
// of the vulnerabilities predicate v0.2 have it.
func check(b []byte) (statement, error) {
	var s statement
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, err
	}
	if s.Type != "https://in-toto.io/Statement/v1" || s.PredicateType != "https://in-toto.io/attestation/vulns/v0.2" || len(s.Subject) != 1 {
		return s, fmt.Errorf("head %+v", s)
	}
	for alg, digits := range s.Subject[0].Digest {
		if raw, err := hex.DecodeString(digits); err != nil || map[string]int{"sha256": 32, "sha512": 64}[alg] != len(raw) {
			return s, fmt.Errorf("digest %s:%s", alg, digits)
		}
	}
	p := &s.Predicate
	if len(s.Subject[0].Digest) != 1 || p.Scanner.URI == "" || p.Scanner.DB.LastUpdate.IsZero() || p.Scanner.Result == nil || p.Metadata.Started.IsZero() || p.Metadata.Finished.Before(p.Metadata.Started) {
		return s, fmt.Errorf("something is missing: %+v", s)
	}
	for _, r := range p.Scanner.Result {
		if r.ID == "" || len(r.Severity) == 0 {
			return s, fmt.Errorf("result %+v", r)
		}
		for _, sev := range r.Severity {
			if sev.Method == "" || sev.Score == "" {
				return s, fmt.Errorf("severity %+v", sev)
			}
		}
	}
	return s, nil
}

func TestStructure(t *testing.T) {
	for _, name := range []string{"report", "clean", "empty"} {
		r := load(t, name)
		s, err := check(write(t, r))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		n := 0
		for _, f := range r.Findings {
			if f.Class == bulwark.ClassVulnerability {
				n++
			}
		}
		if len(s.Predicate.Scanner.Result) != n || "sha256:"+s.Subject[0].Digest["sha256"] != string(r.Artifact.ID) {
			t.Errorf("%s: %d results for %d findings, subject %v", name, len(s.Predicate.Scanner.Result), n, s.Subject)
		}
	}
}

func TestResult(t *testing.T) {
	s, err := check(write(t, load(t, "report")))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range s.Predicate.Scanner.Result {
		if r.ID != "CVE-2023-45853" {
			continue
		}
		for _, v := range r.Severity {
			got[v.Method] = v.Score
		}
		for _, a := range r.Annotations {
			for k, v := range a {
				got[k] = v
			}
		}
	}
	want := map[string]string{
		"bulwark": "critical", "cvss_v3.1": "9.8", "epss": "0.01", "cvss": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
		"package": "pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1?arch=amd64&distro=debian-12", "place": "var/lib/dpkg/status, layer 1", "finding": "868d2ad2bdda622f",
		"state": "not_affected", "status": "vulnerable_code_not_present: MiniZip is not built; says vex/shop.openvex.json",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestNothingToAttest: a statement needs a digest.
func TestNothingToAttest(t *testing.T) {
	for _, id := range []bulwark.Digest{"", "sha256:abc", "md5:" + bulwark.Digest(strings.Repeat("a", 32))} {
		if err := (intoto.Format{}).Write(io.Discard, &bulwark.Report{Artifact: bulwark.Artifact{ID: id}}); !errors.Is(err, bulwark.ErrUnsupported) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func FuzzWrite(f *testing.F) {
	f.Add("a\x00\xff", int64(1))
	f.Add("CVSS:/", int64(-1<<63))
	f.Fuzz(func(t *testing.T, s string, n int64) {
		r := &bulwark.Report{
			Artifact: bulwark.Artifact{Name: s, ID: bulwark.Digest("sha512:" + strings.Repeat("a", 128))}, Tool: bulwark.Tool{Version: s}, Created: time.Unix(n%(1<<40), 0),
			Scan: bulwark.Scan{DurationMS: n}, Database: bulwark.Database{ID: bulwark.Digest(s), Starter: n%2 == 0, Built: time.Unix(n%(1<<40), 0)},
			Advisories: map[string]bulwark.Advisory{s: {CVSS: s, Score: float64(n % 12), EPSS: 0.5}},
			Findings:   []bulwark.Finding{{Class: bulwark.ClassVulnerability, Rule: s, Subject: s, Fix: s, Status: bulwark.Status{State: s, Reason: s}, Severity: bulwark.Severity(n % 9)}},
		}
		if b := write(t, r); !json.Valid(b) {
			t.Errorf("not JSON: %s", b)
		} else if _, err := check(b); err != nil {
			t.Errorf("%v: %s", err, b)
		}
	})
}
