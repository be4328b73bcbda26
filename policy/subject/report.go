// SPDX-License-Identifier: Apache-2.0

package subject

import (
	"cmp"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/imageref"
)

// Rules of findings that say more of an artifact than that something is wrong.
const (
	ruleRoot       = "BW-IMG-0001" // programs start as root
	ruleOSEnds     = "BW-EOL-0001" // a release gets no fixes; mild when that is still to come
	ruleRuntimeEnd = "BW-FN-0001"  // a function's runtime is no longer mended
)

// An Item is one subject of a report.
type Item struct {
	Kind    string
	Subject any              // pointer to the struct of Kind; valid until the next Item is asked for
	Unknown []string         // variables that are not known
	Finding *bulwark.Finding // what it was made of; nil when it is no finding
	name    string           // where Finding does not tell it
}

// Name gives what a person would call the subject.
func (i *Item) Name() string {
	if i.Finding == nil || i.name != "" {
		return i.name
	}
	if v, ok := i.Subject.(*Vulnerability); ok {
		return i.Finding.Rule + " in " + v.V.Pkg + " " + v.V.Version
	}
	return i.Finding.Rule + " in " + i.Finding.Subject
}

// AssetOf gives the asset that a report is about, with labels that somebody gave
// it beside its own.
func AssetOf(r *bulwark.Report, labels map[string]string) Asset {
	a := &r.Artifact
	out := Asset{ID: string(a.ID), Kind: string(a.Kind), Name: a.Name, Labels: map[string]string{}, Account: labels["account"], Internal: labels["internal"] == "true"}
	if a.Image != nil {
		maps.Copy(out.Labels, a.Image.Labels)
		i := imageOf(a)
		out.Registry, out.Repo, out.Tag, out.Digest = i.Registry, i.Repo, i.Tag, i.Digest
	}
	if a.Kind == bulwark.KindHost {
		out.Host = a.Name
	}
	maps.Copy(out.Labels, labels)
	return out
}

// OfReport gives every subject of the wanted kinds in a report, images, hosts and
// functions first, then packages, then findings in the order of the report. What
// was found to be noise is left out. The controls of a benchmark are checks, too,
// where no finding speaks for them already.
func OfReport(r *bulwark.Report, asset Asset, wanted func(kind string) bool) iter.Seq[Item] {
	return func(yield func(Item) bool) {
		p := producer{r: r, asset: asset, wanted: wanted}
		if r.Artifact.Image != nil || r.Artifact.Kind == bulwark.KindImage {
			p.img = imageOf(&r.Artifact)
		}
		for _, each := range []func(func(Item) bool) bool{p.image, p.host, p.functions, p.licenses, p.findings, p.controls} {
			if !each(yield) {
				return
			}
		}
	}
}

type producer struct {
	r      *bulwark.Report
	asset  Asset
	img    Image
	wanted func(string) bool

	packages map[string]*bulwark.Package // by package URL
	found    map[string]bool             // findings' ids
}

func imageOf(a *bulwark.Artifact) Image {
	ref := imageref.Parse(a.Name)
	out := Image{Ref: a.Name, Registry: ref.Registry, Repo: ref.Repo, Tag: ref.Tag, Digest: string(a.ID)}
	if a.Image == nil {
		return out
	}
	out.Labels = a.Image.Labels
	// A file's or a layout's name is no image's: what it says of itself is better.
	if a.Source != "registry" && len(a.Image.RepoTags) > 0 {
		ref = imageref.Parse(a.Image.RepoTags[0])
		out.Registry, out.Repo, out.Tag = ref.Registry, ref.Repo, ref.Tag
	}
	return out
}

func (p *producer) os() OS {
	o := p.r.Inventory.OS
	if o == nil {
		return OS{}
	}
	out := OS{ID: o.ID, Version: o.Version, Name: o.Name}
	for i := range p.r.Findings {
		if f := &p.r.Findings[i]; f.Rule == ruleOSEnds && f.Severity > bulwark.SeverityLow {
			out.EOL = true
		}
	}
	return out
}

func envNames(env []string) []string {
	var out []string
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		out = append(out, name)
	}
	return out
}

// noOS is what is not known of an artifact whose distribution was not recognised.
func (p *producer) noOS(prefix string) []string {
	if p.r.Inventory.OS == nil {
		return nil // there is none, which is an answer
	}
	if slices.ContainsFunc(p.r.Inventory.Gaps, func(g bulwark.Gap) bool { return g.Kind == bulwark.GapUnsupported && g.Path == "" }) {
		return []string{prefix + ".os.eol"}
	}
	return nil
}

func (p *producer) image(yield func(Item) bool) bool {
	a := &p.r.Artifact
	if a.Kind != bulwark.KindImage || !p.wanted("image") {
		return true
	}
	s := &ImageSubject{Img: ImageFull{Image: p.img, Platform: a.Platform, Created: a.Created, Packages: len(p.r.Inventory.Packages), OS: p.os()}, Asset: p.asset}
	unknown := append(p.noOS("img"), "img.signers") // nobody verifies signatures in a scan
	if i := a.Image; i != nil {
		s.Img.User, s.Img.Env, s.Img.Entrypoint, s.Img.Cmd = i.User, envNames(i.Env), i.Entrypoint, i.Cmd
		s.Img.Ports, s.Img.Volumes = i.Ports, i.Volumes
		s.Img.Healthcheck = len(i.Healthcheck) > 0 && i.Healthcheck[0] != "NONE"
		user, _, _ := strings.Cut(i.User, ":")
		s.Img.Root = user == "" || user == "0" || user == "root"
	} else {
		unknown = append(unknown, "img.user", "img.root", "img.env", "img.entrypoint", "img.cmd", "img.ports", "img.volumes", "img.healthcheck", "img.labels")
	}
	for _, f := range p.r.Findings {
		s.Img.Root = s.Img.Root || f.Rule == ruleRoot // it knows more ways to be root
	}
	for i, l := range p.r.Inventory.Layers {
		s.Img.Layers = append(s.Img.Layers, string(l.DiffID))
		s.Img.Size += l.Size
		if p.r.Base != nil && i < p.r.Base.Layers {
			s.Img.BaseLayers = append(s.Img.BaseLayers, string(l.DiffID))
		}
	}
	if b := p.r.Base; b != nil {
		s.Img.Base = Base{Known: true, Name: whole(b.Name), Digest: string(b.Digest), Confidence: b.Confidence}
	}
	return yield(Item{Kind: "image", Subject: s, Unknown: unknown, name: a.Name})
}

// whole gives an image's name with its registry, for labels leave it out as people
// do: docker.io/library/debian:12 for debian:12.
func whole(name string) string {
	ref := imageref.Parse(name)
	out := ref.Name()
	if out != "" && ref.Tag != "" {
		out += ":" + ref.Tag
	}
	if out != "" && ref.Digest != "" {
		out += "@" + ref.Digest
	}
	return out
}

func (p *producer) host(yield func(Item) bool) bool {
	if k := p.r.Artifact.Kind; k != bulwark.KindHost && k != bulwark.KindVM || !p.wanted("host") {
		return true
	}
	s := &HostSubject{H: Host{Name: p.r.Artifact.Name, Packages: len(p.r.Inventory.Packages), OS: p.os()}, Asset: p.asset}
	return yield(Item{Kind: "host", Subject: s, Unknown: p.noOS("h"), name: p.r.Artifact.Name})
}

func (p *producer) functions(yield func(Item) bool) bool {
	if !p.wanted("function") {
		return true
	}
	for _, f := range p.r.Inventory.Functions {
		s := &FunctionSubject{Fn: Function{
			Name: f.Name, Provider: f.Provider, Runtime: f.Runtime, Handler: f.Handler, Framework: f.Framework,
			Triggers: f.Triggers, Env: envNames(f.Env), Path: f.Path,
		}, Asset: p.asset}
		unknown := []string{"fn.role"} // templates name roles; what these allow stands elsewhere
		if f.Runtime == "" {
			unknown = append(unknown, "fn.runtime", "fn.eol")
		}
		for _, x := range p.r.Findings {
			s.Fn.EOL = s.Fn.EOL || x.Rule == ruleRuntimeEnd && (x.Subject == f.Name || x.Subject == f.Path || f.Runtime != "" && len(x.Evidence) > 0 && strings.Contains(x.Evidence[0].Detail, f.Runtime))
		}
		if !yield(Item{Kind: "function", Subject: s, Unknown: unknown, name: cmp.Or(f.Name, p.r.Artifact.Name)}) {
			return false
		}
	}
	return true
}

func (p *producer) licenses(yield func(Item) bool) bool {
	if !p.wanted("package.license") {
		return true
	}
	// A finding about the licence takes part, so that it can be accepted.
	about := map[string]*bulwark.Finding{}
	for i := range p.r.Findings {
		if f := &p.r.Findings[i]; f.Class == bulwark.ClassLicense {
			about[f.Subject] = f
		}
	}
	s := &LicenseSubject{Img: p.img, Asset: p.asset}
	for i := range p.r.Inventory.Packages {
		pkg := &p.r.Inventory.Packages[i]
		l := License{Expression: together(pkg)}
		if pkg.Concluded != nil && len(pkg.Licenses) == 0 {
			l.Expression, l.Concluded = pkg.Concluded.License, true
		}
		if l.Expression == "" {
			continue
		}
		l.IDs, l.Unavoidable = licenseIDs(l.Expression)
		f := about[pkg.PURL]
		s.License, s.Pkg, s.VEX = l, packageOf(pkg, s.Pkg.Paths[:0]), vexOf(f)
		if !yield(Item{Kind: "package.license", Subject: s, Finding: f, name: pkg.Name + " " + pkg.Version}) {
			return false
		}
	}
	return true
}

// together makes one expression of all that a package declares: distributions name
// the licence of each part, ecosystems of languages those to choose from.
func together(p *bulwark.Package) string {
	if len(p.Licenses) < 2 {
		return strings.Join(p.Licenses, "")
	}
	word := ") OR ("
	kind, _, _ := strings.Cut(strings.TrimPrefix(p.PURL, "pkg:"), "/")
	switch kind {
	case "deb", "rpm", "apk", "apkg", "alpm", "ebuild", "opkg", "ipk", "nix", "snap", "flatpak":
		word = ") AND ("
	}
	return "(" + strings.Join(p.Licenses, word) + ")"
}

// packageOf gives a package as conditions see it; its paths are written to paths.
func packageOf(p *bulwark.Package, paths []string) Package {
	if p == nil {
		return Package{}
	}
	out := Package{
		Name: p.Name, Version: p.Version, Ecosystem: p.Ecosystem, PURL: p.PURL, Source: p.Source, Arch: p.Arch, Vendor: p.Vendor,
		Licenses: p.Licenses, Dev: p.Dev, Owner: p.Owner, Paths: paths,
	}
	for _, w := range p.Where {
		if !slices.Contains(out.Paths, w.Path) {
			out.Paths = append(out.Paths, w.Path)
		}
	}
	return out
}

func vexOf(f *bulwark.Finding) VEX {
	if f == nil || f.Status.Open() || f.Status.State == bulwark.StateKnown {
		return VEX{}
	}
	return VEX{
		Status: f.Status.State, NotAffected: f.Status.State == bulwark.StateNotAffected, Fixed: f.Status.State == bulwark.StateFixed,
		Justification: f.Status.Reason, By: f.Status.By,
	}
}

func (p *producer) findings(yield func(Item) bool) bool {
	var kinds = map[bulwark.Class]string{
		bulwark.ClassVulnerability: "vulnerability", bulwark.ClassSecret: "secret", bulwark.ClassMalware: "malware",
		bulwark.ClassMisconfiguration: "compliance.check", bulwark.ClassCompliance: "compliance.check",
	}
	for c, k := range kinds {
		if !p.wanted(k) {
			delete(kinds, c)
		}
	}
	every := p.wanted("finding")
	if p.found = map[string]bool{}; len(kinds) == 0 && !every {
		return true
	}
	p.packages = make(map[string]*bulwark.Package, len(p.r.Inventory.Packages))
	for i := range p.r.Inventory.Packages {
		p.packages[p.r.Inventory.Packages[i].PURL] = &p.r.Inventory.Packages[i]
	}
	// One struct of each kind serves all findings.
	var (
		v = &Vulnerability{Img: p.img, Asset: p.asset}
		s = &SecretSubject{Img: p.img, Asset: p.asset}
		m = &MalwareSubject{Img: p.img, Asset: p.asset}
		c = &CheckSubject{Img: p.img, Asset: p.asset}
		g = &FindingSubject{Img: p.img, Asset: p.asset}
	)
	for i := range p.r.Findings {
		f := &p.r.Findings[i]
		if f.Status.State == bulwark.StateSuppressed {
			continue
		}
		if len(p.r.Controls) > 0 { // nobody else asks
			p.found[f.ID] = true
		}
		item := Item{Kind: kinds[f.Class], Finding: f}
		rule, known := p.r.Rules[f.Rule], f.Status.State == bulwark.StateKnown
		place := placeOf(f)
		switch item.Kind {
		case "vulnerability":
			p.vulnerability(v, f)
			item.Subject = v
		case "secret":
			s.S = Secret{Rule: f.Rule, Title: rule.Title, Severity: f.Severity, Path: place.Path, Line: place.Line, Deleted: place.Deleted != "", Origin: f.Origin, Known: known}
			s.VEX, item.Subject = vexOf(f), s
		case "malware":
			m.M = Malware{Rule: f.Rule, Title: rule.Title, Severity: f.Severity, Path: place.Path, Deleted: place.Deleted != "", Origin: f.Origin, Known: known}
			m.VEX, item.Subject = vexOf(f), m
		case "compliance.check":
			c.C = Check{
				ID: f.Rule, Title: rule.Title, Class: string(f.Class), State: bulwark.ControlFail, Severity: f.Severity, Subject: f.Subject,
				Path: place.Path, Line: place.Line, Controls: rule.Controls, Origin: f.Origin, Known: known,
			}
			c.VEX, item.Subject = vexOf(f), c
		}
		if item.Subject != nil && !yield(item) {
			return false
		}
		if every {
			g.F = Finding{
				ID: f.ID, Class: string(f.Class), Rule: f.Rule, Title: cmp.Or(rule.Title, p.r.Advisories[f.Rule].Summary), Severity: f.Severity, Subject: f.Subject, Fix: f.Fix,
				Path: place.Path, Line: place.Line, Origin: f.Origin, Reach: f.Reach, Known: known,
			}
			g.VEX, item.Kind, item.Subject = vexOf(f), "finding", g
			if !yield(item) {
				return false
			}
		}
	}
	return true
}

func placeOf(f *bulwark.Finding) bulwark.Location {
	if len(f.Evidence) == 0 {
		return bulwark.Location{}
	}
	return f.Evidence[0].Location
}

func (p *producer) vulnerability(s *Vulnerability, f *bulwark.Finding) {
	a := p.r.Advisories[f.Rule]
	pkg := p.packages[f.Subject]
	s.Pkg, s.VEX = packageOf(pkg, s.Pkg.Paths[:0]), vexOf(f)
	s.V = Vuln{
		ID: f.Rule, Aliases: a.Aliases, Severity: f.Severity, Score: a.Score, CVSS: a.CVSS, EPSS: a.EPSS, EPSSRank: a.EPSSRank,
		KEV: a.Exploited, Due: a.Due, CWEs: a.CWEs, Published: a.Published, Modified: a.Modified, FixedIn: f.Fix,
		Pkg: s.Pkg.Name, Version: s.Pkg.Version, Ecosystem: s.Pkg.Ecosystem, Reach: f.Reach, Origin: f.Origin,
		Known: f.Status.State == bulwark.StateKnown,
	}
	if len(a.Upstream) > 0 && f.Fix != "" {
		// A vendor's advisory about somebody else's flaw is what announces the fix.
		s.V.FixDate = a.Published
		if len(a.Aliases) == 0 && len(a.Upstream) <= 64 {
			s.V.Aliases = a.Upstream
		}
	}
	if pkg == nil { // a report that somebody cut
		s.V.Pkg = path.Base(f.Subject)
	}
}

func (p *producer) controls(yield func(Item) bool) bool {
	if !p.wanted("compliance.check") {
		return true
	}
	s := &CheckSubject{Img: p.img, Asset: p.asset}
	for i := range p.r.Controls {
		c := &p.r.Controls[i]
		if slices.ContainsFunc(c.Findings, func(id string) bool { return p.found[id] }) {
			continue
		}
		s.C = Check{ID: c.ID, Title: c.Title, Class: string(bulwark.ClassCompliance), State: c.State, Severity: c.Severity, Subject: p.r.Artifact.Name, Controls: []string{c.ID}}
		if !yield(Item{Kind: "compliance.check", Subject: s, name: c.ID}) {
			return false
		}
	}
	return true
}
