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
	"strconv"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
)

// Limits of one request.
const (
	attempts     = 5                // the first one counted
	firstWait    = time.Second      // doubled for each further attempt
	longestWait  = 60 * time.Second // a server that asks for more is taken at its word: not now
	headerWait   = 60 * time.Second // until the answer begins
	stalledAfter = 60 * time.Second // without a byte of the body
)

// A transport asks again where that can help, reads file URLs, and refuses what
// is neither https nor of this machine. It is safe for concurrent use.
type transport struct {
	base http.RoundTripper
	wait func(ctx context.Context, d time.Duration) error
	now  func() time.Time
	logf func(msg string, args ...any)
}

// newClient gives the client that feeds are handed.
func newClient(given *http.Client, t transport) *http.Client {
	c := &http.Client{}
	if given != nil {
		*c = *given
	}
	t.base = c.Transport
	if t.base == nil {
		d := http.DefaultTransport.(*http.Transport).Clone()
		d.ResponseHeaderTimeout = headerWait
		d.MaxIdleConnsPerHost = 16
		t.base = d
	}
	if t.wait == nil {
		t.wait = sleep
	}
	if t.now == nil {
		t.now = time.Now
	}
	c.Transport = &t
	c.Timeout = 0 // archives are large; a stalled body ends by itself
	return c
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	switch {
	case req.URL.Scheme == "file":
		return readLocal(req)
	case req.URL.Scheme != "https" && !(req.URL.Scheme == "http" && loopback(req.URL.Hostname())):
		return nil, &bulwark.Hint{Err: fmt.Errorf("scheme %q: %w", req.URL.Scheme, bulwark.ErrUnsupported), Next: "use an https address or a path"}
	}
	req = req.Clone(req.Context())
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "bulwark")
	}
	wait := firstWait
	for n := 1; ; n++ {
		ctx, cancel := context.WithCancel(req.Context())
		resp, err := t.base.RoundTrip(req.WithContext(ctx))
		if err == nil && !temporary(resp.StatusCode) {
			resp.Body = &watched{ReadCloser: resp.Body, cancel: cancel, timer: time.AfterFunc(stalledAfter, cancel)}
			return resp, nil
		}
		var why string
		if err != nil {
			if req.Context().Err() != nil || req.Method != http.MethodGet {
				cancel()
				return nil, err
			}
			why = err.Error()
		} else {
			why = resp.Status
			if d, ok := retryAfter(resp.Header.Get("Retry-After"), t.now()); ok {
				wait = d
			}
			_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // lets the connection be used again
			_ = resp.Body.Close()
		}
		cancel()
		if n == attempts || wait > longestWait {
			if err == nil {
				err = fmt.Errorf("%s after %d attempts", why, n)
				if wait > longestWait {
					err = fmt.Errorf("%s, the server asks to wait %s", why, wait.Round(time.Second))
				}
			}
			return nil, &bulwark.Hint{Err: err, Next: "try again later, or set another source: a mirror, or a directory brought by hand"}
		}
		if t.logf != nil {
			t.logf("request repeated", "url", req.URL.Redacted(), "cause", why, "wait", wait)
		}
		if err := t.wait(req.Context(), wait); err != nil {
			return nil, err
		}
		wait = min(2*wait, longestWait)
	}
}

func loopback(host string) bool {
	return host == "localhost" || host == "::1" || strings.HasPrefix(host, "127.")
}

func temporary(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusRequestTimeout:
		return true
	}
	return false
}

// retryAfter reads the header (RFC 9110, section 10.2.3): seconds or a date.
func retryAfter(h string, now time.Time) (time.Duration, bool) {
	if s, err := strconv.ParseUint(strings.TrimSpace(h), 10, 31); err == nil {
		return time.Duration(s) * time.Second, true
	}
	if at, err := http.ParseTime(h); err == nil {
		return max(at.Sub(now), 0), true
	}
	return 0, false
}

// watched ends a body that no longer comes.
type watched struct {
	io.ReadCloser
	cancel context.CancelFunc
	timer  *time.Timer
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if !w.timer.Reset(stalledAfter) && err == nil {
		err = fmt.Errorf("no data for %s: %w", stalledAfter, os.ErrDeadlineExceeded)
	}
	return n, err
}

func (w *watched) Close() error {
	w.timer.Stop()
	err := w.ReadCloser.Close()
	w.cancel()
	return err
}

// readLocal answers from the file system, with the time of the file, so that
// feeds need not know the difference.
func readLocal(req *http.Request) (*http.Response, error) {
	resp := &http.Response{Request: req, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody}
	answer := func(status int) (*http.Response, error) {
		resp.StatusCode, resp.Status = status, http.StatusText(status)
		return resp, nil
	}
	f, err := os.Open(filepath.FromSlash(req.URL.Path))
	if errors.Is(err, os.ErrNotExist) {
		return answer(http.StatusNotFound)
	}
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		_ = f.Close()
		return answer(http.StatusNotFound)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	modified := st.ModTime().UTC().Truncate(time.Second)
	resp.Header.Set("Last-Modified", modified.Format(http.TimeFormat))
	if since, err := http.ParseTime(req.Header.Get("If-Modified-Since")); err == nil && !modified.After(since) {
		_ = f.Close()
		return answer(http.StatusNotModified)
	}
	resp.Body, resp.ContentLength = f, st.Size()
	return answer(http.StatusOK)
}

// address makes a URL of what a person gives as a source: a URL, or a path.
func address(source string) (string, error) {
	if strings.Contains(source, "://") {
		u, err := url.Parse(source)
		if err != nil || u.Host == "" && u.Scheme != "file" {
			return "", fmt.Errorf("source %q: %w", source, bulwark.ErrUsage)
		}
		return source, nil
	}
	abs, err := filepath.Abs(source)
	if err != nil {
		return "", err
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(abs)}).String(), nil
}

// written gives the time of the newest of the files behind file URLs; zero for
// what is not a file.
func written(addresses ...string) (newest time.Time) {
	for _, a := range addresses {
		u, err := url.Parse(a)
		if err != nil || u.Scheme != "file" {
			return time.Time{}
		}
		if st, err := os.Stat(filepath.FromSlash(u.Path)); err == nil && st.Mode().IsRegular() && st.ModTime().After(newest) {
			newest = st.ModTime()
		}
	}
	return newest.UTC()
}
