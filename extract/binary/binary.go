// SPDX-License-Identifier: Apache-2.0

// Package binary finds software that no package manager installed: programs
// and libraries that were copied, unpacked or built into place. It knows a list
// of products, the names that their files have, and what their makers write
// into them; and text files in which runtimes keep their version. It does not
// guess: a file that says nothing, or two different things, has no package. It
// does not know renamed programs, or what is linked into a program; and it does
// not look whether a package manager owns the file, as others do.
package binary

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	// ecosystem is OSV's name for the advisories that Bitnami keeps of products.
	ecosystem = "Bitnami"
	// minSize is what the headers of an executable file take, bytes.
	minSize = 128
	// maxName bounds a file name that is looked at, bytes.
	maxName = 128
)

// Classifier reads programs and shared libraries. Its zero value is ready to
// use.
type Classifier struct{}

// Name gives "binary".
func (Classifier) Name() string { return "binary" }

// Wants tells whether a file is named like one of a known product.
func (Classifier) Wants(p string, st bulwark.Stat) bool {
	if st.Mode&fs.ModeType != 0 || st.Size < minSize {
		return false
	}
	_, ok := byStem()[stem(base(p))]
	return ok
}

// WantsHead tells whether head begins an ELF, PE or Mach-O file that can be
// run or linked to.
func (Classifier) WantsHead(_ string, head []byte) bool { return executable(head) }

// Extract gives the product that a file belongs to, if the file says so. The
// package has the name by which Bitnami's advisories know the product, where
// there are any, and no ecosystem otherwise: package advisory knows which of
// those others publish under another name.
func (e Classifier) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name := base(f.Path)
	var pkgs []bulwark.Package
	s := search{ctx: ctx, f: f}
	for _, i := range byStem()[stem(name)] {
		p := &products[i]
		v, err := s.version(i, name)
		if err != nil {
			return pkgs, fmt.Errorf("classify %q: %w", f.Path, err)
		}
		if v != "" {
			pkgs = append(pkgs, found(p.name, p.bitnami, v, f.Path, e.Name()))
		}
	}
	return pkgs, nil
}

// found makes the package of a product.
func found(name, bitnami, version, path, by string) bulwark.Package {
	u := packageurl.PackageURL{Type: packageurl.TypeGeneric, Name: name, Version: version}
	p := bulwark.Package{
		PURL: u.ToString(), Name: name, Version: version,
		Where: []bulwark.Location{{Path: path}}, By: by,
	}
	if bitnami != "" {
		p.Name, p.Ecosystem = bitnami, ecosystem
	}
	return p
}

// base gives the last element of a path.
func base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// stem gives what stays the same in a file name from version to version:
// "python" of python3.11, "libssl" of libssl.so.3, "libc" of libc-2.31.so,
// "gcc" of x86_64-linux-gnu-gcc-12, "libstd" of libstd-6f77337c1826707d.so. It
// is "" where the name is too long.
func stem(name string) string {
	if len(name) > maxName {
		return ""
	}
	for _, ext := range [...]string{".exe", ".dll", ".dylib"} {
		if rest, ok := strings.CutSuffix(name, ext); ok {
			name = rest
			break
		}
	}
	if i := strings.Index(name, ".so"); i > 0 && (i+3 == len(name) || name[i+3] == '.') {
		if !strings.HasPrefix(name, "lib") && !strings.HasPrefix(name, "ld-musl-") {
			return "" // a module: openssl.so of Ruby is not OpenSSL
		}
		name = name[:i]
	}
	for _, triple := range [...]string{"-linux-gnu-", "-linux-musl-"} {
		if i := strings.Index(name, triple); i >= 0 {
			name = name[i+len(triple):]
		}
	}
	if i := strings.IndexByte(name, '-'); i > 0 && hash(name[i+1:]) {
		name = name[:i]
	}
	return strings.TrimRight(name, "0123456789.-_")
}

// hash tells whether s is the hash that compilers add to a file name.
func hash(s string) bool {
	if len(s) < 8 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// byStem gives the numbers of the products by the stems of their files.
var byStem = sync.OnceValue(func() map[string][]int {
	m := map[string][]int{}
	for i := range products {
		for _, s := range products[i].stems {
			m[s] = append(m[s], i)
		}
	}
	return m
})
