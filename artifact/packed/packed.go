// SPDX-License-Identifier: Apache-2.0

// Package packed opens single files that hold a whole tree: the deployment
// packages of serverless functions with their layers, archives of
// directories, and disks of virtual machines. It hands the files on and reads nothing of them but their names
// and, to recognise functions, the directory of a zip archive.
package packed

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/zipfs"
)

// Where code and layers of a function lie while it runs, and where files are
// shown that lie in the folder of its package.
const (
	taskDir   = "var/task"
	layerDir  = "opt"
	besideDir = "(beside)"
)

const (
	maxLayers = 20 // AWS takes five
	// Names of a zip archive that are looked through to tell whether it is a
	// function's. Packages with all of node_modules have some tens of thousands.
	maxNames = 100_000
	maxNote  = 2 << 20 // bytes of one file beside a package
)

// notes are the files beside a package that may say something of it.
var notes = []string{
	"template.yaml", "template.yml", "template.json", "sam.yaml", "sam.yml", "packaged.yaml", "packaged.yml",
	"serverless.yml", "serverless.yaml",
}

// Dir opens a zip archive, or a tar archive that is compressed or not, as if it
// were the directory that was packed.
func Dir(_ context.Context, name string, o bulwark.OpenOptions) (*bulwark.Tree, error) {
	t := &opened{}
	b, err := t.open(name, "")
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t.tree(bulwark.KindDir, name, "archive", b), nil
}

// Function opens the package of a serverless function, a zip or tar archive, with
// the layers that o names and the templates that lie beside it.
func Function(_ context.Context, name string, o bulwark.OpenOptions) (*bulwark.Tree, error) {
	t := &opened{}
	at := ""
	if len(o.Layers) > 0 {
		at = taskDir
	}
	blobs, err := t.layers(o.Layers)
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	code, err := t.open(name, at)
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	beside, gaps, err := besides(filepath.Dir(name))
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	tree := t.tree(bulwark.KindFunction, name, "package", append(append(blobs, code), beside...)...)
	tree.Gaps = gaps
	return tree, nil
}

// Disk opens the disk of a virtual machine.
func Disk(_ context.Context, name string) (*bulwark.Tree, error) {
	f, info, err := regular(name)
	if err != nil {
		return nil, err
	}
	t := &opened{files: []*os.File{f}}
	return t.tree(bulwark.KindVM, name, "disk", bulwark.Blob{Layer: bulwark.Layer{Blob: info.Size()}, Whole: f, Form: bulwark.FormDisk}), nil
}

// WithLayers adds the layers that o names to the unpacked function in t. It takes
// t over.
func WithLayers(t *bulwark.Tree, o bulwark.OpenOptions) (*bulwark.Tree, error) {
	if len(o.Layers) == 0 {
		return t, nil
	}
	files := &opened{}
	blobs, err := files.layers(o.Layers)
	if err != nil {
		return nil, errors.Join(err, files.close(), t.Close())
	}
	for i := range t.Layers {
		t.Layers[i].At = taskDir
	}
	t.Layers = append(blobs, t.Layers...)
	end := t.Close
	t.Close = func() error { return errors.Join(end(), files.close()) }
	return t, nil
}

// IsFunction tells whether a file is a zip archive that is a function's package
// for sure: by files at its root that only functions have.
func IsFunction(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	host, bound := false, false
	for _, n := range zipfs.Names(f, info.Size(), maxNames) {
		switch n {
		case "bootstrap", "lambda_function.py", "lambda_function.rb":
			return true
		case "host.json":
			host = true
		}
		if dir, base := path.Split(n); base == "function.json" && strings.Count(dir, "/") == 1 {
			bound = true
		}
	}
	return host && bound
}

// opened are the files of one tree.
type opened struct{ files []*os.File }

func (t *opened) close() error {
	var err error
	for _, f := range t.files {
		err = errors.Join(err, f.Close())
	}
	t.files = nil
	return err
}

func (t *opened) tree(kind bulwark.Kind, name, source string, blobs ...bulwark.Blob) *bulwark.Tree {
	return &bulwark.Tree{
		Artifact: bulwark.Artifact{Kind: kind, Name: name, Source: source},
		Layers:   blobs,
		Close:    t.close,
	}
}

func (t *opened) layers(names []string) ([]bulwark.Blob, error) {
	if len(names) > maxLayers {
		return nil, fmt.Errorf("%d layers, at most %d: %w", len(names), maxLayers, bulwark.ErrUsage)
	}
	var out []bulwark.Blob
	for _, name := range names {
		b, err := t.open(name, layerDir)
		if err != nil {
			return nil, fmt.Errorf("layer: %w", err)
		}
		out = append(out, b)
	}
	return out, nil
}

// open gives the blob of one archive: a file that is read at random when it is a
// zip, a stream when it is none.
func (t *opened) open(name, at string) (b bulwark.Blob, err error) {
	f, info, err := regular(name)
	if err != nil {
		return b, err
	}
	t.files = append(t.files, f)
	var head [4]byte
	if _, err := f.ReadAt(head[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return b, fmt.Errorf("open %q: %w", name, cause(err))
	}
	b.At, b.Blob = at, info.Size()
	if string(head[:2]) == "PK" {
		b.Whole, b.Form = f, bulwark.FormZip
		return b, nil
	}
	b.Open = func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(f, 0, info.Size())), nil
	}
	return b, nil
}

func regular(name string) (*os.File, fs.FileInfo, error) {
	// A pipe would wait for somebody to write.
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, &bulwark.Hint{Err: fmt.Errorf("open %q: %w", name, bulwark.ErrNotFound), Next: "check the path"}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open %q: %w", name, cause(err))
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("open %q: not a regular file: %w", name, bulwark.ErrUnsupported)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, fmt.Errorf("open %q: %w", name, cause(err))
	}
	if info, err = f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, nil, errors.Join(fmt.Errorf("open %q: not a regular file: %w", name, bulwark.ErrUnsupported), err, f.Close())
	}
	return f, info, nil
}

// besides gives the templates in a folder as one small stream.
func besides(dir string) ([]bulwark.Blob, []bulwark.Gap, error) {
	var buf bytes.Buffer
	var gaps []bulwark.Gap
	tw := tar.NewWriter(&buf)
	n := 0
	for _, note := range notes {
		f, info, err := regular(filepath.Join(dir, note))
		if errors.Is(err, bulwark.ErrNotFound) {
			continue
		}
		gap := func(detail string) {
			gaps = append(gaps, bulwark.Gap{Kind: bulwark.GapUnreadable, Path: besideDir + "/" + note, Detail: detail})
		}
		if err != nil {
			gap(cause(err).Error())
			continue
		}
		if info.Size() > maxNote {
			gap(fmt.Sprintf("a template of %d bytes; at most %d are read", info.Size(), maxNote))
			f.Close()
			continue
		}
		b, err := io.ReadAll(io.LimitReader(f, maxNote))
		f.Close()
		if err != nil {
			gap(cause(err).Error())
			continue
		}
		if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: note, Size: int64(len(b)), Mode: 0o644}); err != nil {
			return nil, nil, err
		}
		if _, err := tw.Write(b); err != nil {
			return nil, nil, err
		}
		n++
	}
	if n == 0 {
		return nil, gaps, nil
	}
	if err := tw.Close(); err != nil {
		return nil, nil, err
	}
	return []bulwark.Blob{{At: besideDir, Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(buf.Bytes())), nil
	}}}, gaps, nil
}

// cause gives what the system said, without the operation and the path.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
