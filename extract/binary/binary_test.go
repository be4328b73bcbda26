// SPDX-License-Identifier: Apache-2.0

package binary_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/binary"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
)

// An example is a text in a file, and the version that it tells; "" for none.
type example struct{ product, file, version, text string }

func examples(tb testing.TB) []example {
	tb.Helper()
	a, err := txtar.ParseFile("testdata/examples.txtar")
	if err != nil {
		tb.Fatal(err)
	}
	var list []example
	for _, f := range a.Files {
		for line := range strings.Lines(string(f.Data)) {
			file, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			version, quoted, _ := strings.Cut(rest, " ")
			text, err := strconv.Unquote(quoted)
			if err != nil {
				tb.Fatalf("%s: %s: %v", f.Name, line, err)
			}
			list = append(list, example{f.Name, file, strings.TrimPrefix(version, "-"), text})
		}
	}
	return list
}

// version gives the version of a product that a file has.
func version(tb testing.TB, product, path string, data []byte) string {
	tb.Helper()
	pkgs, err := binary.Classifier{}.Extract(tb.Context(), bulwark.MemoryFile(path, 0o755, data))
	if err != nil {
		tb.Errorf("%s: %v", path, err)
	}
	v := ""
	for _, p := range pkgs {
		if name, _, _ := strings.Cut(strings.TrimPrefix(p.PURL, "pkg:generic/"), "@"); name == product {
			v = p.Version
		}
	}
	return v
}

// TestExamples puts each text in the middle of a file, and where one read ends
// and the next begins.
func TestExamples(t *testing.T) {
	right, wrong := map[string]int{}, map[string]int{}
	for _, e := range examples(t) {
		if e.version == "" {
			wrong[e.product]++
		} else {
			right[e.product]++
		}
		if !(binary.Classifier{}).Wants("opt/"+e.file, bulwark.Stat{Size: 1000, Mode: 0o755}) {
			t.Errorf("%s: %s is not wanted", e.product, e.file)
		}
		for _, at := range []int{200, binary.Chunk - len(e.text)/2, binary.Chunk - 1, 2*binary.Chunk - 256} {
			data := make([]byte, at+len(e.text)+300)
			copy(data[at:], e.text)
			if got := version(t, e.product, "opt/"+e.file, data); got != e.version {
				t.Errorf("%s: %q at %d in %s: version %q, want %q", e.product, e.text, at, e.file, got, e.version)
			}
		}
	}
	names := binary.Products()
	for name := range right {
		if _, ok := names[name]; !ok {
			t.Errorf("examples of %s, which is no product", name)
		}
	}
	count := 0
	for name := range names {
		if name == "elixir" || name == "rabbitmq" || name == "firefox" || name == "r" {
			continue // told by text files
		}
		if count++; right[name] == 0 || wrong[name] == 0 {
			t.Errorf("%s: %d true and %d false examples", name, right[name], wrong[name])
		}
	}
	t.Logf("%d products", count)
}

func TestStem(t *testing.T) {
	got := map[string]string{}
	for _, name := range []string{
		"python3.11", "libpython3.11.so.1.0", "libssl.so.3", "libc-2.31.so", "x86_64-linux-gnu-gcc-12", "node.exe",
		"libstd-6f77337c1826707d.so", "openssl.so", "php8.2", "php-fpm8.2", "ld-musl-x86_64.so.1", "libsomething",
		"libcurl-gnutls.so.4.8.0", "", ".so", "beam.smp", "libfoo.sound", strings.Repeat("a", 1000),
	} {
		got[name[:min(len(name), 40)]] = binary.Stem(name)
	}
	want := map[string]string{
		"python3.11": "python", "libpython3.11.so.1.0": "libpython", "libssl.so.3": "libssl", "libc-2.31.so": "libc",
		"x86_64-linux-gnu-gcc-12": "gcc", "node.exe": "node", "libstd-6f77337c1826707d.so": "libstd", "openssl.so": "",
		"php8.2": "php", "php-fpm8.2": "php-fpm", "ld-musl-x86_64.so.1": "ld-musl-x", "libsomething": "libsomething",
		"libcurl-gnutls.so.4.8.0": "libcurl-gnutls", "": "", ".so": ".so", "beam.smp": "beam.smp", "libfoo.sound": "libfoo.sound",
		strings.Repeat("a", 40): "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPackage(t *testing.T) {
	data := elf{wide: true, text: "\x00nginx version: nginx/1.25.1\n\x00"}.bytes()
	pkgs, err := binary.Classifier{}.Extract(t.Context(), bulwark.MemoryFile("usr/sbin/nginx", 0o755, data))
	want := []bulwark.Package{{
		PURL: "pkg:generic/nginx@1.25.1", Name: "nginx", Version: "1.25.1", Ecosystem: "Bitnami",
		Where: []bulwark.Location{{Path: "usr/sbin/nginx"}}, By: "binary",
	}}
	if diff := cmp.Diff(want, pkgs); diff != "" || err != nil {
		t.Error(diff, err)
	}
	data = elf{wide: true, text: "Apache/2.4.57\x00"}.bytes()
	pkgs, err = binary.Classifier{}.Extract(t.Context(), bulwark.MemoryFile("apache2", 0o755, data))
	if err != nil || len(pkgs) != 1 || pkgs[0].PURL != "pkg:generic/httpd@2.4.57" || pkgs[0].Name != "apache" {
		t.Errorf("%v, %v", pkgs, err)
	}
	// Neither code nor what is there for debuggers is evidence.
	data = elf{wide: true, code: "\x00nginx version: nginx/1.25.1\n\x00", text: "x"}.bytes()
	if pkgs, err = (binary.Classifier{}).Extract(t.Context(), bulwark.MemoryFile("nginx", 0o755, data)); err != nil || len(pkgs) != 0 {
		t.Errorf("from code: %v, %v", pkgs, err)
	}
}

func TestWantsHead(t *testing.T) {
	head := func(magic string, at16 byte) []byte {
		b := make([]byte, 64)
		copy(b, magic)
		b[16] = at16
		return b
	}
	for _, c := range []struct {
		name string
		head []byte
		want bool
	}{
		{"program", head("\x7fELF\x02\x01\x01", 2), true},
		{"library", head("\x7fELF\x02\x01\x01", 3), true},
		{"object", head("\x7fELF\x02\x01\x01", 1), false},
		{"pe", head("MZ", 0), true},
		{"macho", head("\xcf\xfa\xed\xfe", 0), true},
		{"universal", head("\xca\xfe\xba\xbe\x00\x00\x00\x02", 0), true},
		{"class", head("\xca\xfe\xba\xbe\x00\x00\x00\x41", 0), false},
		{"script", []byte("#!/bin/sh\nexec /opt/nginx/sbin/nginx\n"), false},
		{"empty", nil, false},
	} {
		if got := (binary.Classifier{}).WantsHead("nginx", c.head); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestRuntimeFiles(t *testing.T) {
	a, err := txtar.ParseFile("testdata/texts.txtar")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	got := map[string]string{}
	for _, f := range a.Files {
		if path, ok := strings.CutSuffix(f.Name, ".want"); ok {
			want[path] = string(f.Data)
			continue
		}
		e := binary.RuntimeFile{}
		got[f.Name] = "nothing\n"
		if e.Wants(f.Name, bulwark.Stat{Size: int64(len(f.Data))}) && e.WantsHead(f.Name, f.Data[:min(4096, len(f.Data))]) {
			pkgs, err := e.Extract(t.Context(), bulwark.MemoryFile(f.Name, 0o644, f.Data))
			if err != nil {
				t.Error(err)
			}
			for _, p := range pkgs {
				got[f.Name] = strings.TrimSpace(p.PURL+" "+p.Ecosystem) + "\n"
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestKit(t *testing.T) {
	extracttest.Extractor(t, binary.Classifier{}, map[string][]byte{
		"usr/sbin/nginx":        elf{wide: true, text: "\x00nginx version: nginx/1.25.1\n\x00"}.bytes(),
		"usr/local/bin/helm":    helm().bytes(),
		"usr/local/bin/python3": elf{text: "\x00lib/python3.8\x00PYTHONHOME\x003.8.16\x00"}.bytes(),
	})
	a, err := txtar.ParseFile("testdata/texts.txtar")
	if err != nil {
		t.Fatal(err)
	}
	seeds := map[string][]byte{}
	for _, f := range a.Files {
		if strings.HasPrefix(f.Name, "usr/") && !strings.HasSuffix(f.Name, ".want") {
			seeds[f.Name] = f.Data
		}
	}
	extracttest.Extractor(t, binary.RuntimeFile{}, seeds)
}

// TestSnippets looks at the excerpts of real programs that Syft keeps as test
// data. The versions of Go programs are not told in them: their excerpts hold
// bytes that look like a version, and nothing that says whose.
func TestSnippets(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Skip(err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "github.com/anchore/syft@v1.57.0/syft/pkg/cataloger/binary/testdata/classifiers/snippets")
	files, err := filepath.Glob(dir + "/*/*/*/*")
	if err != nil || len(files) == 0 {
		t.Skip("the test data of Syft is not in the module cache: make test-system gets it")
	}
	right, nothing := 0, 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // a directory
		}
		if _, after, ok := bytes.Cut(data, []byte("### byte snippet to follow ###\n")); ok {
			data = after
		}
		pkgs, err := binary.Classifier{}.Extract(t.Context(), bulwark.MemoryFile(filepath.Base(file), 0o755, data))
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
		want := filepath.Base(filepath.Dir(filepath.Dir(file)))
		switch {
		case len(pkgs) == 0:
			nothing++
		case len(pkgs) == 1 && agrees(pkgs[0].Version, want):
			right++
		default:
			t.Errorf("%s: %+v", file, pkgs)
		}
	}
	t.Logf("right %d, nothing %d", right, nothing)
	if right < 95 {
		t.Errorf("right %d of %d", right, len(files))
	}
}

// agrees tells whether a version is the one that a directory is named after,
// which may have the build or the series in another form.
func agrees(got, want string) bool {
	if update, ok := strings.CutPrefix(want, "1.8.0_"); ok {
		want = "8.0." + update
	}
	want, _, _ = strings.Cut(want, "-b")
	want, _, _ = strings.Cut(want, "+")
	return got == want || strings.HasPrefix(want, got+"-") || strings.HasPrefix(want, got+"p") || strings.HasPrefix(got, want+"-") || want == got+".0.0"
}

// TestSystemBitnami tells whether the names are those of real advisories.
func TestSystemBitnami(t *testing.T) {
	dir := os.Getenv("BULWARK_DATA")
	if dir == "" {
		t.Skip("needs the advisories: BULWARK_DATA names their folder")
	}
	z, err := zip.OpenReader(filepath.Join(dir, "osv/Bitnami/all.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = z.Close() }()
	known := map[string]bool{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		var a struct {
			Affected []struct {
				Package struct{ Name string }
			}
		}
		if err := json.NewDecoder(r).Decode(&a); err != nil {
			t.Fatal(err)
		}
		for _, x := range a.Affected {
			known[x.Package.Name] = true
		}
	}
	used := 0
	for name, bitnami := range binary.Products() {
		if bitnami == "" {
			if known[name] {
				t.Errorf("%s has advisories under its own name, which is not used", name)
			}
			continue
		}
		if used++; !known[bitnami] {
			t.Errorf("%s: no advisory has the name %q", name, bitnami)
		}
	}
	t.Logf("%d products with advisories", used)
}

func FuzzClassifier(f *testing.F) {
	for _, e := range examples(f) {
		f.Add(e.file, []byte(e.text))
	}
	f.Add("helm", helm().bytes())
	f.Add("nginx", elf{wide: true, text: "\x00nginx version: nginx/1.25.1\n\x00"}.bytes())
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		_, _ = binary.Classifier{}.Extract(t.Context(), bulwark.MemoryFile(name, 0o755, data))
	})
}

func FuzzRuntimeFile(f *testing.F) {
	f.Add("release", []byte("JAVA_VERSION=\"17.0.1\"\n"))
	f.Add("elixir.app", []byte("{application,elixir,[{vsn,\"1.14.0\"}]}."))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		_, _ = binary.RuntimeFile{}.Extract(t.Context(), bulwark.MemoryFile(name, 0o644, data))
	})
}

func BenchmarkClassifier(b *testing.B) {
	data := elf{wide: true, text: strings.Repeat("some text\x00", 1<<20)}.bytes()
	f := bulwark.MemoryFile("usr/sbin/nginx", 0o755, data)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (binary.Classifier{}).Extract(b.Context(), f); err != nil {
			b.Fatal(err)
		}
	}
}

// TestOwnFacts tells whether the products of Bulwark's own table of flaws are
// found under those names, and have no advisories that are better.
func TestOwnFacts(t *testing.T) {
	text, err := os.ReadFile("../../advisory/starter/products.txt")
	if err != nil {
		t.Fatal(err)
	}
	names := binary.Products()
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "Bulwark" || line[0] != ' ' {
			continue
		}
		seen[f[1]] = true
		if bitnami, ok := names[f[1]]; !ok || bitnami != "" {
			t.Errorf("%s: a product %t, in Bitnami's advisories %q", f[1], ok, bitnami)
		}
	}
	if len(seen) < 40 {
		t.Errorf("facts about %d products, want 40 or more", len(seen))
	}
}
