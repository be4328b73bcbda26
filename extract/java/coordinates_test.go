// SPDX-License-Identifier: Apache-2.0

package java_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/java"
)

func table(tb testing.TB, lines ...string) java.Coordinates {
	tb.Helper()
	slices.Sort(lines)
	text := strings.Join(lines, "")
	c, err := java.NewCoordinates(strings.NewReader(text), int64(len(text)))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// silent makes an archive that carries no coordinate.
func silent(tb testing.TB, text string) []byte {
	return archive(tb, []txtar.File{{Name: "org/example/A.class", Data: []byte(text)}}, zip.Deflate)
}

func line(data []byte, coordinate string) string {
	return fmt.Sprintf("%x %s\n", sha1.Sum(data), coordinate)
}

func TestCoordinates(t *testing.T) {
	var lines []string
	want := map[string]string{}
	got := map[string]string{}
	var jars [][]byte
	for i := range 300 {
		jar := silent(t, fmt.Sprint(i))
		jars = append(jars, jar)
		if i%3 > 0 {
			coordinate := fmt.Sprintf("org.example%s:lib-%d:1.%d", strings.Repeat(".long", i%40), i, i)
			lines = append(lines, line(jar, coordinate))
			group, rest, _ := strings.Cut(coordinate, ":")
			want[fmt.Sprint(i)] = fmt.Sprintf("pkg:maven/%s/lib-%d@1.%d", group, i, i)
			_ = rest
		}
	}
	e := java.Archive{Known: table(t, lines...)}
	for i, jar := range jars {
		pkgs, err := e.Extract(t.Context(), bulwark.MemoryFile("app.jar", 0o644, jar))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pkgs {
			got[fmt.Sprint(i)] = p.PURL
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCoordinatesAndFacts(t *testing.T) {
	properties := txtar.File{Name: "META-INF/maven/x/y/pom.properties", Data: fmt.Appendf(nil, properties, "inner")}
	jar := archive(t, []txtar.File{properties}, zip.Deflate)
	nested := archive(t, []txtar.File{{Name: "lib/x.jar", Data: silent(t, "x")}}, zip.Deflate)
	e := java.Archive{Known: table(t, line(jar, "org.outer:outer:2.0"), line(silent(t, "x"), "org.x:x:3.0"))}
	for _, c := range []struct{ path, want string }{
		{"outer.jar", "pkg:maven/org.example/inner@1.0 outer.jar:0\npkg:maven/org.outer/outer@2.0 outer.jar:0\n"},
		{"inner-1.0.jar", "pkg:maven/org.example/inner@1.0 inner-1.0.jar:0\n"}, // what it says itself is enough
	} {
		pkgs, err := e.Extract(t.Context(), bulwark.MemoryFile(c.path, 0o644, jar))
		if diff := cmp.Diff(c.want, describe(pkgs, err)); diff != "" {
			t.Error(diff)
		}
	}
	pkgs, err := e.Extract(t.Context(), bulwark.MemoryFile("app.war", 0o644, nested))
	if want := "pkg:maven/org.x/x@3.0 app.war!/lib/x.jar:0\n"; describe(pkgs, err) != want {
		t.Errorf("%s", describe(pkgs, err))
	}
}

type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { return 0, errors.New("read fails on purpose") }

func TestCoordinatesHostile(t *testing.T) {
	jar := silent(t, "x")
	if _, err := java.NewCoordinates(strings.NewReader("a table\n"), 8); err == nil {
		t.Error("a text that is no table is taken")
	}
	if _, err := java.NewCoordinates(broken{}, 8); err == nil {
		t.Error("no error although reads fail")
	}
	good := line([]byte("other"), "a:b:1")
	for name, text := range map[string]string{
		"long-line":      good + strings.Repeat("f", 100_000) + "\n",
		"cut":            good + strings.Repeat("f", 40),
		"no-coordinate":  line(jar, "what ever"),
		"unsorted":       strings.Repeat("f", 40) + " a:b:1\n" + strings.Repeat("0", 40) + " a:b:1\n",
		"shorter":        good,
		"carriage":       strings.ReplaceAll(good, "\n", "\r\n"),
		"without-end":    strings.TrimSuffix(good, "\n"),
		"empty":          "",
		"nothing-inside": "\n",
	} {
		size := int64(len(text))
		if name == "shorter" {
			size += 1000
		}
		c, err := java.NewCoordinates(strings.NewReader(text), size)
		if err != nil {
			continue
		}
		pkgs, _ := java.Archive{Known: c}.Extract(t.Context(), bulwark.MemoryFile("app.jar", 0o644, jar))
		if len(pkgs) > 0 {
			t.Errorf("%s: %v", name, pkgs)
		}
	}
}

func FuzzCoordinates(f *testing.F) {
	jar := silent(f, "x")
	f.Add([]byte(line(jar, "a:b:1")))
	f.Add([]byte(line([]byte("other"), "a:b:1") + line(jar, "a:b:1")))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := java.NewCoordinates(io.NewSectionReader(bytes.NewReader(text), 0, int64(len(text))), int64(len(text)))
		if err != nil {
			return
		}
		_, _ = java.Archive{Known: c}.Extract(t.Context(), bulwark.MemoryFile("app.jar", 0o644, jar))
	})
}
