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

// Extract gives the components of which the build fetched more than metadata.
// What has only a POM or a module file is a parent, a list of versions, or a
// version that lost against another when Gradle resolved conflicts, and runs
// nowhere. Components of publishers that are trusted as a whole are not in the
// file.
func (e GradleVerification) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	if f.Size > maxLock {
		_, err := f.Bytes(maxLock)
		return nil, err
	}
	dec := xml.NewDecoder(cancelled{ctx.Err, f.Reader()})
	var (
		all   []verified
		known bool // the component at hand is the last of all
	)
	for {
		t, err := dec.Token()
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return fetched(e.Name(), f.Path, all), nil
		}
		if err != nil {
			return fetched(e.Name(), f.Path, all), malformed(f, err)
		}
		start, ok := t.(xml.StartElement)
		switch {
		case !ok:
		case start.Name.Local == "component":
			c := verified{}
			c.line, _ = dec.InputPos()
			for _, a := range start.Attr {
				switch a.Name.Local {
				case "group":
					c.group = a.Value
				case "name":
					c.artifact = a.Value
				case "version":
					c.version = a.Value
				}
			}
			if known = c.plausible(); known {
				all = append(all, c)
			}
		case start.Name.Local == "artifact" && known:
			for _, a := range start.Attr {
				if a.Name.Local == "name" {
					all[len(all)-1].has(a.Value)
				}
			}
		}
	}
}

// A verified is a component of the list, and which of its files are in it.
type verified struct {
	gav
	line              int
	pom, module, code bool
}

// has notes a file of the component.
func (v *verified) has(file string) {
	switch {
	case strings.HasSuffix(file, ".pom"):
		v.pom = true
	case strings.HasSuffix(file, ".module"):
		v.module = true
	default:
		v.code = true
	}
}

// fetched gives the components with code, and those without whose code lies in
// another component for the platform, as Kotlin divides its libraries.
func fetched(by, path string, all []verified) []bulwark.Package {
	code := map[gav]bool{}
	for _, v := range all {
		if v.code {
			code[v.gav] = true
		}
	}
	l := newList(by)
	for _, v := range all {
		ok := v.code || !v.pom && !v.module
		for _, platform := range [...]string{"-jvm", "-android", "-desktop"} {
			ok = ok || v.module && code[gav{v.group, v.artifact + platform, v.version}]
		}
		if ok {
			l.add(v.gav, path, v.line, false, nil)
		}
	}
	return l.pkgs
}
