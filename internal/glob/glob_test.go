// SPDX-License-Identifier: Apache-2.0

package glob_test

import (
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark/internal/glob"
)

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "a/b\nc", true}, {"a*c", "abbc", true}, {"a*c", "abb", false},
		{"a?c", "abc", true}, {"a?c", "ac", false}, {"**", "x", true}, {"a.c", "abc", false}, {"[a]", "a", false}, {"[a]", "[a]", true},
		{"corp/*", "corp/billing/api", true}, {"corp/*", "other/corp/x", false}, {"*é*", "café", true}, {"?", "é", true},
		{"\xff*", "\xffx", true}, {"a\\*", "a\\b", true},
	} {
		if got := glob.New(tc.pattern).Match(tc.s); got != tc.want {
			t.Errorf("%q of %q: %t", tc.pattern, tc.s, got)
		}
	}
	var none *glob.Glob
	if !none.Match("anything") {
		t.Error("the nil glob does not match")
	}
	// Linear, and what is too large for the compiler matches nothing.
	if glob.New(strings.Repeat("a*", 1<<20)).Match("a") {
		t.Error("a pattern of two million stars matches")
	}
	if !glob.New(strings.Repeat("a*", 200) + "b").Match(strings.Repeat("a", 5000) + "b") {
		t.Error("a long text does not match")
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		glob.New(pattern).Match(s)
		if !strings.ContainsAny(pattern, "*?") && glob.New(pattern).Match(s) != (pattern == s) {
			t.Errorf("%q of %q", pattern, s)
		}
	})
}
