// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"fmt"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check/inline"
)

// maxSuppressed bounds what the comments of one layer, and of an artifact, ask to
// overlook.
const maxSuppressed = 10_000

// overlook reads the comments of a file that ask to overlook findings. It costs
// next to nothing where there are none, for the content is in memory already: only
// such files are looked at, which are those that something else was looked for in.
func (p *parser) overlook(f *bulwark.File) {
	if !p.comments || f.Size > p.lim.Memory {
		return
	}
	data, err := f.Bytes(p.lim.Memory)
	if err != nil || !inline.Has(data) { // who reads it for more than this tells the error
		return
	}
	p.guard(f.Path, "comments", false, func(context.Context) error {
		list, err := inline.Read(f.Path, f.Line, data)
		clean := map[string]string{} // the rules of one comment share its words
		for i := range list {
			if p.overlooked++; p.overlooked > maxSuppressed {
				if p.overlooked == maxSuppressed+1 {
					p.gap(bulwark.Gap{Kind: bulwark.GapLimit, Path: f.Path, Detail: fmt.Sprintf("more than %d rules in %s comments of one layer: the rest is not read", maxSuppressed, inline.Mark)})
				}
				return nil
			}
			if err := p.redact(&list[i], clean); err != nil {
				return err
			}
			p.seen[outer(f.Path)] = true
			if !p.tell(&answer{Suppression: &list[i]}) {
				return nil
			}
		}
		return err
	})
}

// redact takes the secrets out of what somebody wrote into a comment. It keeps in
// clean what it has made of each text.
func (p *parser) redact(s *bulwark.Suppression, clean map[string]string) error {
	for _, text := range []*string{&s.Rule, &s.Reason, &s.Owner, &s.Fault} {
		c, known := clean[*text]
		if !known {
			var err error
			if c, err = p.set.RedactLine(*text); err != nil {
				return err
			}
			clean[*text] = c
		}
		*text = c
	}
	return nil
}

// suppressions gives what comments ask to overlook, in the files that can be seen.
func (s *stack) suppressions() ([]bulwark.Suppression, []bulwark.Gap) {
	var out []bulwark.Suppression
	for i, rec := range s.records {
		for _, c := range rec.Suppressions {
			if s.hiddenBy(i, c.Path) >= 0 {
				continue
			}
			if len(out) == maxSuppressed {
				return out, []bulwark.Gap{{Kind: bulwark.GapLimit, Detail: fmt.Sprintf("more than %d rules in %s comments: the rest is left out", maxSuppressed, inline.Mark)}}
			}
			c.Location = bulwark.Location{Path: c.Path, Line: c.Line, Layer: s.layers[i].DiffID}
			out = append(out, c)
		}
	}
	return out, nil
}
