// SPDX-License-Identifier: Apache-2.0

package bulwark

import "time"

// A Difference is what changed from one report to another. Lists are sorted and
// never nil.
type Difference struct {
	Old      Artifact        `json:"old"`
	New      Artifact        `json:"new"`
	Shared   int             `json:"sharedLayers"` // layers that both begin with
	Packages []PackageChange `json:"packages"`
	Added    []Finding       `json:"added"`   // findings that only the new report has
	Removed  []Finding       `json:"removed"` // findings that only the old report has
	Settings []Setting       `json:"settings"`
}

// A PackageChange is a package that came, went or changed its version.
type PackageChange struct {
	Ecosystem string `json:"ecosystem,omitempty"`
	Name      string `json:"name"`
	Old       string `json:"old,omitempty"` // versions, separated by ", "; "" is not there
	New       string `json:"new,omitempty"`
}

// A Setting is a part of the image configuration that changed.
type Setting struct {
	Name string `json:"name"` // "user", "env PATH", "label x", "entrypoint" …
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// Empty tells whether nothing changed.
func (d *Difference) Empty() bool {
	return len(d.Packages) == 0 && len(d.Added) == 0 && len(d.Removed) == 0 && len(d.Settings) == 0
}

// A Bump is another image of a base image's repository, and what building on it
// would change.
type Bump struct {
	Image   string    `json:"image"` // its full name
	Digest  Digest    `json:"digest,omitempty"`
	Created time.Time `json:"created,omitzero"`
	Removes []string  `json:"removes"` // ids of open findings of the base that it does not have, sorted
	Adds    []string  `json:"adds"`    // rules of vulnerabilities that the base does not have, sorted
	Worst   Severity  `json:"worst"`   // of what it removes
	Risk    float64   `json:"risk"`    // removed less added, as in an Action
}
