// SPDX-License-Identifier: Apache-2.0

package java

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// maxLock bounds a lock file, bytes.
const maxLock = 32 << 20

// GradleLock reads the lock files that Gradle writes for a project's
// configurations and for its build script
// (https://docs.gradle.org/current/userguide/dependency_locking.html). Its zero
// value is ready to use.
type GradleLock struct{}

// Name gives "gradle-lock".
func (GradleLock) Name() string { return "gradle-lock" }

// Wants tells whether p is a lock file of Gradle.
func (GradleLock) Wants(p string, st bulwark.Stat) bool {
	if st.Mode&fs.ModeType != 0 || !strings.HasSuffix(p, ".lockfile") {
		return false
	}
	b := base(p)
	return b == "gradle.lockfile" || b == "buildscript-gradle.lockfile" || strings.Contains(p, "gradle/dependency-locks/")
}

// Extract gives the locked packages. Those that only configurations for tests
// have are for development.
func (e GradleLock) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxLock)
	if err != nil {
		return nil, err
	}
	l := newList(e.Name())
	number, strange := 0, 0
	for line := range bytes.Lines(data) {
		if number++; number%checkEvery == 0 && ctx.Err() != nil {
			return l.pkgs, ctx.Err()
		}
		if len(line) > 64<<10 {
			strange++
			continue
		}
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' || strings.HasPrefix(text, "empty=") {
			continue
		}
		coord, configurations, _ := strings.Cut(text, "=")
		parts := strings.Split(coord, ":")
		if len(parts) != 3 {
			strange++
			continue
		}
		l.add(gav{parts[0], parts[1], parts[2]}, f.Path, number, onlyTests(configurations), nil)
	}
	if strange > 0 && len(l.pkgs) == 0 {
		return nil, malformed(f, errors.New("no line of the form group:artifact:version"))
	}
	return l.pkgs, ctx.Err()
}

// onlyTests tells whether all configurations of a list are for tests.
func onlyTests(configurations string) bool {
	if configurations == "" {
		return false
	}
	for c := range strings.SplitSeq(configurations, ",") {
		if !strings.HasPrefix(c, "test") && !strings.Contains(c, "Test") {
			return false
		}
	}
	return true
}

// GradleVerification reads gradle/verification-metadata.xml, which names every
// file that a build may fetch. Its zero value is ready to use.
type GradleVerification struct{}

// Name gives "gradle-verification".
func (GradleVerification) Name() string { return "gradle-verification" }

// Wants tells whether p is Gradle's list of checksums.
func (GradleVerification) Wants(p string, st bulwark.Stat) bool {
	return st.Mode&fs.ModeType == 0 && (p == "gradle/verification-metadata.xml" || strings.HasSuffix(p, "/gradle/verification-metadata.xml"))
}

// Extract gives the components of the list.
func (e GradleVerification) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	if f.Size > maxLock {
		_, err := f.Bytes(maxLock)
		return nil, err
	}
	dec := xml.NewDecoder(cancelled{ctx.Err, f.Reader()})
	l := newList(e.Name())
	for {
		t, err := dec.Token()
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return l.pkgs, nil
		}
		if err != nil {
			return l.pkgs, malformed(f, err)
		}
		start, ok := t.(xml.StartElement)
		if !ok || start.Name.Local != "component" {
			continue
		}
		line, _ := dec.InputPos()
		var g gav
		for _, a := range start.Attr {
			switch a.Name.Local {
			case "group":
				g.group = a.Value
			case "name":
				g.artifact = a.Value
			case "version":
				g.version = a.Value
			}
		}
		l.add(g, f.Path, line, false, nil)
	}
}
