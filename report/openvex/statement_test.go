// SPDX-License-Identifier: Apache-2.0

package openvex_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/attest" // tests only: our own reader of OpenVEX
	"github.com/bulwark-sec/bulwark/report/openvex"
)

func TestDocument(t *testing.T) {
	image := &bulwark.Artifact{Kind: bulwark.KindImage, Name: "ghcr.io/corp/web:1", Source: "registry", ID: bulwark.Digest("sha256:" + strings.Repeat("a", 64))}
	d := openvex.Document{Author: "x@example.org", Tool: "bulwark 1", Created: time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC), Statements: []openvex.Statement{
		{Vulnerability: "CVE-2099-1", Aliases: []string{"GHSA-x", "GHSA-x", "CVE-2099-1", ""}, Image: image, Packages: []string{"pkg:deb/debian/a@1", "no purl\u202e"}, Status: "not_affected", Justification: "component_not_present"},
		{Vulnerability: "CVE-2099-1", Packages: []string{"pkg:deb/debian/a@1"}, Status: "affected", Action: "accepted"},
		{Vulnerability: "CVE-2099-1", Image: image, Status: "under_investigation", Notes: "n"},
	}}
	var b, again bytes.Buffer
	if err := d.Write(&b); err != nil {
		t.Fatal(err)
	}
	doc, err := check(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if doc.Author != "x@example.org" || doc.Tooling != "bulwark 1" || len(doc.Statements) != 3 || len(doc.Statements[0].Vulnerability.Aliases) != 1 {
		t.Errorf("%+v", doc)
	}
	if got := doc.Statements[0].Products; len(got) != 1 || len(got[0].Subcomponents) != 2 || !strings.HasPrefix(got[0].ID, "pkg:oci/web@sha256") {
		t.Errorf("products %+v", got)
	}
	if got := doc.Statements[2].Products; len(got) != 1 || got[0].Subcomponents != nil {
		t.Errorf("products %+v", got)
	}
	if read, err := attest.ParseVEX("x", b.Bytes()); err != nil || len(read.Statements) != 3 {
		t.Errorf("%+v, %v", read, err)
	}
	if err := d.Write(&again); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Errorf("another document the second time: %v", err)
	}
	d.Author = ""
	b.Reset()
	if err := d.Write(&b); err != nil {
		t.Fatal(err)
	}
	if other, err := check(b.Bytes()); err != nil || other.ID == doc.ID || other.Author != "bulwark 1" {
		t.Errorf("%+v, %v", other, err)
	}
}
