// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check"
)

// configured is what the rules of the checks say of a report: kept with it, so
// that a scan of what was seen before does not have to read the rules again.
type configured struct {
	Image     *bulwark.Image          `json:"image,omitempty"`     // without the secrets in it
	CreatedBy []string                `json:"createdBy,omitempty"` // of each layer, the same
	Findings  []bulwark.Finding       `json:"findings,omitempty"`  // about the configuration
	Rules     map[string]bulwark.Rule `json:"rules,omitempty"`     // of all findings
}

// configuration checks what an image's configuration says, takes the secrets out
// of what the report repeats of it, and gives all findings with their rules.
func (s *Scanner) configuration(ctx context.Context, r *bulwark.Report, found []bulwark.Finding, set *parsers) ([]bulwark.Finding, map[string]bulwark.Rule, error) {
	a := &r.Artifact
	if !s.Secrets && a.Kind != bulwark.KindSBOM {
		r.Inventory.Gaps = append(r.Inventory.Gaps, bulwark.Gap{Kind: bulwark.GapSkipped, Detail: "secrets were not looked for"})
	}
	if !s.Malware && a.Kind != bulwark.KindSBOM {
		r.Inventory.Gaps = append(r.Inventory.Gaps, bulwark.Gap{Kind: bulwark.GapSkipped, Detail: "malware was not looked for"})
	}
	if a.Image == nil {
		rules, err := set.set.Rules(found)
		return found, rules, err
	}
	// The findings name the image, and so belong to its name.
	key, cacheable := chainKey(s.plan().key(a.Kind, cmp.Or(s.Build, s.Tool.Version), set), r.Inventory.Layers)
	key = fmt.Sprintf("configuration %s %s %q %q %q", key, a.Config, a.Name, a.Image.RepoTags, a.Image.RepoDigests)
	cacheable = cacheable && a.Config.Valid() && r.Scan.Verified
	if cacheable {
		if c, err := s.configured(key, len(r.Inventory.Layers)); err == nil {
			return c.apply(r, found), c.Rules, nil
		}
	}
	if err := s.revealed.configuration(ctx, a, set.set); err != nil {
		return nil, nil, fmt.Errorf("check configuration: %w", err)
	}
	c, err := configure(ctx, r, found, set.set)
	if err != nil {
		return nil, nil, fmt.Errorf("check configuration: %w", err)
	}
	if cacheable {
		err := s.Cache.Put(key, func(w io.Writer) error {
			return writeKept(w, func(w io.Writer) error { return json.NewEncoder(w).Encode(c) })
		})
		if err != nil {
			r.Inventory.Gaps = append(r.Inventory.Gaps, bulwark.Gap{Kind: bulwark.GapSkipped, Detail: err.Error()})
		}
	}
	return c.apply(r, found), c.Rules, nil
}

func configure(ctx context.Context, r *bulwark.Report, found []bulwark.Finding, checks *check.Set) (*configured, error) {
	more, err := checks.Image(ctx, &r.Artifact)
	if err != nil {
		return nil, err
	}
	c := &configured{Findings: more, Rules: map[string]bulwark.Rule{}}
	if c.Image, err = checks.Redacted(r.Artifact.Image); err != nil {
		return nil, err
	}
	for _, l := range r.Inventory.Layers {
		line, err := checks.RedactLine(l.CreatedBy)
		if err != nil {
			return nil, err
		}
		c.CreatedBy = append(c.CreatedBy, line)
	}
	all := slices.Concat(found, more)
	rules, err := checks.Rules(all)
	if err != nil {
		return nil, err
	}
	for _, f := range all {
		if rule, ok := rules[f.Rule]; ok {
			c.Rules[f.Rule] = rule
		}
	}
	return c, nil
}

// configured reads what was kept.
func (s *Scanner) configured(key string, layers int) (*configured, error) {
	f, err := s.Cache.Get(key)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := readKept(f, func(br *bufio.Reader) (*configured, error) {
		var c configured
		if err := readJSON(br, &c); err != nil {
			return nil, err
		}
		if c.Image == nil || len(c.CreatedBy) != layers {
			return nil, bulwark.ErrNotFound
		}
		return &c, nil
	})
	if err != nil {
		s.Cache.Drop(key)
	}
	return c, err
}

// apply puts the redacted configuration into the report, and gives all findings.
func (c *configured) apply(r *bulwark.Report, found []bulwark.Finding) []bulwark.Finding {
	r.Artifact.Image = c.Image
	for i := range r.Inventory.Layers {
		r.Inventory.Layers[i].CreatedBy = c.CreatedBy[i]
	}
	return slices.Concat(found, c.Findings)
}
