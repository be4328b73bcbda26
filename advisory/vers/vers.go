// SPDX-License-Identifier: Apache-2.0

// Package vers orders version strings by the rules of each package ecosystem.
// It does not know advisories or packages.
package vers

// Compare orders two versions by the rules of an OSV ecosystem, with or
// without its release ("Debian:12", "npm"): negative when a is before b, zero
// when they are equal, positive when a is after b. It is
// [bulwark.ErrUnsupported] for an ecosystem without rules here, and another
// error for a version that the rules cannot read.
func Compare(ecosystem, a, b string) (int, error) { panic("being written") }
