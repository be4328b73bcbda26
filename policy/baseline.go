// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"time"

	"github.com/bulwark-sec/bulwark"
)

// ApplyBaseline sets the Status of open findings that baseline has, too, to
// known, in place. It gives how many were set, and how many of the baseline's
// findings are gone. Only what counted in the baseline is known: a risk that was
// accepted for a while comes back when its time is over. A nil baseline changes
// nothing.
func ApplyBaseline(findings []bulwark.Finding, baseline *bulwark.Report) (known, fixed int) {
	if baseline == nil {
		return 0, 0
	}
	before := make(map[string]bool, len(baseline.Findings)) // id → still there
	for i := range baseline.Findings {
		if f := &baseline.Findings[i]; f.Status.Open() || f.Status.State == bulwark.StateKnown {
			before[f.ID] = false
		}
	}
	for i := range findings {
		f := &findings[i]
		if _, ok := before[f.ID]; !ok {
			continue
		}
		before[f.ID] = true
		if f.Status.Open() {
			f.Status = bulwark.Status{State: bulwark.StateKnown, By: "baseline"}
			if !baseline.Created.IsZero() {
				f.Status.Reason = "in the report of " + baseline.Created.UTC().Format(time.DateOnly)
			}
			known++
		}
	}
	for _, there := range before {
		if !there {
			fixed++
		}
	}
	return known, fixed
}
