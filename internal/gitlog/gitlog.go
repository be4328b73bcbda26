// SPDX-License-Identifier: Apache-2.0

// Package gitlog asks the history of a git repository which commit brought
// something into a file. It reads git's objects itself, within bounds, and never
// runs git or anything that a repository names: the repository may be hostile. It
// does not know what is looked for; who asks says how to tell it.
package gitlog

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Question asks since when a file has had something.
type Question struct {
	Path string // in the work tree, slash-separated and clean
	// Find gives the lines in which a version of the file has it, as offsets of their
	// first byte and behind their last one; to is 0 when it has not. What the lines
	// say decides alone: another version that has the same lines has it, too. It does
	// not keep content.
	Find func(content []byte) (from, to int)
}

// An ask is a question on its way, with the lines that hold what it asks for in the
// version of the file that it is at.
type ask struct{ question, from, to int }

// An Answer is the commit that brought it, or the oldest one that was seen to have
// it. The zero Answer says that the head commit does not have it.
type Answer struct {
	Commit string    // full name
	Author string    // name
	Mail   string    //
	Date   time.Time // of the author
	// Older says that Commit has it already and what came before was not seen: the
	// clone is shallow, a bound was reached, or an object is missing or damaged.
	Older bool
}

// Bounds bound the work of one Trace. A zero field means the default.
type Bounds struct {
	Commits int           // looked at, over all files: 50,000
	Bytes   int64         // of objects inflated: 4 GiB
	Time    time.Duration // 10 s; the clock is the caller's
}

func (b Bounds) or() Bounds {
	return Bounds{cmp.Or(b.Commits, 50_000), cmp.Or(b.Bytes, 4<<30), cmp.Or(b.Time, 10*time.Second)}
}

// Result is the answers, in the order of the questions, and what kept Trace from
// knowing more, "" when nothing did.
type Result struct {
	Answers []Answer
	Cut     string // the bound or fault that was met, for a person
	Shallow bool   // an answer ended where a shallow clone does
}

// Trace answers questions about the files of the commit head, a full name in
// hexadecimal digits. A file is followed by its path: what came with a renamed file
// counts as new. At a merge what any parent has is that parent's. The error is
// ctx's, or says that the head commit itself cannot be read.
func Trace(ctx context.Context, files Files, head string, questions []Question, bounds Bounds) (Result, error) {
	r := Result{Answers: make([]Answer, len(questions))}
	if len(head) != 40 && len(head) != 64 { // SHA-1, SHA-256
		return r, fmt.Errorf("commit %.80q: %w", head, ErrDamaged)
	}
	o := openObjects(files, len(head)/2)
	bounds = bounds.or()
	late, stop := context.WithTimeout(ctx, bounds.Time)
	defer stop()
	t := &tracer{ctx: late, objects: o, bounds: bounds, questions: questions, result: &r, commits: map[string]*commit{}, places: map[place]string{}}
	t.shallow = ends(files.Shallow)
	if _, err := t.commit(head); err != nil {
		return r, fmt.Errorf("read commit %.12s: %w", head, err)
	}
	byPath := map[string][]int{}
	var paths []string
	for i, q := range questions {
		if byPath[q.Path] == nil {
			paths = append(paths, q.Path)
		}
		byPath[q.Path] = append(byPath[q.Path], i)
	}
	for _, p := range paths {
		t.file(p, head, byPath[p])
	}
	return r, ctx.Err()
}

// maxShallow bounds the commits at which a shallow clone ends.
const maxShallow = 10_000

// ends gives the commits whose parents a shallow clone has not.
func ends(f *os.File) map[string]bool {
	if f == nil {
		return nil
	}
	out := map[string]bool{}
	for sc := bufio.NewScanner(io.NewSectionReader(f, 0, 100*maxShallow)); sc.Scan() && len(out) < maxShallow; {
		out[strings.TrimSpace(sc.Text())] = true
	}
	return out
}

// A commit is what is used of one.
type commit struct {
	tree         string
	parents      []string
	author, mail string
	date         time.Time
	order        int64 // the committer's time: parents are mostly older
}

// maxParents bounds the parents of one commit; the largest merge known has 66.
const maxParents = 256

// parseCommit reads a commit (git-commit-tree(1)).
func parseCommit(b []byte, width int) (*commit, error) {
	c := &commit{}
	head, _, _ := bytes.Cut(b, []byte("\n\n"))
	for line := range bytes.Lines(head) {
		word, rest, _ := strings.Cut(strings.TrimRight(string(line[:min(len(line), 4096)]), "\n"), " ")
		switch word {
		case "tree":
			c.tree = cmp.Or(c.tree, rest)
		case "parent":
			if len(rest) != 2*width || len(c.parents) == maxParents {
				return nil, damaged("commit")
			}
			c.parents = append(c.parents, rest)
		case "author":
			c.author, c.mail, c.date = person(rest)
		case "committer":
			_, _, at := person(rest)
			c.order = at.Unix()
		}
	}
	if len(c.tree) != 2*width {
		return nil, damaged("commit")
	}
	return c, nil
}

// person reads "A. Author <a@example.org> 1714521600 +0200".
func person(s string) (name, mail string, at time.Time) {
	name, rest, _ := strings.Cut(s, "<")
	mail, rest, _ = strings.Cut(rest, ">")
	at = time.Unix(0, 0).UTC()
	words := strings.Fields(rest)
	if len(words) > 0 {
		if n, err := strconv.ParseInt(words[0], 10, 64); err == nil && n >= 0 && n < 1<<37 {
			at = time.Unix(n, 0).UTC()
		}
	}
	if len(words) > 1 && len(words[1]) == 5 {
		if z, err := strconv.Atoi(words[1]); err == nil && z > -1500 && z < 1500 {
			at = at.In(time.FixedZone("", z/100*3600+z%100*60))
		}
	}
	return plain(name), plain(mail), at
}

// maxWords bounds a name and a mail address, bytes.
const maxWords = 200

// plain gives valid text of one line, without control characters.
func plain(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r // RuneError for what is no UTF-8
	}, s))
	for len(s) > maxWords {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

// entry gives the mode and the name of what a tree has under a name, "" when it has
// nothing.
func entry(tree []byte, name string, width int) (mode, id string, err error) {
	for len(tree) > 0 {
		i := bytes.IndexByte(tree, 0)
		if i < 0 || len(tree)-i-1 < width {
			return "", "", damaged("tree")
		}
		m, n, ok := strings.Cut(string(tree[:i]), " ")
		if !ok {
			return "", "", damaged("tree")
		}
		if n == name {
			return m, hex.EncodeToString(tree[i+1 : i+1+width]), nil
		}
		tree = tree[i+1+width:]
	}
	return "", "", nil
}

// A place is a path below a tree.
type place struct{ tree, path string }

// A tracer answers the questions of one Trace.
type tracer struct {
	ctx       context.Context // of the one call of Trace that made it
	objects   *objects
	bounds    Bounds
	questions []Question
	result    *Result
	shallow   map[string]bool
	commits   map[string]*commit
	places    map[place]string // blobs; "" is none
	looked    int
	edges     int // from commits to parents
}

// maxPlaces bounds the places that are remembered.
const maxPlaces = 200_000

var errBound = errors.New("bound reached")

// spent says which bound is reached, nil when none is.
func (t *tracer) spent() error {
	switch {
	case t.ctx.Err() != nil:
		return fmt.Errorf("%w: %s are over", errBound, t.bounds.Time)
	case max(t.looked, len(t.commits), t.edges/4) > t.bounds.Commits:
		return fmt.Errorf("%w: %d commits were looked at", errBound, t.bounds.Commits)
	case t.objects.read > t.bounds.Bytes:
		return fmt.Errorf("%w: %d bytes of objects were read", errBound, t.bounds.Bytes)
	}
	return nil
}

func (t *tracer) commit(id string) (*commit, error) {
	if c, ok := t.commits[id]; ok {
		return c, nil
	}
	if err := t.spent(); err != nil {
		return nil, err
	}
	x, err := t.objects.get(id)
	if err != nil {
		return nil, err
	}
	if x.kind != typeCommit {
		return nil, damaged("commit")
	}
	c, err := parseCommit(x.data, t.objects.width)
	if err != nil {
		return nil, err
	}
	if t.shallow[id] {
		c.parents = nil
	}
	t.commits[id], t.edges = c, t.edges+len(c.parents)
	return c, nil
}

// blob gives the name of a file below a tree, "" when there is none.
func (t *tracer) blob(tree, p string) (string, error) {
	key := place{tree, p}
	if id, ok := t.places[key]; ok {
		return id, nil
	}
	x, err := t.objects.get(tree)
	if err != nil {
		return "", err
	}
	if x.kind != typeTree {
		return "", damaged("tree")
	}
	first, rest, deeper := strings.Cut(p, "/")
	mode, id, err := entry(x.data, first, t.objects.width)
	switch isTree := mode == "40000"; {
	case err != nil:
		return "", err
	case isTree != deeper, !isTree && !strings.HasPrefix(mode, "100"):
		id = "" // a folder, a link, a submodule, or nothing
	case deeper:
		if id, err = t.blob(id, rest); err != nil {
			return "", err
		}
	}
	if len(t.places) >= maxPlaces {
		clear(t.places)
	}
	t.places[key] = id
	return id, nil
}

// of gives the name of a file in a commit.
func (t *tracer) of(commit, p string) (string, error) {
	c, err := t.commit(commit)
	if err != nil {
		return "", err
	}
	return t.blob(c.tree, p)
}

// text gives a version of a file.
func (t *tracer) text(blob string) ([]byte, error) {
	x, err := t.objects.get(blob)
	if err == nil && x.kind != typeBlob {
		err = damaged("file")
	}
	return x.data, err
}

// has gives those of the questions to which a version's answer is yes. They are
// about the lines of the version own, which mostly are where they were, or only
// moved by what came before them.
func (t *tracer) has(text, own []byte, asked []ask) (yes []ask) {
	shift := len(text) - len(own)
	for i, a := range asked {
		if i%64 == 0 && t.ctx.Err() != nil {
			return yes
		}
		line := own[a.from:a.to]
		switch {
		case same(text, a.from, line):
		case same(text, a.from+shift, line):
			a.from, a.to = a.from+shift, a.to+shift
		default:
			a.from, a.to = t.find(a.question, text)
		}
		if a.to > 0 {
			yes = append(yes, a)
		}
	}
	return yes
}

// same tells whether text has whole lines at an offset.
func same(text []byte, at int, lines []byte) bool {
	return at >= 0 && at <= len(text) && (at == 0 || text[at-1] == '\n') && bytes.HasPrefix(text[at:], lines) && len(lines) > 0 &&
		(lines[len(lines)-1] == '\n' || at+len(lines) == len(text))
}

// find asks a question of a version.
func (t *tracer) find(question int, text []byte) (from, to int) {
	from, to = t.questions[question].Find(text)
	if from < 0 || to > len(text) || from >= to {
		return 0, 0
	}
	return from, to
}

// answer notes that a commit brought it, or that it had it before.
func (t *tracer) answer(id string, asked []ask, older bool) {
	c := t.commits[id]
	for _, a := range asked {
		t.result.Answers[a.question] = Answer{Commit: id, Author: c.author, Mail: c.mail, Date: c.date, Older: older}
	}
	if older && t.shallow[id] && len(asked) > 0 {
		t.result.Shallow = true
	}
}

// cut notes what kept the answers from being better.
func (t *tracer) cut(err error) {
	if t.result.Cut == "" && err != nil {
		t.result.Cut = err.Error()
	}
}

// file answers the questions about one path. Questions wander from a commit to a
// parent that has what they ask for; where no parent has it, the commit brought
// it. Younger commits come first, so that what several ways lead to is looked at
// once.
func (t *tracer) file(p, head string, asked []int) {
	blob, err := t.of(head, p)
	if err != nil || blob == "" {
		t.cut(err)
		return
	}
	text, err := t.text(blob)
	if err != nil {
		t.cut(err)
		return
	}
	var first []ask
	for _, q := range asked {
		if err := t.spent(); err != nil {
			t.cut(err)
			break
		}
		if from, to := t.find(q, text); to > 0 {
			first = append(first, ask{q, from, to})
		}
	}
	open := map[string][]ask{head: first}
	queue := []string{head} // sorted, youngest last
	for len(queue) > 0 {
		id := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		asked := open[id]
		delete(open, id)
		t.looked++
		if err := t.spent(); err != nil {
			t.cut(err)
			t.answer(id, asked, true)
			continue
		}
		passed, err := t.pass(id, p, asked)
		if err != nil {
			t.cut(err)
		}
		for _, way := range passed {
			if _, there := open[way.parent]; !there {
				order := t.commits[way.parent].order
				i, _ := slices.BinarySearchFunc(queue, order, func(a string, order int64) int { return cmp.Compare(t.commits[a].order, order) })
				queue = slices.Insert(queue, i, way.parent)
			}
			open[way.parent] = append(open[way.parent], way.asked...)
			asked = without(asked, way.asked)
		}
		t.answer(id, asked, err != nil || t.shallow[id])
	}
}

// A way is a parent and the questions that go on to it.
type way struct {
	parent string
	asked  []ask // by question
}

// without gives the asks whose questions are not among gone.
func without(asked, gone []ask) []ask {
	left := map[int]bool{}
	for _, a := range gone {
		left[a.question] = true
	}
	return slices.DeleteFunc(slices.Clone(asked), func(a ask) bool { return left[a.question] })
}

// pass shares the questions of a commit out among its parents. After an error some
// are not.
func (t *tracer) pass(id, p string, asked []ask) (out []way, err error) {
	left := asked
	own, err := t.of(id, p)
	if err != nil || len(asked) == 0 {
		return nil, err
	}
	type version struct{ parent, blob string }
	var other []version // to be read if need be
	for _, parent := range t.commits[id].parents {
		blob, perr := t.of(parent, p)
		switch {
		case perr != nil:
			err = perr
		case blob == own:
			return []way{{parent, left}}, nil
		case blob != "":
			other = append(other, version{parent, blob})
		}
	}
	if len(other) == 0 {
		return nil, err
	}
	mine, merr := t.text(own)
	if merr != nil {
		return nil, merr
	}
	for _, v := range other {
		text, terr := t.text(v.blob)
		if terr != nil {
			err = terr
			continue
		}
		yes := t.has(text, mine, left)
		if serr := t.spent(); serr != nil {
			return out, serr // not all were asked
		}
		if len(yes) > 0 {
			out = append(out, way{v.parent, yes})
			left = without(left, yes)
		}
	}
	return out, err
}
