// SPDX-License-Identifier: Apache-2.0

// Package check finds faults in files and configurations: secrets, dangerous
// settings. It knows rules; it does not know packages, advisories or policy.
package check

import (
	"context"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check/secret"
)

// A Check looks for faults in one file. It is safe for concurrent use.
type Check interface {
	// Name is short and never changes: "secret".
	Name() string
	// Wants tells whether Check should see the file; see extract.Extractor.
	Wants(path string, st bulwark.Stat) bool
	// Check gives the findings of f. It must bear any bytes and return soon
	// after ctx is done. Evidence never holds a secret in clear.
	Check(ctx context.Context, f *bulwark.File) ([]bulwark.Finding, error)
	// Rules lists every rule that a finding may name.
	Rules() []bulwark.Rule
}

// An ImageCheck is a Check that looks at an image's configuration, too.
type ImageCheck interface {
	// Image gives the findings of the configuration of a.
	Image(ctx context.Context, a *bulwark.Artifact) ([]bulwark.Finding, error)
}

// A Hasher is a Check that takes the digests of what it looks at.
type Hasher interface {
	// Inspect does what Check does, and hands the digests of f, if it is a file
	// that something may run, and of such files inside it to sum.
	Inspect(ctx context.Context, f *bulwark.File, sum func(bulwark.FileHash)) ([]bulwark.Finding, error)
}

// A Raw is a secret in clear; see [secret.Raw].
type Raw = secret.Raw

// A Revealer is a Check that can give the secrets that its findings tell of.
type Revealer interface {
	// Reveal gives in clear what the evidence of Check's findings of f stands for.
	// There may be none.
	Reveal(ctx context.Context, f *bulwark.File) ([]Raw, error)
}
