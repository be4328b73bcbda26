// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark"
)

// A fault of what reads the history costs its answers and is told; the report
// stands. Who interrupts the scan is obeyed.
func TestSinceFault(t *testing.T) {
	tree := &bulwark.Tree{Past: func() (*bulwark.Past, error) {
		return &bulwark.Past{
			Head:  strings.Repeat("a", 40),
			File:  func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("some line\n")), nil },
			Loose: func(string) (io.ReadCloser, error) { panic("an object that nobody thought of") },
			Close: func() {},
		}, nil
	}}
	report := func() *bulwark.Report {
		return &bulwark.Report{Findings: []bulwark.Finding{{Evidence: []bulwark.Evidence{{Location: bulwark.Location{Path: "a.yaml", Line: 1}}}}}}
	}
	s := &Scanner{Blame: BlameFindings, InProcessUnsafe: true}
	r := report()
	if err := s.since(t.Context(), r, tree); err != nil {
		t.Fatal(err)
	}
	if g := r.Inventory.Gaps; len(g) != 1 || !strings.Contains(g[0].Detail, "the history was not asked") || g[0].Hides {
		t.Errorf("gaps %+v", g)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.since(ctx, report(), tree); err != context.Canceled {
		t.Errorf("interrupted: %v", err)
	}
}
