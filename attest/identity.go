// SPDX-License-Identifier: Apache-2.0

package attest

import (
	"slices"
	"strings"

	"github.com/package-url/packageurl-go" // the reference reading of package URLs, no dependencies

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/imageref"
)

// An identity is every name that an artifact answers to.
type identity struct {
	digests []string   // "sha256:…" of the manifest, the configuration, the repository's indexes
	refs    []imageRef // repositories and tags it is known under
	arch    string     // "" when unknown
}

// An imageRef is an image reference in its long form.
type imageRef struct {
	repo string // "docker.io/library/nginx"
	tag  string // "" when there is none
}

func newIdentity(a *bulwark.Artifact) *identity {
	id := &identity{}
	if a == nil {
		return id
	}
	addDigest := func(d string) {
		if bulwark.Digest(d).Valid() {
			id.digests = append(id.digests, d)
		}
	}
	addRef := func(s string) {
		ref, digest := splitRef(s)
		addDigest(digest)
		if ref.repo != "" {
			id.refs = append(id.refs, ref)
		}
	}
	addDigest(string(a.ID))
	addDigest(string(a.Config))
	if a.Kind == bulwark.KindImage {
		addRef(a.Name)
	}
	if a.Image != nil {
		for _, s := range slices.Concat(a.Image.RepoDigests, a.Image.RepoTags) {
			addRef(s)
		}
	}
	if parts := strings.Split(a.Platform, "/"); len(parts) > 1 {
		id.arch = parts[1]
	}
	return id
}

// splitRef takes "repo[:tag][@digest]" apart.
func splitRef(s string) (imageRef, string) {
	r := imageref.Parse(s)
	return imageRef{r.Name(), r.Tag}, r.Digest
}

// longRepo gives a repository with its registry.
func longRepo(s string) string { return imageref.Parse(s).Name() }

// is tells whether c names the artifact.
func (id *identity) is(c *component) bool {
	for _, d := range id.digests {
		if d == c.digest || slices.Contains(c.Hashes, bulwark.Digest(d).Hex()) {
			return true
		}
	}
	return slices.ContainsFunc(c.purls, id.isPURL)
}

func (id *identity) isPURL(p packageurl.PackageURL) bool {
	if p.Type != packageurl.TypeOCI && p.Type != packageurl.TypeDocker {
		return false
	}
	quals := p.Qualifiers.Map()
	if bulwark.Digest(p.Version).Valid() {
		return slices.Contains(id.digests, p.Version) // content is the key, whatever it is called
	}
	tag := quals["tag"]
	if p.Version != "" {
		tag = p.Version
	}
	if arch := quals["arch"]; arch != "" && arch != id.arch {
		return false
	}
	return slices.ContainsFunc(id.refs, func(r imageRef) bool {
		return repoMatches(p, quals["repository_url"], r.repo) && (tag == "" || tag == r.tag)
	})
}

// repoMatches tells whether an image purl means the repository. repository_url
// is written with and without the image's name at its end.
func repoMatches(p packageurl.PackageURL, url, repo string) bool {
	name := strings.ToLower(p.Name)
	if p.Namespace != "" {
		name = strings.ToLower(p.Namespace) + "/" + name
	}
	if url == "" {
		if p.Type == packageurl.TypeDocker {
			return repo == longRepo(name)
		}
		return repo[strings.LastIndexByte(repo, '/')+1:] == name
	}
	url = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(url), "https://"), "http://"), "/")
	return repo == longRepo(url) && strings.HasSuffix("/"+repo, "/"+name) || repo == longRepo(url+"/"+name)
}

// A component is a Component made ready for comparing.
type component struct {
	Component
	purls  []packageurl.PackageURL
	digest string // that its ID stands for; "" for none
}

func newComponent(c Component) component {
	out := component{Component: c}
	for _, s := range c.PURLs {
		if p, err := packageurl.FromString(s); err == nil {
			out.purls = append(out.purls, p)
		}
	}
	if d := c.ID[strings.LastIndexByte(c.ID, '@')+1:]; bulwark.Digest(d).Valid() {
		out.digest = d
	}
	return out
}

// A subject is a package made ready for comparing.
type subject struct {
	purl   packageurl.PackageURL
	quals  map[string]string
	valid  bool // purl could be read
	text   string
	pkg    *bulwark.Package // nil when the inventory has none of this purl
	places []string         // paths of pkg
}

func newSubject(text string, pkg *bulwark.Package) *subject {
	s := &subject{text: text, pkg: pkg}
	if p, err := packageurl.FromString(text); err == nil {
		s.purl, s.quals, s.valid = p, p.Qualifiers.Map(), true
	}
	if pkg != nil {
		for _, l := range pkg.Where {
			s.places = append(s.places, l.Path)
		}
	}
	return s
}

// is tells whether c names the package.
func (s *subject) is(c *component) bool {
	return c.ID != "" && c.ID == s.text || s.valid && slices.ContainsFunc(c.purls, s.isPURL)
}

// isPURL tells whether want names the package: without a version it names all
// versions, and the qualifiers that it has must be there.
func (s *subject) isPURL(want packageurl.PackageURL) bool {
	name, version := s.purl.Name, s.purl.Version
	if want.Type != s.purl.Type || !strings.EqualFold(want.Name, name) && (s.pkg == nil || !strings.EqualFold(want.Name, s.pkg.Source)) {
		return false // the most of a vendor's thousands, without any work
	}
	quals := want.Qualifiers.Map()
	if a := quals["arch"]; (a == "source" || a == "src") && s.pkg != nil {
		// The package that was built from this source.
		delete(quals, "arch")
		if s.pkg.Source != "" {
			name = s.pkg.Source
		}
		if s.pkg.SourceVersion != "" {
			version = s.pkg.SourceVersion
		}
	}
	if !strings.EqualFold(want.Namespace, s.purl.Namespace) || !strings.EqualFold(want.Name, name) {
		return false
	}
	if want.Subpath != "" && want.Subpath != s.purl.Subpath {
		return false
	}
	if want.Version != "" && want.Version != version {
		// Go module versions are written with and without their "v".
		if want.Type != packageurl.TypeGolang || strings.TrimPrefix(want.Version, "v") != strings.TrimPrefix(version, "v") {
			return false
		}
	}
	for k, v := range quals {
		if got, ok := s.quals[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// within tells whether every place of a finding lies in the product: in the
// same file, in an archive that it is, or in the operating-system package that
// it is. A finding that is elsewhere, too, is not what the statement is about.
func (s *subject) within(product *subject, f *bulwark.Finding) bool {
	if product.pkg == nil {
		return false
	}
	if s.pkg != nil && s.pkg.Owner != "" && s.pkg.Owner == product.pkg.Name+" "+product.pkg.Version {
		return true
	}
	some := false
	for i := range f.Evidence {
		path := f.Evidence[i].Path
		if path == "" {
			continue
		}
		inside := slices.ContainsFunc(product.places, func(p string) bool {
			return p != "" && (path == p || strings.HasPrefix(path, p+"!/"))
		})
		if !inside {
			return false
		}
		some = true
	}
	return some
}

// installed tells whether the package belongs to the distribution: its package
// manager put it there.
func (s *subject) installed() bool {
	switch s.purl.Type {
	case packageurl.TypeDebian, packageurl.TypeRPM, packageurl.TypeApk, packageurl.TypeAlpm:
		return true
	}
	return s.pkg != nil && s.pkg.Owner != ""
}
