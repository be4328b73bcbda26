// SPDX-License-Identifier: Apache-2.0

// Package epss fetches and reads the daily scores of the Exploit Prediction
// Scoring System (https://www.first.org/epss/data_stats).
//
// It knows the format, a gzipped CSV file; it does not know where the answer is
// kept.
package epss

import (
	"archive/zip"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip" // 22 % less CPU than the standard library's

	"github.com/bulwark-sec/bulwark"
)

// Daily is the address of the newest scores.
const Daily = "https://epss.empiricalsecurity.com/epss_scores-current.csv.gz"

const (
	file = "epss.csv.gz"
	// maxStored and maxPlain bound the file in bytes; it has about 300,000 lines
	// in 2 MB, 10 MB unpacked.
	maxStored = 64 << 20
	maxPlain  = 512 << 20
	maxLine   = 4096
)

// A Feed is the file of scores.
type Feed struct {
	URL string // https, or file for a copy
}

// Name gives "epss".
func (Feed) Name() string { return "epss" }

// Source gives the address.
func (f Feed) Source() string { return f.URL }

// Fetch writes the file to dst, as it is. The mark is the server's validator; it
// is [bulwark.ErrUnchanged] when the server says that last still holds.
func (f Feed) Fetch(ctx context.Context, client *http.Client, dst *zip.Writer, last string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL, nil)
	if err != nil {
		return "", err
	}
	// The file itself is gzip; a transport must not take that for an encoding.
	req.Header.Set("Accept-Encoding", "identity")
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
		return last, fmt.Errorf("epss: %w", bulwark.ErrUnchanged)
	case http.StatusNotFound:
		return "", fmt.Errorf("get %q: %w", f.URL, bulwark.ErrNotFound)
	default:
		return "", fmt.Errorf("get %q: %s", f.URL, resp.Status)
	}
	w, err := dst.CreateHeader(&zip.FileHeader{Name: file, Method: zip.Store})
	if err != nil {
		return "", err
	}
	n, err := io.Copy(w, io.LimitReader(resp.Body, maxStored+1))
	if err != nil {
		return "", fmt.Errorf("fetch %q: %w", f.URL, err)
	}
	if n > maxStored {
		return "", fmt.Errorf("fetch %q: limit of %d bytes: %w", f.URL, maxStored, bulwark.ErrTooLarge)
	}
	if tag := resp.Header.Get("ETag"); tag != "" && len(tag) < 200 {
		return "etag " + tag, nil
	}
	if at := resp.Header.Get("Last-Modified"); at != "" && len(at) < 100 {
		return "modified " + at, nil
	}
	return "", nil
}

// Parse gives an advisory for each line: the CVE, EPSS and EPSSRank. Modified is
// the date of the scores. A line that cannot be read gives an error, and the
// next one is read. The file may be plain or gzipped.
func (Feed) Parse(ctx context.Context, fsys fs.FS) iter.Seq2[bulwark.Advisory, error] {
	return func(yield func(bulwark.Advisory, error) bool) {
		if err := parse(ctx, fsys, yield); err != nil {
			yield(bulwark.Advisory{}, err)
		}
	}
}

func parse(ctx context.Context, fsys fs.FS, yield func(bulwark.Advisory, error) bool) error {
	f, err := fsys.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	br := bufio.NewReader(f)
	var r io.Reader = br
	if head, _ := br.Peek(2); string(head) == "\x1f\x8b" {
		zr, err := gzip.NewReader(br)
		if err != nil {
			return fmt.Errorf("read epss: %w", err)
		}
		defer zr.Close()
		r = zr
	}
	limited := &io.LimitedReader{R: r, N: maxPlain}
	sc := bufio.NewScanner(limited)
	sc.Buffer(make([]byte, 0, maxLine), maxLine)
	var date time.Time
	cve, score, rank := 0, 1, 2
	headed := false
	for n := 1; sc.Scan(); n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		line := strings.TrimSpace(sc.Text())
		switch {
		case line == "":
			continue
		case line[0] == '#': // "#model_version:v2025.03.14,score_date:2026-11-20T12:55:00Z"
			if _, at, ok := strings.Cut(line, "score_date:"); ok {
				at, _, _ = strings.Cut(at, ",")
				date = stamp(at)
			}
			continue
		case !headed:
			if cve, score, rank, err = columns(line); err != nil {
				return fmt.Errorf("read epss: %w", err)
			}
			headed = true
			continue
		}
		a, err := entry(strings.Split(line, ","), cve, score, rank)
		if err != nil {
			err = fmt.Errorf("read epss line %d: %w", n, err)
		} else {
			a.Modified = date
		}
		if !yield(a, err) {
			return nil
		}
	}
	if err := sc.Err(); err != nil {
		return fmt.Errorf("read epss: %w", err)
	}
	if limited.N <= 0 {
		return fmt.Errorf("read epss: limit of %d bytes: %w", maxPlain, bulwark.ErrTooLarge)
	}
	if !headed {
		return fmt.Errorf("read epss: no header: %w", bulwark.ErrUnsupported)
	}
	return nil
}

func columns(line string) (cve, score, rank int, err error) {
	cve, score, rank = -1, -1, -1
	for i, c := range strings.Split(line, ",") {
		switch strings.TrimSpace(c) {
		case "cve":
			cve = i
		case "epss":
			score = i
		case "percentile":
			rank = i
		}
	}
	if cve < 0 || score < 0 || rank < 0 {
		return 0, 0, 0, fmt.Errorf("header without cve, epss and percentile: %w", bulwark.ErrUnsupported)
	}
	return cve, score, rank, nil
}

var errRange = errors.New("not between 0 and 1")

func entry(cols []string, cve, score, rank int) (bulwark.Advisory, error) {
	if max(cve, score, rank) >= len(cols) {
		return bulwark.Advisory{}, fmt.Errorf("%d columns: %w", len(cols), bulwark.ErrUnsupported)
	}
	a := bulwark.Advisory{ID: strings.TrimSpace(cols[cve]), Feed: "epss"}
	if !strings.HasPrefix(a.ID, "CVE-") || len(a.ID) > 40 {
		return bulwark.Advisory{}, fmt.Errorf("id %q: %w", a.ID[:min(len(a.ID), 40)], bulwark.ErrUnsupported)
	}
	for _, v := range []struct {
		to  *float64
		col int
	}{{&a.EPSS, score}, {&a.EPSSRank, rank}} {
		f, err := strconv.ParseFloat(strings.TrimSpace(cols[v.col]), 64)
		if err == nil && !(f >= 0 && f <= 1) { // also refuses NaN
			err = errRange
		}
		if err != nil {
			return bulwark.Advisory{}, fmt.Errorf("score of %s: %w", a.ID, err)
		}
		*v.to = f
	}
	return a, nil
}

// stamp reads the date of the scores; its form has changed over the years.
func stamp(s string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05-0700", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
