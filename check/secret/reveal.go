// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"context"

	"github.com/bulwark-sec/bulwark"
)

// Bounds on what is revealed of one file or configuration.
const (
	maxRevealed = 1000    // secrets
	maxSecret   = 4 << 10 // bytes; no token of a service is longer
)

// A Raw is a secret in clear, for one who asks its service whether it still
// works. It is kept in memory alone and never written anywhere.
type Raw struct {
	Finding  string           `json:"finding"`  // id of the finding
	Evidence bulwark.Evidence `json:"evidence"` // of the finding, which stands for the secret
	Value    string           `json:"value"`    // the secret, at most 4,096 bytes
}

// String hides the value from whatever prints it.
func (r Raw) String() string { return Redacted }

// GoString hides the value from whatever prints it.
func (r Raw) GoString() string { return Redacted }

// Reveal gives in clear the secrets that evidence of Check stands for, at most
// 1,000; those of more than 4,096 bytes are left out. What Check did not show is
// not revealed. Its errors are those of Check.
func (c *Check) Reveal(ctx context.Context, f *bulwark.File) ([]Raw, error) {
	found, values, err := c.look(ctx, f)
	return revealed(found, values), err
}

// RevealImage does for the findings of Image what Reveal does for those of Check.
func (c *Check) RevealImage(ctx context.Context, a *bulwark.Artifact) ([]Raw, error) {
	v := c.view(ctx, a)
	return revealed(v.out, v.values), v.err
}

func revealed(found []bulwark.Finding, values [][]string) []Raw {
	var out []Raw
	for i := range found {
		for k, value := range values[i] {
			if len(value) <= maxSecret && len(out) < maxRevealed {
				out = append(out, Raw{Finding: found[i].ID, Evidence: found[i].Evidence[k], Value: value})
			}
		}
	}
	return out
}
