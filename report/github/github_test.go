// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6" // tests only: GitHub publishes its rules as a schema

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/github"
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

func write(t testing.TB, f github.Format, r *bulwark.Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func schema(t testing.TB, name string) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(s *jsonschema.Schema, b []byte) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

func TestSchema(t *testing.T) {
	s := schema(t, "testdata/snapshot.schema.json")
	for _, name := range []string{"report", "clean", "empty"} {
		if err := validate(s, write(t, github.Format{}, load(t, name))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if validate(s, []byte(`{"version": 0, "sha": "1", "ref": "main"}`)) == nil {
		t.Error("the validator accepts nonsense, so the test says nothing")
	}
}

type snapshot struct {
	SHA, Ref string
	Job      struct {
		ID, Correlator string
		URL            string `json:"html_url"`
	}
	Metadata  map[string]any
	Manifests map[string]struct {
		File     *struct{ SourceLocation string } `json:"file"`
		Metadata map[string]any
		Resolved map[string]struct {
			PURL  string `json:"package_url"`
			Scope string
		}
	}
}

func read(t testing.TB, b []byte) snapshot {
	t.Helper()
	var s snapshot
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestBuild: the snapshot belongs to the build that it was told of, else to the
// commit of the work tree, else to none.
func TestBuild(t *testing.T) {
	commit, other := strings.Repeat("a1", 20), strings.Repeat("b2", 20)
	r := load(t, "clean")
	r.Artifact.Commit = commit
	tests := []struct {
		name                      string
		form                      github.Format
		commit                    string
		sha, ref, id, correl, url string
	}{
		{"zero", github.Format{}, "", strings.Repeat("0", 40), "refs/bulwark/unknown", "bulwark", "bulwark ", ""},
		{"commit", github.Format{}, commit, commit, "refs/bulwark/unknown", "bulwark", "bulwark ", ""},
		{"told", github.Format{SHA: other, Ref: "refs/heads/main", Workflow: "ci", Job: "scan", RunID: "77", Repository: "o/r"}, commit, other, "refs/heads/main", "77", "ci scan bulwark ", "https://github.com/o/r/actions/runs/77"},
		{"server", github.Format{RunID: "7", Repository: "o/r", Server: "https://ghe.example"}, commit, commit, "refs/bulwark/unknown", "7", "bulwark ", "https://ghe.example/o/r/actions/runs/7"},
		{"nonsense", github.Format{SHA: "HEAD", Ref: "main", RunID: "1\n", Repository: "o/r"}, "xyz", strings.Repeat("0", 40), "refs/bulwark/unknown", "1\n", "bulwark ", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r.Artifact.Commit = tt.commit
			b := write(t, tt.form, r)
			if err := validate(schema(t, "testdata/snapshot.schema.json"), b); err != nil {
				t.Error(err)
			}
			s := read(t, b)
			got := []string{s.SHA, s.Ref, s.Job.ID, s.Job.URL}
			if d := cmp.Diff([]string{tt.sha, tt.ref, tt.id, tt.url}, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if !strings.HasPrefix(s.Job.Correlator, tt.correl) {
				t.Errorf("correlator %q", s.Job.Correlator)
			}
		})
	}
}

func TestManifests(t *testing.T) {
	r := &bulwark.Report{Artifact: bulwark.Artifact{Kind: bulwark.KindRepo, Name: "."}}
	add := func(purl, name, version, path string, dev bool) {
		r.Inventory.Packages = append(r.Inventory.Packages, bulwark.Package{PURL: purl, Name: name, Version: version, Dev: dev, Where: []bulwark.Location{{Path: path}}})
	}
	add("pkg:npm/a@1", "a", "1", "web/package-lock.json", false)
	add("pkg:npm/b@2", "b", "2", "web/package-lock.json", true)
	add("pkg:npm/b@2?arch=x", "b", "2", "web/package-lock.json", false) // the same name: both stay
	add("pkg:golang/c@v3", "c", "v3", "go.mod", false)
	add("", "nameless", "1", "go.mod", false)
	r.Inventory.Packages = append(r.Inventory.Packages, bulwark.Package{PURL: "pkg:npm/d@4", Name: "d", Version: "4"})
	got := map[string]map[string]string{}
	for name, m := range read(t, write(t, github.Format{}, r)).Manifests {
		if m.File == nil {
			t.Errorf("%s: the repository's file is not named", name)
		}
		got[name] = map[string]string{}
		for key, d := range m.Resolved {
			got[name][key] = d.PURL + " " + d.Scope
		}
	}
	want := map[string]map[string]string{
		"web/package-lock.json": {"a@1": "pkg:npm/a@1 runtime", "b@2": "pkg:npm/b@2 development", "pkg:npm/b@2?arch=x": "pkg:npm/b@2?arch=x runtime"},
		"go.mod":                {"c@v3": "pkg:golang/c@v3 runtime"},
		".":                     {"d@4": "pkg:npm/d@4 runtime"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	r.Artifact.Kind = bulwark.KindImage
	for name, m := range read(t, write(t, github.Format{}, r)).Manifests {
		if m.File != nil {
			t.Errorf("%s: a path inside an image is no file of the repository", name)
		}
	}
}

func FuzzWrite(f *testing.F) {
	s := schema(f, "testdata/snapshot.schema.json")
	f.Add("a\x00\xff", "pkg:npm/a@1")
	f.Fuzz(func(t *testing.T, word, purl string) {
		r := &bulwark.Report{
			Artifact: bulwark.Artifact{Kind: bulwark.Kind(word), Name: word, Commit: word, ID: bulwark.Digest(word), Platform: word}, Tool: bulwark.Tool{Name: word, Version: word},
			Inventory: bulwark.Inventory{
				Packages: []bulwark.Package{{PURL: purl, Name: word, Version: word, Where: []bulwark.Location{{Path: word}}}, {PURL: purl, Name: word}},
				Gaps:     []bulwark.Gap{{Hides: true}},
			},
		}
		b := write(t, github.Format{SHA: word, Ref: word, Workflow: word, Job: word, RunID: word, Server: word, Repository: word}, r)
		if err := validate(s, b); err != nil {
			t.Errorf("%v: %s", err, b)
		}
		if n := len(read(t, b).Metadata); n > 8 {
			t.Errorf("%d metadata, GitHub takes 8", n)
		}
	})
}
