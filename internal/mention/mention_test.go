// SPDX-License-Identifier: Apache-2.0

package mention_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark/internal/mention"
)

type trace struct {
	name, version string
	line          int
}

// What lock files of many kinds say of a package is found, and not what they say
// of its neighbours.
func TestOf(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		asked      trace
		found      bool
	}{
		{"package-lock", "\"node_modules/minimist\": {\n  \"version\": \"1.2.0\",\n", trace{name: "minimist", version: "1.2.0"}, true},
		{"package-lock-scoped", "\"node_modules/@babel/core\": {\n  \"version\": \"7.1.0\",\n", trace{name: "@babel/core", version: "7.1.0"}, true},
		{"part-of-a-scoped-name", "\"node_modules/@babel/core\": {\n  \"version\": \"7.1.0\",\n", trace{name: "core", version: "7.1.0"}, false},
		{"part-of-a-name", "\"node_modules/minimist-lite\": {\n  \"version\": \"1.2.0\",\n", trace{name: "minimist", version: "1.2.0"}, false},
		{"part-of-a-version", "minimist@^1:\n  version \"11.2.0\"\n", trace{name: "minimist", version: "1.2.0"}, false},
		{"start-of-a-version", "minimist@^1:\n  version \"1.2.0-beta\"\n", trace{name: "minimist", version: "1.2.0"}, false},
		{"version-of-a-neighbour", "minimist@^1:\n  version \"1.1\"\n  resolved \"x\"\n  integrity y\n\nother@^1:\n  version \"1.2.0\"\n", trace{name: "minimist", version: "1.2.0"}, false},
		{"yarn", "minimist@^1.2.0, minimist@~1:\n  version \"1.2.0\"\n", trace{name: "minimist", version: "1.2.0"}, true},
		{"pnpm", "  /minimist/1.2.0:\n", trace{name: "minimist", version: "1.2.0"}, true},
		{"cargo", "[[package]]\nname = \"time\"\nversion = \"0.1.42\"\n", trace{name: "time", version: "0.1.42"}, true},
		{"requirements", "requests==2.19.0 # why\n", trace{name: "requests", version: "2.19.0"}, true},
		{"gemfile", "    rails (5.2.0)\n", trace{name: "rails", version: "5.2.0"}, true},
		{"go", "\tgolang.org/x/net v0.1.0 // indirect\n", trace{name: "golang.org/x/net", version: "v0.1.0"}, true},
		{"go-without-v", "\tgolang.org/x/net v0.1.0\n", trace{name: "golang.org/x/net", version: "0.1.0"}, true},
		{"go-part-of-a-path", "\tgolang.org/x/net/html v0.1.0\n", trace{name: "golang.org/x/net", version: "v0.1.0"}, false},
		{"pom", "<groupId>org.a</groupId>\n<artifactId>log4j-core</artifactId>\n<version>2.14.1</version>\n", trace{name: "org.a:log4j-core", version: "2.14.1"}, true},
		{"version-elsewhere", "<artifactId>log4j-core</artifactId>\n<version>${v}</version>\n", trace{name: "org.a:log4j-core", version: "2.14.1"}, false},
		{"version-elsewhere-but-line", "<artifactId>log4j-core</artifactId>\n<version>${v}</version>\n", trace{name: "org.a:log4j-core", version: "2.14.1", line: 1}, true},
		{"line", "a: 1\ntoken: abcdef\n", trace{line: 2}, true},
		{"line-without-words", "{\n  }\n", trace{line: 2}, false},
		{"line-beyond-the-end", "a: 1\n", trace{line: 9}, false},
		{"nothing-asked", "a: 1\n", trace{}, false},
		{"empty", "", trace{name: "a", version: "1", line: 1}, false},
		{"name-twice-in-a-line", "# rails-x rails (rails\n  = 5.2.0)\n", trace{name: "rails", version: "5.2.0"}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			find := mention.Of([]byte(tc.text), tc.asked.name, tc.asked.version, tc.asked.line)
			if (find != nil) != tc.found {
				t.Fatalf("found %t, want %t", find != nil, tc.found)
			}
			if find == nil {
				return
			}
			if _, to := find([]byte("other text\n")); to != 0 {
				t.Errorf("it is found in another text, up to %d", to)
			}
			const before = "first\r\n\n"
			from, to := find([]byte(before + tc.text))
			if from < len(before) || to > len(before)+len(tc.text) || from >= to {
				t.Errorf("found in %d to %d", from, to)
			}
		})
	}
}

// The lines that are found are whole ones.
func TestLines(t *testing.T) {
	type lines struct{ From, To int }
	const text = "a\n  time: 1\n  at: \"2\"\nlast line"
	for _, tc := range []struct {
		asked trace
		want  string
	}{
		{trace{name: "time", version: "1"}, "  time: 1\n"},
		{trace{name: "time", version: "2"}, "  time: 1\n  at: \"2\"\n"},
		{trace{line: 3}, "  at: \"2\"\n"},
		{trace{line: 4}, "last line"},
	} {
		from, to := mention.Of([]byte(text), tc.asked.name, tc.asked.version, tc.asked.line)([]byte(text))
		at := strings.Index(text, tc.want)
		if d := cmp.Diff(lines{at, at + len(tc.want)}, lines{from, to}); d != "" {
			t.Errorf("%+v: -want +got:\n%s", tc.asked, d)
		}
	}
}

// Texts that are made to keep a search busy do not.
func TestHostile(t *testing.T) {
	const size = 2 << 20
	long := strings.Repeat("a", size)
	for _, tc := range []struct {
		name, text, other string
		asked             trace
	}{
		{"name-again-and-again", "a 1.0\n", strings.Repeat("a ", size), trace{name: "a", version: "1.0"}},
		{"version-again-and-again", "a 1.0\n", "a " + strings.Repeat("11.0", size), trace{name: "a", version: "1.0"}},
		{"name-on-every-line", "a 1.0\n", strings.Repeat("a\n", size), trace{name: "a", version: "1.0"}},
		{"line-in-a-longer-line", long + "\n", long + long, trace{line: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			find := mention.Of([]byte(tc.text), tc.asked.name, tc.asked.version, tc.asked.line)
			if find == nil {
				t.Fatal("nothing to look for")
			}
			start := time.Now()
			if from, to := find([]byte(tc.other)); to != 0 {
				t.Errorf("found in %d to %d", from, to)
			}
			if d := time.Since(start); d > 10*time.Second {
				t.Errorf("it takes %s", d)
			}
		})
	}
}

func FuzzOf(f *testing.F) {
	f.Add("\"node_modules/minimist\": {\n  \"version\": \"1.2.0\",\n", "minimist", "1.2.0", 1, "minimist 1.2.0\n")
	f.Fuzz(func(t *testing.T, text, name, version string, line int, other string) {
		find := mention.Of([]byte(text), name, version, line)
		if find == nil {
			return
		}
		if _, to := find([]byte(text)); to == 0 {
			t.Error("what the text says is not found in it")
		}
		if from, to := find([]byte(other)); to != 0 && (from < 0 || from >= to || to > len(other)) {
			t.Errorf("found in %d to %d of %d", from, to, len(other))
		}
	})
}
