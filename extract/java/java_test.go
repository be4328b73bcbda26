// SPDX-License-Identifier: Apache-2.0

package java_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
	"github.com/bulwark-sec/bulwark/extract/java"
)

type extractor interface {
	Name() string
	Wants(path string, st bulwark.Stat) bool
	Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error)
}

var extractors = []extractor{java.Archive{}, java.PomXML{}, java.GradleLock{}, java.GradleVerification{}}

// describe writes one line for each package and one for the error.
func describe(pkgs []bulwark.Package, err error) string {
	var b strings.Builder
	for _, p := range pkgs {
		fmt.Fprintf(&b, "%s %s:%d", p.PURL, p.Where[0].Path, p.Where[0].Line)
		if p.Dev {
			b.WriteString(" dev")
		}
		if len(p.Licenses) > 0 {
			fmt.Fprintf(&b, " %s", strings.Join(p.Licenses, ","))
		}
		b.WriteByte('\n')
	}
	if err != nil {
		fmt.Fprintf(&b, "error: %v\n", err)
	}
	return b.String()
}

// pack makes archives of files whose path goes through one: "a.jar!/b.jar!/c".
// Compressed archives are nested as they are by wars, stored ones as by Spring.
func pack(tb testing.TB, files []txtar.File, method uint16) []txtar.File {
	tb.Helper()
	var out []txtar.File
	inner := map[string][]txtar.File{}
	for _, f := range files {
		outer, rest, ok := strings.Cut(f.Name, "!/")
		if !ok {
			out = append(out, f)
			continue
		}
		if _, ok := inner[outer]; !ok {
			out = append(out, txtar.File{Name: outer})
		}
		if rest != "" {
			inner[outer] = append(inner[outer], txtar.File{Name: rest, Data: f.Data})
		} else {
			inner[outer] = append(inner[outer], []txtar.File{}...)
		}
	}
	for i, f := range out {
		if list, ok := inner[f.Name]; ok {
			out[i].Data = archive(tb, pack(tb, list, method), method)
		}
	}
	return out
}

func archive(tb testing.TB, files []txtar.File, method uint16) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, f := range files {
		e, err := w.CreateHeader(&zip.FileHeader{Name: f.Name, Method: method})
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := e.Write(f.Data); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

// fixtures calls try with each file of each archive in testdata, the extractor
// that wants it, and what is expected: the file of the same name with ".want".
func fixtures(tb testing.TB, method uint16, try func(path string, data []byte, e extractor, want string)) {
	tb.Helper()
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		tb.Fatal("no fixtures", err)
	}
	for _, name := range archives {
		a, err := txtar.ParseFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		files := pack(tb, a.Files, method)
		want := map[string]string{}
		for _, f := range files {
			want[f.Name] = string(f.Data)
		}
		for _, f := range files {
			if strings.HasSuffix(f.Name, ".want") {
				continue
			}
			w, ok := want[f.Name+".want"]
			found := false
			for _, e := range extractors {
				if e.Wants(f.Name, bulwark.Stat{Size: int64(len(f.Data)), Mode: 0o644}) {
					found = true
					try(f.Name, f.Data, e, w)
				}
			}
			if found != ok {
				tb.Errorf("%s in %s: wanted %v, expected %v", f.Name, name, found, ok)
			}
		}
	}
}

func TestFixtures(t *testing.T) {
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		fixtures(t, method, func(path string, data []byte, e extractor, want string) {
			t.Run(fmt.Sprintf("%d/%s", method, path), func(t *testing.T) {
				pkgs, err := e.Extract(t.Context(), bulwark.MemoryFile(path, 0o644, data))
				if diff := cmp.Diff(want, describe(pkgs, err)); diff != "" {
					t.Error(diff)
				}
				for _, p := range pkgs {
					if p.Ecosystem != "Maven" || p.By != e.Name() || strings.Count(p.Name, ":") != 1 {
						t.Errorf("%+v", p)
					}
				}
			})
		})
	}
}

func TestKit(t *testing.T) {
	seeds := map[string]map[string][]byte{}
	fixtures(t, zip.Deflate, func(path string, data []byte, e extractor, want string) {
		if want == "" || strings.Contains(want, "error:") {
			return
		}
		if seeds[e.Name()] == nil {
			seeds[e.Name()] = map[string][]byte{}
		}
		if len(seeds[e.Name()]) < 3 || strings.HasSuffix(path, ".war") {
			seeds[e.Name()][path] = data
		}
	})
	for _, e := range extractors {
		t.Run(e.Name(), func(t *testing.T) { extracttest.Extractor(t, e, seeds[e.Name()]) })
	}
}

const properties = "groupId=org.example\nartifactId=%s\nversion=1.0\n"

func TestPrefix(t *testing.T) {
	// Spring's executable archives begin with a shell script; offsets in them are
	// counted from the archive or from the file.
	data := archive(t, []txtar.File{{Name: "META-INF/maven/x/y/pom.properties", Data: fmt.Appendf(nil, properties, "app")}}, zip.Deflate)
	data = append([]byte("#!/bin/sh\nexec java -jar \"$0\"\n"), data...)
	pkgs, err := java.Archive{}.Extract(t.Context(), bulwark.MemoryFile("app.jar", 0o755, data))
	if want := "pkg:maven/org.example/app@1.0 app.jar:0\n"; describe(pkgs, err) != want {
		t.Errorf("%s, want %s", describe(pkgs, err), want)
	}
}

func TestNesting(t *testing.T) {
	data := archive(t, []txtar.File{{Name: "META-INF/maven/x/y/pom.properties", Data: fmt.Appendf(nil, properties, "core")}}, zip.Deflate)
	for range 3 {
		data = archive(t, []txtar.File{{Name: "in.jar", Data: data}}, zip.Deflate)
	}
	pkgs, err := java.Archive{}.Extract(t.Context(), bulwark.MemoryFile("a.jar", 0, data))
	if err != nil || len(pkgs) != 1 || pkgs[0].Where[0].Path != "a.jar!/in.jar!/in.jar!/in.jar" {
		t.Errorf("%v, %v", pkgs, err)
	}
	for range 3 {
		data = archive(t, []txtar.File{{Name: "in.jar", Data: data}}, zip.Store)
	}
	if _, err = (java.Archive{}).Extract(t.Context(), bulwark.MemoryFile("a.jar", 0, data)); !errors.Is(err, bulwark.ErrTooLarge) {
		t.Errorf("error %v, want ErrTooLarge", err)
	}
}

// raw makes an entry with a header that claims what it likes.
func raw(tb testing.TB, name string, method uint16, body []byte, size uint64) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	e, err := w.CreateRaw(&zip.FileHeader{
		Name: name, Method: method, CRC32: crc32.ChecksumIEEE(body), CompressedSize64: uint64(len(body)), UncompressedSize64: size,
	})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := e.Write(body); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func TestHostile(t *testing.T) {
	bomb := archive(t, []txtar.File{{Name: "in.jar", Data: make([]byte, 200<<20)}}, zip.Deflate)
	var many bytes.Buffer
	w := zip.NewWriter(&many)
	for i := range 600_000 {
		if _, err := w.CreateRaw(&zip.FileHeader{Name: fmt.Sprintf("%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"bomb":          {bomb, bulwark.ErrTooLarge},
		"lying-size":    {raw(t, "in.jar", zip.Deflate, []byte("x"), 1<<40), nil},
		"method":        {raw(t, "in.jar", 99, []byte("x"), 1), bulwark.ErrUnsupported},
		"entries":       {many.Bytes(), bulwark.ErrTooLarge},
		"no-zip":        {[]byte("version https://git-lfs.test/spec/v1\noid sha256:x\n"), nil},
		"wide-nonsense": {append(bytes.Repeat([]byte("PK\x06\x07"), 10), bytes.Repeat([]byte("PK\x05\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00"), 5)...), nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := java.Archive{}.Extract(t.Context(), bulwark.MemoryFile("a.jar", 0, c.data))
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
		})
	}
}

func TestPropertyBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString("<project><properties>")
	for i := range 30 {
		fmt.Fprintf(&b, "<p%d>${p%d}${p%d}${p%d}</p%d>", i, i+1, i+1, i+1, i)
	}
	b.WriteString("<loop>${loop}</loop></properties><dependencies>")
	b.WriteString("<dependency><groupId>g</groupId><artifactId>a</artifactId><version>${p0}</version></dependency>")
	b.WriteString("<dependency><groupId>g</groupId><artifactId>b</artifactId><version>${loop}</version></dependency></dependencies></project>")
	pkgs, err := java.PomXML{}.Extract(t.Context(), bulwark.MemoryFile("pom.xml", 0, []byte(b.String())))
	if want := "pkg:maven/g/a pom.xml:1\npkg:maven/g/b pom.xml:1\n"; describe(pkgs, err) != want {
		t.Errorf("%s", describe(pkgs, err))
	}
}

// TestDebian compares with the version in the names of Debian's links, which
// are made from the upstream version.
func TestDebian(t *testing.T) {
	links, err := filepath.Glob("/usr/share/java/*.jar")
	if err != nil || len(links) == 0 {
		t.Skip("no Debian jars on this machine")
	}
	right, wrong, without := 0, 0, 0
	for _, link := range links {
		st, err := os.Lstat(link)
		if err != nil || st.Mode()&fs.ModeSymlink == 0 {
			continue
		}
		name, version, ok := strings.Cut(strings.TrimSuffix(filepath.Base(link), ".jar"), "-")
		for ok && (version == "" || version[0] < '0' || version[0] > '9') {
			var more string
			more, version, ok = strings.Cut(version, "-")
			name += "-" + more
		}
		if !ok {
			continue
		}
		if strings.HasSuffix(version, ".x") {
			continue // "maven3-core-3.x.jar" is Debian's name, not a version
		}
		file, err := filepath.EvalSymlinks(link)
		if err != nil {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		pkgs, err := java.Archive{}.Extract(t.Context(), bulwark.MemoryFile(strings.TrimPrefix(file, "/"), 0o644, data))
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
		switch {
		case len(pkgs) == 0:
			without++
			t.Logf("%s: nothing", file)
		case slices.ContainsFunc(pkgs, func(p bulwark.Package) bool {
			return strings.HasPrefix(version, strings.TrimSuffix(p.Version, ".Final")) || strings.HasPrefix(p.Version, version)
		}):
			right++
		default:
			wrong++
			t.Logf("%s: want version %s: %s", file, version, describe(pkgs, nil))
		}
	}
	t.Logf("version right %d, other %d, nothing %d", right, wrong, without)
	if right < 3*(wrong+without) {
		t.Errorf("version right %d, other %d, nothing %d", right, wrong, without)
	}
}

func FuzzArchive(f *testing.F) {
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		fixtures(f, method, func(path string, data []byte, e extractor, _ string) {
			if e.Name() == "jar" {
				f.Add(data)
			}
		})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = java.Archive{}.Extract(t.Context(), bulwark.MemoryFile("a-1.0.jar", 0, data))
	})
}

func FuzzText(f *testing.F) {
	fixtures(f, zip.Store, func(_ string, data []byte, e extractor, _ string) {
		if n := slices.IndexFunc(extractors, func(x extractor) bool { return x.Name() == e.Name() }); n > 0 {
			f.Add(n, data)
		}
	})
	f.Fuzz(func(t *testing.T, n int, data []byte) {
		e := extractors[1+uint(n)%uint(len(extractors)-1)]
		_, _ = e.Extract(t.Context(), bulwark.MemoryFile("a", 0, data))
	})
}

func BenchmarkArchive(b *testing.B) {
	files := []txtar.File{
		{Name: "META-INF/MANIFEST.MF", Data: []byte("Manifest-Version: 1.0\nImplementation-Version: 1.0\n")},
		{Name: "META-INF/maven/org.example/lib/pom.properties", Data: fmt.Appendf(nil, properties, "lib")},
	}
	for i := range 2000 {
		files = append(files, txtar.File{Name: fmt.Sprintf("org/example/lib/inner/Class%d.class", i), Data: []byte("x")})
	}
	data := archive(b, files, zip.Deflate)
	f := bulwark.MemoryFile("lib-1.0.jar", 0, data)
	b.Run("own", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if pkgs, err := (java.Archive{}).Extract(b.Context(), f); err != nil || len(pkgs) != 1 {
				b.Fatal(pkgs, err)
			}
		}
	})
	b.Run("opening-with-archive-zip", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := zip.NewReader(bytes.NewReader(data), int64(len(data))); err != nil {
				b.Fatal(err)
			}
		}
	})
}
