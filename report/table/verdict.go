// SPDX-License-Identifier: Apache-2.0

package table

import (
	"cmp"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// Bounds on what is shown of a decision; --all shows the rest.
const (
	reasons  = 8
	refusals = 4
	controls = 8
)

// badge gives the verdict's word, and the style to show it in.
func (p *page) badge() (string, style) {
	st := badgeGry
	switch p.v.Decision.Verdict {
	case bulwark.Pass:
		st = badgeGrn
	case bulwark.Fail:
		st = badgeRed
	case bulwark.Warn:
		st = badgeYel
	}
	if !p.Color {
		return "[" + p.v.Verdict() + "]", st
	}
	return " " + p.v.Verdict() + " ", st
}

// effectStyle is the style of an effect's name.
func effectStyle(e bulwark.Effect) style {
	switch {
	case e.Refuses():
		return boldRed
	case e >= bulwark.EffectAlert:
		return yellow
	}
	return dim
}

// verdict says the answer and every reason for it, what does not count, and how to
// have it explained.
func (p *page) verdict() {
	d := &p.v.Decision
	word, badge := p.badge()
	list := p.v.Reasons()
	note := ""
	if len(list) > 0 {
		note = cmp.Or(p.v.Tally(), text.Plural(len(list), "reason", "reasons"))
	}
	p.blank()
	if len(list) == 0 {
		p.line(p.ink(badge, word), "  ", p.v.VerdictWords())
	} else {
		p.line(p.ink(badge, word), "  ", p.ink(dim, note))
	}
	wide, effect := 0, 0
	for _, x := range list {
		wide = max(wide, text.Width(p.safe(x.Rule)))
		effect = max(effect, text.Width(x.Effect.String()))
	}
	wide = min(wide, p.room()/3)
	for i, x := range list {
		if i == reasons && p.Limit >= 0 {
			p.line(p.ink(dim, p.glyphs.more+" "+text.Plural(len(list)-reasons, "more reason", "more reasons")))
			break
		}
		p.reason(&x, wide, effect)
	}
	for _, x := range d.Errors {
		p.wrap(yellow, "not evaluated: ", p.safe(x.Rule+": "+x.Detail))
	}
	p.exempt()
	if why := p.v.Why(); why != "" {
		p.line(p.ink(dim, "why: "+p.safe(why)))
	}
}

// reason shows one rule: what came of it, its name, what it says, and below that
// what holds it back, what to do, and which controls ask for it.
func (p *page) reason(x *bulwark.Reason, wide, effect int) {
	first := ""
	if effect > 0 {
		first = p.cell(effectStyle(x.Effect), x.Effect.String(), effect) + "  "
	}
	first += text.Pad(p.cut(p.safe(x.Rule), wide), wide) + "  "
	left := wide + 2
	if effect > 0 {
		left += effect + 2
	}
	gap := strings.Repeat(" ", left)
	say := func(st style, mark, s string) {
		if s == "" {
			return
		}
		for i, l := range text.Wrap(p.safe(s), p.room()-left-text.Width(mark)) {
			if i > 0 {
				mark = strings.Repeat(" ", text.Width(mark))
			}
			p.line(first, p.ink(st, mark+l))
			first = gap
		}
	}
	say(plain, "", cmp.Or(x.Detail, x.Rule))
	say(dim, "", view.Aside(x))
	say(green, p.glyphs.arrow+" ", x.Remedy)
	names := x.Controls
	if n := len(names) - controls; n > 0 && p.Limit >= 0 {
		names = append(names[:controls:controls], "and "+text.Count(n)+" more")
	}
	say(dim, "", strings.Join(names, ", "))
}

// exempt says what does not count, and which exceptions do not.
func (p *page) exempt() {
	if x := p.v.Excepted(); x.Count > 0 {
		p.wrap(dim, "", p.safe(x.Words()))
	}
	list := p.v.Refused()
	for i := range list {
		if i == refusals && p.Limit >= 0 {
			p.line(p.ink(dim, p.glyphs.more+" "+text.Plural(len(list)-refusals, "more exception does not count", "more exceptions do not count")))
			break
		}
		p.wrap(yellow, "does not count: ", p.safe(list[i].Words()))
	}
}
