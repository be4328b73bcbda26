// SPDX-License-Identifier: Apache-2.0

package swift

import (
	"errors"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

// maxLine bounds a line that is looked into, bytes.
const maxLine = 16 << 10

var errLock = errors.New("not a lock file of this kind")

// A pods reads a Podfile.lock line by line.
type pods struct {
	path, by string
	section  string
	external string // the pod whose source is told
	known    bool
	pkgs     []bulwark.Package
	seen     map[string]bool
	own      map[string]bool // pods of the same repository
}

// line takes one line, without its end.
func (r *pods) line(line string, at int) {
	text := strings.TrimLeft(line, " ")
	switch indent := len(line) - len(text); {
	case text == "":
	case indent == 0:
		r.section, _, _ = strings.Cut(text, ":")
		r.known = r.known || r.section == "PODS" || r.section == "PODFILE CHECKSUM"
	case r.section == "PODS" && indent == 2:
		if pod, ok := strings.CutPrefix(text, "- "); ok {
			r.pod(pod, at)
		}
	case r.section == "EXTERNAL SOURCES" && indent == 2:
		r.external, _, _ = strings.Cut(strings.Trim(strings.TrimSuffix(text, ":"), `"'`), "/")
	case r.section == "EXTERNAL SOURCES" && strings.HasPrefix(text, ":path:"):
		// npm and pub bring pods, too, and put them below these.
		r.own[r.external] = !strings.Contains(text, "node_modules/") && !strings.Contains(text, ".symlinks/")
	}
}

// pod takes "Name/Subspec (1.2.3)", which may be in quotes and may end in a colon
// when more lines tell what the pod needs.
func (r *pods) pod(text string, at int) {
	text = strings.Trim(strings.TrimSuffix(text, ":"), `"'`)
	name, version, ok := strings.Cut(text, " (")
	version, closed := strings.CutSuffix(version, ")")
	name, _, _ = strings.Cut(name, "/")
	if !ok || !closed || !printable(name) || number(version) == "" || r.seen[name+" "+version] {
		return
	}
	r.seen[name+" "+version] = true
	u := packageurl.PackageURL{Type: packageurl.TypeCocoapods, Name: name, Version: version}
	r.pkgs = append(r.pkgs, bulwark.Package{
		PURL: u.ToString(), Name: name, Version: version,
		Where: []bulwark.Location{{Path: r.path, Line: at}}, By: r.by,
	})
}

// done gives the pods that are not of the same repository, which the file says
// after it has listed them.
func (r *pods) done() []bulwark.Package {
	kept := r.pkgs[:0]
	for _, p := range r.pkgs {
		if !r.own[p.Name] {
			kept = append(kept, p)
		}
	}
	return kept
}
