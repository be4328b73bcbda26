// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scan_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/klauspost/compress/zstd"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/diskcache"
	"github.com/bulwark-sec/bulwark/internal/limit"
	"github.com/bulwark-sec/bulwark/scan"
)

const (
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeTar      = "application/vnd.oci.image.layer.v1.tar"
)

type object = map[string]any

// A layer is one blob and what the image says about it.
type layer struct {
	blob   []byte
	kind   string // media type
	digest string
	size   int
	diff   string
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func asLayer(blob, tar []byte, kind string) layer {
	return layer{blob: blob, kind: typeTar + kind, digest: digest(blob), size: len(blob), diff: digest(tar)}
}

func plain(tar []byte) layer { return asLayer(tar, tar, "") }
func gz(tar []byte) layer    { return asLayer(gzipped(tar), tar, "+gzip") }

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		panic(err)
	}
	z.Write(b)
	z.Close()
	return out.Bytes()
}

func zstandard(b []byte) []byte {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return z.EncodeAll(b, nil)
}

// lying gives a layer whose content is not that of tar; what is said about it is
// right otherwise.
func lying(blob []byte, kind string) layer { return asLayer(blob, blob, kind) }

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// A layout is an OCI layout that is being made; its functions spoil what is in
// it, each before its digest is taken.
type layout struct {
	layers                  []layer
	diffs                   func([]string) []string
	config, manifest, index func([]byte) []byte
	spoil                   func(dir string) // what has been written
}

func (r *room) layout(layers ...layer) string { return r.write(layout{layers: layers}) }

func (r *room) write(l layout) string {
	dir := r.path("layout")
	blob := func(b []byte, kind string) object {
		r.put(filepath.Join("layout/blobs", strings.Replace(digest(b), ":", "/", 1)), b)
		return object{"mediaType": kind, "digest": digest(b), "size": len(b)}
	}
	pass := func(f func([]byte) []byte, b []byte) []byte {
		if f != nil {
			return f(b)
		}
		return b
	}
	var descs []object
	diffs := []string{}
	for _, one := range l.layers {
		if d := bulwark.Digest(one.digest); d.Valid() {
			r.put(filepath.Join("layout/blobs", strings.Replace(one.digest, ":", "/", 1)), one.blob)
		}
		descs = append(descs, object{"mediaType": one.kind, "digest": one.digest, "size": one.size})
		diffs = append(diffs, one.diff)
	}
	if l.diffs != nil {
		diffs = l.diffs(diffs)
	}
	config := pass(l.config, encode(object{
		"os": "linux", "architecture": "amd64", "config": object{"User": "65534", "Healthcheck": object{"Test": []string{"NONE"}}},
		"rootfs": object{"type": "layers", "diff_ids": diffs},
	}))
	manifest := pass(l.manifest, encode(object{"schemaVersion": 2, "mediaType": typeManifest, "config": blob(config, typeConfig), "layers": descs}))
	r.put("layout/index.json", pass(l.index, encode(object{"schemaVersion": 2, "mediaType": typeIndex, "manifests": []object{blob(manifest, typeManifest)}})))
	r.put("layout/oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	if l.spoil != nil {
		l.spoil(dir)
	}
	return dir
}

// saved writes a docker-archive of layers that are named as given.
func (r *room) saved(name string, diffs []string, names []string, more func(s *stream)) string {
	s := new(stream)
	config := encode(object{"os": "linux", "architecture": "amd64", "rootfs": object{"type": "layers", "diff_ids": diffs}})
	s.file("config.json", string(config))
	s.file("manifest.json", string(encode([]object{{"Config": "config.json", "RepoTags": []string{"app:1"}, "Layers": names}})))
	more(s)
	return r.put(name, s.end())
}

func nop(b []byte) func([]byte) []byte { return func([]byte) []byte { return b } }

// replace changes a document from old to new, which must occur.
func replace(old, new string) func([]byte) []byte {
	return func(b []byte) []byte {
		if !bytes.Contains(b, []byte(old)) {
			panic("not in it: " + old)
		}
		return bytes.ReplaceAll(b, []byte(old), []byte(new))
	}
}

func good() layer { return gz(new(stream).npm("good", "1.0.0").end()) }

// packExhibits are layers whose compression lies or swells.
func packExhibits() []exhibit {
	blob := func(kind string, blob func() []byte) func(*room) string {
		return func(r *room) string { return r.layout(lying(blob(), kind)) }
	}
	begin := func(name string) []byte {
		return new(stream).npm("good", "1.0.0").put(head{name: name, claim: 8 << 30}, "").Bytes()
	}
	zeros := gzipped(make([]byte, 1<<20))
	return []exhibit{
		{name: "gzip-bomb", like: "CVE-2026-54448", make: blob("+gzip", func() []byte {
			return append(gzipped(begin("zeros")), bytes.Repeat(zeros, 600)...)
		}), gap: gap{kind: bulwark.GapLimit, detail: "compression ratio", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "gzip-beyond-the-limit-on-bytes", limits: limit.Limits{Bytes: 16 << 20}, make: blob("+gzip", func() []byte {
			return append(gzipped(begin("zeros")), bytes.Repeat(zeros, 40)...)
		}), gap: gap{kind: bulwark.GapLimit, detail: "more than 16777216 bytes", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "gzip-bomb-in-a-wanted-file", make: blob("+gzip", func() []byte {
			return append(gzipped(begin("opt/app.jar")), bytes.Repeat(zeros, 600)...)
		}), gap: gap{kind: bulwark.GapLimit, path: "opt/app.jar", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "gzip-in-gzip-in-gzip", make: func(r *room) string {
			inner := gzipped(gzipped(new(stream).npm("inner", "1.0.0").end()))
			return r.layout(asLayer(gzipped(inner), inner, "+gzip"))
		}, gap: gap{detail: "cannot be read on", hides: true}},
		{name: "zstd-bomb", make: blob("+zstd", func() []byte {
			// A frame of blocks that repeat one byte: 4 bytes for 128 KiB.
			out := zstandard(begin("zeros"))
			out = append(out, 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50) // window of 1 MiB, size unknown
			return append(out, bytes.Repeat([]byte{0x02, 0x00, 0x10, 0x00}, 8000)...)
		}), gap: gap{kind: bulwark.GapLimit, detail: "compression ratio", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "zstd-window-of-4-TiB", make: blob("+zstd", func() []byte {
			return append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff}, bytes.Repeat([]byte{0x02, 0x00, 0x10, 0x00}, 10)...)
		}), gap: gap{detail: "window", hides: true}},
		{name: "zstd-content-size-lies", make: blob("+zstd", func() []byte {
			out := []byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0}
			out = binary.LittleEndian.AppendUint64(out, 1<<62)
			return append(out, 0x03, 0x00, 0x10, 0x00)
		}), gap: gap{hides: true}},
		{name: "gzip-of-many-members", make: func(r *room) string {
			tar := new(stream).npm("one", "1.0.0").npm("two", "2.0.0").end()
			l := asLayer(append(append(gzipped(tar[:700]), gzipped(nil)...), gzipped(tar[700:])...), tar, "+gzip")
			return r.layout(l)
		}, packages: []string{"one 1.0.0", "two 2.0.0"}},
		{name: "gzip-with-garbage-behind", make: blob("+gzip", func() []byte {
			return append(good().blob, "what is this"...)
		}), gap: gap{detail: "reading stopped", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "gzip-cut-off", make: func(r *room) string {
			tar := new(stream).npm("good", "1.0.0").file("etc/random", string(noise(64<<10))).npm("late", "1.0.0").end()
			z := gzipped(tar)
			return r.layout(lying(z[:len(z)/2], "+gzip"))
		}, gap: gap{detail: "reading stopped", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "gzip-checksum-wrong", make: func(r *room) string {
			z := bytes.Clone(good().blob)
			z[len(z)-6] ^= 0xff
			return r.layout(lying(z, "+gzip"))
		}, gap: gap{detail: "reading stopped", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "gzip-header-without-end", make: blob("+gzip", func() []byte {
			return append([]byte{0x1f, 0x8b, 8, 0x08 | 0x10, 0, 0, 0, 0, 0, 0}, bytes.Repeat([]byte("name"), 1<<18)...)
		}), gap: gap{hides: true}},
		{name: "xz", make: blob("+gzip", func() []byte {
			return append([]byte("\xfd7zXZ\x00\x00\x04"), noise(4096)...)
		}), gap: gap{kind: bulwark.GapUnsupported, detail: "xz", hides: true}},
		{name: "compression-unknown", make: blob("+gzip", func() []byte {
			return append([]byte{0x04, 0x22, 0x4d, 0x18}, noise(4096)...)
		}), gap: gap{hides: true}},
		{name: "bzip2-broken", make: blob("", func() []byte {
			return append([]byte("BZh91AY&SY"), noise(4096)...)
		}), gap: gap{detail: "reading stopped", hides: true}},
		{name: "layer-of-no-bytes", make: blob("", func() []byte { return nil }), packages: []string{}},
		{name: "media-type-lies", make: func(r *room) string {
			l := gz(new(stream).npm("good", "1.0.0").end())
			l.kind = typeTar + "+zstd"
			return r.layout(l)
		}, packages: []string{"good 1.0.0"}},
	}
}

// imageExhibits are images whose documents lie about each other.
func imageExhibits() []exhibit {
	lies := func(l layout) func(*room) string {
		return func(r *room) string {
			if l.layers == nil {
				l.layers = []layer{good()}
			}
			return r.write(l)
		}
	}
	change := func(f func(*layer)) func(*room) string {
		return func(r *room) string {
			l := good()
			f(&l)
			return r.layout(l)
		}
	}
	other := func() layer { return gz(new(stream).npm("evil", "6.6.6").end()) }
	spoil := func(f func(r *room, dir, blob string)) func(*room) string {
		return func(r *room) string {
			l := good()
			return r.write(layout{layers: []layer{l}, spoil: func(dir string) {
				f(r, dir, filepath.Join(dir, "blobs", strings.Replace(l.digest, ":", "/", 1)))
			}})
		}
	}
	link := func(to, from string) {
		must(os.RemoveAll(from))
		must(os.Symlink(to, from))
	}
	return []exhibit{
		{name: "layer-is-not-of-its-digest", make: change(func(l *layer) { l.digest = digest([]byte("another")) }), refused: "digest mismatch"},
		{name: "layer-is-not-of-its-diff-ID", make: change(func(l *layer) { l.diff = digest([]byte("another")) }), refused: "diff ID"},
		{name: "layer-is-not-of-its-SHA-512", make: change(func(l *layer) {
			sum := sha512.Sum512([]byte("another"))
			l.digest = "sha512:" + hex.EncodeToString(sum[:])
		}), refused: "digest mismatch", bug: "scan.verify looks at sha256 only: engine.one would have to hash with the digest's algorithm"},
		{name: "two-layers-claim-one-diff-ID", make: func(r *room) string {
			l := other()
			l.diff = good().diff
			return r.layout(good(), l)
		}, refused: "diff ID", bug: "Scanner.layers knows layers by diff ID alone: the second blob is neither read nor verified"},
		{name: "layer-larger-than-told", make: change(func(l *layer) { l.size-- }), refused: "digest mismatch"},
		{name: "layer-smaller-than-told", make: change(func(l *layer) { l.size = 1 << 40 }), refused: "digest mismatch"},
		{name: "layer-of-negative-size", make: change(func(l *layer) { l.size = -1 }), refused: "size -1"},
		{name: "layer-of-another-type", make: change(func(l *layer) { l.kind = "application/x-evil" }), refused: "no layer can be read"},
		{name: "layer-elsewhere", like: "CVE-2026-10517", make: lies(layout{layers: []layer{good(), {kind: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", digest: digest([]byte("x")), size: 1, diff: digest([]byte("y"))}},
			spoil: func(dir string) {
				must(os.Remove(filepath.Join(dir, "blobs", strings.Replace(digest([]byte("x")), ":", "/", 1))))
			}}), gap: gap{kind: bulwark.GapSkipped, detail: "kept elsewhere", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "fewer-diff-IDs-than-layers", make: lies(layout{diffs: func([]string) []string { return nil }}), refused: "it tells of 0 layers"},
		{name: "more-diff-IDs-than-layers", make: lies(layout{diffs: func(d []string) []string { return append(d, d...) }}), refused: "it tells of 2 layers"},
		{name: "diff-ID-is-a-path", make: lies(layout{diffs: func([]string) []string { return []string{"sha256:../../../canary/secret"} }}), refused: "diff id"},
		{name: "layer-digest-is-a-path", like: "CVE-2024-3727", make: change(func(l *layer) { l.digest = "sha256:../../../../canary/secret" }), refused: "digest"},
		{name: "layer-digest-is-an-absolute-path", make: func(r *room) string {
			l := good()
			l.digest = "sha256:" + r.canary + "/secret"
			return r.layout(l)
		}, refused: "digest"},
		{name: "config-digest-is-a-path", make: lies(layout{manifest: func(b []byte) []byte {
			var m object
			must(json.Unmarshal(b, &m))
			m["config"].(object)["digest"] = "sha256:../../../../canary/secret"
			return encode(m)
		}}), refused: "digest"},
		{name: "manifest-digest-is-a-path", make: lies(layout{index: nop(encode(object{"schemaVersion": 2, "manifests": []object{
			{"mediaType": typeManifest, "digest": "sha256:../../../canary/secret", "size": 10}}}))}), refused: "digest"},
		{name: "config-larger-than-told", make: lies(layout{spoil: func(dir string) {
			grow(dir, "rootfs")
		}}), refused: "digest mismatch"},
		{name: "config-is-no-JSON", make: lies(layout{config: nop([]byte("\x7fELF no JSON"))}), refused: "parse image configuration"},
		{name: "config-is-deep", make: lies(layout{config: replace(`"65534"`, strings.Repeat("[", 1<<20)+strings.Repeat("]", 1<<20))}), refused: "parse image configuration"},
		{name: "config-is-of-other-types", make: lies(layout{config: nop([]byte(`{"rootfs":[],"config":7,"history":{}}`))}), refused: "parse image configuration"},
		{name: "config-of-a-million-steps", make: lies(layout{config: replace(`"os":`, `"history":[`+strings.Repeat("{},", 1<<20)+`{}],"os":`)}), refused: "larger than the limit"},
		{name: "config-of-nine-MiB", make: lies(layout{config: replace(`"65534"`, `"`+strings.Repeat("u", 9<<20)+`"`)}), refused: "larger than the limit"},
		{name: "config-paints-the-terminal", make: lies(layout{config: replace(`"65534"`, `"\u001b[2J\u202e\u0000\ud800"`)}), packages: []string{"good 1.0.0"}},
		{name: "manifest-is-no-JSON", make: lies(layout{manifest: nop([]byte("<html>"))}), refused: "parse manifest"},
		{name: "manifest-is-deep", make: lies(layout{manifest: nop(bytes.Repeat([]byte(`{"a":`), 1<<19))}), refused: "parse manifest"},
		{name: "manifest-of-hundred-thousand-layers", make: lies(layout{manifest: nop([]byte(`{"schemaVersion":2,"config":{},"layers":[` + strings.Repeat("{},", 99_999) + `{}]}`))}), refused: "larger than the limit"},
		{name: "manifest-is-image-and-index", like: "CVE-2021-41190", make: lies(layout{manifest: replace(`"schemaVersion":2`, `"schemaVersion":2,"manifests":[]`)}), refused: "both an index and an image"},
		{name: "index-is-no-JSON", make: lies(layout{index: nop([]byte("{"))}), refused: "index.json"},
		{name: "index-is-deep", make: lies(layout{index: nop(bytes.Repeat([]byte("["), 1<<20))}), refused: "index.json"},
		{name: "index-of-itself", make: func(r *room) string {
			// An index cannot hold its own digest, but many that hold each other.
			desc := object{"mediaType": typeManifest, "digest": digest([]byte("x")), "size": 1}
			for range 8 {
				b := encode(object{"schemaVersion": 2, "mediaType": typeIndex, "manifests": []object{desc, desc}})
				r.put("layout/blobs/"+strings.Replace(digest(b), ":", "/", 1), b)
				desc = object{"mediaType": typeIndex, "digest": digest(b), "size": len(b)}
			}
			return r.write(layout{layers: []layer{good()}, index: nop(encode(object{"schemaVersion": 2, "manifests": []object{desc}}))})
		}, refused: "indexes inside each other"},
		{name: "index-is-a-link-to-the-outside", make: spoil(func(r *room, dir, _ string) { link(r.canary+"/secret", dir+"/index.json") }), refused: "index.json"},
		{name: "index-is-a-pipe", make: spoil(func(_ *room, dir, _ string) {
			must(os.Remove(dir + "/index.json"))
			must(syscall.Mkfifo(dir+"/index.json", 0o600))
		}), refused: "not a regular file"},
		{name: "blob-is-a-link-to-the-outside", make: spoil(func(r *room, _, blob string) { link(r.canary+"/secret", blob) }), refused: "layer"},
		{name: "blob-is-a-relative-link-to-the-outside", make: spoil(func(_ *room, _, blob string) { link("../../../../canary/secret", blob) }), refused: "layer"},
		{name: "blob-is-a-link-to-a-password-file", make: spoil(func(_ *room, _, blob string) { link("/etc/shadow", blob) }), refused: "layer"},
		{name: "blob-is-a-pipe", make: spoil(func(_ *room, _, blob string) {
			must(os.Remove(blob))
			must(syscall.Mkfifo(blob, 0o600))
		}), refused: "not a regular file"},
		{name: "blob-is-a-directory", make: spoil(func(_ *room, _, blob string) {
			must(os.Remove(blob))
			must(os.Mkdir(blob, 0o700))
		}), refused: "not a regular file"},
		{name: "blob-is-not-there", make: spoil(func(_ *room, _, blob string) { must(os.Remove(blob)) }), refused: "not found"},
		{name: "blobs-are-a-link-to-the-outside", make: spoil(func(r *room, dir, _ string) { link(r.canary, dir+"/blobs") }), refused: "blob"},

		// Archives.
		{name: "archive-layer-climbs", make: func(r *room) string {
			return r.saved("a.tar", []string{good().diff}, []string{"../../canary/secret"}, func(s *stream) { s.file("../../canary/secret", "x") })
		}, refused: "not found"},
		{name: "archive-layer-is-an-absolute-link", make: func(r *room) string {
			return r.saved("a.tar", []string{good().diff}, []string{"l/layer.tar"}, func(s *stream) { s.symlink("l/layer.tar", r.canary+"/secret") })
		}, refused: "not found"},
		{name: "archive-layers-are-links-in-a-circle", make: func(r *room) string {
			return r.saved("a.tar", []string{good().diff}, []string{"a/layer.tar"}, func(s *stream) {
				s.symlink("a/layer.tar", "../b/layer.tar").symlink("b/layer.tar", "../a/layer.tar")
			})
		}, refused: "links"},
		{name: "archive-layer-is-sparse", make: func(r *room) string {
			return r.saved("a.tar", []string{good().diff}, []string{"layer.tar"}, func(s *stream) {
				s.pax("GNU.sparse.major", "0", "GNU.sparse.minor", "1", "GNU.sparse.size", "1099511627776", "GNU.sparse.numblocks", "1", "GNU.sparse.map", "0,512").
					put(head{name: "layer.tar"}, strings.Repeat("x", 512))
			})
		}, refused: "not found"},
		{name: "archive-cut-off", make: func(r *room) string {
			f := r.saved("a.tar", []string{good().diff}, []string{"layer.tar"}, func(s *stream) { s.file("layer.tar", string(noise(64<<10))) })
			must(os.Truncate(f, 32<<10))
			return f
		}, refused: "unexpected EOF"},
		{name: "archive-config-climbs", make: func(r *room) string {
			s := new(stream)
			s.file("manifest.json", `[{"Config":"../../canary/secret","Layers":[]}]`)
			return r.put("a.tar", s.end())
		}, refused: "configuration"},
		{name: "archive-manifest-of-five-MiB", make: func(r *room) string {
			s := new(stream)
			s.file("manifest.json", "["+strings.Repeat(" ", 5<<20)+"]")
			return r.put("a.tar", s.end())
		}, refused: "larger than the limit"},
		{name: "archive-of-thirty-thousand-files", make: func(r *room) string {
			return r.saved("a.tar", nil, nil, func(s *stream) {
				for i := range 30_000 {
					s.file(fmt.Sprint("f", i), "")
				}
			})
		}, refused: "larger than the limit"},
		{name: "archive-is-a-gzip-bomb", make: func(r *room) string {
			b := append(gzipped(new(stream).put(head{name: "manifest.json", claim: 8 << 30}, "").Bytes()), bytes.Repeat(gzipped(make([]byte, 1<<20)), 300)...)
			return r.put("a.tar.gz", b)
		}, refused: "larger than the limit"},
		{name: "archive-of-noise", make: func(r *room) string { return r.put("a.tar", noise(1<<20)) }, refused: "no tar file"},
		{name: "archive-of-no-bytes", make: func(r *room) string { return r.put("a.tar", nil) }, refused: "no image archive"},
		{name: "archive-of-two-images", make: func(r *room) string {
			return r.write(layout{layers: []layer{good()}, spoil: func(dir string) {
				s := new(stream)
				must(filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
					if err != nil || d.IsDir() {
						return err
					}
					b, err := os.ReadFile(p)
					rel, _ := filepath.Rel(dir, p)
					s.file(rel, string(b))
					return err
				}))
				evil := new(stream).npm("evil", "6.6.6").end()
				s.file("c.json", string(encode(object{"rootfs": object{"type": "layers", "diff_ids": []string{digest(evil)}}})))
				s.file("manifest.json", `[{"Config":"c.json","Layers":["evil.tar"]}]`).file("evil.tar", string(evil))
				must(os.RemoveAll(dir))
				r.put("layout", s.end())
			}})
		}, gap: gap{path: "manifest.json", detail: "another image", hides: true}},

		// The cache. Each scans something hostile first, and then something honest
		// that says the same of itself.
		{name: "cache-poisoned-by-diff-ID", make: func(r *room) string {
			l := other()
			l.diff = good().diff
			return r.layout(l)
		}, scan: poison(func(r *room) string { return r.sub("honest").layout(good()) }, []string{"good 1.0.0"})},
		{name: "cache-poisoned-by-a-broken-archive", make: func(r *room) string {
			z := other().blob
			return r.saved("a.tar", []string{good().diff}, []string{"layer.tar"}, func(s *stream) { s.file("layer.tar", string(z[:len(z)-9])) })
		}, scan: poison(func(r *room) string {
			return r.saved("honest.tar", []string{good().diff}, []string{"layer.tar"}, func(s *stream) { s.file("layer.tar", string(good().blob)) })
		}, []string{"good 1.0.0"}),
			bug: "Scanner.inventory keeps a result under diff IDs that no stream proved: a compressed layer of a docker-archive has no Digest, and one that ends in an error has no DiffID to compare"},
		{name: "cache-poisoned-by-SHA-512", make: func(r *room) string {
			z := other().blob
			sum := sha512.Sum512(good().blob)
			l := lying(z[:len(z)-9], "+gzip")
			l.diff, l.digest = good().diff, "sha512:"+hex.EncodeToString(sum[:])
			return r.layout(l)
		}, scan: poison(func(r *room) string {
			l := good()
			sum := sha512.Sum512(l.blob)
			l.digest = "sha512:" + hex.EncodeToString(sum[:])
			return r.sub("honest").layout(l)
		}, []string{"good 1.0.0"}),
			bug: "as cache-poisoned-by-a-broken-archive, by way of a digest that is not verified"},
		{name: "cache-poisoned-by-trailing-garbage", make: func(r *room) string {
			return r.layout(lying(append(good().blob, "garbage"...), "+gzip"))
		}, scan: poison(func(r *room) string { return r.sub("honest").layout(good()) }, []string{"good 1.0.0"})},
		{name: "cache-full-of-rubbish", make: func(r *room) string { return r.layout(good()) },
			scan: func(ctx context.Context, s scan.Scanner, r *room, target string) (*bulwark.Report, error) {
				dir := r.path("cache")
				s.Cache = diskcache.Open(dir, 1<<30)
				if _, err := s.Run(ctx, target); err != nil {
					return nil, err
				}
				must(filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
					if err != nil || d.IsDir() {
						return err
					}
					return os.WriteFile(p, append(zstandard(bytes.Repeat([]byte("[{"), 1<<20)), noise(100)...), 0o600)
				}))
				return s.Run(ctx, target)
			}, packages: []string{"good 1.0.0"}},
	}
}

// poison scans the exhibit and then what honest makes, with one cache; of the
// second report everything must be right.
func poison(honest func(*room) string, want []string) func(context.Context, scan.Scanner, *room, string) (*bulwark.Report, error) {
	return func(ctx context.Context, s scan.Scanner, r *room, target string) (*bulwark.Report, error) {
		s.Cache = diskcache.Open(r.path("cache"), 1<<30)
		first, err := s.Run(ctx, target)
		if err == nil && len(told(first)) == 0 {
			return nil, errors.New("the hostile image passed without a word")
		}
		second, err := s.Run(ctx, honest(r))
		if err != nil {
			return nil, fmt.Errorf("the honest image: %w", err)
		}
		if got := named(second); strings.Join(got, ",") != strings.Join(want, ",") || len(told(second)) > 0 {
			return nil, fmt.Errorf("the honest image has packages %q and gaps %v", got, told(second))
		}
		return second, nil
	}
}

// grow appends a byte to the one blob that holds word.
func grow(dir, word string) {
	files, err := filepath.Glob(filepath.Join(dir, "blobs/*/*"))
	must(err)
	for _, f := range files {
		b, err := os.ReadFile(f)
		must(err)
		if bytes.Contains(b, []byte(word)) {
			must(os.WriteFile(f, append(b, ' '), 0o600))
			return
		}
	}
	panic("no blob holds " + word)
}
