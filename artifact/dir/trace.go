// SPDX-License-Identifier: Apache-2.0

package dir

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/gitlog"
)

// traceFile bounds a file of the work tree whose history is asked for, bytes, and
// traceText all of them.
const (
	traceFile = 16 << 20
	traceText = 256 << 20
)

// trace asks the history of the work tree at root, which stands on the commit head,
// "" before the first one.
func trace(ctx context.Context, root, head string, asked []bulwark.Trace, limit time.Duration) ([]*bulwark.Change, []bulwark.Gap, error) {
	out := make([]*bulwark.Change, len(asked))
	work, err := folderRoot(root)
	if err != nil {
		return out, untraced(err), nil
	}
	defer work.Close()
	now := map[string][]byte{} // the files as they are
	room := int64(traceText)
	var questions []gitlog.Question
	var of []int // asked, by question
	for i, a := range asked {
		if err := ctx.Err(); err != nil {
			return out, nil, err
		}
		b, ok := now[a.Path]
		if !ok {
			b = content(work, a.Path, min(room, traceFile))
			now[a.Path], room = b, room-int64(len(b))
		}
		if find := mention(b, &a); find != nil {
			questions, of = append(questions, gitlog.Question{Path: a.Path, Find: find}), append(of, i)
			out[i] = &bulwark.Change{} // not committed, until a commit is found
		}
	}
	if head == "" || len(questions) == 0 {
		return out, nil, nil
	}
	g, err := openGit(root)
	if err != nil {
		clear(out)
		return out, untraced(err), nil
	}
	defer g.close()
	r, err := gitlog.Trace(ctx, g.shared, head, questions, gitlog.Bounds{Time: limit})
	if ctx.Err() != nil {
		return out, nil, ctx.Err()
	}
	if err != nil {
		clear(out)
		return out, untraced(err), nil
	}
	for k, a := range r.Answers {
		switch {
		case a.Commit != "":
			out[of[k]] = &bulwark.Change{Commit: a.Commit, Author: a.Author, Mail: a.Mail, Date: a.Date, Older: a.Older}
		case r.Cut != "": // it may be there, in what was not read
			out[of[k]] = nil
		}
	}
	var gaps []bulwark.Gap
	if r.Shallow {
		gaps = append(gaps, bulwark.Gap{Kind: bulwark.GapSkipped, Detail: "the clone is shallow: what is older than it was brought by a commit that is not here; run git fetch --unshallow"})
	}
	if r.Cut != "" {
		gaps = append(gaps, bulwark.Gap{Kind: bulwark.GapLimit, Detail: "not every commit that brought something was found: " + r.Cut})
	}
	return out, gaps, nil
}

func untraced(err error) []bulwark.Gap {
	return []bulwark.Gap{{Kind: bulwark.GapUnreadable, Detail: fmt.Sprintf("the history was not asked who brought what: %v", cause(err))}}
}

// content gives a file of the work tree, nil when it is none or too large.
func content(work *os.Root, name string, max int64) []byte {
	f, err := regular(work, name)
	if err != nil {
		return nil
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil || int64(len(b)) > max {
		return nil
	}
	return b
}

// mention gives a test for what a asks for that the file passes as it is; nil when
// there is none: a package whose version the file leaves to something else, say.
func mention(now []byte, a *bulwark.Trace) func([]byte) (from, to int) {
	if a.Name != "" && a.Version != "" {
		if i := strings.LastIndexByte(a.Name, ':'); i >= 0 {
			a.Name = a.Name[i+1:] // Maven's group has a line of its own
		}
	}
	if a.Name != "" && a.Version != "" {
		find := func(b []byte) (from, to int) { return names(b, []byte(a.Name), []byte(a.Version)) }
		if _, to := find(now); to > 0 {
			return find
		}
	}
	line := lineOf(now, a.Line)
	if len(bytes.TrimSpace(line)) < 4 { // a brace is nobody's
		return nil
	}
	line = bytes.Clone(line)
	return func(b []byte) (from, to int) { return hasLine(b, line) }
}

// lineOf gives a line, from 1, without its end.
func lineOf(b []byte, n int) []byte {
	if n <= 0 {
		return nil
	}
	for line := range bytes.Lines(b) {
		if n--; n == 0 {
			return bytes.TrimRight(line, "\r\n")
		}
	}
	return nil
}

// hasLine gives the first line of b that says the same.
func hasLine(b, line []byte) (from, to int) {
	for at := 0; ; {
		i := bytes.Index(b[at:], line)
		if i < 0 {
			return 0, 0
		}
		i += at
		end := i + len(line)
		if (i == 0 || b[i-1] == '\n') && (end == len(b) || b[end] == '\n' || b[end] == '\r') {
			return i, endOfLine(b, end)
		}
		at = i + 1
	}
}

// reach is how many lines below a package's name its version may stand: lock files
// write it on the same line or right below.
const reach = 4

// endOfLine gives where the line after the one at b[i] begins.
func endOfLine(b []byte, i int) int {
	if n := bytes.IndexByte(b[i:], '\n'); n >= 0 {
		return i + n + 1
	}
	return len(b)
}

// names gives the lines of b that have a package's name and within reach its
// version.
func names(b, name, version []byte) (from, to int) {
	for at := 0; ; {
		i := bytes.Index(b[at:], name)
		if i < 0 {
			return 0, 0
		}
		i += at
		at = i + 1
		if !begins(b, i) || !ends(b, i+len(name)) {
			continue
		}
		from, to := bytes.LastIndexByte(b[:i], '\n')+1, i+len(name)
		for range reach {
			to = endOfLine(b, to)
			if isVersion(b[from:to], version) {
				return from, to
			}
		}
	}
}

func letter(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

// begins tells whether a package's name can begin at b[i]: not in the middle of
// another one. What follows "node_modules/" is a whole name.
func begins(b []byte, i int) bool {
	if i == 0 {
		return true
	}
	switch c := b[i-1]; {
	case letter(c), c == '-', c == '.', c == '@':
		return false
	case c == '/':
		before := b[:i-1]
		return bytes.HasSuffix(before, []byte("node_modules")) || len(before) > 0 && in(before[len(before)-1], " \t\n'\"")
	}
	return true
}

// ends tells whether a package's name can end before b[i].
func ends(b []byte, i int) bool {
	return i >= len(b) || !letter(b[i]) && b[i] != '-' && b[i] != '.' && !(b[i] == '/' && i+1 < len(b) && letter(b[i+1]) && !digit(b[i+1]))
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func in(c byte, set string) bool { return strings.IndexByte(set, c) >= 0 }

// isVersion tells whether text has the version, and not only one that it is a part
// of.
func isVersion(text, version []byte) bool {
	for at := 0; ; {
		i := bytes.Index(text[at:], version)
		if i < 0 {
			return false
		}
		i += at
		at = i + 1
		start, end := i, i+len(version)
		if start > 0 && in(text[start-1], "vV") {
			start--
		}
		if start > 0 && (letter(text[start-1]) || text[start-1] == '.') {
			continue
		}
		if end < len(text) && (letter(text[end]) || in(text[end], ".-+") && end+1 < len(text) && letter(text[end+1])) {
			continue
		}
		return true
	}
}
