// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scan_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/limit"
	"github.com/bulwark-sec/bulwark/scan"
)

// tensors gives a safetensors file whose header has so many tensors, and what
// follows it.
func tensors(n int, rest string) string {
	var b strings.Builder
	b.WriteString(`{"__metadata__":{"format":"pt"}`)
	for i := range n {
		fmt.Fprintf(&b, `,"layer.%d":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`, i)
	}
	b.WriteString("}")
	return string(binary.LittleEndian.AppendUint64(nil, uint64(b.Len()))) + b.String() + rest
}

// A file beyond the limit on size is read by those who need its beginning only;
// what the others do not see is told.
func TestBeginnings(t *testing.T) {
	weights := string(noise(2 << 20))
	gguf, err := os.ReadFile("../extract/model/testdata/tiny.gguf")
	must(err)
	torch, err := os.ReadFile("../extract/model/testdata/tensor_int8_proto5_zip.pt")
	must(err)
	r := &room{dir: t.TempDir()}
	s := new(stream)
	s.file("models/small/model.safetensors", tensors(1, weights))
	s.file("models/spilled/model.safetensors", tensors(4000, weights)) // a header of some 250 KB
	s.file("models/liar/model.safetensors", tensors(1<<15, weights))   // a header beyond the limit
	s.file("models/lie/model.safetensors", "\xff\xff\xff\xff\xff\xff\xff\x7f{"+weights)
	s.file("models/tiny.gguf", string(gguf)+weights)
	s.file("models/yolo.pt", string(torch)+weights)
	s.file("firmware.bin", weights)
	s.file("models/inside/model.safetensors", tensors(2, "")) // within the limit
	s.file(npmPath("big"), npmBody("big", "1.0.0")+strings.Repeat(" ", 1<<20)).npm("good", "1.0.0")
	target := r.layout(gz(s.end()))
	want := []string{"Bw Tiny 1M Instruct v0.2", "good 1.0.0", "inside", "small", "spilled", "yolo"}
	wantGaps := []string{
		npmPath("big") + ": a file of 1048608 bytes; at most 1048576 are looked into, hides",
		"models/liar/model.safetensors: safetensors: parse \"models/liar/model.safetensors\": only the first 1048576 bytes are read: larger than the limit, hides",
		"models/lie/model.safetensors: safetensors: parse \"models/lie/model.safetensors\": a header of 9223372036854775807 bytes in a file of 2097161, hides",
	}
	for _, inProcess := range []bool{false, true} {
		s := scan.Scanner{TempDir: t.TempDir(), Limits: limit.Limits{File: 1 << 20, Memory: 64 << 10}, InProcessUnsafe: inProcess}
		got, err := s.Run(t.Context(), target)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, named(got)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(wantGaps, limited(got)); diff != "" {
			t.Error(diff)
		}
		// The checks read whole files.
		s.Secrets = true
		if got, err = s.Run(t.Context(), target); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, named(got)); diff != "" {
			t.Error(diff)
		}
	}
}

// limited gives what a report says of files in it.
func limited(r *bulwark.Report) (out []string) {
	for _, g := range told(r) {
		if g.Path == "" {
			continue
		}
		line := g.Path + ": " + g.Detail
		if g.Hides {
			line += ", hides"
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}
