// SPDX-License-Identifier: Apache-2.0

package document_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bulwark-sec/bulwark/policy/document"
)

// TestAt finds the word TYPO of a condition by its offset, in every style in which
// YAML writes a text.
func TestAt(t *testing.T) {
	const before = "# a policy\n---\napiVersion: bulwark.dev/v1\nkind: Policy\nmetadata: {name: a}\nspec:\n  subject: image\n  rules:\n  - id: a\n    effect: fail\n"
	for name, when := range map[string]string{
		"plain":             "    when: a && TYPO\n",
		"plain after é":     "    when: é && TYPO\n",
		"plain two lines":   "    when: a &&\n     b   \n\n      && TYPO # comment\n",
		"single":            "    when: 'a && TYPO'\n",
		"single escaped":    "    when: '''a'' && TYPO'\n",
		"single two lines":  "    when: 'é ''a''\n      &&\n\n\n   TYPO'\n",
		"double":            "    when: \"a && TYPO\"\n",
		"double escaped":    "    when: \"\\\"a\\\" && \\u00e9 \\\\ \\x41 TYPO\"\n",
		"double two lines":  "    when: \"a \\t\n\n      \\\"b\\\" \\\n      && TYPO\"\n",
		"literal":           "    when: |\n      a &&\n        é TYPO\n",
		"literal stripped":  "    when: |-   # comment\n      TYPO",
		"literal kept":      "    when: |+\n\n      a\n\n       TYPO\n\n\n",
		"literal indented":  "    when: |2\n        a &&\n          TYPO\n",
		"literal blank":     "    when: |2\n          \n      a &&\n       TYPO\n",
		"folded":            "    when: >\n      a\n      && é\n\n      && b TYPO\n",
		"folded stripped":   "    when: >-\n      a\n        more\n      less\n      TYPO",
		"folded first line": "    when: >2-\n\n      TYPO",
		"crlf":              "    when: |\r\n      a &&\r\n        TYPO\r\n",
		"crlf plain":        "    when: a\r\n      TYPO\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			source := before + when
			set, faults := document.Parse("p.yaml", []byte(source))
			if len(faults) > 0 {
				t.Fatal(faults)
			}
			text := set.Policies[0].Rules[0].When
			i := strings.Index(text.Value, "TYPO")
			if i < 0 {
				t.Fatalf("value %q", text.Value)
			}
			for _, d := range []int{0, 3} {
				if got, want := text.At(utf8.RuneCountInString(text.Value[:i])+d), placeOf(source, "TYPO", d); got != want {
					t.Errorf("the word of %q and %d is at %v, want %v", text.Value, d, got, want)
				}
			}
			if got := text.At(0); got != text.Place || text.At(-1) != got {
				t.Errorf("the beginning is at %v, want %v", got, text.Place)
			}
			if end, far := text.At(utf8.RuneCountInString(text.Value)), text.At(1<<30); end != far {
				t.Errorf("the end is at %v, behind it is %v", end, far)
			}
		})
	}
}

// placeOf finds a word in a file, and the character so many behind its first.
func placeOf(source, word string, d int) document.Place {
	i := strings.Index(source, word)
	head := source[:i]
	line := head[strings.LastIndexByte(head, '\n')+1:]
	return document.Place{File: "p.yaml", Line: 1 + strings.Count(head, "\n"), Column: 1 + utf8.RuneCountInString(line) + d}
}
