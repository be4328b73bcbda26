// SPDX-License-Identifier: Apache-2.0

package vers

// compareDotted orders versions that are numbers and nothing else, where more
// numbers are after fewer (1.0 is before 1.0.0): the Package Versioning Policy
// of Haskell, https://pvp.haskell.org, with dots, and R's package_version,
// https://stat.ethz.ch/R-manual/R-devel/library/base/html/numeric_version.html,
// with dots and hyphens, which are the same.
func compareDotted(s scheme, a, b string) (int, error) {
	if !isDotted(s, a) {
		return 0, unreadable(s, a, "it is not numbers with separators")
	}
	if !isDotted(s, b) {
		return 0, unreadable(s, b, "it is not numbers with separators")
	}
	for {
		n, m := digitRun(a), digitRun(b)
		if c := compareNumbers(a[:n], b[:m]); c != 0 {
			return c, nil
		}
		a, b = a[n:], b[m:]
		switch {
		case a == "" && b == "":
			return 0, nil
		case a == "":
			return -1, nil
		case b == "":
			return 1, nil
		}
		a, b = a[1:], b[1:]
	}
}

// isDotted tells whether v is numbers with one separator between them.
func isDotted(s scheme, v string) bool {
	for {
		n := digitRun(v)
		if n == 0 {
			return false
		}
		if n == len(v) {
			return true
		}
		if v[n] != '.' && (v[n] != '-' || s != schemeCRAN) {
			return false
		}
		v = v[n+1:]
	}
}
