// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/google/go-containerregistry/pkg/name"
)

// hub is the registry that a name without one means, as engines write it. The
// name package writes name.DefaultRegistry.
const hub = "docker.io"

// parseName reads the name of an image in a registry.
func parseName(ref string, plain bool) (name.Reference, error) {
	opts := []name.Option{name.WeakValidation}
	if plain {
		opts = append(opts, name.Insecure)
	}
	r, err := name.ParseReference(ref, opts...)
	if err != nil || !repository(r.Context().RepositoryStr()) || !registryHost(r.Context().RegistryStr()) {
		return nil, &bulwark.Hint{
			Err:  fmt.Errorf("image name %q: %w", ref, bulwark.ErrUsage),
			Next: "write it as [registry/]repository[:tag][@sha256:digest], in lower case",
		}
	}
	return r, nil
}

// repository tells whether s is the name of a repository by
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests.
// The name package looks at the letters only; ".." must not get into an address.
func repository(s string) bool {
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || !alnum(part[0]) || !alnum(part[len(part)-1]) || strings.Contains(part, "..") {
			return false
		}
	}
	return true
}

func alnum(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

// registryHost tells whether s can be a host: ".." passes for one otherwise.
func registryHost(s string) bool {
	s = strings.ToLower(s)
	return s != "" && (alnum(s[0]) || s[0] == '[') && !strings.Contains(s, "..")
}

// imageID tells whether ref can only be an image's id in an engine: "sha256:"
// with digits, or at least twelve digits alone.
func imageID(ref string) bool {
	if rest, ok := strings.CutPrefix(ref, "sha256:"); ok {
		return len(rest) >= 4 && len(rest) <= 64 && hexadecimal(rest)
	}
	return len(ref) >= 12 && len(ref) <= 64 && hexadecimal(ref)
}

func hexadecimal(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// localNames gives the full names under which engines may keep what a person
// calls ref, likeliest first.
func localNames(ref string) []string {
	r, err := name.ParseReference(ref, name.WeakValidation)
	if err != nil {
		return []string{ref}
	}
	sep := ":"
	if _, ok := r.(name.Digest); ok {
		sep = "@"
	}
	id := sep + r.Identifier()
	names := []string{engineName(r.Context()) + id}
	if r.Context().RegistryStr() == name.DefaultRegistry {
		// podman and buildah put what they build under localhost.
		if first, _, _ := strings.Cut(ref, "/"); first != hub && first != name.DefaultRegistry {
			plain := strings.TrimPrefix(r.Context().RepositoryStr(), "library/")
			names = append(names, "localhost/"+plain+id)
		}
	}
	if ref != names[0] {
		names = append(names, ref)
	}
	return names
}

// engineName gives the full name of a repository as engines write it.
func engineName(r name.Repository) string {
	if r.RegistryStr() == name.DefaultRegistry {
		return hub + "/" + r.RepositoryStr()
	}
	return r.Name()
}

// sameName tells whether two names mean one image, whatever they leave out.
func sameName(a, b string) bool {
	return a == b || localNames(a)[0] == localNames(b)[0]
}

// loopback tells whether host, which may have a port, is this machine.
func loopback(host string) bool {
	h := hostname(host)
	if h == "localhost" || strings.HasSuffix(h, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(h)
	return err == nil && ip.IsLoopback()
}

// inside tells whether host is written as an address that only its own network
// reaches, such as a cloud's metadata service.
func inside(host string) bool {
	ip, err := netip.ParseAddr(hostname(host))
	if err != nil {
		return hostname(host) == "localhost"
	}
	ip = ip.Unmap()
	return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast() || ip.IsUnspecified()
}

// hostname strips the port and the brackets of an IPv6 address.
func hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.Trim(strings.TrimSuffix(host, "."), "[]"))
}
