// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check/benchmark"
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
	secret func() *secret.Check
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
	s := &Set{secret: once(secret.New)}
	// Every check is in this list; a new one is added here.
	for _, c := range []struct {
		wanted bool
		check  lazy
	}{
		{o.Secrets, lazy{"secret", []bulwark.Class{bulwark.ClassSecret}, func() Check { return s.secret() }}},
		{o.Images, lazy{"image", []bulwark.Class{bulwark.ClassMisconfiguration, bulwark.ClassCompliance, bulwark.ClassSecret}, later(image.New)}},
		{o.Builds, lazy{"buildfile", []bulwark.Class{bulwark.ClassMisconfiguration}, later(image.NewBuild)}},
		{o.Texts, lazy{"license", []bulwark.Class{bulwark.ClassLicense}, later(license.New)}},
		{o.Malware, lazy{"malware", []bulwark.Class{bulwark.ClassMalware}, later(o.malware)}},
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

// once makes a check when it is first needed. Its rules are part of the program
// and tested with it, or were accepted before: that they cannot be read is a fault
// of the program.
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

// Inspect gives digests, too, if the check is a Hasher.
func (l lazy) Inspect(ctx context.Context, f *bulwark.File, sum func(bulwark.FileHash)) ([]bulwark.Finding, error) {
	c := l.get()
	if h, ok := c.(Hasher); ok {
		return h.Inspect(ctx, f, sum)
	}
	return c.Check(ctx, f)
}

// WantsHead passes on what the check may refuse by a file's first bytes.
func (l lazy) WantsHead(path string, head []byte) bool {
	h, ok := l.get().(interface {
		WantsHead(path string, head []byte) bool
	})
	return !ok || h.WantsHead(path, head)
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

// Rules lists every rule that a finding may name, of all checks.
func Rules() []bulwark.Rule {
	out := lifecycle.Rules()
	for _, c := range Load(All()).Checks {
		out = append(out, c.Rules()...)
	}
	return out
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
