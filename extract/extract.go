// SPDX-License-Identifier: Apache-2.0

// Package extract finds packages in files. It knows which files declare
// software and how to read them; it does not know where files come from, what
// is wrong with a package, or how anything is shown.
//
// Two kinds of leaf exist. An [Extractor] reads one file at a time while a
// layer streams by. A [Database] reads the package database of an operating
// system after all layers have been merged, because such a database may be
// spread over several files and layers.
package extract

import (
	"context"
	"io/fs"

	"github.com/bulwark-sec/bulwark"
)

// An Extractor finds the packages that one file declares. It is safe for
// concurrent use and keeps no state.
type Extractor interface {
	// Name is short and never changes: "npm", "gobinary". It appears in reports.
	Name() string
	// Wants tells whether Extract should see the file. It is asked of every file
	// of every artifact: compare strings, do no I/O, allocate nothing.
	Wants(path string, st bulwark.Stat) bool
	// Extract gives the packages that f declares. It must bear any bytes and
	// return soon after ctx is done. Packages found before an error count.
	Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error)
}

// Partial is a Database that can do without some of the files that it wants.
type Partial interface {
	// Optional tells whether nothing is hidden when the file cannot be read.
	Optional(path string) bool
}

// Headed is an Extractor that can refuse a file by its first bytes.
type Headed interface {
	// WantsHead is asked after Wants with up to the first 4,096 bytes.
	WantsHead(path string, head []byte) bool
}

// Whole is an Extractor that finds more than packages: a file that describes a
// whole artifact has its operating system and what was not read of it, too; a
// program shows its functions.
type Whole interface {
	// Inventory is asked in place of Extract.
	Inventory(ctx context.Context, f *bulwark.File) (bulwark.Inventory, error)
}

// A Database finds the packages of an operating system's package database. It
// is safe for concurrent use and keeps no state.
type Database interface {
	Name() string
	// Wants tells which files the database needs; all that it wants, and the
	// os-release files, are in the fsys that Extract gets.
	Wants(path string, st bulwark.Stat) bool
	// Extract reads the merged files. An opened file implements io.ReaderAt.
	// os is nil when no distribution was recognised. Without a database in fsys
	// it gives nothing and no error. Packages have in Files what they own of the
	// paths that are asked for; nil asks for none.
	Extract(ctx context.Context, fsys fs.FS, os *bulwark.OS, asked func(path string) bool) ([]bulwark.Package, []bulwark.Gap, error)
}
