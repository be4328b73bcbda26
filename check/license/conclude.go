// SPDX-License-Identifier: Apache-2.0

package license

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// sure is the share of a file, in percent, that must be the text of licences for
// a package to get its licence from it.
const sure = 75

// said is what the evidence of a text says; heard reads it.
func said(e Expression, risk Risk, length, size int) string {
	return fmt.Sprintf("%s: %s; %d of %d bytes are the text of licences", e, risk, length, size)
}

func heard(detail string) (e Expression, percent int, ok bool) {
	expr, rest, ok := strings.Cut(detail, ": ")
	_, rest, ok2 := strings.Cut(rest, "; ")
	var length, size int
	if _, err := fmt.Sscanf(rest, "%d of %d bytes", &length, &size); !ok || !ok2 || err != nil || size <= 0 || length < 0 || length > size || size > maxText {
		return e, 0, false
	}
	e, err := Parse(expr)
	return e, length * 100 / size, err == nil
}

// A beside is the text of a licence beside a package.
type beside struct {
	path    string
	license Expression
	percent int
	named   bool // after its licence: LICENSE-MIT
}

// Conclude gives packages that declare no licence one from the texts beside them,
// and what is left: findings about texts of risky licences that belong to no
// package. texts are findings of [Check.Check]. Packages are changed in a copy.
// A package takes only what lies in a directory that is its own; files that
// speak of many packages, such as lock files, have none.
func Conclude(pkgs []bulwark.Package, texts []bulwark.Finding) ([]bulwark.Package, []bulwark.Finding) {
	if len(texts) == 0 {
		return pkgs, nil
	}
	homes := map[string]int{}
	for i := range pkgs {
		for _, w := range pkgs[i].Where {
			home, ok := homeOf(&pkgs[i], w.Path)
			if !ok {
				continue
			}
			if j, taken := homes[home]; taken && j != i && pkgs[max(j, 0)].Name != pkgs[i].Name {
				homes[home] = -1 // of two packages: nobody's
			} else if !taken {
				homes[home] = i
			}
		}
	}
	found := map[int][]beside{}
	var rest []bulwark.Finding
	for _, f := range texts {
		i, ok := owner(homes, f.Subject)
		if ok && len(f.Evidence) > 0 {
			if e, percent, ok := heard(f.Evidence[0].Detail); ok && percent >= sure && i >= 0 {
				found[i] = append(found[i], beside{f.Subject, e, percent, strings.ContainsAny(path.Base(f.Subject), "-_") && strings.HasPrefix(strings.ToUpper(path.Base(f.Subject)), "LICEN")})
			}
			continue
		}
		if f.Severity > bulwark.SeverityLow {
			rest = append(rest, f)
		}
	}
	if len(found) == 0 {
		return pkgs, rest
	}
	pkgs = slices.Clone(pkgs)
	for i, list := range found {
		if p := &pkgs[i]; Package(p).Zero() {
			p.Concluded = joined(list)
		}
	}
	return pkgs, rest
}

// joined makes one licence of the texts beside a package. Files that are named
// after their licences are meant to choose from; others all hold.
func joined(list []beside) *bulwark.Concluded {
	slices.SortFunc(list, func(a, b beside) int { return strings.Compare(a.path, b.path) })
	op := or
	out := &bulwark.Concluded{Path: list[0].path, Percent: 100}
	var terms []Expression
	for _, b := range list {
		if !b.named {
			op = and
		}
		out.Percent = min(out.Percent, b.percent)
		if !slices.ContainsFunc(terms, func(e Expression) bool { return e.String() == b.license.String() }) && len(terms) < maxBeside {
			terms = append(terms, b.license)
		}
	}
	out.License = join(op, terms).String()
	return out
}

// maxBeside bounds the licences of one package.
const maxBeside = 16

// concluded reads what Conclude wrote.
func concluded(c *bulwark.Concluded) Expression {
	e, err := Parse(c.License)
	if err != nil {
		return Expression{}
	}
	return e
}

// owner gives the package that a text lies beside, or in a folder for licences
// of; -1 is several.
func owner(homes map[string]int, file string) (int, bool) {
	dir := path.Dir(file)
	for range 3 {
		if i, ok := homes[dir]; ok {
			return i, true
		}
		switch strings.ToLower(path.Base(dir)) {
		case "licenses", "license", "licences", "licence":
			dir = path.Dir(dir)
		default:
			return 0, false
		}
	}
	return 0, false
}

// homeOf gives the directory that is a package's own, by the file that it was
// found in.
func homeOf(p *bulwark.Package, file string) (string, bool) {
	if file == "" || strings.Contains(file, "!/") {
		return "", false
	}
	dir, base := path.Dir(file), path.Base(file)
	switch base {
	case "package.json", "METADATA", "PKG-INFO", "DESCRIPTION", "Cargo.toml", "pubspec.yaml", "META.json", "META.yml", "opam":
		return dir, true
	case "installed.json": // of Composer: vendor/composer/installed.json speaks of vendor/NAME
		if strings.HasPrefix(p.PURL, "pkg:composer/") && path.Base(dir) == "composer" {
			return path.Join(path.Dir(dir), p.Name), true
		}
	}
	switch path.Ext(base) {
	case ".gemspec":
		if path.Base(dir) == "specifications" {
			return path.Join(path.Dir(dir), "gems", strings.TrimSuffix(base, ".gemspec")), true
		}
		return dir, true
	case ".nuspec", ".cabal", ".rockspec":
		return dir, true
	}
	return "", false
}
