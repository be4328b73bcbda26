// SPDX-License-Identifier: Apache-2.0

// Package actions finds the GitHub Actions and reusable workflows that workflows
// and composite actions call. It knows what is written, which may be a tag or a
// branch that moves; it does not know what either pointed to when it ran, nor
// what an action itself brings along.
package actions

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"strings"

	"github.com/package-url/packageurl-go"
	"gopkg.in/yaml.v3"

	"github.com/bulwark-sec/bulwark"
)

const (
	// ecosystem is OSV's name.
	ecosystem = "GitHub Actions"
	// maxFile bounds a file, bytes: GitHub takes no larger workflow.
	maxFile = 512 << 10
	// maxName bounds a part of a name or a version, bytes.
	maxName = 256
	// maxPlaces bounds the places that are noted of one action in one file.
	maxPlaces = 64
)

// base gives the last element of a path.
func base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// named tells whether the last element of a path is name.
func named(p, name string) bool {
	return strings.HasSuffix(p, name) && (len(p) == len(name) || p[len(p)-len(name)-1] == '/')
}

// malformed names the file that does not follow its format.
func malformed(f *bulwark.File, err error) error { return fmt.Errorf("parse %q: %w", f.Path, err) }

// Workflow reads the workflows of a repository, .github/workflows/*.yml. Its
// zero value is ready to use.
type Workflow struct{}

// Name gives "github-workflow".
func (Workflow) Name() string { return "github-workflow" }

// Wants tells whether p is a workflow.
func (Workflow) Wants(p string, st bulwark.Stat) bool {
	if !strings.HasSuffix(p, ".yml") && !strings.HasSuffix(p, ".yaml") || st.Mode&fs.ModeType != 0 {
		return false
	}
	dir, ok := strings.CutSuffix(p[:len(p)-len(base(p))], ".github/workflows/")
	return ok && (dir == "" || dir[len(dir)-1] == '/')
}

// Extract gives what the jobs and steps of the workflow use.
func (e Workflow) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	c, err := open(ctx, f, e.Name())
	if err != nil || c.root == nil {
		return nil, err
	}
	pairs(value(c.root, "jobs"), func(_, job *yaml.Node) {
		c.use(job)
		c.steps(job)
	})
	return c.pkgs, ctx.Err()
}

// Action reads the composite actions of a repository, action.yml. Its zero value
// is ready to use.
type Action struct{}

// Name gives "github-action".
func (Action) Name() string { return "github-action" }

// Wants tells whether p describes an action.
func (Action) Wants(p string, st bulwark.Stat) bool {
	return (named(p, "action.yml") || named(p, "action.yaml")) && st.Mode&fs.ModeType == 0
}

// WantsHead tells whether the file can be that of an action: it must say how it
// runs.
func (Action) WantsHead(_ string, head []byte) bool {
	const most = 4096 // what a caller gives of a longer file
	return len(head) >= most || bytes.Contains(head, []byte("runs"))
}

// Extract gives what the steps of the action use, and the image that it runs in.
func (e Action) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	c, err := open(ctx, f, e.Name())
	if err != nil || c.root == nil {
		return nil, err
	}
	runs := value(c.root, "runs")
	c.steps(runs)
	if image := value(runs, "image"); image != nil {
		c.image(image)
	}
	return c.pkgs, ctx.Err()
}

// calls collects what one file uses, each thing once.
type calls struct {
	root     *yaml.Node // nil when the file is empty or no mapping
	path, by string
	pkgs     []bulwark.Package
	index    map[string]int // by purl
}

// open reads a file. Aliases are not followed: what they stand for is read where
// it is written.
func open(ctx context.Context, f *bulwark.File, by string) (*calls, error) {
	data, err := f.Bytes(maxFile)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := &calls{path: f.Path, by: by, index: map[string]int{}}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, malformed(f, err)
	}
	if len(doc.Content) == 1 && doc.Content[0].Kind == yaml.MappingNode {
		c.root = doc.Content[0]
	}
	return c, nil
}

// pairs calls yield with each key and value of a mapping, or does nothing.
func pairs(n *yaml.Node, yield func(key, value *yaml.Node)) {
	if n == nil || n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		yield(n.Content[i], n.Content[i+1])
	}
}

// value gives the value of a key, nil when there is none.
func value(n *yaml.Node, key string) (found *yaml.Node) {
	pairs(n, func(k, v *yaml.Node) {
		if k.Value == key && found == nil {
			found = v
		}
	})
	return found
}

// steps looks at the steps of a job or an action.
func (c *calls) steps(n *yaml.Node) {
	if s := value(n, "steps"); s != nil && s.Kind == yaml.SequenceNode {
		for _, step := range s.Content {
			c.use(step)
		}
	}
}

// use looks at the key "uses" of a step or a job.
func (c *calls) use(n *yaml.Node) {
	v := value(n, "uses")
	if v == nil || v.Kind != yaml.ScalarNode {
		return
	}
	if strings.HasPrefix(v.Value, "docker://") {
		c.image(v)
		return
	}
	name, ref, ok := strings.Cut(v.Value, "@")
	owner, repo, _ := strings.Cut(name, "/")
	repo, _, _ = strings.Cut(repo, "/") // what follows is a folder or a workflow
	if !ok || !plausible(owner) || owner == "." || owner == ".." || !plausible(repo) || !isRef(ref) {
		return // one of the same repository, or an expression
	}
	if isCommit(ref) {
		// "v4" beside a commit says which series it was of, and no version: it does
		// not move with the tag.
		if tag := tagOf(v.LineComment); strings.Count(tag, ".") >= 2 {
			ref = tag
		}
	}
	// Advisories name the repository, whichever of its actions is used.
	u := packageurl.PackageURL{Type: packageurl.TypeGithub, Namespace: strings.ToLower(owner), Name: strings.ToLower(repo), Version: ref}
	c.add(bulwark.Package{PURL: u.ToString(), Name: owner + "/" + repo, Version: ref, Ecosystem: ecosystem}, v.Line)
}

// image looks at an action that is an image, "docker://alpine:3.20".
func (c *calls) image(v *yaml.Node) {
	name, ok := strings.CutPrefix(v.Value, "docker://")
	if !ok || v.Kind != yaml.ScalarNode || len(name) > 2*maxName {
		return
	}
	name, digest, pinned := strings.Cut(name, "@")
	slash := strings.LastIndexByte(name, '/')
	version := digest
	if i := strings.LastIndexByte(name, ':'); i > slash {
		if !pinned {
			version = name[i+1:]
		}
		name = name[:i]
	}
	u := packageurl.PackageURL{Type: packageurl.TypeDocker, Version: version}
	host, rest, ok := strings.Cut(name, "/")
	if ok && strings.ContainsAny(host, ".:") { // a registry other than the usual one
		u.Qualifiers = packageurl.Qualifiers{{Key: "repository_url", Value: host}}
	} else {
		rest = name
	}
	for part := range strings.SplitSeq(rest, "/") {
		if !plausible(part) {
			return
		}
	}
	if version != "" && !isRef(version) {
		return
	}
	u.Name = base(rest)
	u.Namespace = strings.TrimSuffix(rest[:len(rest)-len(u.Name)], "/")
	c.add(bulwark.Package{PURL: u.ToString(), Name: name, Version: version}, v.Line)
}

// add notes a package, or one more place of a package that is known.
func (c *calls) add(p bulwark.Package, line int) {
	at := bulwark.Location{Path: c.path, Line: line}
	if i, ok := c.index[p.PURL]; ok {
		if w := &c.pkgs[i].Where; len(*w) < maxPlaces {
			*w = append(*w, at)
		}
		return
	}
	c.index[p.PURL] = len(c.pkgs)
	p.Where, p.By = []bulwark.Location{at}, c.by
	c.pkgs = append(c.pkgs, p)
}

// plausible tells whether s can be an owner or a repository.
func plausible(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.':
		default:
			return false
		}
	}
	return true
}

// isRef tells whether s can be a tag, a branch, a commit or a digest.
func isRef(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9':
		case strings.IndexByte("-_.+/:@", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// isCommit tells whether s is the full name of a commit.
func isCommit(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

// tagOf finds the tag in the comment beside a commit, "# v4.1.2" or
// "# tag=v4.1.2": the way of writing that Dependabot and Renovate keep up to date.
func tagOf(comment string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(strings.TrimLeft(comment, "# \t")), " ")
	for _, prefix := range []string{"pin@", "tag=", "tag:", "ratchet:"} {
		word = strings.TrimPrefix(word, prefix)
	}
	if i := strings.LastIndexByte(word, '@'); i >= 0 {
		word = word[i+1:] // owner/name@v4
	}
	digits := strings.TrimPrefix(word, "v")
	if digits == "" || digits[0] < '0' || digits[0] > '9' || len(word) > 64 || !isRef(word) || isCommit(word) {
		return ""
	}
	return word
}
