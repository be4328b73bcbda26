// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check/live"
)

// verifySecrets is the flag that lets secrets out to their services.
const verifySecrets = "verify-secrets"

// verifier gives what asks services whether secrets work.
func (p *program) verifier(kind bulwark.Kind, o *scanFlags, secrets bool) (*live.Client, error) {
	wrong := func(why, next string) error {
		return &bulwark.Hint{Err: fmt.Errorf("--%s: %s: %w", verifySecrets, why, bulwark.ErrUsage), Next: next}
	}
	switch {
	case o.offline:
		return nil, wrong("services are asked over the network, which --offline forbids", "leave one of the two out")
	case kind == bulwark.KindSBOM:
		return nil, wrong("a bill of materials has no secrets in it", "scan what it was made of")
	case !secrets:
		return nil, wrong("secrets are not looked for", "say --secrets on")
	}
	r := reach{caFile: o.caFile}
	client, err := r.webClient()
	if err != nil {
		return nil, err
	}
	if client == nil {
		client = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	}
	return &live.Client{Do: sender(client, "bulwark/"+p.version)}, nil
}

// sender sends requests by client, https only. It follows no redirect: that would
// carry a secret to where nobody meant it to go.
func sender(client *http.Client, agent string) func(context.Context, *live.Request) (*live.Response, error) {
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return func(ctx context.Context, q *live.Request) (*live.Response, error) {
		if !strings.HasPrefix(q.URL, "https://") {
			return nil, errors.New("not by https")
		}
		req, err := http.NewRequestWithContext(ctx, q.Method, q.URL, strings.NewReader(q.Body))
		if err != nil {
			return nil, errors.New("an address that cannot be asked") // the error repeats it
		}
		req.Header.Set("User-Agent", agent)
		for _, h := range q.Header {
			req.Header.Set(h[0], h[1])
		}
		resp, err := c.Do(req)
		if err != nil {
			var about *url.Error
			if errors.As(err, &about) {
				err = about.Err // without the address, which may hold the secret
			}
			return nil, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, live.MaxBody+1))
		if err != nil {
			return nil, err
		}
		return &live.Response{Status: resp.StatusCode, Body: body}, nil
	}
}

// verified says what was learnt.
func verified(t live.Tally) string {
	s := fmt.Sprintf("%d secrets were asked about: %d live, %d refused, %d not known", t.Live+t.Refused+t.Unknown, t.Live, t.Refused, t.Unknown)
	if t.Unasked > 0 {
		s += fmt.Sprintf("; %d more are of kinds that no service is asked about", t.Unasked)
	}
	return s
}
