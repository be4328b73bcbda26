// SPDX-License-Identifier: Apache-2.0

package java

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

const (
	// maxPom bounds a pom.xml, bytes. The largest known ones have 300 KiB.
	maxPom = 8 << 20
	// maxExpand bounds properties in properties.
	maxExpand = 8
)

// PomXML reads the dependencies that a Maven project declares. It knows the
// project's own properties and managed versions, and the coordinate of its
// parent, but not what stands in the parent's file or in imported ones, which
// are elsewhere. Its zero value is ready to use.
type PomXML struct{}

// Name gives "pom-xml".
func (PomXML) Name() string { return "pom-xml" }

// Wants tells whether p is a project's pom.xml, not that of a library whose
// META-INF was unpacked.
func (PomXML) Wants(p string, st bulwark.Stat) bool {
	return base(p) == "pom.xml" && st.Mode&fs.ModeType == 0 && !strings.Contains(p, "META-INF/")
}

// Extract gives the declared dependencies. One whose version is declared
// elsewhere, or as a range, has an empty version.
func (e PomXML) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxPom)
	if err != nil {
		return nil, err
	}
	p, err := parsePom(ctx, data)
	l := newList(e.Name())
	vars := p.vars()
	managed := map[string]string{}
	for _, d := range p.Managed {
		if v := vars.expand(d.Version); version(v) {
			managed[vars.expand(d.Group)+":"+vars.expand(d.Artifact)] = v
		}
	}
	for i, d := range p.Dependencies {
		if i%checkEvery == 0 && ctx.Err() != nil {
			return l.pkgs, ctx.Err()
		}
		g := gav{vars.expand(d.Group), vars.expand(d.Artifact), vars.expand(d.Version)}
		if g.version == "" {
			g.version = managed[g.group+":"+g.artifact]
		}
		// "[1.2.3]" asks for exactly that version; all other ranges are open.
		if exact, ok := strings.CutPrefix(g.version, "["); ok {
			g.version = strings.TrimSuffix(exact, "]")
		}
		if !version(g.version) {
			g.version = ""
		}
		if scope := vars.expand(d.Scope); scope != "import" && scope != "system" {
			l.add(g, f.Path, d.line, scope == "test", nil)
		}
	}
	if err != nil {
		return l.pkgs, malformed(f, err)
	}
	return l.pkgs, nil
}

// A pom is what is needed of a project (https://maven.apache.org/pom.html).
type pom struct {
	Group        string       `xml:"groupId"`
	Artifact     string       `xml:"artifactId"`
	Version      string       `xml:"version"`
	Parent       coordinate   `xml:"parent"`
	Properties   properties   `xml:"properties"`
	Managed      []dependency `xml:"dependencyManagement>dependencies>dependency"`
	Dependencies []dependency `xml:"dependencies>dependency"`
}

type coordinate struct {
	Group    string `xml:"groupId"`
	Artifact string `xml:"artifactId"`
	Version  string `xml:"version"`
}

type dependency struct {
	coordinate
	Scope string
	line  int
}

// UnmarshalXML reads one dependency and where it begins.
func (d *dependency) UnmarshalXML(dec *xml.Decoder, start xml.StartElement) error {
	line, _ := dec.InputPos()
	var v struct {
		coordinate
		Scope string `xml:"scope"`
	}
	err := dec.DecodeElement(&v, &start)
	*d = dependency{coordinate: v.coordinate, Scope: v.Scope, line: line}
	return err
}

// properties are a project's own variables.
type properties map[string]string

// UnmarshalXML reads elements of any name.
func (p *properties) UnmarshalXML(dec *xml.Decoder, start xml.StartElement) error {
	if *p == nil {
		*p = properties{}
	}
	for {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			var v string
			if err := dec.DecodeElement(&v, &t); err != nil {
				return err
			}
			if v = strings.TrimSpace(v); len(v) <= maxName {
				(*p)[t.Name.Local] = v
			}
		case xml.EndElement:
			if t.Name == start.Name {
				return nil
			}
		}
	}
}

// parsePom reads a project. What was read before an error counts.
func parsePom(ctx context.Context, data []byte) (pom, error) {
	dec := xml.NewDecoder(cancelled{ctx.Err, bytes.NewReader(data)})
	dec.Entity = xml.HTMLEntity
	dec.CharsetReader = charset
	var p pom
	err := dec.Decode(&p)
	if err != nil && errors.Is(err, io.EOF) {
		err = errors.New("no project")
	}
	return p, err
}

// cancelled is a reader that ends with its context.
type cancelled struct {
	done func() error
	r    io.Reader
}

func (c cancelled) Read(p []byte) (int, error) {
	if err := c.done(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// charset reads the single-byte encodings that old projects are written in. What
// is wanted of them is ASCII.
func charset(label string, r io.Reader) (io.Reader, error) {
	switch strings.ToLower(label) {
	case "utf-8", "utf8", "us-ascii", "ascii":
		return r, nil
	case "iso-8859-1", "iso-8859-15", "latin1", "windows-1252", "cp1252":
		return &latin{r: r}, nil
	}
	return nil, fmt.Errorf("encoding %q: %w", label, bulwark.ErrUnsupported)
}

// latin turns ISO-8859-1 into UTF-8.
type latin struct {
	r    io.Reader
	rest []byte
}

func (l *latin) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(l.rest) == 0 {
		var in [512]byte
		n, err := l.r.Read(in[:])
		if n == 0 {
			return 0, err
		}
		for _, c := range in[:n] {
			l.rest = append(l.rest, string(rune(c))...)
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// vars gives the variables of a project, with those that Maven makes.
func (p pom) vars() properties {
	v := properties{}
	for k, s := range p.Properties {
		v[k] = s
	}
	self := p.self()
	for k, s := range map[string]string{
		"groupId": self.Group, "artifactId": self.Artifact, "version": self.Version,
		"parent.groupId": p.Parent.Group, "parent.version": p.Parent.Version,
	} {
		s = strings.TrimSpace(s)
		v["project."+k], v["pom."+k] = s, s
	}
	if _, ok := v["version"]; !ok {
		v["version"] = v["project.version"]
	}
	return v
}

// self gives the coordinate of the project, part of which it may owe its parent.
func (p pom) self() coordinate {
	c := coordinate{p.Group, p.Artifact, p.Version}
	if c.Group == "" {
		c.Group = p.Parent.Group
	}
	if c.Version == "" {
		c.Version = p.Parent.Version
	}
	return c
}

// expand fills variables in. One that is not known stays, and makes the value
// implausible. Hostile ones that grow without end are cut.
func (p properties) expand(s string) string {
	s = strings.TrimSpace(s)
	for range maxExpand {
		start := strings.Index(s, "${")
		if start < 0 {
			return s
		}
		var b strings.Builder
		changed := false
		for start >= 0 && b.Len() <= maxName {
			end := strings.IndexByte(s[start:], '}')
			if end < 0 {
				break
			}
			name := s[start+2 : start+end]
			value, ok := p[name]
			if !ok {
				value = s[start : start+end+1]
			}
			changed = changed || ok
			b.WriteString(s[:start])
			b.WriteString(value)
			s = s[start+end+1:]
			start = strings.Index(s, "${")
		}
		b.WriteString(s)
		s = b.String()
		if !changed || len(s) > maxName {
			return s
		}
	}
	return s
}

// pomSelf gives the coordinate in the pom.xml that lies in an archive.
func pomSelf(ctx context.Context, data []byte) gav {
	p, err := parsePom(ctx, data)
	if err != nil {
		return gav{}
	}
	c, vars := p.self(), p.vars()
	return gav{vars.expand(c.Group), vars.expand(c.Artifact), vars.expand(c.Version)}
}
