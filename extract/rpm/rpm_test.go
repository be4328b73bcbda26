// SPDX-License-Identifier: Apache-2.0

package rpm_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
	"github.com/bulwark-sec/bulwark/extract/rpm"
	"github.com/bulwark-sec/bulwark/internal/bdb/bdbtest"
	"github.com/bulwark-sec/bulwark/internal/ndb/ndbtest"
)

const rpmdb = "var/lib/rpm/"

// A builder writes package headers.
type builder struct {
	index, data []byte
	tags        int
}

func (b *builder) add(tag, kind uint32, count int, data []byte) {
	for kind == 4 && len(b.data)%4 != 0 || kind == 3 && len(b.data)%2 != 0 {
		b.data = append(b.data, 0)
	}
	for _, v := range []uint32{tag, kind, uint32(len(b.data)), uint32(count)} {
		b.index = binary.BigEndian.AppendUint32(b.index, v)
	}
	b.data = append(b.data, data...)
	b.tags++
}

func (b *builder) text(tag uint32, kind uint32, s ...string) {
	b.add(tag, kind, len(s), []byte(strings.Join(s, "\x00")+"\x00"))
}

func (b *builder) bytes() []byte {
	h := binary.BigEndian.AppendUint32(nil, uint32(b.tags))
	h = binary.BigEndian.AppendUint32(h, uint32(len(b.data)))
	return append(append(h, b.index...), b.data...)
}

type spec struct {
	name, version, release, arch, source, license, vendor, module string

	epoch uint32
	files []string // directories end in a slash
}

func (s spec) header() []byte {
	var b builder
	b.text(1000, 6, s.name)
	b.text(1001, 6, s.version)
	b.text(1002, 6, s.release)
	if s.epoch > 0 {
		b.add(1003, 4, 1, binary.BigEndian.AppendUint32(nil, s.epoch))
	}
	b.text(1004, 9, "a summary", "eine Zusammenfassung")
	b.text(1014, 6, s.license)
	for tag, v := range map[uint32]string{1011: s.vendor, 1022: s.arch, 1044: s.source, 5096: s.module} {
		if v != "" {
			b.text(tag, 6, v)
		}
	}
	if len(s.files) > 0 {
		var dirs, bases []string
		var indexes, modes []byte
		for _, f := range s.files {
			mode := uint16(0o100644)
			if strings.HasSuffix(f, "/") {
				f, mode = strings.TrimSuffix(f, "/"), 0o040755
			}
			dir, base := f[:strings.LastIndexByte(f, '/')+1], f[strings.LastIndexByte(f, '/')+1:]
			if !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
			bases = append(bases, base)
			indexes = binary.BigEndian.AppendUint32(indexes, uint32(slices.Index(dirs, dir)))
			modes = binary.BigEndian.AppendUint16(modes, mode)
		}
		b.text(1117, 8, bases...)
		b.text(1118, 8, dirs...)
		b.add(1116, 4, len(bases), indexes)
		b.add(1030, 3, len(bases), modes)
	}
	return b.bytes()
}

func specs() []spec {
	many := []string{"/usr/share/many/"}
	for i := range 300 {
		many = append(many, fmt.Sprintf("/usr/share/many/file-%03d", i))
	}
	return []spec{
		{name: "bash", version: "5.1.8", release: "6.el9", arch: "x86_64", source: "bash-5.1.8-6.el9.src.rpm", license: "GPLv3+", vendor: "Red Hat, Inc.", files: []string{"/etc/skel/", "/bin/bash", "/usr/bin/alias"}},
		{name: "openssl-libs", version: "1.1.1k", release: "7.el8_6", epoch: 1, arch: "x86_64", source: "openssl-1.1.1k-7.el8_6.src.rpm", license: "OpenSSL and ASL 2.0", vendor: "Red Hat, Inc."},
		{name: "gpg-pubkey", version: "fd431d51", release: "4ae0493b", license: "pubkey"},
		{name: "nodejs", version: "18.17.1", release: "1.module+el8", epoch: 1, arch: "x86_64", source: "nodejs-18.17.1-1.module+el8.src.rpm", license: "MIT", module: "nodejs:18:8080020230718150515:63b34585"},
		{name: "perl-libs", version: "5.26.3", release: "422.el8", epoch: 4, arch: "i686", source: "perl-5.26.2-1.el8.nosrc.rpm", license: "GPL+ or Artistic"},
		{name: "many", version: "1", release: "1", arch: "noarch", source: "many-1-1.src.rpm", license: "MIT", files: many},
	}
}

func rhel() *bulwark.OS { return &bulwark.OS{ID: "rhel", Version: "8.6", Ecosystem: "an ecosystem"} }

func want(path string) []bulwark.Package {
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf("usr/share/many/file-%03d", i))
	}
	where := []bulwark.Location{{Path: path}}
	return []bulwark.Package{
		{
			PURL: "pkg:rpm/redhat/bash@5.1.8-6.el9?arch=x86_64&distro=rhel-8.6&upstream=bash-5.1.8-6.el9.src.rpm",
			Name: "bash", Version: "5.1.8-6.el9", Ecosystem: "an ecosystem", Source: "bash", Arch: "x86_64", Vendor: "Red Hat, Inc.",
			Licenses: []string{"GPLv3+"}, Where: where, By: "rpm", Files: []string{"bin/bash", "usr/bin/bash", "usr/bin/alias"},
		},
		{
			PURL: "pkg:rpm/redhat/openssl-libs@1.1.1k-7.el8_6?arch=x86_64&distro=rhel-8.6&epoch=1&upstream=openssl-1.1.1k-7.el8_6.src.rpm",
			Name: "openssl-libs", Version: "1:1.1.1k-7.el8_6", Ecosystem: "an ecosystem", Source: "openssl", Arch: "x86_64", Vendor: "Red Hat, Inc.",
			Licenses: []string{"OpenSSL and ASL 2.0"}, Where: where, By: "rpm",
		},
		{
			PURL: "pkg:rpm/redhat/nodejs@18.17.1-1.module%2Bel8?arch=x86_64&distro=rhel-8.6&epoch=1&upstream=nodejs-18.17.1-1.module%2Bel8.src.rpm",
			Name: "nodejs", Version: "1:18.17.1-1.module+el8", Ecosystem: "an ecosystem", Source: "nodejs", Arch: "x86_64", Module: "nodejs:18",
			Licenses: []string{"MIT"}, Where: where, By: "rpm",
		},
		{
			PURL: "pkg:rpm/redhat/perl-libs@5.26.3-422.el8?arch=i686&distro=rhel-8.6&epoch=4&upstream=perl-5.26.2-1.el8.nosrc.rpm",
			Name: "perl-libs", Version: "4:5.26.3-422.el8", Ecosystem: "an ecosystem", Source: "perl", SourceVersion: "4:5.26.2-1.el8", Arch: "i686",
			Licenses: []string{"GPL+ or Artistic"}, Where: where, By: "rpm",
		},
		{
			PURL: "pkg:rpm/redhat/many@1-1?arch=noarch&distro=rhel-8.6&upstream=many-1-1.src.rpm",
			Name: "many", Version: "1-1", Ecosystem: "an ecosystem", Source: "many", Arch: "noarch",
			Licenses: []string{"MIT"}, Where: where, By: "rpm", Files: many,
		},
	}
}

func bdbFile(order byteOrder, headers ...[]byte) []byte {
	ps := []bdbtest.Pair{{Key: make([]byte, 4), Value: []byte{9, 0, 0, 0}}}
	for i, h := range headers {
		ps = append(ps, bdbtest.Pair{Key: order.AppendUint32(nil, uint32(i+1)), Value: h})
	}
	return bdbtest.Write(order, 4096, ps)
}

type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

func bdbSpecs(order byteOrder) []byte {
	var headers [][]byte
	for _, s := range specs() {
		headers = append(headers, s.header())
	}
	return bdbFile(order, headers...)
}

func ndbSpecs() []byte {
	var blobs [][]byte
	for _, s := range specs() {
		blobs = append(blobs, s.header())
	}
	return ndbtest.Write(blobs)
}

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func one(path string, data []byte) fstest.MapFS {
	return fstest.MapFS{path: &fstest.MapFile{Data: data, Mode: 0o644}}
}

func extract(t testing.TB, fsys fs.FS, os *bulwark.OS) ([]bulwark.Package, []bulwark.Gap) {
	t.Helper()
	pkgs, gaps, err := rpm.Extractor{}.Extract(t.Context(), fsys, os, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	return pkgs, gaps
}

func TestExtract(t *testing.T) {
	sqlite := one(rpmdb+"rpmdb.sqlite", testdata(t, "rpmdb.sqlite"))
	sqlite[rpmdb+"rpmdb.sqlite-wal"] = &fstest.MapFile{Data: testdata(t, "rpmdb.sqlite-wal"), Mode: 0o644}
	for name, tt := range map[string]struct {
		path string
		fsys fstest.MapFS
	}{
		"bdb":            {rpmdb + "Packages", one(rpmdb+"Packages", bdbSpecs(binary.LittleEndian))},
		"bdb-big-endian": {rpmdb + "Packages", one(rpmdb+"Packages", bdbSpecs(binary.BigEndian))},
		"ndb":            {"usr/lib/sysimage/rpm/Packages.db", one("usr/lib/sysimage/rpm/Packages.db", ndbSpecs())},
		"sqlite":         {rpmdb + "rpmdb.sqlite", sqlite},
		"lying-name":     {"usr/share/rpm/Packages", one("usr/share/rpm/Packages", ndbSpecs())},
	} {
		t.Run(name, func(t *testing.T) {
			pkgs, gaps := extract(t, tt.fsys, rhel())
			if len(gaps) > 0 {
				t.Error(gaps)
			}
			if diff := cmp.Diff(want(tt.path), pkgs); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSeveralDatabases(t *testing.T) {
	fsys := one(rpmdb+"Packages", bdbSpecs(binary.LittleEndian))
	fsys["usr/lib/sysimage/rpm/Packages.db"] = &fstest.MapFile{Data: ndbSpecs(), Mode: 0o644}
	pkgs, gaps := extract(t, fsys, nil)
	if len(pkgs) != 5 || len(gaps) != 0 {
		t.Fatalf("%d packages, gaps %v; want each package once", len(pkgs), gaps)
	}
	where := []bulwark.Location{{Path: rpmdb + "Packages"}, {Path: "usr/lib/sysimage/rpm/Packages.db"}}
	for _, p := range pkgs {
		if diff := cmp.Diff(where, p.Where); diff != "" {
			t.Error(diff)
		}
		if !strings.HasPrefix(p.PURL, "pkg:rpm/"+p.Name+"@") || p.Ecosystem != "" {
			t.Errorf("without a distribution: %q, ecosystem %q", p.PURL, p.Ecosystem)
		}
	}
}

func TestManifest(t *testing.T) {
	const path = "var/lib/rpmmanifest/container-manifest-2"
	lines := "filesystem\t1.1-7.cm2\t1653816591\t1653753130\tMicrosoft Corporation\t(none)\t7596\tx86_64\t0\tfilesystem-1.1-7.cm2.src.rpm\n" +
		"broken line\n" +
		"openssl-libs\t1.1.1k-15.cm2\t1653816595\t1653753130\tMicrosoft Corporation\t2\t4560\tx86_64\t2\topenssl-1.1.1k-15.cm2.src.rpm\n"
	pkgs, gaps := extract(t, one(path, []byte(lines)), &bulwark.OS{ID: "mariner", Version: "2.0", Ecosystem: "Azure Linux:2"})
	where := []bulwark.Location{{Path: path}}
	want := []bulwark.Package{
		{
			PURL: "pkg:rpm/mariner/filesystem@1.1-7.cm2?arch=x86_64&distro=mariner-2.0&upstream=filesystem-1.1-7.cm2.src.rpm",
			Name: "filesystem", Version: "1.1-7.cm2", Ecosystem: "Azure Linux:2", Source: "filesystem", Arch: "x86_64",
			Vendor: "Microsoft Corporation", Where: where, By: "rpm",
		},
		{
			PURL: "pkg:rpm/mariner/openssl-libs@1.1.1k-15.cm2?arch=x86_64&distro=mariner-2.0&epoch=2&upstream=openssl-1.1.1k-15.cm2.src.rpm",
			Name: "openssl-libs", Version: "2:1.1.1k-15.cm2", Ecosystem: "Azure Linux:2", Source: "openssl", Arch: "x86_64",
			Vendor: "Microsoft Corporation", Where: where, By: "rpm",
		},
	}
	if diff := cmp.Diff(want, pkgs); diff != "" {
		t.Error(diff)
	}
	if len(gaps) != 1 || gaps[0].Kind != bulwark.GapMalformed || !gaps[0].Hides {
		t.Errorf("gaps %+v, want one for the broken line", gaps)
	}
}

func TestDamageHidesOnlyItself(t *testing.T) {
	headers := make([][]byte, 0, 6)
	for _, s := range specs() {
		headers = append(headers, s.header())
	}
	noName := spec{version: "1", release: "1"}.header()
	badFiles := spec{name: "odd", version: "1", release: "1", files: []string{"/a/b"}}.header()
	at := bytes.Index(badFiles, binary.BigEndian.AppendUint32(nil, 1116))
	binary.BigEndian.PutUint32(badFiles[at+12:], 7) // seven directories for one file
	headers = append(headers, []byte("short"), noName, badFiles)
	pkgs, gaps := extract(t, one(rpmdb+"Packages", bdbFile(binary.LittleEndian, headers...)), rhel())
	if len(pkgs) != 6 {
		t.Errorf("%d packages, want 6", len(pkgs))
	}
	hides := []bool{}
	for _, g := range gaps {
		if g.Kind != bulwark.GapMalformed || g.Path != rpmdb+"Packages" {
			t.Errorf("gap %+v", g)
		}
		hides = append(hides, g.Hides)
	}
	if diff := cmp.Diff([]bool{true, true, false}, hides); diff != "" {
		t.Error(diff)
	}
}

func TestManyErrorsAreFewGaps(t *testing.T) {
	var headers [][]byte
	for range 1000 {
		headers = append(headers, []byte("no header"))
	}
	_, gaps := extract(t, one(rpmdb+"Packages", bdbFile(binary.LittleEndian, headers...)), nil)
	if len(gaps) != 20 || gaps[19].Kind != bulwark.GapLimit {
		t.Errorf("%d gaps, want 20 of which the last says that there are more", len(gaps))
	}
}

func TestUnreadable(t *testing.T) {
	for name, data := range map[string][]byte{
		"Packages": {}, "Packages.db": []byte("text"), "rpmdb.sqlite": {}, "rpmdb.sqlite-wal": nil,
	} {
		pkgs, gaps := extract(t, one(rpmdb+name, data), nil)
		wantGaps := 1
		if name == "rpmdb.sqlite-wal" {
			wantGaps = 0 // a log without a database is nothing
		}
		if len(pkgs) > 0 || len(gaps) != wantGaps {
			t.Errorf("%s: %d packages, gaps %v", name, len(pkgs), gaps)
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := (rpm.Extractor{}).Extract(ctx, one(rpmdb+"Packages", bdbSpecs(binary.LittleEndian)), nil, nil); err == nil {
		t.Error("no error")
	}
}

func TestKit(t *testing.T) {
	small := specs()[:4]
	var blobs [][]byte
	for _, s := range small {
		blobs = append(blobs, s.header())
	}
	for name, seeds := range map[string]map[string][]byte{
		"bdb":      {rpmdb + "Packages": bdbFile(binary.BigEndian, blobs...)},
		"ndb":      {rpmdb + "Packages.db": ndbtest.Write(blobs)},
		"sqlite":   {rpmdb + "rpmdb.sqlite": testdata(t, "rpmdb.sqlite"), rpmdb + "rpmdb.sqlite-wal": testdata(t, "rpmdb.sqlite-wal")},
		"manifest": {"var/lib/rpmmanifest/container-manifest-2": []byte("a\t1-1\t1\t1\tv\t(none)\t1\tx86_64\t0\ta-1-1.src.rpm\n")},
	} {
		t.Run(name, func(t *testing.T) { extracttest.Database(t, rpm.Extractor{}, rhel(), seeds) })
	}
}

func FuzzExtract(f *testing.F) {
	var blobs [][]byte
	for _, s := range specs()[:4] {
		blobs = append(blobs, s.header())
	}
	f.Add(bdbFile(binary.LittleEndian, blobs...))
	f.Add(ndbtest.Write(blobs))
	f.Add(testdata(f, "rpmdb.sqlite"))
	f.Fuzz(func(t *testing.T, data []byte) {
		extract(t, one(rpmdb+"Packages", data), rhel())
	})
}

func FuzzHeader(f *testing.F) {
	for _, s := range specs() {
		f.Add(s.header())
	}
	f.Fuzz(func(t *testing.T, header []byte) {
		pkgs, _ := extract(t, one(rpmdb+"Packages.db", ndbtest.Write([][]byte{header})), rhel())
		for _, p := range pkgs {
			for _, file := range p.Files {
				if !fs.ValidPath(file) {
					t.Errorf("path %q", file)
				}
			}
		}
	})
}
