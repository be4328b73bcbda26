// SPDX-License-Identifier: Apache-2.0

package gobinary_test

import (
	debugelf "debug/elf"
	"debug/gosym"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/gobinary"
	"github.com/bulwark-sec/bulwark/internal/funcset"
)

// pclntab is a table of functions of which only the names are there. It has the
// form of Go 1.16 (0xfffffffa), 1.18 (0xfffffff0) or 1.20 (0xfffffff1).
func pclntab(o binary.ByteOrder, word int, magic uint32, names ...string) []byte {
	text := "\x00" + strings.Join(names, "\x00") + "\x00"
	words := 3
	if magic == 0xfffffffa {
		words = 2
	}
	b := appendUint(o, nil, 4, uint64(magic))
	b = append(b, 0, 0, 1, byte(word))
	for range words {
		b = appendUint(o, b, word, 7)
	}
	from := 8 + (words+5)*word
	for _, v := range []int{from, from + len(text), from + len(text), from + len(text), from + len(text)} {
		b = appendUint(o, b, word, uint64(v))
	}
	return append(append(b, text...), 1, 2, 3, 4)
}

// always are in every program.
var always = []string{"runtime.main", "runtime.mallocgc", "runtime.newproc"}

// withTable gives an ELF file with a section of build information and one, if it
// is named, of functions.
func withTable(wide bool, o binary.ByteOrder, section string, table []byte) []byte {
	now := blob("go1.22.1", modules)
	for len(now)%16 != 0 {
		now = append(now, 0)
	}
	// The names of both sections and the rows of the table follow what elf makes
	// of one section with both contents.
	data := append(now, table...)
	b := elf(wide, o, ".go.buildinfo", data)
	if section == "" {
		return b
	}
	rowSize, shoff, shnum := 40, 32, 48
	if wide {
		rowSize, shoff, shnum = 64, 40, 60
	}
	word := 4
	if wide {
		word = 8
	}
	at := len(b) - 3*rowSize
	rows := append([]byte(nil), b[at:]...)
	namesAt := at - len("\x00.shstrtab\x00.go.buildinfo\x00")
	b = append(append([]byte(nil), b[:at]...), section+"\x00"...)
	put := func(row []byte, field int, v int) { // fields behind name and type: flags, address, offset, size
		copy(row[8+field*word:], appendUint(o, nil, word, uint64(v)))
	}
	copy(b[shoff:], appendUint(o, nil, word, uint64(len(b))))
	copy(b[shnum:], appendUint(o, nil, 2, 4))
	put(rows[rowSize:], 3, len(b)-namesAt)
	row := append([]byte(nil), rows[2*rowSize:]...)
	copy(row, appendUint(o, nil, 4, uint64(len("\x00.shstrtab\x00.go.buildinfo\x00"))))
	put(rows[2*rowSize:], 3, len(now))
	put(row, 1, 0x10000+len(now))
	put(row, 2, 256+len(now))
	put(row, 3, len(table))
	return append(append(b, rows...), row...)
}

func program(t *testing.T, data []byte) bulwark.Program {
	t.Helper()
	inv, err := gobinary.Extractor{}.Inventory(t.Context(), bulwark.MemoryFile("bin/app", 0o755, data))
	if err != nil || len(inv.Programs) != 1 || inv.Programs[0].Path != "bin/app" {
		t.Fatalf("programs %+v, error %v", inv.Programs, err)
	}
	return inv.Programs[0]
}

func has(t *testing.T, p bulwark.Program, name string) bool {
	t.Helper()
	s, err := funcset.Parse(p.Functions)
	if err != nil {
		t.Fatalf("%v: %q", err, p.Unknown)
	}
	yes, _ := s.Has(name)
	return yes
}

func TestFunctions(t *testing.T) {
	le, be := binary.LittleEndian, binary.BigEndian
	names := append([]string{"main.run", "example.com/old.(*T).M", "github.com/BurntSushi/toml.Decode"}, always...)
	long := append([]string{strings.Repeat("x", 200_000) + ".F"}, names...)
	for i := range 20_000 {
		long = append(long, fmt.Sprintf("example.org/many/p%d.(*T).Method%d", i/50, i))
	}
	for name, data := range map[string][]byte{
		"1.20":      withTable(true, le, ".gopclntab", pclntab(le, 8, 0xfffffff1, names...)),
		"1.18":      withTable(true, le, ".gopclntab", pclntab(le, 8, 0xfffffff0, names...)),
		"1.16":      withTable(true, le, ".gopclntab", pclntab(le, 8, 0xfffffffa, names...)),
		"32-bit-be": withTable(false, be, ".gopclntab", pclntab(be, 4, 0xfffffff1, names...)),
		"pie":       withTable(true, le, ".data.rel.ro.gopclntab", pclntab(le, 8, 0xfffffff1, names...)),
		"many":      withTable(true, le, ".gopclntab", pclntab(le, 8, 0xfffffff1, long...)),
	} {
		t.Run(name, func(t *testing.T) {
			p := program(t, data)
			for want, yes := range map[string]bool{
				"example.com/App/cmd/app.run":       true,  // main goes by its import path
				"example.com/fork/v2.T.M":           true,  // a module that stands for another
				"example.com/old.T.M":               true,  // and that other
				"github.com/BurntSushi/toml.Decode": true,  //
				"github.com/BurntSushi/toml.Encode": false, //
			} {
				if has(t, p, want) != yes {
					t.Errorf("%s: %v", want, !yes)
				}
			}
			if name == "many" && !has(t, p, "example.org/many/p399.T.Method19999") {
				t.Error("the last function is missing")
			}
		})
	}
}

func TestFunctionsUnknown(t *testing.T) {
	le := binary.LittleEndian
	good := pclntab(le, 8, 0xfffffff1, always...)
	damaged := func(at int, v byte) []byte {
		b := append([]byte(nil), good...)
		b[at] = v
		return withTable(true, le, ".gopclntab", b)
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"no-table":     {elf(true, le, ".go.buildinfo", blob("go1.22.1", modules)), "it has no table of functions that is understood, as programs before Go 1.16 have not"},
		"1.2":          {withTable(true, le, ".gopclntab", pclntab(le, 8, 0xfffffffb, always...)), "it has no table of functions that is understood, as programs before Go 1.16 have not"},
		"word":         {damaged(7, 5), "it has no table of functions that is understood, as programs before Go 1.16 have not"},
		"outside":      {damaged(8+4*8+3, 0x7f), "it has no table of functions that is understood, as programs before Go 1.16 have not"},
		"backward":     {damaged(8+3*8+1, 0x7f), "it has no table of functions that is understood, as programs before Go 1.16 have not"},
		"short-header": {withTable(true, le, ".gopclntab", good[:20]), "it has no table of functions that is understood, as programs before Go 1.16 have not"},
		"garbled":      {withTable(true, le, ".gopclntab", pclntab(le, 8, 0xfffffff1, "xQ1.a", "xQ1.b")), "its functions bear other names than in the source"},
		"empty":        {withTable(true, le, ".gopclntab", pclntab(le, 8, 0xfffffff1)), "its functions bear other names than in the source"},
	} {
		t.Run(name, func(t *testing.T) {
			p := program(t, c.data)
			if diff := cmp.Diff(bulwark.Program{Path: "bin/app", Unknown: c.want}, p); diff != "" {
				t.Error(diff)
			}
		})
	}
	whole := withTable(true, le, ".gopclntab", good)
	for n := range whole {
		_, _ = gobinary.Extractor{}.Inventory(t.Context(), bulwark.MemoryFile("a", 0o755, whole[:n]))
	}
}

// TestFunctionsOfPE finds a table that no section names.
func TestFunctionsOfPE(t *testing.T) {
	le := binary.LittleEndian
	data := pe(append(make([]byte, 16), blob("go1.22.1", modules)...))
	// A second section, with constants.
	le.PutUint16(data[0x86:], 2)
	row := data[0x98+240+40:]
	table := append(make([]byte, searched), pclntab(le, 8, 0xfffffff1, append([]string{"example.org/x.F"}, always...)...)...)
	copy(row, ".rdata")
	le.PutUint32(row[16:], uint32(len(table)))
	le.PutUint32(row[20:], uint32(len(data)))
	le.PutUint32(row[36:], 0x40600040)
	if p := program(t, append(data, table...)); !has(t, p, "example.org/x.F") {
		t.Error("a function is missing")
	}
}

// searched is more than is looked at in one go.
const searched = 100_000 &^ 7

// TestFunctionsOfSelf compares with what the standard library reads of the
// running test: every function that it lists is there.
func TestFunctionsOfSelf(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f, err := openELF(self)
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	table, err := f.Section(".gopclntab").Data()
	if err != nil {
		t.Fatal(err)
	}
	truth, err := gosym.NewTable(nil, gosym.NewLineTable(table, f.Section(".text").Addr))
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	p := program(t, data)
	s, err := funcset.Parse(p.Functions)
	if err != nil {
		t.Fatal(err, p.Unknown)
	}
	asked := 0
	for _, fn := range truth.Funcs {
		name := strings.ReplaceAll(strings.TrimSuffix(fn.Name, ".abi0"), "%2e", ".")
		if strings.HasPrefix(name, "main.") || strings.ContainsAny(name, ":-") || strings.Contains(name, "..") || strings.Count(name[strings.LastIndexByte(name, '/')+1:], ".") > 1 && !strings.Contains(name, "(*") {
			continue
		}
		has, ask := s.Has(name)
		if ask && !has && !strings.Contains(name, ").") {
			t.Errorf("%s is missing", name)
		}
		if ask {
			asked++
		}
	}
	if asked < 2000 || len(p.Functions) > 2*len(truth.Funcs)+len(truth.Funcs)/2 {
		t.Errorf("%d functions asked for, %d in the table, %d bytes", asked, len(truth.Funcs), len(p.Functions))
	}
	for name, want := range map[string]bool{
		"github.com/bulwark-sec/bulwark/extract/gobinary.Extractor.Inventory": true,
		"net/http.Server.Serve": false,
		"net/http.*":            false,
	} {
		if has, _ := s.Has(name); has != want {
			t.Errorf("%s: %v", name, has)
		}
	}
}

func openELF(name string) (*debugelf.File, error) { return debugelf.Open(name) }

func FuzzFunctions(f *testing.F) {
	le := binary.LittleEndian
	for _, magic := range []uint32{0xfffffff1, 0xfffffff0, 0xfffffffa} {
		f.Add(pclntab(le, 8, magic, always...))
		f.Add(pclntab(binary.BigEndian, 4, magic, always...))
	}
	f.Fuzz(func(t *testing.T, table []byte) {
		inv, err := gobinary.Extractor{}.Inventory(t.Context(), bulwark.MemoryFile("a", 0o755, withTable(true, le, ".gopclntab", table)))
		if err == nil && len(inv.Programs) == 1 && inv.Programs[0].Functions == nil && inv.Programs[0].Unknown == "" {
			t.Error("nobody says why the functions are not known")
		}
	})
}
