// SPDX-License-Identifier: Apache-2.0

package dir

import (
	"context"
	"fmt"
	"io"
	"os"
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
		if find := mention.Of(b, a.Name, a.Version, a.Line); find != nil {
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
	files, err := gitlog.Open(g.shared)
	if err != nil {
		clear(out)
		return out, untraced(err), nil
	}
	defer files.Close()
	r, err := gitlog.Trace(ctx, files, head, questions, gitlog.Bounds{Time: limit})
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
