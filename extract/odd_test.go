// SPDX-License-Identifier: Apache-2.0

package extract_test

import (
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark/extract"
)

func TestOdd(t *testing.T) {
	for _, tc := range []struct {
		data, language, want string
	}{
		{"packages:\n  a:\n    version: '*'\n", "yaml", ""},
		{"a: \"x: *b\"\n", "yaml", ""},
		{"a: * b\n", "yaml", ""},
		{"packages: *a9\n", "yaml", "line 1 has an alias"},
		{"a:\n  - *b\n", "yaml", "line 2 has an alias"},
		{"a = \"- *b\"\n", "toml", ""},
		{"a\x00b", "toml", "line 1 is no text"},
		{"a\n\xff", "toml", "line 2 is no text"},
		{strings.Repeat("a", 65<<10), "toml", "which no tool writes"},
		{"", "yaml", ""},
	} {
		got := ""
		if err := extract.Odd([]byte(tc.data), tc.language); err != nil {
			got = err.Error()
		}
		if got != tc.want && (tc.want == "" || !strings.Contains(got, tc.want)) {
			t.Errorf("%.40q: %q, want %q", tc.data, got, tc.want)
		}
	}
}

func FuzzOdd(f *testing.F) {
	f.Add([]byte("a: *b\n- *"), "yaml")
	f.Fuzz(func(_ *testing.T, data []byte, language string) { _ = extract.Odd(data, language) })
}
