// SPDX-License-Identifier: Apache-2.0

package image

import "strings"

// A step is one entry of an image's history, as an instruction of a Dockerfile.
type step struct {
	instruction string // in upper case; "" when the builder wrote something else
	args        string // for RUN, the command without the shell that runs it
}

// parseStep reads what builders write: the legacy builder and buildah put
// "/bin/sh -c #(nop) " before all but RUN, BuildKit keeps the instruction and
// ends with "# buildkit".
func parseStep(by string) step {
	by = strings.TrimSpace(by)
	by = strings.TrimSpace(strings.TrimSuffix(by, "# buildkit"))
	if shell, rest, ok := strings.Cut(by, "#(nop)"); ok && len(shell) < 64 && strings.HasPrefix(shell, "/") && strings.HasSuffix(strings.TrimSpace(shell), " -c") {
		word, args, _ := strings.Cut(strings.TrimSpace(rest), " ")
		return step{strings.ToUpper(word), strings.TrimSpace(args)}
	}
	word, args, _ := strings.Cut(by, " ")
	switch word {
	case "RUN":
		return step{word, command(strings.TrimSpace(args))}
	case "ADD", "COPY", "ENV", "ARG", "LABEL", "USER", "WORKDIR", "EXPOSE", "VOLUME", "CMD", "ENTRYPOINT", "HEALTHCHECK", "SHELL", "ONBUILD", "STOPSIGNAL", "MAINTAINER":
		return step{word, strings.TrimSpace(args)}
	}
	if strings.HasPrefix(by, "|") || strings.HasPrefix(by, "/bin/") || strings.HasPrefix(by, "/usr/bin/") || strings.HasPrefix(by, "cmd ") || strings.HasPrefix(by, "powershell ") {
		return step{"RUN", command(by)}
	}
	return step{}
}

// command takes the build arguments ("|2 A=1 B=2") and the shell from a RUN
// step. Arguments stay when no known shell follows them.
func command(s string) string {
	for _, shell := range [...]string{"/bin/sh -c ", "/bin/bash -c ", "/bin/sh -ec ", "/bin/sh -exc ", "/bin/bash -o pipefail -c ", "/bin/ash -c ", "/bin/ash -eo pipefail -c ", "cmd /S /C "} {
		if i := strings.Index(s, shell); i == 0 || i > 0 && s[0] == '|' {
			return s[i+len(shell):]
		}
	}
	return s
}

// fetches tells whether an ADD names an address and no checksum. The legacy
// builder writes a digest of what it fetched and hides the address.
func (s step) fetches() bool {
	if strings.Contains(s.args, "--checksum=") {
		return false
	}
	for _, word := range strings.Fields(s.args) {
		word = strings.TrimLeft(word, `["'`)
		if strings.HasPrefix(word, "http://") || strings.HasPrefix(word, "https://") || strings.HasPrefix(word, "ftp://") {
			return true
		}
	}
	return false
}

// rootfs tells whether an ADD makes a base image: the first step, which unpacks
// one archive into the root.
func (s step) rootfs(place int) bool {
	words := strings.Fields(s.args)
	return place == 0 && len(words) >= 2 && words[len(words)-1] == "/" || strings.Contains(s.args, "--checksum=")
}
