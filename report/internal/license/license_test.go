// SPDX-License-Identifier: Apache-2.0

package license_test

import (
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark/report/internal/license"
)

func TestParse(t *testing.T) {
	tests := []struct {
		in, want   string // "" refuses
		single, or bool
	}{
		{"MIT", "MIT", true, false},
		{"mit", "MIT", true, false},
		{"apache-2.0", "Apache-2.0", true, false},
		{"Apache-2.0+", "Apache-2.0+", false, false},
		{"GPL-2.0+", "GPL-2.0+", true, false},
		{"MIT OR Apache-2.0", "MIT OR Apache-2.0", false, true},
		{"mit and (bsd-3-clause or zlib)", "MIT AND (BSD-3-Clause OR Zlib)", false, false},
		{"GPL-2.0-only WITH Linux-syscall-note", "GPL-2.0-only WITH Linux-syscall-note", false, false},
		{"((MIT))", "((MIT))", false, false},
		{"", "", false, false},
		{"Apache 2.0", "", false, false},
		{"GPLv2+", "", false, false},
		{"MIT OR", "", false, false},
		{"OR", "", false, false},
		{"(MIT", "", false, false},
		{"MIT)", "", false, false},
		{"MIT WITH", "", false, false},
		{"MIT WITH MIT", "", false, false},
		{"LicenseRef-mine", "", false, false},
		{"Linux-syscall-note", "", false, false},
		{"NOASSERTION", "", false, false},
		{strings.Repeat("(", 1000) + "MIT" + strings.Repeat(")", 1000), "", false, false},
		{strings.Repeat("MIT OR ", 10_000) + "MIT", "", false, false},
		{"MIT\x00", "", false, false},
	}
	for _, tt := range tests {
		e, ok := license.Parse(tt.in)
		if ok != (tt.want != "") || e.Text != tt.want || e.Single != tt.single || e.Or != tt.or {
			t.Errorf("%.60q: %+v, %v; want %q", tt.in, e, ok, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("MIT AND (GPL-2.0-only WITH Linux-syscall-note OR Zlib)")
	f.Fuzz(func(t *testing.T, s string) {
		e, ok := license.Parse(s)
		if !ok {
			return
		}
		again, ok := license.Parse(e.Text)
		if !ok || again != e {
			t.Errorf("%q becomes %+v and then %+v", s, e, again)
		}
	})
}
