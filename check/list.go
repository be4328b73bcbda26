// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check/function"
	"github.com/bulwark-sec/bulwark/check/image"
	"github.com/bulwark-sec/bulwark/check/license"
	"github.com/bulwark-sec/bulwark/check/malware"
	"github.com/bulwark-sec/bulwark/check/secret"
)

// A Set is the checks that a scan makes. Their rules are read when they are first
// needed. It is safe for concurrent use.
type Set struct {
	Checks []Check
	secret func() *secret.Check
}

// Options say which checks are wanted. The zero value is none.
type Options struct {
	Secrets bool // keys, tokens, passwords
	Images  bool // dangerous settings of images
	Malware bool // programs that do harm
}

// All wants every check.
func All() Options { return Options{true, true, true} }

// Load gives the checks that are asked for. The rules of secrets serve Redacted
// in any case.
func Load(o Options) *Set {
	s := &Set{secret: once(secret.New)}
	// Every check is in this list; a new one is added here.
	for _, c := range []struct {
		wanted bool
		check  lazy
	}{
		{o.Secrets, lazy{"secret", []bulwark.Class{bulwark.ClassSecret}, func() Check { return s.secret() }}},
		{o.Images, lazy{"image", []bulwark.Class{bulwark.ClassMisconfiguration, bulwark.ClassCompliance, bulwark.ClassSecret}, later(image.New)}},
		{o.Malware, lazy{"malware", []bulwark.Class{bulwark.ClassMalware}, later(func() (*malware.Check, error) { return malware.New(malware.Options{}) })}},
	} {
		if c.wanted {
			s.Checks = append(s.Checks, c.check)
		}
	}
	return s
}

// once makes a check when it is first needed. Its rules are part of the program
// and tested with it: that they cannot be read is a fault of the build.
func once[T any](make func() (T, error)) func() T {
	return sync.OnceValue(func() T {
		c, err := make()
		if err != nil {
			panic(err)
		}
		return c
	})
}

func later[T Check](make func() (T, error)) func() Check {
	get := once(make)
	return func() Check { return get() }
}

// lazy is a check whose rules are read when it is first asked something.
type lazy struct {
	name    string
	classes []bulwark.Class // of its findings
	get     func() Check
}

func (l lazy) Name() string                            { return l.name }
func (l lazy) Wants(path string, st bulwark.Stat) bool { return l.get().Wants(path, st) }
func (l lazy) Rules() []bulwark.Rule                   { return l.get().Rules() }

func (l lazy) Check(ctx context.Context, f *bulwark.File) ([]bulwark.Finding, error) {
	return l.get().Check(ctx, f)
}

// WantsHead passes on what the check may refuse by a file's first bytes.
func (l lazy) WantsHead(path string, head []byte) bool {
	h, ok := l.get().(interface {
		WantsHead(path string, head []byte) bool
	})
	return !ok || h.WantsHead(path, head)
}

// Licenses gives the packages whose licences ask for a decision, and the rules
// that say why. It is a function of the packages alone.
func Licenses(pkgs []bulwark.Package) ([]bulwark.Finding, []bulwark.Rule) {
	return license.Findings(pkgs, license.Options{}), license.Rules()
}

// Functions gives what is wrong with serverless functions at the time now, and
// the rules that say why: it is a function of what is known of them.
func Functions(list []bulwark.Function, now time.Time) ([]bulwark.Finding, []bulwark.Rule) {
	return function.Findings(list, now), function.Rules()[:2]
}

// Runtime tells whether the dates of a function's runtime are known, and whose
// it is; a provider of "" is looked for.
func Runtime(provider, name string) (whose string, ok bool) { return function.Known(provider, name) }

// Environment gives the secrets in the environments of functions, the rules that
// say why they are wrong, and the functions without them.
func (s *Set) Environment(list []bulwark.Function) ([]bulwark.Function, []bulwark.Finding, []bulwark.Rule) {
	var found []bulwark.Finding
	list = slices.Clone(list)
	for i := range list {
		f := &list[i]
		clean := s.secret().RedactEnv(f.Env)
		for k := range clean {
			if name, _, ok := strings.Cut(f.Env[k], "="); ok && clean[k] != f.Env[k] {
				found = append(found, function.Secret(f, name))
			}
		}
		f.Env = clean
	}
	return list, found, function.Rules()[2:]
}

// Image gives what the checks find in an image's configuration.
func (s *Set) Image(ctx context.Context, a *bulwark.Artifact) ([]bulwark.Finding, error) {
	var out []bulwark.Finding
	for _, c := range s.Checks {
		if l, ok := c.(lazy); ok {
			c = l.get()
		}
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

// Rules gives by id the rules of the checks that may have made the findings.
func (s *Set) Rules(found []bulwark.Finding) map[string]bulwark.Rule {
	out := map[string]bulwark.Rule{}
	for _, c := range s.Checks {
		if l, ok := c.(lazy); ok && !slices.ContainsFunc(found, func(f bulwark.Finding) bool { return slices.Contains(l.classes, f.Class) }) {
			continue
		}
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
			list[k] = s.secret().Redact(list[k])
		}
		return list
	}
	out := *i
	out.Env = s.secret().RedactEnv(i.Env)
	out.Labels = maps.Clone(i.Labels)
	for k, v := range out.Labels {
		if _, red, ok := strings.Cut(s.secret().RedactEnv([]string{k + "=" + v})[0], "="); ok {
			out.Labels[k] = red
		}
	}
	out.Entrypoint, out.Cmd, out.Healthcheck = clean(i.Entrypoint), clean(i.Cmd), clean(i.Healthcheck)
	out.History = slices.Clone(i.History)
	for k := range out.History {
		h := &out.History[k]
		h.CreatedBy, h.Comment = s.secret().Redact(h.CreatedBy), s.secret().Redact(h.Comment)
	}
	return &out
}

// RedactLine takes the secrets out of one line of text.
func (s *Set) RedactLine(line string) string { return s.secret().Redact(line) }
