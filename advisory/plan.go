// SPDX-License-Identifier: Apache-2.0

package advisory

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory/vers"
)

// Plan gives the upgrades that remove the open findings which have a fix, most
// risk removed first. Packages that are built from one source are upgraded
// together, and to a version that has no flaw of its own with a known fix. The
// findings and advisories are those of [DB.Match]; a nil DB knows only them.
func (db *DB) Plan(inv *bulwark.Inventory, findings []bulwark.Finding, advisories map[string]bulwark.Advisory) ([]bulwark.Action, error) {
	byPURL := map[string]*bulwark.Package{}
	for i := range inv.Packages {
		p := &inv.Packages[i]
		if byPURL[p.PURL] == nil {
			byPURL[p.PURL] = p
		}
	}
	type key struct{ ecosystem, name, version string }
	type upgrade struct {
		action bulwark.Action
		key    key
		pkg    *bulwark.Package // as advisories know it
		names  []string         // of the packages
		to     string
	}
	all := map[key]*upgrade{}
	var order []*upgrade
	for i := range findings {
		f := &findings[i]
		p := byPURL[f.Subject]
		if f.Class != bulwark.ClassVulnerability || !f.Status.Open() || f.Fix == "" || p == nil {
			continue
		}
		base, _ := split(p.Ecosystem)
		k := key{p.Ecosystem, p.Name, p.Version}
		if namingOf(base) != byName {
			k.name, k.version = cmp.Or(p.Source, p.Name), cmp.Or(p.SourceVersion, p.Version)
		}
		u := all[k]
		if u == nil {
			u = &upgrade{key: k, pkg: judged(p), to: f.Fix}
			all[k] = u
			order = append(order, u)
		}
		if c, err := vers.Compare(u.pkg.Ecosystem, f.Fix, u.to); err == nil && c > 0 {
			u.to = f.Fix
		}
		if !slices.Contains(u.names, p.Name) {
			u.names = append(u.names, p.Name)
		}
		u.action.Findings = append(u.action.Findings, f.ID)
		u.action.Worst = max(u.action.Worst, f.Severity)
		a := advisories[f.Rule]
		u.action.Risk += bulwark.Risk(f.Severity, &a)
	}
	out := make([]bulwark.Action, 0, len(order))
	slices.SortFunc(order, func(a, b *upgrade) int {
		return cmp.Or(cmp.Compare(b.action.Risk, a.action.Risk), cmp.Compare(b.action.Worst, a.action.Worst),
			cmp.Compare(a.key.name, b.key.name), cmp.Compare(a.key.ecosystem, b.key.ecosystem), cmp.Compare(a.key.version, b.key.version))
	})
	for _, u := range order {
		var err error
		if u.to, err = db.clear(inv, u.pkg, u.to); err != nil {
			return nil, err
		}
		slices.Sort(u.names)
		slices.Sort(u.action.Findings)
		u.action.Findings = slices.Compact(u.action.Findings)
		u.action.Title = fmt.Sprintf("upgrade %s %s to %s", u.key.name, u.key.version, u.to)
		if u.key.ecosystem == u.pkg.Ecosystem { // a program is replaced, not its module
			u.action.Command = command(u.pkg, u.names, u.to)
		}
		out = append(out, u.action)
	}
	return out, nil
}

// maxSteps bounds how often an upgrade is moved on because its version has flaws.
const maxSteps = 8

// clear gives the first version from to on that has no flaw with a known fix, as
// far as the fixes of the flaws on the way lead there.
func (db *DB) clear(inv *bulwark.Inventory, p *bulwark.Package, to string) (string, error) {
	if db == nil {
		return to, nil
	}
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.closed {
		return "", fmt.Errorf("plan: %w", fs.ErrClosed)
	}
	for range maxSteps {
		q := *p
		q.Version, q.SourceVersion = to, to
		m := db.matcher(inv)
		if err := m.match(&q); err != nil {
			return "", fmt.Errorf("plan %q: %w", p.PURL, err)
		}
		next := to
		for _, f := range m.findings {
			if c, err := vers.Compare(p.Ecosystem, cmp.Or(f.Fix, to), next); f.Status.Open() && err == nil && c > 0 {
				next = f.Fix
			}
		}
		if next == to {
			break
		}
		to = next
	}
	return to, nil
}

// command gives what to type; "" when a name or a version has characters that a
// shell or a tool could take for something else.
func command(p *bulwark.Package, names []string, to string) string {
	base, _ := split(p.Ecosystem)
	if namingOf(base) != byName {
		for _, n := range names {
			if !plain(n) {
				return ""
			}
		}
		list := strings.Join(names[:min(len(names), 20)], " ")
		switch vers.Scheme(p.Ecosystem) {
		case "dpkg":
			return "apt-get install --only-upgrade " + list
		case "apk":
			return "apk upgrade " + list
		case "rpm":
			switch base {
			case "openSUSE", "SUSE":
				return "zypper update " + list
			case "Photon OS":
				return "tdnf update " + list
			case "Mageia":
				return "dnf upgrade " + list
			}
			return "dnf upgrade " + list
		}
		return ""
	}
	if !plain(p.Name) || !plain(to) {
		return ""
	}
	switch base {
	case "npm":
		return "npm install " + p.Name + "@" + to
	case "PyPI":
		return "pip install '" + p.Name + ">=" + to + "'"
	case "Go":
		switch p.Name {
		case "stdlib", "toolchain":
			return "go get go@" + strings.TrimPrefix(to, "v")
		}
		return "go get " + p.Name + "@v" + strings.TrimPrefix(to, "v")
	case "crates.io":
		return "cargo update -p " + p.Name + " --precise " + to
	case "RubyGems":
		return "bundle update --conservative " + p.Name
	case "Packagist":
		return "composer require " + p.Name + ":^" + to
	case "NuGet":
		return "dotnet add package " + p.Name + " --version " + to
	case "Pub":
		return "dart pub upgrade " + p.Name
	case "Hex":
		return "mix deps.update " + p.Name
	}
	return "" // the place to change is a file: pom.xml, conanfile.txt …
}

// plain tells whether s can be an argument of a command as it is.
func plain(s string) bool {
	if s == "" || len(s) > 200 || s[0] == '-' || s[0] == '~' || strings.Contains(s, "..") {
		return false
	}
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("@._+/~:-", r)) {
			return false
		}
	}
	return true
}
