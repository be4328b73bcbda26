// SPDX-License-Identifier: Apache-2.0

package license

import (
	"slices"
	"strings"
	"testing"
)

// Every line of the lists says something, and names only what exists.
func TestTables(t *testing.T) {
	k := known()
	if len(k.licenses) < 700 || len(k.exceptions) < 60 {
		t.Errorf("%d ids, %d exceptions", len(k.licenses), len(k.exceptions))
	}
	if len(k.aliases) < 150 {
		t.Errorf("%d aliases", len(k.aliases))
	}
	t.Logf("%d aliases, %d ids in %d classes and %d patterns", len(k.aliases), len(k.licenses), len(k.classes), len(k.globs))
	seen := map[string]string{}
	for line := range lines(aliasesText) {
		expression, names, ok := strings.Cut(line, ": ")
		e, err := Parse(expression)
		if !ok || err != nil || modern(e).String() != e.String() {
			t.Errorf("alias line %q: %v", line, err)
		}
		if e.Risk() == Unknown && expression != "LicenseRef-proprietary" && expression != "LicenseRef-other" {
			t.Errorf("%q has no class", expression)
		}
		for n := range strings.SplitSeq(names, "|") {
			f := fold(n)
			if old, ok := seen[f]; ok && old != expression {
				t.Errorf("%q means %q and %q", f, old, expression)
			}
			seen[f] = expression
		}
	}
	oldNames := []string{"CommonsClause", "Aladdin-9", "Anti996", "Prosperity-3.0.0"} // the text library's own
	for id := range k.classes {
		if _, ok := k.licenses[strings.ToLower(id)]; !ok && !strings.HasPrefix(id, "LicenseRef-") && !slices.Contains(oldNames, id) {
			t.Errorf("class of %q, which is no id", id)
		}
	}
	for _, g := range k.globs {
		hit := strings.HasPrefix(g.head, "LicenseRef-")
		for _, id := range k.licenses {
			hit = hit || strings.HasPrefix(id, g.head) && strings.HasSuffix(id, g.tail)
		}
		if !hit {
			t.Errorf("pattern %q fits no id", g.head+"*"+g.tail)
		}
	}
	for id := range k.frees {
		if _, ok := k.exceptions[strings.ToLower(id)]; !ok && !strings.HasPrefix(id, "AdditionRef-") {
			t.Errorf("%q is no exception", id)
		}
	}
	for words, id := range k.additions {
		if _, ok := k.exceptions[strings.ToLower(id)]; !ok {
			t.Errorf("%q means %q, which is no exception", words, id)
		}
	}
	var none []string
	for _, id := range k.licenses {
		if k.risk(Expression{id: id}) == Unknown {
			none = append(none, id)
		}
	}
	slices.Sort(none)
	if len(none) > len(k.licenses)/4 {
		t.Errorf("%d of %d ids have no class: %v", len(none), len(k.licenses), none)
	}
	t.Logf("without a class: %d: %v", len(none), none)
}
