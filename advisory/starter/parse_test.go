// SPDX-License-Identifier: Apache-2.0

package starter

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
)

func TestParse(t *testing.T) {
	got, err := parse("# head\n\nCVE-2024-0001 low 2024-01-02 exploited GHSA-2222-2222-2222\n  words\n  npm @a/b ..1 2..=3 4.. =5\n  Debian:12 c =1\n\n# tail")
	if err != nil {
		t.Fatal(err)
	}
	want := []record{{
		id: "CVE-2024-0001", severity: bulwark.SeverityLow, published: "2024-01-02", exploited: true, aliases: []string{"GHSA-2222-2222-2222"}, summary: "words",
		packages: []affected{
			{ecosystem: "npm", name: "@a/b", ranges: []versions{{from: "0", fixed: "1"}, {from: "2", last: "3"}, {from: "4"}}, versions: []string{"5"}},
			{ecosystem: "Debian:12", name: "c", versions: []string{"1"}},
		},
	}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(record{}, affected{}, versions{})); diff != "" {
		t.Error(diff)
	}
}

func TestParseRefuses(t *testing.T) {
	const good = "CVE-2024-0001 low\n  words\n"
	for name, tt := range map[string]struct{ text, want string }{
		"id":         {"CVE-24-1 low\n  w\n  npm a ..1\n", `line 1: id "CVE-24-1"`},
		"severity":   {"CVE-2024-0001 moderate\n  w\n  npm a ..1\n", `line 1: severity "moderate"`},
		"word":       {"CVE-2024-0001 low soon\n  w\n  npm a ..1\n", `line 1: word "soon"`},
		"short":      {"CVE-2024-0001\n  w\n  npm a ..1\n", `line 1: want an id and a severity`},
		"twice":      {good + "  npm a ..1\n" + good + "  npm a ..1\n", `line 4: id "CVE-2024-0001" is on line 1, too`},
		"orphan":     {"  npm a ..1\n", "line 1: indented, but below no record"},
		"summary":    {"CVE-2024-0001 low\n  " + strings.Repeat("w", 121) + "\n  npm a ..1\n", "line 2: summary of 121 bytes"},
		"no-package": {good + "\n", `line 3: record "CVE-2024-0001" above names no package`},
		"at-end":     {good[:len(good)-1], `last record: record "CVE-2024-0001" above names no package`},
		"ecosystem":  {good + "  Pypi a ..1\n", `line 3: ecosystem "Pypi"`},
		"release":    {good + "  npm:1 a ..1\n", `line 3: ecosystem "npm:1"`},
		"no-release": {good + "  Debian a ..1\n", `line 3: ecosystem "Debian"`},
		"no-range":   {good + "  npm a\n", "line 3: want an ecosystem, a name and ranges"},
		"range":      {good + "  npm a 1\n", `line 3: range "1"`},
		"last":       {good + "  npm a 1..=\n", `line 3: range "1..="`},
		"endless":    {good + "  npm a 1.. 2..3\n", `line 3: range "2..3" follows one without an end`},
		"package":    {good + "  npm a ..1\n  npm a 2..3\n", `line 4: package "a" of "npm" is given twice`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("CVE-2024-0001 low 2024-01-02\n  words\n  npm a ..1 =2\n")
	f.Add(text[:2000])
	f.Add(products[:2000])
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parse(text)
		if err != nil {
			return
		}
		for i := range list {
			if len(list[i].osv().Affected) == 0 {
				t.Errorf("record %q without a package", list[i].id)
			}
		}
	})
}
