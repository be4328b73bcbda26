// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"time"
)

// keptFS shows kept files as a file system. Directories are made up from paths.
type keptFS struct {
	ra    io.ReaderAt
	files map[string]keptFile
	dirs  map[string][]string // names in each directory, sorted
}

func newKeptFS(ra io.ReaderAt, files []keptFile) *keptFS {
	k := &keptFS{ra: ra, files: make(map[string]keptFile, len(files)), dirs: map[string][]string{".": nil}}
	for _, f := range files {
		k.files[f.Path] = f
		for p := f.Path; p != "."; {
			dir := path.Dir(p)
			_, known := k.dirs[dir]
			k.dirs[dir] = append(k.dirs[dir], path.Base(p))
			if known {
				break
			}
			p = dir
		}
	}
	for dir, names := range k.dirs {
		slices.Sort(names)
		k.dirs[dir] = slices.Compact(names)
	}
	return k
}

// Open opens a kept file or a made-up directory.
func (k *keptFS) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if f, ok := k.files[name]; ok {
		return &openFile{SectionReader: io.NewSectionReader(k.ra, f.Off, f.Size), info: info{name: path.Base(name), size: f.Size}}, nil
	}
	if _, ok := k.dirs[name]; ok {
		return &openDir{k: k, name: name}, nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

type openFile struct {
	*io.SectionReader
	info info
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

type openDir struct {
	k    *keptFS
	name string
	off  int
}

func (d *openDir) Stat() (fs.FileInfo, error) {
	return info{name: path.Base(d.name), mode: fs.ModeDir | 0o555}, nil
}
func (d *openDir) Close() error { return nil }
func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: errors.New("is a directory")}
}

func (d *openDir) ReadDir(n int) (out []fs.DirEntry, err error) {
	names := d.k.dirs[d.name][d.off:]
	if n > 0 {
		if len(names) == 0 {
			return nil, io.EOF
		}
		names = names[:min(n, len(names))]
	}
	d.off += len(names)
	for _, name := range names {
		full := path.Join(d.name, name)
		if f, ok := d.k.files[full]; ok {
			out = append(out, fs.FileInfoToDirEntry(info{name: name, size: f.Size}))
		} else {
			out = append(out, fs.FileInfoToDirEntry(info{name: name, mode: fs.ModeDir | 0o555}))
		}
	}
	return out, nil
}

type info struct {
	name string
	size int64
	mode fs.FileMode
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode | 0o444 }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }
