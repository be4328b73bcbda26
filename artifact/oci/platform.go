// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// A platform is an operating system and a kind of processor, by the names of Go.
type platform struct {
	OS      string `json:"os"`
	Arch    string `json:"architecture"`
	Variant string `json:"variant"`
}

// String gives "os/arch[/variant]"; "" when nothing is known.
func (p platform) String() string {
	if p.OS == "" && p.Arch == "" {
		return ""
	}
	s := p.OS + "/" + p.Arch
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// unknown tells whether p is what builders put on entries that are no images.
func (p platform) unknown() bool { return p.OS == "unknown" || p.Arch == "unknown" }

// parsePlatform reads "os/arch[/variant]" and the common other names of
// processors; "" is nil, which stands for whatever suits this machine.
func parsePlatform(s string) (*platform, error) {
	if s == "" {
		return nil, nil
	}
	part := strings.Split(strings.ToLower(s), "/")
	if len(part) < 2 || len(part) > 3 || slices.Contains(part, "") {
		return nil, &bulwark.Hint{
			Err:  fmt.Errorf("platform %q: %w", s, bulwark.ErrUsage),
			Next: "write it as os/arch or os/arch/variant, for example linux/arm64",
		}
	}
	p := platform{OS: part[0], Arch: part[1]}
	if len(part) == 3 {
		p.Variant = part[2]
	}
	return &p, nil
}

// normal gives p with one spelling for what has several.
func (p platform) normal() platform {
	switch p.Arch {
	case "x86_64", "x86-64":
		p.Arch = "amd64"
	case "aarch64":
		p.Arch = "arm64"
	case "i386", "i686":
		p.Arch = "386"
	case "armhf":
		p.Arch, p.Variant = "arm", "v7"
	case "armel":
		p.Arch, p.Variant = "arm", "v6"
	}
	// The first variant of these is the processor itself.
	if p.Arch == "arm64" && p.Variant == "v8" || p.Arch == "amd64" && p.Variant == "v1" {
		p.Variant = ""
	}
	return p
}

// fits tells whether an image for p serves somebody who wants w: a wish
// without variant takes any.
func (p platform) fits(w platform) bool {
	p, w = p.normal(), w.normal()
	return p.OS == w.OS && p.Arch == w.Arch && (w.Variant == "" || p.Variant == w.Variant)
}

// rank orders variants, best first, for a wish without one: the plain
// processor, then the newer of the 32-bit ARM variants, then the rest.
func (p platform) rank() int {
	i := slices.Index([]string{"", "v7", "v6", "v5"}, p.normal().Variant)
	if i < 0 {
		return 4
	}
	return i
}

// choose gives the place in ps of the image for want, where nil is linux on this
// machine's processor, or else the only one there is. It is
// [bulwark.ErrNotFound], with a list of what there is, if none fits.
func choose(ps []platform, want *platform) (int, error) {
	w := platform{OS: "linux", Arch: runtime.GOARCH}
	if want != nil {
		w = *want
	}
	best := -1
	for i, p := range ps {
		if p.fits(w) && (best < 0 || p.rank() < ps[best].rank()) {
			best = i
		}
	}
	if best < 0 && want == nil && len(ps) == 1 {
		best = 0
	}
	if best >= 0 {
		return best, nil
	}
	return -1, noPlatform(w, ps)
}

func noPlatform(w platform, ps []platform) error {
	var names []string
	for _, p := range ps {
		names = append(names, p.String())
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > 30 {
		names = append(names[:30], "…")
	}
	return &bulwark.Hint{
		Err:  fmt.Errorf("image for platform %q: %w", w, bulwark.ErrNotFound),
		Next: fmt.Sprintf("pass --platform with one that it has: %q", names),
	}
}
