// SPDX-License-Identifier: Apache-2.0

// Package oci opens container images: from registries, from Docker, containerd
// and podman on this machine, from OCI layouts and from saved archives. It
// knows how images are named, addressed, described and fetched, and it checks
// the digest of every manifest and configuration that it reads.
//
// Layers are handed out as they are stored. The package does not decompress
// them, does not check their digests and does not keep them; it writes to disk
// only what cannot be read in place (a compressed archive, a daemon's export),
// and that goes to a file that has no name any more. Everything that is read is
// taken to be hostile and has a limit.
package oci

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/google/go-containerregistry/pkg/authn"
)

// An Opener opens images. The zero Opener works: it uses the credentials of
// Docker's or podman's configuration and the default sockets. It is safe for
// concurrent use while its fields stay as they are.
type Opener struct {
	// Env looks up an environment variable: DOCKER_HOST, DOCKER_TLS_VERIFY,
	// DOCKER_CERT_PATH, CONTAINER_HOST, CONTAINERS_STORAGE_CONF,
	// CONTAINERD_ADDRESS, CONTAINERD_NAMESPACE, XDG_RUNTIME_DIR, XDG_DATA_HOME,
	// HOME. Nil is an empty environment.
	Env func(string) string
	// Keychain finds the credentials of a registry; nil reads Docker's
	// config.json with its credential helpers, or else podman's auth.json.
	Keychain authn.Keychain
	// TokenHosts are hosts outside a registry's own domain that its credentials
	// may be sent to for a token. The registry's own domain needs no entry.
	TokenHosts []string
	// Dial connects to registries; nil is the network, with the proxy of the
	// environment. A server that lets others name images gives one that keeps
	// away from its own network; then no proxy is used.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// UserAgent names the program to registries; "" is "bulwark".
	UserAgent string
	// TempDir is the directory of spill files; "" is the system's.
	TempDir string
	// MaxSpill limits the bytes of one spill file; 0 is 64 GiB.
	MaxSpill int64
	// Backoff is the wait before the first retry of a request, which grows
	// threefold with each; 0 is half a second.
	Backoff time.Duration
	// Stall is how long a registry may send nothing; 0 is a minute.
	Stall time.Duration
}

// The sources that Open tries, by the names that it takes.
const (
	FromDocker     = "docker"
	FromContainerd = "containerd"
	FromPodman     = "podman"
	FromRegistry   = "registry"
)

// Sources lists the sources in the order in which Open tries them: what is on
// this machine first, the network last.
func Sources() []string {
	return []string{FromDocker, FromContainerd, FromPodman, FromRegistry}
}

// Open opens the image ref from the first of the sources in from that has it;
// an empty from is [Sources]. When none has it, the error tells why for each of
// them. It is [bulwark.ErrNotFound] when every source was asked and has no such
// image, and [bulwark.ErrUsage] for a source or a name that cannot be.
func (o *Opener) Open(ctx context.Context, ref string, from []string, opt bulwark.OpenOptions) (*bulwark.Tree, error) {
	if len(from) == 0 {
		from = Sources()
	}
	for _, f := range from {
		if !slices.Contains(Sources(), f) {
			return nil, &bulwark.Hint{
				Err:  fmt.Errorf("image source %q: %w", f, bulwark.ErrUsage),
				Next: "choose from " + strings.Join(Sources(), ", "),
			}
		}
	}
	if _, err := parsePlatform(opt.Platform); err != nil {
		return nil, err
	}
	if !imageID(ref) { // an id is a name to engines only
		if _, err := parseName(ref, false); err != nil {
			return nil, err
		}
	}
	var misses []miss
	for _, f := range from {
		t, err := o.openFrom(ctx, f, ref, opt)
		if err == nil {
			return t, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		misses = append(misses, miss{f, err})
	}
	return nil, missed(ref, misses)
}

func (o *Opener) openFrom(ctx context.Context, from, ref string, opt bulwark.OpenOptions) (*bulwark.Tree, error) {
	switch from {
	case FromDocker:
		return o.Docker(ctx, ref, opt)
	case FromContainerd:
		return o.Containerd(ctx, ref, opt)
	case FromPodman:
		return o.Podman(ctx, ref, opt)
	}
	return o.Registry(ctx, ref, opt)
}

// A miss is one source that did not give the image.
type miss struct {
	from string
	err  error
}

// missError tells why no source had an image.
type missError struct {
	ref    string
	misses []miss
}

func missed(ref string, ms []miss) error {
	if len(ms) == 1 {
		return fmt.Errorf("open %q from %s: %w", ref, ms[0].from, ms[0].err)
	}
	// The advice of the last source counts most: the registry's, if it was asked.
	// The sources' own pieces of advice are taken out of the list, where they
	// would drown the reasons.
	e := &missError{ref: ref}
	next := ""
	for _, m := range ms {
		var h *bulwark.Hint
		if errors.As(m.err, &h) {
			if !errors.Is(m.err, errAbsent) {
				next = h.Next
			}
			if top, ok := m.err.(*bulwark.Hint); ok { //nolint:errorlint // of what wraps a hint, the words must stay
				m.err = top.Err
			}
		}
		e.misses = append(e.misses, m)
	}
	if next == "" {
		next = "check the spelling, or name a file or a layout that holds the image"
	}
	return &bulwark.Hint{Err: e, Next: next}
}

// Error lists the sources and their reasons.
func (e *missError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "open image %q", e.ref)
	for i, m := range e.misses {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		b.WriteString(sep)
		if text := m.err.Error(); strings.HasPrefix(text, m.from) {
			b.WriteString(text)
		} else {
			fmt.Fprintf(&b, "%s: %s", m.from, text)
		}
	}
	return b.String()
}

// Is makes the whole [bulwark.ErrNotFound] only if every source says so: a
// source that could not be asked may have the image.
func (e *missError) Is(target error) bool {
	for _, m := range e.misses {
		if !errors.Is(m.err, target) {
			return false
		}
	}
	return true
}

// errAbsent marks an engine that does not run here, which is no news to
// somebody who did not ask for that engine.
var errAbsent = errors.New("not running here")

// absent is the error of an engine without a socket; it counts as not found.
func absent(engine, next string) error {
	return &bulwark.Hint{Err: &absentError{engine}, Next: next}
}

type absentError struct{ engine string }

func (e *absentError) Error() string { return e.engine + " is " + errAbsent.Error() }

func (e *absentError) Is(target error) bool {
	return target == errAbsent || target == bulwark.ErrNotFound
}

func (o *Opener) env(name string) string {
	if o.Env == nil {
		return ""
	}
	return o.Env(name)
}

func (o *Opener) userAgent() string {
	if o.UserAgent == "" {
		return "bulwark"
	}
	return o.UserAgent
}

func (o *Opener) backoff() time.Duration {
	if o.Backoff <= 0 {
		return 500 * time.Millisecond
	}
	return o.Backoff
}

func (o *Opener) stall() time.Duration {
	if o.Stall <= 0 {
		return time.Minute
	}
	return o.Stall
}

func (o *Opener) maxSpill() int64 {
	if o.MaxSpill <= 0 {
		return 64 << 30
	}
	return o.MaxSpill
}

func isSocket(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.Mode().Type() == os.ModeSocket
}
