// SPDX-License-Identifier: Apache-2.0

package attest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/attest"
)

func TestParsePURL(t *testing.T) {
	digest := bulwark.Digest("sha256:" + strings.Repeat("a", 64))
	for s, want := range map[string]attest.Named{
		"pkg:deb/debian/openssl@3.0.11-1~deb12u2?arch=amd64&distro=debian-12": {Type: "deb", Name: "openssl", Version: "3.0.11-1~deb12u2", Base: "pkg:deb/debian/openssl@3.0.11-1~deb12u2", Qualifiers: []string{"arch=amd64", "distro=debian-12"}},
		"pkg:npm/@scope/x":                                  {Type: "npm", Name: "x", Base: "pkg:npm/%40scope/x"},
		"pkg:golang/example.org/a@v1.0.0#cmd/x":             {Type: "golang", Name: "a", Version: "v1.0.0", Base: "pkg:golang/example.org/a@v1.0.0", Subpath: "cmd/x"},
		"pkg:oci/web@sha256%3A" + digest.Hex():              {Type: "oci", Name: "web", Version: string(digest), Base: "pkg:oci/web@sha256%3A" + digest.Hex(), Image: true, Digest: digest},
		"pkg:oci/web?repository_url=ghcr.io/corp/web&tag=1": {Type: "oci", Name: "web", Base: "pkg:oci/web", Image: true, Repo: "ghcr.io/corp/web", Tag: "1"},
		"pkg:oci/web?repository_url=ghcr.io/corp":           {Type: "oci", Name: "web", Base: "pkg:oci/web", Image: true, Repo: "ghcr.io/corp/web"},
		"pkg:docker/nginx@1.27":                             {Type: "docker", Name: "nginx", Version: "1.27", Base: "pkg:docker/nginx@1.27", Image: true, Repo: "docker.io/library/nginx", Tag: "1.27"},
	} {
		got, err := attest.ParsePURL(s)
		if want.Digest != "" && got.Digest == want.Digest {
			got.Base = want.Base // whether a colon is escaped is the library's choice
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", s, err, diff)
		}
	}
	for _, s := range []string{"", "openssl", "pkg:", "pkg:deb", "https://example.org/x"} {
		if _, err := attest.ParsePURL(s); !errors.Is(err, bulwark.ErrUnsupported) {
			t.Errorf("%q: %v", s, err)
		}
	}
}
