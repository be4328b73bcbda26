// SPDX-License-Identifier: Apache-2.0

package attest

import (
	"strings"

	"github.com/package-url/packageurl-go" // the reference reading of package URLs, no dependencies

	"github.com/bulwark-sec/bulwark"
)

// A Named is what a package URL names, for those who compare it with the package
// URLs and images of an inventory by other means than [Apply].
type Named struct {
	Type       string
	Name       string
	Version    string         // "" is every version
	Base       string         // the package URL without qualifiers and subpath, as an inventory writes it
	Qualifiers []string       // "arch=amd64", as an inventory writes them; those of images left out
	Subpath    string         //
	Image      bool           // an image, and no package
	Digest     bulwark.Digest // of an image's manifest; "" where it has none
	Repo       string         // of an image, in the long form: "docker.io/library/nginx"; "" where it is not said
	Tag        string         // of an image
}

// ParsePURL takes a package URL apart. It is [bulwark.ErrUnsupported] for anything
// else.
func ParsePURL(s string) (Named, error) {
	p, err := packageurl.FromString(s)
	if err != nil {
		return Named{}, &purlError{err}
	}
	bare := p
	bare.Qualifiers, bare.Subpath = nil, ""
	n := Named{Type: p.Type, Name: p.Name, Version: p.Version, Base: bare.ToString(), Subpath: p.Subpath}
	if p.Type != packageurl.TypeOCI && p.Type != packageurl.TypeDocker {
		for _, q := range p.Qualifiers {
			one := bare
			one.Qualifiers = packageurl.Qualifiers{q}
			_, text, _ := strings.Cut(one.ToString(), "?")
			n.Qualifiers = append(n.Qualifiers, text)
		}
		return n, nil
	}
	n.Image = true
	quals := p.Qualifiers.Map()
	if n.Tag = quals["tag"]; bulwark.Digest(p.Version).Valid() {
		n.Digest = bulwark.Digest(p.Version)
	} else if p.Version != "" {
		n.Tag = p.Version
	}
	name := strings.ToLower(p.Name)
	if p.Namespace != "" {
		name = strings.ToLower(p.Namespace) + "/" + name
	}
	url := strings.ToLower(quals["repository_url"])
	url = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(url, "https://"), "http://"), "/")
	switch {
	case url == "" && p.Type == packageurl.TypeDocker:
		n.Repo = longRepo(name)
	case url == "":
	case strings.HasSuffix("/"+url, "/"+name): // written with the image's name at its end
		n.Repo = longRepo(url)
	default:
		n.Repo = longRepo(url + "/" + name)
	}
	return n, nil
}

type purlError struct{ error }

func (e *purlError) Is(target error) bool { return target == bulwark.ErrUnsupported }
func (e *purlError) Unwrap() error        { return e.error }
