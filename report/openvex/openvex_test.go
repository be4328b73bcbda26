// SPDX-License-Identifier: Apache-2.0

package openvex_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/attest" // tests only: our own reader of OpenVEX
	"github.com/bulwark-sec/bulwark/report/openvex"
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
	if err := (openvex.Format{}).Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type document struct {
	Context    string `json:"@context"`
	ID         string `json:"@id"`
	Author     string `json:"author"`
	Role       string `json:"role"`
	Timestamp  string `json:"timestamp"`
	Version    int    `json:"version"`
	Tooling    string `json:"tooling"`
	Statements []struct {
		ID            string `json:"@id"`
		Vulnerability struct {
			Name        string   `json:"name"`
			Description string   `json:"description"`
			Aliases     []string `json:"aliases"`
		} `json:"vulnerability"`
		Timestamp     string `json:"timestamp"`
		Products      []part `json:"products"`
		Status        string `json:"status"`
		Notes         string `json:"status_notes"`
		Justification string `json:"justification"`
		Impact        string `json:"impact_statement"`
		Action        string `json:"action_statement"`
		ActionTime    string `json:"action_statement_timestamp"`
	} `json:"statements"`
}

type part struct {
	ID            string            `json:"@id"`
	Identifiers   map[string]string `json:"identifiers"`
	Hashes        map[string]string `json:"hashes"`
	Subcomponents []part            `json:"subcomponents"`
}

var justifications = []string{
	"component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
	"vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist",
}

// check reads a document as strictly as the specification's JSON schema does,
// and says what is wrong with it.
func check(b []byte) (document, error) {
	var doc document
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		return doc, err
	}
	stamp := func(s string) error {
		_, err := time.Parse(time.RFC3339, s)
		return err
	}
	if doc.Context != "https://openvex.dev/ns/v0.2.0" || !strings.HasPrefix(doc.ID, "urn:uuid:") || doc.Author == "" || doc.Version < 1 {
		return doc, fmt.Errorf("head %+v", doc)
	}
	if err := stamp(doc.Timestamp); err != nil {
		return doc, err
	}
	ids := map[string]bool{doc.ID: true}
	for i, s := range doc.Statements {
		fail := func(what string) (document, error) { return doc, fmt.Errorf("statement %d: %s: %+v", i, what, s) }
		if ids[s.ID] || s.ID == "" {
			return fail("its id is taken or empty")
		}
		ids[s.ID] = true
		if s.Vulnerability.Name == "" || stamp(s.Timestamp) != nil || len(s.Products) == 0 {
			return fail("no vulnerability, time or product")
		}
		if aliases := slices.Sorted(slices.Values(s.Vulnerability.Aliases)); len(slices.Compact(aliases)) != len(s.Vulnerability.Aliases) {
			return fail("an alias is there twice")
		}
		seen := map[string]bool{}
		for _, p := range s.Products {
			for _, q := range append(p.Subcomponents, p) {
				if q.ID == "" || seen[q.ID] {
					return fail("a product without an id, or twice")
				}
				seen[q.ID] = true
			}
		}
		switch s.Status {
		case "not_affected":
			if (s.Justification == "") == (s.Impact == "") || s.Action != "" {
				return fail("it wants a justification or an impact, not both, and no action")
			}
			if s.Justification != "" && !slices.Contains(justifications, s.Justification) {
				return fail("unknown justification")
			}
		case "affected":
			if s.Action == "" || stamp(s.ActionTime) != nil || s.Justification+s.Impact != "" {
				return fail("it wants an action and its time only")
			}
		case "fixed", "under_investigation":
			if s.Justification+s.Impact+s.Action+s.ActionTime != "" {
				return fail("it wants none of these")
			}
		default:
			return fail("status")
		}
	}
	return doc, nil
}

func TestStructure(t *testing.T) {
	for _, name := range []string{"report", "clean", "empty"} {
		if _, err := check(write(t, load(t, name))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEveryFinding: each vulnerability of each package has its answer.
func TestEveryFinding(t *testing.T) {
	r := load(t, "report")
	doc, err := check(write(t, r))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range doc.Statements {
		for _, p := range s.Products[0].Subcomponents {
			got[s.Vulnerability.Name+" "+p.ID] = s.Status + "|" + s.Justification + s.Impact + s.Action
		}
	}
	want := map[string]string{}
	for _, f := range r.Findings {
		if f.Class != bulwark.ClassVulnerability {
			continue
		}
		s := ""
		switch f.Status.State {
		case bulwark.StateOpen, bulwark.StateKnown:
			s = "affected|No fixed version is known. Watch for one, or remove the package if nothing needs it."
			if f.Fix != "" {
				name := ""
				for _, p := range r.Inventory.Packages {
					if p.PURL == f.Subject {
						name = p.Name
					}
				}
				s = "affected|Upgrade " + name + " to " + f.Fix + " or later."
			}
		case bulwark.StateNotAffected:
			s = "not_affected|vulnerable_code_not_present"
		case bulwark.StateFixed:
			s = "fixed|"
		case bulwark.StateSuppressed:
			s = "not_affected|" + f.Status.Reason
		case bulwark.StateAccepted:
			s = "affected|None for now: accepted, " + f.Status.Reason + "; says " + f.Status.By + "; owner " + f.Status.Owner + "; until " + f.Status.Until + "."
		}
		want[f.Rule+" "+f.Subject] = s
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestApplies: our own reader applies the document to the scan that it is of,
// and to the same scan without any answers.
func TestApplies(t *testing.T) {
	for _, kind := range []bulwark.Kind{bulwark.KindImage, bulwark.KindDir} {
		r := load(t, "report")
		r.Artifact.Kind = kind
		doc, err := attest.ParseVEX("own", write(t, r))
		if err != nil {
			t.Fatal(err)
		}
		fresh := slices.Clone(r.Findings)
		for i := range fresh {
			fresh[i].Status = bulwark.Status{}
		}
		attest.Apply(fresh, &r.Inventory, &r.Artifact, r.Advisories, []attest.Document{doc})
		for i, f := range fresh {
			was := r.Findings[i]
			if f.Class != bulwark.ClassVulnerability {
				continue
			}
			state := was.Status.State
			switch state {
			case bulwark.StateAccepted, bulwark.StateKnown:
				state = bulwark.StateOpen
			case bulwark.StateSuppressed:
				state = bulwark.StateNotAffected
			}
			if f.Status.State != state {
				t.Errorf("%s: %s in %s: %q, want %q", kind, f.Rule, f.Subject, f.Status.State, state)
			}
		}
	}
}

// TestOthersDecide: what a distribution's advisories decide is not called
// harmless by us.
func TestOthersDecide(t *testing.T) {
	r := &bulwark.Report{Findings: []bulwark.Finding{{ID: "1", Class: bulwark.ClassVulnerability, Rule: "CVE-1", Subject: "pkg:pypi/a@1",
		Status: bulwark.Status{State: bulwark.StateSuppressed, By: "bulwark/os-owned", Reason: "the vendor decides"}}}}
	doc, err := check(write(t, r))
	if err != nil {
		t.Fatal(err)
	}
	if s := doc.Statements[0]; s.Status != "under_investigation" || s.Notes != "the vendor decides" {
		t.Errorf("%+v", s)
	}
}

// TestAnswers: what each status of a finding says in OpenVEX's words.
func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		status bulwark.Status
		fix    string
		known  bool   // there is an advisory
		want   string // status|justification|impact|action|notes
	}{
		{bulwark.Status{}, "2", true, "affected|||Upgrade a to 2 or later.|"},
		{bulwark.Status{}, "2", false, "affected|||Upgrade a to 2 or later.|"},
		{bulwark.Status{}, "", true, "affected|||No fixed version is known. Watch for one, or remove the package if nothing needs it.|"},
		{bulwark.Status{}, "", false, "under_investigation||||Nothing is known about it."},
		{bulwark.Status{State: bulwark.StateKnown}, "", false, "under_investigation||||Nothing is known about it. It was found by an earlier scan, too."},
		{bulwark.Status{State: bulwark.StateNotAffected, By: "v", Reason: "inline_mitigations_already_exist: it is filtered"}, "2", true, "not_affected|inline_mitigations_already_exist|||it is filtered Stated by v."},
		{bulwark.Status{State: bulwark.StateNotAffected, By: "v", Reason: "component_not_present"}, "2", true, "not_affected|component_not_present|||Stated by v."},
		{bulwark.Status{State: bulwark.StateNotAffected, By: "v", Reason: "component_not_present_here: really"}, "2", true, "not_affected||component_not_present_here: really||Stated by v."},
		{bulwark.Status{State: bulwark.StateNotAffected}, "2", true, "not_affected||No reason is given.||"},
		{bulwark.Status{State: bulwark.StateFixed, By: "v", Reason: "patched"}, "2", true, "fixed||||patched Stated by v."},
		{bulwark.Status{State: bulwark.StateAccepted, By: "f", Reason: "SEC-812", Owner: "team", Until: "2027-02-01"}, "2", true, "affected|||None for now: accepted, SEC-812; says f; owner team; until 2027-02-01.|"},
		{bulwark.Status{State: bulwark.StateAccepted, By: "f", Reason: "component_not_present: no"}, "2", true, "affected|||None for now: accepted, component_not_present: no; says f.|"},
		{bulwark.Status{State: bulwark.StateAccepted, By: "f", Reason: "under_investigation: SEC-813", Owner: "team", Until: "2027-02-01"}, "2", true, "under_investigation||||accepted, under_investigation: SEC-813; says f; owner team; until 2027-02-01."},
		{bulwark.Status{State: bulwark.StateSuppressed, By: "r", Reason: "noise"}, "2", true, "not_affected||noise||Stated by r."},
	} {
		r := &bulwark.Report{
			Inventory: bulwark.Inventory{Packages: []bulwark.Package{{PURL: "pkg:pypi/a@1", Name: "a", Version: "1"}}},
			Findings:  []bulwark.Finding{{ID: "1", Class: bulwark.ClassVulnerability, Rule: "CVE-1", Subject: "pkg:pypi/a@1", Fix: tt.fix, Status: tt.status}},
		}
		if tt.known {
			r.Advisories = map[string]bulwark.Advisory{"CVE-1": {ID: "CVE-1"}}
		}
		doc, err := check(write(t, r))
		if err != nil {
			t.Errorf("%+v: %v", tt.status, err)
			continue
		}
		s := doc.Statements[0]
		if got := strings.Join([]string{s.Status, s.Justification, s.Impact, s.Action, s.Notes}, "|"); got != tt.want {
			t.Errorf("%+v:\n got %s\nwant %s", tt.status, got, tt.want)
		}
	}
}

// TestSameBytes: ids and times come from the report.
func TestSameBytes(t *testing.T) {
	a, b := load(t, "report"), load(t, "report")
	if !bytes.Equal(write(t, a), write(t, b)) {
		t.Error("two writings differ")
	}
	b.Created = b.Created.Add(time.Hour)
	x, _ := check(write(t, a))
	y, _ := check(write(t, b))
	if x.ID == y.ID || x.Statements[0].ID == y.Statements[0].ID {
		t.Error("a later report has the same ids")
	}
}

func FuzzWrite(f *testing.F) {
	f.Add("a\x00\xff", "component_not_present: x", "fixed")
	f.Add("", "", "suppressed")
	f.Fuzz(func(t *testing.T, s, reason, state string) {
		status := bulwark.Status{State: state, By: s, Reason: reason, Owner: s, Until: s}
		r := &bulwark.Report{
			Artifact:   bulwark.Artifact{Kind: bulwark.KindImage, Name: s, ID: bulwark.Digest("sha256:" + strings.Repeat("a", 64)), Source: "registry"},
			Tool:       bulwark.Tool{Name: s, Version: s},
			Advisories: map[string]bulwark.Advisory{s: {Summary: s, Aliases: []string{reason, s, reason, ""}}},
			Findings: []bulwark.Finding{
				{ID: "1", Class: bulwark.ClassVulnerability, Rule: s, Subject: s, Fix: s, Status: status},
				{ID: "2", Class: bulwark.ClassVulnerability, Rule: s, Subject: "pkg:npm/" + s, Fix: reason},
				{ID: "3", Class: bulwark.ClassVulnerability, Rule: s, Subject: "pkg:npm/" + s, Status: bulwark.Status{State: bulwark.StateNotAffected, Reason: reason, By: s}},
			},
		}
		for _, kind := range []bulwark.Kind{bulwark.KindImage, bulwark.KindSBOM} {
			r.Artifact.Kind = kind
			b := write(t, r)
			if _, err := check(b); err != nil {
				t.Errorf("%v: %s", err, b)
			}
			if _, err := attest.ParseVEX("own", b); err != nil {
				t.Error(err)
			}
		}
	})
}
