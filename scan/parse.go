// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check"
	"github.com/bulwark-sec/bulwark/extract"
	"github.com/bulwark-sec/bulwark/internal/limit"
	"github.com/bulwark-sec/bulwark/internal/tarfs"
)

// headSize is how much of a file is read before its parsers decide again.
const headSize = 4096

// A parser reads layers one after another. Each lane has its own.
type parser struct {
	parsers
	lim     limit.Limits
	spill   *os.File      // for files that do not fit into memory
	kept    *os.File      // for package databases, shared by all lanes
	free    *atomic.Int64 // first free offset of kept
	at      func(path string)
	emit    func(*answer) int // gives the bytes that the answer takes
	asks    bool              // a daemon is asked about what the check for malware looks at
	reveals bool              // secrets are told in clear, see reveal
	told    func() error      // waits until it was asked about the file in spill

	ctx     context.Context
	buf     []byte
	head    [headSize]byte
	marks   []byte // mark after mark
	dirs    folders
	content content
	links   map[string]string // symbolic links of this layer
	looked  map[string]bool   // files of this layer that extractors looked into
	seen    map[string]bool   // files that gave something in this layer
	skip    []string
	results int    // packages, findings and paths so far
	spent   int    // bytes of answers so far
	files   []byte // digests that are not emitted yet
	path    string // of the last of them
	hashed  int    // files so far
	hashes  int    // bytes of digests emitted so far
	lost    int    // files whose digests are not kept
	asked   int    // files that the daemon was to be asked about
	raws    int    // secrets told in clear, or left out
	gaps    int    // told so far
	hidden  int    // gaps not told one by one, and whether one of them hides packages
	hides   bool
	keptLen int64
	wantE   []extract.Extractor
	wantC   []check.Check
	spillAt int64 // where in spill there is room
	nested  nested

	overlooked int // rules in comments that ask to overlook findings
}

// layer reads one stream or file to its end and emits what is in it.
func (p *parser) layer(ctx context.Context, src source, skip []string) error {
	p.ctx, p.skip, p.seen = ctx, skip, map[string]bool{}
	p.links, p.looked = map[string]string{}, map[string]bool{}
	p.marks, p.keptLen = p.marks[:0], 0
	p.dirs = folders{leave: func(c chain, n int64) { p.mark(newMark(c.asTree(), n, true)) }}
	p.content, p.nested = content{}, nested{}
	p.restart()
	stats, err := src.walk(ctx, p.lim, p.visit, func(f tarfs.Fault) {
		kind := bulwark.GapMalformed
		switch {
		case errors.Is(f.Err, limit.ErrExceeded):
			kind = bulwark.GapLimit
		case errors.Is(f.Err, errors.ErrUnsupported):
			kind = bulwark.GapUnsupported
		}
		p.gap(bulwark.Gap{Kind: kind, Path: f.Path, Detail: f.Detail, Hides: f.Ends || p.names(f.Path)})
	})
	p.dirs.close()
	p.flushMarks()
	p.flushFiles()
	for _, err := range p.faults() {
		p.gap(bulwark.Gap{Kind: bulwark.GapUnsupported, Detail: err.Error() + ": this program is damaged; install it again"})
	}
	p.summary()
	d := &done{Entries: stats.Entries, Content: p.content, Size: stats.Size, DiffID: stats.DiffID, Plain: stats.Whole && stats.Format == "tar"}
	if err != nil {
		d.Err = err.Error()
	}
	p.emit(&answer{Done: d})
	return err
}

// restart forgets what was counted for the last command.
func (p *parser) restart() {
	p.results, p.spent, p.gaps, p.hidden, p.hides = 0, 0, 0, 0, false
	p.files, p.path, p.hashed, p.hashes, p.lost, p.asked = p.files[:0], "", 0, 0, 0, 0
	p.raws, p.overlooked = 0, 0
}

// maxGaps is how many gaps of one layer are told one by one; the rest are
// counted. A layer can have as many faults as it has entries.
const maxGaps = 500

func (p *parser) gap(g bulwark.Gap) {
	if p.gaps++; p.gaps > maxGaps {
		p.hidden++
		p.hides = p.hides || g.Hides
		return
	}
	p.spent += p.emit(&answer{Gap: &g})
}

// summary tells how many gaps were not told.
func (p *parser) summary() {
	if p.hidden > 0 {
		p.emit(&answer{Gap: &bulwark.Gap{Kind: bulwark.GapLimit, Hides: p.hides, Detail: fmt.Sprintf("%d more faults of this layer are not listed", p.hidden)}})
	}
}

// room counts one result and tells whether it may still be emitted.
func (p *parser) room() bool {
	p.results++
	if p.results <= p.lim.Results && p.spent <= maxAnswers {
		return true
	}
	if p.results >= 0 {
		p.results = -1 << 40 // told once
		p.emit(&answer{Gap: &bulwark.Gap{Kind: bulwark.GapLimit, Hides: true, Detail: "more results in one layer than are taken: the rest is left out"}})
	}
	return false
}

// tell emits an answer that counts as a result, if there is room.
func (p *parser) tell(a *answer) bool {
	if p.results < 0 || !p.room() {
		return false
	}
	p.spent += p.emit(a)
	return true
}

func (p *parser) visit(e *tarfs.Entry, content io.Reader) error {
	switch e.Type {
	case tarfs.Whiteout:
		p.tell(&answer{Whiteouts: []string{e.Path}})
		return nil
	case tarfs.Opaque:
		p.tell(&answer{Opaques: []string{e.Path}})
		return nil
	}
	if e.Rest > 0 {
		if !p.walked {
			e.Rest = 0 // only a stream of our own is believed
		}
		e.Size += e.Rest
	}
	size := int64(0)
	if e.Type == tarfs.Regular {
		size = e.Size
	}
	c := p.dirs.of(e.Path, size)
	h := c.short()
	if e.Type == tarfs.Dir {
		h = c.asDir()
	}
	p.mark(newMark(h, size, false))
	if e.Type == tarfs.Regular {
		p.content[area(e.Path, e.Mode, size)] += size
	}
	if p.seen[e.Path] {
		p.emit(&answer{Again: e.Path})
		delete(p.seen, e.Path)
	}
	e.Path = p.through(e.Path)
	switch e.Type {
	case tarfs.Regular:
		return p.file(e, content)
	case tarfs.Symlink, tarfs.Hardlink, tarfs.Special:
		p.link(e)
		if wanted, needed := p.database(e.Path, bulwark.Stat{Size: 1, Mode: 0o644}); wanted {
			p.tell(&answer{Link: &keptLink{Path: e.Path, Target: target(e), Needed: needed}})
		}
	}
	return nil
}

// names tells whether packages may be hidden when an entry of this name is left
// out. The name may be one that no entry should have.
func (p *parser) names(name string) bool {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	return p.parsers.hides(name)
}

// maxLinks bounds the symbolic links that are remembered of one layer.
const maxLinks = 200_000

// link notes a link, and tells when packages may be hidden behind it.
func (p *parser) link(e *tarfs.Entry) {
	to := target(e)
	switch e.Type {
	case tarfs.Symlink:
		if len(p.links) < maxLinks {
			p.links[e.Path] = to
		}
		// A directory that databases are looked for in, somewhere else: unless they
		// are looked for there, too.
		for _, probe := range databaseProbes {
			if _, needed := p.database(path.Join(e.Path, probe), smallFile); !needed {
				continue
			}
			if _, also := p.database(path.Join(to, probe), smallFile); !also {
				p.gap(bulwark.Gap{Kind: bulwark.GapUnsupported, Path: e.Path, Hides: true, Detail: "the directory of a package database is a link to elsewhere, which is not followed"})
				return
			}
		}
	case tarfs.Hardlink:
		for _, x := range p.extractors {
			if x.Wants(e.Path, smallFile) && !p.looked[to] {
				p.gap(bulwark.Gap{Kind: bulwark.GapUnsupported, Path: e.Path, Hides: true, Detail: "a hard link to a file that was not looked into under its other name"})
				return
			}
		}
	}
}

var smallFile = bulwark.Stat{Size: 1, Mode: 0o644}

// databaseProbes are the files that package databases begin with, below the
// directories that lead to them.
var databaseProbes = []string{
	"status", "dpkg/status", "lib/dpkg/status", "var/lib/dpkg/status",
	"installed", "db/installed", "apk/db/installed", "lib/apk/db/installed",
	"rpmdb.sqlite", "rpm/rpmdb.sqlite", "lib/rpm/rpmdb.sqlite", "var/lib/rpm/rpmdb.sqlite",
	"sysimage/rpm/rpmdb.sqlite", "lib/sysimage/rpm/rpmdb.sqlite",
	"local/x-1-1/desc", "pacman/local/x-1-1/desc", "lib/pacman/local/x-1-1/desc", "var/lib/pacman/local/x-1-1/desc",
	"a/b-1/PF", "pkg/a/b-1/PF", "db/pkg/a/b-1/PF", "var/db/pkg/a/b-1/PF",
}

// through gives the path that an entry ends up at when it is unpacked after
// links of the same layer.
func (p *parser) through(name string) string {
	if len(p.links) == 0 {
		return name
	}
	for hops := 0; hops < 8; hops++ {
		again := false
		for at := strings.IndexByte(name, '/'); at > 0; {
			if to, ok := p.links[name[:at]]; ok {
				name, again = strings.TrimPrefix(path.Join("/", to, name[at:]), "/"), true
				break
			}
			next := strings.IndexByte(name[at+1:], '/')
			if next < 0 {
				break
			}
			at += 1 + next
		}
		if !again {
			break
		}
	}
	return name
}

// target gives the clean path that a link leads to; "" for what is no link.
func target(e *tarfs.Entry) string {
	switch {
	case e.Type == tarfs.Hardlink:
		return e.Link
	case e.Type != tarfs.Symlink:
		return ""
	case strings.HasPrefix(e.Link, "/"):
		return strings.TrimPrefix(path.Clean(e.Link), "/")
	}
	// Beyond the root a link leads back to it.
	return strings.TrimPrefix(path.Join("/", path.Dir(e.Path), e.Link), "/")
}

// database tells whether a package database wants the file, and whether packages
// stay hidden without it.
func (p *parser) database(path string, st bulwark.Stat) (wanted, needed bool) {
	for _, d := range p.databases {
		if d.Wants(path, st) {
			o, ok := d.(extract.Partial)
			wanted, needed = true, needed || !ok || !o.Optional(path)
		}
	}
	return wanted, needed
}

func (p *parser) file(e *tarfs.Entry, content io.Reader) error {
	st := bulwark.Stat{Size: e.Size, Mode: e.Mode}
	keep, needed := p.database(e.Path, st)
	keep = keep || len(p.databases) > 0 && extract.IsRelease(e.Path)
	p.wantE, p.wantC = p.wantE[:0], p.wantC[:0]
	for _, x := range p.extractors {
		if x.Wants(e.Path, st) {
			p.wantE = append(p.wantE, x)
		}
	}
	for _, c := range p.checks {
		if c.Wants(e.Path, st) {
			p.wantC = append(p.wantC, c)
		}
	}
	hides := needed || len(p.wantE) > 0
	archive := p.archives && isNested(e.Path)
	if !keep && !hides && len(p.wantC) == 0 && !archive {
		return nil
	}
	if slices.Contains(p.skip, e.Path) {
		p.gap(bulwark.Gap{Kind: bulwark.GapUnreadable, Path: e.Path, Hides: hides, Detail: "its parser died of it: the file was left out"})
		return nil
	}
	large := e.Size > p.lim.File || e.Rest > 0
	if large && !slices.ContainsFunc(p.wantE, isPrefixed) {
		p.tooLarge(e, hides)
		return nil
	}
	head := p.head[:min(e.Size-e.Rest, headSize)]
	if _, err := io.ReadFull(content, head); err != nil {
		return p.broken(e, hides, err)
	}
	p.wantE = slices.DeleteFunc(p.wantE, func(x extract.Extractor) bool {
		h, ok := x.(extract.Headed)
		return ok && !h.WantsHead(e.Path, head)
	})
	p.wantC = slices.DeleteFunc(p.wantC, func(c check.Check) bool {
		h, ok := c.(extract.Headed)
		return ok && !h.WantsHead(e.Path, head)
	})
	archive = archive && isPacked(head)
	if large {
		p.onlyPrefixed(e, needed)
		keep, archive = false, false
	}
	if !keep && len(p.wantE) == 0 && len(p.wantC) == 0 && !archive {
		return nil
	}
	n := e.Size
	if !keep && !archive && len(p.wantC) == 0 {
		n = p.prefix(e, head)
	}
	f, err := p.load(e, n, head, content)
	if err != nil {
		return p.broken(e, hides, err)
	}
	if len(p.wantE) > 0 {
		p.looked[e.Path] = true
	}
	p.at(e.Path)
	defer p.at("")
	if keep {
		p.keep(f)
	}
	for _, x := range p.wantE {
		p.guard(e.Path, x.Name(), true, func(ctx context.Context) error { return p.extract(ctx, x, f) })
	}
	for _, c := range p.wantC {
		p.guard(e.Path, c.Name(), false, func(ctx context.Context) error { return p.check(ctx, c, f) })
	}
	if n == e.Size {
		p.overlook(f)
	}
	if p.asks && slices.ContainsFunc(p.wantC, func(c check.Check) bool { return c.Name() == "malware" }) {
		p.at("") // it is the parent that takes the time
		p.ask(f)
	}
	if archive {
		p.at("")
		return p.inside(f)
	}
	return p.ctx.Err()
}

// keep stores a package database for the merge.
func (p *parser) keep(f *bulwark.File) {
	if p.keptLen += f.Size; p.keptLen > p.lim.Kept {
		p.gap(bulwark.Gap{Kind: bulwark.GapLimit, Path: f.Path, Hides: true, Detail: fmt.Sprintf("package databases of more than %d bytes in one layer", p.lim.Kept)})
		return
	}
	off := p.free.Add(f.Size) - f.Size
	if _, err := io.Copy(io.NewOffsetWriter(p.kept, off), f.Reader()); err != nil {
		p.gap(bulwark.Gap{Kind: bulwark.GapUnreadable, Path: f.Path, Hides: true, Detail: "no room to keep a package database: " + err.Error()})
		return
	}
	p.seen[f.Path] = true
	p.tell(&answer{Kept: &keptFile{Path: f.Path, Off: off, Size: f.Size}})
}

// guard runs one parser over one file: a panic or an error becomes a gap.
func (p *parser) guard(file, by string, hides bool, run func(context.Context) error) {
	ctx, cancel := context.WithTimeout(p.ctx, p.lim.Wall)
	defer cancel()
	err := safely(ctx, run)
	switch {
	case err == nil, p.ctx.Err() != nil:
	case errors.Is(err, context.DeadlineExceeded):
		p.gap(bulwark.Gap{Kind: bulwark.GapLimit, Path: file, Hides: hides, Detail: fmt.Sprintf("%s stopped after %s", by, p.lim.Wall)})
	case errors.Is(err, bulwark.ErrTooLarge), errors.Is(err, limit.ErrExceeded):
		p.gap(bulwark.Gap{Kind: bulwark.GapLimit, Path: file, Hides: hides, Detail: by + ": " + err.Error()})
	case errors.Is(err, bulwark.ErrUnsupported):
		p.gap(bulwark.Gap{Kind: bulwark.GapUnsupported, Path: file, Hides: hides, Detail: by + ": " + err.Error()})
	default:
		p.gap(bulwark.Gap{Kind: bulwark.GapMalformed, Path: file, Hides: hides, Detail: by + ": " + err.Error()})
	}
}

// safely turns a panic of a parser into an error that names the place.
func safely(ctx context.Context, run func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the parser gave up: %v", v)
		}
	}()
	return run(ctx)
}

func (p *parser) extract(ctx context.Context, x extract.Extractor, f *bulwark.File) error {
	var pkgs []bulwark.Package
	var err error
	if w, ok := x.(extract.Whole); ok {
		var inv bulwark.Inventory
		inv, err = w.Inventory(ctx, f)
		pkgs = inv.Packages
		if inv.OS != nil {
			p.emit(&answer{OS: inv.OS})
		}
		for _, g := range inv.Gaps {
			p.gap(g)
		}
		for i := range inv.Programs {
			if !p.tell(&answer{Program: &inv.Programs[i]}) {
				break
			}
		}
		for i := range inv.Functions {
			p.seen[f.Path] = true
			if !p.tell(&answer{Function: &inv.Functions[i]}) {
				break
			}
		}
	} else {
		pkgs, err = x.Extract(ctx, f)
		if l, ok := x.(extract.Lined); ok && err == nil {
			// What Extract could read was within its own bound.
			if data, rerr := f.Bytes(p.lim.File); rerr == nil {
				err = extract.Odd(data, l.Language())
			}
		}
	}
	for i := range pkgs {
		pkg := &pkgs[i]
		if len(pkg.Where) == 0 {
			pkg.Where = []bulwark.Location{{Path: f.Path}}
		}
		p.seen[f.Path] = true
		if !p.tell(&answer{Package: pkg}) {
			break
		}
	}
	return err
}

func (p *parser) check(ctx context.Context, c check.Check, f *bulwark.File) error {
	var found []bulwark.Finding
	var err error
	if h, ok := c.(check.Hasher); ok {
		found, err = h.Inspect(ctx, f, p.digest)
	} else {
		found, err = c.Check(ctx, f)
	}
	for i := range found {
		if !p.tell(&answer{Finding: &found[i]}) {
			break
		}
	}
	if p.reveals && len(found) > 0 {
		p.reveal(ctx, c, f)
	}
	return err
}

// merge answers a mergeCommand.
func (p *parser) merge(ctx context.Context, m *mergeCommand) error {
	p.ctx = ctx
	p.restart()
	fsys := newKeptFS(p.kept, m.Files)
	sys, gaps := extract.OS(fsys)
	if m.Last {
		for _, g := range gaps {
			p.gap(g)
		}
		if sys != nil {
			p.emit(&answer{OS: sys})
		}
	}
	var want map[string]string
	var asked func(string) bool
	if m.Last {
		want = make(map[string]string, len(m.Paths))
		for _, name := range m.Paths {
			want[name] = ""
		}
		asked = func(file string) bool { _, ok := want[file]; return ok }
	}
	for _, d := range p.databases {
		p.guard("", d.Name(), true, func(ctx context.Context) error {
			pkgs, gaps, err := d.Extract(ctx, fsys, sys, asked)
			if m.Last {
				for _, g := range gaps {
					p.gap(g)
				}
			}
			for i := range pkgs {
				pkg := &pkgs[i]
				for _, file := range pkg.Files {
					want[file] = pkg.Name + " " + pkg.Version
				}
				pkg.Files = nil
				if !p.tell(&answer{Package: pkg}) {
					break
				}
			}
			return err
		})
	}
	owners := map[string]string{}
	for file, owner := range want {
		if owner != "" {
			owners[file] = owner
		}
		if len(owners) == 1000 {
			p.emit(&answer{Owners: owners})
			owners = map[string]string{}
		}
	}
	if len(owners) > 0 {
		p.emit(&answer{Owners: owners})
	}
	p.summary()
	p.emit(&answer{Done: &done{}})
	return ctx.Err()
}
