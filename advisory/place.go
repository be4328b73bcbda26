// SPDX-License-Identifier: Apache-2.0

package advisory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory/bundle"
)

// A Place holds a published database: blobs that never change, named by their
// digest, and an index, which does. It is safe for concurrent use.
type Place interface {
	// Index gives the index; it is bulwark.ErrNotFound when there is none.
	Index(ctx context.Context) ([]byte, error)
	// Open gives a blob of size bytes from byte off on, or from an earlier one: at
	// says from which. The bytes are not checked. The caller closes the reader.
	Open(ctx context.Context, d bulwark.Digest, size, off int64) (body io.ReadCloser, at int64, err error)
}

// A Target is a Place that can be written to.
type Target interface {
	Place
	// Has tells whether a blob is there.
	Has(ctx context.Context, d bulwark.Digest, size int64) (bool, error)
	// Put writes a blob. It may call open more than once.
	Put(ctx context.Context, d bulwark.Digest, size int64, open func() (io.ReadCloser, error)) error
	// Commit makes index the index, in one step. All blobs that it needs are
	// there; those that are neither in blobs nor in the index before may go.
	Commit(ctx context.Context, index []byte, blobs map[bulwark.Digest]int64) error
}

// Registry is the scheme of addresses that an opener of registries is handed.
const Registry = "oci://"

// indexName and blobFolder are where a folder or a web server has things.
const (
	indexName  = "bulwark-db.json"
	blobFolder = "blobs"
)

// An Opener opens what stands behind "oci://" in an address.
type Opener func(ctx context.Context, ref string) (Target, error)

// openPlace opens the place behind an address: oci://, https:// or a folder.
func openPlace(ctx context.Context, address string, client *http.Client, registry Opener) (Place, error) {
	if ref, ok := strings.CutPrefix(address, Registry); ok {
		return openRegistry(ctx, ref, registry)
	}
	if strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://") {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("address %q: %w", address, bulwark.ErrUsage)
		}
		return &web{client, u}, nil
	}
	return openFolder(address)
}

// openTarget opens the place behind an address to publish to.
func openTarget(ctx context.Context, address string, registry Opener) (Target, error) {
	if ref, ok := strings.CutPrefix(address, Registry); ok {
		return openRegistry(ctx, ref, registry)
	}
	if strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://") {
		return nil, &bulwark.Hint{
			Err:  fmt.Errorf("publish to %q: %w", address, bulwark.ErrUnsupported),
			Next: "publish to a folder and let the web server serve it, or to oci://REGISTRY/REPOSITORY:TAG",
		}
	}
	return openFolder(address)
}

func openRegistry(ctx context.Context, ref string, registry Opener) (Target, error) {
	if registry == nil {
		return nil, fmt.Errorf("registry %q: %w", ref, bulwark.ErrUnsupported)
	}
	return registry(ctx, ref)
}

func openFolder(address string) (*folder, error) {
	if scheme, rest, ok := strings.Cut(address, "://"); ok {
		if scheme != "file" {
			return nil, &bulwark.Hint{
				Err:  fmt.Errorf("address %q: %w", address, bulwark.ErrUsage),
				Next: "write oci://REGISTRY/REPOSITORY:TAG, https://HOST/PATH or a folder",
			}
		}
		address = filepath.FromSlash(rest)
	}
	if address == "" {
		return nil, fmt.Errorf("address %q: %w", address, bulwark.ErrUsage)
	}
	return &folder{address}, nil
}

// A web place is a folder behind a web server.
type web struct {
	client *http.Client
	base   *url.URL
}

func (w *web) get(ctx context.Context, off, size int64, elem ...string) (*http.Response, error) {
	address := w.base.JoinPath(elem...).String()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if size == 0 {
		req.Header.Set("Cache-Control", "no-cache") // the index changes behind proxies
	}
	if off > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(off, 10)+"-"+strconv.FormatInt(size-1, 10))
	}
	req.Header.Set("Accept-Encoding", "identity") // blobs are compressed, and ranges are of what is stored
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, err
	}
	switch {
	case resp.StatusCode == http.StatusOK, off > 0 && resp.StatusCode == http.StatusPartialContent:
		return resp, nil
	case off > 0 && resp.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		resp.Body.Close()
		return w.get(ctx, 0, size, elem...)
	}
	resp.Body.Close()
	err = fmt.Errorf("get %q: %s", address, resp.Status)
	if resp.StatusCode == http.StatusNotFound {
		err = fmt.Errorf("get %q: %w", address, bulwark.ErrNotFound)
	}
	return nil, err
}

func (w *web) Index(ctx context.Context) ([]byte, error) {
	resp, err := w.get(ctx, 0, 0, indexName)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return readIndex(resp.Body)
}

func readIndex(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, bundle.MaxIndex+1))
	if err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	if len(b) > bundle.MaxIndex {
		return nil, fmt.Errorf("index: limit of %d bytes: %w", bundle.MaxIndex, bulwark.ErrTooLarge)
	}
	return b, nil
}

func (w *web) Open(ctx context.Context, d bulwark.Digest, size, off int64) (io.ReadCloser, int64, error) {
	resp, err := w.get(ctx, off, size, blobFolder, blobName(d))
	if err != nil {
		return nil, 0, err
	}
	if resp.StatusCode != http.StatusPartialContent {
		return resp.Body, 0, nil
	}
	if !strings.HasPrefix(resp.Header.Get("Content-Range"), "bytes "+strconv.FormatInt(off, 10)+"-") {
		resp.Body.Close()
		return nil, 0, fmt.Errorf("blob %s: asked for bytes from %d on, got %.80q: %w", d.Short(), off, resp.Header.Get("Content-Range"), bulwark.ErrDigest)
	}
	return resp.Body, off, nil
}

func blobName(d bulwark.Digest) string { return "sha256-" + d.Hex() }

// A folder is a place on disk, in the layout that a web server serves:
//
//	bulwark-db.json   the index
//	blobs/sha256-…    what it names
type folder struct{ dir string }

func (f *folder) Index(context.Context) ([]byte, error) {
	file, err := os.Open(filepath.Join(f.dir, indexName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("database published in %q: %w", f.dir, bulwark.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readIndex(file)
}

func (f *folder) path(d bulwark.Digest) string { return filepath.Join(f.dir, blobFolder, blobName(d)) }

func (f *folder) Open(_ context.Context, d bulwark.Digest, _, off int64) (io.ReadCloser, int64, error) {
	file, err := os.Open(f.path(d))
	if errors.Is(err, os.ErrNotExist) {
		return nil, 0, fmt.Errorf("%q: %w", f.path(d), bulwark.ErrNotFound)
	}
	if err != nil {
		return nil, 0, err
	}
	if _, err := file.Seek(off, io.SeekStart); err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, off, nil
}

func (f *folder) Has(_ context.Context, d bulwark.Digest, size int64) (bool, error) {
	st, err := os.Stat(f.path(d))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil && st.Mode().IsRegular() && st.Size() == size, err
}

func (f *folder) Put(_ context.Context, d bulwark.Digest, _ int64, open func() (io.ReadCloser, error)) error {
	src, err := open()
	if err != nil {
		return err
	}
	defer src.Close()
	return replace(f.path(d), src)
}

// replace writes a file in one step, for everybody to read.
func replace(name string, src io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(file, src)
	if err := errors.Join(err, file.Chmod(0o644), file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return os.Rename(file.Name(), name)
}

func (f *folder) Commit(ctx context.Context, index []byte, blobs map[bulwark.Digest]int64) error {
	keep := map[string]bool{}
	for d := range blobs {
		keep[blobName(d)] = true
	}
	// Whoever reads the index of before is given time to finish.
	if before, err := f.Index(ctx); err == nil {
		if p, _, err := bundle.ParsePublication(before, anyKey); err == nil {
			for d := range p.Blobs() {
				keep[blobName(d)] = true
			}
		}
	}
	if err := replace(filepath.Join(f.dir, indexName), strings.NewReader(string(index))); err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(f.dir, blobFolder))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range slices.DeleteFunc(entries, func(e os.DirEntry) bool { return !strings.HasPrefix(e.Name(), "sha256-") || keep[e.Name()] }) {
		if err := os.Remove(filepath.Join(f.dir, blobFolder, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
