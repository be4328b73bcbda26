// SPDX-License-Identifier: Apache-2.0

package gitlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

// Files are the files of git's folder that [Trace] reads. Who opens them reads
// nothing of them, so that this may be done elsewhere than where they are parsed.
type Files struct {
	Packs   []*os.File // the index of a pack and the pack, in turn
	Shallow *os.File   // where a shallow clone ends; nil in others
	// Loose opens an object that has a file of its own, by its name in hexadecimal
	// digits. Without one it is fs.ErrNotExist.
	Loose func(id string) (io.ReadCloser, error)
}

// Open opens the files of git's folder, or of the one that work trees share. It
// follows no alternates and no link that leads out, and opens regular files only.
// Loose needs git for as long as it is called; Close closes the rest.
func Open(git *os.Root) (Files, error) {
	f := Files{Loose: func(id string) (io.ReadCloser, error) {
		if (len(id) != 40 && len(id) != 64) || strings.Trim(id, "0123456789abcdef") != "" {
			return nil, fmt.Errorf("object %.80q: %w", id, ErrDamaged)
		}
		return regular(git, "objects/"+id[:2]+"/"+id[2:])
	}}
	if shallow, err := regular(git, "shallow"); err == nil {
		f.Shallow = shallow
	}
	names, err := indexes(git)
	if err != nil {
		f.Close()
		return Files{}, fmt.Errorf("open git's objects: %w", err)
	}
	for _, base := range names {
		index, err := regular(git, base+".idx")
		var data *os.File
		if err == nil {
			if data, err = regular(git, base+".pack"); err != nil {
				index.Close()
			}
		}
		switch {
		case err == nil:
			f.Packs = append(f.Packs, index, data)
		case errors.Is(err, syscall.EMFILE):
			f.leave(len(f.Packs) - spare)
			return f, nil
		}
		// The objects of a pack that is left out are missing, and that is told where one
		// is asked for.
	}
	return f, nil
}

// spare is how many files are closed again when no more can be opened: whoever
// reads the rest needs some. It is even, as packs have two.
const spare = 48

// leave closes all but the first n files of packs.
func (f *Files) leave(n int) {
	n = max(0, n)
	for _, p := range f.Packs[n:] {
		p.Close()
	}
	f.Packs = f.Packs[:n]
}

// Close closes what Open opened.
func (f Files) Close() {
	f.leave(0)
	if f.Shallow != nil {
		f.Shallow.Close()
	}
}

// indexes lists the packs that have an index, in order and without endings.
func indexes(git *os.Root) ([]string, error) {
	dir, err := git.Open("objects/pack")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(4 * maxPacks)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	slices.Sort(names)
	var out []string
	for _, name := range names {
		if base, ok := strings.CutSuffix(name, ".idx"); ok && len(out) < maxPacks {
			out = append(out, path.Join("objects/pack", base))
		}
	}
	return out, nil
}

// regular opens a regular file and does not wait for the other end of a pipe.
func regular(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%q: not a regular file", name)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
