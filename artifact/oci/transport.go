// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/bulwark-sec/bulwark"
	"golang.org/x/net/publicsuffix" // which domains belong to one owner
)

const (
	maxRedirects = 5
	maxTries     = 3                // of one request, and of one place in a layer
	maxBreaks    = 20               // of one layer
	progress     = 1 << 20          // bytes after which a layer that broke off has a new chance
	maxWait      = 30 * time.Second // that a registry can make us wait before a retry
	maxReply     = maxConfig + 1    // bytes of a reply that is no layer
	maxCAFile    = 4 << 20
)

// blobKey marks the context of a request for a layer, whose length has its own limit.
type blobKey struct{}

// newTransport gives a transport for registries, with the authorities of the
// system and those in caFile.
func (o *Opener) newTransport(caFile string) (*http.Transport, error) {
	tc := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		f, err := os.Open(caFile)
		if err != nil {
			return nil, fmt.Errorf("certificate authorities: %w", err)
		}
		defer f.Close()
		pem, err := readAll(f, maxCAFile)
		if err != nil {
			return nil, fmt.Errorf("certificate authorities %q: %w", caFile, err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, &bulwark.Hint{
				Err:  fmt.Errorf("certificate authorities %q: no certificate in it: %w", caFile, bulwark.ErrUsage),
				Next: "name a file of PEM certificates",
			}
		}
		tc.RootCAs = pool
	}
	proxy, dial := http.ProxyFromEnvironment, o.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 30 * time.Second}).DialContext
	} else {
		proxy = nil
	}
	return &http.Transport{
		Proxy:                  proxy,
		DialContext:            dial,
		ForceAttemptHTTP2:      true,
		TLSClientConfig:        tc,
		TLSHandshakeTimeout:    15 * time.Second,
		ResponseHeaderTimeout:  time.Minute,
		MaxResponseHeaderBytes: 1 << 20,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        90 * time.Second,
		DisableCompression:     true, // blobs are wanted as they are stored
	}, nil
}

// A guard is the last thing that sees a request. It holds what must be true
// whatever the registry answered before: credentials stay with their owner, TLS
// is not given up, and replies end.
type guard struct {
	inner      http.RoundTripper
	host       string // the registry
	plain      bool   // it may be spoken to without TLS
	tokenHosts []string
	agent      string

	mu   sync.Mutex
	sent map[string]bool // bearer tokens that the registry itself was sent
}

func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !g.plain {
		return nil, &bulwark.Hint{
			Err:  fmt.Errorf("%q without TLS: refused", req.URL.Host),
			Next: "pass --plain-http if the registry has none",
		}
	}
	req, err := g.credentials(req)
	if err != nil {
		return nil, err
	}
	resp, err := g.inner.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if req.Context().Value(blobKey{}) == nil {
		resp.Body = &cappedBody{ReadCloser: resp.Body, left: maxReply}
	}
	return resp, nil
}

// credentials gives req with no more credentials than its host may see.
func (g *guard) credentials(req *http.Request) (*http.Request, error) {
	// A round tripper must not change the request that it was given.
	req = req.Clone(req.Context())
	req.Header.Set("User-Agent", g.agent)
	auth := req.Header.Get("Authorization")
	scheme, token, _ := strings.Cut(auth, " ")
	bearer := strings.EqualFold(scheme, "Bearer")
	own := strings.EqualFold(req.URL.Host, g.host)
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case own && bearer:
		if g.sent == nil || len(g.sent) > 100 {
			g.sent = map[string]bool{}
		}
		g.sent[token] = true
	case own:
	case bearer && g.sent[token]:
		req.Header.Del("Authorization")
	case bearer:
		// A token that the other host's own service gave to anybody.
	case (auth != "" || req.Method == http.MethodPost) && !g.trusts(req.URL.Host):
		return nil, &bulwark.Hint{
			Err:  fmt.Errorf("credentials of %q for token service %q of another domain: refused", g.host, req.URL.Host),
			Next: "add the host to the trusted token hosts if it belongs to the registry",
		}
	}
	return req, nil
}

// trusts tells whether the registry's password may go to host.
func (g *guard) trusts(host string) bool {
	return sameSite(g.host, host) || slices.ContainsFunc(g.tokenHosts, func(t string) bool {
		return strings.EqualFold(t, host) || strings.EqualFold(t, hostname(host))
	})
}

// sameSite tells whether two hosts have one owner: they are equal, both this
// machine, or below one registered domain.
func sameSite(a, b string) bool {
	ha, hb := hostname(a), hostname(b)
	if ha == hb || loopback(a) && loopback(b) {
		return true
	}
	da, erra := publicsuffix.EffectiveTLDPlusOne(ha)
	db, errb := publicsuffix.EffectiveTLDPlusOne(hb)
	return erra == nil && errb == nil && da == db && net.ParseIP(ha) == nil && net.ParseIP(hb) == nil
}

// redirect limits where a registry can send us.
func redirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("redirected %d times: %w", len(via), bulwark.ErrTooLarge)
	}
	from := via[0].URL
	if from.Scheme == "https" && req.URL.Scheme != "https" {
		return fmt.Errorf("redirected from %q to %q without TLS: refused", from.Host, req.URL.Host)
	}
	if hostname(req.URL.Host) != hostname(from.Host) && inside(req.URL.Host) && !inside(from.Host) {
		return fmt.Errorf("redirected from %q to inner address %q: refused", from.Host, req.URL.Host)
	}
	return nil
}

// A cappedBody errs when a reply does not end where replies end.
type cappedBody struct {
	io.ReadCloser
	left int64
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("reply of more than %d bytes: %w", maxReply, bulwark.ErrTooLarge)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// A retrier repeats what failed for a reason that passes.
type retrier struct {
	inner   http.RoundTripper
	backoff time.Duration
}

func (r *retrier) RoundTrip(req *http.Request) (*http.Response, error) {
	wait := r.backoff
	for try := 1; ; try++ {
		resp, err := r.inner.RoundTrip(req)
		if try == maxTries || req.Body != nil || !passing(req.Context(), resp, err) {
			return resp, err
		}
		d := wait
		if resp != nil {
			if d = retryAfter(resp, wait); d > maxWait {
				return resp, nil
			}
			resp.Body.Close()
		}
		if err := sleep(req.Context(), d); err != nil {
			return nil, err
		}
		wait *= 3
	}
}

// passing tells whether a failure may be gone at the next try.
func passing(ctx context.Context, resp *http.Response, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	if err == nil {
		switch resp.StatusCode {
		case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
			http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	var ne net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.As(err, &ne) && ne.Timeout()
}

func retryAfter(resp *http.Response, wait time.Duration) time.Duration {
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s >= 0 {
		return min(time.Duration(s), time.Hour/time.Second) * time.Second
	}
	return wait
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// A download is the body of one layer, which goes on where the connection broke.
type download struct {
	open  func(off int64) (io.ReadCloser, error)
	size  int64
	off   int64
	tries int // breaks since bytes last came in earnest
	total int // breaks
	last  int64
	body  io.ReadCloser
	ended bool
}

func (d *download) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if d.off == d.size {
			return 0, d.end()
		}
		n, err := d.body.Read(p[:min(int64(len(p)), d.size-d.off)])
		d.off += int64(n)
		if n > 0 {
			return n, nil
		}
		if err == nil {
			continue
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if d.off-d.last >= progress {
			d.tries = 0
		}
		d.last = d.off
		d.tries++
		if d.total++; d.tries >= maxTries || d.total > maxBreaks {
			return 0, fmt.Errorf("layer broke off at byte %d of %d: %w", d.off, d.size, err)
		}
		body, oerr := d.open(d.off)
		if oerr != nil {
			return 0, fmt.Errorf("layer broke off at byte %d of %d: %w; and again: %w", d.off, d.size, err, oerr)
		}
		d.body.Close()
		d.body = body
	}
}

// end tells whether the body ends where the manifest says.
func (d *download) end() error {
	if d.ended {
		return io.EOF
	}
	var one [1]byte
	n, err := d.body.Read(one[:])
	if n > 0 {
		return fmt.Errorf("layer is longer than the %d bytes announced: %w", d.size, bulwark.ErrDigest)
	}
	if err == nil || err == io.EOF {
		d.ended = true
		return io.EOF
	}
	return err
}

func (d *download) Close() error { return d.body.Close() }

// A stallBody gives up when nothing comes for a while.
type stallBody struct {
	io.ReadCloser
	timer   *time.Timer
	wait    time.Duration
	cancel  context.CancelFunc
	stalled *atomic.Bool
}

// stall wraps a reply's body; cancel must end the request's context.
func stall(body io.ReadCloser, wait time.Duration, cancel context.CancelFunc) *stallBody {
	stalled := new(atomic.Bool)
	t := time.AfterFunc(wait, func() { stalled.Store(true); cancel() })
	return &stallBody{body, t, wait, cancel, stalled}
}

func (s *stallBody) Read(p []byte) (int, error) {
	s.timer.Reset(s.wait)
	n, err := s.ReadCloser.Read(p)
	s.timer.Stop()
	if err != nil && s.stalled.Load() {
		err = fmt.Errorf("nothing received for %v", s.wait)
	}
	return n, err
}

func (s *stallBody) Close() error {
	s.timer.Stop()
	err := s.ReadCloser.Close()
	s.cancel()
	return err
}
