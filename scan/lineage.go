// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory/vers"
	"github.com/bulwark-sec/bulwark/store"
)

// ancestry says what an image was built from, whose each layer is and what it is
// for, and on which side each finding lies.
func (s *Scanner) ancestry(r *bulwark.Report) {
	if r.Artifact.Kind != bulwark.KindImage || len(r.Inventory.Layers) == 0 {
		return
	}
	r.Base = s.base(r)
	classify(r)
	owner := make(map[bulwark.Digest]string, len(r.Inventory.Layers))
	for _, l := range r.Inventory.Layers {
		// A layer that is there twice counts for whoever brought it first.
		owner[l.DiffID] = cmp.Or(owner[l.DiffID], l.Owner)
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		f.Origin = ""
		for _, e := range f.Evidence {
			if o := owner[e.Layer]; o != "" && (f.Origin == "" || o == bulwark.OwnerApp) {
				f.Origin = o
			}
		}
	}
}

// Labels by which builders say what they built on
// (https://github.com/opencontainers/image-spec/blob/main/annotations.md).
const (
	labelBase       = "org.opencontainers.image.base.name"
	labelBaseDigest = "org.opencontainers.image.base.digest"
)

// base finds the image that r's was built from: the longest chain of its layers
// that is an image of its own. Labels choose among several, and stand in for
// images that were never seen; the history is the last resort.
func (s *Scanner) base(r *bulwark.Report) *bulwark.Base {
	layers := r.Inventory.Layers
	chain := bulwark.Chain(layers)
	var label string
	var digest bulwark.Digest
	if r.Artifact.Image != nil {
		label, digest = r.Artifact.Image.Labels[labelBase], bulwark.Digest(r.Artifact.Image.Labels[labelBaseDigest])
	}
	own := store.Repository(canonical(r.Artifact.Name))
	var best *bulwark.Base
	for i, id := range slices.Backward(chain) {
		for _, img := range s.Images.Named(id) {
			whole := i == len(layers)-1
			if whole && store.Repository(img.Name) == own {
				continue // itself, or another tag of it
			}
			b := &bulwark.Base{Name: img.Name, Digest: img.Digest, Layers: i + 1, By: "layers", Confidence: "likely"}
			said := digest.Valid() && img.Digest == digest || label != "" && canonical(label) == img.Name && proven(img)
			switch {
			case said || img.Declared:
				b.Confidence = "certain"
			case !begins(r.Artifact.Image, img):
				continue
			case !proven(img):
				b.Confidence = "guess"
			}
			// A label decides; then whether the name is more than what somebody wrote on
			// an image of his own; then the longest chain; then a declared base before an
			// image that may only share its first instructions with this one.
			if best == nil || said && best.Confidence != "certain" || best.Confidence == "guess" && b.Confidence != "guess" ||
				img.Declared && best.Confidence == "likely" && best.Layers == b.Layers {
				best = b
			}
			if said {
				return best
			}
		}
	}
	if best != nil {
		return best
	}
	n := builtOn(r.Artifact.Image, len(layers))
	switch {
	case label != "":
		b := &bulwark.Base{Name: label, Layers: n, By: "label", Confidence: "likely"}
		if digest.Valid() {
			b.Digest = digest
		}
		return b
	case n > 0:
		return &bulwark.Base{Layers: n, By: "history", Confidence: "guess"}
	}
	return nil
}

// proven tells whether an image's name is more than a tag that anybody may write on
// anything that is loaded into an engine.
func proven(img *store.Image) bool { return img.Declared || img.Pulled }

// pulled tells whether the artifact's digest came from the registry that its name
// tells. The name of an image in an engine is what somebody called it. Docker notes
// the digest that a registry gave it, unless its store names all images itself, as
// those of podman and containerd do.
func pulled(a *bulwark.Artifact) bool {
	switch {
	case a.Source == "registry":
		return true
	case a.Source != "docker" || a.Image == nil || a.Image.SelfNamed:
		return false
	}
	repository := store.Repository(canonical(a.Name))
	return slices.ContainsFunc(a.Image.RepoDigests, func(d string) bool {
		name, digest, ok := strings.Cut(d, "@")
		return ok && bulwark.Digest(digest).Valid() && store.Repository(canonical(name)) == repository
	})
}

// begins tells whether an image was built on another one, and does not only share
// its first instructions with it, as images of one builder's cache do: the whole
// history of a base comes first, and it ends with a setting of its own.
func begins(i *bulwark.Image, on *store.Image) bool {
	return i != nil && on.Settled && on.Steps <= len(i.History) && store.Steps(i.History, on.Steps) == on.History
}

// canonical gives the full name of an image: registry, repository, tag.
func canonical(name string) string {
	name = strings.TrimSuffix(strings.TrimPrefix(name, "docker://"), "/")
	first, rest, slash := strings.Cut(name, "/")
	switch {
	case !slash:
		name = "docker.io/library/" + name
	case first == "index.docker.io" || first == "registry-1.docker.io":
		name = "docker.io/" + rest
	case !strings.ContainsAny(first, ".:") && first != "localhost":
		name = "docker.io/" + name
	}
	if rest, ok := strings.CutPrefix(name, "docker.io/"); ok && !strings.Contains(rest, "/") {
		name = "docker.io/library/" + rest
	}
	if store.Tag(name) == "" && !strings.Contains(name, "@") {
		name += ":latest"
	}
	return name
}

// builtOn guesses from the history how many layers the base image has: it ends
// with the last command that is not the image's own, which a base image has and
// instructions follow.
func builtOn(img *bulwark.Image, layers int) int {
	if img == nil {
		return 0
	}
	count, base, pending := 0, 0, -1
	for _, h := range img.History {
		if !h.Empty {
			if pending >= 0 {
				base, pending = pending, -1
			}
			count++
			continue
		}
		by := strings.TrimSpace(strings.TrimPrefix(h.CreatedBy, "/bin/sh -c #(nop)"))
		if strings.HasPrefix(by, "CMD") {
			pending = count
		}
	}
	if count != layers { // the history does not belong to the layers
		return 0
	}
	return base
}

// classify says what each layer is for, and who answers for it.
func classify(r *bulwark.Report) {
	layers := r.Inventory.Layers
	system, language := map[bulwark.Digest]int{}, map[bulwark.Digest]int{}
	for i := range r.Inventory.Packages {
		p := &r.Inventory.Packages[i]
		if len(p.Where) == 0 {
			continue
		}
		switch {
		case systemPackage(p):
			system[p.Where[0].Layer]++
		case p.Owner == "":
			language[p.Where[0].Layer]++
		}
	}
	based := 0
	if r.Base != nil {
		based = r.Base.Layers
	}
	begun := false // the distribution has begun
	ended := false // and ended
	for i := range layers {
		l := &layers[i]
		l.Class = class(l, system[l.DiffID], language[l.DiffID])
		inBase := i < based
		if l.Class == bulwark.LayerBaseAdded && !ended && (!begun || system[l.DiffID] > 0 && !runs(l)) {
			l.Class = bulwark.LayerBaseOS
		} else if begun {
			ended = true
		}
		begun = begun || l.Class == bulwark.LayerBaseOS
		if inBase && (l.Class == bulwark.LayerApp || l.Class == bulwark.LayerLanguage) {
			l.Class = bulwark.LayerBaseAdded // what a base image brings is its own
		}
		l.Owner = bulwark.OwnerApp
		if inBase || r.Base == nil && l.Class == bulwark.LayerBaseOS {
			l.Owner = bulwark.OwnerBase
		}
	}
}

// systemPackage tells whether a package is of the operating system.
func systemPackage(p *bulwark.Package) bool {
	kind, _, _ := strings.Cut(strings.TrimPrefix(p.PURL, "pkg:"), "/")
	switch kind {
	case "deb", "rpm", "apk", "alpm", "ebuild", "opkg":
		return true
	}
	return false
}

// runs tells whether a command made the layer, and not a copy.
func runs(l *bulwark.Layer) bool {
	by := strings.TrimSpace(l.CreatedBy)
	by = strings.TrimPrefix(by, "/bin/sh -c ")
	return !strings.HasPrefix(by, "#(nop)") && (strings.HasPrefix(by, "RUN ") || by != strings.TrimSpace(l.CreatedBy))
}

// class judges a layer by the areas of its files, and what was found in them.
// The instruction decides only when there is nothing to look at.
func class(l *bulwark.Layer, system, language int) string {
	var total int64
	for _, n := range l.Content {
		total += n
	}
	if total == 0 {
		return classByCommand(l.CreatedBy)
	}
	part := func(a string) float64 { return float64(l.Content[a]) / float64(total) }
	switch {
	case system > 0 && part(bulwark.AreaSystem) >= 0.3:
		return bulwark.LayerBaseAdded
	case language > 0 && part(bulwark.AreaLanguage) >= 0.3:
		return bulwark.LayerLanguage
	}
	// Sorted, so that equal parts always fall the same way.
	areas := slices.Sorted(maps.Keys(l.Content))
	most := slices.MaxFunc(areas, func(a, b string) int { return cmp.Compare(l.Content[a], l.Content[b]) })
	switch most {
	case bulwark.AreaSystem:
		if system == 0 && !runs(l) && part(bulwark.AreaSystem) < 1 {
			return bulwark.LayerApp // copied beside the packages
		}
		return bulwark.LayerBaseAdded
	case bulwark.AreaLanguage:
		return bulwark.LayerLanguage
	case bulwark.AreaCode:
		return bulwark.LayerApp
	case bulwark.AreaConfig:
		return bulwark.LayerConfig
	}
	return bulwark.LayerData
}

// tools are commands of package managers, and what their layers are for.
var tools = [...]struct{ word, class string }{
	{"apt-get ", bulwark.LayerBaseAdded}, {"apt ", bulwark.LayerBaseAdded}, {"apk ", bulwark.LayerBaseAdded}, {"dpkg ", bulwark.LayerBaseAdded}, {"dnf ", bulwark.LayerBaseAdded},
	{"yum ", bulwark.LayerBaseAdded}, {"microdnf ", bulwark.LayerBaseAdded}, {"zypper ", bulwark.LayerBaseAdded}, {"rpm ", bulwark.LayerBaseAdded}, {"pacman ", bulwark.LayerBaseAdded},
	{"npm ", bulwark.LayerLanguage}, {"yarn ", bulwark.LayerLanguage}, {"pnpm ", bulwark.LayerLanguage}, {"pip ", bulwark.LayerLanguage}, {"pip3 ", bulwark.LayerLanguage}, {"poetry ", bulwark.LayerLanguage},
	{"uv ", bulwark.LayerLanguage}, {"bundle ", bulwark.LayerLanguage}, {"gem ", bulwark.LayerLanguage}, {"composer ", bulwark.LayerLanguage}, {"mvn ", bulwark.LayerLanguage}, {"cargo ", bulwark.LayerLanguage},
}

func classByCommand(by string) string {
	for _, t := range tools {
		if i := strings.Index(by, t.word); i == 0 || i > 0 && (by[i-1] == ' ' || by[i-1] == ';' || by[i-1] == '&' || by[i-1] == '/') {
			return t.class
		}
	}
	return bulwark.LayerConfig
}

// remember keeps an image for those that will be built on it. Only a stack whose
// content was seen to be what it claims is worth remembering.
func (s *Scanner) remember(ctx context.Context, r *bulwark.Report, made string) error {
	if s.Images == nil || r.Artifact.Kind != bulwark.KindImage || !r.Scan.Verified || !named(&r.Artifact) {
		return nil
	}
	img := store.Image{Digest: r.Artifact.ID, Platform: r.Artifact.Platform, Created: r.Artifact.Created, Seen: r.Created, Name: canonical(r.Artifact.Name), Pulled: pulled(&r.Artifact), Made: made}
	for _, l := range r.Inventory.Layers {
		img.Layers = append(img.Layers, l.DiffID)
	}
	if i := r.Artifact.Image; i != nil && len(i.History) > 0 {
		img.Steps, img.History = len(i.History), store.Steps(i.History, len(i.History))
		img.Settled = i.History[len(i.History)-1].Empty
	}
	return s.Images.Put(ctx, &img, &r.Inventory)
}

// named tells whether an image goes by a name that others know, and not by that
// of a file.
func named(a *bulwark.Artifact) bool {
	switch a.Source {
	case "registry", "docker", "containerd", "podman":
		return a.Name != "" && len(a.Name) <= 1000
	}
	return false
}

// maxCandidates bounds the newer bases that are looked at.
const maxCandidates = 20

// Bumps gives the images of the base's repository that take away more risk than
// they bring, best first. A report without a base that was seen, and one whose
// base has no other tags, has none.
func (s *Scanner) Bumps(ctx context.Context, r *bulwark.Report) ([]bulwark.Bump, error) {
	if r.Base == nil || r.Base.By != "layers" || s.DB == nil {
		return nil, nil
	}
	list, err := s.Images.In(ctx, store.Repository(r.Base.Name))
	if err != nil {
		return nil, err
	}
	chain := bulwark.Chain(r.Inventory.Layers[:r.Base.Layers])
	here := chain[len(chain)-1]
	old := map[string]*bulwark.Finding{} // open findings of the base, by stem
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Class == bulwark.ClassVulnerability && f.Origin == bulwark.OwnerBase && f.Status.Open() {
			old[stem(f)] = f
		}
	}
	var out []bulwark.Bump
	seen := map[bulwark.Digest]bool{here: true}
	for _, img := range list {
		id := img.Chain()
		if !proven(img) {
			continue // nobody should build on what only bears the name
		}
		if seen[id] || len(seen) > maxCandidates || img.Platform != "" && r.Artifact.Platform != "" && img.Platform != r.Artifact.Platform {
			continue
		}
		seen[id] = true
		inv, err := s.Images.Inventory(id)
		if err != nil {
			continue // it was declared, not scanned
		}
		b, err := s.bump(ctx, r, old, img, inv)
		if err != nil {
			return nil, err
		}
		if b.Risk > 0 && len(b.Removes) > 0 {
			out = append(out, b)
		}
	}
	slices.SortStableFunc(out, func(a, b bulwark.Bump) int {
		return cmp.Or(cmp.Compare(b.Risk, a.Risk), compareTags(b.Image, a.Image), b.Created.Compare(a.Created), cmp.Compare(a.Image, b.Image))
	})
	return out, nil
}

func compareTags(a, b string) int {
	c, err := vers.Compare("npm", store.Tag(a), store.Tag(b))
	if err != nil {
		return 0
	}
	return c
}

// stem names a flaw of a package whatever the package's version is.
func stem(f *bulwark.Finding) string {
	name, _, _ := strings.Cut(f.Subject, "@")
	return f.Rule + "\x00" + name
}

// bump compares what is open in the base with what would be in another one.
func (s *Scanner) bump(ctx context.Context, r *bulwark.Report, old map[string]*bulwark.Finding, img *store.Image, inv *bulwark.Inventory) (bulwark.Bump, error) {
	b := bulwark.Bump{Image: img.Name, Digest: img.Digest, Created: img.Created, Removes: []string{}, Adds: []string{}}
	m, err := s.DB.Match(ctx, inv)
	if err != nil {
		return b, fmt.Errorf("match %q: %w", img.Name, err)
	}
	// What the image itself upgrades or adds stays as it is.
	own := map[string]bool{}
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Origin == bulwark.OwnerApp {
			own[stem(f)] = true
		}
	}
	still := map[string]bool{}
	for _, f := range m.Findings {
		if !f.Status.Open() {
			continue
		}
		key := stem(&f)
		if still[key] {
			continue
		}
		still[key] = true
		if old[key] == nil && !own[key] {
			b.Adds = append(b.Adds, f.Rule)
			a := m.Advisories[f.Rule]
			b.Risk -= bulwark.Risk(f.Severity, &a)
		}
	}
	for key, f := range old {
		if !still[key] {
			b.Removes = append(b.Removes, f.ID)
			b.Worst = max(b.Worst, f.Severity)
			a := r.Advisories[f.Rule]
			b.Risk += bulwark.Risk(f.Severity, &a)
		}
	}
	slices.Sort(b.Removes)
	slices.Sort(b.Adds)
	b.Adds = slices.Compact(b.Adds)
	return b, nil
}

// bumpAction makes the best bump one of the things to do.
func (s *Scanner) bumpAction(ctx context.Context, r *bulwark.Report) error {
	bumps, err := s.Bumps(ctx, r)
	if err != nil || len(bumps) == 0 {
		return err
	}
	b := bumps[0]
	a := bulwark.Action{
		Title:    fmt.Sprintf("build on %s instead of %s", b.Image, r.Base.Name),
		Command:  "FROM " + b.Image,
		Findings: b.Removes, Worst: b.Worst, Risk: b.Risk,
	}
	if plain := strings.TrimPrefix(b.Image, "docker.io/library/"); plain != b.Image {
		a.Command = "FROM " + plain
	}
	at := slices.IndexFunc(r.Actions, func(o bulwark.Action) bool { return o.Risk <= a.Risk })
	if at < 0 {
		at = len(r.Actions)
	}
	r.Actions = slices.Insert(r.Actions, at, a)
	return nil
}
