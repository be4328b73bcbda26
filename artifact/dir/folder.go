// SPDX-License-Identifier: Apache-2.0

package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// An entry is a name in a directory.
type entry struct {
	name  string      // as the file system has it, any bytes
	shown string      // as the stream has it, UTF-8; "" when it cannot be told from another
	kind  fs.FileMode // the type bits
}

// list gives at most limit entries of an open directory, sorted by name, and
// whether there are more. What was read before an error counts.
func list(ctx context.Context, f *os.File, limit int) (out []entry, more bool, err error) {
	for err == nil && len(out) <= limit {
		var batch []fs.DirEntry
		batch, err = f.ReadDir(min(1024, limit+1-len(out)))
		for _, e := range batch {
			out = append(out, entry{e.Name(), e.Name(), e.Type()})
		}
		if err == nil {
			err = ctx.Err()
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if len(out) > limit {
		out, more = out[:limit], true
	}
	slices.SortFunc(out, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	show(out)
	return out, more, err
}

// show writes names that are no UTF-8, which a tar stream cannot hold, in a way
// that is. Two that would look the same are not told apart by anybody who reads
// the stream: the second is not shown.
func show(list []entry) {
	var taken map[string]bool
	for i := range list {
		e := &list[i]
		if utf8.ValidString(e.name) {
			continue
		}
		if taken == nil {
			taken = make(map[string]bool, len(list))
			for _, e := range list {
				taken[e.name] = true
			}
		}
		if e.shown = escape(e.name); taken[e.shown] {
			e.shown = ""
			continue
		}
		taken[e.shown] = true
	}
}

// escape writes each byte that is no UTF-8 as \xNN.
func escape(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, s[0])
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}
