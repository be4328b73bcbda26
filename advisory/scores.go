// SPDX-License-Identifier: Apache-2.0

package advisory

import (
	"time"

	"github.com/bulwark-sec/bulwark"
)

const (
	// millionths is the unit of EPSS numbers in the database; the feed has five
	// digits.
	millionths = 1_000_000
	day        = 24 * time.Hour
)

// kevNumbers and epssNumbers pack what a feed says of a CVE, score unpacks it.
func kevNumbers(a *bulwark.Advisory) (due, flags uint32) {
	if a.Due.IsZero() || a.Due.Unix() < 0 {
		return 0, 1
	}
	return uint32(a.Due.Unix() / int64(day/time.Second)), 1
}

func epssNumbers(a *bulwark.Advisory) (score, rank uint32) {
	return uint32(a.EPSS*millionths + 0.5), uint32(a.EPSSRank*millionths + 0.5)
}

// score adds what is known about exploitation of an id. Where a flaw has several
// CVEs the worst counts.
func (db *DB) score(a *bulwark.Advisory, id string) {
	if db.kev != nil {
		if due, _, ok := db.kev.Find(id); ok {
			a.Exploited = true
			if at := time.Unix(0, 0).UTC().Add(time.Duration(due) * day); due > 0 && due < 1<<16 && (a.Due.IsZero() || at.Before(a.Due)) {
				a.Due = at
			}
		}
	}
	if db.epss != nil {
		if score, rank, ok := db.epss.Find(id); ok && float64(score)/millionths >= a.EPSS {
			a.EPSS, a.EPSSRank = min(float64(score)/millionths, 1), min(float64(rank)/millionths, 1)
		}
	}
}
