// SPDX-License-Identifier: Apache-2.0

package binary_test

import (
	stdbinary "encoding/binary"
	"testing"
)

// An elf is a program: its code, its texts, and variables that hold some of
// them.
type elf struct {
	wide      bool
	big       bool // most significant byte first
	code      string
	text      string
	variables [][]string // each row lies in one piece, with a gap after it
}

const base = 0x400000 // address of the texts

func (e elf) bytes() []byte {
	var o stdbinary.AppendByteOrder = stdbinary.LittleEndian
	var p stdbinary.ByteOrder = stdbinary.LittleEndian
	if e.big {
		o, p = stdbinary.BigEndian, stdbinary.BigEndian
	}
	word := func(b []byte, v int) []byte {
		if e.wide {
			return o.AppendUint64(b, uint64(v))
		}
		return o.AppendUint32(b, uint32(v))
	}
	text, data := []byte(e.text), []byte(nil)
	for _, row := range e.variables {
		for _, s := range row {
			data = word(word(data, base+len(text)), len(s))
			text = append(text, s...)
		}
		data = word(data, 0)
	}
	head, each := 52, 40
	if e.wide {
		head, each = 64, 64
	}
	b := make([]byte, head)
	copy(b, "\x7fELF\x01\x01\x01")
	if e.wide {
		b[4] = 2
	}
	if e.big {
		b[5] = 2
	}
	p.PutUint16(b[16:], 2)
	var table []byte
	section := func(kind uint32, flags, addr int, content []byte) {
		table = o.AppendUint32(o.AppendUint32(table, 0), kind)
		for _, v := range []int{flags, addr, len(b), len(content)} {
			table = word(table, v)
		}
		table = append(table, make([]byte, each-len(table)%each)...)
		b = append(b, content...)
	}
	table = append(table, make([]byte, each)...)
	section(1, 6, 0x1000, []byte(e.code+"\x90"))
	section(1, 2, base, text)
	section(1, 3, 0x800000, append(data, make([]byte, 16)...))
	section(8, 3, 0x900000, nil)
	at, size := len(b), len(table)/each
	if e.wide {
		p.PutUint64(b[40:], uint64(at))
		p.PutUint16(b[58:], 64)
		p.PutUint16(b[60:], uint16(size))
	} else {
		p.PutUint32(b[32:], uint32(at))
		p.PutUint16(b[46:], 40)
		p.PutUint16(b[48:], uint16(size))
	}
	return append(b, table...)
}

// helm is a program whose linker was told the version, and which keeps nothing
// of how it was built.
func helm() elf {
	return elf{
		wide: true, text: "path\thelm.sh/helm/v3/cmd/helm\nmod\thelm.sh/helm/v3\t(devel)\t\nbuild\t-trimpath=true\n",
		variables: [][]string{{"clean", "v3.15.2"}, {"go1.22.4"}},
	}
}

func TestVariables(t *testing.T) {
	with := func(rows ...[]string) elf { e := helm(); e.variables = rows; return e }
	small, big := helm(), helm()
	small.wide = false
	big.big = true
	other := helm()
	other.text = "path\texample.com/other\n"
	sister := helm()
	sister.text = "path\thelm.sh/helm-tools/cmd/helm\n"
	for _, c := range []struct {
		name, file, product string
		program             elf
		want                string
	}{
		{"64-bit", "helm", "helm", helm(), "3.15.2"},
		{"32-bit", "helm", "helm", small, "3.15.2"},
		{"big-endian", "helm", "helm", big, "3.15.2"},
		{"other-program", "helm", "helm", other, ""},
		{"similar-program", "helm", "helm", sister, ""},
		{"constant", "coredns", "coredns", helm(), ""},
		{"same-twice", "helm", "helm", with([]string{"v3.1.2"}, []string{"3.1.2+dfsg1"}), "3.1.2"},
		{"embedded-file", "helm", "helm", with([]string{"3.1.2\n"}), "3.1.2"},
		{"two", "helm", "helm", with([]string{"v3.1.2"}, []string{"v1.0.3"}), ""},
		{"list-beside", "helm", "helm", with([]string{"v3.1.2"}, []string{"1.0.1", "1.0.2", "1.1.0"}), "3.1.2"},
		{"only-list", "helm", "helm", with([]string{"1.0.1", "1.0.2", "1.1.0"}), ""},
		{"placeholder", "helm", "helm", with([]string{"0.0.0"}, []string{"1.6.20+unknown"}), ""},
		{"candidate", "helm", "helm", with([]string{"v3.0.0-rc.1"}), "3.0.0-rc.1"},
		{"snapshot", "helm", "helm", with([]string{"1.6.7~rc0"}), ""},
		{"not-a-version", "helm", "helm", with([]string{"1.2"}, []string{"v1.2.x"}, []string{"1.2.3.4"}), ""},
	} {
		if got := version(t, c.product, c.file, c.program.bytes()); got != c.want {
			t.Errorf("%s: version %q, want %q", c.name, got, c.want)
		}
	}
}
