// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
)

// The value is found behind the assignments of many languages, and nothing is
// taken for one that is a call, a template or another name.
func TestAssignedValue(t *testing.T) {
	for text, want := range map[string]string{
		`NAME=abc`:                        "abc",
		`NAME: abc # why`:                 "abc",
		`"NAME": "abc def",`:              "abc def",
		`"NAME" : 'abc'`:                  "abc",
		`\"NAME\": \"abc\"`:               "abc",
		`NAME => 'abc'`:                   "abc",
		`NAME := "abc"`:                   "abc",
		`NAME: &str = "abc";`:             "abc",
		`NAME: string = 'abc'`:            "abc",
		`NAME = b"abc"`:                   "abc",
		`NAME = Buffer.from('abc', 'x')`:  "abc",
		`NAME = new Key('abc')`:           "abc",
		`NAME || 'abc'`:                   "abc",
		`NAME', 'abc')`:                   "abc",
		`NAME'] = 'abc'`:                  "abc",
		`NAME("abc")`:                     "abc",
		`<NAME>abc</NAME>`:                "abc",
		`?NAME=abc&b=c`:                   "abc",
		"NAME =\n  'abc'":                 "abc",
		`NAME = ["abc", "def"]`:           "abc",
		"NAME = [\n  'abc',\n]":           "abc",
		`NAME = {"1": "abc"}`:             "abc",
		`NAME for this one: abc`:          "abc",
		`let(:NAME) { 'abc' }`:            "abc",
		`expect(NAME).toBe('abc')`:        "abc",
		`NAME().should.equal('abc')`:      "abc",
		`NAME().then(abc`:                 "",
		`NAME).encode('abc')`:             "",
		`NAME().then`:                     "",
		`NAME" value="abc"`:               "abc",
		`NAME", "value": "abc"}`:          "abc",
		"NAME\n  value: abc\n":            "abc",
		"NAME\" {\n  default = \"abc\"\n": "abc",
		"NAME</key>\n <string>abc<":       "abc",
		"NAME:\n  - abc":                  "abc",
		"NAME: ``abc``":                   "abc",
		`NAME "abc"`:                      "abc",
		`NAME abcdefgh12;`:                "abcdefgh12",
		`NAME is abcdefgh12`:              "abcdefgh12",
		`NAME abcdefgh12(x)`:              "",
		`NAME is abc`:                     "",
		"NAME</key>":                      "",
		`NAME abc`:                        "",
		`NAME = {"id": "abc"}`:            "",
		`NAME = {"1"`:                     "",
		`NAME = [abc]`:                    "",
		`NAMEs ([abc](def))`:              "",
		`NAME = ENC(abc)`:                 "",
		`if (NAME) { abc }`:               "",
		`NAME of which nobody at all would ever say that it is one: abc`: "",
		`NAME for this`:         "",
		`NAME = f(g(h("abc")))`: "",
		`NAME = ${ABC}`:         "",
		`NAME = {`:              "",
		`NAME: `:                "",
		"NAME:\n\n\nabc":        "",
		"NAME = \"abc\ndef\"":   "abc",
		`NAME = "` + strings.Repeat("a", maxValue+1) + `"`: "",
	} {
		i := strings.Index(text, "NAME") + len("NAME")
		start, end, _ := assignedValue([]byte(text), i, false)
		got := ""
		if start >= 0 {
			got = text[start:end]
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if start, end, _ := assignedValue([]byte("--NAME abc d"), len("--NAME"), true); start != 7 || end != 10 {
		t.Errorf("an option's value is at %d to %d", start, end)
	}
}

// What a person writes is no random value, and what was drawn is one.
func TestRandom(t *testing.T) {
	for text, want := range map[string]bool{
		"kBu¦cdYVftjmuLoAoj4r7DCWVcIDl6":               true,
		"9b5¦3d76d6333dddbb593705e65610":               true,
		"cc0¦3a98d-838f-897f-ce16-7f73ad561a92":        true,
		"k3v¦9x2m7q4z8w1t6r5p0":                        true,
		"aKd¦JqWzXvBnMcTyGhRpLs":                       true,
		"hRt¦qWzLkVbxNfDgPmCsJyTe":                     true,
		"0x8d¦074bf25a916ec3d84f70a1be5c92d3":          true,
		"2023¦02BBbcfaf3bbfa99e8a6913F10":              true,
		"83d0¦49b7fa5261ec":                            true,
		"cTlK¦ajZDaDRRdjRYejdXMm5C":                    true, // base64 of what was drawn
		"eyJr¦IjoiY1RsS2FqWkRhRFJSZGpSWWVqZFhNbTVDIn0": true, // and within JSON
		"eyJh¦bGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9":        false,
		"ZXhh¦bXBsZS1hcHAtc2VjcmV0":                    false,
		"U2Fs¦dGVkX1hGPYlTqW7mKx2vRb":                  false,
		"@x!¦3$kq9&*m(2)z_7v+w8=p#4^d%r5-t6n1j0bh~xc":  true,
		"myApplicationSecretToken2":                    false,
		"test-secret-number-12":                        false,
		"abcdefabcdefabcdefabcdef":                     false,
		"a1b2c3d4e5f6a7b8c9d0":                         false,
		"getAccessTokenFromRequest":                    false,
		"aaaaaaaaaaaaaaaaaaaaaaaa":                     false,
		"00000000000000000000000001":                   false,
		"fffcf9f6f3f0edeae7e4e1dedbd8d5d2":             false,
		"short1A":                                      false,
		"SOME_ENVIRONMENT_VARIABLE_1":                  false,
	} {
		if got := randomToken("secret", []byte(plain(text))); got != want {
			t.Errorf("token %q: %v", text, got)
		}
	}
	for text, want := range map[string]bool{
		"Xq7¦2hHd81kPz": true,
		"z9#¦Kq2!vT":    true,
		"P@ssw0rd!2":    false,
		"Adm1n!strat0r": false,
		"hunter2hunter": false,
		"Test1234!":     false,
		"S3cr3tV4lu3":   false,
		"12345678":      false,
		"password1":     false,
		"C0ff33Sh0p":    false,
	} {
		if got := randomPassword([]byte(plain(text))); got != want {
			t.Errorf("password %q: %v", text, got)
		}
	}
}

// The values of a list are found as far as they were drawn, each at its place.
func TestAssignedList(t *testing.T) {
	c := newCheck(t)
	text := plain(`keys = 1
secret_keys = [
  '8d07¦4bf25a916ec3d84f70a1be5c92d3',
  '5c1e¦7b0a94d2f386e1b7c5a09d4f2e88',

  "6c8f¦02eb50834217816b5ae7ca3c58c0", 'by hand', 'f2a9¦61c07e34bd85a1967c20ef48d3b5'
]
`)
	got, err := c.Check(t.Context(), bulwark.MemoryFile("srv/app/a.txt", 0o644, []byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	var lines []int
	for _, f := range got {
		for _, e := range f.Evidence {
			lines = append(lines, e.Line)
		}
	}
	if d := cmp.Diff([]int{3, 4, 6}, lines); d != "" {
		t.Error(d)
	}
	long := "token = [" + strings.Repeat(plain(`"6c8f¦02eb50834217816b5ae7ca3c58c0", `), 3*maxItems)
	found, end := findAssigned(&rule{}, "a.txt", []byte(long), 0)
	if len(found) != maxItems || end <= found[maxItems-2].start {
		t.Errorf("%d items, the last at %d", len(found), end)
	}
}

// Words in a password do not make it one that nobody would guess.
func TestWeakLetters(t *testing.T) {
	for text, want := range map[string]bool{
		"mysecret123":             true,
		"my-password":             true,
		"foo%3A%2F%5C%21~%40;bar": true,
		"%":                       false,
		"":                        true,
		"v7Tx¦q2Wm9Zk":            false,
		"p83a¦3s2s94":             false,
	} {
		if got := weakLetters([]byte(plain(text))); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// What is told by chance alone is not open in code that a package brought, and
// yet it is there to see.
func TestBroughtByPackages(t *testing.T) {
	c := newCheck(t)
	text := []byte(plain("API_TOKEN = 'Xq7¦2hHd81kPzW4nV9tB3mR6'\n"))
	for path, want := range map[string]string{
		"srv/app/settings.py":                    "assigned-secret medium 1",
		"usr/lib/python3/dist-packages/x/api.py": "assigned-secret medium 1 suppressed",
	} {
		if d := cmp.Diff([]string{want}, brief(check(t, c, path, text))); d != "" {
			t.Errorf("%s: %s", path, d)
		}
	}
}

// FuzzAssigned looks for texts in which a finder leaves the text or stands still.
func FuzzAssigned(f *testing.F) {
	f.Add([]byte(`secret = "abc" token: Bearer x`), 2)
	f.Add([]byte(`https://a:b@c/`), 5)
	f.Add([]byte(`token('`), 0)
	f.Add([]byte(`"n(`), 0)
	f.Add([]byte("token = [\n'a',\n'b'"), 0)
	f.Add([]byte(`token", "value": "a`), 0)
	f.Add([]byte(`token).toBe('a`), 0)
	f.Add([]byte("token</key>\n<string>a"), 0)
	r := &rule{ID: "a", Title: "a", Severity: bulwark.SeverityLow}
	f.Fuzz(func(t *testing.T, data []byte, at int) {
		if at < 0 || at+3 > len(data) {
			return
		}
		for _, find := range []finder{findAssigned, findUserinfo} {
			ms, end := find(r, "a.txt", data, at)
			if end <= at {
				t.Fatalf("it ends at %d, before %d", end, at)
			}
			for _, m := range ms {
				if m.start < 0 || m.end > len(data) || m.start >= m.end || string(data[m.start:m.end]) != string(m.secret) {
					t.Fatalf("a match from %d to %d of %d", m.start, m.end, len(data))
				}
			}
		}
	})
}
