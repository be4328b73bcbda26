// SPDX-License-Identifier: Apache-2.0

// Package osv fetches and reads the bulk exports of OSV.dev
// (https://google.github.io/osv.dev/data/), or a mirror of them.
//
// It knows the layout of the export and the OSV schema. It does not know how
// versions are ordered (it is handed a function), where records are kept, or
// what is installed anywhere.
package osv

import (
	"archive/zip"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bulwark-sec/bulwark"
)

// Export is the address of the export of OSV.dev.
const Export = "https://storage.googleapis.com/osv-vulnerabilities"

// Limits of a fetch.
const (
	// maxArchive bounds an all.zip; the largest of the public ones is near 300 MB.
	maxArchive = 2 << 30
	// maxPlain bounds what an all.zip unpacks to.
	maxPlain = 32 << 30
	// maxFiles bounds the records of an ecosystem.
	maxFiles = 4 << 20
	// maxDelta is the number of changed records above which the whole archive is
	// cheaper: a request costs about as much as 20 kB of archive.
	maxDelta = 500
	// maxLine bounds a line of a CSV file in bytes.
	maxLine = 1024
	// workers fetch changed records at the same time.
	workers = 8
)

// A Feed is the export of one ecosystem.
type Feed struct {
	Base      string // URL of the export: https, or file for a mirror
	Ecosystem string // without release
	// Compare orders two versions of an ecosystem. Without it the events of a
	// range are taken in the order in which they are written.
	Compare func(ecosystem, a, b string) (int, error)
	// Own says that the records are Bulwark's: that database_specific.exploited is
	// said of CISA's catalogue. From others it would be hearsay.
	Own bool
}

// Name gives "osv/" and the ecosystem.
func (f Feed) Name() string { return "osv/" + f.Ecosystem }

// Source gives the address of the ecosystem's part of the export.
func (f Feed) Source() string { return join(f.Base, f.Ecosystem) }

func join(base string, parts ...string) string {
	u := strings.TrimRight(base, "/")
	for _, p := range parts {
		u += "/" + url.PathEscape(p)
	}
	return u
}

// Ecosystems lists the ecosystems of an export, without releases, sorted. GIT is
// left out: it holds commits, not packages.
func Ecosystems(ctx context.Context, client *http.Client, base string) ([]string, error) {
	body, err := get(ctx, client, join(base, "ecosystems.txt"), nil)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	seen := map[string]bool{}
	var out []string
	sc := bufio.NewScanner(io.LimitReader(body, 1<<20))
	for sc.Scan() {
		name, _, _ := strings.Cut(strings.TrimSpace(sc.Text()), ":")
		if !Valid(name) || name == "GIT" || seen[name] {
			continue
		}
		seen[name] = true
		out = append(out, name)
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("read ecosystems: %w", err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("ecosystems of %q: %w", base, bulwark.ErrNotFound)
	}
	slices.Sort(out)
	return out, nil
}

// Valid tells whether name can be an ecosystem: a short word that is safe in a
// path.
func Valid(name string) bool {
	if name == "" || len(name) > 40 || name[0] == '.' {
		return false
	}
	for _, r := range name {
		if r != ' ' && r != '.' && r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return false
		}
	}
	return true
}

// Fetch writes the records that changed since last, a mark that an earlier Fetch
// gave, to the folder "delta" of dst, or all of them to the folder "all" when
// last is "" or too much has changed. It gives the mark of what it saw; it is
// [bulwark.ErrUnchanged] when there is nothing new.
func (f Feed) Fetch(ctx context.Context, client *http.Client, dst *zip.Writer, last string) (string, error) {
	mark, changed, err := f.changes(ctx, client, last)
	switch {
	case errors.Is(err, bulwark.ErrNotFound):
		mark = "" // a mirror without the list
	case err != nil:
		return "", err
	case mark == last && mark != "":
		return mark, fmt.Errorf("%s: %w", f.Name(), bulwark.ErrUnchanged)
	}
	if last != "" && mark != "" && changed != nil {
		err := f.delta(ctx, client, dst, changed)
		if !errors.Is(err, bulwark.ErrNotFound) {
			return mark, err
		}
		// A mirror of the archives only.
	}
	return mark, f.whole(ctx, client, dst)
}

// A change is a line of modified_id.csv.
type change struct {
	at time.Time
	id string
}

// changes reads modified_id.csv, newest first, down to the newest time of last.
// It gives the new mark, and the changes; nil when there are too many, or when
// last is not a mark. A mark is the newest time and a digest of the ids that
// have it: several records often share a time.
func (f Feed) changes(ctx context.Context, client *http.Client, last string) (string, []change, error) {
	body, err := get(ctx, client, join(f.Base, f.Ecosystem, "modified_id.csv"), nil)
	if err != nil {
		return "", nil, err
	}
	defer body.Close()
	word, _, _ := strings.Cut(last, " ")
	since, err := time.Parse(time.RFC3339, word)
	usable := err == nil // the changes since then are still worth collecting
	var newest time.Time
	var top []string
	out := []change{}
	br := bufio.NewReaderSize(body, maxLine)
	for n := 0; n < maxFiles; n++ {
		if err := ctx.Err(); err != nil {
			return "", nil, err
		}
		line, err := br.ReadSlice('\n')
		if len(line) == 0 && errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return "", nil, fmt.Errorf("read modified_id.csv of %s: %w", f.Name(), err)
		}
		stamp, id, ok := strings.Cut(strings.TrimSpace(string(line)), ",")
		at, err := time.Parse(time.RFC3339, stamp)
		if !ok || err != nil || !validID(id) {
			return "", nil, fmt.Errorf("modified_id.csv of %s, line %d: %w", f.Name(), n+1, bulwark.ErrUnsupported)
		}
		if n == 0 {
			newest = at
			usable = usable && !since.After(newest) // else it went back in time
		}
		if usable && at.Before(since) || !usable && !at.Equal(newest) {
			break // all that is wanted was seen
		}
		if at.Equal(newest) {
			top = append(top, id)
		}
		if usable {
			out = append(out, change{at, id})
			usable = len(out) <= maxDelta
		}
	}
	if len(top) == 0 {
		return "", nil, nil
	}
	if !usable {
		out = nil
	}
	return mark(newest, top), out, nil
}

func mark(newest time.Time, top []string) string {
	slices.Sort(top)
	sum := sha256.Sum256([]byte(strings.Join(top, "\n")))
	return newest.UTC().Format(time.RFC3339Nano) + " " + hex.EncodeToString(sum[:8])
}

// validID tells whether an id can be a file name. Ids may hold a colon.
func validID(id string) bool {
	return id != "" && len(id) <= 200 && id[0] != '.' && !strings.ContainsAny(id, "/\\\x00")
}

// delta fetches changed records one by one.
func (f Feed) delta(ctx context.Context, client *http.Client, dst *zip.Writer, changed []change) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var mu sync.Mutex // of dst
	put := func(c change) error {
		text, err := f.one(ctx, client, c)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		w, err := dst.Create("delta/" + c.id + ".json")
		if err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	}
	for n := range workers {
		wg.Go(func() {
			for i := n; i < len(changed) && ctx.Err() == nil; i += workers {
				if err := put(changed[i]); err != nil {
					cancel(err) // the first one is the cause
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (f Feed) one(ctx context.Context, client *http.Client, c change) ([]byte, error) {
	body, err := get(ctx, client, join(f.Base, f.Ecosystem, c.id+".json"), nil)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, maxRecord+1))
	if err != nil {
		return nil, fmt.Errorf("fetch %q: %w", c.id, err)
	}
	if len(b) > maxRecord {
		return nil, fmt.Errorf("fetch %q: %w", c.id, bulwark.ErrTooLarge)
	}
	return b, nil
}

// whole fetches all.zip and copies its records, still compressed.
func (f Feed) whole(ctx context.Context, client *http.Client, dst *zip.Writer) error {
	body, err := get(ctx, client, join(f.Base, f.Ecosystem, "all.zip"), nil)
	if err != nil {
		return err
	}
	defer body.Close()
	spool, err := os.CreateTemp("", "bulwark-osv-*")
	if err != nil {
		return err
	}
	defer spool.Close()
	defer os.Remove(spool.Name())
	size, err := io.Copy(spool, io.LimitReader(body, maxArchive+1))
	if err != nil {
		return fmt.Errorf("fetch all.zip of %s: %w", f.Name(), err)
	}
	if size > maxArchive {
		return fmt.Errorf("all.zip of %s: limit of %d bytes: %w", f.Name(), int64(maxArchive), bulwark.ErrTooLarge)
	}
	zr, err := zip.NewReader(spool, size)
	if err != nil {
		return fmt.Errorf("open all.zip of %s: %w", f.Name(), err)
	}
	if len(zr.File) > maxFiles {
		return fmt.Errorf("all.zip of %s: %d files: %w", f.Name(), len(zr.File), bulwark.ErrTooLarge)
	}
	plain := uint64(0)
	for _, file := range zr.File {
		if err := ctx.Err(); err != nil {
			return err
		}
		id, ok := strings.CutSuffix(path.Base(strings.ReplaceAll(file.Name, "\\", "/")), ".json")
		if !ok || !validID(id) || file.Mode().IsDir() {
			continue
		}
		if plain += file.UncompressedSize64; plain > maxPlain {
			return fmt.Errorf("all.zip of %s: limit of %d bytes unpacked: %w", f.Name(), uint64(maxPlain), bulwark.ErrTooLarge)
		}
		raw, err := file.OpenRaw()
		if err != nil {
			return fmt.Errorf("all.zip of %s, %q: %w", f.Name(), file.Name, err)
		}
		head := file.FileHeader
		head.Name = "all/" + id + ".json"
		w, err := dst.CreateRaw(&head)
		if err != nil {
			return err
		}
		if _, err := io.Copy(w, raw); err != nil {
			return fmt.Errorf("all.zip of %s, %q: %w", f.Name(), file.Name, err)
		}
	}
	return nil
}

// get asks for a URL and gives the body of a good answer.
func get(ctx context.Context, client *http.Client, address string, header http.Header) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err // names the URL already
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("get %q: %w", address, bulwark.ErrNotFound)
	}
	return nil, fmt.Errorf("get %q: %s", address, resp.Status)
}
