// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/policy/subject"
)

// Bounds on what is told, and on what is kept meanwhile.
const (
	maxExamples = 3    // of one change
	maxBad      = 10   // lines that cannot be read
	maxViews    = 1000 // assets whose rules are kept ready
)

// A Replay asks two sets of policies about inputs that were recorded. It is not safe
// for concurrent use.
type Replay struct {
	candidate, base *policy.Set
	views           map[string][2]*policy.View
	groups          map[changeKey]*Change
	result          Replayed
}

// A Replayed is what came of a replay.
type Replayed struct {
	Inputs   int      `json:"inputs"`       // that were read
	Bad      int      `json:"bad"`          // lines that were not
	BadLines []string `json:"badLines"`     // the first ten of these: "file:line: why"
	Refused  int      `json:"newlyRefused"` // inputs
	Passed   int      `json:"newlyPassing"` // inputs
	Other    int      `json:"otherEffect"`  // inputs that neither refuses, or both do, with different effects
	Changes  []Change `json:"changes"`      // by rule: newly refused first, then newly passing, then the others
	Same     int      `json:"same"`         // inputs of which both say the same
}

// A Change is inputs of which the candidate says something else because of one rule.
type Change struct {
	Kind     string   `json:"kind"` // "refused", "passing" or "other"
	Rule     string   `json:"rule"` // "policy/rule": of the candidate where it is stricter, else of the base
	From     string   `json:"from"` // effect in the base; "none" is none
	To       string   `json:"to"`   // effect in the candidate
	Count    int      `json:"count"`
	Examples []string `json:"examples"` // "file:line asset: what the rule says", at most three
}

type changeKey struct{ kind, rule, from, to string }

// NewReplay compares a candidate with what there is; a nil base is no policies.
func NewReplay(candidate, base *policy.Set) *Replay {
	return &Replay{candidate: candidate, base: base, views: map[string][2]*policy.View{}, groups: map[changeKey]*Change{}}
}

// Read takes inputs as scans record them, one JSON object a line. A line that cannot
// be read is counted, and the next is read. The name is for messages. The error is
// that of in, or of ctx.
func (r *Replay) Read(ctx context.Context, name string, in io.Reader) error {
	lines := bufio.NewReaderSize(in, 64<<10)
	for n := 1; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		line, tooLong, err := readLine(lines)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read %q: %w", name, err)
		}
		end := err != nil
		switch line = bytes.TrimSpace(line); {
		case tooLong:
			r.bad(name, n, fmt.Errorf("more than %d bytes: %w", policy.MaxInput, bulwark.ErrTooLarge))
		case len(line) > 0:
			if err := r.input(name, n, line); err != nil {
				r.bad(name, n, err)
			}
		}
		if end {
			return nil
		}
	}
}

// readLine reads up to the next line feed. Of a line that is too long nothing is
// kept.
func readLine(in *bufio.Reader) (line []byte, tooLong bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > policy.MaxInput {
			tooLong, line = true, nil
		}
		if !tooLong {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, tooLong, err
		}
	}
}

func (r *Replay) bad(name string, line int, err error) {
	if r.result.Bad++; len(r.result.BadLines) < maxBad {
		r.result.BadLines = append(r.result.BadLines, plain(fmt.Sprintf("%s:%d: %v", name, line, err), 300))
	}
}

func (r *Replay) input(name string, line int, data []byte) error {
	in, err := policy.ParseInput(data)
	if err != nil {
		return err
	}
	asset := subject.AssetIn(in.Subject)
	views, err := r.viewsOf(in.Stage, asset)
	if err != nil {
		return err
	}
	var d [2]bulwark.Decision
	for i, v := range views {
		if d[i], err = v.Decide(in.Kind, in.Subject, in.Unknown, in.Now); err != nil {
			return err
		}
	}
	r.result.Inputs++
	base, candidate := &d[0], &d[1]
	kind, from := "other", candidate
	switch {
	case base.Effect == candidate.Effect:
		r.result.Same++
		return nil
	case candidate.Effect.Refuses() && !base.Effect.Refuses():
		kind = "refused"
		r.result.Refused++
	case base.Effect.Refuses() && !candidate.Effect.Refuses():
		kind, from = "passing", base
		r.result.Passed++
	default:
		r.result.Other++
		if base.Effect > candidate.Effect {
			from = base
		}
	}
	told := map[string]bool{}
	for _, reason := range slices.Concat(from.Reasons, from.Errors) {
		// Where something is refused, everything that refuses it is told; else what
		// has the effect.
		if told[reason.Rule] || reason.Effect != from.Effect && (kind == "other" || !reason.Effect.Refuses()) {
			continue
		}
		told[reason.Rule] = true
		r.change(changeKey{kind, reason.Rule, word(base.Effect), word(candidate.Effect)}, func() string {
			about := strings.TrimSpace(asset.Name + ": " + cmp.Or(reason.Detail, reason.Rule))
			return plain(fmt.Sprintf("%s:%d %s", name, line, strings.TrimPrefix(about, ": ")), 300)
		})
	}
	return nil
}

func word(e bulwark.Effect) string { return cmp.Or(e.String(), "none") }

func (r *Replay) change(k changeKey, example func() string) {
	c := r.groups[k]
	if c == nil {
		c = &Change{Kind: k.kind, Rule: k.rule, From: k.from, To: k.to, Examples: []string{}}
		r.groups[k] = c
	}
	if c.Count++; len(c.Examples) < maxExamples {
		c.Examples = append(c.Examples, example())
	}
}

// viewsOf gives the base and the candidate as they hold for an asset.
func (r *Replay) viewsOf(stage bulwark.Stage, asset *subject.Asset) ([2]*policy.View, error) {
	b, err := json.Marshal(asset)
	if err != nil {
		return [2]*policy.View{}, err
	}
	key := string(stage) + "\x00" + string(b)
	v, ok := r.views[key]
	if !ok {
		if len(r.views) >= maxViews {
			clear(r.views)
		}
		v = [2]*policy.View{r.base.At(stage, asset), r.candidate.At(stage, asset)}
		r.views[key] = v
	}
	return v, nil
}

// Result tells what was found so far.
func (r *Replay) Result() *Replayed {
	out := r.result
	out.BadLines = append([]string{}, out.BadLines...)
	out.Changes = []Change{}
	for _, c := range r.groups {
		out.Changes = append(out.Changes, *c)
	}
	kinds := []string{"refused", "passing", "other"}
	slices.SortFunc(out.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(slices.Index(kinds, a.Kind), slices.Index(kinds, b.Kind)), cmp.Compare(b.Count, a.Count),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return &out
}

// WriteText writes what came of a replay for people.
func (r *Replayed) WriteText(w io.Writer) error {
	t := &text{w: w}
	if r.Bad == 0 {
		t.line("inputs: %d", r.Inputs)
	} else {
		t.line("inputs: %d, and %s that cannot be read", r.Inputs, number(r.Bad, "line"))
		for _, b := range r.BadLines {
			t.line("  %s", b)
		}
		if n := r.Bad - len(r.BadLines); n > 0 {
			t.line("  and %d more", n)
		}
	}
	for _, k := range []struct {
		kind, what string
		n          int
	}{{"refused", "newly refused", r.Refused}, {"passing", "newly passing", r.Passed}, {"other", "another effect", r.Other}} {
		t.line("%s: %d", k.what, k.n)
		for i := range r.Changes {
			c := &r.Changes[i]
			if c.Kind != k.kind {
				continue
			}
			t.line("  %s: %s → %s, %s", c.Rule, c.From, c.To, number(c.Count, "input"))
			for _, e := range c.Examples {
				t.line("    %s", e)
			}
			if n := c.Count - len(c.Examples); n > 0 {
				t.line("    and %d more", n)
			}
		}
	}
	return t.err
}
