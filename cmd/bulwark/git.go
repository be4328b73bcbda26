// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Settings with which a server of git is asked.
const (
	gitToken = "BULWARK_GIT_TOKEN" // password or token
	gitUser  = "BULWARK_GIT_USER"  // "git" when only the token is said
)

// helperTime is how long git's credential helper may take: it may ask a keyring,
// but nobody is there to type.
const helperTime = 20 * time.Second

// gitCredentials finds the user and password for a server: in the environment, in
// .netrc, then by git's credential helper, if git is there.
func (p *program) gitCredentials(ctx context.Context, u *url.URL) (user, password string, err error) {
	if token := p.env(gitToken); token != "" {
		return cmpOr(p.env(gitUser), "git"), token, nil
	}
	name := p.env("NETRC")
	if name == "" && p.env("HOME") != "" {
		name = filepath.Join(p.env("HOME"), ".netrc")
	}
	if name != "" {
		b, err := readFile(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && p.env("NETRC") != "" {
			return "", "", fmt.Errorf("read credentials: %w", err)
		}
		if user, password, ok := netrc(b, u.Hostname()); ok {
			return user, password, nil
		}
	}
	return p.gitHelper(ctx, u)
}

// netrc looks up a machine; "default" counts when nothing else does
// (https://www.gnu.org/software/inetutils/manual/html_node/The-_002enetrc-file.html).
func netrc(b []byte, host string) (user, password string, ok bool) {
	words := strings.Fields(string(b))
	mine := false
	for i := 0; i < len(words); i++ {
		next := func() string {
			if i++; i < len(words) {
				return words[i]
			}
			return ""
		}
		switch words[i] {
		case "machine", "default":
			if ok {
				return user, password, true
			}
			mine = words[i] == "default" || next() == host
		case "login":
			if w := next(); mine {
				user = w
			}
		case "password":
			if w := next(); mine {
				password, ok = w, true
			}
		case "account":
			next()
		case "macdef": // it ends at an empty line, which Fields does not show
			return user, password, ok
		}
	}
	return user, password, ok
}

// gitHelper asks "git credential fill". It is asked from the root directory: a
// repository in the working directory could name a helper of its own.
func (p *program) gitHelper(ctx context.Context, u *url.URL) (user, password string, err error) {
	git, err := exec.LookPath("git")
	if err != nil || !filepath.IsAbs(git) {
		return "", "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, helperTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, git, "credential", "fill")
	cmd.Dir = string(os.PathSeparator)
	cmd.Env = append(slices.DeleteFunc(p.environ(), func(e string) bool {
		return strings.HasPrefix(e, "GIT_DIR=") || strings.HasPrefix(e, "GIT_WORK_TREE=") || strings.HasPrefix(e, "GIT_ASKPASS=") || strings.HasPrefix(e, "SSH_ASKPASS=")
	}), "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "GCM_INTERACTIVE=never")
	cmd.Stdin = strings.NewReader(fmt.Sprintf("protocol=%s\nhost=%s\npath=%s\n\n", u.Scheme, u.Host, strings.TrimPrefix(u.Path, "/")))
	out, err := cmd.Output()
	if err != nil { // no helper, or one that knows nothing
		return "", "", ctx.Err()
	}
	for line := range bytes.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimRight(string(line), "\r\n"), "=")
		switch name {
		case "username":
			user = value
		case "password":
			password = value
		}
	}
	return user, password, nil
}
