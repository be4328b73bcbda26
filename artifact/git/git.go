// SPDX-License-Identifier: Apache-2.0

// Package git fetches one commit of a remote repository, without its history,
// into a file without a name. It speaks git's protocol and reads nothing of what
// it fetches: the pack is handed on as it came. Nothing is checked out, no hook
// runs, and submodules are not fetched.
package git

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/go-git/go-billy/v5/osfs"   // file:// repositories
	"github.com/go-git/go-git/v5/plumbing" // git's protocol
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/plumbing/transport/server"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"

	"github.com/bulwark-sec/bulwark"
)

const (
	maxPack = 4 << 30  // bytes of one pack
	maxRefs = 64 << 20 // bytes of the list of references
	// Time for a server to begin its answer: it may have to pack a large tree.
	headerTime = 5 * time.Minute
)

// A Fetcher fetches commits. The zero Fetcher has no credentials.
type Fetcher struct {
	// Credentials gives the user and password for an address of http or https,
	// both "" when there are none; nil has none for any.
	Credentials func(ctx context.Context, u *url.URL) (user, password string, err error)
	UserAgent   string
	TempDir     string // for the pack; "" is the system's
	MaxPack     int64  // bytes; 0 is 4 GiB
}

var scp = regexp.MustCompile(`^[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+:[^@]+\.git(@.+)?$`)

// IsRemote tells whether a target is the address of a remote repository.
func IsRemote(target string) bool {
	for _, scheme := range [...]string{"https://", "http://", "ssh://", "file://", "git://", "git+ssh://"} {
		if strings.HasPrefix(target, scheme) {
			return true
		}
	}
	return scp.MatchString(target)
}

// split takes "@branch", "@tag" or "@commit" off an address.
func split(target string) (address, ref string) {
	if i := strings.LastIndex(target, ".git@"); i >= 0 {
		return target[:i+4], target[i+5:]
	}
	if i := strings.LastIndexByte(target, '@'); i > strings.LastIndexByte(target, '/') && strings.Contains(target, "://") {
		return target[:i], target[i+1:]
	}
	return target, ""
}

// Open fetches the commit that target names: the address of a repository by
// https, http, ssh or file, alone or with "@branch", "@tag" or "@commit" behind
// it. A repository or reference that is not there is [bulwark.ErrNotFound].
func (f *Fetcher) Open(ctx context.Context, target string, o bulwark.OpenOptions) (*bulwark.Tree, error) {
	address, ref := split(target)
	ep, err := transport.NewEndpoint(address)
	if err != nil {
		return nil, fmt.Errorf("fetch repository: %w: %w", errors.New(plain(err, address)), bulwark.ErrUsage)
	}
	shown := redacted(ep)
	fail := func(err error) (*bulwark.Tree, error) { return nil, f.explain(shown, ref, err) }
	if o.Offline && ep.Protocol != "file" {
		return nil, &bulwark.Hint{Err: fmt.Errorf("fetch %q: --offline was said: %w", shown, bulwark.ErrUnsupported), Next: "clone it and scan the directory"}
	}
	session, err := f.session(ctx, ep, o)
	if err != nil {
		return fail(err)
	}
	defer session.Close()
	refs, err := session.AdvertisedReferencesContext(ctx)
	if err != nil {
		return fail(err)
	}
	want, commit, err := choose(refs, ref)
	if err != nil {
		return fail(err)
	}
	pack, err := f.fetch(ctx, session, refs, want)
	if err != nil {
		return fail(err)
	}
	a := bulwark.Artifact{Kind: bulwark.KindRepo, Name: shown, Source: "git"}
	if !commit.IsZero() {
		a.Commit = commit.String()
	}
	if ref != "" {
		a.Name += "@" + ref
	}
	return &bulwark.Tree{
		Artifact: a,
		Layers:   []bulwark.Blob{{Whole: pack, Form: bulwark.FormGit, Key: want.String()}},
		Close:    pack.Close,
	}, nil
}

// redacted gives the address without what may be secret in it.
func redacted(ep *transport.Endpoint) string {
	e := *ep
	if e.Password != "" || strings.HasPrefix(e.Protocol, "http") {
		e.User, e.Password = "", ""
	}
	return e.String()
}

// plain gives the words of an error without the address, which may hold a
// password.
func plain(err error, address string) string {
	return strings.ReplaceAll(err.Error(), address, "the address")
}

func (f *Fetcher) session(ctx context.Context, ep *transport.Endpoint, o bulwark.OpenOptions) (transport.UploadPackSession, error) {
	switch ep.Protocol {
	case "http", "https":
		client, err := f.client(o)
		if err != nil {
			return nil, err
		}
		var auth transport.AuthMethod
		if ep.User == "" && f.Credentials != nil {
			u := &url.URL{Scheme: ep.Protocol, Host: ep.Host, Path: ep.Path}
			if ep.Port != 0 {
				u.Host = fmt.Sprintf("%s:%d", ep.Host, ep.Port)
			}
			user, password, err := f.Credentials(ctx, u)
			if err != nil {
				return nil, err
			}
			if user+password != "" {
				auth = &githttp.BasicAuth{Username: user, Password: password}
			}
		}
		return githttp.NewClient(client).NewUploadPackSession(ep, auth)
	case "ssh", "git+ssh":
		return gitssh.DefaultClient.NewUploadPackSession(ep, nil)
	case "file":
		return local(ep)
	}
	return nil, fmt.Errorf("protocol %q: %w", ep.Protocol, bulwark.ErrUnsupported)
}

// local opens a repository of this machine in this process, without git.
func local(ep *transport.Endpoint) (transport.UploadPackSession, error) {
	dir := filepath.Clean(ep.Path)
	if info, err := os.Stat(filepath.Join(dir, ".git")); err == nil && info.IsDir() {
		dir = filepath.Join(dir, ".git")
	}
	if _, err := os.Stat(filepath.Join(dir, "HEAD")); err != nil {
		return nil, transport.ErrRepositoryNotFound
	}
	e := *ep
	e.Path = "/"
	// Below this directory only: links in it lead nowhere else.
	return server.NewClient(server.NewFilesystemLoader(osfs.New(dir, osfs.WithBoundOS()))).NewUploadPackSession(&e, nil)
}

func (f *Fetcher) client(o bulwark.OpenOptions) (*http.Client, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = headerTime
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read certificates: %w", err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read certificates: %q holds none: %w", o.CAFile, bulwark.ErrUsage)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{
		Transport: &bounded{next: t, agent: f.UserAgent},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			first := via[0].URL
			if len(via) > 5 || req.URL.Host != first.Host || first.Scheme == "https" && req.URL.Scheme != "https" {
				return &bulwark.Hint{Err: fmt.Errorf("the server leads to %q: %w", req.URL.Host, bulwark.ErrUnsupported), Next: "use that address if it can be trusted"}
			}
			return nil
		},
	}, nil
}

// bounded bounds what a server answers: lists of references are held in memory.
type bounded struct {
	next  http.RoundTripper
	agent string
}

// RoundTrip is that of [http.RoundTripper].
func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.agent != "" {
		r = r.Clone(r.Context())
		r.Header.Set("User-Agent", "git/"+b.agent)
	}
	res, err := b.next.RoundTrip(r)
	if err == nil && r.Method == http.MethodGet {
		res.Body = struct {
			io.Reader
			io.Closer
		}{&capped{r: res.Body, left: maxRefs}, res.Body}
	}
	return res, err
}

// capped errs when more is read than may be.
type capped struct {
	r    io.Reader
	left int64
}

// Read reads as [io.Reader] does.
func (c *capped) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, bulwark.ErrTooLarge
	}
	return n, err
}

// errNoRef says that a reference is not there.
var errNoRef = errors.New("no such branch, tag or commit")

// choose gives the object to ask for and the commit that it leads to: a tag may
// be an object of its own. A zero commit is not known.
func choose(refs *packp.AdvRefs, ref string) (want, commit plumbing.Hash, err error) {
	if ref == "" {
		if refs.Head == nil {
			return want, commit, errNoRef
		}
		return *refs.Head, *refs.Head, nil
	}
	for _, name := range []string{ref, "refs/heads/" + ref, "refs/tags/" + ref, "refs/" + ref} {
		if h, ok := refs.References[name]; ok {
			if peeled, ok := refs.Peeled[name]; ok {
				return h, peeled, nil
			}
			if strings.HasPrefix(name, "refs/tags/") && len(refs.Peeled) == 0 {
				return h, commit, nil // whether it is an object of its own was not said
			}
			return h, h, nil
		}
	}
	if plumbing.IsHash(ref) {
		h := plumbing.NewHash(ref)
		return h, h, nil
	}
	return want, commit, errNoRef
}

// fetch asks for one object with all that it needs, and keeps the answer in a
// file without a name.
func (f *Fetcher) fetch(ctx context.Context, s transport.UploadPackSession, refs *packp.AdvRefs, want plumbing.Hash) (*os.File, error) {
	req := packp.NewUploadPackRequestFromCapabilities(refs.Capabilities)
	req.Wants = append(req.Wants, want)
	if refs.Capabilities.Supports(capability.Shallow) {
		if err := req.Capabilities.Set(capability.Shallow); err != nil {
			return nil, err
		}
		req.Depth = packp.DepthCommits(1)
	}
	if refs.Capabilities.Supports(capability.NoProgress) {
		if err := req.Capabilities.Set(capability.NoProgress); err != nil {
			return nil, err
		}
	}
	res, err := s.UploadPack(ctx, req)
	if err != nil {
		return nil, err
	}
	defer res.Close()
	var r io.Reader = res
	switch {
	case req.Capabilities.Supports(capability.Sideband64k):
		r = sideband.NewDemuxer(sideband.Sideband64k, res)
	case req.Capabilities.Supports(capability.Sideband):
		r = sideband.NewDemuxer(sideband.Sideband, res)
	}
	out, err := os.CreateTemp(f.TempDir, "bulwark-*")
	if err != nil {
		return nil, &bulwark.Hint{Err: fmt.Errorf("make scratch file: %w", err), Next: "set TMPDIR to a folder that can be written to"}
	}
	err = os.Remove(out.Name())
	most := f.MaxPack
	if most == 0 {
		most = maxPack
	}
	if err == nil {
		_, err = io.Copy(out, stopping{ctx, &capped{r: r, left: most}})
	}
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

// stopping errs when its context is done: not every transport asks it.
type stopping struct {
	ctx context.Context
	r   io.Reader
}

// Read reads as [io.Reader] does.
func (s stopping) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}

// explain says what an error of the library means, and what to do.
func (f *Fetcher) explain(shown, ref string, err error) error {
	hint := func(err error, next string) error {
		return &bulwark.Hint{Err: fmt.Errorf("fetch %q: %w", shown, err), Next: next}
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("fetch %q: %w", shown, err)
	case errors.Is(err, errNoRef):
		return hint(fmt.Errorf("%q: %w: %w", ref, errNoRef, bulwark.ErrNotFound), "check the name behind the @")
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return hint(fmt.Errorf("the repository has no commit: %w", bulwark.ErrNotFound), "check the address")
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return hint(bulwark.ErrNotFound, "check the address; servers say the same of what one may not see")
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed):
		return hint(err, "set BULWARK_GIT_TOKEN, or let git's credential helper or .netrc know the server")
	case errors.Is(err, bulwark.ErrTooLarge):
		return hint(err, "clone it and scan the directory")
	case strings.Contains(err.Error(), "SSH_AUTH_SOCK"), strings.Contains(err.Error(), "SSH agent"):
		return hint(err, "start an SSH agent that has your key")
	}
	return fmt.Errorf("fetch %q: %w", shown, err)
}
