// SPDX-License-Identifier: Apache-2.0

package python

import (
	"context"
	"io/fs"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// Requirements reads the requirements files of pip
// (https://pip.pypa.io/en/stable/reference/requirements-file-format/). Its zero
// value is ready to use.
type Requirements struct{}

// Name gives "requirements".
func (Requirements) Name() string { return "requirements" }

// Wants tells whether p is named like a requirements file and does not lie among
// installed packages: requirements.txt, requirements-dev.txt,
// dev-requirements.txt, requirements/base.txt.
func (Requirements) Wants(p string, st bulwark.Stat) bool {
	if st.Mode&fs.ModeType != 0 || !strings.HasSuffix(p, ".txt") {
		return false
	}
	b := base(p)
	if !strings.Contains(b, "requirements") {
		dir := strings.TrimSuffix(p[:len(p)-len(b)], "/")
		if base(dir) != "requirements" {
			return false
		}
	}
	return !strings.Contains(p, "site-packages/") && !strings.Contains(p, "dist-packages/") && !strings.Contains(p, ".egg-info/") &&
		!strings.Contains(p, "node_modules/")
}

// Extract gives the required distributions. One that is not pinned to a single
// version has an empty version. Files that the file includes are read when they
// are met themselves. A file whose name speaks of tests or development holds
// what is needed for development.
func (e Requirements) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxLock)
	if err != nil {
		return nil, err
	}
	l := newList(f, e.Name())
	dev := development(f.Path)
	open, first := "", 0 // a line that goes on in the next
	err = lines(ctx, data, func(line string, number int) {
		if first == 0 {
			first = number
		}
		if part, ok := strings.CutSuffix(line, "\\"); ok && len(open) < maxLine {
			open += part
			return
		}
		name, ver := requirement(open + line)
		l.add(name, ver, first, dev)
		open, first = "", 0
	})
	if open != "" {
		name, ver := requirement(open)
		l.add(name, ver, first, dev)
	}
	if err != nil {
		return l.pkgs, malformed(f, err)
	}
	return l.pkgs, nil
}

// development tells whether a file's name says that it is for tests or the like.
func development(p string) bool {
	for word := range strings.FieldsFuncSeq(strings.TrimSuffix(base(p), ".txt"), func(r rune) bool { return r == '-' || r == '_' || r == '.' }) {
		switch word {
		case "dev", "develop", "development", "test", "tests", "testing", "doc", "docs", "lint", "typing":
			return true
		}
	}
	return false
}

// requirement reads one line (https://peps.python.org/pep-0508/). The name is ""
// when the line requires nothing.
func requirement(line string) (name, ver string) {
	line = strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
	if line == "" || line[0] == '#' {
		return "", ""
	}
	if line[0] == '-' { // an option; editable ones may name a distribution
		if _, egg, ok := strings.Cut(line, "#egg="); ok && (strings.HasPrefix(line, "-e") || strings.HasPrefix(line, "--editable")) {
			return strings.FieldsFunc(egg+" ", func(r rune) bool { return r == ' ' || r == '&' || r == '[' })[0], ""
		}
		return "", ""
	}
	for _, end := range []string{" #", "\t#", " --", ";"} {
		line, _, _ = strings.Cut(line, end)
	}
	if before, _, ok := strings.Cut(line, "@"); ok && !strings.Contains(before, "=") {
		if strings.Contains(before, "://") || strings.HasPrefix(before, ".") || strings.HasPrefix(before, "git+") {
			return "", "" // a bare URL
		}
		line = before // "name @ URL"
	}
	end := strings.IndexAny(line, " \t[=<>!~(,")
	if end < 0 {
		if strings.ContainsAny(line, "/\\:") || strings.HasSuffix(line, ".whl") || strings.HasSuffix(line, ".gz") || strings.HasSuffix(line, ".zip") {
			return "", "" // a path or URL
		}
		return line, ""
	}
	name, rest := line[:end], strings.TrimSpace(line[end:])
	if strings.ContainsAny(name, "/\\:") {
		return "", ""
	}
	if strings.HasPrefix(rest, "[") {
		_, after, ok := strings.Cut(rest, "]")
		if !ok {
			return "", ""
		}
		rest = strings.TrimSpace(after)
	}
	return name, pinned(rest)
}

// pinned gives the only version that a specifier allows, or "".
func pinned(specifier string) string {
	specifier = strings.Trim(specifier, "() \t")
	ver, ok := strings.CutPrefix(specifier, "===")
	if !ok {
		ver, ok = strings.CutPrefix(specifier, "==")
	}
	ver = strings.TrimSpace(ver)
	if !ok || strings.ContainsAny(ver, "*, ") || !version(ver) {
		return ""
	}
	return ver
}
