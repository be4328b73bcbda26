// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/rogpeppe/go-internal/testscript"
)

// startRegistry starts the story's registry, or speaks of it:
//
//	registry [-token USER:PASSWORD | -basic USER:PASSWORD] [-tls CAFILE]
//	    $REGISTRY is its host; -tls writes the authority's certificate
//	registry login USER:PASSWORD DIR
//	    write Docker's config.json for it into DIR
//	registry hold DIGEST
//	    from now on send half of this blob, then nothing
//	registry release
//	    hold nothing back any more, and forget what was asked for
//	registry lie DIGEST OTHER
//	    send the blob OTHER for DIGEST
//	registry hits RE N
//	    "METHOD path" of so many requests matched RE since images were pushed
func startRegistry(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("unsupported: ! registry")
	}
	s := storyOf(ts)
	verb := ""
	if len(args) > 0 {
		verb = args[0]
	}
	want := func(n int) {
		if len(args) != n || s.registry == nil {
			ts.Fatalf("registry %s: wrong number of arguments, or no registry was started", verb)
		}
	}
	switch verb {
	case "login":
		want(3)
		b, err := json.Marshal(map[string]any{"auths": map[string]any{
			s.registry.host: map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(args[1]))},
		}})
		ts.Check(err)
		ts.Check(os.MkdirAll(ts.MkAbs(args[2]), 0o777))
		ts.Check(os.WriteFile(ts.MkAbs(args[2])+"/config.json", b, 0o600))
	case "hold":
		want(2)
		s.registry.hold(args[1])
	case "release":
		want(1)
		s.registry.hold("")
		s.registry.forget()
	case "lie":
		want(3)
		s.registry.mu.Lock()
		s.registry.lies[args[1]] = args[2]
		s.registry.mu.Unlock()
	case "hits":
		want(3)
		re, err := regexp.Compile(args[1])
		ts.Check(err)
		n, err := strconv.Atoi(args[2])
		ts.Check(err)
		if all, got := s.registry.hits(re); got != n {
			ts.Fatalf("%d requests match %s, want %d; all:\n%s", got, re, n, strings.Join(all, "\n"))
		}
	default:
		if s.registry != nil {
			ts.Fatalf("registry: one is running")
		}
		s.registry = newRegistry(ts, args)
		ts.Defer(s.registry.close)
		ts.Setenv("REGISTRY", s.registry.host)
	}
}

// A storyRegistry is a registry that counts, asks for passwords, stalls and lies
// as its story wants.
type storyRegistry struct {
	host           string
	client         *http.Client
	user, password string
	token          bool

	server *httptest.Server
	inner  http.Handler

	mu       sync.Mutex
	asked    []string
	lies     map[string]string
	held     string
	released chan struct{}
	blocked  int
}

func newRegistry(ts *testscript.TestScript, args []string) *storyRegistry {
	r := &storyRegistry{inner: registry.New(registry.Logger(log.New(io.Discard, "", 0))), lies: map[string]string{}, released: make(chan struct{})}
	ca := ""
	for i := 0; i < len(args); i += 2 {
		if i+1 >= len(args) {
			ts.Fatalf("registry: %s wants a value", args[i])
		}
		switch args[i] {
		case "-token", "-basic":
			r.token = args[i] == "-token"
			r.user, r.password, _ = strings.Cut(args[i+1], ":")
		case "-tls":
			ca = ts.MkAbs(args[i+1])
		default:
			ts.Fatalf("registry: unknown %q", args[i])
		}
	}
	r.server = httptest.NewUnstartedServer(r)
	r.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if ca != "" {
		r.server.StartTLS()
		ts.Check(os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.server.Certificate().Raw}), 0o644))
	} else {
		r.server.Start()
	}
	_, r.host, _ = strings.Cut(r.server.URL, "://")
	r.client = r.server.Client()
	return r
}

func (r *storyRegistry) close() {
	r.hold("")
	r.server.CloseClientConnections()
	r.server.Close()
}

// ServeHTTP answers as a registry does.
func (r *storyRegistry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.asked = append(r.asked, req.Method+" "+req.URL.Path)
	held, released := r.held, r.released
	for from, to := range r.lies {
		if strings.HasSuffix(req.URL.Path, "/"+from) {
			req.URL.Path = strings.TrimSuffix(req.URL.Path, from) + to
		}
	}
	r.mu.Unlock()
	if req.URL.Path == "/token" {
		if !r.knows(req) {
			refuse(w, "")
			return
		}
		fmt.Fprintf(w, `{"token":%q,"expires_in":300}`, r.pass())
		return
	}
	if r.user != "" && !r.admits(req) {
		challenge := `Basic realm="story"`
		if r.token {
			challenge = fmt.Sprintf(`Bearer realm="%s/token",service="story"`, r.server.URL)
		}
		refuse(w, challenge)
		return
	}
	if held != "" && req.Method == http.MethodGet && strings.HasSuffix(req.URL.Path, "/"+held) {
		r.half(w, req, released)
		return
	}
	r.inner.ServeHTTP(w, req)
}

// half sends half of what was asked for, then waits.
func (r *storyRegistry) half(w http.ResponseWriter, req *http.Request, released <-chan struct{}) {
	rec := httptest.NewRecorder()
	r.inner.ServeHTTP(rec, req)
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Length", strconv.Itoa(rec.Body.Len()))
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
	w.(http.Flusher).Flush()
	r.count(1)
	defer r.count(-1)
	select {
	case <-released:
	case <-req.Context().Done():
	}
}

func (r *storyRegistry) count(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blocked += n
}

// holding tells whether somebody waits for a blob that is held back.
func (r *storyRegistry) holding() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.blocked > 0
}

func (r *storyRegistry) hold(digest string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held != "" {
		close(r.released)
		r.released = make(chan struct{})
	}
	r.held = digest
}

func (r *storyRegistry) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = nil
}

func (r *storyRegistry) hits(re *regexp.Regexp) (all []string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.asked {
		if re.MatchString(a) {
			n++
		}
	}
	return r.asked, n
}

func (r *storyRegistry) knows(req *http.Request) bool {
	user, password, ok := req.BasicAuth()
	return ok && user == r.user && password == r.password
}

// pass is the token that the registry gives and takes.
func (r *storyRegistry) pass() string { return "token-for-" + r.user }

func (r *storyRegistry) admits(req *http.Request) bool {
	if r.token {
		return req.Header.Get("Authorization") == "Bearer "+r.pass()
	}
	return r.knows(req)
}

func refuse(w http.ResponseWriter, challenge string) {
	if challenge != "" {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
}
