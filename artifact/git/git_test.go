// SPDX-License-Identifier: Apache-2.0

package git_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/artifact/git"
)

func TestIsRemote(t *testing.T) {
	for target, want := range map[string]bool{
		"https://git.example/a/b.git":      true,
		"https://git.example/a/b":          true,
		"https://git.example/a/b.git@v1":   true,
		"ssh://git@git.example/a/b.git":    true,
		"git@git.example:a/b.git":          true,
		"git@git.example:a/b.git@main":     true,
		"file:///srv/a.git":                true,
		"registry.example:5000/a/b.git":    false,
		"registry.example/a/b@sha256:0123": false,
		"a/b.git":                          false,
		"gopher://x/y.git":                 false,
		"user@host:not-a-repository":       false,
		"":                                 false,
	} {
		if got := git.IsRemote(target); got != want {
			t.Errorf("%q: %v", target, got)
		}
	}
}

// server answers the first question of every client with what a test says.
func server(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return s.URL + "/a.git"
}

// pkt gives a line as git's protocol frames it.
func pkt(s string) string { return fmt.Sprintf("%04x%s", len(s)+4, s) }

func refs(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
	const id = "1111111111111111111111111111111111111111"
	io.WriteString(w, pkt("# service=git-upload-pack\n")+"0000"+pkt(id+" HEAD\x00shallow\n")+pkt(id+" refs/heads/main\n")+"0000")
}

// TestHostile shows that a server can waste neither memory nor disk, and learns no
// password that is not meant for it.
func TestHostile(t *testing.T) {
	leaked := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		leaked = leaked || r.Header.Get("Authorization") != ""
	}))
	defer elsewhere.Close()
	for _, tc := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1)+"/x", http.StatusFound)
		}, "the server leads to"},
		{"endless-refs", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			io.WriteString(w, pkt("# service=git-upload-pack\n")+"0000")
			line := pkt("1111111111111111111111111111111111111111 refs/heads/" + strings.Repeat("x", 60000) + "\n")
			for {
				if _, err := io.WriteString(w, line); err != nil {
					return
				}
			}
		}, "fetch"},
		{"endless-pack", func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				refs(w)
				return
			}
			w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
			io.WriteString(w, pkt("shallow 1111111111111111111111111111111111111111")+"0000"+pkt("NAK\n"))
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}, "larger than the limit; clone it"},
		{"no-git", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>hello</html>") }, "fetch"},
		{"forbidden", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "BULWARK_GIT_TOKEN"},
		{"none", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, "not found; check the address"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := git.Fetcher{MaxPack: 1 << 20, TempDir: t.TempDir(), Credentials: func(context.Context, *url.URL) (string, string, error) {
				return "ada", "s3same", nil
			}}
			tree, err := f.Open(t.Context(), server(t, tc.answer), bulwark.OpenOptions{})
			if err == nil {
				tree.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "s3same") {
				t.Errorf("error %q, want %q", err, tc.want)
			}
		})
	}
	if leaked {
		t.Error("the password went to another server")
	}
}

func TestOpenErrors(t *testing.T) {
	var f git.Fetcher
	for target, is := range map[string]error{
		"https://git.example/a.git": bulwark.ErrUnsupported, // offline
		"file:///none/at/all":       bulwark.ErrNotFound,
		"git://git.example/a.git":   bulwark.ErrUnsupported,
	} {
		if _, err := f.Open(t.Context(), target, bulwark.OpenOptions{Offline: true}); !errors.Is(err, is) {
			t.Errorf("%s: %v, want %v", target, err, is)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Open(ctx, server(t, func(w http.ResponseWriter, _ *http.Request) { refs(w) }), bulwark.OpenOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
