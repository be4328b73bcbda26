// SPDX-License-Identifier: Apache-2.0

package imageref_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark/internal/imageref"
)

func TestParse(t *testing.T) {
	for s, want := range map[string]imageref.Ref{
		"":                         {},
		"/":                        {},
		"alpine":                   {Registry: "docker.io", Repo: "library/alpine"},
		"alpine:3.20":              {Registry: "docker.io", Repo: "library/alpine", Tag: "3.20"},
		"Corp/App:V1":              {Registry: "docker.io", Repo: "corp/app", Tag: "V1"},
		"index.docker.io/a/b":      {Registry: "docker.io", Repo: "a/b"},
		"localhost/x":              {Registry: "localhost", Repo: "x"},
		"r.example:5000/a/b:1@sha": {Registry: "r.example:5000", Repo: "a/b", Tag: "1", Digest: "sha"},
		"r.example:5000/a":         {Registry: "r.example:5000", Repo: "a"},
		"@sha256:0":                {Digest: "sha256:0"},
	} {
		if diff := cmp.Diff(want, imageref.Parse(s)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", s, diff)
		}
	}
	if got := imageref.Parse("alpine").Name(); got != "docker.io/library/alpine" {
		t.Errorf("name %q", got)
	}
	if got := (imageref.Ref{}).Name(); got != "" {
		t.Errorf("name of nothing %q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("r.example:5000/a/b:1@sha256:0")
	f.Fuzz(func(t *testing.T, s string) {
		r := imageref.Parse(s)
		if (r.Repo == "") != (r.Registry == "") {
			t.Errorf("%q gives %+v", s, r)
		}
	})
}
