// SPDX-License-Identifier: Apache-2.0

// Package cran finds R packages: installed ones by the DESCRIPTION file that R
// CMD INSTALL leaves in a library, and locked ones in renv.lock. It knows CRAN
// and Bioconductor apart. It does not know the sources of packages, whose
// DESCRIPTION says nothing about what is installed, nor packrat.
package cran

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	// The two ecosystems of R that OSV knows.
	ecosystem    = "CRAN"
	bioconductor = "Bioconductor"
	// maxFile bounds a lock file, bytes, and maxDescription an installed
	// package's description; the largest known ones have some 30 KiB.
	maxFile        = 32 << 20
	maxDescription = 1 << 20
	// maxName bounds a name or version, bytes.
	maxName = 256
	// maxLicense bounds a licence, bytes.
	maxLicense = 1024
	// checkEvery says how often a loop over input asks whether it should go on.
	checkEvery = 1024
)

// named tells whether the last element of a path is name.
func named(p, name string) bool {
	return strings.HasSuffix(p, name) && (len(p) == len(name) || p[len(p)-len(name)-1] == '/')
}

// plausible tells whether a name and a version can be those of an R package:
// https://cran.r-project.org/doc/manuals/r-release/R-exts.html#The-DESCRIPTION-file
func plausible(name, version string) bool {
	if name == "" || len(name) > maxName || !letter(name[0]) {
		return false
	}
	for i := range len(name) {
		if c := name[i]; !letter(c) && !digit(c) && c != '.' {
			return false
		}
	}
	if version == "" || len(version) > maxName || !digit(version[0]) {
		return false
	}
	for i := range len(version) {
		if c := version[i]; !digit(c) && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func digit(c byte) bool { return c >= '0' && c <= '9' }

// made gives the package of one entry. Packages of Bioconductor have versions
// and advisories of their own.
func made(by, path, name, version string, line int, bioc bool, licenses []string) bulwark.Package {
	u := packageurl.PackageURL{Type: packageurl.TypeCran, Name: name, Version: version}
	eco := ecosystem
	if bioc {
		u.Type, eco = "bioconductor", bioconductor
	}
	return bulwark.Package{
		PURL: u.ToString(), Name: name, Version: version, Ecosystem: eco, Licenses: licenses,
		Where: []bulwark.Location{{Path: path, Line: line}}, By: by,
	}
}

// malformed names the file that does not follow its format.
func malformed(f *bulwark.File, err error) error { return fmt.Errorf("parse %q: %w", f.Path, err) }

// Installed finds packages in R libraries. The packages that are R itself are
// told as one: "base" gives R and its version, the rest give nothing. Its zero
// value is ready to use.
type Installed struct{}

// Name gives "r-installed".
func (Installed) Name() string { return "r-installed" }

// Wants tells whether p can be the description of an installed package, which
// lies in a directory of its own.
func (Installed) Wants(p string, st bulwark.Stat) bool {
	return strings.HasSuffix(p, "/DESCRIPTION") && st.Mode&fs.ModeType == 0
}

// WantsHead tells whether a file begins like a description of a package.
func (Installed) WantsHead(_ string, head []byte) bool {
	return bytes.HasPrefix(head, []byte("Package:")) || bytes.Contains(head, []byte("\nPackage:"))
}

// Extract gives the package. A description without the field Built, which R adds
// when it installs, is that of sources and gives nothing.
func (e Installed) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxDescription)
	if err != nil {
		return nil, err
	}
	fields, at, err := stanza(ctx, data)
	if err != nil {
		return nil, malformed(f, err)
	}
	name, version := fields["package"], fields["version"]
	switch {
	case name == "" || fields["built"] == "":
		return nil, nil
	case !plausible(name, version):
		return nil, malformed(f, errors.New("neither name nor version"))
	case fields["priority"] == "base":
		if name != "base" {
			return nil, nil
		}
		u := packageurl.PackageURL{Type: packageurl.TypeGeneric, Name: "r", Version: version}
		return []bulwark.Package{{
			PURL: u.ToString(), Name: "r", Version: version, Licenses: []string{"GPL-2.0-only OR GPL-3.0-only"},
			Where: []bulwark.Location{{Path: f.Path, Line: at}}, By: e.Name(),
		}}, nil
	}
	bioc := fields["repository"] != "CRAN" && fields["remotetype"] != "github" &&
		(fields["biocviews"] != "" || strings.Contains(fields["git_url"], "git.bioconductor.org"))
	return []bulwark.Package{made(e.Name(), f.Path, name, version, at, bioc, licenses(fields["license"]))}, nil
}

// stanza reads the fields of a file in the Debian control format that are of
// use, by their names in lower case, and the line of the package's name.
func stanza(ctx context.Context, data []byte) (fields map[string]string, at int, err error) {
	fields = map[string]string{}
	last := ""
	for n := 1; len(data) > 0; n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return nil, 0, ctx.Err()
		}
		var line []byte
		line, data, _ = bytes.Cut(data, []byte{'\n'})
		if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
			if last != "" && len(fields[last]) < maxLicense {
				more := bytes.TrimSpace(line)
				fields[last] = strings.TrimSpace(fields[last] + " " + string(more[:min(len(more), maxLicense)]))
			}
			continue
		}
		key, value, ok := bytes.Cut(line, []byte{':'})
		last = ""
		if !ok || len(key) > len("remotetype") {
			continue
		}
		switch k := strings.ToLower(string(key)); k {
		case "package", "version", "license", "built", "priority", "repository", "remotetype", "biocviews", "git_url":
			if _, twice := fields[k]; twice {
				continue
			}
			value = bytes.TrimSpace(value)
			fields[k] = string(value[:min(len(value), maxLicense)])
			last = k
			if k == "package" {
				at = n
			}
		}
	}
	return fields, at, ctx.Err()
}

// licenses gives the licence of a package as an SPDX expression if every part of
// it is one of CRAN's standard names, else as it is declared. Alternatives are
// parted by "|"; "+ file LICENSE" points to the holder or to more terms.
func licenses(declared string) []string {
	if declared == "" {
		return nil
	}
	var ids []string
	for part := range strings.SplitSeq(declared, "|") {
		id := spdx(strings.Join(strings.Fields(part), " "))
		if id == "" {
			return []string{declared}
		}
		ids = append(ids, id)
	}
	return []string{strings.Join(ids, " OR ")}
}

// spdx gives the SPDX identifier of a standard name, or "":
// https://cran.r-project.org/doc/manuals/r-release/R-exts.html#Licensing
func spdx(name string) string {
	name = strings.TrimSuffix(strings.TrimSuffix(name, " + file LICENCE"), " + file LICENSE")
	switch name {
	case "MIT":
		return "MIT"
	case "GPL-2", "GPL (== 2)":
		return "GPL-2.0-only"
	case "GPL-3", "GPL (== 3)":
		return "GPL-3.0-only"
	case "GPL (>= 2)", "GPL (>= 2.0)", "GNU General Public License (>= 2)":
		return "GPL-2.0-or-later"
	case "GPL (>= 3)", "GPL (>= 3.0)", "GNU General Public License (>= 3)":
		return "GPL-3.0-or-later"
	case "GPL":
		return "GPL-1.0-or-later" // no version: any
	case "LGPL-2":
		return "LGPL-2.0-only"
	case "LGPL-2.1":
		return "LGPL-2.1-only"
	case "LGPL-3":
		return "LGPL-3.0-only"
	case "LGPL (>= 2)", "LGPL (>= 2.0)":
		return "LGPL-2.0-or-later"
	case "LGPL (>= 2.1)":
		return "LGPL-2.1-or-later"
	case "LGPL (>= 3)":
		return "LGPL-3.0-or-later"
	case "AGPL-3":
		return "AGPL-3.0-only"
	case "AGPL (>= 3)":
		return "AGPL-3.0-or-later"
	case "Apache License 2.0", "Apache License (>= 2)", "Apache License (>= 2.0)", "Apache License (== 2.0)":
		return "Apache-2.0"
	case "Artistic-2.0":
		return "Artistic-2.0"
	case "BSD_2_clause":
		return "BSD-2-Clause"
	case "BSD_3_clause":
		return "BSD-3-Clause"
	case "CC0":
		return "CC0-1.0"
	case "CC BY 4.0":
		return "CC-BY-4.0"
	case "CC BY-SA 4.0":
		return "CC-BY-SA-4.0"
	case "MPL-2.0", "Mozilla Public License 2.0":
		return "MPL-2.0"
	case "EUPL-1.2":
		return "EUPL-1.2"
	case "BSL-1.0":
		return "BSL-1.0"
	case "Unlimited":
		return "" // a word of CRAN's own
	}
	return ""
}
