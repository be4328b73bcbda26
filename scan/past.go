// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/gitlog"
	"github.com/bulwark-sec/bulwark/internal/mention"
)

// traceFile bounds a file of the work tree whose history is asked for, bytes, and
// traceText all of them.
const (
	traceFile = 16 << 20
	traceText = 256 << 20
)

// A past answers questions about a work tree. It parses what a repository's authors
// wrote.
type past struct {
	head  string
	files gitlog.Files
	work  func(asked int) (io.ReadCloser, error) // the file that a question is about
}

// traced is what a past told.
type traced struct {
	changes []*bulwark.Change // by question; nil where nothing is known
	tracedAnswer
}

// trace answers questions. It looks for what is asked in the work tree for no longer
// than limit, and then in commits.
func (p past) trace(ctx context.Context, asked []bulwark.Trace, limit time.Duration) (traced, error) {
	t := traced{changes: make([]*bulwark.Change, len(asked))}
	late, stop := context.WithTimeout(ctx, limit)
	defer stop()
	byPath := map[string][]int{}
	var paths []string
	for i, a := range asked {
		if byPath[a.Path] == nil {
			paths = append(paths, a.Path)
		}
		byPath[a.Path] = append(byPath[a.Path], i)
	}
	room := int64(traceText)
	var questions []gitlog.Question
	var of []int // asked, by question
	for _, path := range paths {
		if t.Cut != "" {
			break
		}
		now := p.content(byPath[path][0], min(room, traceFile))
		room -= int64(len(now))
		for _, i := range byPath[path] {
			if late.Err() != nil {
				t.Cut = fmt.Sprintf("bound reached: %s are over", limit)
				break
			}
			if find := mention.Of(now, asked[i].Name, asked[i].Version, asked[i].Line); find != nil {
				questions, of = append(questions, gitlog.Question{Path: path, Find: find}), append(of, i)
				t.changes[i] = &bulwark.Change{} // not committed, until a commit is found
			}
		}
	}
	if p.head == "" || len(questions) == 0 {
		return t, ctx.Err()
	}
	r, err := gitlog.Trace(ctx, p.files, p.head, questions, gitlog.Bounds{Time: limit})
	if err != nil {
		return traced{}, err
	}
	for k, a := range r.Answers {
		switch {
		case a.Commit != "":
			t.changes[of[k]] = &bulwark.Change{Commit: a.Commit, Author: a.Author, Mail: a.Mail, Date: a.Date, Older: a.Older}
		case r.Cut != "": // it may be there, in what was not read
			t.changes[of[k]] = nil
		}
	}
	if t.Shallow = r.Shallow; t.Cut == "" {
		t.Cut = r.Cut
	}
	return t, nil
}

// content gives a file of the work tree, nil when it is none or too large.
func (p past) content(asked int, most int64) []byte {
	f, err := p.work(asked)
	if err != nil {
		return nil
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil || int64(len(b)) > most {
		return nil
	}
	return b
}
