// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// serveGit implements the command of stories
//
//	gitserver DIR [USER PASSWORD]
//
// which serves the repositories below DIR by git's own server and sets GITSERVER
// to its address. A story that needs it asks for git first.
func serveGit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 && len(args) != 3 {
		ts.Fatalf("usage: gitserver DIR [USER PASSWORD]")
	}
	out, err := exec.Command("git", "--exec-path").Output()
	ts.Check(err)
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + ts.MkAbs(args[0]), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "HOME=" + ts.Getenv("HOME")},
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(args) == 3 {
			if user, password, _ := r.BasicAuth(); user != args[1] || password != args[2] {
				w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
		}
		backend.ServeHTTP(w, r)
	}))
	ts.Defer(s.Close)
	ts.Setenv("GITSERVER", s.URL)
	ts.Setenv("GITHOST", strings.TrimPrefix(s.URL, "http://"))
}

func TestNetrc(t *testing.T) {
	const text = "machine a.example login u1 password p1\nmachine b.example\n\tlogin u2\n\tpassword p2\ndefault login d password e\nmacdef init\nmachine c.example password no\n"
	for host, want := range map[string]string{
		"a.example": "u1 p1", "b.example": "u2 p2", "c.example": "d e", "": "d e",
	} {
		user, password, ok := netrc([]byte(text), host)
		if got := user + " " + password; !ok || got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
	for _, text := range []string{"", "machine", "machine a.example login", "password x", "machine other password x"} {
		if user, password, ok := netrc([]byte(text), "a.example"); ok || password != "" {
			t.Errorf("%q: %q %q", text, user, password)
		}
	}
}
