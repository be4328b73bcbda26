// SPDX-License-Identifier: Apache-2.0

// Command layouts makes OCI layouts of chosen sizes from an unpacked root file
// system: a part of it, chosen by path so that every kind of file keeps its
// share, or the whole and copies of it below dir-1/, dir-2/ and so on. Nothing
// is executed and nothing is kept in memory; a layer goes from the root through
// tar and gzip to the disk.
package main

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

// layers is how many layers each layout has, whatever its size: only one thing
// is to differ between the layouts.
const layers = 5

func main() {
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: layouts ROOT OUTPUT GIGABYTES...") }
	flag.Parse()
	if flag.NArg() < 3 {
		flag.Usage()
		os.Exit(64)
	}
	for _, s := range flag.Args()[2:] {
		gb, err := strconv.ParseFloat(s, 64)
		if err == nil && (gb <= 0 || gb > 100) {
			err = errors.New("not between 0 and 100")
		}
		if err == nil {
			err = produce(flag.Arg(0), filepath.Join(flag.Arg(1), s+".oci"), int64(gb*1e9))
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "layouts: %q: %v\n", s, err)
			os.Exit(1)
		}
	}
}

// A file is one entry of the root.
type file struct {
	name string // relative, with slashes
	info fs.FileInfo
}

// needed are the files without which a root is not seen as a distribution's.
func needed(name string) bool {
	return strings.HasPrefix(name, "etc/") || strings.HasPrefix(name, "usr/lib/os-release") || strings.HasPrefix(name, "var/lib/dpkg/status")
}

// list walks the root. It leaves out what a tar of an image cannot hold or what
// is of no weight: sockets, devices.
func list(root string) (files []file, total int64, err error) {
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, p)
		if err != nil || name == "." {
			return err
		}
		if m := info.Mode(); m.IsRegular() || m.IsDir() || m&fs.ModeSymlink != 0 {
			files = append(files, file{filepath.ToSlash(name), info})
			total += blocks(info)
		}
		return nil
	})
	return files, total, err
}

// blocks is what an entry takes in a tar, bytes.
func blocks(info fs.FileInfo) int64 {
	n := int64(512)
	if info.Mode().IsRegular() {
		n += (info.Size() + 511) &^ 511
	}
	return n
}

// produce makes one layout, unless it is there.
func produce(root, out string, size int64) error {
	if _, err := os.Stat(filepath.Join(out, "index.json")); err == nil {
		return nil
	}
	files, total, err := list(root)
	if err != nil {
		return err
	}
	if total == 0 {
		return fmt.Errorf("%q is empty", root)
	}
	tmp := out + ".part"
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	w := &writer{blobs: filepath.Join(tmp, "blobs", "sha256"), each: size / layers}
	if err := os.MkdirAll(w.blobs, 0o755); err != nil {
		return err
	}
	left := size
	for copied := 0; left > 0; copied++ {
		prefix := ""
		if copied > 0 {
			prefix = "dir-" + strconv.Itoa(copied) + "/"
		}
		// The share of files that fits; all of them, but in the last copy.
		share := min(1, float64(left)/float64(total))
		for _, f := range files {
			if share < 1 && !f.info.IsDir() && !needed(f.name) && at(prefix+f.name) > share {
				continue
			}
			if err := w.add(filepath.Join(root, filepath.FromSlash(f.name)), prefix+f.name, f.info); err != nil {
				return fmt.Errorf("add %q: %w", f.name, err)
			}
		}
		left -= total
	}
	if err := w.end(); err != nil {
		return err
	}
	if err := w.index(tmp); err != nil {
		return err
	}
	return os.Rename(tmp, out)
}

// at gives a path its place between 0 and 1, the same in every run.
func at(name string) float64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, name)
	// The low digits of FNV are spread better than the high ones.
	return float64(h.Sum64()%10007) / 10007
}

// A writer writes the layers of one layout.
type writer struct {
	blobs string
	each  int64 // uncompressed size at which the next layer begins
	open  *layer
	done  []descriptor
	diffs []string
}

type layer struct {
	file    *os.File
	buf     *bufio.Writer
	zip     *gzip.Writer
	tar     *tar.Writer
	blob    hash.Hash // of what is stored
	diff    hash.Hash // of what is in it
	written int64
}

type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

func (w *writer) add(path, name string, info fs.FileInfo) error {
	if w.open == nil {
		f, err := os.Create(filepath.Join(w.blobs, "open"))
		if err != nil {
			return err
		}
		l := &layer{file: f, blob: sha256.New(), diff: sha256.New()}
		l.buf = bufio.NewWriterSize(io.MultiWriter(f, l.blob), 1<<20)
		if l.zip, err = gzip.NewWriterLevel(l.buf, gzip.BestSpeed); err != nil {
			return errors.Join(err, f.Close())
		}
		l.tar = tar.NewWriter(io.MultiWriter(l.zip, l.diff))
		w.open = l
	}
	link := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		var err error
		if link, err = os.Readlink(path); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	// Names of users on this machine have no place in an image.
	h.Name, h.Uname, h.Gname, h.ModTime = name, "", "", time.Unix(info.ModTime().Unix(), 0)
	if info.IsDir() {
		h.Name += "/"
	}
	if err := w.open.tar.WriteHeader(h); err != nil {
		return err
	}
	if info.Mode().IsRegular() {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		_, err = io.Copy(w.open.tar, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	if w.open.written += blocks(info); w.open.written >= w.each && len(w.done) < layers-1 {
		return w.end()
	}
	return nil
}

// end closes the layer and names it by its digest.
func (w *writer) end() error {
	l := w.open
	if l == nil {
		return nil
	}
	w.open = nil
	if err := errors.Join(l.tar.Close(), l.zip.Close(), l.buf.Flush()); err != nil {
		return errors.Join(err, l.file.Close())
	}
	info, err := l.file.Stat()
	if err := errors.Join(err, l.file.Close()); err != nil {
		return err
	}
	sum := hex.EncodeToString(l.blob.Sum(nil))
	w.done = append(w.done, descriptor{"application/vnd.oci.image.layer.v1.tar+gzip", "sha256:" + sum, info.Size()})
	w.diffs = append(w.diffs, "sha256:"+hex.EncodeToString(l.diff.Sum(nil)))
	return os.Rename(l.file.Name(), filepath.Join(w.blobs, sum))
}

// put stores a document as a blob.
func (w *writer) put(mediaType string, v any) (descriptor, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return descriptor{}, err
	}
	sum := sha256.Sum256(b)
	name := hex.EncodeToString(sum[:])
	return descriptor{mediaType, "sha256:" + name, int64(len(b))}, os.WriteFile(filepath.Join(w.blobs, name), b, 0o644)
}

// index writes what leads to the layers. The index comes last: a layout that has
// it is whole.
func (w *writer) index(dir string) error {
	type object = map[string]any
	config, err := w.put("application/vnd.oci.image.config.v1+json", object{
		"architecture": "amd64", "os": "linux", "config": object{"Cmd": []string{"/bin/sh"}},
		"rootfs": object{"type": "layers", "diff_ids": w.diffs},
	})
	if err != nil {
		return err
	}
	const manifest = "application/vnd.oci.image.manifest.v1+json"
	m, err := w.put(manifest, object{"schemaVersion": 2, "mediaType": manifest, "config": config, "layers": w.done})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644); err != nil {
		return err
	}
	b, err := json.Marshal(object{"schemaVersion": 2, "manifests": []descriptor{m}})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "index.json"), b, 0o644)
}
