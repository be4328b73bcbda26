// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check"
	"github.com/bulwark-sec/bulwark/extract"
	"github.com/bulwark-sec/bulwark/internal/limit"
	"github.com/bulwark-sec/bulwark/internal/tarfs"
	"github.com/bulwark-sec/bulwark/internal/zipfs"
)

// Bounds on the archives in one layer, together: an archive in an archive
// multiplies what it costs with each floor.
const (
	maxNested        = 5       // floors
	maxNestedBytes   = 4 << 30 // bytes that are unpacked
	maxNestedEntries = 500_000
)

// nested is what reading archives in archives has cost in this layer.
type nested struct {
	depth   int
	bytes   int64
	entries int
	buffers [maxNested + 1][]byte // of each floor
}

// isNested tells whether a file is called as archives are. Those of Java have
// readers of their own, which know what is shaded.
func isNested(name string) bool {
	base := name[strings.LastIndexByte(name, '/')+1:]
	dot := strings.LastIndexByte(base, '.')
	if dot < 0 {
		return false
	}
	switch base[dot:] {
	case ".zip", ".tar", ".tgz", ".tbz2", ".tzst", ".whl", ".egg", ".nupkg", ".vsix", ".crate":
		return true
	case ".gz", ".bz2", ".zst":
		return strings.HasSuffix(base[:dot], ".tar")
	}
	return false
}

// isPacked tells whether a file begins as an archive, or a stream that may hold
// one, that is read here.
func isPacked(head []byte) bool {
	for _, magic := range [...]string{"PK\x03\x04", "PK\x05\x06", "\x1f\x8b", "\x28\xb5\x2f\xfd", "BZh"} {
		if strings.HasPrefix(string(head[:min(len(head), 4)]), magic) {
			return true
		}
	}
	return len(head) >= 262 && string(head[257:262]) == "ustar"
}

// inside shows the parsers what lies in an archive, under the archive's path and
// "!/".
func (p *parser) inside(f *bulwark.File) error {
	n := &p.nested
	if n.depth == maxNested {
		p.gap(bulwark.Gap{Kind: bulwark.GapLimit, Path: f.Path, Hides: true, Detail: fmt.Sprintf("an archive more than %d archives deep is not looked into", maxNested)})
		return nil
	}
	lim := p.lim
	lim.Bytes = min(lim.Bytes, maxNestedBytes) - n.bytes
	lim.Entries = min(lim.Entries, maxNestedEntries) - n.entries
	if lim.Bytes <= 0 || lim.Entries <= 0 {
		p.gap(bulwark.Gap{Kind: bulwark.GapLimit, Path: f.Path, Hides: true, Detail: "the archives of this layer hold more than is unpacked: this one is not looked into"})
		return nil
	}
	// What this floor holds while the next one is read.
	buf, spillAt, databases, checks := p.buf, p.spillAt, p.databases, p.checks
	n.depth++
	p.buf, p.databases = n.buffers[n.depth], nil
	p.spillAt += f.Size
	// The check for malware looks into archives itself.
	p.checks = slices.DeleteFunc(slices.Clone(checks), func(c check.Check) bool { return c.Name() == "malware" })
	root := false
	visit := func(e *tarfs.Entry, content io.Reader) error {
		if e.Type != tarfs.Regular {
			return nil
		}
		if !root && slices.ContainsFunc(databases, func(d extract.Database) bool {
			return d.Wants(e.Path, bulwark.Stat{Size: e.Size, Mode: e.Mode})
		}) {
			root = true
			p.gap(bulwark.Gap{Kind: bulwark.GapUnsupported, Path: f.Path, Hides: true, Detail: "the package database of an operating system in an archive is not read; scan the archive by itself"})
		}
		e.Path, e.Rest = f.Path+"!/"+e.Path, 0
		return p.file(e, content)
	}
	fault := func(t tarfs.Fault) {
		kind := bulwark.GapMalformed
		switch {
		case errors.Is(t.Err, limit.ErrExceeded):
			kind = bulwark.GapLimit
		case errors.Is(t.Err, errors.ErrUnsupported):
			kind = bulwark.GapUnsupported
		}
		path := f.Path
		if t.Path != "" {
			path += "!/" + t.Path
		}
		p.gap(bulwark.Gap{Kind: kind, Path: path, Detail: t.Detail, Hides: t.Ends || p.names(t.Path)})
	}
	var stats tarfs.Stats
	err := safely(p.ctx, func(ctx context.Context) (err error) {
		var head [2]byte
		if _, err := f.ReadAt(head[:], 0); err == nil && string(head[:]) == "PK" {
			w := walked{sum: unhashed{}, visit: visit}
			stats, err = zipfs.Walk(ctx, f, f.Size, lim, w.see, fault)
			stats.Size = w.read
			return err
		}
		stats, err = tarfs.Walk(ctx, f.Reader(), lim, visit, fault)
		return err
	})
	n.buffers[n.depth] = p.buf
	n.depth--
	n.bytes += stats.Size
	n.entries += stats.Entries
	p.buf, p.spillAt, p.databases, p.checks = buf, spillAt, databases, checks
	if p.ctx.Err() != nil {
		return p.ctx.Err()
	}
	if err != nil {
		p.gap(bulwark.Gap{Kind: bulwark.GapMalformed, Path: f.Path, Hides: true, Detail: "the archive was not read to its end: " + err.Error()})
	}
	return nil
}

// unhashed is a hash of what nobody asks for.
type unhashed struct{}

func (unhashed) Write(b []byte) (int, error) { return len(b), nil }
func (unhashed) Sum(b []byte) []byte         { return b }
func (unhashed) Reset()                      {}
func (unhashed) Size() int                   { return 0 }
func (unhashed) BlockSize() int              { return 1 }
