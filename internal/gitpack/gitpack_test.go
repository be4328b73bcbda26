// SPDX-License-Identifier: Apache-2.0

package gitpack_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark/internal/gitpack"
	"github.com/bulwark-sec/bulwark/internal/limit"
	"github.com/bulwark-sec/bulwark/internal/tarfs"
)

// A pack is one that a test writes.
type pack struct {
	body bytes.Buffer
	n    uint32
}

// The types of objects in packs.
const (
	commitType = 1
	treeType   = 2
	blobType   = 3
	tagType    = 4
)

// add writes an object and gives its name.
func (p *pack) add(kind byte, content string) string {
	size := len(content)
	c := kind<<4 | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		p.body.WriteByte(c | 0x80)
		c = byte(size & 0x7f)
	}
	p.body.WriteByte(c)
	z := zlib.NewWriter(&p.body)
	io.WriteString(z, content)
	z.Close()
	p.n++
	sum := sha1.Sum([]byte(fmt.Sprintf("%s %d\x00%s", []string{"", "commit", "tree", "blob", "tag"}[kind], len(content), content)))
	return hex.EncodeToString(sum[:])
}

func (p *pack) bytes() []byte {
	var b bytes.Buffer
	b.WriteString("PACK")
	binary.Write(&b, binary.BigEndian, uint32(2))
	binary.Write(&b, binary.BigEndian, p.n)
	b.Write(p.body.Bytes())
	sum := sha1.Sum(b.Bytes())
	b.Write(sum[:])
	return b.Bytes()
}

// entry gives one entry of a tree.
func entry(mode, name, id string) string {
	b, _ := hex.DecodeString(id)
	return mode + " " + name + "\x00" + string(b)
}

func commitOf(tree string) string {
	return "tree " + tree + "\nauthor a <a@example.org> 0 +0000\ncommitter a <a@example.org> 0 +0000\n\nx\n"
}

// example gives a pack with some of everything, and its commit.
func example() ([]byte, string) {
	var p pack
	a, link := p.add(blobType, "hello"), p.add(blobType, "../../etc/passwd")
	sub := p.add(treeType, entry("100755", "run", a))
	root := p.add(treeType, entry("100644", "a", a)+entry("120000", "l", link)+entry("40000", "s", sub)+
		entry("160000", "module", a)+entry("100644", "..", a)+entry("40000", ".Git", sub)+entry("100644", "x/y", a)+entry("100644", "gone", strings.Repeat("11", 20)))
	return p.bytesWith(root)
}

func (p *pack) bytesWith(root string) ([]byte, string) {
	c := p.add(commitType, commitOf(root))
	return p.bytes(), c
}

func walk(ctx context.Context, b []byte, commit string, lim limit.Limits) (lines, faults []string, err error) {
	_, err = gitpack.Walk(commit)(ctx, bytes.NewReader(b), int64(len(b)), lim, func(e *tarfs.Entry, r io.Reader) error {
		line := fmt.Sprintf("%d %s %d", e.Type, e.Path, e.Size)
		if e.Link != "" {
			line += " -> " + e.Link
		}
		if r != nil {
			c, err := io.ReadAll(r)
			if err != nil {
				line += " " + err.Error()
			} else {
				line += " " + string(c[:min(len(c), 20)])
			}
		}
		lines = append(lines, line)
		return nil
	}, func(f tarfs.Fault) { faults = append(faults, f.Path+": "+f.Detail) })
	return lines, faults, err
}

func TestWalk(t *testing.T) {
	b, commit := example()
	lines, faults, err := walk(t.Context(), b, commit, limit.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"1 a 5 hello", "3 l 0 -> ../../etc/passwd", "2 s 0", "1 s/run 5 hello"}, lines); d != "" {
		t.Errorf("entries (-want +got):\n%s", d)
	}
	want := []string{
		"module: the entry was left out: a submodule, which is not fetched; scan it by its own address",
		"..: the entry was left out: no file of a repository may have its name",
		".Git: the entry was left out: no file of a repository may have its name",
		"x/y: the entry was left out: no file of a repository may have its name",
		"gone: the entry was left out: object not found",
	}
	if d := cmp.Diff(want, faults); d != "" {
		t.Errorf("faults (-want +got):\n%s", d)
	}
}

// TestTag shows that a tag leads to its commit.
func TestTag(t *testing.T) {
	var p pack
	a := p.add(blobType, "hello")
	c := p.add(commitType, commitOf(p.add(treeType, entry("100644", "a", a))))
	tag := p.add(tagType, "object "+c+"\ntype commit\ntag v1\n\nx\n")
	lines, _, err := walk(t.Context(), p.bytes(), tag, limit.Limits{})
	if d := cmp.Diff([]string{"1 a 5 hello"}, lines); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
}

func TestHostile(t *testing.T) {
	good, commit := example()
	many := bytes.Clone(good)
	binary.BigEndian.PutUint32(many[8:], 1<<31)
	// Trees that hold one tree ten times each: 10^12 files in a thousand bytes.
	var bomb pack
	id := bomb.add(blobType, "x")
	mode := "100644"
	for range 12 {
		tree := ""
		for i := range 10 {
			tree += entry(mode, fmt.Sprint(i), id)
		}
		id, mode = bomb.add(treeType, tree), "40000"
	}
	bombed, bombCommit := bomb.bytesWith(id)
	// A tree deeper than any.
	var deep pack
	id = deep.add(treeType, "")
	for range 400 {
		id = deep.add(treeType, entry("40000", "d", id))
	}
	deepest, deepCommit := deep.bytesWith(id)
	var cut pack
	malformed, cutCommit := cut.bytesWith(cut.add(treeType, "100644 name-without-end"))
	for _, tc := range []struct {
		name, commit string
		b            []byte
		lim          limit.Limits
		err, fault   string
	}{
		{"many-objects", commit, many, limit.Limits{}, "objects in", ""},
		{"no-commit", strings.Repeat("0", 40), good, limit.Limits{}, "not found", ""},
		{"no-hash", "main", good, limit.Limits{}, "not 40 hexadecimal digits", ""},
		{"empty", commit, nil, limit.Limits{}, "read pack", ""},
		{"bomb", bombCommit, bombed, limit.Limits{Entries: 1000}, "", "reading stopped after 1000 entries"},
		{"deep", deepCommit, deepest, limit.Limits{}, "", "more than 256 directories deep"},
		{"malformed-tree", cutCommit, malformed, limit.Limits{}, "", "it is malformed"},
		{"bytes", commit, good, limit.Limits{Bytes: 600}, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, faults, err := walk(t.Context(), tc.b, tc.commit, tc.lim)
			if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			if !strings.Contains(strings.Join(faults, "\n"), tc.fault) {
				t.Errorf("faults %q, want %q", faults, tc.fault)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := walk(ctx, good, commit, limit.Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestTruncated(t *testing.T) {
	b, commit := example()
	for n := range b {
		// All but the checksum is there in one of them.
		if _, _, err := walk(t.Context(), b[:n], commit, limit.Limits{}); err == nil && n != len(b)-sha1.Size {
			t.Errorf("%d of %d bytes are a pack", n, len(b))
		}
		flipped := bytes.Clone(b)
		flipped[n] ^= 0x40
		safely(t, flipped, commit)
	}
}

// safely walks damaged bytes. The library may panic; the sandbox takes that for an
// error, and so does this.
func safely(t *testing.T, b []byte, commit string) {
	defer func() {
		if v := recover(); v != nil {
			t.Logf("the library gave up: %v", v)
		}
	}()
	walk(t.Context(), b, commit, limit.Limits{Entries: 1000, Bytes: 1 << 20})
}

func FuzzWalk(f *testing.F) {
	b, commit := example()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) { safely(t, b, commit) })
}
