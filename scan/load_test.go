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
	weights := string(noise(1 << 20))
	gguf, err := os.ReadFile("../extract/model/testdata/tiny.gguf")
	must(err)
	torch, err := os.ReadFile("../extract/model/testdata/tensor_int8_proto5_zip.pt")
	must(err)
	r := &room{dir: t.TempDir()}
	s := new(stream)
	s.file("models/small/model.safetensors", tensors(1, weights))
	s.file("models/spilled/model.safetensors", tensors(4000, weights)) // a header of some 250 KB
	s.file("models/liar/model.safetensors", tensors(18_000, weights))  // a header beyond the limit
	s.file("models/lie/model.safetensors", "\xff\xff\xff\xff\xff\xff\xff\x7f{"+weights)
	s.file("models/tiny.gguf", string(gguf)+weights)
	s.file("models/yolo.pt", string(torch)+weights)
	s.file("firmware.bin", weights+"x")
	s.file("models/inside/model.safetensors", tensors(2, "")) // within the limit
	s.file(npmPath("big"), npmBody("big", "1.0.0")+strings.Repeat(" ", 1<<20)).npm("good", "1.0.0")
	target := r.layout(gz(s.end()))
	want := []string{"Bw Tiny 1M Instruct v0.2", "good 1.0.0", "inside", "small", "spilled", "yolo"}
	wantGaps := []string{
		npmPath("big") + ": a file of 1048608 bytes; at most 1048576 are looked into, hides",
		"models/liar/model.safetensors: safetensors: parse \"models/liar/model.safetensors\": only the first 1048576 bytes are read: larger than the limit, hides",
		"models/lie/model.safetensors: safetensors: parse \"models/lie/model.safetensors\": a header of 9223372036854775807 bytes in a file of 1048585, hides",
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

// A directory is walked by us: of a file beyond the limit its stream holds the
// beginning only. The file is sparse and takes no room.
func TestBeginningsOfDirectory(t *testing.T) {
	dir := t.TempDir()
	r := &room{dir: dir}
	large := r.put("models/large/model.safetensors", []byte(tensors(3, "")))
	must(os.Truncate(large, 1<<40))
	other := r.put("app/node_modules/big/package.json", []byte(npmBody("big", "1.0.0")))
	must(os.Truncate(other, 1<<40))
	s := scan.Scanner{TempDir: t.TempDir(), InProcessUnsafe: true, Secrets: true}
	got, err := s.Run(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"large"}, named(got)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"app/node_modules/big/package.json: a file of 1099511627776 bytes; at most 1073741824 are looked into, hides"}, limited(got)); diff != "" {
		t.Error(diff)
	}
}

// What a stream says of bytes that it leaves out is believed of ours only; what is
// then missing of a file in an archive is told.
func TestBeginningsOfOthers(t *testing.T) {
	r := &room{dir: t.TempDir()}
	made := func() []byte {
		s := new(stream)
		s.pax("BULWARK.rest", "1099511627776").npm("good", "1.0.0")
		s.pax("BULWARK.rest", "9223372036854775807").npm("better", "1.0.0")
		s.pax("BULWARK.rest", "-1").npm("best", "1.0.0")
		return s.end()
	}
	all := []string{"best 1.0.0", "better 1.0.0", "good 1.0.0"}
	s := scan.Scanner{TempDir: t.TempDir(), InProcessUnsafe: true}
	got, err := s.Run(t.Context(), r.layout(gz(made())))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(all, named(got)); diff != "" {
		t.Error(diff)
	}
	s.Archives = true
	r.put("tree/x.tar", made())
	if got, err = s.Run(t.Context(), r.path("tree")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(all, named(got)); diff != "" {
		t.Error("nested:", diff)
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
