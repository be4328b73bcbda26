// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scan_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"strings"
)

// formatExhibits are directories with one hostile file each, of the formats that
// are read beside an honest package. Each must be told, or be left alone because
// it is not what its name says.
func formatExhibits() []exhibit {
	var out []exhibit
	// show makes one exhibit; what is told is a gap at the file.
	show := func(what, name string, build func() []byte) *exhibit {
		out = append(out, exhibit{name: what, make: func(r *room) string {
			r.put("src/"+name, build())
			r.put("src/"+npmPath("good"), []byte(npmBody("good", "1.0.0")))
			return r.path("src")
		}, gap: gap{path: name}, holds: "good 1.0.0"})
		return &out[len(out)-1]
	}
	text := func(s string) func() []byte { return func() []byte { return []byte(s) } }
	deepJSON := func(head string) func() []byte {
		return text(head + strings.Repeat(`{"dependencies":`, 300_000))
	}
	deepList := func(head string) func() []byte { return text(head + strings.Repeat(`[`, 2_000_000)) }

	// Documents in JSON, nested until something gives, and with bytes that are no
	// text in the place of the end.
	for _, j := range []struct{ format, file, head string }{
		{"renv", "renv.lock", `{"Packages":`},
		{"dotnet-deps", "app.deps.json", `{"libraries":`},
		{"dotnet-lock", "packages.lock.json", `{"version":1,"dependencies":`},
		{"conan", "conan.lock", `{"version":"0.5","requires":`},
		{"vcpkg-manifest", "vcpkg.json", `{"dependencies":`},
		{"cabal-plan", "dist-newstyle/cache/plan.json", `{"install-plan":`},
		{"deno", "deno.lock", `{"version":"3","packages":`},
		{"bun", "bun.lock", `{"lockfileVersion":1,"packages":`},
		{"composer", "composer.lock", `{"packages":`},
		{"composer-installed", "vendor/composer/installed.json", `{"packages":`},
		{"conda-meta", "opt/conda/conda-meta/x-1-0.json", `{"name":"x","version":"1","depends":`},
		{"pipfile", "Pipfile.lock", `{"default":`},
		{"swift", "Package.resolved", `{"version":2,"pins":`},
		{"terraform-modules", ".terraform/modules/modules.json", `{"Modules":`},
		{"package-lock", "package-lock.json", `{"lockfileVersion":3,"packages":`},
	} {
		show(j.format+"-of-a-million-objects", j.file, deepJSON(j.head))
		show(j.format+"-of-two-million-lists", j.file, deepList(j.head))
		show(j.format+"-with-binary-at-its-end", j.file, func() []byte { return append([]byte(j.head+`[{"name":"`), noise(1<<16)...) })
	}
	// Documents in YAML: aliases that double, and flow lists in flow lists.
	var aliases strings.Builder
	aliases.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x]\n")
	for i := range 9 {
		fmt.Fprintf(&aliases, "a%d: &a%[1]d [%s]\n", i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 9), ", "))
	}
	for _, y := range []struct{ format, file, head string }{
		{"pubspec", "pubspec.lock", "packages:"},
		{"conda-lock", "conda-lock.yml", "version: 1\npackage:"},
		{"pixi", "pixi.lock", "version: 5\npackages:"},
		{"pnpm", "pnpm-lock.yaml", "lockfileVersion: '9.0'\npackages:"},
		{"stack", "stack.yaml.lock", "packages:"},
		{"podfile", "Podfile.lock", "PODS:"},
		{"workflow", ".github/workflows/ci.yml", "jobs:"},
	} {
		// A workflow may have aliases: they stand for steps, and only what is written
		// as an action is one.
		if x := show(y.format+"-of-a-billion-aliases", y.file, text(aliases.String()+y.head+" *a9\n")); y.format == "workflow" {
			x.gap, x.packages = gap{}, []string{"good 1.0.0"}
		}
		show(y.format+"-of-flow-lists-in-lists", y.file, text(y.head+" "+strings.Repeat("[", 100_000)+"\n"))
		show(y.format+"-with-binary-in-it", y.file, func() []byte { return append([]byte(y.head+"\n  - "), noise(1<<16)...) })
	}
	// Documents in TOML.
	for _, d := range []struct{ format, file, head string }{
		{"cargo", "Cargo.lock", "version = 3\n[[package]]\nname = \"x\"\nversion = \"1\"\n"},
		{"poetry", "poetry.lock", "[[package]]\nname = \"x\"\nversion = \"1\"\n"},
		{"uv", "uv.lock", "version = 1\n[[package]]\nname = \"x\"\nversion = \"1\"\n"},
		{"julia", "Manifest.toml", "manifest_format = \"2.0\"\n[[deps.x]]\nversion = \"1.0.0\"\n"},
	} {
		show(d.format+"-of-tables-in-tables", d.file, text(d.head+"x = "+strings.Repeat("{a=", 200_000)))
		show(d.format+"-of-a-key-of-many-parts", d.file, text(d.head+"a"+strings.Repeat(".a", 200_000)+" = "))
		show(d.format+"-with-binary-in-it", d.file, func() []byte { return append([]byte(d.head), noise(1<<16)...) })
	}
	// Documents in XML and in the terms of other languages.
	show("pom-of-a-million-elements", "pom.xml", text("<project>"+strings.Repeat("<dependencies>", 300_000)))
	show("pom-of-entities-in-entities", "pom.xml", text(`<!DOCTYPE p [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;">]><project><artifactId>&c;</artifactId></project>`))
	show("gradle-verification-cut-off", "gradle/verification-metadata.xml", text(`<verification-metadata><components><component group="a" name="b" version="1">`))
	show("packages-config-of-noise", "packages.config", func() []byte { return noise(1 << 16) })
	// What is never closed is passed over: no package is made of it.
	alone := func(x *exhibit) { x.gap, x.packages = gap{}, []string{"good 1.0.0"} }
	alone(show("mix-of-tuples-in-tuples", "mix.lock", text(`%{"a": `+strings.Repeat("{", 1_000_000))))
	alone(show("rebar-of-lists-in-lists", "rebar.lock", text(`{"1.2.0",`+strings.Repeat("[", 1_000_000))))
	show("otp-application-of-lists", "lib/x-1.0/ebin/x.app", text(`{application,x,`+strings.Repeat("[", 1_000_000))).gap = gap{}
	show("terraform-lock-without-end", ".terraform.lock.hcl", text(`provider "registry.terraform.io/a/b" {`+strings.Repeat(` version = "1" {`, 100_000)))
	// Heads of model files that lie.
	gguf := func(n uint64, rest ...byte) func() []byte {
		return func() []byte {
			b := append([]byte("GGUF"), 3, 0, 0, 0)
			b = binary.LittleEndian.AppendUint64(b, 1)
			b = binary.LittleEndian.AppendUint64(b, n)
			return append(b, rest...)
		}
	}
	show("gguf-of-all-the-keys-there-are", "m/a.gguf", gguf(1<<63))
	show("gguf-whose-key-is-as-long-as-the-sea", "m/b.gguf", gguf(1, bytes.Repeat([]byte{0xff}, 64)...))
	show("gguf-of-arrays-in-arrays", "m/c.gguf", gguf(1, append([]byte{1, 0, 0, 0, 0, 0, 0, 0, 'a'}, bytes.Repeat([]byte{9, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0}, 100_000)...)...))
	safe := func(n uint64, head string) func() []byte {
		return func() []byte { return append(binary.LittleEndian.AppendUint64(nil, n), head...) }
	}
	show("safetensors-whose-head-is-longer-than-the-file", "m/a.safetensors", safe(1<<62, `{"__metadata__":{`))
	show("safetensors-of-objects-in-objects", "m/b.safetensors", safe(1_500_000, strings.Repeat(`{"a":`, 300_000)))
	alone(show("safetensors-of-noise", "m/c.safetensors", func() []byte { return append(binary.LittleEndian.AppendUint64(nil, 4096), noise(1<<16)...) }))
	// Compressed lists inside programs.
	show("cargo-auditable-bomb", "bin/tool.exe", func() []byte {
		var z bytes.Buffer
		w := zlib.NewWriter(&z)
		w.Write(bytes.Repeat([]byte(`{"packages":[{"name":"a","version":"1"}],`), 4<<20))
		must(w.Close())
		return sections(2, map[string][]byte{".dep-v0": z.Bytes()})
	})
	show("cargo-auditable-of-noise", "bin/tool.exe", func() []byte { return sections(2, map[string][]byte{".dep-v0": noise(4096)}) })
	show("kernel-module-without-end", "lib/modules/6.1.0/extra/x.ko", func() []byte {
		return sections(1, map[string][]byte{".modinfo": append([]byte("version="), bytes.Repeat([]byte("9"), 8<<20)...), ".gnu.linkonce.this_module": make([]byte, 64)})
	})
	return out
}

// sections gives an ELF file of a kind, 1 for objects and 2 for programs, for Linux
// on x86-64 that has these sections.
func sections(kind uint16, content map[string][]byte) []byte {
	le := binary.LittleEndian
	names := []byte("\x00.shstrtab\x00")
	type section struct {
		name, at, size int
		kind           uint32
	}
	list := []section{{}}
	out := make([]byte, 64)
	for name, data := range content {
		list = append(list, section{len(names), len(out), len(data), 1})
		names = append(append(names, name...), 0)
		out = append(out, data...)
	}
	list = append(list, section{1, len(out), len(names), 3})
	out = append(out, names...)
	for len(out)%8 != 0 {
		out = append(out, 0)
	}
	at := len(out)
	for _, s := range list {
		h := make([]byte, 64)
		le.PutUint32(h, uint32(s.name))
		le.PutUint32(h[4:], s.kind)
		le.PutUint64(h[24:], uint64(s.at))
		le.PutUint64(h[32:], uint64(s.size))
		le.PutUint64(h[48:], 1)
		out = append(out, h...)
	}
	copy(out, "\x7fELF\x02\x01\x01")
	le.PutUint16(out[16:], kind)
	le.PutUint16(out[18:], 62)
	le.PutUint32(out[20:], 1)
	le.PutUint64(out[40:], uint64(at))
	le.PutUint16(out[52:], 64)
	le.PutUint16(out[54:], 56)
	le.PutUint16(out[58:], 64)
	le.PutUint16(out[60:], uint16(len(list)))
	le.PutUint16(out[62:], uint16(len(list)-1))
	return out
}
