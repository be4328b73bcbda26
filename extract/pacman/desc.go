// SPDX-License-Identifier: Apache-2.0

package pacman

import (
	"fmt"
	"io/fs"
	"iter"
	"path"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// A desc is what is kept of a description.
type desc struct {
	name, version, base, arch, packager string

	licenses []string
}

// sections gives each value in the text with the name of its section. A section
// begins with its name between percent signs, has one value a line, and ends
// with an empty line. Values are parts of text.
func sections(text string) iter.Seq2[string, string] {
	return func(yield func(section, value string) bool) {
		section := ""
		for line := range strings.Lines(text) {
			line = strings.TrimRight(line, "\r\n")
			switch {
			case line == "":
				section = ""
			case section != "":
				if !yield(section, line) {
					return
				}
			case len(line) > 2 && line[0] == '%' && line[len(line)-1] == '%':
				section = line[1 : len(line)-1]
			}
		}
	}
}

// parse reads a description. It gives what it could read beside the error.
func parse(text string) (d desc, err error) {
	for section, value := range sections(text) {
		var to *string
		switch section {
		case "NAME":
			to = &d.name
		case "VERSION":
			to = &d.version
		case "BASE":
			to = &d.base
		case "ARCH":
			to = &d.arch
		case "PACKAGER":
			to = &d.packager
		case "LICENSE":
		default:
			continue
		}
		switch {
		case len(value) > maxText:
			err = fmt.Errorf("%q of %d bytes: %w", section, len(value), bulwark.ErrTooLarge)
		case to == nil:
			if len(d.licenses) < maxTerms {
				d.licenses = append(d.licenses, strings.Clone(value))
			}
		case *to == "":
			*to = strings.Clone(value) // so that the text is not kept
		case *to != value:
			err = fmt.Errorf("%q twice: %w", section, errEntry)
		}
	}
	if d.packager == "Unknown Packager" { // what makepkg writes when nobody is named
		d.packager = ""
	}
	return d, err
}

// files reads the paths of a list, less directories, which belong to many and
// end in a slash. The paths are parts of text.
func files(text string) []string {
	var out []string
	for section, p := range sections(text) {
		if section != "FILES" || strings.HasSuffix(p, "/") {
			continue
		}
		if !fs.ValidPath(p) {
			p = path.Clean(strings.TrimPrefix(p, "/"))
		}
		if p != "." && fs.ValidPath(p) {
			out = append(out, p)
		}
	}
	return out
}
