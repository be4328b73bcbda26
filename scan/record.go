// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"unique"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check"
	"github.com/bulwark-sec/bulwark/internal/diskcache"
	"github.com/bulwark-sec/bulwark/internal/limit"
)

// recordVersion changes when a record's form or meaning does.
const recordVersion = "9"

// A record is what one layer holds: a function of its content and of the plan,
// kept by diff ID so that a layer is never read twice.
type record struct {
	DiffID    bulwark.Digest     `json:"diffId"`
	Blob      bulwark.Digest     `json:"blob"` // digest of the bytes that were read, verified by the parent
	Entries   int                `json:"entries"`
	Size      int64              `json:"size"`
	OS        *bulwark.OS        `json:"os,omitempty"` // of a bill of materials
	Functions []bulwark.Function `json:"functions,omitempty"`
	Packages  []bulwark.Package  `json:"-"`
	Programs  []bulwark.Program  `json:"-"`
	Findings  []bulwark.Finding  `json:"-"`
	Files     []byte             `json:"-"` // digests of what something may run, see appendFile; nil when they were not asked for
	Gaps      []bulwark.Gap      `json:"gaps,omitempty"`
	Kept      []keptFile         `json:"kept,omitempty"` // offsets in the file of kept content
	Links     []keptLink         `json:"links,omitempty"`
	Marks     []byte             `json:"-"` // mark after mark
	Content   content            `json:"content,omitempty"`
	Whiteouts []string           `json:"whiteouts,omitempty"`
	Opaques   []string           `json:"opaques,omitempty"`

	Suppressions []bulwark.Suppression `json:"-"` // maxSuppressed at most

	size    int  // bytes of the answers taken in
	answers int  // how many
	asked   int  // files that the daemon was to be asked about
	unasked int  // of them, those that it was not asked about any more
	plain   bool // the blob is not compressed: its digest is the diff ID

	raws []check.Raw // secrets in clear, in memory alone

	marks  []mark // sorted
	white  map[string]bool
	opaque map[string]bool
}

// add takes in one answer of the child. More than a child within its limits could
// say is an error.
func (r *record) add(a *answer, lim limit.Limits) error {
	if a.Marks == nil && a.Files == nil {
		r.size += a.size
		if a.Raw == nil { // they have a bound of their own
			r.answers++
		}
	}
	// Each mark is an entry or its directory. A child stays below half of the rest.
	if r.size > 2*maxAnswers || r.answers > lim.Results+2*maxGaps+100 || len(r.Marks)/len(mark{}) > 2*lim.Entries+markBlock {
		return fmt.Errorf("the parser's answers: %w", bulwark.ErrTooLarge)
	}
	if len(r.Files)+len(a.Files) > maxHashed+1<<20 {
		return fmt.Errorf("the parser's answers: digests: %w", bulwark.ErrTooLarge)
	}
	if k := a.Kept; k != nil && (k.Off < 0 || k.Size < 0 || k.Size > lim.Kept || k.Off > maxKept-k.Size) {
		return errors.New("the parser's answers: a kept file outside the file of kept files")
	}
	switch {
	case a.Package != nil:
		compact(a.Package)
		r.Packages = append(r.Packages, *a.Package)
	case a.Program != nil:
		r.Programs = append(r.Programs, *a.Program)
	case a.Finding != nil:
		r.Findings = append(r.Findings, *a.Finding)
	case a.Raw != nil:
		if len(r.raws) >= maxRaws || len(a.Raw.Value) > maxRaw {
			return fmt.Errorf("the parser's answers: secrets: %w", bulwark.ErrTooLarge)
		}
		r.raws = append(r.raws, *a.Raw)
	case a.Gap != nil:
		r.Gaps = append(r.Gaps, *a.Gap)
	case a.Kept != nil:
		r.Kept = append(r.Kept, *a.Kept)
	case a.Link != nil:
		r.Links = append(r.Links, *a.Link)
	case a.Files != nil:
		r.Files = append(r.Files, a.Files...)
	case a.OS != nil:
		r.OS = a.OS
	case a.Function != nil:
		r.Functions = append(r.Functions, *a.Function)
	case a.Suppression != nil:
		if len(r.Suppressions) >= maxSuppressed {
			return fmt.Errorf("the parser's answers: suppressions: %w", bulwark.ErrTooLarge)
		}
		r.Suppressions = append(r.Suppressions, *a.Suppression)
	case a.Again != "":
		r.Packages = slices.DeleteFunc(r.Packages, func(p bulwark.Package) bool { return len(p.Where) > 0 && outer(p.Where[0].Path) == a.Again })
		r.Programs = slices.DeleteFunc(r.Programs, func(p bulwark.Program) bool { return outer(p.Path) == a.Again })
		r.Kept = slices.DeleteFunc(r.Kept, func(k keptFile) bool { return k.Path == a.Again })
		r.Functions = slices.DeleteFunc(r.Functions, func(f bulwark.Function) bool { return outer(f.Path) == a.Again })
		r.Suppressions = slices.DeleteFunc(r.Suppressions, func(s bulwark.Suppression) bool { return outer(s.Path) == a.Again })
	default:
		r.Marks = append(r.Marks, a.Marks...)
		r.Whiteouts = append(r.Whiteouts, a.Whiteouts...)
		r.Opaques = append(r.Opaques, a.Opaques...)
	}
	return nil
}

// compact gives back what decoding took too much of: most packages have one place,
// and share most of their words with others.
func compact(p *bulwark.Package) {
	p.Where, p.Licenses = slices.Clone(p.Where), slices.Clone(p.Licenses)
	p.Ecosystem, p.By = unique.Make(p.Ecosystem).Value(), unique.Make(p.By).Value()
	for i := range p.Where {
		p.Where[i].Path = unique.Make(p.Where[i].Path).Value()
	}
	for i := range p.Licenses {
		p.Licenses[i] = unique.Make(p.Licenses[i]).Value()
	}
}

// finish takes in the answer that ends a layer.
func (r *record) finish(d *done) {
	// The spare room of slices that grew adds up over many layers.
	r.Packages, r.Findings, r.Marks = slices.Clone(r.Packages), slices.Clone(r.Findings), bytes.Clone(r.Marks)
	r.Files, r.Suppressions = bytes.Clone(r.Files), slices.Clone(r.Suppressions)
	r.DiffID, r.Entries, r.Size, r.plain = bulwark.Digest(d.DiffID), d.Entries, d.Size, d.Plain
	r.Content = d.Content
	if r.unasked > 0 {
		r.Gaps = append(r.Gaps, bulwark.Gap{Kind: bulwark.GapUnreadable, Detail: fmt.Sprintf("the ClamAV daemon does not answer any more: it was not asked about %d files", r.unasked)})
	}
}

// maxKept bounds the file of kept content of all layers, bytes.
const maxKept = 8 << 30

// outer gives the path of the file that lies in the file system, for a place
// inside an archive.
func outer(p string) string {
	p, _, _ = strings.Cut(p, "!/")
	return p
}

// index makes hides quick.
func (r *record) index() {
	r.marks = make([]mark, 0, len(r.Marks)/len(mark{}))
	for m := range slices.Chunk(r.Marks, len(mark{})) {
		if len(m) == len(mark{}) {
			r.marks = append(r.marks, mark(m))
		}
	}
	slices.SortFunc(r.marks, func(a, b mark) int { return bytes.Compare(a[:], b[:]) })
	r.Marks = nil
	r.white = make(map[string]bool, len(r.Whiteouts))
	for _, p := range r.Whiteouts {
		r.white[p] = true
	}
	r.opaque = make(map[string]bool, len(r.Opaques))
	for _, p := range r.Opaques {
		r.opaque[p] = true
	}
}

// hides tells whether this layer covers what a lower layer has at a path: by the
// same path, by something else in place of a parent directory, by a whiteout of
// it or of a parent, or by an opaque parent.
func (r *record) hides(l lineage) bool {
	if r.has(l.dir) {
		return true
	}
	for i, p := range l.paths {
		if r.white[p] || r.has(l.hashes[i]) || i > 0 && r.opaque[p] {
			return true
		}
	}
	return r.opaque["."]
}

// A lineage is a path and its parents, the path first, with their hashes: made
// once for each path, asked of every layer.
type lineage struct {
	paths  []string
	hashes []pathHash
	dir    pathHash // of the path as a directory
	tree   pathHash // of what lies below it
}

func lineageOf(p string) lineage {
	var l lineage
	for q := p; q != "." && q != ""; q = path.Dir(q) {
		l.paths = append(l.paths, q)
	}
	l.hashes = make([]pathHash, len(l.paths))
	var h chain
	for i := len(l.paths) - 1; i >= 0; i-- {
		h = h.child(path.Base(l.paths[i]))
		l.hashes[i] = h.short()
	}
	l.dir, l.tree = h.asDir(), h.asTree()
	return l
}

// find gives the index of the first mark of a path.
func (r *record) find(h pathHash) (int, bool) {
	return slices.BinarySearchFunc(r.marks, h, func(m mark, h pathHash) int { return bytes.Compare(m[:len(h)], h[:]) })
}

func (r *record) has(h pathHash) bool {
	_, ok := r.find(h)
	return ok
}

// A recordStore keeps records in the disk cache.
type recordStore struct {
	cache *diskcache.Cache
	plan  string // plan.key
}

func (s recordStore) key(diffID bulwark.Digest) string {
	return "layer " + s.plan + " " + string(diffID)
}

// errForeign says that a kept record was made from other bytes than those asked
// for. A record is only as honest as the parser that made it, and that one saw
// hostile bytes: a record of one blob must not speak for another blob that
// merely claims the same diff ID. Uncompressed blobs prove the diff ID themselves.
var errForeign = errors.New("kept for another blob")

// get reads a layer's record, the digests of its files only if they are asked
// for; kept content goes to keep, which gives the offset it was written to.
// Without a record it is an error.
func (s recordStore) get(want bulwark.Layer, files bool, keep func(r io.Reader, size int64) (int64, error)) (*record, error) {
	if want.DiffID == "" {
		return nil, bulwark.ErrNotFound
	}
	f, err := s.cache.Get(s.key(want.DiffID))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rec, err := readRecord(f, want, files, keep)
	if err != nil && !errors.Is(err, errForeign) {
		s.cache.Drop(s.key(want.DiffID))
	}
	return rec, err
}

func readRecord(f io.Reader, want bulwark.Layer, files bool, keep func(r io.Reader, size int64) (int64, error)) (*record, error) {
	return readKept(f, func(br *bufio.Reader) (*record, error) {
		var rec record
		var n counts
		if err := readJSON(br, &rec); err != nil {
			return nil, err
		}
		if rec.DiffID != want.DiffID {
			return nil, errors.New("it is of another layer")
		}
		if want.Digest != "" && rec.Blob != want.Digest && rec.Blob != rec.DiffID {
			return nil, errForeign
		}
		if err := readJSON(br, &n); err != nil {
			return nil, err
		}
		var err error
		if rec.Packages, err = readList[bulwark.Package](br, n.Packages); err != nil {
			return nil, err
		}
		if rec.Programs, err = readList[bulwark.Program](br, n.Programs); err != nil {
			return nil, err
		}
		if rec.Findings, err = readList[bulwark.Finding](br, n.Findings); err != nil {
			return nil, err
		}
		if rec.Suppressions, err = readList[bulwark.Suppression](br, n.Suppressions); err != nil {
			return nil, err
		}
		if n.Files < 0 || n.Files > maxHashed+1<<20 {
			return nil, bulwark.ErrTooLarge
		}
		if files {
			rec.Files = make([]byte, n.Files)
			if _, err := io.ReadFull(br, rec.Files); err != nil {
				return nil, err
			}
		} else if _, err := br.Discard(n.Files); err != nil {
			return nil, err
		}
		if n.Marks < 0 || n.Marks > maxMarks {
			return nil, bulwark.ErrTooLarge
		}
		rec.Marks = make([]byte, n.Marks)
		if _, err := io.ReadFull(br, rec.Marks); err != nil {
			return nil, err
		}
		for i := range rec.Kept {
			k := &rec.Kept[i]
			if k.Off, err = keep(io.LimitReader(br, k.Size), k.Size); err != nil {
				return nil, err
			}
		}
		return &rec, nil
	})
}

// put keeps a record, with the kept content that read gives.
func (s recordStore) put(rec *record, kept io.ReaderAt) error {
	if rec.DiffID == "" {
		return nil
	}
	return s.cache.Put(s.key(rec.DiffID), func(w io.Writer) error {
		return writeKept(w, func(w io.Writer) error {
			enc := json.NewEncoder(w)
			if err := errors.Join(
				enc.Encode(rec),
				enc.Encode(counts{Packages: len(rec.Packages), Programs: len(rec.Programs), Findings: len(rec.Findings), Suppressions: len(rec.Suppressions), Marks: len(rec.Marks), Files: len(rec.Files)}),
				writeList(enc, rec.Packages),
				writeList(enc, rec.Programs),
				writeList(enc, rec.Findings),
				writeList(enc, rec.Suppressions),
			); err != nil {
				return err
			}
			if _, err := w.Write(rec.Files); err != nil {
				return err
			}
			if _, err := w.Write(rec.Marks); err != nil {
				return err
			}
			for _, k := range rec.Kept {
				if _, err := io.Copy(w, io.NewSectionReader(kept, k.Off, k.Size)); err != nil {
					return err
				}
			}
			return nil
		})
	})
}
