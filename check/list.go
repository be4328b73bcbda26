// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check/benchmark"
	"github.com/bulwark-sec/bulwark/check/function"
	"github.com/bulwark-sec/bulwark/check/image"
	"github.com/bulwark-sec/bulwark/check/license"
	"github.com/bulwark-sec/bulwark/check/lifecycle"
	"github.com/bulwark-sec/bulwark/check/malware"
	"github.com/bulwark-sec/bulwark/check/secret"
)

// A Set is the checks that a scan makes. Their rules are read when they are first
// needed. It is safe for concurrent use.
type Set struct {
	Checks []Check
	secret func() (*secret.Check, error)
}

// Options say which checks are wanted. The zero value is none.
type Options struct {
	Secrets bool // keys, tokens, passwords
	Images  bool // dangerous settings of images
	Malware bool // programs that do harm
	Builds  bool // dangerous instructions of build files
	Texts   bool // texts of licences, for Conclude

	Rules     [][]byte // further files of rules for malware; see malware.New, which has accepted them
	MD5, SHA1 bool     // digests that a Hasher gives beside SHA-256
}

// All wants every check.
func All() Options {
	return Options{Secrets: true, Images: true, Malware: true, Builds: true, Texts: true}
}

// Load gives the checks that are asked for. The rules of secrets serve Redacted
// in any case.
func Load(o Options) *Set {
	s := &Set{secret: sync.OnceValues(secret.New)}
	// Every check is in this list; a new one is added here.
	for _, c := range []struct {
		wanted bool
		check  *lazy
	}{
		{o.Secrets, later("secret", s.secret, bulwark.ClassSecret)},
		{o.Images, later("image", image.New, bulwark.ClassMisconfiguration, bulwark.ClassCompliance, bulwark.ClassSecret)},
		{o.Builds, later("buildfile", image.NewBuild, bulwark.ClassMisconfiguration)},
		{o.Texts, later("license", license.New, bulwark.ClassLicense)},
		{o.Malware, later("malware", o.malware, bulwark.ClassMalware)},
	} {
		if c.wanted {
			s.Checks = append(s.Checks, c.check)
		}
	}
	return s
}

func (o Options) malware() (*malware.Check, error) {
	return malware.New(malware.Options{Rules: o.Rules, MD5: o.MD5, SHA1: o.SHA1})
}

// lazy is a check whose rules are read when it is first asked something. Rules are
// part of the program and tested with it, or were accepted before; when they
// cannot be read all the same the check wants nothing, and its Set says so.
type lazy struct {
	name    string
	classes []bulwark.Class // of its findings
	get     func() (Check, error)
	fault   atomic.Pointer[error] // of get, once it was asked
}

func later[T Check](name string, make func() (T, error), classes ...bulwark.Class) *lazy {
	l := &lazy{name: name, classes: classes}
	l.get = sync.OnceValues(func() (Check, error) {
		c, err := make()
		if err != nil {
			err = fmt.Errorf("rules of the check %q: %w", name, err)
			l.fault.Store(&err)
			return nil, err
		}
		return c, nil
	})
	return l
}

func (l *lazy) Name() string { return l.name }

func (l *lazy) Wants(path string, st bulwark.Stat) bool {
	c, err := l.get()
	return err == nil && c.Wants(path, st)
}

func (l *lazy) Rules() []bulwark.Rule {
	c, err := l.get()
	if err != nil {
		return nil
	}
	return c.Rules()
}

func (l *lazy) Check(ctx context.Context, f *bulwark.File) ([]bulwark.Finding, error) {
	c, err := l.get()
	if err != nil {
		return nil, err
	}
	return c.Check(ctx, f)
}

// Inspect gives digests, too, if the check is a Hasher.
func (l *lazy) Inspect(ctx context.Context, f *bulwark.File, sum func(bulwark.FileHash)) ([]bulwark.Finding, error) {
	c, err := l.get()
	if err != nil {
		return nil, err
	}
	if h, ok := c.(Hasher); ok {
		return h.Inspect(ctx, f, sum)
	}
	return c.Check(ctx, f)
}

// Reveal gives secrets in clear, if the check is a Revealer.
func (l *lazy) Reveal(ctx context.Context, f *bulwark.File) ([]Raw, error) {
	c, err := l.get()
	if err != nil {
		return nil, err
	}
	if r, ok := c.(Revealer); ok {
		return r.Reveal(ctx, f)
	}
	return nil, nil
}

// WantsHead passes on what the check may refuse by a file's first bytes.
func (l *lazy) WantsHead(path string, head []byte) bool {
	c, err := l.get()
	h, ok := c.(interface {
		WantsHead(path string, head []byte) bool
	})
	return err == nil && (!ok || h.WantsHead(path, head))
}

// Faults gives why checks that were asked something did not look at anything.
func (s *Set) Faults() []error {
	var out []error
	for _, c := range s.Checks {
		if l, ok := c.(*lazy); ok {
			if err := l.fault.Load(); err != nil {
				out = append(out, *err)
			}
		}
	}
	return out
}

// Licenses gives packages that declare no licence one from the texts that lie
// beside them, the findings about licences that ask for a decision, and the rules
// that say why. texts are the findings about files of class license; packages are
// changed in a copy.
func Licenses(pkgs []bulwark.Package, texts []bulwark.Finding) ([]bulwark.Package, []bulwark.Finding, []bulwark.Rule) {
	pkgs, rest := license.Conclude(pkgs, texts)
	return pkgs, append(license.Findings(pkgs, license.Options{}), rest...), license.Rules()
}

// Lifecycle gives what gets no security fixes any more, or soon none: runtimes
// among the packages, and the distribution's release when its last day is known;
// os is nil when it is not. The rules say why.
func Lifecycle(pkgs []bulwark.Package, os *bulwark.OS, last, now time.Time) ([]bulwark.Finding, []bulwark.Rule) {
	return append(lifecycle.OS(os, last, now), lifecycle.Findings(pkgs, now)...), lifecycle.Rules()
}

// Packages gives what is wrong with an image having these packages, and the
// rules that say why.
func Packages(a *bulwark.Artifact, pkgs []bulwark.Package) ([]bulwark.Finding, []bulwark.Rule) {
	return image.Packages(a, pkgs), []bulwark.Rule{image.PackageRule()}
}

// A Looked says what was looked for; see [Benchmark].
type Looked = benchmark.Looked

// Benchmarks names the benchmarks that Benchmark knows.
func Benchmarks() []string { return []string{benchmark.Name} }

// Benchmark says of each recommendation of a benchmark whether the artifact of a
// finished report follows it. It is [bulwark.ErrUsage] for a name that is not in
// Benchmarks.
func Benchmark(name string, r *bulwark.Report, l Looked) ([]bulwark.Control, error) {
	if name != benchmark.Name {
		return nil, fmt.Errorf("benchmark %q: %w", name, bulwark.ErrUsage)
	}
	return benchmark.Judge(r, l), nil
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
func (s *Set) Environment(list []bulwark.Function) ([]bulwark.Function, []bulwark.Finding, []bulwark.Rule, error) {
	if len(list) == 0 {
		return nil, nil, nil, nil
	}
	rules, err := s.secret()
	if err != nil {
		return nil, nil, nil, fmt.Errorf("redact: %w", err)
	}
	var found []bulwark.Finding
	list = slices.Clone(list)
	for i := range list {
		f := &list[i]
		clean := rules.RedactEnv(f.Env)
		for k := range clean {
			if name, _, ok := strings.Cut(f.Env[k], "="); ok && clean[k] != f.Env[k] {
				found = append(found, function.Secret(f, name))
			}
		}
		f.Env = clean
	}
	return list, found, function.Rules()[2:], nil
}

// Image gives what the checks find in an image's configuration.
func (s *Set) Image(ctx context.Context, a *bulwark.Artifact) ([]bulwark.Finding, error) {
	var out []bulwark.Finding
	for _, c := range s.Checks {
		if l, ok := c.(*lazy); ok {
			var err error
			if c, err = l.get(); err != nil {
				return out, err
			}
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

// RevealImage gives in clear the secrets in an image's configuration that Image
// found.
func (s *Set) RevealImage(ctx context.Context, a *bulwark.Artifact) ([]Raw, error) {
	rules, err := s.secret()
	if err != nil {
		return nil, fmt.Errorf("reveal: %w", err)
	}
	return rules.RevealImage(ctx, a)
}

// Rules gives by id the rules of the checks that may have made the findings.
func (s *Set) Rules(found []bulwark.Finding) (map[string]bulwark.Rule, error) {
	out := map[string]bulwark.Rule{}
	for _, c := range s.Checks {
		if l, ok := c.(*lazy); ok && !slices.ContainsFunc(found, func(f bulwark.Finding) bool { return slices.Contains(l.classes, f.Class) }) {
			continue
		}
		for _, r := range c.Rules() {
			out[r.ID] = r
		}
	}
	return out, errors.Join(s.Faults()...)
}

// Every gives all rules of all checks.
func Every() ([]bulwark.Rule, error) {
	s := Load(All())
	out := append(lifecycle.Rules(), function.Rules()...)
	known := map[string]bool{}
	for _, c := range s.Checks {
		for _, r := range c.Rules() { // those of images serve build files, too
			if !known[r.ID] {
				out, known[r.ID] = append(out, r), true
			}
		}
	}
	return out, errors.Join(s.Faults()...)
}

// Redacted gives a copy of an image's configuration without the secrets in it.
// Nil stays nil. The error says that the rules cannot be read.
func (s *Set) Redacted(i *bulwark.Image) (*bulwark.Image, error) {
	if i == nil {
		return nil, nil
	}
	rules, err := s.secret()
	if err != nil {
		return nil, fmt.Errorf("redact: %w", err)
	}
	clean := func(list []string) []string {
		list = slices.Clone(list)
		for k := range list {
			list[k] = rules.Redact(list[k])
		}
		return list
	}
	out := *i
	out.Env = rules.RedactEnv(i.Env)
	out.Labels = maps.Clone(i.Labels)
	for k, v := range out.Labels {
		if _, red, ok := strings.Cut(rules.RedactEnv([]string{k + "=" + v})[0], "="); ok {
			out.Labels[k] = red
		}
	}
	out.Entrypoint, out.Cmd, out.Healthcheck = clean(i.Entrypoint), clean(i.Cmd), clean(i.Healthcheck)
	out.History = slices.Clone(i.History)
	for k := range out.History {
		h := &out.History[k]
		h.CreatedBy, h.Comment = rules.Redact(h.CreatedBy), rules.Redact(h.Comment)
	}
	return &out, nil
}

// RedactLine takes the secrets out of one line of text. The error says that the
// rules cannot be read.
func (s *Set) RedactLine(line string) (string, error) {
	rules, err := s.secret()
	if err != nil {
		return "", fmt.Errorf("redact: %w", err)
	}
	return rules.Redact(line), nil
}
