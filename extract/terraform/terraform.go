// SPDX-License-Identifier: Apache-2.0

// Package terraform finds providers and modules of Terraform and OpenTofu: locked
// providers in .terraform.lock.hcl, and in the working directory .terraform the
// installed providers and modules. It does not know configurations, which name
// ranges of versions.
package terraform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	// maxFile bounds a file, bytes. Large ones have some 100 KiB.
	maxFile = 8 << 20
	// maxName bounds a part of a name or a version, bytes.
	maxName = 256
	// maxLine bounds a line that is looked into, bytes.
	maxLine = 16 << 10
	// checkEvery says how often a loop over input asks whether it should go on.
	checkEvery = 1024
	// home is the host that an address without one is about:
	// https://developer.hashicorp.com/terraform/language/providers/requirements#source-addresses
	home = "registry.terraform.io"
)

// base gives the last element of a path.
func base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// named tells whether the last element of a path is name.
func named(p, name string) bool {
	return strings.HasSuffix(p, name) && (len(p) == len(name) || p[len(p)-len(name)-1] == '/')
}

// plausible tells whether s can be a part of an address or a version.
func plausible(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9':
		case c == '-' || c == '_' || c == '.' || c == '+' || c == ':':
		default:
			return false
		}
	}
	return true
}

// made gives a provider, "hashicorp/aws", or a module of a registry,
// "terraform-aws-modules/vpc/aws". OSV knows neither. The purl has the kind that
// packageurl-go lists; another registry than the usual one is its qualifier.
func made(by, path, host, name, version string, line int) (bulwark.Package, bool) {
	parts := strings.Split(name, "/")
	if len(parts) < 2 || len(parts) > 3 || !plausible(host) || !plausible(version) {
		return bulwark.Package{}, false
	}
	for _, p := range parts {
		if !plausible(p) {
			return bulwark.Package{}, false
		}
	}
	last := len(parts) - 1
	u := packageurl.PackageURL{Type: packageurl.TypeTerraform, Namespace: strings.Join(parts[:last], "/"), Name: parts[last], Version: version}
	if host != home {
		u.Qualifiers = packageurl.Qualifiers{{Key: "repository_url", Value: host}}
	}
	return bulwark.Package{
		PURL: u.ToString(), Name: name, Version: version,
		Where: []bulwark.Location{{Path: path, Line: line}}, By: by,
	}, true
}

// malformed names the file that does not follow its format.
func malformed(f *bulwark.File, err error) error { return fmt.Errorf("parse %q: %w", f.Path, err) }

// Lock reads .terraform.lock.hcl as terraform init writes it: one block for each
// provider and one argument in each line. Its zero value is ready to use.
type Lock struct{}

// Name gives "terraform-lock".
func (Lock) Name() string { return "terraform-lock" }

// Wants tells whether p is a dependency lock file.
func (Lock) Wants(p string, st bulwark.Stat) bool {
	return named(p, ".terraform.lock.hcl") && st.Mode&fs.ModeType == 0
}

// Extract gives the locked providers.
func (e Lock) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxFile)
	if err != nil {
		return nil, err
	}
	var (
		pkgs    []bulwark.Package
		seen    = map[string]bool{}
		address string
		begin   int // line of the block, 0 outside of one
		known   bool
	)
	rest := data
	for n := 1; len(rest) > 0; n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return pkgs, ctx.Err()
		}
		var raw []byte
		if raw, rest, _ = bytes.Cut(rest, []byte{'\n'}); len(raw) > maxLine {
			continue
		}
		line := strings.TrimSpace(string(raw))
		switch {
		case line == "" || line[0] == '#' || strings.HasPrefix(line, "//"):
		case line == "}":
			begin = 0
		case strings.HasPrefix(line, "provider "):
			label, block, _ := strings.Cut(strings.TrimSpace(line[len("provider "):]), " ")
			if len(label) > 2 && label[0] == '"' && label[len(label)-1] == '"' && strings.TrimSpace(block) == "{" {
				address, begin, known = label[1:len(label)-1], n, true
			}
		case begin > 0:
			key, value, ok := strings.Cut(line, "=")
			value = strings.TrimSpace(value)
			if !ok || strings.TrimSpace(key) != "version" || len(value) < 2 || value[0] != '"' || value[len(value)-1] != '"' {
				continue
			}
			host, name, _ := strings.Cut(address, "/")
			if p, ok := made(e.Name(), f.Path, host, name, value[1:len(value)-1], begin); ok && !seen[p.PURL] {
				seen[p.PURL] = true
				pkgs = append(pkgs, p)
			}
			begin = 0
		}
	}
	// A configuration without providers has a lock file of comments only.
	if !known && !onlyComments(data) {
		return pkgs, malformed(f, errors.New("not a lock file of this kind"))
	}
	return pkgs, ctx.Err()
}

// onlyComments tells whether data has nothing but comments and space.
func onlyComments(data []byte) bool {
	for len(data) > 0 {
		var line []byte
		line, data, _ = bytes.Cut(data, []byte{'\n'})
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}

// Provider finds installed providers by where terraform init and mirrors put
// their programs: HOST/NAMESPACE/TYPE/VERSION/OS_ARCH/terraform-provider-TYPE…,
// https://developer.hashicorp.com/terraform/cli/config/config-file#implied-local-mirror-directories
// The programs themselves rarely know their version. Its zero value is ready to
// use.
type Provider struct{}

// Name gives "terraform-provider".
func (Provider) Name() string { return "terraform-provider" }

// Wants tells whether p is the program of a provider in such a place.
func (Provider) Wants(p string, st bulwark.Stat) bool {
	if st.Mode&fs.ModeType != 0 || !strings.HasPrefix(base(p), "terraform-provider-") {
		return false
	}
	_, _, _, ok := place(p)
	return ok
}

// WantsHead tells whether the file is a program of any system.
func (Provider) WantsHead(_ string, head []byte) bool {
	for _, magic := range []string{"\x7fELF", "MZ", "\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return false
}

// place takes a provider's address and version from where its program lies.
func place(p string) (host, name, version string, ok bool) {
	rest := p
	up := func() (last string) {
		i := strings.LastIndexByte(rest, '/')
		last = rest[i+1:]
		rest = rest[:max(i, 0)]
		return last
	}
	file, platform, version, kind, space := up(), up(), up(), up(), up()
	host = up()
	after, ok := strings.CutPrefix(file, "terraform-provider-")
	if !ok || !strings.HasPrefix(after, kind) || !strings.Contains(platform, "_") || !strings.Contains(host, ".") {
		return "", "", "", false
	}
	if version == "" || version[0] < '0' || version[0] > '9' || !plausible(version) || !plausible(kind) || !plausible(space) || !plausible(host) {
		return "", "", "", false
	}
	end := len(p) - len(file) - len(platform) - len(version) - 3
	return host, p[end-len(kind)-1-len(space) : end], version, true
}

// Extract gives the provider.
func (e Provider) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var magic [4]byte
	if _, err := f.ReadAt(magic[:], 0); err != nil {
		return nil, fmt.Errorf("read %q: %w", f.Path, err)
	}
	host, name, version, ok := place(f.Path)
	if !ok || !e.WantsHead(f.Path, magic[:]) {
		return nil, nil
	}
	if p, ok := made(e.Name(), f.Path, host, name, version, 0); ok {
		return []bulwark.Package{p}, nil
	}
	return nil, nil
}

// Modules reads .terraform/modules/modules.json, in which terraform init keeps
// the modules that it fetched. Its zero value is ready to use.
type Modules struct{}

// Name gives "terraform-modules".
func (Modules) Name() string { return "terraform-modules" }

// Wants tells whether p is Terraform's list of fetched modules.
func (Modules) Wants(p string, st bulwark.Stat) bool {
	return named(p, ".terraform/modules/modules.json") && st.Mode&fs.ModeType == 0
}

// Extract gives the modules of registries, and those of Git repositories that
// are bound to a tag, a branch or a commit. Local ones are left out.
func (e Modules) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxFile)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var list struct {
		Modules []struct {
			Source  string `json:"Source"`
			Version string `json:"Version"`
		} `json:"Modules"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, malformed(f, err)
	}
	var (
		pkgs []bulwark.Package
		seen = map[string]bool{}
	)
	for i, m := range list.Modules {
		if i%checkEvery == 0 && ctx.Err() != nil {
			return pkgs, ctx.Err()
		}
		p, ok := module(e.Name(), f.Path, m.Source, m.Version)
		if ok && !seen[p.PURL] {
			seen[p.PURL] = true
			pkgs = append(pkgs, p)
		}
	}
	return pkgs, nil
}

// module understands a source: https://developer.hashicorp.com/terraform/language/modules/sources
func module(by, path, source, version string) (bulwark.Package, bool) {
	if len(source) > maxLine || strings.HasPrefix(source, ".") {
		return bulwark.Package{}, false
	}
	if version != "" { // a registry: [HOST/]NAMESPACE/NAME/PROVIDER[//directory]
		source, _, _ = strings.Cut(source, "//")
		host, name := home, source
		if first, rest, _ := strings.Cut(source, "/"); strings.Count(source, "/") == 3 {
			host, name = first, rest
		}
		if strings.Count(name, "/") != 2 {
			return bulwark.Package{}, false
		}
		return made(by, path, host, name, version, 0)
	}
	// git::https://host/owner/name.git//directory?ref=v1.2.0
	u, err := url.Parse(strings.TrimPrefix(source, "git::"))
	if err != nil || u.Host == "" || u.Query().Get("ref") == "" {
		return bulwark.Package{}, false
	}
	repo, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "//")
	owner, name, ok := strings.Cut(strings.TrimSuffix(repo, ".git"), "/")
	ref := u.Query().Get("ref")
	if !ok || !plausible(owner) || !plausible(name) || len(ref) > maxName || strings.ContainsFunc(ref, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return bulwark.Package{}, false
	}
	p := packageurl.PackageURL{Type: packageurl.TypeGeneric, Namespace: owner, Name: name, Version: ref}
	switch u.Hostname() {
	case "github.com":
		p.Type, p.Namespace, p.Name = packageurl.TypeGithub, strings.ToLower(owner), strings.ToLower(name)
	case "bitbucket.org":
		p.Type, p.Namespace, p.Name = packageurl.TypeBitbucket, strings.ToLower(owner), strings.ToLower(name)
	default:
		p.Qualifiers = packageurl.Qualifiers{{Key: "vcs_url", Value: "git+https://" + u.Hostname() + "/" + repo}}
	}
	return bulwark.Package{
		PURL: p.ToString(), Name: owner + "/" + name, Version: ref,
		Where: []bulwark.Location{{Path: path}}, By: by,
	}, true
}
