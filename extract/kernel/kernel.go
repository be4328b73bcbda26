// SPDX-License-Identifier: Apache-2.0

// Package kernel finds Linux kernels and the modules that did not come with
// them. It knows where boot loaders and distributions put kernels, in which
// containers, and where a kernel says its release; and what a module says of
// itself. It does not know what a distribution has fixed in its kernel, nor the
// modules of the kernel's own tree, which are as old as the kernel is.
package kernel

import (
	"strings"
	"unicode/utf8"
)

const (
	// maxRelease bounds a release, bytes: uname(2) has room for no more.
	maxRelease = 64
	// maxText bounds a value that is kept, bytes.
	maxText = 1024
	// maxUnpacked bounds what is read of a compressed kernel or module, bytes
	// after decompression. Kernels have up to 80 MB, the largest modules 60 MB.
	maxUnpacked = 128 << 20
)

// modulesDir gives the release that a path is below the module directory of, and
// what follows. It allocates nothing.
func modulesDir(path string) (release, rest string, ok bool) {
	rest, ok = strings.CutPrefix(strings.TrimPrefix(path, "usr/"), "lib/modules/")
	if !ok {
		return "", "", false
	}
	release, rest, ok = strings.Cut(rest, "/")
	return release, rest, ok && release != "" && rest != ""
}

// isRelease tells whether s can be the release of a kernel: "6.1.0-17-amd64".
func isRelease(s string) bool {
	if len(s) < 3 || len(s) > maxRelease || s[0] < '1' || s[0] > '9' || strings.IndexByte(s, '.') < 0 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '-', c == '+', c == '_', c == '~', c == ':':
		default:
			return false
		}
	}
	return true
}

// text shortens a value and drops what does not belong into one.
func text(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), maxText)], "")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return -1
		}
		return r
	}, s))
}

// machine gives the name that uname(2) has for a machine of an ELF header.
func machine(m uint16) string {
	switch m {
	case 3:
		return "i686"
	case 20:
		return "ppc"
	case 21:
		return "ppc64"
	case 22:
		return "s390x"
	case 40:
		return "arm"
	case 62:
		return "x86_64"
	case 183:
		return "aarch64"
	case 243:
		return "riscv64"
	case 258:
		return "loongarch64"
	}
	return ""
}

// peMachine does the same for a machine of a PE header.
func peMachine(m uint16) string {
	switch m {
	case 0x14c:
		return "i686"
	case 0x1c2, 0x1c4:
		return "arm"
	case 0x5064:
		return "riscv64"
	case 0x6264:
		return "loongarch64"
	case 0x8664:
		return "x86_64"
	case 0xaa64:
		return "aarch64"
	}
	return ""
}
