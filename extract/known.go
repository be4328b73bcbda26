// SPDX-License-Identifier: Apache-2.0

package extract

import (
	"context"
	"io"

	"github.com/bulwark-sec/bulwark/extract/java"
)

// Known are tables that extractors ask for what files do not tell themselves. The
// zero value knows nothing.
type Known struct{ jars java.Coordinates }

// KnownJars gives the table of Maven's coordinates by SHA-1 in the size bytes of
// r, which is read as long as the table is used. Its form is that of
// [java.Coordinates].
func KnownJars(r io.ReaderAt, size int64) (Known, error) {
	c, err := java.NewCoordinates(r, size)
	return Known{c}, err
}

// CheckJars reads such a table to its end and says what is wrong with it.
func CheckJars(ctx context.Context, r io.Reader) error { return java.CheckCoordinates(ctx, r) }

// ImportedJars says what became of the lines of a list.
type ImportedJars = java.Imported

// ImportJars writes such a table from lists of archives, see
// [java.ImportCoordinates].
func ImportJars(ctx context.Context, w io.Writer, lists ...*io.SectionReader) (ImportedJars, error) {
	return java.ImportCoordinates(ctx, w, lists...)
}
