// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"path"
	"strings"
)

// A name is one of the file names that a rule is limited to.
type name struct {
	rule    int
	pattern string // in lower case where it has a wild card
	depth   int    // slashes in it
	expr    *lazy  // from the gitleaks module, in place of pattern
	wild    bool
	before  string // what stands before the first wild card of the last element
	after   string // and after the last
	between string // and between the first and the last, when that is plain
	dir     string // the directories before the last element, with a slash; "" when they have wild cards
}

// names gives the file names of r, which is rule number i.
func (r *rule) names(i int) []name {
	if len(r.Files) == 0 {
		return []name{{rule: i, expr: r.path, wild: true}}
	}
	var out []name
	for _, p := range r.Files {
		n := name{rule: i, pattern: p, depth: strings.Count(p, "/")}
		last := p[strings.LastIndexByte(p, '/')+1:]
		if d := p[:len(p)-len(last)]; !strings.ContainsAny(d, `*?[`) {
			n.dir = d
		}
		if w := strings.IndexAny(last, `*?[`); w >= 0 {
			n.wild, n.before = true, last[:w]
			z := strings.LastIndexAny(last, `*?]`)
			n.after = last[z+1:]
			if mid := last[w+1 : max(w+1, z)]; !strings.ContainsAny(mid, `*?[]`) && last[w] == '*' {
				n.between = mid
			}
		}
		out = append(out, n)
	}
	return out
}

// key gives the last element. When that has a wild card, it is "*" and the
// extension in lower case, or "" when there is none to go by.
func (n *name) key() string {
	if n.wild {
		if dot := strings.LastIndexByte(n.after, '.'); dot >= 0 {
			return wildKey(strings.ToLower(n.after))
		}
		return ""
	}
	return n.pattern[strings.LastIndexByte(n.pattern, '/')+1:]
}

// wildKey gives the key of names with a wild card that a file of this name, in
// lower case, may match: a slash keeps it apart from all names of files.
func wildKey(base string) string {
	return "/*" + base[strings.LastIndexByte(base, '.')+1:]
}

// matches tells whether a path, whose last element is base, low in lower case,
// ends with the name.
func (n *name) matches(file, base, low string) bool {
	if n.expr != nil {
		return n.expr.matchString(file)
	}
	if n.wild && (!strings.HasPrefix(base, n.before) || len(base) < len(n.after) || !strings.EqualFold(base[len(base)-len(n.after):], n.after)) {
		return false
	}
	if n.between != "" && !strings.Contains(low, n.between) {
		return false
	}
	i := len(file)
	for k := 0; k <= n.depth; k++ {
		if i < 0 {
			return false
		}
		i = strings.LastIndexByte(file[:i], '/')
	}
	end := file[i+1:]
	if len(end) < len(n.dir) || !strings.EqualFold(end[:len(n.dir)], n.dir) {
		return false
	}
	if ok, err := path.Match(n.pattern, end); ok && err == nil {
		return true
	}
	ok, err := path.Match(n.pattern, strings.ToLower(end))
	return ok && err == nil
}
