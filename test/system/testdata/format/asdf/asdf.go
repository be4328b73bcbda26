// SPDX-License-Identifier: Apache-2.0

// Package asdf reads .tool-versions, in which a project says which versions of
// tools it is built with (https://asdf-vm.com/manage/configuration.html).
package asdf

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const maxSize = 1 << 20 // bytes

// ToolVersions finds the tools of a .tool-versions file. Its zero value is ready.
type ToolVersions struct{}

// Name gives "asdf-tool-versions".
func (ToolVersions) Name() string { return "asdf-tool-versions" }

// Wants tells whether p is such a file.
func (ToolVersions) Wants(p string, st bulwark.Stat) bool {
	return st.Mode&fs.ModeType == 0 && path.Base(p) == ".tool-versions"
}

// Extract gives a package for each line of a name and a version; "ref:", "path:"
// and "system" name no release.
func (x ToolVersions) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxSize)
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", f.Path, err)
	}
	var out []bulwark.Package
	number := 0
	for line := range bytes.Lines(data) {
		number++
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		text, _, _ := strings.Cut(string(line), "#")
		words := strings.Fields(text)
		if len(words) < 2 || words[1] == "system" || strings.ContainsAny(words[1], ":/") {
			continue
		}
		out = append(out, bulwark.Package{
			PURL: packageurl.NewPackageURL("asdf", "", words[0], words[1], nil, "").ToString(),
			Name: words[0], Version: words[1], Where: []bulwark.Location{{Path: f.Path, Line: number}}, By: x.Name(),
		})
	}
	return out, nil
}
