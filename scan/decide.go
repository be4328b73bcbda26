// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
)

// Decide judges a saved report with policies of today. Nothing is read or matched
// again: findings are those that were found, and what the report says that vendors,
// ignore files and baselines closed stays closed. Its database is as much older as
// time went by. A report that does not have every finding is
// [bulwark.ErrUnsupported]: what is not in it cannot fail. The old report is only
// read.
func (s *Scanner) Decide(old *bulwark.Report) (*bulwark.Report, error) {
	if slices.ContainsFunc(old.Inventory.Gaps, func(g bulwark.Gap) bool { return strings.HasSuffix(g.Detail, notShown) }) {
		return nil, &bulwark.Hint{Err: fmt.Errorf("the report does not have the findings of every severity: %w", bulwark.ErrUnsupported), Next: "save it without --severity"}
	}
	r := *old
	r.Findings = slices.Clone(old.Findings)
	r.Inventory.Gaps = slices.DeleteFunc(slices.Clone(old.Inventory.Gaps), func(g bulwark.Gap) bool { return g.Kind == bulwark.GapSkipped && policy.Warned(g.Detail) })
	policy.Reopen(r.Findings)
	s.apply(&r)
	judged := old.Decision.Now // when it was as old as the report says
	if judged.IsZero() {
		judged = old.Created
	}
	if d := &r.Database; d.AgeSeconds >= 0 {
		if since := s.now().Sub(judged); since > 0 && !judged.IsZero() {
			d.AgeSeconds += int64(since / time.Second)
		}
		d.Stale = d.Stale || s.Stale > 0 && d.AgeSeconds > int64(s.Stale/time.Second)
	}
	if err := s.decide(&r); err != nil {
		return nil, err
	}
	return &r, s.replan(&r, old)
}

// replan leaves out what need not be done any more, and plans anew when there is
// more to do.
func (s *Scanner) replan(r, old *bulwark.Report) (err error) {
	open := map[string]bool{}
	for i := range r.Findings {
		if !r.Findings[i].Status.Open() {
			continue
		}
		open[r.Findings[i].ID] = true
		if !old.Findings[i].Status.Open() {
			r.Actions, err = s.DB.Plan(&r.Inventory, r.Findings, r.Advisories)
			return err
		}
	}
	r.Actions = nil
	for _, a := range old.Actions {
		if a.Findings = slices.DeleteFunc(slices.Clone(a.Findings), func(id string) bool { return !open[id] }); len(a.Findings) > 0 {
			r.Actions = append(r.Actions, a)
		}
	}
	return nil
}
