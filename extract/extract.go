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
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"unicode/utf8"

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

// Prefixed is an Extractor that needs the beginning of a file only, so that files
// beyond the limit on size are not hidden from it.
type Prefixed interface {
	// Prefix is asked after Wants and WantsHead, with up to the first 4,096 bytes,
	// and gives how many bytes Extract reads from the beginning of the file. The
	// file that it gets has its true size; a read beyond those bytes may give
	// [bulwark.ErrTooLarge].
	Prefix(path string, head []byte) int64
}

// Lined is an Extractor of lock files that tools write line by line, and that
// passes over lines which it does not understand. What no tool writes there hides
// packages from it, and is told: see [Odd].
type Lined interface {
	// Language gives "yaml" or "toml".
	Language() string
}

// maxOrdinary is the longest line that tools write into lock files, bytes.
const maxOrdinary = 64 << 10

// Odd says what is in a lock file that no tool writes: bytes that are no text,
// lines that nobody could read, and in YAML aliases, which stand for something
// else. Nil is nothing.
func Odd(data []byte, language string) error {
	number := 0
	for line := range bytes.Lines(data) {
		number++
		switch {
		case len(line) > maxOrdinary:
			return fmt.Errorf("line %d has %d bytes, which no tool writes: %w", number, len(line), bulwark.ErrTooLarge)
		case bytes.IndexByte(line, 0) >= 0 || !utf8.Valid(line):
			return fmt.Errorf("line %d is no text", number)
		case language == "yaml" && alias(line):
			return fmt.Errorf("line %d has an alias, which is not followed", number)
		}
	}
	return nil
}

// alias tells whether a value begins with the mark of an alias.
func alias(line []byte) bool {
	for _, mark := range [...]string{": *", "- *"} {
		if i := bytes.Index(line, []byte(mark)); i >= 0 && i+len(mark) < len(line) && line[i+len(mark)] > ' ' && bytes.IndexByte(line[:i], '"') < 0 && bytes.IndexByte(line[:i], '\'') < 0 {
			return true
		}
	}
	return false
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
