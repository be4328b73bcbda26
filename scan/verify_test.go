// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scan_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check/live"
	"github.com/bulwark-sec/bulwark/internal/diskcache"
	"github.com/bulwark-sec/bulwark/scan"
)

// Tokens of the right form that are nobody's. They are put together here, so that
// they stand in no file.
func someTokens() (goodGitHub, deadNPM, oddSlack string) {
	return "ghp_" + "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17", "npm_" + "NEuEYpEhWj3EISechd7TG1bzdUGrhN3djJVi", "xoxb-" + "273645182931-4837261940582-qZ7wE4rT9yU2iO5pL8kJ3hG6"
}

// world answers for the services: GitHub accepts, npm refuses, Slack is not there.
type world struct {
	mu    sync.Mutex
	asked []string
}

func (w *world) do(_ context.Context, r *live.Request) (*live.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, r.URL)
	switch {
	case strings.Contains(r.URL, "github"):
		return &live.Response{Status: 200, Body: []byte(`{"login":"web"}`)}, nil
	case strings.Contains(r.URL, "npm"):
		return &live.Response{Status: 401}, nil
	}
	return nil, fmt.Errorf("no route for %v", r.Header)
}

// secrets gives "rule subject severity: details" of findings.
func secrets(r *bulwark.Report) []string {
	var out []string
	for _, f := range r.Findings {
		if f.Class != bulwark.ClassSecret {
			continue
		}
		s := fmt.Sprintf("%s %s %v%s:", strings.TrimPrefix(f.Rule, "secret/"), f.Subject, f.Severity, f.Status.State)
		for _, e := range f.Evidence {
			s += " " + e.Detail
			if e.Deleted != "" {
				s += " (deleted)"
			}
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

// holds tells of every file below dir, and of the report, that has a token in it.
func holds(t *testing.T, dir string, r *bulwark.Report, tokens ...string) {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string][]byte{"the report": b, "printed": fmt.Appendf(nil, "%+v", r)}
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			texts[p], err = os.ReadFile(p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range texts {
		for _, token := range tokens {
			if bytes.Contains(text, []byte(token)) {
				t.Errorf("%s holds a token", name)
			}
		}
	}
}

func TestVerify(t *testing.T) {
	github, npm, slack := someTokens()
	r := &room{dir: t.TempDir()}
	target := r.write(layout{
		layers: []layer{
			gz(new(stream).file("app/.env", "A="+github+"\nB="+npm+"\n").file("app/tests/a.env", "A="+github+"\n").end()),
			gz(new(stream).file("app/.wh..env", "").file("b.env", "B="+slack+"\n").end()),
		},
		config: func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"User":`), []byte(`"Env":["S=`+slack+`"],"User":`), 1)
		},
	})
	const (
		yes   = "; live: api.github.com accepted it on 2026-03-04"
		no    = "; refused by registry.npmjs.org on 2026-03-04"
		maybe = "; not known whether it works: slack.com: no answer: the error is not shown, for it repeats the secret"
	)
	plain := []string{
		"github-token app/.env critical: gh… (40 characters); checksum is right (deleted)",
		"github-token app/tests/a.env low: gh… (40 characters); checksum is right",
		"npm-token app/.env critical: npm_… (40 characters); checksum is right (deleted)",
		"slack-bot-token b.env critical: xoxb… (56 characters)",
		"slack-bot-token env:S critical: env:S: xoxb… (56 characters)",
	}
	want := []string{
		"github-token app/.env critical: gh… (40 characters); checksum is right" + yes + " (deleted)",
		"github-token app/tests/a.env critical: gh… (40 characters); checksum is right" + yes,
		"npm-token app/.env critical: npm_… (40 characters); checksum is right" + no + " (deleted)",
		"slack-bot-token b.env critical: xoxb… (56 characters)" + maybe,
		"slack-bot-token env:S critical: env:S: xoxb… (56 characters)" + maybe,
	}
	for _, inProcess := range []bool{false, true} {
		t.Run(fmt.Sprintf("in-process-%v", inProcess), func(t *testing.T) {
			kept := t.TempDir()
			w := &world{}
			s := scan.Scanner{
				Tool: bulwark.Tool{Name: "bulwark", Version: "test"}, TempDir: t.TempDir(), Secrets: true, InProcessUnsafe: inProcess,
				Cache: diskcache.Open(kept, 1<<30), Now: func() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) },
			}
			run := func() *bulwark.Report {
				t.Helper()
				out, err := s.Run(t.Context(), target)
				if err != nil {
					t.Fatal(err)
				}
				holds(t, kept, out, github, npm, slack)
				return out
			}
			before := run()
			if diff := cmp.Diff(plain, secrets(before)); diff != "" || len(w.asked) > 0 {
				t.Error("nobody was to be asked:", w.asked, diff)
			}
			s.Live = &live.Client{Do: w.do}
			after := run()
			if diff := cmp.Diff(want, secrets(after)); diff != "" {
				t.Error(diff)
			}
			if after.Scan.Cached != 0 || len(w.asked) != 3 {
				t.Errorf("%d layers were kept, %v was asked", after.Scan.Cached, w.asked)
			}
			if diff := cmp.Diff(live.Tally{Live: 1, Refused: 1, Unknown: 1}, s.Live.Tally()); diff != "" {
				t.Error(diff)
			}
			// What was kept is as it was: the next scan says nothing of services.
			s.Live = nil
			again := run()
			if diff := cmp.Diff(plain, secrets(again)); diff != "" || again.Scan.Cached != 2 || len(w.asked) != 3 {
				t.Error(again.Scan.Cached, w.asked, diff)
			}
			// Without secrets nobody is asked.
			s.Live, s.Secrets = &live.Client{Do: w.do}, false
			if out := run(); len(secrets(out)) != 0 || len(w.asked) != 3 {
				t.Error(secrets(out), w.asked)
			}
		})
	}
}

// More secrets than are asked about are told, and bounded.
func TestVerifyMany(t *testing.T) {
	dir := t.TempDir()
	for i := range 300 {
		var b strings.Builder
		for k := range 8 {
			fmt.Fprintf(&b, "T%d=xoxb-%012d-%013d-qZ7wE4rT9yU2iO5pL8kJ3h%02d\n", k, 273645182931+i, 4837261940582+k, i%100)
		}
		must(os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.env", i)), []byte(b.String()), 0o600))
	}
	w := &world{}
	s := scan.Scanner{TempDir: t.TempDir(), Secrets: true, Live: &live.Client{Do: func(context.Context, *live.Request) (*live.Response, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asked = append(w.asked, "")
		return &live.Response{Status: 200, Body: []byte(`{"ok":false,"error":"invalid_auth"}`)}, nil
	}}}
	r, err := s.Run(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(w.asked) != 1000 || !hasGap(r, "more than 1000 secrets in one layer") {
		t.Errorf("%d questions; %v", len(w.asked), r.Inventory.Gaps)
	}
}
