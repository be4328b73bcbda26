// SPDX-License-Identifier: Apache-2.0

// Package framework maps the controls of compliance frameworks to the findings
// that speak against them, and judges finished reports by them. The mappings are
// data, one file for each framework, in our own words: titles name what a control
// is about and do not repeat its text.
//
// A control passes only when what decides it was looked for, with knowledge that
// is whole and fresh, and nothing open speaks against it. What an artifact does
// not tell is undecided, with what somebody must look at. The package makes no
// findings, reads no clock, and does not know how an assessment is shown.
package framework

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"

	"github.com/bulwark-sec/bulwark"
)

//go:embed data/*.yaml
var files embed.FS

// A Framework is a list of controls, and what decides them.
type Framework struct {
	Name     string         // as a person asks for it: "pci-4.0"
	Title    string         // "PCI DSS 4.0"
	About    string         // what of it is here, one sentence
	Source   string         // URL of its publisher's text
	Digest   bulwark.Digest // of the mapping
	Controls []Control      // in the framework's order
}

// A Control is one requirement.
type Control struct {
	ID     string         `yaml:"id"`     // as the framework writes it: "6.3.3"
	Title  string         `yaml:"title"`  // in our words
	Scope  []bulwark.Kind `yaml:"scope"`  // kinds of artifact that it is about
	Rules  []Rule         `yaml:"rules"`  // what decides it; none: nobody but a person
	Look   string         `yaml:"look"`   // what somebody must look at; a control with it never passes by itself
	Beyond string         `yaml:"beyond"` // what it asks for beyond an artifact, said beside a pass
	Do     string         `yaml:"do"`     // what to do when it fails
}

// A Rule selects what speaks against a control. Exactly one of Class, Rule,
// Policy, Looked and Inventory is set.
type Rule struct {
	Class  bulwark.Class `yaml:"class"`  // findings of it
	Rule   string        `yaml:"rule"`   // findings of the rule, or of those that a path.Match glob holds
	Policy string        `yaml:"policy"` // "policy/rule" that fired; its silence decides nothing
	Looked bulwark.Class `yaml:"looked"` // nothing does; but it must have been looked for
	// Inventory is for what asks for a list of components: nothing speaks against
	// it, but nothing may be hidden.
	Inventory bool `yaml:"inventory"`

	Severity bulwark.Severity `yaml:"-"`        // of vulnerabilities or Rule, this or worse; unknown is any
	Least    string           `yaml:"severity"` // its name

	// These narrow the class of vulnerabilities.
	Fixable   bool     `yaml:"fixable"`   // those with a fix
	Exploited bool     `yaml:"exploited"` // those that CISA knows to be exploited
	Days      int      `yaml:"days"`      // those that were published at least so many days ago
	Packages  []string `yaml:"packages"`  // those of packages whose names one of these globs holds
}

// kinds are the kinds of artifact, in the order in which they are named.
var kinds = []bulwark.Kind{
	bulwark.KindImage, bulwark.KindDir, bulwark.KindRepo, bulwark.KindHost,
	bulwark.KindSBOM, bulwark.KindFunction, bulwark.KindVM,
}

// classes are those that a rule may name.
var classes = []bulwark.Class{
	bulwark.ClassVulnerability, bulwark.ClassSecret, bulwark.ClassMalware, bulwark.ClassLicense,
}

// All lists every framework, by name.
func All() ([]Framework, error) { return load() }

// ByName gives the framework of that name. Another name is [bulwark.ErrUsage]
// with a hint that lists them all.
func ByName(name string) (*Framework, error) {
	list, err := load()
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range list {
		if list[i].Name == name {
			return &list[i], nil
		}
		names = append(names, list[i].Name)
	}
	return nil, &bulwark.Hint{Err: fmt.Errorf("framework %q: %w", name, bulwark.ErrUsage), Next: "use one of " + strings.Join(names, ", ")}
}

// load reads the mappings. They are part of the program and tested with it.
var load = sync.OnceValues(func() ([]Framework, error) {
	entries, err := files.ReadDir("data")
	if err != nil {
		return nil, err
	}
	var out []Framework
	for _, e := range entries {
		b, err := files.ReadFile("data/" + e.Name())
		if err != nil {
			return nil, err
		}
		f, err := Parse(b)
		if err != nil {
			return nil, fmt.Errorf("framework %q: %w", e.Name(), err)
		}
		if f.Name+".yaml" != e.Name() {
			return nil, fmt.Errorf("framework %q calls itself %q", e.Name(), f.Name)
		}
		out = append(out, *f)
	}
	return out, nil
})

// maxMapping bounds a mapping, bytes: the longest of ours has a sixtieth of it.
const maxMapping = 1 << 20

// Parse reads one mapping, strictly. It bears any bytes; errors name the line or
// the control.
func Parse(b []byte) (*Framework, error) {
	if len(b) > maxMapping {
		return nil, fmt.Errorf("%d bytes: %w", len(b), bulwark.ErrTooLarge)
	}
	var doc struct {
		Name     string    `yaml:"name"`
		Title    string    `yaml:"title"`
		About    string    `yaml:"about"`
		Source   string    `yaml:"source"`
		Controls []Control `yaml:"controls"`
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&doc); err != nil {
		return nil, err
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one document")
	}
	if doc.Name == "" || doc.Title == "" || len(doc.Controls) == 0 {
		return nil, errors.New("a mapping has a name, a title and controls")
	}
	seen := map[string]bool{}
	for i := range doc.Controls {
		c := &doc.Controls[i]
		if c.ID == "" || seen[c.ID] {
			return nil, fmt.Errorf("control %d: the id %q is empty or taken", i+1, c.ID)
		}
		seen[c.ID] = true
		if err := c.valid(); err != nil {
			return nil, fmt.Errorf("control %q: %w", c.ID, err)
		}
	}
	sum := sha256.Sum256(b)
	return &Framework{doc.Name, doc.Title, doc.About, doc.Source, bulwark.Digest("sha256:" + hex.EncodeToString(sum[:])), doc.Controls}, nil
}

// valid checks a control, and reads the names of severities.
func (c *Control) valid() error {
	if c.Title == "" {
		return errors.New("no title")
	}
	for _, k := range c.Scope {
		if !slices.Contains(kinds, k) {
			return fmt.Errorf("scope %q is no kind of artifact", k)
		}
	}
	decides := false
	for i := range c.Rules {
		if err := c.Rules[i].valid(); err != nil {
			return fmt.Errorf("rule %d: %w", i+1, err)
		}
		decides = decides || c.Rules[i].Policy == ""
	}
	switch {
	case !decides && c.Look == "":
		return errors.New("nothing decides it, and it does not say what somebody must look at")
	case decides && len(c.Scope) == 0:
		return errors.New("it has rules and no scope")
	case len(c.Rules) > 0 && c.Do == "":
		return errors.New("it can fail, and does not say what to do then")
	}
	return nil
}

func (x *Rule) valid() error {
	n := 0
	for _, set := range []bool{x.Class != "", x.Rule != "", x.Policy != "", x.Looked != "", x.Inventory} {
		if set {
			n++
		}
	}
	if n != 1 {
		return errors.New("exactly one of class, rule, policy, looked and inventory")
	}
	for _, c := range []bulwark.Class{x.Class, x.Looked} {
		if c != "" && !slices.Contains(classes, c) {
			return fmt.Errorf("class %q", c)
		}
	}
	if x.Policy != "" && strings.Count(x.Policy, "/") != 1 {
		return fmt.Errorf("policy %q is not of the form policy/rule", x.Policy)
	}
	narrow := x.Fixable || x.Exploited || x.Days != 0 || len(x.Packages) > 0
	if narrow && x.Class != bulwark.ClassVulnerability || x.Days < 0 {
		return errors.New("fixable, exploited, days and packages are for vulnerabilities")
	}
	if x.Least != "" && x.Class != bulwark.ClassVulnerability && x.Rule == "" {
		return errors.New("severity is for vulnerabilities and rules")
	}
	for _, glob := range append(slices.Clone(x.Packages), x.Rule) {
		if _, err := path.Match(glob, ""); err != nil {
			return fmt.Errorf("glob %q: %w", glob, err)
		}
	}
	if x.Least != "" {
		var err error
		if x.Severity, err = bulwark.ParseSeverity(x.Least); err != nil {
			return err
		}
	}
	return nil
}
