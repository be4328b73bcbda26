// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
)

// DefaultStaleAfter is the age from which a database is no longer trusted when
// a Trust names none. Distributions publish fixes daily; after a week an answer
// from an old database is more wrong than right about new vulnerabilities.
const DefaultStaleAfter = 7 * 24 * time.Hour

// maxIDs is how many finding ids a Reason lists; Count tells how many there are.
const maxIDs = 100

// maxNames is how many ecosystems or gaps a sentence names one by one.
const maxNames = 5

// A Trust says which answers are trusted though they do not cover everything. The
// zero Trust accepts nothing of the kind.
type Trust struct {
	// AllowStarter accepts an answer from the embedded starter set, and with it
	// the set's age and what it does not cover.
	AllowStarter bool
	// StaleAfter is the age beyond which a database is not trusted. Zero is
	// DefaultStaleAfter, or earlier when the report itself calls the database
	// stale; negative is never.
	StaleAfter time.Duration
}

// ExitCode gives the exit code that a verdict stands for: 0 for Pass, 2 for
// Fail, 3 for Warn. An undecided or foreign verdict is 1, a failed run.
func ExitCode(v bulwark.Verdict) int {
	switch v {
	case bulwark.Pass:
		return 0
	case bulwark.Fail:
		return 2
	case bulwark.Warn:
		return 3
	}
	return 1
}

// canonical gives the one JSON form of a Trust.
func (t Trust) canonical() []byte {
	return fmt.Appendf(nil, `{"schema":"bulwark.trust/v1","allowStarter":%t,"staleAfterSeconds":%d}`, t.AllowStarter, staleSeconds(t.StaleAfter))
}

func staleSeconds(d time.Duration) int64 {
	if d < 0 {
		return -1
	}
	// A limit under a second is a limit still, and 0 would be the default.
	return int64((d + time.Second - 1) / time.Second)
}

// warns gives the reasons not to trust the answer.
func (t Trust) warns(r *bulwark.Report) []bulwark.Reason {
	var out []bulwark.Reason
	if r.Scan.Interrupted {
		out = append(out, reason("scan/interrupted", "the scan was interrupted and its answer is partial; run it again, finished layers are not read twice", nil))
	}
	out = append(out, t.database(&r.Database, r.Created)...)
	if !t.AllowStarter || !r.Database.Starter {
		out = append(out, coverage(r)...)
	}
	var hiding []bulwark.Gap
	for _, gap := range r.Inventory.Gaps {
		if gap.Hides {
			hiding = append(hiding, gap)
		}
	}
	if len(hiding) > 0 {
		out = append(out, reason("gap/hides", fmt.Sprintf("%s may hide packages: %s; read the gaps of the report and scan again with what was missing",
			number(len(hiding), "gap"), list(hiding, gapName)), nil))
		out[len(out)-1].Count = len(hiding)
	}
	return out
}

// database gives the reasons not to trust what the matching knew.
func (t Trust) database(db *bulwark.Database, created time.Time) []bulwark.Reason {
	if db.Starter {
		if t.AllowStarter {
			return nil
		}
		return []bulwark.Reason{reason("database/starter", fmt.Sprintf("only the embedded starter set was asked, which knows %s and no more; run bulwark db update, or accept it with --allow-starter",
			number(db.Advisories, "famous vulnerability")), nil)}
	}
	if db.AgeSeconds < 0 || db.ID == "" && db.Advisories == 0 {
		return []bulwark.Reason{reason("database/none", "no advisory database was asked, so no vulnerability can be found; run bulwark db update", nil)}
	}
	var out []bulwark.Reason
	limit := t.StaleAfter
	if limit == 0 {
		limit = DefaultStaleAfter
	}
	// Compare seconds: an age near the largest int64 would overflow a Duration.
	old := db.AgeSeconds > int64(limit/time.Second)
	if limit > 0 && (old || t.StaleAfter == 0 && db.Stale) {
		detail := fmt.Sprintf("the advisory database is %s old", age(db.AgeSeconds))
		if old {
			detail += fmt.Sprintf(", the limit is %s", age(int64(limit/time.Second)))
		} else {
			detail += ", more than the scan's limit"
		}
		out = append(out, reason("database/stale", detail+"; run bulwark db update", nil))
	}
	if !created.IsZero() && db.Built.After(created.Add(24*time.Hour)) {
		out = append(out, reason("database/clock", fmt.Sprintf("the advisory database was built on %s, after this scan; set the clock, then run bulwark db update",
			db.Built.UTC().Format(time.DateOnly)), nil))
	}
	return out
}

// coverage gives the reasons that what is known does not reach what is there.
func coverage(r *bulwark.Report) []bulwark.Reason {
	var out []bulwark.Reason
	if n := len(r.Database.Uncovered); n > 0 {
		names := slices.Sorted(slices.Values(r.Database.Uncovered))
		out = append(out, reason("coverage/ecosystem", fmt.Sprintf("no feed covers %s of this artifact: %s; add the feed and run bulwark db update",
			number(n, "ecosystem"), list(names, func(s string) string { return s })), nil))
		out[len(out)-1].Count = n
	}
	var gaps []bulwark.Gap
	for _, gap := range r.Inventory.Gaps {
		// A gap without a path is about the whole artifact: a distribution that
		// is not read, or that nobody supports any longer.
		if gap.Kind == bulwark.GapAdvisory || gap.Kind == bulwark.GapUnsupported && gap.Path == "" {
			if !gap.Hides { // those have a reason of their own
				gaps = append(gaps, gap)
			}
		}
	}
	if len(gaps) > 0 {
		out = append(out, reason("coverage/distribution", list(gaps, gapName)+"; move to a supported release, vulnerabilities of this one may be missing", nil))
		out[len(out)-1].Count = len(gaps)
	}
	return out
}

// reason gives a Reason with its finding ids sorted and cut.
func reason(rule, detail string, ids []string) bulwark.Reason {
	slices.Sort(ids)
	ids = slices.Compact(ids)
	return bulwark.Reason{Rule: rule, Detail: detail, Findings: slices.Clone(ids[:min(len(ids), maxIDs)]), Count: len(ids)}
}

// gapName gives one gap in words. Paths are quoted, they are hostile.
func gapName(g bulwark.Gap) string {
	what := g.Detail
	if what == "" {
		what = g.Kind
	}
	what = strings.TrimRight(what, ". ")
	if g.Path == "" {
		return what
	}
	return fmt.Sprintf("%q (%s)", g.Path, what)
}

// list names the first few of all, and how many more there are.
func list[T any](all []T, name func(T) string) string {
	var parts []string
	for _, v := range all[:min(len(all), maxNames)] {
		parts = append(parts, name(v))
	}
	s := strings.Join(parts, ", ")
	if n := len(all) - maxNames; n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}

func number(n int, noun string) string {
	if n != 1 {
		if stem, ok := strings.CutSuffix(noun, "ty"); ok {
			noun = stem + "ties"
		} else {
			noun += "s"
		}
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// age gives seconds in the unit that a person would use.
func age(seconds int64) string {
	switch {
	case seconds >= 2*86400:
		return number(int(seconds/86400), "day")
	case seconds >= 2*3600:
		return number(int(seconds/3600), "hour")
	}
	return number(int(seconds/60), "minute")
}
