// SPDX-License-Identifier: Apache-2.0

package table

import (
	"fmt"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// controls shows the benchmark that was asked for: what is not followed, and what
// somebody must look at, with the reason; the rest in one line each.
func (p *page) controls() {
	list := p.v.Controls
	if len(list) == 0 {
		return
	}
	n := map[string]int{}
	for i := range list {
		n[list[i].State]++
	}
	p.section("benchmark", fmt.Sprintf("%d fail, %d undecided, %d pass", n[bulwark.ControlFail], n[bulwark.ControlUndecided], n[bulwark.ControlPass]))
	for i := range list {
		c := &list[i]
		word, st := controlWord(c.State)
		p.line("  ", p.cell(st, word, 9), " ", p.cut(p.safe(strings.TrimPrefix(c.ID, "CIS "))+"  "+p.safe(c.Title), p.room()-12))
		if c.State != bulwark.ControlPass {
			detail := p.safe(c.Detail)
			if c.State == bulwark.ControlFail {
				detail += "  " + p.glyphs.arrow + " " + p.safe(c.Remedy)
			}
			p.wrap(dim, strings.Repeat(" ", 12), detail)
		}
	}
}

func controlWord(state string) (string, style) {
	switch state {
	case bulwark.ControlPass:
		return "pass", green
	case bulwark.ControlFail:
		return "FAIL", red
	}
	return "undecided", yellow
}
