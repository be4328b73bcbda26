// SPDX-License-Identifier: Apache-2.0

// Package image finds faults in how an image was made: what its configuration
// and history say, and files whose mode gives away too much. It knows the rules
// in rules.yaml, which follow section 4 of the CIS Docker Benchmark. It does not
// know what is in a file, which secrets look real, or how a container is run.
package image

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3" // rules with examples

	"github.com/bulwark-sec/bulwark"
)

//go:embed rules.yaml
var rulesYAML []byte

// A rule is one entry of rules.yaml.
type rule struct {
	ID          string           `yaml:"id"`
	Title       string           `yaml:"title"`
	Severity    bulwark.Severity `yaml:"severity"`
	Description string           `yaml:"description"`
	Remedy      string           `yaml:"remedy"`
	Controls    []string         `yaml:"controls"`
	References  []string         `yaml:"references"`
	Run         string           `yaml:"run"`    // RE2 for the commands of a build step
	Unless      string           `yaml:"unless"` // RE2 that takes a match back
	Pass        []example        `yaml:"pass"`
	Fail        []example        `yaml:"fail"`

	run, unless *regexp.Regexp
}

// An example is an image, or a file, in which a rule finds something or nothing.
type example struct {
	Name        string            `yaml:"name"`
	Source      string            `yaml:"source"`
	User        string            `yaml:"user"`
	Env         []string          `yaml:"env"`
	Labels      map[string]string `yaml:"labels"`
	Ports       []string          `yaml:"ports"`
	Volumes     []string          `yaml:"volumes"`
	Workdir     string            `yaml:"workdir"`
	Healthcheck []string          `yaml:"healthcheck"`
	History     []string          `yaml:"history"`
	File        *struct {
		Path string `yaml:"path"`
		Mode string `yaml:"mode"` // octal, after u or g for setuid or setgid
	} `yaml:"file"`
}

// A Check finds faults in image configurations and file modes. New makes it; it
// is safe for concurrent use.
type Check struct {
	rules []*rule
	byID  map[string]*rule
}

// New reads the rules. An error is a fault in them, not in the caller.
func New() (*Check, error) {
	c := &Check{byID: map[string]*rule{}}
	d := yaml.NewDecoder(bytes.NewReader(rulesYAML))
	d.KnownFields(true)
	if err := d.Decode(&c.rules); err != nil {
		return nil, fmt.Errorf("image rules: %w", err)
	}
	for _, r := range c.rules {
		if r.ID == "" || r.Title == "" || r.Remedy == "" || r.Severity == bulwark.SeverityUnknown || c.byID[r.ID] != nil {
			return nil, fmt.Errorf("image rules: rule %q: %w", r.ID, bulwark.ErrUsage)
		}
		c.byID[r.ID] = r
		var err error
		if r.Run != "" {
			if r.run, err = regexp.Compile("(?i)" + r.Run); err != nil {
				return nil, fmt.Errorf("image rules: rule %q: %w", r.ID, err)
			}
		}
		if r.Unless != "" {
			if r.unless, err = regexp.Compile("(?i)" + r.Unless); err != nil {
				return nil, fmt.Errorf("image rules: rule %q: %w", r.ID, err)
			}
		}
	}
	return c, nil
}

// Name gives "image".
func (c *Check) Name() string { return "image" }

// Rules lists every rule that a finding may name, by id.
func (c *Check) Rules() []bulwark.Rule {
	out := append(make([]bulwark.Rule, 0, len(c.rules)+1), PackageRule())
	for _, r := range c.rules {
		out = append(out, bulwark.Rule{
			ID: r.ID, Class: bulwark.ClassMisconfiguration, Title: r.Title, Severity: r.Severity,
			Description: r.Description, Remedy: r.Remedy, References: r.References, Controls: r.Controls,
		})
	}
	slices.SortFunc(out, func(a, b bulwark.Rule) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Rules for files, by mode alone.
const (
	ruleSetID    = "BW-IMG-0006"
	ruleWritable = "BW-IMG-0014"
)

const setID = fs.ModeSetuid | fs.ModeSetgid

// Wants tells whether the file's mode alone is a fault: an executable regular
// file that is setuid or setgid, or a regular file that others may write, save
// where everything is temporary.
func (c *Check) Wants(path string, st bulwark.Stat) bool {
	return setsID(st.Mode) || writable(path, st.Mode)
}

func setsID(m fs.FileMode) bool { return m.IsRegular() && m&setID != 0 && m&0o111 != 0 }

func writable(path string, m fs.FileMode) bool {
	if !m.IsRegular() || m&0o002 == 0 {
		return false
	}
	for _, dir := range [...]string{"tmp/", "var/tmp/", "run/", "var/run/", "var/lock/", "dev/", "proc/", "sys/"} {
		if strings.HasPrefix(path, dir) {
			return false
		}
	}
	return true
}

// Check gives a finding for each fault in the mode of f, whose content it does
// not read.
func (c *Check) Check(ctx context.Context, f *bulwark.File) ([]bulwark.Finding, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("check mode of %q: %w", f.Path, err)
	}
	var out []bulwark.Finding
	if setsID(f.Mode) {
		what := "setuid"
		if f.Mode&fs.ModeSetuid == 0 {
			what = "setgid"
		}
		g := c.finding(ruleSetID, f.Path, bulwark.Evidence{Location: bulwark.Location{Path: f.Path}, Detail: what + ", mode " + f.Mode.String()})
		if !systemDir(f.Path) {
			g.Severity = bulwark.SeverityMedium // no package of a distribution puts it there
		}
		out = append(out, g)
	}
	if writable(f.Path, f.Mode) {
		g := c.finding(ruleWritable, f.Path, bulwark.Evidence{Location: bulwark.Location{Path: f.Path}, Detail: "mode " + f.Mode.String()})
		if f.Mode&0o111 != 0 || systemDir(f.Path) || strings.HasPrefix(f.Path, "etc/") {
			g.Severity = bulwark.SeverityMedium
		}
		out = append(out, g)
	}
	return out, nil
}

// systemDir tells whether packages of a distribution put programs and libraries
// into the directory of path.
func systemDir(path string) bool {
	for _, dir := range [...]string{"bin/", "sbin/", "lib/", "lib64/", "usr/bin/", "usr/sbin/", "usr/lib/", "usr/lib64/", "usr/libexec/"} {
		if strings.HasPrefix(path, dir) {
			return true
		}
	}
	return false
}

// finding gives an open finding of a rule.
func (c *Check) finding(id, subject string, e ...bulwark.Evidence) bulwark.Finding {
	r := c.byID[id]
	return bulwark.Finding{
		ID:       bulwark.FindingID(bulwark.ClassMisconfiguration, r.ID, subject),
		Class:    bulwark.ClassMisconfiguration,
		Rule:     r.ID,
		Severity: r.Severity,
		Subject:  subject,
		Fix:      r.Remedy,
		Evidence: e,
	}
}
