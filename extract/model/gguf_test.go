// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/model"
)

// A builder writes GGUF files.
type builder struct {
	order binary.AppendByteOrder
	wide  bool // lengths of 64 bits
	b     []byte
}

// file begins a file with a number of tensors and keys.
func file(order binary.AppendByteOrder, version uint32, tensors, keys uint64) *builder {
	b := &builder{order: order, wide: version > 1, b: []byte("GGUF")}
	b.u32(version).length(tensors)
	return b.length(keys)
}

func (b *builder) u32(n uint32) *builder {
	b.b = b.order.AppendUint32(b.b, n)
	return b
}

func (b *builder) length(n uint64) *builder {
	if b.wide {
		b.b = b.order.AppendUint64(b.b, n)
		return b
	}
	return b.u32(uint32(n))
}

func (b *builder) text(s string) *builder {
	b.length(uint64(len(s)))
	b.b = append(b.b, s...)
	return b
}

// key writes a key and the kind of what follows.
func (b *builder) key(name string, kind uint32) *builder { return b.text(name).u32(kind) }

func (b *builder) raw(n int) *builder {
	b.b = append(b.b, make([]byte, n)...)
	return b
}

func TestGGUF(t *testing.T) {
	le, be := binary.LittleEndian, binary.BigEndian
	long := strings.Repeat("x", 5000)
	for _, tc := range []struct {
		name string
		file *builder
		want string
	}{
		{"version-1", file(le, 1, 0, 2).key("general.name", 8).text("One").key("general.architecture", 8).text("llama"),
			`pkg:generic/One?architecture=llama [] "One" "" :0` + "\n"},
		{"version-2", file(le, 2, 0, 1).key("general.name", 8).text("Two"), `pkg:generic/Two [] "Two" "" :0` + "\n"},
		{"big-endian", file(be, 3, 0, 2).key("general.file_type", 4).u32(7).key("general.name", 8).text("Big"),
			`pkg:generic/Big?quantization=Q8_0 [] "Big" "" :0` + "\n"},
		{"every-kind", file(le, 3, 0, 9).key("a", 0).raw(1).key("b", 3).raw(2).key("c", 6).raw(4).key("d", 12).raw(8).key("e", 7).raw(1).
			key("f", 9).u32(5).length(3).raw(12).
			key("g", 9).u32(8).length(2).text("x").text("").
			key("h", 9).u32(9).length(1).u32(10).length(2).raw(16).
			key("general.name", 8).text("Kinds"), `pkg:generic/Kinds [] "Kinds" "" :0` + "\n"},
		{"name-of-file", file(le, 3, 0, 2).key("general.name", 8).text("Model").key("general.license", 8).text("other"),
			`pkg:generic/dir [] "dir" "" :0` + "\n"},
		{"hostile-name", file(le, 3, 0, 1).key("general.name", 8).text("a\nb"), `pkg:generic/dir [] "dir" "" :0` + "\n"},
		{"long-name", file(le, 3, 0, 2).key("general.name", 8).text(long).key("general.license.name", 8).text("own-license"),
			`pkg:generic/dir [] "dir" "" :0 own-license` + "\n"},
		{"name-is-number", file(le, 3, 0, 1).key("general.name", 4).u32(5), `pkg:generic/dir [] "dir" "" :0` + "\n"},
		{"repository", file(le, 3, 0, 2).key("general.name", 8).text("X").key("general.repo_url", 8).text("https://huggingface.co/bwtest/tiny"),
			`pkg:huggingface/bwtest/tiny [] "bwtest/tiny" "" :0` + "\n"},
		{"elsewhere", file(le, 3, 0, 1).key("general.repo_url", 8).text("https://huggingface.co/../tiny/x"),
			`pkg:generic/dir [] "dir" "" :0` + "\n"},
		{"no-keys", file(le, 3, 0, 0), `pkg:generic/dir [] "dir" "" :0` + "\n"},
		{"other-magic", &builder{b: []byte("GGML\x03\x00\x00\x00")}, `error: parse "dir/model.gguf": not a file of this kind` + "\n"},
		{"version-0", file(le, 0, 0, 0), `error: parse "dir/model.gguf": version 0 of the format: not supported` + "\n"},
		{"version-4", file(le, 4, 0, 0), `error: parse "dir/model.gguf": version 4 of the format: not supported` + "\n"},
		{"many-tensors", file(le, 3, math.MaxUint64, 0), `error: parse "dir/model.gguf": a length of 18446744073709551615 where 8 bytes are left` + "\n"},
		{"few-bytes", file(le, 3, 30, 0).raw(100), `error: parse "dir/model.gguf": 30 tensors in 124 bytes` + "\n"},
		{"many-keys", file(le, 3, 0, 1<<17).raw(1 << 18), `error: parse "dir/model.gguf": 131072 keys: larger than the limit` + "\n"},
		{"long-key", file(le, 3, 0, 1).text(strings.Repeat("k", 1<<16)).raw(9),
			`pkg:generic/dir [] "dir" "" :0` + "\n" + `error: parse "dir/model.gguf": a key of 65536 bytes` + "\n"},
		{"long-array", file(le, 3, 0, 1).key("a", 9).u32(4).length(1 << 62).raw(64),
			`pkg:generic/dir [] "dir" "" :0` + "\n" + `error: parse "dir/model.gguf": key "a": a length of 4611686018427387904 where 64 bytes are left` + "\n"},
		{"long-text", file(le, 3, 0, 2).key("general.name", 8).text("N").key("general.x", 8).length(math.MaxUint64),
			`pkg:generic/N [] "N" "" :0` + "\n" + `error: parse "dir/model.gguf": key "general.x": a length of 18446744073709551615 where 0 bytes are left` + "\n"},
		{"strange-kind", file(le, 3, 0, 1).key("a", 13).raw(8),
			`pkg:generic/dir [] "dir" "" :0` + "\n" + `error: parse "dir/model.gguf": key "a": a value of kind 13` + "\n"},
		{"deep", file(le, 3, 0, 1).key("a", 9).u32(9).length(1).u32(9).length(1).u32(9).length(1).u32(9).length(1).u32(9).length(1).u32(9).length(0),
			`pkg:generic/dir [] "dir" "" :0` + "\n" + `error: parse "dir/model.gguf": key "a": arrays nested too deeply` + "\n"},
		{"cut", file(le, 3, 0, 2).key("general.name", 8).text("Cut").text("general"),
			`pkg:generic/Cut [] "Cut" "" :0` + "\n" + `error: parse "dir/model.gguf": unexpected EOF` + "\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pkgs, err := model.GGUF{}.Extract(t.Context(), bulwark.MemoryFile("dir/model.gguf", 0o644, tc.file.b))
			if diff := cmp.Diff(tc.want, describe(pkgs, err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestGGUFTooLarge has metadata that goes on for longer than is read.
func TestGGUFTooLarge(t *testing.T) {
	b := file(binary.LittleEndian, 3, 0, 1).key("a", 9).u32(8).length(1 << 20)
	f := bulwark.ReaderFile("m.gguf", 0o644, endless{b.b}, 1<<30)
	_, err := model.GGUF{}.Extract(t.Context(), f)
	if err == nil || !errors.Is(err, bulwark.ErrTooLarge) {
		t.Errorf("error %v, want %v", err, bulwark.ErrTooLarge)
	}
}

// endless goes on with texts of 255 bytes after its beginning.
type endless struct{ b []byte }

func (e endless) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		p[i] = 0
		switch at := off + int64(i); {
		case at < int64(len(e.b)):
			p[i] = e.b[at]
		case (at-int64(len(e.b)))%263 == 0:
			p[i] = 0xff
		}
	}
	return len(p), nil
}
