// SPDX-License-Identifier: Apache-2.0

package attest_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/attest"
)

func TestParseCSAF(t *testing.T) {
	data, err := os.ReadFile("testdata/csaf.json")
	if err != nil {
		t.Fatal(err)
	}
	got, err := attest.ParseVEX("csaf.json", data)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	names := func(purl string) attest.Component { return attest.Component{ID: purl, PURLs: []string{purl}} }
	a, b := names("pkg:npm/a"), names("pkg:npm/b@2.0.0")
	shop := names("pkg:oci/shop?repository_url=registry.example.org/shop")
	shop.Hashes = []string{strings.Repeat("ab", 32)}
	shop1 := names("pkg:oci/shop@1?repository_url=registry.example.org%2Fshop")
	shop1.Hashes = shop.Hashes
	linux := attest.Component{CPEs: []string{"cpe:/o:redhat:enterprise_linux:9"}}
	aliases := []string{"GHSA-aaaa-bbbb-cccc"}
	want := attest.Document{
		Name: "csaf.json", ID: "EX-2026-1", Author: "Example", Timestamp: at,
		Statements: []attest.Statement{
			{
				Vulnerability: "CVE-2026-1000", Aliases: aliases, Timestamp: at, Status: attest.VEXNotAffected,
				Justification: "vulnerable_code_not_in_execute_path", Impact: "It is never called.",
				Products: []attest.Product{{Component: shop1, Subcomponents: []attest.Component{a}}},
			},
			{
				Vulnerability: "CVE-2026-1000", Aliases: aliases, Timestamp: at, Status: attest.VEXNotAffected,
				Justification: "vulnerable_code_not_in_execute_path",
				Products:      []attest.Product{{Component: shop1, Subcomponents: []attest.Component{b}}},
			},
			{
				Vulnerability: "CVE-2026-1000", Aliases: aliases, Timestamp: at, Status: attest.VEXUnderInvestigation,
				Products: []attest.Product{{Component: shop, Subcomponents: []attest.Component{b}, Within: []attest.Component{linux}}},
			},
			{
				Vulnerability: "CVE-2026-1001", Aliases: []string{}, Timestamp: at, Status: attest.VEXFixed,
				Products: []attest.Product{{Component: b}},
			},
			{
				Vulnerability: "CVE-2026-1001", Aliases: []string{}, Timestamp: at, Status: attest.VEXAffected, Action: "Upgrade to 2.",
				Products: []attest.Product{{Component: shop}},
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for n := range bytes.TrimSpace(data) {
		if _, err := attest.ParseVEX("cut", data[:n]); err == nil {
			t.Errorf("cut at %d of %d bytes: no error", n, len(data))
		}
	}
}

// csaf gives a document with the product tree and the one vulnerability.
func csaf(tree, vulnerability string) string {
	return `{"document": {"category": "csaf_vex", "csaf_version": "2.0", "tracking": {"current_release_date": "2026-01-01T00:00:00Z"}},
 "product_tree": {` + tree + `}, "vulnerabilities": [{` + vulnerability + `}]}`
}

func TestParseCSAFRefuses(t *testing.T) {
	const fixed = `"cve": "CVE-1", "product_status": {"fixed": ["a"]}`
	relate := func(id, inner, outer string) string {
		return fmt.Sprintf(`{"full_product_name": {"product_id": %q}, "product_reference": %q, "relates_to_product_reference": %q}`, id, inner, outer)
	}
	relations := func(list ...string) string { return `"relationships": [` + strings.Join(list, ",") + `]` }
	var chain, doubling []string
	for i := range 100 {
		chain = append(chain, relate(fmt.Sprint("r", i), "a", fmt.Sprint("r", i+1)))
		doubling = append(doubling, relate(fmt.Sprint("r", i), fmt.Sprint("r", i+1), fmt.Sprint("r", i+1)))
	}
	leaf := `"full_product_names": [{"product_id": "a"}, {"product_id": "r100"}], `
	group := strings.TrimSuffix(strings.Repeat(`"a",`, 100_000), ",")
	groups := strings.TrimSuffix(strings.Repeat(`"g",`, 1000), ",")
	for name, tt := range map[string]struct {
		data string
		want string
		is   error
	}{
		"version":       {`{"document": {"csaf_version": "1.2"}}`, `csaf: version "1.2": JSON of OpenVEX, CSAF 2.0`, bulwark.ErrUnsupported},
		"category":      {`{"document": {"csaf_version": "2.0", "category": "csaf_base"}}`, `category "csaf_base": JSON of`, bulwark.ErrUnsupported},
		"types":         {csaf(`"branches": {}`, fixed), "cannot unmarshal object", nil},
		"empty":         {csaf("", `"cve": "CVE-1"`), "no vulnerability has a product_status", nil},
		"time":          {strings.Replace(csaf("", fixed), "2026-01-01T", "yesterday", 1), `timestamp "yesterday00:00:00Z" is not of RFC 3339`, nil},
		"no-name":       {csaf("", `"product_status": {"fixed": ["a"]}`), "neither cve nor ids nor title", nil},
		"odd-status":    {csaf("", `"cve": "CVE-1", "product_status": {"fine": ["a"]}`), `product_status "fine" is not one of CSAF 2.0`, nil},
		"odd-flag":      {csaf("", fixed+`, "flags": [{"label": "trust me", "product_ids": ["a"]}]`), `flags[0]: label "trust me" is not one of component_not_present`, nil},
		"flag-of-all":   {csaf("", fixed+`, "flags": [{"label": "component_not_present"}]`), "flags[0]: component_not_present names no product", nil},
		"no-group":      {csaf("", fixed+`, "flags": [{"label": "component_not_present", "group_ids": ["g"]}]`), `flags[0]: group "g" is not defined`, nil},
		"twice":         {csaf(`"full_product_names": [{"product_id": "a"}, {"product_id": "a"}]`, fixed), `product "a" is defined twice`, nil},
		"group-twice":   {csaf(`"product_groups": [{"group_id": "g"}, {"group_id": "g"}]`, fixed), `group "g" is defined twice`, nil},
		"relation-same": {csaf(relations(relate("a", "a", "a")), fixed), `product "a": more than 8 products in one another, or a circle`, bulwark.ErrTooLarge},
		"circle":        {csaf(relations(relate("a", "b", "c"), relate("b", "a", "c"), relate("c", "a", "b")), fixed), "or a circle", bulwark.ErrTooLarge},
		"long-chain":    {csaf(leaf+relations(chain...), `"cve": "CVE-1", "product_status": {"fixed": ["r0"]}`), "more than 8 products in one another", bulwark.ErrTooLarge},
		"doubling":      {csaf(leaf+relations(doubling...), `"cve": "CVE-1", "product_status": {"fixed": ["r0"]}`), "more than 8 products in one another", bulwark.ErrTooLarge},
		"doubling-up":   {csaf(leaf+relations(doubling...), `"cve": "CVE-1", "product_status": {"fixed": ["r99", "r98", "r97", "r96", "r95"]}`), "more than 8 products in one another", bulwark.ErrTooLarge},
		"deep":          {csaf(strings.Repeat(`"branches": [{`, 200)+strings.Repeat(`}]`, 200), fixed), "more than 100 branches in one another", bulwark.ErrTooLarge},
		"many-groups":   {csaf(`"product_groups": [{"group_id": "g", "product_ids": [`+group+`]}]`, fixed+`, "threats": [{"category": "impact", "details": "x", "group_ids": [`+groups+`]}]`), "more than 2000000 references to products", bulwark.ErrTooLarge},
		"many-names":    {csaf("", fixed+`, "ids": [`+ids(200)+`]`), "201 names, limit 100", bulwark.ErrTooLarge},
		"many-products": {csaf(`"full_product_names": [{"product_id": "a"}]`, `"cve": "CVE-1", "product_status": {"fixed": [`+strings.Repeat(`"a",`, 300_000)+`"a"]}`), "more than 500000 products", bulwark.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) { refuses(t, tt.data, tt.want, tt.is) })
	}
}

func ids(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`{"text": "%d"}`, i))
	}
	return strings.Join(list, ",")
}

func refuses(t *testing.T, data, want string, is error) {
	t.Helper()
	_, err := attest.ParseVEX("v", []byte(data))
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
	if is != nil && !errors.Is(err, is) {
		t.Errorf("error %v is not %v", err, is)
	}
}

func TestParseCycloneDXRefuses(t *testing.T) {
	bom := func(rest string) string { return `{"bomFormat": "CycloneDX", "specVersion": "1.6", ` + rest + `}` }
	rated := func(s string) string { return bom(`"vulnerabilities": [{` + s + `}]`) }
	for name, tt := range map[string]struct {
		data string
		want string
		is   error
	}{
		"no-analysis":   {bom(`"vulnerabilities": [{"id": "X"}]`), "cyclonedx: no vulnerability has an analysis with a state", nil},
		"types":         {bom(`"vulnerabilities": "none"`), "cannot unmarshal string", nil},
		"no-id":         {rated(`"analysis": {"state": "resolved"}`), "vulnerabilities[0]: no id", nil},
		"odd-state":     {rated(`"id": "X", "analysis": {"state": "fine"}`), `X: state "fine" is not one of CycloneDX`, nil},
		"odd-reason":    {rated(`"id": "X", "analysis": {"state": "not_affected", "justification": "trust me"}`), `justification "trust me" is not one of CycloneDX`, nil},
		"odd-time":      {rated(`"id": "X", "analysis": {"state": "resolved", "lastUpdated": "now"}`), `timestamp "now" is not of RFC 3339`, nil},
		"two-of-a-name": {bom(`"components": [{"bom-ref": "a"}, {"bom-ref": "a"}, {"bom-ref": "a"}], "vulnerabilities": [{"id": "X", "analysis": {"state": "resolved"}, "affects": [{"ref": "a"}]}]`), `bom-ref "a" stands for two components`, nil},
		"deep":          {bom(strings.Repeat(`"components": [{`, 200) + strings.Repeat(`}]`, 200)), "more than 100 components in one another", bulwark.ErrTooLarge},
		"many":          {bom(`"components": [` + strings.Repeat(`{},`, 500_000) + `{}]`), "more than 500000 components", bulwark.ErrTooLarge},
		"many-affects":  {rated(`"id": "X", "analysis": {"state": "resolved"}, "affects": [` + strings.Repeat(`{},`, 500_000) + `{}]`), "more than 500000 components and references", bulwark.ErrTooLarge},
		"many-rated":    {bom(`"vulnerabilities": [` + strings.Repeat(`{},`, 100_000) + `{}]`), "limit 100000", bulwark.ErrTooLarge},
		"many-names":    {rated(`"id": "X", "analysis": {"state": "resolved"}, "references": [` + strings.Repeat(`{},`, 200) + `{}]`), "201 references, limit 100", bulwark.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) { refuses(t, tt.data, tt.want, tt.is) })
	}
}

// TestDocumented: the document that the documentation shows does what it says.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/vex.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "```json\n")
	shown, _, ok := strings.Cut(after, "```")
	if !ok {
		t.Fatal("it shows none")
	}
	doc, err := attest.ParseVEX("shown", []byte(shown))
	if err != nil {
		t.Fatal(err)
	}
	findings := []bulwark.Finding{finding("CVE-2026-1234", "pkg:deb/debian/libssl3@3.0.11-1?arch=amd64")}
	attest.Apply(findings, nil, nil, nil, []attest.Document{doc})
	want := bulwark.Status{State: bulwark.StateNotAffected, By: "EX-1", Reason: "vulnerable_code_not_in_execute_path"}
	if diff := cmp.Diff(want, findings[0].Status); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPlatform: which CPE names which distribution.
func TestPlatform(t *testing.T) {
	for _, tt := range []struct {
		os   bulwark.OS
		cpe  string
		want bool
	}{
		{bulwark.OS{ID: "rhel", Version: "9.4"}, "cpe:/o:redhat:enterprise_linux:9", true},
		{bulwark.OS{ID: "rhel", Version: "9.4"}, "cpe:/o:redhat:enterprise_linux:9::baseos", true},
		{bulwark.OS{ID: "rhel", Version: "9.4"}, "cpe:2.3:o:redhat:enterprise_linux:9.4:*:*:*:*:*:*:*", true},
		{bulwark.OS{ID: "rhel", Version: "9.4"}, `cpe:2.3:o:redhat:enterprise_linux:9\.4:-:*:*:*:*:*:*`, true},
		{bulwark.OS{ID: "rhel", Version: "9.4"}, "cpe:/o:redhat:enterprise_linux:9.2", false},
		{bulwark.OS{ID: "rhel", Version: "90"}, "cpe:/o:redhat:enterprise_linux:9", false},
		{bulwark.OS{ID: "rhel", Version: "9.4"}, "cpe:/o:redhat:enterprise_linux", false},
		{bulwark.OS{ID: "rhel", Version: "9.4"}, "cpe:2.3:o:redhat:enterprise_linux:*:*:*:*:*:*:*:*", false},
		{bulwark.OS{ID: "rhel", Version: "9.4"}, "cpe:/o:redhat:rhel_eus:9.4", false},
		{bulwark.OS{ID: "rhel", Version: "9.4"}, "cpe:/h:redhat:enterprise_linux:9", false},
		{bulwark.OS{ID: "centos", Version: "9"}, "cpe:/o:redhat:enterprise_linux:9", false},
		{bulwark.OS{ID: "sles", Version: "15.5"}, "cpe:/o:suse:sles:15:sp5", true},
		{bulwark.OS{ID: "sles", Version: "15.5"}, "cpe:/o:suse:sles:15:sp4", false},
		{bulwark.OS{ID: "ol", Version: "9.4"}, "cpe:/o:oracle:linux:9:4:server", true},
		{bulwark.OS{ID: "debian", Version: "12"}, "CPE:/o:debian:debian_linux:12", true},
		{bulwark.OS{}, "cpe:/o:none:none:", false},
		{bulwark.OS{ID: "debian", Version: "12"}, "cpe:/", false},
		{bulwark.OS{ID: "debian", Version: "12"}, "debian", false},
	} {
		doc, err := attest.ParseVEX("v", []byte(csaf(fmt.Sprintf(`"full_product_names": [{"product_id": "os", "product_identification_helper": {"cpe": %q}}, {"product_id": "x", "product_identification_helper": {"purl": "pkg:deb/debian/x"}}],
 "relationships": [{"full_product_name": {"product_id": "os:x"}, "product_reference": "x", "relates_to_product_reference": "os"}]`, tt.cpe), `"cve": "CVE-1", "product_status": {"fixed": ["os:x"]}`)))
		if err != nil {
			t.Fatal(err)
		}
		findings := []bulwark.Finding{finding("CVE-1", "pkg:deb/debian/x@1")}
		if n, _ := attest.Apply(findings, &bulwark.Inventory{OS: &tt.os}, nil, nil, []attest.Document{doc}); (n == 1) != tt.want {
			t.Errorf("%s %s is %q: %t, want %t", tt.os.ID, tt.os.Version, tt.cpe, n == 1, tt.want)
		}
	}
}
