// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/signing"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/policy/bundle"
	"github.com/bulwark-sec/bulwark/policy/lib"
	"github.com/bulwark-sec/bulwark/policy/policytest"
)

// policySources say where policies come from.
type policySources struct {
	policies, keys []string
}

func (o *policySources) add(f *pflag.FlagSet) {
	f.StringSliceVar(&o.policies, "policy", nil, `file or directory of policies, a signed bundle, or "default" for the shipped ones; may be repeated (documents in .bulwark/ are read, too)`)
	f.StringSliceVar(&o.keys, "policy-key", nil, "public key that a bundle of policies must be signed with; may be repeated")
}

// gateFlags say what a report must hold to pass.
type gateFlags struct {
	policySources
	failOn        string
	ignoreUnfixed bool
	allowStarter  bool
	staleAfter    time.Duration
	labels        []string
	stage         string
	record        string
}

func (o *gateFlags) add(f *pflag.FlagSet) {
	f.StringVar(&o.failOn, "fail-on", "", "fail when a finding of this severity or worse is open: critical, high, medium, low")
	f.BoolVar(&o.ignoreUnfixed, "ignore-unfixed", false, "vulnerabilities without a fix do not fail --fail-on")
	o.policySources.add(f)
	o.addAbout(f)
	f.StringVar(&o.record, "record-inputs", "", "append every input that policies were asked about to this file, for bulwark policy replay")
}

// addAbout adds what is said of what is judged.
func (o *gateFlags) addAbout(f *pflag.FlagSet) {
	f.StringSliceVar(&o.labels, "label", nil, "NAME=VALUE of what is judged, for the scope of policies; may be repeated")
	f.StringVar(&o.stage, "stage", string(bulwark.StageBuild), "stage that policies are asked about: build, registry, admit, run")
}

func (o *gateFlags) addTrust(f *pflag.FlagSet) {
	f.BoolVar(&o.allowStarter, "allow-starter", false, "accept an answer from the embedded starter set: no exit code 3 for it")
	f.DurationVar(&o.staleAfter, "stale-after", policy.DefaultStaleAfter, "age of the database from which on the exit code is 3; 0 is never")
}

// gateOf makes a judge without policies of what was typed.
func gateOf(o *gateFlags) (policy.Judge, error) {
	j := policy.Judge{Stage: bulwark.Stage(cmp.Or(o.stage, string(bulwark.StageBuild))), Trust: policy.Trust{AllowStarter: o.allowStarter, StaleAfter: o.staleAfter}}
	if o.staleAfter == 0 {
		j.Trust.StaleAfter = -1
	}
	if !slices.Contains(bulwark.Stages(), j.Stage) {
		return j, fmt.Errorf("--stage %q: it is build, registry, admit or run: %w", o.stage, bulwark.ErrUsage)
	}
	var err error
	if j.Labels, err = parseLabels(o.labels); err != nil {
		return j, err
	}
	return j, nil
}

// judge makes a judge of what was typed.
func (p *program) judge(o *gateFlags) (policy.Judge, error) {
	j, err := gateOf(o)
	if err != nil {
		return j, err
	}
	sources, err := p.sources(&o.policySources)
	if err != nil {
		return j, err
	}
	f := policy.Flags{IgnoreUnfixed: o.ignoreUnfixed}
	if o.failOn != "" {
		if f.FailOn, err = bulwark.ParseSeverity(o.failOn); err != nil {
			return j, severityHint(fmt.Errorf("--fail-on: %w", err))
		}
		if f.FailOn == bulwark.SeverityUnknown {
			f.FailOn, f.FailUnknown = bulwark.SeverityNegligible, true
		}
	}
	if s, ok := f.Source(); ok {
		sources = append(sources, s)
	}
	if o.record != "" {
		j.Record = recorder(o.record)
	}
	if len(sources) == 0 {
		return j, nil
	}
	j.Set, err = policy.Load(sources)
	return j, err
}

// parseLabels reads NAME=VALUE; without any it gives nil.
func parseLabels(list []string) (map[string]string, error) {
	var out map[string]string
	for _, l := range list {
		name, value, ok := strings.Cut(l, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--label %q: NAME=VALUE is wanted: %w", l, bulwark.ErrUsage)
		}
		if out == nil {
			out = map[string]string{}
		}
		out[name] = value
	}
	return out, nil
}

// recorder appends inputs to a file, one JSON line each.
func recorder(name string) func(policy.Input) error {
	// It is opened for the first input and closed by the end of the program: a report
	// has thousands.
	open := sync.OnceValues(func() (*os.File, error) {
		return os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	})
	return func(in policy.Input) error {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("record an input: %w", err)
		}
		f, err := open()
		if err == nil {
			_, err = f.Write(append(b, '\n'))
		}
		if err != nil {
			return fmt.Errorf("record an input: %w", err)
		}
		return nil
	}
}

// localPolicies is the folder whose documents are read without being named.
const localPolicies = ".bulwark"

// sources gives the documents that were named, and those of the working directory.
func (p *program) sources(o *policySources) ([]policy.Source, error) {
	var out []policy.Source
	for _, name := range o.policies {
		list, err := p.someNamed(name, o.keys)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	local, err := documents(localPolicies)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, s := range local {
		// A folder that was named is somebody's word, not the scanned repository's.
		if s.Local = true; !slices.ContainsFunc(out, func(x policy.Source) bool { return sameSource(x, s) }) {
			out = append(out, s)
		}
	}
	return out, nil
}

// sameSource tells whether two sources are one file that was named twice. A file of
// a bundle may have the name of another one here.
func sameSource(a, b policy.Source) bool {
	x, err := filepath.Abs(a.Name)
	if err != nil {
		return false
	}
	y, err := filepath.Abs(b.Name)
	return err == nil && x == y && bytes.Equal(a.Data, b.Data)
}

// someNamed gives the documents that named gives, of which there must be some: where
// nothing is asked everything passes.
func (p *program) someNamed(name string, keys []string) ([]policy.Source, error) {
	list, err := p.named(name, keys)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(list, func(s policy.Source) bool { return !onlyComments(s.Data) }) {
		return nil, &bulwark.Hint{Err: fmt.Errorf("%q: no documents of policies: %w", name, bulwark.ErrNotFound), Next: "they are in files that end in .yaml or .yml"}
	}
	return list, nil
}

// onlyComments tells whether a file has no document.
func onlyComments(b []byte) bool {
	for line := range bytes.Lines(bytes.TrimPrefix(b, []byte("\ufeff"))) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' && string(line) != "---" && string(line) != "..." {
			return false
		}
	}
	return true
}

// named gives the documents of a file, a directory, an archive, a bundle, or the
// shipped ones.
func (p *program) named(name string, keys []string) ([]policy.Source, error) {
	if name == "default" {
		var out []policy.Source
		for _, f := range lib.Files() {
			out = append(out, policy.Source{Name: f.Name, Data: f.Data})
		}
		return out, nil
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, &bulwark.Hint{Err: fmt.Errorf("--policy: %w", err), Next: `name a file or directory of policies, a bundle, or "default"`}
	}
	if info.IsDir() {
		return documents(name)
	}
	b, err := readFile(name)
	if err != nil {
		return nil, err
	}
	if filepath.Ext(name) == ".txtar" {
		out, _, err := policytest.Archive(b)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
		return out, nil
	}
	if !bundled(b) {
		return []policy.Source{{Name: name, Data: b}}, nil
	}
	trusted, err := policyKeys(keys)
	if err != nil {
		return nil, err
	}
	bd, err := bundle.Read(bytes.NewReader(b), int64(len(b)), trusted)
	if err != nil {
		return nil, bundleHint(name, err, len(trusted))
	}
	var out []policy.Source
	for _, f := range bd.Files {
		out = append(out, policy.Source{Name: f.Name, Data: f.Data})
	}
	return out, nil
}

// policyKeys reads the public keys that bundles must be signed with: files, or keys
// as they are written.
func policyKeys(names []string) ([]ed25519.PublicKey, error) {
	list, err := (&pins{typed: names}).list()
	if err != nil {
		return nil, fmt.Errorf("--policy-key: %w", err)
	}
	var out []ed25519.PublicKey
	for _, text := range list {
		key, err := signing.ParseText(text)
		if err != nil {
			return nil, fmt.Errorf("--policy-key: %w: %w", err, bulwark.ErrUsage)
		}
		out = append(out, key)
	}
	return out, nil
}

// bundleHint says how to name the key where nobody did.
func bundleHint(name string, err error, keys int) error {
	err = fmt.Errorf("%q: %w", name, err)
	var hint *bulwark.Hint
	if keys == 0 && errors.As(err, &hint) && strings.Contains(hint.Err.Error(), "no key is trusted") {
		return &bulwark.Hint{Err: fmt.Errorf("%q: %w", name, hint.Err), Next: "name the publisher's .pub file with --policy-key"}
	}
	return err
}

// bundled tells whether a file is a bundle and no document: it is compressed.
func bundled(b []byte) bool { return bytes.HasPrefix(b, []byte{0x28, 0xb5, 0x2f, 0xfd}) }

// maxPolicyFiles bounds the files of a directory of policies.
const maxPolicyFiles = 1000

// isSetting tells whether a file below .bulwark is one of the two that hold no
// policies.
func isSetting(name string) bool {
	for _, f := range []string{ignoreFile, configFile} {
		if f = filepath.Clean(f); name == f || strings.HasSuffix(name, string(filepath.Separator)+f) {
			return true
		}
	}
	return false
}

// allNamed gives the documents of several files, directories and bundles, each file
// once.
func (p *program) allNamed(names, keys []string) ([]policy.Source, error) {
	var out []policy.Source
	for _, name := range names {
		list, err := p.someNamed(name, keys)
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			if !slices.ContainsFunc(out, func(x policy.Source) bool { return sameSource(x, s) }) {
				out = append(out, s)
			}
		}
	}
	return out, nil
}

// documents gives the YAML files below a directory. Links are not followed out of it,
// and a link to a folder is a mistake, for what is in it would not be asked. Names
// that begin with two dots are passed over: they are how Kubernetes keeps the files
// of a mounted ConfigMap, to which it links.
func documents(dir string) ([]policy.Source, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var out []policy.Source
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.Join(dir, path)
		ext := strings.ToLower(filepath.Ext(path))
		if strings.HasPrefix(d.Name(), "..") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.Type()&fs.ModeSymlink != 0 {
			if info, err := os.Stat(name); err == nil && info.IsDir() {
				return fmt.Errorf("%q is a link to a folder: name the folder itself with --policy", name)
			}
		}
		if d.IsDir() || isSetting(name) || ext != ".yaml" && ext != ".yml" {
			return nil
		}
		if len(out) == maxPolicyFiles {
			return fmt.Errorf("%q has more than %d files: %w", dir, maxPolicyFiles, bulwark.ErrTooLarge)
		}
		info, err := root.Stat(path)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%q is no regular file", name)
		}
		if info.Size() > fileLimit {
			return fmt.Errorf("read %q: %w", name, bulwark.ErrTooLarge)
		}
		b, err := root.ReadFile(path)
		if err != nil {
			return err
		}
		out = append(out, policy.Source{Name: name, Data: b})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read policies: %w", err)
	}
	return out, nil
}
