// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check/image"
	"github.com/bulwark-sec/bulwark/check/license"
	"github.com/bulwark-sec/bulwark/check/malware"
	"github.com/bulwark-sec/bulwark/check/secret"
)

// A Set is the checks that a scan makes, ready for use. It is safe for
// concurrent use.
type Set struct {
	Checks []Check
	secret *secret.Check
}

// Options say which checks are wanted. The zero value is none.
type Options struct {
	Secrets bool // keys, tokens, passwords
	Images  bool // dangerous settings of images
	Malware bool // programs that do harm
}

// All wants every check.
func All() Options { return Options{true, true, true} }

// Load reads the rules of all checks that are asked for. The rules of secrets
// serve Redacted in any case.
func Load(o Options) (*Set, error) {
	sec, err := secret.New()
	if err != nil {
		return nil, err
	}
	img, err := image.New()
	if err != nil {
		return nil, err
	}
	var mal Check
	if o.Malware { // its rules are many, and serve nothing else
		if mal, err = malware.New(malware.Options{}); err != nil {
			return nil, err
		}
	}
	// Every check is in this list; a new one is added here.
	s := &Set{secret: sec}
	for _, c := range []struct {
		wanted bool
		check  Check
	}{
		{o.Secrets, sec},
		{o.Images, img},
		{o.Malware, mal},
	} {
		if c.wanted {
			s.Checks = append(s.Checks, c.check)
		}
	}
	return s, nil
}

// Licenses gives the packages whose licences ask for a decision, and the rules
// that say why. It is a function of the packages alone.
func Licenses(pkgs []bulwark.Package) ([]bulwark.Finding, []bulwark.Rule) {
	return license.Findings(pkgs, license.Options{}), license.Rules()
}

// Image gives what the checks find in an image's configuration.
func (s *Set) Image(ctx context.Context, a *bulwark.Artifact) ([]bulwark.Finding, error) {
	var out []bulwark.Finding
	for _, c := range s.Checks {
		if ic, ok := c.(ImageCheck); ok {
			found, err := ic.Image(ctx, a)
			if err != nil {
				return out, err
			}
			out = append(out, found...)
		}
	}
	return out, nil
}

// Rules gives the rules of the checks by id.
func (s *Set) Rules() map[string]bulwark.Rule {
	out := map[string]bulwark.Rule{}
	for _, c := range s.Checks {
		for _, r := range c.Rules() {
			out[r.ID] = r
		}
	}
	return out
}

// Redacted gives a copy of an image's configuration without the secrets in it.
// Nil stays nil.
func (s *Set) Redacted(i *bulwark.Image) *bulwark.Image {
	if i == nil {
		return nil
	}
	clean := func(list []string) []string {
		list = slices.Clone(list)
		for k := range list {
			list[k] = s.secret.Redact(list[k])
		}
		return list
	}
	out := *i
	out.Env = s.secret.RedactEnv(i.Env)
	out.Labels = maps.Clone(i.Labels)
	for k, v := range out.Labels {
		if _, red, ok := strings.Cut(s.secret.RedactEnv([]string{k + "=" + v})[0], "="); ok {
			out.Labels[k] = red
		}
	}
	out.Entrypoint, out.Cmd, out.Healthcheck = clean(i.Entrypoint), clean(i.Cmd), clean(i.Healthcheck)
	out.History = slices.Clone(i.History)
	for k := range out.History {
		h := &out.History[k]
		h.CreatedBy, h.Comment = s.secret.Redact(h.CreatedBy), s.secret.Redact(h.Comment)
	}
	return &out
}

// RedactLine takes the secrets out of one line of text.
func (s *Set) RedactLine(line string) string { return s.secret.Redact(line) }
