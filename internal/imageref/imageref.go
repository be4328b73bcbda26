// SPDX-License-Identifier: Apache-2.0

// Package imageref takes the name of an image apart, as people write it
// (https://github.com/distribution/reference).
package imageref

import "strings"

// A Ref is the parts of an image's name. Members are "" where the name has none.
type Ref struct {
	Registry string // "docker.io" when the name says none
	Repo     string // without the registry: "library/debian"
	Tag      string
	Digest   string // "sha256:…"
}

// Parse takes "[registry/]repo[:tag][@digest]" apart. Names without a registry are
// on Docker Hub, by a convention older than the specifications. It never fails:
// what is no name gives parts that are none.
func Parse(s string) Ref {
	var r Ref
	s, r.Digest, _ = strings.Cut(s, "@")
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, '/') {
		s, r.Tag = s[:i], s[i+1:]
	}
	s = strings.ToLower(strings.Trim(s, "/"))
	if s == "" {
		return r
	}
	host, rest, ok := strings.Cut(s, "/")
	switch {
	case !ok:
		r.Registry, r.Repo = "docker.io", "library/"+s
	case host == "index.docker.io":
		r.Registry, r.Repo = "docker.io", rest
	case strings.ContainsAny(host, ".:") || host == "localhost":
		r.Registry, r.Repo = host, rest
	default:
		r.Registry, r.Repo = "docker.io", s
	}
	return r
}

// Name gives the repository with its registry; "" for none.
func (r Ref) Name() string {
	if r.Repo == "" {
		return ""
	}
	return r.Registry + "/" + r.Repo
}
