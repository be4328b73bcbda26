// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
)

// pairs gives "rule line secret" of what was revealed, by the findings it is of.
func pairs(t *testing.T, found []bulwark.Finding, raws []Raw) []string {
	t.Helper()
	var out []string
	for _, r := range raws {
		at := ""
		for _, f := range found {
			for _, e := range f.Evidence {
				if f.ID == r.Finding && e == r.Evidence {
					at = fmt.Sprintf("%s %s%d", strings.TrimPrefix(f.Rule, "secret/"), f.Subject, e.Line)
				}
			}
		}
		if s := fmt.Sprintf("%v %+v %#v", r, r, r); strings.Contains(s, r.Value) {
			t.Errorf("printing shows the secret: %s", s)
		}
		out = append(out, at+" "+r.Value)
	}
	return out
}

func TestReveal(t *testing.T) {
	c := newCheck(t)
	slack := plain(plantedSlack)
	text := "a: " + plain(plantedPAT) + "\nb: " + slack + "\nc: " + slack + "\nd: " + strings.Replace(slack, "xoxb-2", "xoxb-3", 1) + "\n"
	f := bulwark.MemoryFile("app/.env", 0o644, []byte(text))
	raws, err := c.Reveal(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"github-token app/.env1 " + plain(plantedPAT),
		"slack-bot-token app/.env2 " + slack,
		"slack-bot-token app/.env4 " + strings.Replace(slack, "xoxb-2", "xoxb-3", 1),
	}
	if diff := cmp.Diff(want, pairs(t, check(t, c, "app/.env", []byte(text)), raws)); diff != "" {
		t.Error(diff)
	}
	if raws, err := c.Reveal(t.Context(), bulwark.MemoryFile("a", 0o644, []byte("nothing is in it"))); len(raws) != 0 || err != nil {
		t.Error(raws, err)
	}
	// What is cut off is an error, as for Check.
	if _, err := c.Reveal(t.Context(), bulwark.ReaderFile("a", 0o644, strings.NewReader("short"), 1000)); err == nil {
		t.Error("a truncated file is no error")
	}
}

func TestRevealImage(t *testing.T) {
	c := newCheck(t)
	a := &bulwark.Artifact{Image: &bulwark.Image{
		Env:    []string{"PATH=/bin", "SLACK=" + plain(plantedSlack)},
		Labels: map[string]string{"token": plain(plantedPAT)},
	}}
	found, err := c.Image(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	raws, err := c.RevealImage(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"slack-bot-token env:SLACK0 " + plain(plantedSlack), "github-token label:token0 " + plain(plantedPAT)}
	if diff := cmp.Diff(want, pairs(t, found, raws)); diff != "" {
		t.Error(diff)
	}
	if raws, err := c.RevealImage(t.Context(), &bulwark.Artifact{}); raws != nil || err != nil {
		t.Error(raws, err)
	}
}

// What is revealed stays within its bounds.
func TestRevealBounds(t *testing.T) {
	c := newCheck(t)
	key := "-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n", 100) + "-----END PRIVATE KEY-----\n"
	raws, err := c.Reveal(t.Context(), bulwark.MemoryFile("key.pem", 0o600, []byte(key)))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range raws {
		if len(r.Value) > maxSecret {
			t.Errorf("%d bytes", len(r.Value))
		}
	}
	found := make([]bulwark.Finding, 2000)
	values := make([][]string, 2000)
	for i := range found {
		found[i].Evidence, values[i] = make([]bulwark.Evidence, 1), []string{"a"}
	}
	values[0][0] = strings.Repeat("a", maxSecret+1)
	if got := revealed(found, values); len(got) != maxRevealed || got[0].Value != "a" {
		t.Errorf("%d secrets", len(got))
	}
}
