// SPDX-License-Identifier: Apache-2.0

// Package extracttest is the acceptance kit of extractors and package
// databases. It knows what every one of them must bear: cut, flipped, empty,
// huge and random content, failing reads, a cancelled context and concurrent
// use. It does not know any format; whoever calls it brings good files, the
// seeds.
package extracttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/bulwark-sec/bulwark"
)

const (
	// Memory that one call may allocate in sum: so many bytes, a factor of its
	// input, and so many bytes for each package that it gives, since a file may
	// declare one in five bytes. A parser that believes a length field breaks it
	// at once.
	allocBase    = 64 << 20
	allocFactor  = 20
	allocPackage = 4 << 10
	// Time for one call. It is far above what is needed, because test machines
	// are shared, and far below what an endless loop takes.
	callTime = 20 * time.Second
	// Time for a call whose context is already done.
	cancelledTime = 5 * time.Second
	// Size of the huge inputs.
	huge = 16 << 20
	// Bytes that all flipped copies of one seed have together, at most.
	flipBudget = 32 << 20
)

// extractor is the part of extract.Extractor that the kit calls.
type extractor interface {
	Name() string
	Wants(path string, st bulwark.Stat) bool
	Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error)
}

// headed is extract.Headed.
type headed interface {
	WantsHead(path string, head []byte) bool
}

// database is the part of extract.Database that the kit calls.
type database interface {
	Name() string
	Wants(path string, st bulwark.Stat) bool
	Extract(ctx context.Context, fsys fs.FS, os *bulwark.OS, asked func(path string) bool) ([]bulwark.Package, []bulwark.Gap, error)
}

// fileMode is the mode of the kit's files: executable, since extractors of
// binaries may ask for it.
const fileMode fs.FileMode = 0o755

var errRead = errors.New("read fails on purpose")

// Extractor runs the kit over an extractor. Seeds are good files by path; e must
// want each, find at least one package in each, and may find anything or
// nothing in the damaged copies that the kit makes of them.
func Extractor(t *testing.T, e extractor, seeds map[string][]byte) {
	t.Helper()
	paths := sortedPaths(t, seeds)
	t.Run("name", func(t *testing.T) { stableName(t, e.Name) })
	t.Run("wants", func(t *testing.T) { wantsSeeds(t, e.Wants, seeds) })
	if h, ok := e.(headed); ok {
		t.Run("head", func(t *testing.T) {
			for _, p := range paths {
				if !h.WantsHead(p, seeds[p][:min(4096, len(seeds[p]))]) {
					t.Errorf("WantsHead(%q) refuses a seed", p)
				}
				for n := range min(64, len(seeds[p])) {
					h.WantsHead(p, seeds[p][:n])
				}
				h.WantsHead(p, nil)
			}
		})
	}
	run := func(ctx context.Context, f *bulwark.File) result {
		pkgs, err := e.Extract(ctx, f)
		return result{pkgs: pkgs, err: err}
	}
	for _, p := range paths {
		seed := seeds[p]
		t.Run("seed/"+p, func(t *testing.T) {
			data := slices.Clone(seed)
			first := run(t.Context(), bulwark.MemoryFile(p, fileMode, data))
			if first.err != nil || len(first.pkgs) == 0 {
				t.Fatalf("%d packages, error %v; a seed must be readable and hold a package", len(first.pkgs), first.err)
			}
			wellFormed(t, e.Name(), first.pkgs)
			second := run(t.Context(), bulwark.ReaderFile(p, fileMode, readerOnly{seed}, int64(len(seed))))
			sameResult(t, "a file that is not in memory", first, second)
			// Content is valid only during the call: a result that changes with
			// it has kept it.
			before := fmt.Sprintf("%#v", first.pkgs)
			for i := range data {
				data[i] ^= 0x55
			}
			if fmt.Sprintf("%#v", first.pkgs) != before {
				t.Error("packages share memory with the file")
			}
			concurrently(t, first, func() result { return run(t.Context(), bulwark.MemoryFile(p, fileMode, seed)) })
		})
		t.Run("damage/"+p, func(t *testing.T) {
			damaged(seed, func(what string, data []byte) {
				bounded(t, what, e.Name(), len(data), func() result {
					return run(t.Context(), bulwark.MemoryFile(p, fileMode, data))
				})
			})
		})
		t.Run("reads/"+p, func(t *testing.T) {
			r := bounded(t, "failing reader", e.Name(), len(seed), func() result {
				return run(t.Context(), bulwark.ReaderFile(p, fileMode, failing{}, int64(len(seed))))
			})
			if r.err == nil {
				t.Error("no error although every read failed")
			}
			for _, size := range []int64{int64(len(seed)) + 1, 2 * int64(len(seed)), 16 << 20} {
				bounded(t, "file shorter than its size", e.Name(), int(size), func() result {
					return run(t.Context(), bulwark.ReaderFile(p, fileMode, readerOnly{seed}, size))
				})
			}
		})
		t.Run("cancel/"+p, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			for _, data := range [][]byte{seed, repeated(seed)} {
				promptly(t, func() { run(ctx, bulwark.MemoryFile(p, fileMode, data)) })
			}
		})
	}
}

// all asks for every path.
func all(string) bool { return true }

// Database runs the kit over a package database. Seeds are the files of one good
// database by path, all of which d must want; it must find at least one package
// and no gap in them. The kit damages one file at a time. System is handed to
// d and may be nil.
func Database(t *testing.T, d database, system *bulwark.OS, seeds map[string][]byte) {
	t.Helper()
	paths := sortedPaths(t, seeds)
	t.Run("name", func(t *testing.T) { stableName(t, d.Name) })
	t.Run("wants", func(t *testing.T) { wantsSeeds(t, d.Wants, seeds) })
	run := func(ctx context.Context, fsys fs.FS) result {
		pkgs, gaps, err := d.Extract(ctx, fsys, system, all)
		return result{pkgs: pkgs, gaps: gaps, err: err}
	}
	t.Run("nothing", func(t *testing.T) {
		r := run(t.Context(), fstest.MapFS{})
		if len(r.pkgs) > 0 || len(r.gaps) > 0 || r.err != nil {
			t.Errorf("without a database: %v, %v, %v; want nothing", r.pkgs, r.gaps, r.err)
		}
	})
	t.Run("seed", func(t *testing.T) {
		first := run(t.Context(), files(seeds))
		if first.err != nil || len(first.gaps) > 0 || len(first.pkgs) == 0 {
			t.Fatalf("%d packages, gaps %v, error %v; seeds must be readable and hold a package", len(first.pkgs), first.gaps, first.err)
		}
		wellFormed(t, d.Name(), first.pkgs)
		for _, p := range first.pkgs {
			for _, f := range p.Files {
				if !fs.ValidPath(f) {
					t.Fatalf("%s owns %q, which is not a relative clean path", p.Name, f)
				}
			}
		}
		concurrently(t, first, func() result { return run(t.Context(), files(seeds)) })
		var other *bulwark.OS // a database must bear that no system was recognised
		if pkgs, _, err := d.Extract(t.Context(), files(seeds), other, nil); err != nil || len(pkgs) != len(first.pkgs) {
			t.Errorf("without a distribution: %d packages, error %v; want %d", len(pkgs), err, len(first.pkgs))
		}
	})
	for _, p := range paths {
		seed := seeds[p]
		size := 0
		for other, b := range seeds {
			if other != p {
				size += len(b)
			}
		}
		with := func(data []byte) fstest.MapFS {
			fsys := files(seeds)
			fsys[p] = &fstest.MapFile{Data: data, Mode: fileMode}
			return fsys
		}
		t.Run("damage/"+p, func(t *testing.T) {
			damaged(seed, func(what string, data []byte) {
				fsys := with(data)
				bounded(t, what, d.Name(), size+len(data), func() result { return run(t.Context(), fsys) })
			})
			bounded(t, "missing", d.Name(), size, func() result {
				fsys := with(nil)
				delete(fsys, p)
				return run(t.Context(), fsys)
			})
		})
		t.Run("reads/"+p, func(t *testing.T) {
			r := bounded(t, "failing reader", d.Name(), size+len(seed), func() result {
				return run(t.Context(), failingFS{FS: files(seeds), bad: p})
			})
			if r.err == nil && len(r.gaps) == 0 {
				t.Error("neither error nor gap although every read failed")
			}
		})
		t.Run("cancel/"+p, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			fsys := with(repeated(seed))
			promptly(t, func() { run(ctx, fsys) })
		})
	}
}

type result struct {
	pkgs []bulwark.Package
	gaps []bulwark.Gap
	err  error
}

func sortedPaths(t *testing.T, seeds map[string][]byte) []string {
	t.Helper()
	if len(seeds) == 0 {
		t.Fatal("the kit needs a seed")
	}
	var paths []string
	for p := range seeds {
		if !fs.ValidPath(p) {
			t.Fatalf("seed path %q is not relative and clean", p)
		}
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}

func files(seeds map[string][]byte) fstest.MapFS {
	fsys := fstest.MapFS{}
	for p, b := range seeds {
		fsys[p] = &fstest.MapFile{Data: b, Mode: fileMode}
	}
	return fsys
}

func stableName(t *testing.T, name func() string) {
	t.Helper()
	n := name()
	if !regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`).MatchString(n) {
		t.Errorf("Name() = %q; want a short lower-case word", n)
	}
	if again := name(); again != n {
		t.Errorf("Name() changed from %q to %q", n, again)
	}
}

func wantsSeeds(t *testing.T, wants func(string, bulwark.Stat) bool, seeds map[string][]byte) {
	t.Helper()
	paths := []string{
		"", "a", "/", ".", "..", "usr/bin/bash", "usr/lib/x86_64-linux-gnu/libc.so.6", "a/b/c/d/e/f/g.txt",
		strings.Repeat("deep/", 1000) + "file", strings.Repeat("x", 4096), "caf\u00e9/\xff\xfe", "ends/in/slash/",
	}
	for p, b := range seeds {
		if !wants(p, bulwark.Stat{Size: int64(len(b)), Mode: fileMode}) {
			t.Errorf("Wants(%q) refuses a seed", p)
		}
		paths = append(paths, p, p+"/", p+"x", "x"+p)
	}
	for _, st := range []bulwark.Stat{{}, {Size: 100, Mode: 0o644}, {Size: 1 << 40, Mode: fileMode}, {Size: -1}} {
		n := testing.AllocsPerRun(10, func() {
			for _, p := range paths {
				wants(p, st)
			}
		})
		if n != 0 {
			t.Errorf("Wants allocates %v times over %d paths; it is asked of every file", n, len(paths))
			return
		}
	}
}

// wellFormed checks what must hold of every package, also of those that come
// from damaged files.
func wellFormed(t *testing.T, by string, pkgs []bulwark.Package) {
	t.Helper()
	for i := range pkgs {
		p := &pkgs[i]
		switch {
		case p.Name == "":
			t.Errorf("package %d has no name: %+v", i, *p)
		case p.By != by:
			t.Errorf("package %q is By %q, want %q", p.Name, p.By, by)
		case !strings.HasPrefix(p.PURL, "pkg:"):
			t.Errorf("package %q has PURL %q", p.Name, p.PURL)
		case len(p.Where) == 0 || p.Where[0].Path == "":
			t.Errorf("package %q was seen nowhere", p.Name)
		default:
			continue
		}
		return // one is enough
	}
}

func sameResult(t *testing.T, when string, want, got result) {
	t.Helper()
	if !reflect.DeepEqual(want.pkgs, got.pkgs) || !reflect.DeepEqual(want.gaps, got.gaps) || (want.err == nil) != (got.err == nil) {
		t.Errorf("%s: result differs: %d packages, %d gaps, error %v; first %d, %d, %v",
			when, len(got.pkgs), len(got.gaps), got.err, len(want.pkgs), len(want.gaps), want.err)
	}
}

func concurrently(t *testing.T, want result, run func() result) {
	t.Helper()
	var (
		wg  sync.WaitGroup
		got [4]result
	)
	for i := range got {
		wg.Go(func() { got[i] = run() })
	}
	wg.Wait()
	for i := range got {
		sameResult(t, "run concurrently", want, got[i])
	}
}

// bounded runs one call and checks its time, its memory and its packages.
func bounded(t *testing.T, what, by string, size int, run func() result) result {
	t.Helper()
	defer func() {
		if v := recover(); v != nil {
			buf := make([]byte, 4096)
			t.Fatalf("%s: panic: %v\n%s", what, v, buf[:runtime.Stack(buf, false)])
		}
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	r := run()
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	if n, most := after.TotalAlloc-before.TotalAlloc, uint64(allocBase+allocFactor*size+allocPackage*len(r.pkgs)); n > most {
		t.Errorf("%s: allocated %d bytes for %d bytes of input, limit %d", what, n, size, most)
	}
	if took > callTime {
		t.Errorf("%s: took %v, limit %v", what, took, callTime)
	}
	if len(r.pkgs) > size {
		t.Errorf("%s: %d packages in %d bytes", what, len(r.pkgs), size)
	}
	wellFormed(t, by, r.pkgs)
	return r
}

func promptly(t *testing.T, run func()) {
	t.Helper()
	start := time.Now()
	run()
	if took := time.Since(start); took > cancelledTime {
		t.Errorf("with a cancelled context: took %v, limit %v", took, cancelledTime)
	}
}

// damaged calls try with one broken copy of seed after another. The copy is
// valid during the call.
func damaged(seed []byte, try func(what string, data []byte)) {
	try("empty", []byte{})
	for k := 1; k <= len(seed)+1; k *= 2 {
		for _, n := range []int{k - 1, k, k + 1} {
			if n > 0 && n < len(seed) {
				try(fmt.Sprintf("cut to %d bytes", n), slices.Clone(seed[:n]))
			}
		}
	}
	if n := len(seed); n > 1 {
		try("without its last byte", slices.Clone(seed[:n-1]))
		try("without its first byte", slices.Clone(seed[1:]))
		try("second half", slices.Clone(seed[n/2:]))
	}

	// The head of a file holds its lengths and offsets more often than the
	// rest does: every byte of it is flipped, of the rest a sample.
	data := slices.Clone(seed)
	samples := min(256, max(16, flipBudget/max(1, 3*len(seed))))
	flip := func(i int) {
		for _, x := range []byte{data[i] ^ 0x01, data[i] ^ 0x80, ^data[i]} {
			old := data[i]
			data[i] = x
			try(fmt.Sprintf("byte %d is %#02x instead of %#02x", i, x, old), data)
			data[i] = old
		}
	}
	head := min(len(data), samples/2)
	for i := range head {
		flip(i)
	}
	rest := max(1, (len(data)-head)/max(1, samples-head))
	for i := head; i < len(data); i += rest {
		flip(i)
	}

	// Runs of equal bytes make huge numbers out of any field.
	for _, x := range []byte{0x00, 0xff, 0x7f} {
		for i := 0; i < len(seed); i += max(1, len(seed)/16) {
			end := min(len(seed), i+8)
			copy(data, seed)
			for j := i; j < end; j++ {
				data[j] = x
			}
			try(fmt.Sprintf("bytes %d to %d are %#02x", i, end, x), data)
		}
	}

	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	try("random bytes", noise)
	try("seed followed by random bytes", slices.Concat(seed, noise))
	try("seed header before random bytes", slices.Concat(seed[:min(len(seed), 64)], noise))
	zeros := make([]byte, huge)
	try("zeros", zeros)
	copy(zeros, seed[:min(len(seed), huge)])
	try("seed followed by zeros", zeros)
	try("seed repeated", repeated(seed))
}

// repeated gives seed again and again, up to 4 MiB.
func repeated(seed []byte) []byte {
	const most = 4 << 20
	if len(seed) == 0 || len(seed) >= most {
		return seed
	}
	var b []byte
	for len(b)+len(seed) <= most {
		b = append(b, seed...)
	}
	return b
}

// readerOnly reads from memory without telling that it is memory.
type readerOnly struct{ data []byte }

func (r readerOnly) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(r.data)) {
		return 0, io.EOF
	}
	n := copy(p, r.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

type failing struct{}

func (failing) ReadAt([]byte, int64) (int, error) { return 0, errRead }

// failingFS opens one file whose reads fail.
type failingFS struct {
	fs.FS
	bad string
}

func (f failingFS) Open(name string) (fs.File, error) {
	file, err := f.FS.Open(name)
	if err != nil || name != f.bad {
		return file, err
	}
	return failingFile{File: file}, nil
}

type failingFile struct {
	fs.File
	failing
}

func (failingFile) Read([]byte) (int, error) { return 0, errRead }
