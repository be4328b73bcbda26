// SPDX-License-Identifier: Apache-2.0

package advisory

import (
	"fmt"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory/vers"
)

// actionsEcosystem is where a version may be a tag that moves.
const actionsEcosystem = "GitHub Actions"

// moving tells whether a version of an action is a tag that its maker moves to
// the newest release of a series, as "v4" and "v4.1" are, and gives the series,
// "4." or "4.1.": the way of publishing that GitHub asks for
// (https://docs.github.com/actions/how-tos/create-and-publish-actions/release-and-maintain-actions).
func moving(base, version string) (series string, ok bool) {
	if base != actionsEcosystem {
		return "", false
	}
	v := strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(version), "v"), "V")
	parts := strings.Split(v, ".")
	if len(parts) > 2 {
		return "", false
	}
	for _, n := range parts {
		if n == "" || len(n) > 9 || strings.Trim(n, "0123456789") != "" {
			return "", false
		}
	}
	return v + ".", true
}

// of tells whether a version is one of the series, or stands for it. Numbers that
// are not there are zero.
func of(series, version string) bool {
	v := strings.TrimLeft(strings.TrimSpace(version), "vV")
	for want := range strings.SplitSeq(strings.TrimSuffix(series, "."), ".") {
		n := len(v) - len(strings.TrimLeft(v, "0123456789"))
		if strings.TrimLeft(v[:n], "0") != strings.TrimLeft(want, "0") {
			return false
		}
		v = strings.TrimPrefix(v[n:], ".")
	}
	return true
}

// against orders a version and one of an advisory. A tag that moves stands for
// the newest release of its series, which is after every one that an advisory can
// name.
func against(ecosystem, version, to string) (int, error) {
	c, err := vers.Compare(ecosystem, version, to)
	if err != nil || c > 0 {
		return c, err
	}
	if series, ok := moving(ecosystem, version); ok && of(series, to) {
		return 1, nil
	}
	return c, nil
}

// upTo tells whether a version is not after the last one that is known to be
// affected. Whether a series goes on after it nobody says: it counts as if not.
func upTo(ecosystem, version, affected string) (bool, error) {
	if series, ok := moving(ecosystem, version); ok && of(series, affected) {
		return true, nil
	}
	c, err := vers.Compare(ecosystem, version, affected)
	return c <= 0, err
}

// standing says what a tag that moves was taken for; "" for other versions.
func standing(base, version string) string {
	if series, ok := moving(base, version); ok {
		return fmt.Sprintf("(a tag that moves, taken for the newest %sx) ", series)
	}
	return ""
}

// unversioned says why the version of an action is not known; "" for other
// packages and versions.
func unversioned(p *bulwark.Package, version string) string {
	if p.Ecosystem != actionsEcosystem {
		return ""
	}
	if (len(version) == 40 || len(version) == 64) && strings.Trim(version, "0123456789abcdef") == "" {
		return fmt.Sprintf("%s has advisories, and is pinned to commit %s, whose version is not known: write its full tag beside it, as in # v4.1.2", p.Name, version[:12])
	}
	return fmt.Sprintf("%s has advisories, and %q is a branch or a tag that tells no version: pin a release", p.Name, version)
}
