// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// Annotations of the OCI image specification that name the base image
// (https://github.com/opencontainers/image-spec/blob/main/annotations.md).
const (
	labelBaseName   = "org.opencontainers.image.base.name"
	labelBaseDigest = "org.opencontainers.image.base.digest"
)

// maxEvidence bounds the build steps that are shown for one rule.
const maxEvidence = 16

// maxStep bounds the part of a build step that is looked at, in bytes.
const maxStep = 256 << 10

// Image gives the findings of a's configuration, one for each rule and subject.
// The subject is the artifact's ID, or "env:NAME" for a variable. Evidence names
// build steps by their place in the history, from 0, and never repeats a command
// or a value.
func (c *Check) Image(ctx context.Context, a *bulwark.Artifact) ([]bulwark.Finding, error) {
	if a == nil || a.Image == nil {
		return nil, nil
	}
	img := a.Image
	subject := string(a.ID)
	if subject == "" {
		subject = a.Name
	}
	var out []bulwark.Finding
	say := func(id, detail string) {
		out = append(out, c.finding(id, subject, bulwark.Evidence{Detail: detail}))
	}

	if user, ok := rootUser(img.User); ok {
		say("BW-IMG-0001", user)
	}
	if len(img.Healthcheck) == 0 {
		say("BW-IMG-0002", "no HEALTHCHECK is declared")
	} else if img.Healthcheck[0] == "NONE" {
		say("BW-IMG-0002", "the HEALTHCHECK of the base image is switched off")
	}
	if detail, ok := unpinned(img.Labels); ok {
		say("BW-IMG-0007", detail)
	}
	if latest(a) {
		say("BW-IMG-0008", fmt.Sprintf("asked for as %q", a.Name))
	}
	if p, ok := sshPort(img.Ports); ok {
		say("BW-IMG-0011", fmt.Sprintf("EXPOSE %q", p))
	}
	if v, ok := engineSocket(img.Volumes); ok {
		say("BW-IMG-0021", fmt.Sprintf("VOLUME %q", v))
	}
	if v, ok := relativePath(img.Env); ok {
		say("BW-IMG-0022", v)
	}
	seen := map[string]bool{}
	for _, e := range img.Env {
		name, value, _ := strings.Cut(e, "=")
		if secretEnv(name, value) && !seen[name] {
			seen[name] = true
			out = append(out, c.finding("BW-IMG-0005", "env:"+name, bulwark.Evidence{Detail: fmt.Sprintf("%q is set to %d characters", name, len(value))}))
		}
	}
	steps, err := c.history(ctx, a)
	out = append(out, steps...)
	slices.SortStableFunc(out, func(a, b bulwark.Finding) int {
		return strings.Compare(a.Rule+"\x00"+a.Subject, b.Rule+"\x00"+b.Subject)
	})
	return out, err
}

// history gives the findings of the build steps.
func (c *Check) history(ctx context.Context, a *bulwark.Artifact) ([]bulwark.Finding, error) {
	evidence := map[string][]bulwark.Evidence{}
	note := func(id string, detail string) {
		if len(evidence[id]) < maxEvidence {
			evidence[id] = append(evidence[id], bulwark.Evidence{Detail: detail})
		}
	}
	img := a.Image
	for i, h := range img.History {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("check image history: %w", err)
		}
		s := parseStep(h.CreatedBy[:min(len(h.CreatedBy), maxStep)])
		where := fmt.Sprintf("history:%d %s", i, s.instruction)
		switch s.instruction {
		case "ADD":
			if s.fetches() {
				note("BW-IMG-0004", where)
			} else if !s.rootfs(i) {
				note("BW-IMG-0003", where)
			}
		case "WORKDIR":
			if relative(s.args) {
				note("BW-IMG-0015", where)
			}
		case "RUN":
			for _, r := range c.rules {
				if r.run != nil && r.run.MatchString(s.args) && (r.unless == nil || !r.unless.MatchString(s.args)) {
					note(r.ID, where)
				}
			}
		}
	}
	if relative(img.WorkingDir) {
		note("BW-IMG-0015", fmt.Sprintf("WORKDIR %q", img.WorkingDir))
	}
	for _, e := range img.Env {
		switch name, value, _ := strings.Cut(e, "="); {
		case name == "NODE_TLS_REJECT_UNAUTHORIZED" && value == "0", name == "PYTHONHTTPSVERIFY" && value == "0",
			name == "GIT_SSL_NO_VERIFY" && value != "" && value != "0" && value != "false":
			note("BW-IMG-0016", "env:"+name)
		}
	}
	subject := string(a.ID)
	if subject == "" {
		subject = a.Name
	}
	var out []bulwark.Finding
	for _, r := range c.rules {
		if e := evidence[r.ID]; len(e) > 0 {
			out = append(out, c.finding(r.ID, subject, e...))
		}
	}
	return out, nil
}

// rootUser tells whether USER means root: nobody, a name or the number 0, with
// any group.
func rootUser(user string) (string, bool) {
	name, _, _ := strings.Cut(strings.TrimSpace(user), ":")
	if name == "" {
		return "no USER is set", true
	}
	if n, err := strconv.ParseUint(name, 10, 32); name == "root" || err == nil && n == 0 {
		return fmt.Sprintf("USER %q", user), true
	}
	return "", false
}

func unpinned(labels map[string]string) (string, bool) {
	name, digest := labels[labelBaseName], labels[labelBaseDigest]
	if name == "" || name == "scratch" || strings.Contains(name, "@sha") {
		return "", false
	}
	switch tag := tagOf(name); {
	case tag == "latest" || tag == "":
		return fmt.Sprintf("base %q is the tag latest", name), true
	case !bulwark.Digest(digest).Valid():
		return fmt.Sprintf("base %q has no digest", name), true
	}
	return "", false
}

// tagOf gives the tag of an image reference; "" when there is none.
func tagOf(ref string) string {
	last := ref[strings.LastIndexByte(ref, '/')+1:]
	_, tag, _ := strings.Cut(last, ":")
	return tag
}

// latest tells whether the artifact was asked for as latest, by name or for want
// of a tag. Files have no tags.
func latest(a *bulwark.Artifact) bool {
	switch a.Source {
	case "", "registry", "docker", "containerd", "podman":
	default:
		return false
	}
	if a.Name == "" || strings.Contains(a.Name, "@") || strings.HasPrefix(a.Name, "/") || strings.HasPrefix(a.Name, ".") || bulwark.Digest(a.Name).Valid() {
		return false
	}
	tag := tagOf(a.Name)
	return tag == "latest" || tag == ""
}

// sshPort looks for TCP port 22, by itself or inside a range.
func sshPort(ports []string) (string, bool) {
	for _, p := range ports {
		numbers, proto, ok := strings.Cut(p, "/")
		if ok && proto != "tcp" {
			continue
		}
		first, last, ok := strings.Cut(numbers, "-")
		if !ok {
			last = first
		}
		lo, err1 := strconv.ParseUint(first, 10, 16)
		hi, err2 := strconv.ParseUint(last, 10, 16)
		if err1 == nil && err2 == nil && lo <= 22 && 22 <= hi {
			return p, true
		}
	}
	return "", false
}

func engineSocket(volumes []string) (string, bool) {
	for _, v := range volumes {
		for _, s := range [...]string{"/docker.sock", "/containerd.sock", "/crio.sock", "/podman.sock"} {
			if strings.HasSuffix(strings.TrimRight(v, "/"), s) {
				return v, true
			}
		}
	}
	return "", false
}

func relativePath(env []string) (string, bool) {
	for _, e := range env {
		value, ok := strings.CutPrefix(e, "PATH=")
		if !ok || value == "" || strings.Contains(value, `:\`) {
			continue
		}
		for i, dir := range strings.Split(value, ":") {
			switch {
			case dir == "":
				return fmt.Sprintf("part %d of PATH is empty, which is the working directory", i+1), true
			case dir[0] != '/' && dir[0] != '$' && dir[0] != '~' && dir[0] != '%':
				return fmt.Sprintf("part %d of PATH is %q", i+1, dir), true
			}
		}
	}
	return "", false
}

// relative tells whether a WORKDIR is neither absolute nor a variable.
func relative(dir string) bool {
	dir = strings.Trim(strings.TrimSpace(dir), `"'`)
	return dir != "" && dir[0] != '/' && dir[0] != '$' && dir[0] != '\\' && (len(dir) < 2 || dir[1] != ':')
}

// secretEnv tells whether a variable's name says that its value is secret, and
// whether there is a value.
func secretEnv(name, value string) bool {
	if value == "" || value[0] == '$' || strings.HasPrefix(value, "/run/secrets/") {
		return false
	}
	switch strings.ToLower(value) {
	case "true", "false", "yes", "no", "none", "null", "0", "1":
		return false
	}
	up := strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	for _, end := range [...]string{"_FILE", "_PATH", "_DIR", "_URL", "_URI", "_NAME", "_TTL", "_LENGTH", "_TYPE", "_ENABLED", "_EXPIRY", "_VERSION", "_ALGORITHM", "_POLICY", "_HOST", "_PORT", "_LIMIT"} {
		if strings.HasSuffix(up, end) {
			return false
		}
	}
	for _, word := range [...]string{"PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "APIKEY", "API_KEY", "PRIVATE_KEY", "ACCESS_KEY", "AUTH_TOKEN"} {
		if strings.Contains(up, word) && !strings.HasSuffix(up, "ACCESS_KEY_ID") {
			return true
		}
	}
	for _, part := range strings.Split(up, "_") {
		switch part {
		case "TOKEN", "PWD", "CREDENTIALS", "CREDENTIAL":
			return up != "PWD" && up != "OLDPWD"
		}
	}
	return false
}
