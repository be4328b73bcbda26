// SPDX-License-Identifier: Apache-2.0

// Package lib holds the policies that Bulwark ships: documents like any other,
// which --policy default reads. It knows their names and bytes, no more.
package lib

import (
	"embed"
	"path"
)

//go:embed *.yaml
var files embed.FS

// A File is one file of documents.
type File struct {
	Name string // "default/vulnerabilities.yaml"
	Data []byte
}

// Files gives the shipped documents, in order of their names.
func Files() []File {
	entries, err := files.ReadDir(".")
	if err != nil { // it is part of the program
		return nil
	}
	var out []File
	for _, e := range entries {
		if b, err := files.ReadFile(e.Name()); err == nil {
			out = append(out, File{path.Join("default", e.Name()), b})
		}
	}
	return out
}
