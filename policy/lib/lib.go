// SPDX-License-Identifier: Apache-2.0

// Package lib holds the policies that Bulwark ships, which --policy default reads,
// and the examples that show what they decide. They are documents like any other;
// the package knows their names and bytes, no more.
package lib

import (
	"embed"
	"path"
)

//go:embed *.yaml tests/*.yaml
var files embed.FS

// A File is one file of documents.
type File struct {
	Name string // "default/vulnerabilities.yaml"
	Data []byte
}

// Files gives the shipped documents, in order of their names.
func Files() []File { return read(".") }

// Tests gives the examples of the shipped documents, in order of their names.
func Tests() []File { return read("tests") }

func read(dir string) []File {
	entries, err := files.ReadDir(dir)
	if err != nil { // it is part of the program
		return nil
	}
	var out []File
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		if b, err := files.ReadFile(path.Join(dir, e.Name())); err == nil {
			out = append(out, File{path.Join("default", dir, e.Name()), b})
		}
	}
	return out
}
