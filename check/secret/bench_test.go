// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark"
)

// prose makes n bytes that look like source text: words, names, punctuation, now
// and then a keyword.
func prose(n int) []byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields(`the function returns value if err nil return string package import const type struct public static void class self def
		not found in file line number of options for this test and with path name key token password https://acme.test/index.html github
		http_proxy linked_list global_table next_index = := { } ( ) [ ] 0x1f 127.0.0.1 sha256 -- // /* */ <div> </div> \n`)
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(words[rnd.IntN(len(words))])
		b.WriteByte(" \n\t "[rnd.IntN(4)])
	}
	return []byte(b.String()[:n])
}

func BenchmarkCheck(b *testing.B) {
	c := newCheck(b)
	f := bulwark.MemoryFile("srv/app/text.txt", 0o644, prose(1<<20))
	b.SetBytes(f.Size)
	b.ReportAllocs()
	for b.Loop() {
		if got, err := c.Check(b.Context(), f); err != nil || len(got) != 0 {
			b.Fatal(got, err)
		}
	}
}

func BenchmarkFilter(b *testing.B) {
	c := newCheck(b)
	data := prose(1 << 20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		for p, _ := c.wide.places.Next(data, 0); p >= 0; p, _ = c.wide.places.Next(data, p+2) {
		}
	}
}

func BenchmarkSmallFiles(b *testing.B) {
	c := newCheck(b)
	f := bulwark.MemoryFile("usr/share/app/module.py", 0o644, prose(2000))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Check(b.Context(), f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(); err != nil {
			b.Fatal(err)
		}
	}
}
