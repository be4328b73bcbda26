// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check"
)

// A command goes from the parent to the parsing child, one JSON line each.
// Exactly one member is set.
type command struct {
	Start *startCommand `json:"start,omitempty"`
	Layer *layerCommand `json:"layer,omitempty"`
	Merge *mergeCommand `json:"merge,omitempty"`
	Told  *toldCommand  `json:"told,omitempty"`
	Trace *traceCommand `json:"trace,omitempty"`
	Given *givenCommand `json:"given,omitempty"`
}

// startCommand is the first command.
type startCommand struct {
	Kind bulwark.Kind `json:"kind"`
	Plan plan         `json:"plan"`
	Kept int64        `json:"kept"`           // offset in the file of kept databases from which on it is free
	Jars int64        `json:"jars,omitempty"` // bytes of the table of archives, if there is one

	Rules []int64 `json:"rules,omitempty"` // bytes of each file of rules, one after another in the file of rules
}

// layerCommand announces that a stream will come on a lane, or that a file is to be read.
type layerCommand struct {
	Lane  int          `json:"lane"`
	Skip  []string     `json:"skip,omitempty"`  // files that a parser died of before
	Whole int          `json:"whole,omitempty"` // which of the files that the child was handed is read in place of a stream, from 1
	Form  bulwark.Form `json:"form,omitempty"`
	At    string       `json:"at,omitempty"`
	Key   string       `json:"key,omitempty"`
}

// toldCommand says that the daemon has been asked about the file that waits in a
// lane's spill file.
type toldCommand struct {
	Lane int `json:"lane"`
}

// traceCommand is the only command of a child that asks a work tree's past. It was
// handed the packs, each after its index, then the file that says where a shallow
// clone ends if it is one.
type traceCommand struct {
	Head    string          `json:"head"`
	Asked   []bulwark.Trace `json:"asked"`
	Shallow bool            `json:"shallow,omitempty"`
	Limit   time.Duration   `json:"limit"` // nanoseconds
}

// givenCommand answers a want: the file comes on the lane, or not.
type givenCommand struct {
	None bool   `json:"none,omitempty"` // there is no such file
	Err  string `json:"err,omitempty"`  // it cannot be opened
}

// mergeCommand asks for the packages of a merged state of package databases.
type mergeCommand struct {
	Files []keptFile `json:"files"`
	Last  bool       `json:"last"`             // the state that counts: owners are wanted, too
	Paths []string   `json:"owners,omitempty"` // files whose owning package is wanted
}

// A keptFile is a package database's file in the shared file of kept content.
type keptFile struct {
	Path string `json:"path"`
	Off  int64  `json:"off"`
	Size int64  `json:"size"`
}

// A keptLink stands where a package database wants a file.
type keptLink struct {
	Path   string `json:"path"`
	Target string `json:"target,omitempty"` // clean; "" for what is no link
	Needed bool   `json:"needed,omitempty"` // packages stay hidden if it leads nowhere
}

// An answer comes from the child, one JSON line each, and is as hostile as what
// it was made from. Exactly one member beside Lane is set.
type answer struct {
	Lane      int               `json:"lane"` // -1 for answers to Start, Merge and Trace
	Hello     *hello            `json:"hello,omitempty"`
	Package   *bulwark.Package  `json:"package,omitempty"`
	Program   *bulwark.Program  `json:"program,omitempty"`
	Finding   *bulwark.Finding  `json:"finding,omitempty"`
	Raw       *check.Raw        `json:"raw,omitempty"` // only when the plan says Verify
	Gap       *bulwark.Gap      `json:"gap,omitempty"`
	Files     []byte            `json:"files,omitempty"` // see appendFile
	Ask       *keptFile         `json:"ask,omitempty"`   // the lane waits until the daemon was asked about this file in its spill file
	Kept      *keptFile         `json:"kept,omitempty"`
	Link      *keptLink         `json:"link,omitempty"`
	Again     string            `json:"again,omitempty"` // a path came a second time: its first content is void
	Marks     []byte            `json:"marks,omitempty"` // mark after mark
	Whiteouts []string          `json:"whiteouts,omitempty"`
	Opaques   []string          `json:"opaques,omitempty"`
	OS        *bulwark.OS       `json:"os,omitempty"`
	Function  *bulwark.Function `json:"function,omitempty"`
	Owners    map[string]string `json:"ownerOf,omitempty"`
	Want      *want             `json:"want,omitempty"`
	Change    *changeAnswer     `json:"change,omitempty"`
	Traced    *tracedAnswer     `json:"traced,omitempty"` // ends the answers to Trace
	Done      *done             `json:"done,omitempty"`
	Hung      string            `json:"hung,omitempty"` // the file whose parser did not return; the child ends

	Suppression *bulwark.Suppression `json:"suppression,omitempty"`

	size int // bytes of the line
}

// hello says that the child is confined and ready.
type hello struct {
	Missing []string `json:"missing,omitempty"`
}

// want asks for a file that was not handed over: a loose object of git, or a file of
// the work tree.
type want struct {
	Object string `json:"object,omitempty"` // full name
	File   int    `json:"file,omitempty"`   // number of a question about the file, from 1
}

// changeAnswer answers one question of Trace; those without an answer get none.
type changeAnswer struct {
	Asked  int            `json:"asked"`
	Change bulwark.Change `json:"change"`
}

// tracedAnswer says how far the answers to Trace can be relied on.
type tracedAnswer struct {
	Cut     string `json:"cut,omitempty"`     // the bound or fault that kept it from knowing more
	Shallow bool   `json:"shallow,omitempty"` // an answer ended where a shallow clone does
	Err     string `json:"err,omitempty"`     // why there are no answers
}

// done ends the answers to one command.
type done struct {
	Entries int     `json:"entries"`
	Size    int64   `json:"size"`
	DiffID  string  `json:"diffId"`
	Content content `json:"content,omitempty"`
	Plain   bool    `json:"plain,omitempty"` // read to its end and not compressed: the diff ID is the digest of the blob
	Err     string  `json:"err,omitempty"`   // the stream could not be read
}

// Bounds on what a child may say. A line holds at most one package with its
// places or one block of marks.
const (
	maxLine    = 8 << 20
	maxAnswers = 64 << 20 // bytes of answers about one layer, without marks
	markBlock  = 96 << 10 // bytes
	maxFiles   = 200_000  // digests of one layer, and files that a daemon is asked about
	maxHashed  = 16 << 20 // bytes of digests and paths of one layer, and a block more
)
