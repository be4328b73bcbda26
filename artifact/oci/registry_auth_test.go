// SPDX-License-Identifier: Apache-2.0

//go:build unix

package oci_test

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bulwark-sec/bulwark"
	"github.com/google/go-containerregistry/pkg/authn"
)

// keys is a keychain of one login for every registry.
type keys struct{ user, password string }

func (k keys) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: k.user, Password: k.password}, nil
}

type brokenKeys struct{}

func (brokenKeys) Resolve(authn.Resource) (authn.Authenticator, error) {
	return nil, errors.New("helper not in PATH")
}

func basic(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != "alice" || p != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func TestRegistryBasicAuth(t *testing.T) {
	img := testImage(t, "linux/amd64")
	host := serveImage(t, "private/app:1", img, basic)
	o := opener(t)
	_, err := o.Registry(t.Context(), host+"/private/app:1", bulwark.OpenOptions{})
	wantErr(t, err, nil, "docker login "+host, "status 401", "private/app")
	if errors.Is(err, bulwark.ErrNotFound) {
		t.Error("refused is told as not found")
	}
	o.Keychain = keys{"alice", "wrong"}
	_, err = o.Registry(t.Context(), host+"/private/app:1", bulwark.OpenOptions{})
	wantErr(t, err, nil, "docker login")
	if strings.Contains(err.Error(), "wrong") {
		t.Errorf("password in error: %v", err)
	}
	o.Keychain = brokenKeys{}
	_, err = o.Registry(t.Context(), host+"/private/app:1", bulwark.OpenOptions{})
	wantErr(t, err, nil, "helper not in PATH", "credential helper")
	o.Keychain = keys{"alice", "secret"}
	tree, err := o.Registry(t.Context(), host+"/private/app:1", bulwark.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	verify(t, tree, wantArtifact(t, img, host+"/private/app:1", "registry", "linux/amd64"), wantLayers(t, img))
}

// Docker's config.json is found as Docker finds it. The test changes HOME, so it
// is not parallel.
func TestRegistryDockerConfig(t *testing.T) {
	img := testImage(t, "linux/amd64")
	host := serveImage(t, "app:1", img, basic)
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("DOCKER_CONFIG", home)
	t.Setenv("XDG_RUNTIME_DIR", home)
	auth := base64.StdEncoding.EncodeToString([]byte("alice:secret"))
	if err := os.WriteFile(filepath.Join(home, "config.json"), []byte(`{"auths":{"`+host+`":{"auth":"`+auth+`"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	o := opener(t)
	o.Keychain = nil
	tree, err := o.Registry(t.Context(), host+"/app:1", bulwark.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tree.Close()
}

// tokens is a registry with a token service, on its own host or on another.
type tokens struct {
	next   http.Handler
	realm  string
	mu     sync.Mutex
	issued int
	short  bool // a token is good for three requests
	used   map[string]int
	asked  []string // scopes
}

func (a *tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.URL.Path == "/token" {
		if u, p, _ := r.BasicAuth(); u != "alice" || p != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		a.issued++
		a.asked = append(a.asked, r.URL.Query().Get("scope"))
		fmt.Fprintf(w, `{"token":"t%d","expires_in":60}`, a.issued)
		return
	}
	tok := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if tok == "" || tok != fmt.Sprintf("t%d", a.issued) || a.short && a.used[tok] >= 3 {
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+a.realm+`",service="reg",scope="repository:app:pull"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if a.used == nil {
		a.used = map[string]int{}
	}
	a.used[tok]++
	a.next.ServeHTTP(w, r)
}

func TestRegistryTokenAuth(t *testing.T) {
	img := testImage(t, "linux/amd64")
	a := &tokens{short: true}
	host := serveImage(t, "app:1", img, func(h http.Handler) http.Handler { a.next = h; return a })
	a.realm = "http://" + host + "/token"
	o := opener(t)
	_, err := o.Registry(t.Context(), host+"/app:1", bulwark.OpenOptions{})
	wantErr(t, err, nil, "docker login")
	o.Keychain = keys{"alice", "secret"}
	tree, err := o.Registry(t.Context(), host+"/app:1", bulwark.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	verify(t, tree, wantArtifact(t, img, host+"/app:1", "registry", "linux/amd64"), wantLayers(t, img))
	if a.issued < 2 {
		t.Errorf("token was renewed %d times", a.issued-1)
	}
	if a.asked[0] != "repository:app:pull" {
		t.Errorf("scope %q", a.asked[0])
	}
}

// dialTo connects every name to the server that stands for it.
func dialTo(hosts map[string]string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		to, ok := hosts[address]
		if !ok {
			return nil, fmt.Errorf("no host %q", address)
		}
		return new(net.Dialer).DialContext(ctx, network, to)
	}
}

// The password goes to the token service of the registry's own domain or to one
// that is trusted by name, whatever the registry says.
func TestRegistryTokenService(t *testing.T) {
	img := testImage(t, "linux/amd64")
	for host, c := range map[string]struct {
		trusted []string
		ok      bool
	}{
		"auth.example.test":          {nil, true},
		"auth.other.test":            {nil, false},
		"reg.example.test.evil.test": {nil, false},
		"tokens.other.test":          {[]string{"tokens.other.test"}, true},
	} {
		t.Run(host, func(t *testing.T) {
			a := &tokens{realm: "http://" + host + "/token"}
			at := serveImage(t, "app:1", img, func(h http.Handler) http.Handler { a.next = h; return a })
			var seen atomic.Int32
			service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "" {
					seen.Add(1)
				}
				a.ServeHTTP(w, r)
			}))
			defer service.Close()
			o := opener(t)
			o.Keychain = keys{"alice", "secret"}
			o.TokenHosts = c.trusted
			o.Dial = dialTo(map[string]string{"reg.example.test:80": at, host + ":80": strings.TrimPrefix(service.URL, "http://")})
			tree, err := o.Registry(t.Context(), "reg.example.test/app:1", bulwark.OpenOptions{PlainHTTP: true})
			if c.ok {
				if err != nil {
					t.Fatal(err)
				}
				tree.Close()
				return
			}
			wantErr(t, err, nil, "another domain", "trusted token hosts")
			if seen.Load() != 0 {
				t.Error("the service saw the password")
			}
		})
	}
	// Without --plain-http nothing goes out without TLS, not even to a name that
	// other tools take for a local one.
	for _, host := range []string{"reg.example.test", "reg.local", "192.168.7.7:5000"} {
		o := opener(t)
		at := serveImage(t, "app:1", img, nil)
		o.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, at)
		}
		_, err := o.Registry(t.Context(), host+"/app:1", bulwark.OpenOptions{})
		wantErr(t, err, nil, "--plain-http")
	}
}

// A public registry cannot send us into our own network.
func TestRegistryRedirectInside(t *testing.T) {
	h := registryHandler()
	push(t, h, "app:1", testImage(t, "linux/amd64"))
	var hit atomic.Bool
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hit.Store(true) }))
	defer inside.Close()
	for _, to := range []string{"http://169.254.169.254", "http://127.0.0.1", "http://[::ffff:10.0.0.1]", "http://localhost", "http://[fd00:ec2::254]"} {
		s := httptest.NewServer(blobRedirect(func() string { return to })(h))
		o := opener(t)
		front, back := strings.TrimPrefix(s.URL, "http://"), strings.TrimPrefix(inside.URL, "http://")
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == "reg.example.test:80" {
				return new(net.Dialer).DialContext(ctx, network, front)
			}
			return new(net.Dialer).DialContext(ctx, network, back)
		}
		_, err := o.Registry(t.Context(), "reg.example.test/app:1", bulwark.OpenOptions{PlainHTTP: true})
		s.Close()
		wantErr(t, err, nil, "inner address")
	}
	if hit.Load() {
		t.Error("an inner address was asked")
	}
}

func TestRegistryTLS(t *testing.T) {
	img := testImage(t, "linux/amd64")
	h := registryHandler()
	push(t, h, "app:1", img)
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	host := strings.TrimPrefix(s.URL, "https://")
	o := opener(t)
	_, err := o.Registry(t.Context(), host+"/app:1", bulwark.OpenOptions{})
	wantErr(t, err, nil, "--ca-file")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	tree, err := o.Registry(t.Context(), host+"/app:1", bulwark.OpenOptions{CAFile: ca})
	if err != nil {
		t.Fatal(err)
	}
	verify(t, tree, wantArtifact(t, img, host+"/app:1", "registry", "linux/amd64"), wantLayers(t, img))
	_, err = o.Registry(t.Context(), host+"/app:1", bulwark.OpenOptions{CAFile: filepath.Join(t.TempDir(), "none")})
	wantErr(t, err, nil, "certificate authorities")
	if err := os.WriteFile(ca, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = o.Registry(t.Context(), host+"/app:1", bulwark.OpenOptions{CAFile: ca})
	wantErr(t, err, bulwark.ErrUsage, "no certificate in it")
}

// blobRedirect sends blob requests to another server.
func blobRedirect(to func() string) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/blobs/") {
				http.Redirect(w, r, to()+r.URL.Path+"?signature=s3cr3t", http.StatusTemporaryRedirect)
				return
			}
			h.ServeHTTP(w, r)
		})
	}
}

func TestRegistryRedirectKeepsCredentials(t *testing.T) {
	img := testImage(t, "linux/amd64")
	for _, kind := range []string{"basic", "token"} {
		t.Run(kind, func(t *testing.T) {
			h := registryHandler()
			push(t, h, "app:1", img)
			var leaked atomic.Int32
			var served atomic.Int32
			storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				served.Add(1)
				if r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" {
					leaked.Add(1)
				}
				h.ServeHTTP(w, r)
			}))
			defer storage.Close()
			front := blobRedirect(func() string { return storage.URL })(h)
			a := &tokens{next: front}
			if kind == "basic" {
				front = basic(front)
			} else {
				front = a
			}
			s := httptest.NewServer(front)
			defer s.Close()
			a.realm = s.URL + "/token"
			host := strings.TrimPrefix(s.URL, "http://")
			o := opener(t)
			o.Keychain = keys{"alice", "secret"}
			tree, err := o.Registry(t.Context(), host+"/app:1", bulwark.OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			verify(t, tree, wantArtifact(t, img, host+"/app:1", "registry", "linux/amd64"), wantLayers(t, img))
			if served.Load() == 0 || leaked.Load() != 0 {
				t.Errorf("storage host served %d requests, %d with credentials", served.Load(), leaked.Load())
			}
		})
	}
}

// A registry with TLS cannot send us to a place without.
func TestRegistryRedirectWithoutTLS(t *testing.T) {
	h := registryHandler()
	push(t, h, "app:1", testImage(t, "linux/amd64"))
	plain := httptest.NewServer(h)
	defer plain.Close()
	s := httptest.NewTLSServer(blobRedirect(func() string { return plain.URL })(h))
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := opener(t).Registry(t.Context(), strings.TrimPrefix(s.URL, "https://")+"/app:1", bulwark.OpenOptions{CAFile: ca})
	wantErr(t, err, nil, "without TLS: refused")
	if strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("signed address in error: %v", err)
	}
}
