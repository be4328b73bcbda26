// SPDX-License-Identifier: Apache-2.0

package bulwark

import "time"

// A Kind is a kind of artifact. The zero Kind is unknown.
type Kind string

// The kinds of artifact.
const (
	KindImage Kind = "image" // a container image
	KindDir   Kind = "fs"    // a directory or an unpacked root file system
	KindRepo  Kind = "repo"  // a source repository's work tree
	KindHost  Kind = "host"  // the machine itself
	KindSBOM  Kind = "sbom"  // a bill of materials that somebody else wrote

	KindFunction Kind = "function" // the package of a serverless function
	KindVM       Kind = "vm"       // the disk of a virtual machine
)

// An Artifact is one inspectable thing, named by what it is and not by what it
// is called: two tags of one image are one Artifact.
type Artifact struct {
	ID     Digest `json:"id"`     // image manifest, or the digest of what was walked
	Kind   Kind   `json:"kind"`   //
	Name   string `json:"name"`   // as asked for; for display, never a key
	Source string `json:"source"` // where it came from: "registry", "docker", "oci-layout", "directory" …

	Config   Digest    `json:"config,omitempty"`   // digest of the image configuration
	Platform string    `json:"platform,omitempty"` // "linux/arm64/v8"; "" when unknown
	Created  time.Time `json:"created,omitzero"`   // when the image says it was built
	Commit   string    `json:"commit,omitempty"`   // the commit that a work tree stands on
	Image    *Image    `json:"image,omitempty"`    // set for images only
}

// An Image is what an OCI image configuration says beside its layers
// (https://github.com/opencontainers/image-spec/blob/main/config.md).
type Image struct {
	User        string            `json:"user,omitempty"`
	Env         []string          `json:"env,omitempty"` // "NAME=value"; values that look secret are redacted in reports
	Entrypoint  []string          `json:"entrypoint,omitempty"`
	Cmd         []string          `json:"cmd,omitempty"`
	WorkingDir  string            `json:"workingDir,omitempty"`
	Ports       []string          `json:"ports,omitempty"` // "8080/tcp", sorted
	Volumes     []string          `json:"volumes,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Healthcheck []string          `json:"healthcheck,omitempty"` // test command; nil when none is declared
	History     []History         `json:"history,omitempty"`     // oldest first
	RepoTags    []string          `json:"repoTags,omitempty"`
	RepoDigests []string          `json:"repoDigests,omitempty"`
	SelfNamed   bool              `json:"selfNamed,omitempty"` // RepoDigests hold the engine's own id, which no registry need have seen
}

// A History entry is one step of an image's build.
type History struct {
	Created   time.Time `json:"created,omitzero"`
	CreatedBy string    `json:"createdBy,omitempty"` // the instruction, as the builder wrote it
	Comment   string    `json:"comment,omitempty"`
	Empty     bool      `json:"empty,omitempty"` // it made no layer
}
