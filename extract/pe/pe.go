// SPDX-License-Identifier: Apache-2.0

// Package pe finds out what programs and libraries for Windows say of
// themselves: product, version and maker in the version resource that their
// makers put into .exe and .dll files, those of .NET too. It does not know
// package managers: whether an assembly came from NuGet is told by the deps.json
// beside it, which another leaf reads. Nor does it know what is linked into a
// program.
package pe

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"strings"
	"unicode"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	// minSize is what the headers and one section take, bytes.
	minSize = 512
	// maxName bounds a product's name, a version and a maker's name, bytes.
	maxName = 256
)

// Version reads the version resource of .exe and .dll files. Its zero value is
// ready to use.
type Version struct{}

// Name gives "pe-version".
func (Version) Name() string { return "pe-version" }

// Wants tells whether p is named like a program or a library for Windows.
// Libraries that only hold translations are left out.
func (Version) Wants(p string, st bulwark.Stat) bool {
	if st.Mode&fs.ModeType != 0 || st.Size < minSize || len(p) < 4 {
		return false
	}
	ext := p[len(p)-4:]
	if strings.EqualFold(ext, ".exe") {
		return true
	}
	const translation = ".resources.dll"
	return strings.EqualFold(ext, ".dll") && (len(p) < len(translation) || !strings.EqualFold(p[len(p)-len(translation):], translation))
}

// WantsHead tells whether head begins a PE file.
func (Version) WantsHead(_ string, head []byte) bool {
	return len(head) >= 64 && string(head[:2]) == "MZ"
}

// Extract gives the product that a file belongs to. An assembly of .NET has its
// own name, any other file the name of its product. A file that does not say
// what it is has no package and is no error.
func (e Version) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	v, err := read(ctx, f, f.Size)
	if err != nil {
		return nil, fmt.Errorf("version resource of %q: %w", f.Path, err)
	}
	name := v.name(f.Path)
	version := v.version()
	if name == "" || version == "" {
		return nil, nil
	}
	u := packageurl.PackageURL{Type: packageurl.TypeGeneric, Name: name, Version: version}
	return []bulwark.Package{{
		PURL: u.ToString(), Name: name, Version: version, Vendor: clean(v.text["CompanyName"]),
		Where: []bulwark.Location{{Path: f.Path}}, By: e.Name(),
	}}, nil
}

// A resource is what a version resource says.
type resource struct {
	text    map[string]string // "ProductName" and the like
	product [4]uint16         // version of the product in numbers, all 0 when there is none
	file    [4]uint16         // version of the file
	managed bool              // the file is an assembly of .NET
}

// name gives what the file is or belongs to.
func (r *resource) name(path string) string {
	if r.managed {
		// Compilers put the assembly's file here, whatever it is called now.
		name := cmp.Or(clean(r.text["InternalName"]), clean(r.text["OriginalFilename"]), path[strings.LastIndexByte(path, '/')+1:])
		return stem(name)
	}
	return cmp.Or(clean(r.text["ProductName"]), clean(r.text["FileDescription"]), stem(clean(r.text["OriginalFilename"])))
}

// stem gives a file name without its end.
func stem(name string) string {
	for _, ext := range [...]string{".exe", ".dll"} {
		if n := len(name) - len(ext); n > 0 && strings.EqualFold(name[n:], ext) {
			return name[:n]
		}
	}
	return name
}

// version gives the product's version, or the file's where that has none. The
// commit that .NET adds is left out. Words are not taken for a version: the
// numbers beside them are.
func (r *resource) version() string {
	for _, c := range []struct {
		key     string
		numbers [4]uint16
	}{{"ProductVersion", r.product}, {"FileVersion", r.file}} {
		v := strings.NewReplacer(", ", ".", ",", ".").Replace(clean(r.text[c.key])) // "1, 2, 3, 4"
		v, _, _ = strings.Cut(v, "+")
		v, _, _ = strings.Cut(v, " ") // "10.0.19041.1 (WinBuild.160101.0800)"
		if plausible(v) {
			return v
		}
		if n := c.numbers; n != [4]uint16{} {
			return fmt.Sprintf("%d.%d.%d.%d", n[0], n[1], n[2], n[3])
		}
	}
	return ""
}

// plausible tells whether s is a version: it begins with a digit, and has a
// number that is not 0.
func plausible(s string) bool {
	if s == "" || s[0] < '0' || s[0] > '9' || !strings.ContainsAny(s, "123456789") {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '.' || c == '-' || c == '_' || c == '~':
		default:
			return false
		}
	}
	return true
}

// clean gives a text without the marks that lawyers add, in one line. It is ""
// when the text is none or far too long.
func clean(s string) string {
	if len(s) > 4*maxName {
		return ""
	}
	s = strings.NewReplacer("®", "", "™", "", "©", "", "(R)", "", "(r)", "", "(TM)", "", "(tm)", "").Replace(s)
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar }), " ")
	if len(s) > maxName {
		return ""
	}
	return s
}
