// SPDX-License-Identifier: Apache-2.0

package sarif_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/sarif"
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

func write(t testing.TB, r *bulwark.Report) map[string]any {
	t.Helper()
	var b bytes.Buffer
	if err := (sarif.Format{}).Write(&b, r); err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// members lists, for each kind of SARIF object that we write, the properties
// that the standard gives it. Those with "!" are required.
var members = map[string]string{
	"log":          "$schema version! runs! inlineExternalProperties properties",
	"run":          "tool! invocations conversion language versionControlProvenance originalUriBaseIds artifacts logicalLocations graphs results automationDetails runAggregates baselineGuid redactionTokens defaultEncoding defaultSourceLanguage newlineSequences columnKind externalPropertyFileReferences threadFlowLocations taxonomies addresses translations policies webRequests webResponses specialLocations properties",
	"tool":         "driver! extensions properties",
	"driver":       "guid name! organization product productSuite shortDescription fullDescription fullName version semanticVersion dottedQuadFileVersion releaseDateUtc downloadUri informationUri globalMessageStrings notifications rules taxa locations language contents isComprehensive localizedDataSemanticVersion minimumRequiredLocalizedDataSemanticVersion associatedComponent translationMetadata supportedTaxonomies properties",
	"rule":         "id! deprecatedIds guid deprecatedGuids name deprecatedNames shortDescription fullDescription messageStrings defaultConfiguration helpUri help relationships properties",
	"message":      "text! markdown id arguments properties",
	"result":       "ruleId ruleIndex rule kind level message! analysisTarget locations guid correlationGuid occurrenceCount partialFingerprints fingerprints stacks codeFlows graphs graphTraversals relatedLocations suppressions baselineState rank attachments hostedViewerUri workItemUris provenance fixes taxa webRequest webResponse properties",
	"location":     "id physicalLocation logicalLocations message annotations relationships properties",
	"physical":     "address artifactLocation region contextRegion properties",
	"artifact":     "uri uriBaseId index description properties",
	"region":       "startLine startColumn endLine endColumn charOffset charLength byteOffset byteLength snippet message sourceLanguage properties",
	"logical":      "name index fullyQualifiedName decoratedName parentIndex kind properties",
	"suppression":  "guid kind! status state justification location properties",
	"invocation":   "commandLine arguments responseFiles startTimeUtc endTimeUtc exitCode ruleConfigurationOverrides notificationConfigurationOverrides toolExecutionNotifications toolConfigurationNotifications exitCodeDescription exitSignalName exitSignalNumber processStartFailureMessage executionSuccessful! machine account processId executableLocation workingDirectory environmentVariables stdin stdout stderr stdoutStderr properties",
	"notification": "locations message! level threadId timeUtc exception descriptor associatedRule properties",
	"descriptor":   "id index guid toolComponent properties",
}

// A checker holds a SARIF log against the rules of the standard.
type checker struct {
	t     *testing.T
	rules []any
	notes []any
	bases map[string]any
}

func (c *checker) object(kind, at string, v any) map[string]any {
	c.t.Helper()
	o, ok := v.(map[string]any)
	if !ok {
		c.t.Errorf("%s: %T is no object", at, v)
		return nil
	}
	var allowed []string
	for _, m := range strings.Fields(members[kind]) {
		name, required := strings.CutSuffix(m, "!")
		allowed = append(allowed, name)
		if _, ok := o[name]; required && !ok {
			c.t.Errorf("%s: no %q", at, name)
		}
	}
	for k := range o {
		if !slices.Contains(allowed, k) {
			c.t.Errorf("%s: the standard has no %q in a %s", at, k, kind)
		}
	}
	return o
}

func (c *checker) oneOf(at string, v any, words ...string) {
	c.t.Helper()
	if s, _ := v.(string); !slices.Contains(words, s) {
		c.t.Errorf("%s: %v is none of %v", at, v, words)
	}
}

func (c *checker) message(at string, v any) {
	m := c.object("message", at, v)
	if s, _ := m["text"].(string); s == "" {
		c.t.Errorf("%s: empty text", at)
	}
}

func (c *checker) location(at string, v any) {
	o := c.object("location", at, v)
	p := c.object("physical", at, o["physicalLocation"])
	a := c.object("artifact", at, p["artifactLocation"])
	uri, _ := a["uri"].(string)
	u, err := url.Parse(uri)
	if err != nil || uri == "" || u.IsAbs() || strings.HasPrefix(uri, "/") || slices.Contains(strings.Split(u.Path, "/"), "..") {
		c.t.Errorf("%s: %q is no plain relative reference (%v)", at, uri, err)
	}
	if base, ok := a["uriBaseId"]; ok && c.bases[base.(string)] == nil {
		c.t.Errorf("%s: base %q is not declared", at, base)
	}
	if r, ok := p["region"]; ok {
		if n, _ := c.object("region", at, r)["startLine"].(float64); n < 1 {
			c.t.Errorf("%s: line %v", at, n)
		}
	}
	if m, ok := o["message"]; ok {
		c.message(at, m)
	}
	for _, l := range list(o["logicalLocations"]) {
		c.object("logical", at, l)
	}
}

func list(v any) []any { l, _ := v.([]any); return l }

func (c *checker) log(doc map[string]any) {
	c.object("log", "log", doc)
	c.oneOf("version", doc["version"], "2.1.0")
	if len(list(doc["runs"])) != 1 {
		c.t.Fatalf("%d runs", len(list(doc["runs"])))
	}
	run := c.object("run", "run", list(doc["runs"])[0])
	driver := c.object("driver", "driver", c.object("tool", "tool", run["tool"])["driver"])
	c.oneOf("column kind", run["columnKind"], "utf16CodeUnits", "unicodeCodePoints")
	c.rules, c.notes = list(driver["rules"]), list(driver["notifications"])
	c.bases, _ = run["originalUriBaseIds"].(map[string]any)
	seen := map[string]bool{}
	for i, v := range append(slices.Clone(c.rules), c.notes...) {
		at := fmt.Sprintf("rule %d", i)
		r := c.object("rule", at, v)
		id, _ := r["id"].(string)
		if id == "" || seen[id] {
			c.t.Errorf("%s: id %q is empty or taken", at, id)
		}
		seen[id] = true
		c.message(at, r["shortDescription"])
		if i >= len(c.rules) {
			continue
		}
		c.message(at, r["fullDescription"])
		c.oneOf(at, r["defaultConfiguration"].(map[string]any)["level"], "none", "note", "warning", "error")
		if u, ok := r["helpUri"].(string); ok && !strings.HasPrefix(u, "https://") {
			c.t.Errorf("%s: help at %q", at, u)
		}
	}
	for i, v := range list(run["results"]) {
		c.result(fmt.Sprintf("result %d", i), v)
	}
	for i, v := range list(run["invocations"]) {
		at := fmt.Sprintf("invocation %d", i)
		inv := c.object("invocation", at, v)
		if s, ok := inv["endTimeUtc"].(string); ok {
			if _, err := time.Parse("2006-01-02T15:04:05Z", s); err != nil {
				c.t.Errorf("%s: %v", at, err)
			}
		}
		for j, v := range list(inv["toolExecutionNotifications"]) {
			at := fmt.Sprintf("notification %d", j)
			n := c.object("notification", at, v)
			c.message(at, n["message"])
			c.oneOf(at, n["level"], "none", "note", "warning", "error")
			d := c.object("descriptor", at, n["descriptor"])
			if k := int(d["index"].(float64)); k >= len(c.notes) || c.notes[k].(map[string]any)["id"] != d["id"] {
				c.t.Errorf("%s: descriptor %v is not declared", at, d)
			}
			for _, l := range list(n["locations"]) {
				c.location(at, l)
			}
		}
	}
}

func (c *checker) result(at string, v any) {
	r := c.object("result", at, v)
	c.message(at, r["message"])
	c.oneOf(at, r["level"], "none", "note", "warning", "error")
	if k := int(r["ruleIndex"].(float64)); k < 0 || k >= len(c.rules) || c.rules[k].(map[string]any)["id"] != r["ruleId"] {
		c.t.Errorf("%s: rule %v is not number %d", at, r["ruleId"], k)
	}
	if len(list(r["locations"])) != 1 { // 3.27.12: several mean that all must be changed
		c.t.Errorf("%s: %d locations", at, len(list(r["locations"])))
	}
	ids := map[any]bool{}
	for _, l := range list(r["locations"]) {
		c.location(at, l)
	}
	for _, l := range list(r["relatedLocations"]) {
		c.location(at, l)
		id := l.(map[string]any)["id"]
		if ids[id] {
			c.t.Errorf("%s: related location %v is there twice", at, id)
		}
		ids[id] = true
	}
	s, ok := r["suppressions"].([]any)
	if !ok { // 3.27.23: all results of a run have them or none
		c.t.Errorf("%s: no suppressions", at)
	}
	for _, v := range s {
		o := c.object("suppression", at, v)
		c.oneOf(at, o["kind"], "inSource", "external")
		c.oneOf(at, o["status"], "accepted", "underReview", "rejected")
	}
	for _, f := range r["partialFingerprints"].(map[string]any) {
		if s, _ := f.(string); s == "" {
			c.t.Errorf("%s: empty fingerprint", at)
		}
	}
}

func TestRulesOfTheStandard(t *testing.T) {
	for _, name := range []string{"report", "clean", "empty"} {
		t.Run(name, func(t *testing.T) {
			c := &checker{t: t}
			c.log(write(t, load(t, name)))
		})
	}
}

func results(doc map[string]any) []any {
	return list(doc["runs"].([]any)[0].(map[string]any)["results"])
}

func TestResults(t *testing.T) {
	r := load(t, "report")
	doc := write(t, r)
	got := results(doc)
	if len(got) != len(r.Findings) {
		t.Fatalf("%d results for %d findings", len(got), len(r.Findings))
	}
	for i, f := range r.Findings {
		x := got[i].(map[string]any)
		if fp := x["partialFingerprints"].(map[string]any)["bulwarkFinding/v1"]; fp != f.ID {
			t.Errorf("%s: fingerprint %v, want %v", f.Rule, fp, f.ID)
		}
		if n := len(x["suppressions"].([]any)); (n == 0) != f.Status.Open() {
			t.Errorf("%s: %d suppressions for state %q", f.Rule, n, f.Status.State)
		}
	}
	run := doc["runs"].([]any)[0].(map[string]any)
	rules := run["tool"].(map[string]any)["driver"].(map[string]any)["rules"].([]any)
	score := map[string]string{}
	for _, v := range rules {
		r := v.(map[string]any)
		score[r["id"].(string)], _ = r["properties"].(map[string]any)["security-severity"].(string)
	}
	for id, want := range map[string]string{
		"CVE-2021-44228":        "10.0",
		"CVE-2024-5535":         "8.0", // high for us, 9.1 by CVSS: it must not show as critical
		"CVE-2010-4756":         "0.1",
		"secret/private-key":    "9.5",
		`BWK-2026-0001\x1b[31m`: "",
	} {
		if score[id] != want {
			t.Errorf("%s: security-severity %q, want %q", id, score[id], want)
		}
	}
	if id := run["automationDetails"].(map[string]any)["id"]; id != "bulwark/image/registry.example.com/shop/api/" {
		t.Errorf("category %q", id)
	}
}

func TestPathsOfARepository(t *testing.T) {
	r := load(t, "report")
	r.Artifact.Kind = bulwark.KindRepo
	for i, path := range []string{"src/a b.go", "../../etc/passwd", "//x", "C:\\x:y", "a%2fb", "", "./.", "ü"} {
		r.Findings[i].Evidence = []bulwark.Evidence{{Location: bulwark.Location{Path: path, Line: -4}}}
	}
	doc := write(t, r)
	c := &checker{t: t}
	c.log(doc)
	var got []string
	for _, v := range results(doc)[:8] {
		l := list(v.(map[string]any)["locations"])[0].(map[string]any)["physicalLocation"].(map[string]any)["artifactLocation"].(map[string]any)
		got = append(got, l["uri"].(string))
	}
	want := []string{"src/a%20b.go", "etc/passwd", "x", "C%3A/x%3Ay", "a%252fb", "registry.example.com/shop/api%3A1.4.2", "artifact", "%C3%BC"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestInterrupted(t *testing.T) {
	r := load(t, "clean")
	r.Scan.Interrupted = true
	inv := write(t, r)["runs"].([]any)[0].(map[string]any)["invocations"].([]any)[0].(map[string]any)
	if inv["executionSuccessful"] != false || len(list(inv["toolExecutionNotifications"])) != 1 {
		t.Errorf("%v", inv)
	}
}
