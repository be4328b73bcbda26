// SPDX-License-Identifier: Apache-2.0

package live

import (
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestProbes holds the table to what every row needs.
func TestProbes(t *testing.T) {
	b, err := os.ReadFile("testdata/services.txtar")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, f := range txtar.Parse(b).Files {
		shown[f.Name] = true
	}
	for i := range probes {
		p := &probes[i]
		for _, id := range p.rules {
			// Three older kinds of Slack's tokens are asked about as the first is.
			if !shown[id] && p.host != "slack.com" {
				t.Errorf("rule %q is not in testdata", id)
			}
		}
		if !strings.HasPrefix(p.doc, "https://") || !strings.HasPrefix(p.path, "/") || p.yes == "" || strings.ContainsAny(p.host, "/:{") {
			t.Errorf("row %d, %v: where it is described, what is asked, and what says yes", i, p.rules)
		}
		if p.no != nil && len(p.no) == 0 && p.maybe == "" {
			t.Errorf("row %d, %v: no refusal counts, and nothing says why", i, p.rules)
		}
		if p.post != "" && p.words == nil && !strings.HasPrefix(p.post, `{"query":"{`) {
			t.Errorf("row %d, %v: what is posted is no question", i, p.rules)
		}
	}
}
