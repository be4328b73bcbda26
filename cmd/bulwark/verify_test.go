// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark/check/live"
)

// What goes out is what was asked for, and nothing follows a redirect.
func TestSender(t *testing.T) {
	var got []string
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = append(got, r.Method+" "+r.URL.Path+" "+r.Header.Get("User-Agent")+" "+r.Header.Get("Accept")+" "+r.Header.Get("Authorization")+" "+string(b))
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case "/huge":
			for range 100 {
				w.Write(make([]byte, live.MaxBody))
			}
		default:
			io.WriteString(w, `{"ok":true}`)
		}
	}))
	defer s.Close()
	send := sender(s.Client(), "bulwark/test")
	ask := func(path, body string) *live.Response {
		t.Helper()
		method := "GET"
		if body != "" {
			method = "POST"
		}
		r, err := send(t.Context(), &live.Request{Method: method, URL: s.URL + path, Body: body, Header: [][2]string{{"Accept", "a"}, {"Accept", "b"}, {"Authorization", "Bearer x"}}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if diff := cmp.Diff(&live.Response{Status: 200, Body: []byte(`{"ok":true}`)}, ask("/me", `{"q":1}`)); diff != "" {
		t.Error(diff)
	}
	if r := ask("/away", ""); r.Status != http.StatusFound {
		t.Errorf("a redirect: HTTP %d", r.Status)
	}
	if r := ask("/huge", ""); len(r.Body) != live.MaxBody+1 {
		t.Errorf("%d bytes of a huge answer", len(r.Body))
	}
	want := []string{"POST /me bulwark/test b Bearer x {\"q\":1}", "GET /away bulwark/test b Bearer x ", "GET /huge bulwark/test b Bearer x "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// No error repeats the address, which may hold the secret, and nothing goes out
// but by TLS.
func TestSenderErrors(t *testing.T) {
	const token = "12345678:AAaaaaaaaaaa"
	asked := false
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer plain.Close()
	client := &http.Client{Transport: failing{}}
	for _, where := range []string{"https://a.test/bot" + token, "https://a.test/\x00" + token, plain.URL + "/bot" + token} {
		_, err := sender(client, "bulwark/test")(t.Context(), &live.Request{Method: "GET", URL: where})
		if err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%q: %v", where, err)
		}
		var about *url.Error
		if errors.As(err, &about) {
			t.Errorf("%q: the error knows the address", where)
		}
	}
	if asked {
		t.Error("a server without TLS was asked")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sender(http.DefaultClient, "bulwark/test")(ctx, &live.Request{Method: "GET", URL: "https://a.test/"}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

type failing struct{}

func (failing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("connection refused")
}

func TestVerified(t *testing.T) {
	for _, tc := range []struct {
		tally live.Tally
		want  string
	}{
		{live.Tally{}, "0 secrets were asked about: 0 live, 0 refused, 0 not known"},
		{live.Tally{Live: 1, Refused: 2, Unknown: 3, Unasked: 4}, "6 secrets were asked about: 1 live, 2 refused, 3 not known; 4 more are of kinds that no service is asked about"},
	} {
		if got := verified(tc.tally); got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}
