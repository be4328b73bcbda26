// SPDX-License-Identifier: Apache-2.0

package attest

import (
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// A platform is the distribution that an artifact stands on: what vendors'
// documents call the product that their packages are components of. The zero
// platform is unknown.
type platform struct {
	id, version string // of os-release(5)
}

func newPlatform(inv *bulwark.Inventory) platform {
	if inv == nil || inv.OS == nil {
		return platform{}
	}
	return platform{inv.OS.ID, inv.OS.Version}
}

// distributions maps vendor and product of a CPE to ID of os-release(5). Where a
// distribution's os-release has a CPE_NAME it is that one, else it is the one of
// the National Vulnerability Database.
var distributions = map[string]string{
	"almalinux:almalinux":          "almalinux",
	"alpinelinux:alpine_linux":     "alpine",
	"amazon:amazon_linux":          "amzn",
	"canonical:ubuntu_linux":       "ubuntu",
	"debian:debian_linux":          "debian",
	"fedoraproject:fedora":         "fedora",
	"opensuse:leap":                "opensuse-leap",
	"oracle:linux":                 "ol",
	"redhat:enterprise_linux":      "rhel",
	"rocky:rocky":                  "rocky",
	"suse:linux_enterprise_server": "sles",
	"suse:sles":                    "sles",
}

// is tells whether c names the platform by a CPE. "9" names every 9.x, and "9.2"
// no other; a CPE without a version names none: streams with their own fixes
// (rhel_eus) are other products.
func (p platform) is(c Component) bool {
	return p.id != "" && slices.ContainsFunc(c.CPEs, p.isCPE)
}

func (p platform) isCPE(cpe string) bool {
	parts, ok := strings.CutPrefix(strings.ToLower(cpe), "cpe:/") // CPE 2.2
	if !ok {
		if parts, ok = strings.CutPrefix(strings.ToLower(cpe), "cpe:2.3:"); !ok {
			return false
		}
		parts = strings.ReplaceAll(parts, `\`, "")
	}
	w := strings.Split(parts, ":") // part, vendor, product, version, update …
	if len(w) < 4 || w[0] != "o" && w[0] != "a" || distributions[w[1]+":"+w[2]] != p.id {
		return false
	}
	version := w[3]
	if len(w) > 4 && w[4] != "" && w[4] != "*" && w[4] != "-" {
		version += "." + strings.TrimPrefix(w[4], "sp") // SUSE's service packs
	}
	switch version {
	case "", "*", "-":
		return false
	}
	return p.version == version || strings.HasPrefix(p.version, version+".")
}
