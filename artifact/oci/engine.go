// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/bulwark-sec/bulwark"
)

// An engine is Docker, or podman with its Docker-compatible API, by the few
// calls of https://docs.docker.com/reference/api/engine/ that are needed here.
type engine struct {
	name   string // "docker"
	client *http.Client
	base   url.URL
	idle   func()
}

// engineTime is how long an engine may take to answer a question. An export has
// no such limit: engines prepare it whole before the first byte.
const engineTime = 30 * time.Second

// Docker opens the image ref, a name or an id, from the Docker daemon that
// DOCKER_HOST tells, or else from the one at the default socket. The daemon's
// export goes to a file without a name; layers are read in place there. An image
// that the daemon does not have, and a daemon that does not run, is
// [bulwark.ErrNotFound].
func (o *Opener) Docker(ctx context.Context, ref string, opt bulwark.OpenOptions) (*bulwark.Tree, error) {
	host := o.env("DOCKER_HOST")
	if host == "" {
		sockets := []string{"/var/run/docker.sock"}
		if d := o.env("XDG_RUNTIME_DIR"); d != "" {
			sockets = append(sockets, filepath.Join(d, "docker.sock"))
		}
		if h := o.env("HOME"); h != "" {
			sockets = append(sockets, filepath.Join(h, ".docker/run/docker.sock"))
		}
		i := slices.IndexFunc(sockets, isSocket)
		if i < 0 {
			return nil, absent("docker", "start Docker, or set DOCKER_HOST")
		}
		host = "unix://" + sockets[i]
	}
	e, err := o.engine("docker", host, opt.Offline)
	if err != nil {
		return nil, err
	}
	return o.fromEngine(ctx, e, []string{ref}, ref, opt)
}

// Podman opens the image ref, a name or an id, from podman: through its service
// where CONTAINER_HOST tells or at the default sockets, or else from its store
// on disk, which needs no service. Errors are those of Docker.
func (o *Opener) Podman(ctx context.Context, ref string, opt bulwark.OpenOptions) (*bulwark.Tree, error) {
	host := o.env("CONTAINER_HOST")
	if host == "" {
		sockets := []string{"/run/podman/podman.sock"}
		if d := o.env("XDG_RUNTIME_DIR"); d != "" {
			sockets = slices.Insert(sockets, 0, filepath.Join(d, "podman/podman.sock"))
		}
		if i := slices.IndexFunc(sockets, isSocket); i >= 0 {
			host = "unix://" + sockets[i]
		}
	}
	if host == "" {
		return o.podmanStore(ctx, ref, opt)
	}
	e, err := o.engine("podman", host, opt.Offline)
	if err == nil {
		var t *bulwark.Tree
		if t, err = o.fromEngine(ctx, e, localNames(ref), ref, opt); err == nil {
			return t, nil
		}
	}
	// A socket without a service behind it is left over by many systems.
	if o.env("CONTAINER_HOST") == "" && !errors.Is(err, bulwark.ErrNotFound) && ctx.Err() == nil {
		if t, serr := o.podmanStore(ctx, ref, opt); serr == nil {
			return t, nil
		}
	}
	return nil, err
}

// engine gives the way to an engine at "unix://path" or "tcp://host:port".
func (o *Opener) engine(name, host string, offline bool) (*engine, error) {
	u, err := url.Parse(host)
	if err != nil {
		return nil, fmt.Errorf("%s host %q: %w", name, host, bulwark.ErrUsage)
	}
	tr := &http.Transport{MaxResponseHeaderBytes: 1 << 20, DisableCompression: true}
	e := &engine{name: name, base: url.URL{Scheme: "http", Host: "engine"}, idle: tr.CloseIdleConnections}
	switch u.Scheme {
	case "unix":
		tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", u.Path)
		}
	case "tcp", "http", "https":
		if offline && !loopback(u.Host) {
			return nil, &bulwark.Hint{
				Err:  fmt.Errorf("%s at %q: the network is off: %w", name, u.Host, bulwark.ErrUsage),
				Next: "leave out --offline",
			}
		}
		e.base.Host = u.Host
		tr.DialContext = (&net.Dialer{Timeout: engineTime}).DialContext
		if u.Scheme == "https" || o.env("DOCKER_TLS_VERIFY") != "" {
			e.base.Scheme = "https"
			if tr.TLSClientConfig, err = o.engineTLS(); err != nil {
				return nil, err
			}
		}
	default:
		return nil, &bulwark.Hint{
			Err:  fmt.Errorf("%s host %q: %w", name, host, bulwark.ErrUnsupported),
			Next: "give a unix:// or tcp:// address; save the image there with docker save for any other",
		}
	}
	e.client = &http.Client{
		Transport:     tr,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return e, nil
}

// engineTLS reads ca.pem, cert.pem and key.pem where Docker's own client does.
func (o *Opener) engineTLS() (*tls.Config, error) {
	dir := o.env("DOCKER_CERT_PATH")
	if dir == "" {
		dir = filepath.Join(o.env("HOME"), ".docker")
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if pem, err := os.ReadFile(filepath.Join(dir, "ca.pem")); err == nil {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("certificate authorities of docker in %q: no certificate in it: %w", dir, bulwark.ErrUsage)
		}
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	switch {
	case err == nil:
		c.Certificates = []tls.Certificate{cert}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("client certificate of docker in %q: %w", dir, err)
	}
	return c, nil
}

// An inspection is what an engine tells of an image.
type inspection struct {
	ID          string       `json:"Id"`
	RepoTags    list[string] `json:"RepoTags"`
	RepoDigests list[string] `json:"RepoDigests"`
}

// fromEngine opens the first of names that e has.
func (o *Opener) fromEngine(ctx context.Context, e *engine, names []string, ref string, opt bulwark.OpenOptions) (*bulwark.Tree, error) {
	defer e.idle()
	want, err := parsePlatform(opt.Platform)
	if err != nil {
		return nil, err
	}
	var in *inspection
	for _, n := range names {
		if in, err = e.inspect(ctx, n); !errors.Is(err, bulwark.ErrNotFound) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	// The id, not the name: the name may mean another image by now.
	resp, err := e.get(ctx, "/images/"+in.ID+"/get")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	f, err := o.spill(ctx, resp.Body, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: export of %q: %w", e.name, ref, err)
	}
	t, err := o.archiveFile(ctx, f, "", want)
	if err != nil {
		return nil, fmt.Errorf("%s: export of %q: %w", e.name, ref, err)
	}
	t.Artifact.Name = ref
	t.Artifact.Source = e.name
	t.Artifact.Image.RepoTags = in.RepoTags
	t.Artifact.Image.RepoDigests = in.RepoDigests
	// With containerd's store, Docker writes an image's own id there for whatever
	// it built or loaded.
	t.Artifact.Image.SelfNamed = slices.ContainsFunc(in.RepoDigests, func(d string) bool { return strings.HasSuffix(d, "@"+in.ID) })
	return t, nil
}

func (e *engine) inspect(ctx context.Context, ref string) (*inspection, error) {
	if !imageID(ref) {
		if _, err := parseName(ref, false); err != nil {
			return nil, err // and no path of another call is ever made of it
		}
	}
	ctx, cancel := context.WithTimeout(ctx, engineTime)
	defer cancel()
	resp, err := e.get(ctx, "/images/"+ref+"/json")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := readAll(resp.Body, maxManifest)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.name, err)
	}
	var in inspection
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("%s: answer about %q: %w", e.name, ref, err)
	}
	// podman writes ids without the algorithm.
	if !strings.HasPrefix(in.ID, "sha256:") {
		in.ID = "sha256:" + in.ID
	}
	if !bulwark.Digest(in.ID).Valid() {
		return nil, fmt.Errorf("%s: answer about %q: id %q", e.name, ref, in.ID)
	}
	return &in, nil
}

// get asks the engine; any status but 200 is an error.
func (e *engine) get(ctx context.Context, path string) (*http.Response, error) {
	u := e.base
	u.Path = path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return nil, e.explain(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var said struct {
		Message string `json:"message"`
	}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16)) // the status is the error, whatever can be read
	if json.Unmarshal(b, &said) != nil {
		said.Message = ""
	}
	if resp.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("%s has no such image: %w", e.name, bulwark.ErrNotFound)
	}
	return nil, fmt.Errorf("%s: status %d: %.200q", e.name, resp.StatusCode, said.Message)
}

func (e *engine) explain(err error) error {
	err = inner(err)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return absent(e.name, "start it, or check the address in the environment")
	case errors.Is(err, fs.ErrPermission):
		next := "run as a user who may use its socket"
		if e.name == "docker" {
			next = "run as a member of the group docker, or as root"
		}
		return &bulwark.Hint{Err: fmt.Errorf("%s: socket: permission denied", e.name), Next: next}
	}
	return fmt.Errorf("%s: %w", e.name, err)
}
