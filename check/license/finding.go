// SPDX-License-Identifier: Apache-2.0

package license

import (
	"fmt"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// Options say which findings are wanted. The zero value gives those that ask for
// a decision.
type Options struct {
	All bool // findings for harmless classes and for packages that declare nothing, too
}

// ruleUndeclared is for packages that say nothing.
const ruleUndeclared = "license/undeclared"

// Rules lists every rule that a finding may name, worst first.
func Rules() []bulwark.Rule {
	var out []bulwark.Rule
	for _, r := range Risks() {
		title, description, remedy := r.words()
		out = append(out, bulwark.Rule{
			ID: r.rule(), Class: bulwark.ClassLicense, Title: title, Severity: r.Severity(), Description: description, Remedy: remedy,
			References: []string{"https://spdx.org/licenses/", "https://github.com/google/licenseclassifier"},
		})
	}
	return append(out, bulwark.Rule{
		ID: ruleUndeclared, Class: bulwark.ClassLicense, Title: "Package without a declared licence", Severity: bulwark.SeverityUnknown,
		Description: "The package's own data name no licence. Without one, nobody but its owner may use it.",
		Remedy:      "look into the package's files and source for its licence",
		References:  []string{"https://spdx.org/licenses/"},
	})
}

func (r Risk) rule() string { return "license/" + r.String() }

func (r Risk) words() (title, description, remedy string) {
	switch r {
	case Forbidden:
		return "Licence that rules out a use", "The licence forbids a use: commercial, competing with its owner, or in production.", "replace the package, or buy a licence that allows the use"
	case Restricted:
		return "Strong copyleft licence", "Whoever passes on a program with this software in it must publish the whole program under the same terms; the AGPL asks it of network services, too.", "keep it apart from code that is not published, publish the source, or replace the package"
	case Reciprocal:
		return "Weak copyleft licence", "Whoever passes on changed files of this software must publish the changes under the same terms.", "publish changes to its files with their source, or use it unchanged"
	case Notice:
		return "Licence that asks for a notice", "Copies must keep the copyright notice and the text of the licence.", "ship the notices with the image"
	case Permissive:
		return "Permissive licence", "The licence has no condition that ordinary use could break.", "nothing needs to be done"
	case Unencumbered:
		return "Public domain or its like", "The owners gave up their rights as far as the law lets them.", "nothing needs to be done"
	}
	return "Licence that cannot be read", "The package names terms that are not in the SPDX list, so nobody knows from its data what they allow.", "read the terms, and add an exception with the reason when they are in order"
}

// Findings gives one finding for each package whose licences ask for a decision:
// forbidden, restricted, reciprocal or unknown; for every package when all are
// wanted. It is a function of pkgs alone. Severities are those of the classes; of
// several licences the least counts where one may choose, the worst where all
// hold. The subject is the package's purl, and the evidence says what was
// declared and how it was read.
func Findings(pkgs []bulwark.Package, o Options) []bulwark.Finding {
	var out []bulwark.Finding
	seen := map[string]bool{}
	read := map[string]Expression{} // packages of one source declare the same
	for i := range pkgs {
		p := &pkgs[i]
		subject := p.PURL
		if subject == "" {
			subject = p.Name
		}
		key := fmt.Sprint(allOf(p), "\x00", strings.Join(p.Licenses, "\x00"))
		e, ok := read[key]
		if !ok {
			e = Package(p)
			read[key] = e
		}
		text := p.Concluded
		if !e.Zero() {
			text = nil
		} else if text != nil {
			e = concluded(text)
		}
		risk := e.Risk()
		rule := risk.rule()
		switch {
		case e.Zero():
			rule = ruleUndeclared
			if !o.All {
				continue
			}
		case !o.All && !risk.Risky() && risk != Unknown:
			continue
		}
		id := bulwark.FindingID(bulwark.ClassLicense, rule, subject)
		if seen[id] {
			continue
		}
		seen[id] = true
		_, _, remedy := risk.words()
		if e.Zero() {
			remedy = "look into the package's files and source for its licence"
		}
		f := bulwark.Finding{
			ID: id, Class: bulwark.ClassLicense, Rule: rule, Severity: risk.Severity(), Subject: subject, Fix: remedy,
		}
		detail := reason(e, risk, p.Licenses)
		if text != nil {
			detail = fmt.Sprintf("%s: %s; nothing is declared, and %d %% of %q is its text", clipText(e.String()), risk, text.Percent, text.Path)
		}
		for _, w := range p.Where {
			f.Evidence = append(f.Evidence, bulwark.Evidence{Location: w, Detail: detail})
			if len(f.Evidence) == maxEvidence {
				break
			}
		}
		if len(f.Evidence) == 0 {
			f.Evidence = []bulwark.Evidence{{Detail: detail}}
		}
		out = append(out, f)
	}
	return out
}

// maxEvidence bounds the places of one package that are shown.
const maxEvidence = 4

// Package reads the licences that p declares, in the meaning of its ecosystem.
func Package(p *bulwark.Package) Expression {
	terms := AnyOf
	if allOf(p) {
		terms = AllOf
	}
	return Declared(p.Licenses, terms)
}

// allOf tells whether several licences of p all hold: packages of distributions
// name the licence of each part, those of languages the ones to choose from.
func allOf(p *bulwark.Package) bool {
	kind, _, _ := strings.Cut(strings.TrimPrefix(p.PURL, "pkg:"), "/")
	switch kind {
	case "deb", "rpm", "apk", "apkg", "alpm", "ebuild", "opkg", "ipk", "nix", "snap", "flatpak":
		return true
	}
	return false
}

// reason says what was declared, how it was read, and which licences made the
// class.
func reason(e Expression, risk Risk, list []string) string {
	if e.Zero() {
		return "no licence is declared"
	}
	text := clipText(e.String())
	said := clipText(strings.Join(list, "; "))
	if text != said {
		text += " (declared " + said + ")"
	}
	text += ": " + risk.String()
	var because []string
	e.each(func(t Expression) {
		if known().risk(t) == risk && len(because) < 4 {
			because = append(because, t.String())
		}
	})
	if e.op != single && len(because) > 0 {
		text += " by " + clipText(strings.Join(because, ", "))
	}
	if unread := e.unread(); len(unread) > 0 && risk != Unknown {
		text += "; not read: " + clipText(strings.Join(unread, ", "))
	}
	return text
}

// clipText bounds one part of a sentence.
func clipText(s string) string {
	const most = 240
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strings.ToValidUTF8(s, "�")
}
