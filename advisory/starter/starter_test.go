// SPDX-License-Identifier: Apache-2.0

package starter_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark/advisory/starter"
)

// record is the OSV schema as far as the set uses it; what is more is an error.
type record struct {
	SchemaVersion string    `json:"schema_version"`
	ID            string    `json:"id"`
	Modified      time.Time `json:"modified"`
	Published     time.Time `json:"published"`
	Aliases       []string  `json:"aliases"`
	Summary       string    `json:"summary"`
	Severity      []struct {
		Type  string `json:"type"`
		Score string `json:"score"`
	} `json:"severity"`
	Affected []struct {
		Package struct {
			Ecosystem string `json:"ecosystem"`
			Name      string `json:"name"`
		} `json:"package"`
		Ranges []struct {
			Type   string              `json:"type"`
			Events []map[string]string `json:"events"`
		} `json:"ranges"`
		Versions []string `json:"versions"`
	} `json:"affected"`
	References []struct {
		Type string `json:"type"`
		URL  string `json:"url"`
	} `json:"references"`
	Database struct {
		Severity  string `json:"severity"`
		Exploited bool   `json:"exploited"`
	} `json:"database_specific"`
}

func load(t *testing.T, set func() (fs.FS, error)) map[string]record {
	t.Helper()
	fsys, err := set()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]record{}
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		var r record
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		out[name] = r
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRecords(t *testing.T) {
	files := load(t, starter.Records)
	built, err := time.Parse(time.DateOnly, starter.Built)
	if err != nil {
		t.Fatal(err)
	}
	// The shape of a version in any of the ecosystems. Whether it can be ordered
	// is told by the package that orders versions.
	version := regexp.MustCompile(`^[0-9][0-9A-Za-z.+~:_-]*$`)
	ids, owners, ecosystems := map[string]bool{}, map[string]string{}, map[string]int{}
	for name, r := range files {
		folder, file := path.Split(name)
		if file != r.ID+".json" {
			t.Errorf("%s holds %s", name, r.ID)
		}
		ids[r.ID] = true
		for _, id := range append([]string{r.ID}, r.Aliases...) {
			if other, ok := owners[id]; ok && other != r.ID {
				t.Errorf("%s belongs to %s and %s", id, other, r.ID)
			}
			owners[id] = r.ID
		}
		if !r.Modified.Equal(built) || r.Published.After(built) || r.SchemaVersion == "" {
			t.Errorf("%s: modified %v, published %v, schema %q", r.ID, r.Modified, r.Published, r.SchemaVersion)
		}
		if r.Summary == "" || strings.HasSuffix(r.Summary, ".") {
			t.Errorf("%s: summary %q", r.ID, r.Summary)
		}
		if !strings.Contains(" LOW MEDIUM HIGH CRITICAL ", " "+r.Database.Severity+" ") {
			t.Errorf("%s: severity %q", r.ID, r.Database.Severity)
		}
		here := false
		for _, a := range r.Affected {
			base, _, _ := strings.Cut(a.Package.Ecosystem, ":")
			if "osv/"+base+"/" == folder {
				here = true
				ecosystems[base]++
			}
			if files["osv/"+base+"/"+r.ID+".json"].ID == "" {
				t.Errorf("%s is missing for %s", r.ID, base)
			}
			if a.Package.Name == "" || len(a.Ranges)+len(a.Versions) == 0 {
				t.Errorf("%s: empty package or ranges of %s %q", r.ID, base, a.Package.Name)
			}
			all := a.Versions
			for _, rng := range a.Ranges {
				open := false
				for _, e := range rng.Events {
					for kind, v := range e {
						// Each range begins with introduced and ends before the next.
						if (kind == "introduced") == open {
							t.Errorf("%s: events of %q out of order: %v", r.ID, a.Package.Name, rng.Events)
						}
						open = kind == "introduced"
						all = append(all, v)
					}
				}
			}
			for _, v := range all {
				if !version.MatchString(v) {
					t.Errorf("%s: version %q of %q", r.ID, v, a.Package.Name)
				}
			}
		}
		if !here {
			t.Errorf("%s names no package of its folder", name)
		}
	}
	if len(ids) < 250 {
		t.Errorf("%d records, want 250 or more", len(ids))
	}
	if len(ecosystems) < 12 {
		t.Errorf("%d ecosystems, want 12: %v", len(ecosystems), ecosystems)
	}
	t.Logf("%d records, %d files, packages by ecosystem: %v", len(ids), len(files), ecosystems)
}

func TestLog4Shell(t *testing.T) {
	r := load(t, starter.Records)["osv/Maven/CVE-2021-44228.json"]
	if r.ID == "" {
		t.Fatal("missing")
	}
	a := r.Affected[0]
	want := []map[string]string{
		{"introduced": "2.0-beta9"}, {"fixed": "2.3.1"}, {"introduced": "2.4"}, {"fixed": "2.12.2"}, {"introduced": "2.13.0"}, {"fixed": "2.15.0"},
	}
	if diff := cmp.Diff(want, a.Ranges[0].Events); diff != "" {
		t.Error(diff)
	}
	if a.Package.Ecosystem != "Maven" || a.Ranges[0].Type != "ECOSYSTEM" || !r.Database.Exploited || r.Database.Severity != "CRITICAL" {
		t.Errorf("%+v", r)
	}
	if diff := cmp.Diff([]string{"GHSA-jfh8-c2jp-5v3q"}, r.Aliases); diff != "" {
		t.Error(diff)
	}
}

// TestProducts tells whether the second set is whole, and of one ecosystem.
func TestProducts(t *testing.T) {
	files := load(t, starter.Products)
	for name, r := range files {
		if name != "osv/Bulwark/"+r.ID+".json" || r.Summary == "" || strings.HasSuffix(r.Summary, ".") || r.Database.Severity == "" {
			t.Errorf("%s: %+v", name, r)
		}
		for _, a := range r.Affected {
			if a.Package.Ecosystem != "Bulwark" || len(a.Ranges) > 1 || len(a.Ranges)+len(a.Versions) == 0 {
				t.Errorf("%s: %+v", name, a)
			}
		}
	}
	if len(files) < 150 {
		t.Errorf("%d records, want 150 or more", len(files))
	}
}
