// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
)

// plain takes out the marks that keep secrets in tests from being secrets.
func plain(s string) string { return strings.ReplaceAll(s, "¦", "") }

const (
	plantedID     = "AKIA¦3XQ7LMRT5VWZ2BNC"
	plantedSecret = "kT9f¦Lw2Qx7Zr4Vb8Nc1Md6Hj3Gs5Pa0Yu+eRtWqX"
	plantedPAT    = "ghp_¦zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17"
	plantedSlack  = "xoxb-¦273645182931-4837261940582-qZ7wE4rT9yU2iO5pL8kJ3hG6"
)

func check(t *testing.T, c *Check, path string, data []byte) []bulwark.Finding {
	t.Helper()
	got, err := c.Check(t.Context(), bulwark.MemoryFile(path, 0o644, data))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// brief gives "rule severity line" of each piece of evidence.
func brief(fs []bulwark.Finding) []string {
	var out []string
	for _, f := range fs {
		for _, e := range f.Evidence {
			s := fmt.Sprintf("%s %v %d", strings.TrimPrefix(f.Rule, "secret/"), f.Severity, e.Line)
			if !f.Status.Open() {
				s += " " + f.Status.State
			}
			out = append(out, s)
		}
	}
	return out
}

func TestPlanted(t *testing.T) {
	text := plain("# notes\n\n[default]\naws_access_key_id = " + plantedID + "\naws_secret_access_key = " + plantedSecret +
		"\n\nGITHUB=" + plantedPAT + "\nslack: \"" + plantedSlack + "\"\n")
	want := []string{"aws-access-key-id critical 4", "aws-secret-access-key critical 5", "github-token critical 7", "slack-bot-token critical 8"}
	c := newCheck(t)
	forms := map[string][]byte{
		"lf":        []byte(text),
		"crlf":      []byte(strings.ReplaceAll(text, "\n", "\r\n")),
		"utf8-bom":  []byte("\xef\xbb\xbf" + text),
		"utf16le":   utf16Bytes(text, true, 0),
		"utf16be":   utf16Bytes(text, true, 1),
		"utf16bare": utf16Bytes(text, false, 0),
	}
	for name, data := range forms {
		for _, path := range []string{"home/app/notes.txt", "usr/share/app/notes", "opt/x/a.py", "usr/lib/python3/dist-packages/x/__init__.py", "usr/lib/node_modules/x/index.js"} {
			if d := cmp.Diff(want, brief(check(t, c, path, data))); d != "" {
				t.Errorf("%s as %s: %s", path, name, d)
			}
		}
	}
}

func utf16Bytes(s string, mark bool, order int) []byte {
	var out []byte
	if mark {
		s = "\ufeff" + s
	}
	for _, u := range utf16.Encode([]rune(s)) {
		pair := []byte{byte(u), byte(u >> 8)}
		out = append(out, pair[order], pair[1-order])
	}
	return out
}

func TestMinified(t *testing.T) {
	c := newCheck(t)
	filler := strings.Repeat("function(a,b){return a[b]||c(d,e)};", 20_000)
	text := filler + plain(`k="`+plantedPAT+`";`) + filler + plain(`s="`+plantedSlack+`"`) + filler
	want := []string{"github-token critical 1", "slack-bot-token critical 1"}
	if d := cmp.Diff(want, brief(check(t, c, "srv/www/app.min.js", []byte(text)))); d != "" {
		t.Error(d)
	}
}

// A secret stands at every place relative to the ten bytes that the filter
// takes at once, and at both ends of the text.
func TestEveryPlace(t *testing.T) {
	c := newCheck(t)
	for n := range 24 {
		for _, after := range []string{"", "\n", " and more text"} {
			text := strings.Repeat(" ", n) + plain(plantedPAT) + after
			if got := brief(check(t, c, "a.txt", []byte(text))); len(got) != 1 {
				t.Errorf("%d blanks before and %q after: %v", n, after, got)
			}
		}
	}
}

func TestSamplesAreMarked(t *testing.T) {
	c := newCheck(t)
	text := []byte(plain(plantedPAT))
	for path, want := range map[string]string{
		"usr/share/doc/x/a.txt":                       "github-token low 1 suppressed",
		"usr/lib/python3/dist-packages/x/tests/a.py":  "github-token low 1 suppressed",
		"app/node_modules/x/test/fixtures/a.js":       "github-token low 1 suppressed",
		"usr/local/go/src/x/a_test.go":                "github-token low 1 suppressed",
		"app/test/a.js":                               "github-token low 1",
		"app/.env.example":                            "github-token low 1",
		"usr/share/app/config":                        "github-token critical 1",
		"app/contest/a.js":                            "github-token critical 1",
		"usr/lib/python3/dist-packages/x/__init__.py": "github-token critical 1",
	} {
		if d := cmp.Diff([]string{want}, brief(check(t, c, path, text))); d != "" {
			t.Errorf("%s: %s", path, d)
		}
	}
}

func TestOneFindingForEachRule(t *testing.T) {
	c := newCheck(t)
	var b strings.Builder
	for i := range 40 {
		fmt.Fprintf(&b, plain("t = gho_¦%036d\n"), i*7919+123456789)
	}
	for range 3 {
		b.WriteString(plain(plantedPAT) + "\n")
	}
	got := check(t, c, "a.txt", []byte(b.String()))
	for _, f := range got {
		if len(f.Evidence) > maxEvidence {
			t.Errorf("%s has %d pieces of evidence", f.Rule, len(f.Evidence))
		}
	}
	if len(got) != 1 || got[0].Rule != "secret/github-token" {
		t.Errorf("got %v", brief(got))
	}
}

func TestKeepsSecretsToItself(t *testing.T) {
	c := newCheck(t)
	for _, r := range c.rules {
		for _, e := range r.True {
			path := e.Path
			if path == "" {
				path = "srv/a.txt"
			}
			text := plain(e.Text)
			for _, f := range check(t, c, path, []byte(text)) {
				for _, ev := range f.Evidence {
					shown, _, _ := strings.Cut(ev.Detail, "…")
					if len(shown) > 4 {
						t.Errorf("%s shows %q", f.Rule, ev.Detail)
					}
				}
			}
		}
	}
}

func TestKeystores(t *testing.T) {
	c := newCheck(t)
	pemText := ""
	for _, r := range c.rules {
		if r.ID == "private-key" {
			pemText = plain(r.True[1].Text)
		}
	}
	armour, _ := unarmour([]byte(strings.Join(strings.Split(strings.TrimSpace(pemText), "\n")[1:], "\n")))
	raw := make([]byte, len(armour))
	n, _ := base64.RawStdEncoding.Decode(raw, armour)
	raw = raw[:n]
	jks := append([]byte{0xFE, 0xED, 0xFE, 0xED, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1}, make([]byte, 64)...)
	trust := bytes.Clone(jks)
	trust[15] = 2
	p12 := append([]byte{0x30, 0x1D, 0x02, 0x01, 0x03, 0x30, 0x18, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x01}, make([]byte, 13)...)
	for _, tc := range []struct {
		path string
		data []byte
		want []string
	}{
		{"srv/tls/server.key", raw, []string{"keystore high 0"}},
		{"srv/tls/server.der", raw[:len(raw)/2], nil},
		{"srv/app.jks", jks, []string{"keystore medium 0"}},
		{"srv/trust.jks", trust, nil},
		{"srv/app.p12", p12, []string{"keystore medium 0"}},
		{"srv/app.bin", raw, nil},
	} {
		if d := cmp.Diff(tc.want, brief(check(t, c, tc.path, tc.data))); d != "" {
			t.Errorf("%s: %s", tc.path, d)
		}
	}
}

func TestWants(t *testing.T) {
	c := newCheck(t)
	for path, want := range map[string]bool{
		"app/.env": true, "root/.ssh/id_ed25519": true, "usr/share/x": true, "app/server.key": true, "app/store.p12": true, "a.PEM": true,
		"a/b.so": false, "a/B.PNG": false, "proc/1/environ": false, "a.tar.gz": false, "usr/lib/x.pyc": false,
	} {
		if got := c.Wants(path, bulwark.Stat{Size: 100, Mode: 0o644}); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	for _, st := range []bulwark.Stat{{Size: 3, Mode: 0o644}, {Size: maxSize + 1, Mode: 0o644}, {Size: 100, Mode: fs.ModeDir | 0o755}, {Size: 100, Mode: fs.ModeSymlink | 0o777}} {
		if c.Wants("app/.env", st) {
			t.Errorf("wants %+v", st)
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		for _, p := range [...]string{"usr/lib/x86_64-linux-gnu/libssl.SO", "app/.env", "usr/share/zoneinfo/Europe/Berlin", "a/very/long/name.with-a-long-extension"} {
			c.Wants(p, bulwark.Stat{Size: 100, Mode: 0o644})
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCheckAllocatesLittle(t *testing.T) {
	c := newCheck(t)
	f := bulwark.MemoryFile("srv/app/text.txt", 0o644, prose(64<<10))
	if n := testing.AllocsPerRun(20, func() {
		if _, err := c.Check(t.Context(), f); err != nil {
			t.Error(err)
		}
	}); n > 2 {
		t.Errorf("%v allocations", n)
	}
}

func TestLineOffset(t *testing.T) {
	c := newCheck(t)
	f := bulwark.MemoryFile("a.txt", 0o644, []byte(plain("x\n"+plantedPAT)))
	f.Line = 10
	got, err := c.Check(t.Context(), f)
	if err != nil || len(got) != 1 || got[0].Evidence[0].Line != 11 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Texts that are made to cost much end soon, with a limit at worst.
func TestBudget(t *testing.T) {
	c := newCheck(t)
	var every strings.Builder
	for _, r := range c.rules {
		for _, k := range r.Keywords {
			every.WriteString(k + `="abcdefghijklmnop0123456789abcdef" `)
		}
	}
	for name, unit := range map[string]string{
		"every":   every.String(),
		"curl":    `curl -H " -u "`,
		"env":     "TOKEN=a\n",
		"words":   "token ",
		"begin":   "-----BEGIN RSA PRIVATE KEY-----\n",
		"base64":  "LS0tLS1CRUdJTi",
		"putty":   "PuTTY-User-Key-File-2: ",
		"account": `"type": "service_account" `,
		"url":     "postgres://a:b",
		"aws":     "AKIA234567ABCDEFGHIJ ",
		"jwt":     "eyJhbGciOiJIUzI1NiJ9.eyJhbGciOiJIUzI1NiJ9.",
	} {
		text := strings.Repeat(unit, 1+(1<<20)/len(unit))
		start := time.Now()
		_, err := c.Check(t.Context(), bulwark.MemoryFile("a/.env", 0o644, []byte(text)))
		if err != nil && !errors.Is(err, bulwark.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s: %v for 1 MiB", name, took)
		} else {
			t.Logf("%s: %v, %v", name, took, err)
		}
	}
}

func TestErrors(t *testing.T) {
	c := newCheck(t)
	text := plain(strings.Repeat("filler\n", 50) + plantedPAT)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Check(ctx, bulwark.MemoryFile("a", 0o644, []byte(text))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	_, err := c.Check(t.Context(), bulwark.ReaderFile("a", 0o644, strings.NewReader(text), int64(len(text)+5)))
	if err == nil || strings.Contains(err.Error(), "ghp_") {
		t.Errorf("got %v", err)
	}
	for n := 1; n < len(text); n *= 2 {
		if _, err := c.Check(t.Context(), bulwark.MemoryFile("a", 0o644, []byte(text[:n]))); err != nil {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

func TestImage(t *testing.T) {
	c := newCheck(t)
	a := &bulwark.Artifact{Kind: bulwark.KindImage, Image: &bulwark.Image{
		Env:    []string{"PATH=/bin", plain("GH=" + plantedPAT), plain("DATABASE_URL=postgres://app:hT7x¦Qz9Lm2@db.acme.test/app")},
		Labels: map[string]string{"note": plain(plantedSlack)},
		Cmd:    []string{"app", plain("--api-token=q7Z¦xT4vLm9Rw2")},
		History: []bulwark.History{
			{CreatedBy: "/bin/sh -c #(nop) ADD file:966d3669 in / "},
			{CreatedBy: plain("ENV GH=" + plantedPAT)},
			{CreatedBy: plain("RUN |1 NPM_TOKEN=q7Z¦vT4xLr8Hd2Kw1 /bin/sh -c npm ci # buildkit")},
			{CreatedBy: plain("RUN /bin/sh -c git clone https://x:" + plantedPAT + "@acme.test/a # buildkit")},
			{CreatedBy: "ENV DB_PASSWORD=k9X2vT4xLr8Hd"},
		},
	}}
	got, err := c.Image(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, f := range got {
		have = append(have, strings.TrimPrefix(f.Rule, "secret/")+" "+f.Subject)
		if len(f.Evidence) != 1 || f.Evidence[0].Line != 0 || f.Class != bulwark.ClassSecret || f.ID != bulwark.FindingID(f.Class, f.Rule, f.Subject) {
			t.Errorf("got %+v", f)
		}
	}
	want := []string{"github-token env:GH", "url-password env:DATABASE_URL", "slack-bot-token label:note", "build-argument cmd", "build-argument history:2"}
	if d := cmp.Diff(want, have); d != "" {
		t.Error(d)
	}
	if got, err := c.Image(t.Context(), &bulwark.Artifact{}); got != nil || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestRedact(t *testing.T) {
	c := newCheck(t)
	for in, want := range map[string]string{
		"apt-get install -y curl":                    "apt-get install -y curl",
		"RUN echo " + plantedPAT:                     "RUN echo gh" + Redacted,
		"|1 TOKEN=abcd1234 /bin/sh -c x":             "|1 TOKEN=" + Redacted + " /bin/sh -c x",
		"git clone https://u:pw123@acme.test/a":      "git clone https://u:" + Redacted + "@acme.test/a",
		`curl -H "Authorization: Bearer abcdef1234"`: `curl -H "Authorization: Bearer ` + Redacted + `"`,
		"mysql --password hunter22 -e x":             "mysql --password " + Redacted + " -e x",
		"curl -u me:hunter22 https://acme.test":      "curl -u " + Redacted + " https://acme.test",
		"RUN --token=$TOKEN x":                       "RUN --token=$TOKEN x",
	} {
		in, want = plain(in), plain(want)
		got := c.Redact(in)
		if got != want {
			t.Errorf("%q gave %q, want %q", in, got, want)
		}
		if again := c.Redact(got); again != got {
			t.Errorf("%q again gave %q", got, again)
		}
	}
	for _, r := range c.rules {
		for _, e := range r.True {
			text := plain(e.Text)
			got := c.Redact(text)
			if r.ID == "gcp-service-account" || strings.HasPrefix(e.Path, "root/.pgpass") {
				continue // a mark, not a secret; a form that only its file gives away
			}
			if got == text && len(r.Files) == 0 {
				t.Errorf("%s: nothing was taken out of %q", r.ID, e.Text)
			}
		}
	}
	env := []string{"PATH=/bin", "DB_PASSWORD=a", "TOKEN=", "SECRET_FILE=/run/x", plain("X=" + plantedPAT), "FLAG"}
	want := []string{"PATH=/bin", "DB_PASSWORD=" + Redacted, "TOKEN=", "SECRET_FILE=/run/x", "X=gh" + Redacted, "FLAG"}
	if d := cmp.Diff(want, c.RedactEnv(env)); d != "" {
		t.Error(d)
	}
	if c.RedactEnv(nil) != nil {
		t.Error("nil became something")
	}
}

func TestRulesAreWhole(t *testing.T) {
	c := newCheck(t)
	list := c.Rules()
	if len(list) < 200 {
		t.Errorf("%d rules", len(list))
	}
	for _, r := range list {
		if r.Class != bulwark.ClassSecret || r.Title == "" || r.Remedy == "" || r.Severity == bulwark.SeverityUnknown || !strings.HasPrefix(r.ID, "secret/") {
			t.Errorf("rule %+v is not whole", r)
		}
	}
	for _, r := range c.rules { // every expression compiles
		if r.regex != nil {
			r.regex.get()
		}
		if r.path != nil {
			r.path.get()
		}
	}
}

func TestConcurrent(t *testing.T) {
	c := newCheck(t)
	text := []byte(plain(plantedPAT + "\n" + plantedSlack))
	done := make(chan int)
	for range 4 {
		go func() {
			n := 0
			for range 50 {
				got, err := c.Check(t.Context(), bulwark.MemoryFile("a.txt", 0o644, text))
				if err == nil {
					n += len(got)
				}
			}
			done <- n
		}()
	}
	for range 4 {
		if n := <-done; n != 100 {
			t.Errorf("%d findings, want 100", n)
		}
	}
}

func FuzzCheck(f *testing.F) {
	c := newCheck(f)
	for _, r := range c.rules {
		for _, e := range append(r.True, r.False...) {
			f.Add(e.Path, []byte(plain(e.Text)))
		}
	}
	f.Add("a.p12", []byte("\x30\x82\x01\x00\x02\x01\x03"))
	f.Add("a.txt", utf16Bytes(plain(plantedPAT), true, 0))
	f.Fuzz(func(t *testing.T, path string, data []byte) {
		got, err := c.Check(t.Context(), bulwark.MemoryFile(path, 0o644, data))
		if err != nil && !errors.Is(err, bulwark.ErrTooLarge) {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, g := range got {
			if seen[g.ID] || len(g.Evidence) == 0 || len(g.Evidence) > maxEvidence {
				t.Errorf("finding %+v", g)
			}
			seen[g.ID] = true
		}
		c.Redact(string(data))
	})
}
