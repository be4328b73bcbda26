// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scan_test

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// A member is one entry of a ZIP file, with what the file says about it.
type member struct {
	name    string
	data    []byte // as stored
	deflate bool   // data is deflated, and size tells how long it is inflated
	size    uint32
	flags   uint16
	at      int // offset of the local header to tell, plus one; 0 tells the truth
}

// zipped writes a ZIP file by hand; archive/zip refuses to write lies.
func zipped(members ...member) []byte {
	var out, central bytes.Buffer
	for _, m := range members {
		method, size := uint16(0), uint32(len(m.data))
		if m.deflate {
			method, size = 8, m.size
		}
		at := out.Len()
		if m.at > 0 {
			at = m.at - 1
		}
		common := binary.LittleEndian.AppendUint16(nil, m.flags)
		common = binary.LittleEndian.AppendUint16(common, method)
		common = append(common, 0, 0, 0, 0)
		common = binary.LittleEndian.AppendUint32(common, crc32.ChecksumIEEE(m.data))
		common = binary.LittleEndian.AppendUint32(common, uint32(len(m.data)))
		common = binary.LittleEndian.AppendUint32(common, size)
		common = binary.LittleEndian.AppendUint16(common, uint16(len(m.name)))
		common = append(common, 0, 0)
		out.WriteString("PK\x03\x04\x14\x00")
		out.Write(common)
		out.WriteString(m.name)
		out.Write(m.data)
		central.WriteString("PK\x01\x02\x14\x00\x14\x00")
		central.Write(common)
		central.Write(make([]byte, 10))
		central.Write(binary.LittleEndian.AppendUint32(nil, uint32(at)))
		central.WriteString(m.name)
	}
	var end []byte
	if n := uint64(len(members)); n >= 0xffff { // as ZIP64 says it
		end = append(end, "PK\x06\x06\x2c\x00\x00\x00\x00\x00\x00\x00\x2d\x00\x2d\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
		for _, v := range []uint64{n, n, uint64(central.Len()), uint64(out.Len())} {
			end = binary.LittleEndian.AppendUint64(end, v)
		}
		end = append(end, "PK\x06\x07\x00\x00\x00\x00"...)
		end = binary.LittleEndian.AppendUint64(end, uint64(out.Len()+central.Len()))
		end = append(end, 1, 0, 0, 0)
	}
	end = append(end, "PK\x05\x06\x00\x00\x00\x00"...)
	end = binary.LittleEndian.AppendUint16(end, uint16(min(len(members), 0xffff)))
	end = binary.LittleEndian.AppendUint16(end, uint16(min(len(members), 0xffff)))
	end = binary.LittleEndian.AppendUint32(end, uint32(central.Len()))
	end = binary.LittleEndian.AppendUint32(end, uint32(out.Len()))
	end = append(end, 0, 0)
	out.Write(central.Bytes())
	out.Write(end)
	return out.Bytes()
}

func deflated(b []byte) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestSpeed)
	must(err)
	w.Write(b)
	must(w.Close())
	return out.Bytes()
}

func bomb(name string, size int) member {
	return member{name: name, data: deflated(make([]byte, size)), deflate: true, size: uint32(size)}
}

func properties(artifact string) member {
	return member{name: "META-INF/maven/org.x/" + artifact + "/pom.properties", data: []byte("groupId=org.x\nartifactId=" + artifact + "\nversion=1.0\n")}
}

// contentExhibits are honest layers with hostile files in them.
func contentExhibits() []exhibit {
	jar := func(build func() []byte) func(*room) string {
		return func(r *room) string {
			return r.layout(gz(new(stream).file("opt/app.jar", string(build())).npm("good", "1.0.0").end()))
		}
	}
	file := func(name string, build func() []byte) func(*room) string {
		return func(r *room) string {
			return r.layout(gz(new(stream).put(head{name: name, mode: 0o755}, string(build())).npm("good", "1.0.0").end()))
		}
	}
	source := func(name string, build func() []byte) func(*room) string {
		return func(r *room) string {
			r.put("src/"+name, build())
			r.put("src/"+npmPath("good"), []byte(npmBody("good", "1.0.0")))
			return r.path("src")
		}
	}
	bill := func(build func() []byte) func(*room) string {
		return func(r *room) string { return r.put("bill.json", build()) }
	}
	inJar := gap{path: "opt/app.jar", hides: true}
	return []exhibit{
		// Java archives.
		{name: "jar-in-jar-ten-deep", make: jar(func() []byte {
			b := zipped(properties("deepest"))
			for i := range 10 {
				b = zipped(properties(fmt.Sprint("level", i)), member{name: "inner.jar", data: b})
			}
			return b
		}), gap: inJar},
		{name: "jar-bomb", make: jar(func() []byte {
			return zipped(properties("app"), bomb("lib/bomb.jar", 80<<20), bomb("META-INF/MANIFEST.MF", 80<<20))
		}), gap: inJar},
		{name: "jar-bomb-in-jar-bomb", make: jar(func() []byte {
			inner := zipped(bomb("a.jar", 60<<20), bomb("b.jar", 60<<20))
			var all []member
			for i := range 30 {
				all = append(all, member{name: fmt.Sprintf("%d.jar", i), data: deflated(inner), deflate: true, size: uint32(len(inner))})
			}
			return zipped(all...)
		}), gap: inJar},
		{name: "jar-whose-entries-overlap", make: jar(func() []byte {
			inner := zipped(properties("inner"), bomb("x.jar", 16<<20))
			all := []member{{name: "0.jar", data: inner}}
			for i := range 5000 {
				all = append(all, member{name: fmt.Sprintf("%d.jar", i+1), data: nil, at: 1})
			}
			return zipped(all...)
		}), gap: inJar},
		{name: "jar-that-holds-itself", make: jar(func() []byte {
			// Each entry is stored, begins at the file's first byte and has the
			// whole file as its content, as far as offsets can say so.
			b := zipped(member{name: "self.jar", data: make([]byte, 200)}, member{name: "again.jar", at: 1})
			return b
		}), gap: inJar},
		{name: "jar-of-hundred-thousand-entries", make: jar(func() []byte {
			all := []member{properties("app")}
			for i := range 100_000 {
				all = append(all, member{name: fmt.Sprintf("c/C%d.class", i)})
			}
			return zipped(all...)
		}), packages: []string{"good 1.0.0", "org.x:app 1.0"}},
		{name: "jar-that-claims-too-many-entries", make: jar(func() []byte {
			b := zipped(properties("app"))
			copy(b[len(b)-14:], "\xff\xff\xff\xff\xff\xff\xff\x7f")
			return b
		}), gap: inJar},
		{name: "jar-cut-off", make: jar(func() []byte {
			b := zipped(properties("app"), member{name: "x", data: noise(4096)})
			return b[:len(b)-1000]
		}), gap: inJar},
		{name: "jar-with-a-path-that-climbs", make: jar(func() []byte {
			return zipped(properties("app"), member{name: "../../../../canary/evil.jar", data: zipped(properties("inner"))},
				member{name: "META-INF/maven/../../../../canary/pom.properties", data: []byte("groupId=x\nartifactId=climber\nversion=1\n")})
		}), packages: []string{"good 1.0.0", "org.x:app 1.0", "org.x:inner 1.0", "x:climber 1"}},
		{name: "jar-that-is-encrypted", make: jar(func() []byte {
			m := properties("app")
			m.flags = 1
			return zipped(m)
		}), gap: inJar},
		{name: "jar-whose-deflate-is-noise", make: jar(func() []byte {
			m := properties("app")
			m.data, m.deflate, m.size = append([]byte{7}, noise(300)...), true, 1<<31
			return zipped(m)
		}), gap: inJar},

		// Documents.
		{name: "JSON-of-64-MB", make: file(npmPath("big"), func() []byte {
			return []byte(`{"name":"big",` + strings.Repeat(" ", 64_000_000) + `"version":"1.0.0"}`)
		}), gap: gap{kind: bulwark.GapLimit, path: npmPath("big"), hides: true}, packages: []string{"good 1.0.0"}},
		{name: "JSON-of-a-million-levels", make: file(npmPath("deep"), func() []byte {
			return []byte(`{"x":` + strings.Repeat("[", 1<<20) + strings.Repeat("]", 1<<20) + `,"name":"deep","version":"1.0.0"}`)
		}), packages: []string{"deep 1.0.0", "good 1.0.0"}},
		{name: "JSON-lock-of-a-million-levels", make: source("package-lock.json", func() []byte {
			return []byte(`{"lockfileVersion":1,"dependencies":` + strings.Repeat(`{"a":{"version":"1","dependencies":`, 1<<17) + `{}` + strings.Repeat("}}", 1<<17) + "}")
		}), gap: gap{path: "package-lock.json", hides: true}},
		{name: "YAML-anchors-that-multiply", make: source("pnpm-lock.yaml", func() []byte {
			b := "lockfileVersion: '9.0'\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
			for i := range 12 {
				b += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d,", i), 9)+fmt.Sprintf("*a%d", i))
			}
			return []byte(b + "packages: *a12\n")
		}), gap: gap{path: "pnpm-lock.yaml", hides: true}, or: []string{"good 1.0.0"}},
		{name: "YAML-of-hundred-thousand-levels", make: source("pnpm-lock.yaml", func() []byte {
			return []byte("lockfileVersion: '9.0'\npackages:\n\n  one@1.0.0:\n    x: " + strings.Repeat("[", 100_000) + "\n\n  two@2.0.0:\n    x: {}\n")
		}), gap: gap{path: "pnpm-lock.yaml", hides: true}, packages: []string{"good 1.0.0", "one 1.0.0", "two 2.0.0"}},
		{name: "TOML-of-a-million-levels", make: source("Cargo.lock", func() []byte {
			return []byte("version = 3\n\n[[package]]\nname = \"one\"\nversion = \"1.0.0\"\nx = " + strings.Repeat("[", 1<<20) + "\n\n[[package]]\nname = \"two\"\nversion = \"2.0.0\"\n")
		}), gap: gap{path: "Cargo.lock", hides: true}, or: []string{"good 1.0.0", "one 1.0.0", "two 2.0.0"}},
		{name: "TOML-lock-of-a-million-levels", make: source("uv.lock", func() []byte {
			return []byte("version = 1\n\n[[package]]\nname = \"one\"\nversion = \"1.0.0\"\nx = " + strings.Repeat("{a=", 1<<20) + "\n\n[[package]]\nname = \"two\"\nversion = \"2.0.0\"\n")
		}), gap: gap{path: "uv.lock", hides: true}, or: []string{"good 1.0.0", "one 1.0.0", "two 2.0.0"}},
		{name: "XML-of-many-levels", make: source("pom.xml", func() []byte {
			return []byte(`<!DOCTYPE p [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><project>` + strings.Repeat("<a>", 1<<18))
		}), gap: gap{path: "pom.xml", hides: true}},
		{name: "requirements-that-include-the-outside", make: source("requirements.txt", func() []byte {
			return []byte("-r ../../canary/secret\n-r /etc/passwd\n-c requirements.txt\n-r requirements.txt\nflask==1.0\n--index-url file:///etc/passwd\n")
		}), packages: []string{"flask 1.0", "good 1.0.0"}},
		{name: "lock-of-one-line", make: source("yarn.lock", func() []byte {
			return []byte("# yarn lockfile v1\n\n" + strings.Repeat("a", 32<<20))
		}), gap: gap{path: "yarn.lock", hides: true}},
		{name: "python-metadata-of-one-line", make: file("usr/lib/python3/site-packages/x-1.dist-info/METADATA", func() []byte {
			return []byte("Metadata-Version: 2.1\nName: " + strings.Repeat("x", 8<<20) + "\nVersion: 1\n")
		}), gap: gap{path: "usr/lib/python3/site-packages/x-1.dist-info/METADATA", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "secrets-on-one-line", make: file("app/config.js", func() []byte {
			return []byte(strings.Repeat("password='aaaaaaaaaaaaaaaaaaaaaa-AKIA ghp_token=", 200_000))
		}), packages: []string{"good 1.0.0"}},
		{name: "comments-that-ask-to-overlook-everything", make: func(r *room) string {
			s := new(stream)
			for i := range 40 {
				s.file(fmt.Sprintf("app/%d.js", i), strings.Repeat("/* bulwark:ignore "+strings.Repeat("*,", 100)+"* reason='"+strings.Repeat("\x1b", 900)+"' */ ", 900))
				s.file(fmt.Sprintf("app/%d.py", i), strings.Repeat("# bulwark:ignore "+strings.Repeat("*,", 100)+"* reason='"+strings.Repeat("\x1b", 900)+"'\n", 900))
			}
			return r.layout(gz(s.npm("good", "1.0.0").end()))
		}, gap: gap{detail: "more than 10000 rules"}, packages: []string{"good 1.0.0"}},
		{name: "packages-with-names-of-a-mebibyte", make: func(r *room) string {
			s := new(stream)
			for i := range 40 {
				name := fmt.Sprint("p", i)
				s.file(npmPath(name), `{"name":"`+strings.Repeat("n", 1<<20)+name+`","version":"`+strings.Repeat("1", 1<<20)+`","license":"`+strings.Repeat("l", 1<<20)+`"}`)
			}
			return r.layout(gz(s.npm("good", "1.0.0").end()))
		}, gap: gap{path: npmPath("p0"), hides: true}, packages: []string{"good 1.0.0"},
			bug: "extract/npm: list.add drops a package whose name or version is too long without a word"},

		// Package databases.
		{name: "dpkg-status-of-noise", make: file(status, func() []byte { return noise(1 << 20) }), gap: gap{path: status, hides: true}, packages: []string{"good 1.0.0"}},
		{name: "dpkg-status-of-one-line", make: file(status, func() []byte {
			return []byte(hello + "Package: " + strings.Repeat("p", 64<<20))
		}), gap: gap{path: status, hides: true}},
		{name: "dpkg-fields-of-a-mebibyte", make: file(status, func() []byte {
			var b strings.Builder
			for i := range 20 {
				fmt.Fprintf(&b, "Package: p%d\nStatus: install ok installed\nVersion: %s\nMaintainer: %s\nSource: %s\n\n", i, strings.Repeat("1", 1<<20), strings.Repeat("m", 1<<20), strings.Repeat("s", 1<<20))
			}
			return []byte(b.String())
		}), gap: gap{path: status, hides: true}},
		{name: "apk-database-of-noise", make: file("lib/apk/db/installed", func() []byte { return noise(1 << 20) }), gap: gap{path: "lib/apk/db/installed", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "apk-database-of-many-paths", make: file("lib/apk/db/installed", func() []byte {
			return []byte("P:a\nV:1\nA:x86_64\nF:" + strings.Repeat("d/", 2000) + "\n" + strings.Repeat("R:f\n", 1<<20) + "\n")
		}), gap: gap{path: "lib/apk/db/installed"}},
		{name: "rpm-SQLite-of-noise", make: file("var/lib/rpm/rpmdb.sqlite", func() []byte {
			return append([]byte("SQLite format 3\x00\x10\x00\x01\x01\x00\x40\x20\x20"), noise(1<<20-24)...)
		}), gap: gap{path: "var/lib/rpm/rpmdb.sqlite", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "rpm-SQLite-of-one-page-in-a-circle", make: file("usr/lib/sysimage/rpm/rpmdb.sqlite", func() []byte {
			b := make([]byte, 8192)
			copy(b, "SQLite format 3\x00\x10\x00\x01\x01\x00\x40\x20\x20\x00\x00\x00\x01\x00\x00\x00\x02")
			copy(b[100:], "\x05\x00\x00\x00\x01\x00\x64\x00\x00\x00\x00\x01\x10\x00") // an inner page whose child is itself
			copy(b[4096:], "\x05\x00\x00\x00\x01\x00\x64\x00\x00\x00\x00\x02")
			return b
		}), gap: gap{path: "usr/lib/sysimage/rpm/rpmdb.sqlite", hides: true}},
		{name: "rpm-Berkeley-DB-of-noise", make: file("var/lib/rpm/Packages", func() []byte {
			b := noise(1 << 20)
			copy(b[12:], "\x61\x15\x06\x00\x09\x00\x00\x00\x00\x10\x00\x00\x00\x08")
			return b
		}), gap: gap{path: "var/lib/rpm/Packages", hides: true}},
		{name: "rpm-NDB-of-noise", make: file("var/lib/rpm/Packages.db", func() []byte { return append([]byte("RpmP\x00\x00\x00\x00"), noise(1<<20)...) }),
			gap: gap{path: "var/lib/rpm/Packages.db", hides: true}},
		{name: "os-release-of-noise", make: func(r *room) string {
			s := new(stream)
			s.file("etc/os-release", "ID=\"debian\x1b[2J\x07\"\nVERSION_ID=12\nPRETTY_NAME=\"\u202e\x1b]0;x\x07"+strings.Repeat("x", 4096)+"\"\n").
				file("usr/lib/os-release", string(noise(2<<20))).file(status, hello)
			return r.layout(gz(s.end()))
		}, gap: gap{kind: bulwark.GapUnsupported, path: "etc/os-release"}, packages: []string{"hello 2.10-3"}},

		// Programs.
		{name: "ELF-whose-sections-lie", make: file("usr/bin/app", func() []byte { return elf(1<<62, 0xffff, 0) }), packages: []string{"good 1.0.0"}},
		{name: "ELF-whose-segments-lie", make: file("usr/bin/app", func() []byte { return elf(0, 0, 1<<62) }), packages: []string{"good 1.0.0"}},
		{name: "ELF-whose-Go-information-lies", make: file("usr/bin/app", func() []byte {
			b := elf(0, 0, 1<<20)
			info := append([]byte("\xff Go buildinf:\x08\x02"), make([]byte, 16)...)
			info = binary.AppendUvarint(info, 1<<62)
			copy(b[4096:], append(info, "go1.99"...))
			return b
		}), packages: []string{"good 1.0.0"}},

		// Bills of materials.
		{name: "SBOM-of-hundred-thousand-components", make: bill(func() []byte {
			var b bytes.Buffer
			b.WriteString(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[`)
			for i := range 100_000 {
				fmt.Fprintf(&b, `{"type":"library","name":"p%d","version":"1","purl":"pkg:npm/p%[1]d@1"},`, i)
			}
			b.WriteString(`{"type":"library","name":"last","version":"1","purl":"pkg:npm/last@1"}]}`)
			return b.Bytes()
		}), number: 100_001},
		{name: "SBOM-of-components-in-components", make: bill(func() []byte {
			return []byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[` +
				strings.Repeat(`{"type":"library","name":"p","version":"1","purl":"pkg:npm/p@1","components":[`, 4000) + strings.Repeat(`]}`, 4000) + `]}`)
		}), gap: gap{hides: true}, bug: "extract/sbom: bill.component drops what is deeper than maxDepth without a word"},
		{name: "SBOM-of-a-million-levels", make: bill(func() []byte {
			return []byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":` + strings.Repeat(`[{"components":`, 1<<20))
		}), gap: gap{hides: true}},
		{name: "SBOM-that-is-none", make: bill(func() []byte { return []byte(`{"hello":"world"}`) }), gap: gap{hides: true}},
		{name: "SBOM-cut-off", make: bill(func() []byte {
			return []byte(`{"bomFormat":"CycloneDX","components":[{"type":"library","name":"one","version":"1","purl":"pkg:npm/one@1"},{"type":"lib`)
		}), gap: gap{hides: true}, packages: []string{"one 1"}},
		{name: "SBOM-that-paints-the-terminal", make: bill(func() []byte {
			return []byte(`{"bomFormat":"CycloneDX","components":[{"type":"library","name":"\u001b[2J\u202e\u0000","version":"\ud800\u0007","purl":"pkg:npm/%1b%5b2J%00@%ff%fe"},` +
				`{"type":"library","name":"one","version":"1","purl":"pkg:npm/one@1"}],"metadata":{"properties":[{"name":"bulwark:gap","value":"\u001b[31mfake"}]}}`)
		}), holds: "one 1"},
	}
}

// elf gives a program for Linux on x86-64 with one segment, whose headers say
// what is given.
func elf(sections uint64, number uint16, segment uint64) []byte {
	b := make([]byte, 16<<10)
	copy(b, "\x7fELF\x02\x01\x01")
	le := binary.LittleEndian
	le.PutUint16(b[16:], 2)
	le.PutUint16(b[18:], 62)
	le.PutUint32(b[20:], 1)
	le.PutUint64(b[32:], 64)
	le.PutUint64(b[40:], sections)
	le.PutUint16(b[52:], 64)
	le.PutUint16(b[54:], 56)
	le.PutUint16(b[56:], 1)
	le.PutUint16(b[58:], 64)
	le.PutUint16(b[60:], number)
	le.PutUint16(b[62:], number-1)
	p := b[64:]
	le.PutUint32(p, 1)
	le.PutUint32(p[4:], 6)
	le.PutUint64(p[8:], 4096)
	le.PutUint64(p[16:], 4096)
	le.PutUint64(p[32:], segment)
	le.PutUint64(p[40:], segment)
	copy(b[256:], "\x04\x00\x00\x00\x04\x00\x00\x00\x04\x00\x00\x00Go\x00\x00")
	return b
}
