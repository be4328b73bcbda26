// SPDX-License-Identifier: Apache-2.0

// Package intoto writes the vulnerabilities of a report as an in-toto statement
// with the vulnerabilities predicate
// (https://github.com/in-toto/attestation/blob/main/spec/predicates/vulns_02.md):
// what a signer signs and attaches to the image. It knows the statement; it does
// not sign it.
package intoto

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// A Format writes one statement about the artifact's digest, with a result for
// each vulnerability of each package, also for those that do not count: their
// state is among the annotations.
type Format struct{}

// Name gives "vuln-attestation".
func (Format) Name() string { return "vuln-attestation" }

const (
	statementType = "https://in-toto.io/Statement/v1"
	predicateType = "https://in-toto.io/attestation/vulns/v0.2"
	scannerURI    = "https://github.com/bulwark-sec/bulwark"
)

type subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

type database struct {
	URI        string `json:"uri,omitempty"`
	Version    string `json:"version,omitempty"`
	LastUpdate string `json:"lastUpdate"`
}

type result struct {
	ID          string              `json:"id"`
	Severity    []severity          `json:"severity"`
	Annotations []map[string]string `json:"annotations,omitempty"`
}

type severity struct {
	Method string `json:"method"`
	Score  string `json:"score"`
}

type metadata struct {
	Started  string `json:"scanStartedOn"`
	Finished string `json:"scanFinishedOn"`
}

// Write writes the statement. An artifact without a digest is
// [bulwark.ErrUnsupported]: a statement about nothing must not be signed.
func (Format) Write(w io.Writer, r *bulwark.Report) error {
	if !r.Artifact.ID.Valid() {
		return fmt.Errorf("attest to %q: an artifact without a digest: %w", r.Artifact.Name, bulwark.ErrUnsupported)
	}
	v := view.New(r)
	out := text.NewJSONWriter(w)
	out.Raw("{\n  \"_type\": \"" + statementType + "\",\n  \"subject\": ")
	alg, hex, _ := strings.Cut(string(r.Artifact.ID), ":")
	out.Value("  ", []subject{{v.ArtifactName(), map[string]string{alg: hex}}})
	out.Raw(",\n  \"predicateType\": \"" + predicateType + "\",\n  \"predicate\": {\n    \"scanner\": {\n      \"uri\": \"" + scannerURI + "\",\n      \"version\": ")
	out.Value("      ", cmp.Or(r.Tool.Version, "0"))
	out.Raw(",\n      \"db\": ")
	out.Value("      ", known(v))
	out.Raw(",\n      \"result\": [")
	n := 0
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Class != bulwark.ClassVulnerability {
			continue
		}
		if n++; n > 1 {
			out.Raw(",")
		}
		out.Raw("\n        ")
		out.Value("        ", answer(v, f))
	}
	if n > 0 {
		out.Raw("\n      ")
	}
	out.Raw("]\n    },\n    \"metadata\": ")
	const century = 100 * 365 * 24 * 3600 * 1000
	out.Value("    ", metadata{stamp(r.Created), stamp(r.Created.Add(time.Duration(min(max(r.Scan.DurationMS, 0), century)) * time.Millisecond))})
	out.Raw("\n  }\n}\n")
	return out.Close()
}

// known says what the matching knew. Without a database the time is the epoch.
func known(v *view.View) database {
	d := &v.Database
	db := database{Version: string(d.ID), LastUpdate: stamp(d.Built)}
	switch {
	case v.NoDatabase():
		db.URI = "urn:bulwark:database:none"
	case d.Starter:
		db.URI = "urn:bulwark:database:starter" // few famous vulnerabilities only
	default:
		db.URI = "urn:bulwark:database"
	}
	return db
}

func answer(v *view.View, f *bulwark.Finding) result {
	a := v.Advisory(f)
	r := result{ID: cmp.Or(f.Rule, "unnamed"), Severity: []severity{{"bulwark", f.Severity.String()}}}
	if a.Score > 0 && a.Score <= 10 {
		method := "cvss"
		if version, _, ok := strings.Cut(strings.TrimPrefix(a.CVSS, "CVSS:"), "/"); ok && strings.HasPrefix(a.CVSS, "CVSS:") {
			method += "_v" + version
		}
		r.Severity = append(r.Severity, severity{method, number(a.Score)})
	}
	if a.EPSS > 0 && a.EPSS <= 1 {
		r.Severity = append(r.Severity, severity{"epss", number(a.EPSS)})
	}
	add := func(key, value string) {
		if value != "" {
			r.Annotations = append(r.Annotations, map[string]string{key: value})
		}
	}
	add("package", f.Subject)
	add("fix", f.Fix)
	add("place", v.Where(v.Place(f).Location))
	add("cvss", a.CVSS)
	if a.Exploited {
		add("knownExploited", "true")
	}
	if !f.Status.Open() {
		add("state", f.Status.State)
		add("status", view.StatusWords(f.Status))
	}
	add("finding", f.ID)
	return r
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// stamp gives a time by RFC 3339, the epoch for one that it cannot say.
func stamp(t time.Time) string {
	t = t.UTC()
	if t.Year() < 1970 || t.Year() > 9999 {
		t = time.Unix(0, 0).UTC()
	}
	return t.Format(time.RFC3339Nano)
}
