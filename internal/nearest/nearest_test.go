// SPDX-License-Identifier: Apache-2.0

package nearest_test

import (
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark/internal/nearest"
)

func TestOf(t *testing.T) {
	words := []string{"effect", "id", "message", "onUnknown", "vex"}
	for _, tc := range []struct{ s, want string }{
		{"efect", "effect"},
		{"effects", "effect"},
		{"Effect", "effect"},
		{"onunknown", "onUnknown"},
		{"mesage", "message"},
		{"Id", "id"},
		{"di", ""}, // two changes of a word of two letters are another word
		{"xy", ""},
		{"vx", "vex"},
		{"severity", ""},
		{"", ""},
		{strings.Repeat("e", 1<<20), ""},
	} {
		if got := nearest.Of(tc.s, words); got != tc.want {
			t.Errorf("Of(%.20q) = %q, want %q", tc.s, got, tc.want)
		}
	}
	if got := nearest.Of("ab", []string{"ac", "ad"}); got != "ac" {
		t.Errorf("of two that are as near, got %q, want the first", got)
	}
}
