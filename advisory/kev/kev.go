// SPDX-License-Identifier: Apache-2.0

// Package kev fetches and reads CISA's catalogue of known exploited
// vulnerabilities (https://www.cisa.gov/known-exploited-vulnerabilities-catalog).
//
// It knows the catalogue's format; it does not know where the answer is kept.
package kev

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
)

// Catalogue is the address of the catalogue.
const Catalogue = "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json"

const (
	file = "kev.json"
	// maxSize bounds the catalogue in bytes; it has about 1,500 entries in 1.3 MB.
	maxSize = 64 << 20
)

// A Feed is the catalogue.
type Feed struct {
	URL string // https, or file for a copy
}

// Name gives "kev".
func (Feed) Name() string { return "kev" }

// Source gives the address.
func (f Feed) Source() string { return f.URL }

// Fetch writes the catalogue to dst. The mark is the server's validator; it is
// [bulwark.ErrUnchanged] when the server says that last still holds.
func (f Feed) Fetch(ctx context.Context, client *http.Client, dst *zip.Writer, last string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL, nil)
	if err != nil {
		return "", err
	}
	if tag, ok := strings.CutPrefix(last, "etag "); ok {
		req.Header.Set("If-None-Match", tag)
	} else if at, ok := strings.CutPrefix(last, "modified "); ok {
		req.Header.Set("If-Modified-Since", at)
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		return last, fmt.Errorf("kev: %w", bulwark.ErrUnchanged)
	case http.StatusNotFound:
		return "", fmt.Errorf("get %q: %w", f.URL, bulwark.ErrNotFound)
	default:
		return "", fmt.Errorf("get %q: %s", f.URL, resp.Status)
	}
	w, err := dst.Create(file)
	if err != nil {
		return "", err
	}
	n, err := io.Copy(w, io.LimitReader(resp.Body, maxSize+1))
	if err != nil {
		return "", fmt.Errorf("fetch %q: %w", f.URL, err)
	}
	if n > maxSize {
		return "", fmt.Errorf("fetch %q: limit of %d bytes: %w", f.URL, maxSize, bulwark.ErrTooLarge)
	}
	if tag := resp.Header.Get("ETag"); tag != "" && len(tag) < 200 {
		return "etag " + tag, nil
	}
	if at := resp.Header.Get("Last-Modified"); at != "" && len(at) < 100 {
		return "modified " + at, nil
	}
	return "", nil
}

// Parse gives an advisory for each entry: the CVE, Exploited, and the due date.
// Modified is the day on which it was added. An entry without a CVE gives an
// error, and the next one is read.
func (Feed) Parse(ctx context.Context, fsys fs.FS) iter.Seq2[bulwark.Advisory, error] {
	return func(yield func(bulwark.Advisory, error) bool) {
		if err := parse(ctx, fsys, yield); err != nil {
			yield(bulwark.Advisory{}, err)
		}
	}
}

var errStop = errors.New("stop")

func parse(ctx context.Context, fsys fs.FS, yield func(bulwark.Advisory, error) bool) error {
	f, err := fsys.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	dec := json.NewDecoder(io.LimitReader(f, maxSize))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("read kev: not an object: %w", errors.Join(err, bulwark.ErrUnsupported))
	}
	found := false
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return fmt.Errorf("read kev: %w", err)
		}
		if key != "vulnerabilities" {
			var skip json.RawMessage
			if err := dec.Decode(&skip); err != nil {
				return fmt.Errorf("read kev: %w", err)
			}
			continue
		}
		found = true
		if err := entries(ctx, dec, yield); errors.Is(err, errStop) {
			return nil
		} else if err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return fmt.Errorf("read kev: %w", err)
	}
	if !found {
		return fmt.Errorf("read kev: no vulnerabilities: %w", bulwark.ErrUnsupported)
	}
	return nil
}

func entries(ctx context.Context, dec *json.Decoder, yield func(bulwark.Advisory, error) bool) error {
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return fmt.Errorf("read kev: not a list: %w", errors.Join(err, bulwark.ErrUnsupported))
	}
	for n := 0; dec.More(); n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return fmt.Errorf("read kev entry %d: %w", n, err)
		}
		var e struct {
			ID    string `json:"cveID"`
			Name  string `json:"vulnerabilityName"`
			Added string `json:"dateAdded"`
			Due   string `json:"dueDate"`
		}
		err := json.Unmarshal(raw, &e)
		if err == nil && (!strings.HasPrefix(e.ID, "CVE-") || len(e.ID) > 40) {
			err = fmt.Errorf("id %q: %w", e.ID[:min(len(e.ID), 40)], bulwark.ErrUnsupported)
		}
		a := bulwark.Advisory{ID: e.ID, Summary: e.Name, Modified: day(e.Added), Due: day(e.Due), Exploited: true, Feed: "kev"}
		if err != nil {
			a, err = bulwark.Advisory{}, fmt.Errorf("read kev entry %d: %w", n, err)
		}
		if !yield(a, err) {
			return errStop
		}
	}
	_, err := dec.Token()
	return err
}

func day(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return time.Time{}
	}
	return t
}
