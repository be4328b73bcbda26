// SPDX-License-Identifier: Apache-2.0

package kernel_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
	"github.com/bulwark-sec/bulwark/extract/kernel"
)

const linuxBanner = "Linux version 6.6.8-0-lts (buildozer@build-edge-aarch64) (aarch64-alpine-linux-musl-gcc (Alpine 13.2.1) 13.2.1, GNU ld 2.41) #1-Alpine SMP PREEMPT_DYNAMIC 2023-12-22\n"

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func gunzip(t testing.TB, b []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if b, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	return b
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstandard(t testing.TB, b []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return z.EncodeAll(b, nil)
}

// flat makes an image of the form that arm64 and RISC-V boot, with the format of
// the banner before the banner, as kernels have it.
func flat(magic, text string) []byte {
	b := make([]byte, 600<<10)
	copy(b, "MZ")
	copy(b[0x38:], magic)
	copy(b[300<<10:], "Linux version %s (%s)\x00")
	copy(b[500<<10:], text)
	return b
}

// zboot makes an EFI program with a compressed kernel in it.
func zboot(method string, machine uint16, payload []byte) []byte {
	o := binary.LittleEndian
	b := make([]byte, 1024)
	copy(b, "MZ\x00\x00zimg")
	o.PutUint32(b[8:], 1024)
	o.PutUint32(b[12:], uint32(len(payload)))
	copy(b[24:], method)
	o.PutUint32(b[0x3c:], 0x40)
	copy(b[0x40:], "PE\x00\x00")
	o.PutUint16(b[0x44:], machine)
	return append(b, payload...)
}

// unified makes a unified kernel image.
func unified(machine uint16, linux []byte) []byte {
	o := binary.LittleEndian
	b := make([]byte, 1024)
	copy(b, "MZ")
	o.PutUint32(b[0x3c:], 0x40)
	copy(b[0x40:], "PE\x00\x00")
	o.PutUint16(b[0x44:], machine)
	o.PutUint16(b[0x46:], 2)
	o.PutUint16(b[0x54:], 16) // optional header
	rows := b[0x40+24+16:]
	copy(rows, ".uname")
	copy(rows[40:], ".linux")
	o.PutUint32(rows[40+16:], uint32(len(linux)))
	o.PutUint32(rows[40+20:], 1024)
	return append(b, linux...)
}

func elf(kind, machine uint16, text string) []byte {
	b := make([]byte, 100<<10)
	copy(b, "\x7fELF\x02\x01\x01")
	binary.LittleEndian.PutUint16(b[16:], kind)
	binary.LittleEndian.PutUint16(b[18:], machine)
	copy(b[90<<10:], text)
	return b
}

// module makes a 32-bit big-endian module.
func module(info string) []byte {
	o := binary.BigEndian
	const names = "\x00.shstrtab\x00.modinfo\x00"
	b := make([]byte, 52)
	copy(b, "\x7fELF\x01\x02\x01")
	o.PutUint16(b[16:], 1)
	o.PutUint16(b[18:], 20)
	b = append(append(b, info...), names...)
	o.PutUint32(b[32:], uint32(len(b)))
	o.PutUint16(b[46:], 40)
	o.PutUint16(b[48:], 3)
	o.PutUint16(b[50:], 1)
	row := func(name, off, size int) {
		r := make([]byte, 40)
		o.PutUint32(r, uint32(name))
		o.PutUint32(r[16:], uint32(off))
		o.PutUint32(r[20:], uint32(size))
		b = append(b, r...)
	}
	row(0, 0, 0)
	row(1, 52+len(info), len(names))
	row(11, 52, len(info))
	return b
}

func images(t testing.TB) map[string][]byte {
	debian := gunzip(t, read(t, "vmlinuz.gz"))
	arm := flat("ARM\x64", linuxBanner)
	return map[string][]byte{
		"boot/vmlinuz-6.1.0-56-amd64":                debian,
		"usr/lib/modules/6.1.0-56-amd64/vmlinuz":     debian,
		"boot/vmlinuz-lts":                           arm,
		"boot/Image":                                 flat("RSC\x05", linuxBanner),
		"boot/firmware/kernel8.img":                  gzipped(t, arm),
		"boot/vmlinuz-zboot-gzip":                    zboot("gzip", 0xaa64, gzipped(t, arm)),
		"boot/vmlinuz-zboot-zstd":                    zboot("zstd", 0x6264, zstandard(t, arm)),
		"boot/vmlinuz-6.12.1-lzma":                   zboot("lzma", 0x5064, []byte("x")),
		"boot/vmlinux-5.14.21":                       elf(2, 22, linuxBanner),
		"boot/efi/EFI/Linux/gentoo.efi":              unified(0x8664, debian),
		"efi/EFI/Linux/arm.efi":                      unified(0xaa64, arm),
		"boot/0123456789abcdef/6.6.8/linux":          arm,
		"lib/modules/6.5.0-silent/vmlinuz":           flat("ARM\x64", ""),
		"boot/vmlinuz-6.5.0-silent.efi":              flat("ARM\x64", ""),
		"boot/vmlinuz-6.1.0-without-text-from-loads": without(debian),
	}
}

// without takes the pointer to the text out of a bzImage.
func without(b []byte) []byte {
	b = slices.Clone(b)
	b[0x20e], b[0x20f] = 0, 0
	return b
}

func modules(t testing.TB) map[string][]byte {
	const dir = "lib/modules/6.1.0-56-amd64/"
	return map[string][]byte{
		dir + "updates/dkms/acpi_call.ko":      read(t, "acpi_call.ko"),
		dir + "updates/dkms/acpi_call.ko.xz":   read(t, "acpi_call.ko.xz"),
		dir + "updates/dkms/acpi_call.ko.zst":  read(t, "acpi_call.ko.zst"),
		"usr/" + dir + "extra/acpi_call.ko.gz": read(t, "acpi_call.ko.gz"),
		dir + "updates/dkms/dummy.ko":          read(t, "dummy.ko"),
		dir + "misc/vendor-driver.ko":          module("version=550.1\x00license=Dual MIT/GPL\x00license=Proprietary\x00license=Proprietary\x00author=Somebody <a@example.org>\x00"),
		dir + "misc/signed.ko":                 append(module("name=signed\x00vermagic=6.9.1 SMP\x00"), "~Module signature appended~\n"...),
	}
}

func describe(pkgs []bulwark.Package, err error) string {
	var b strings.Builder
	for _, p := range pkgs {
		fmt.Fprintf(&b, "%s %s %s by %s\n\tpurl %s\n", p.Name, p.Version, p.Arch, p.By, p.PURL)
		if p.Source != "" {
			fmt.Fprintf(&b, "\tsource %s %s\n", p.Source, p.SourceVersion)
		}
		if p.Vendor != "" {
			fmt.Fprintf(&b, "\tvendor %s\n", p.Vendor)
		}
		for _, l := range p.Licenses {
			fmt.Fprintf(&b, "\tlicence %s\n", l)
		}
	}
	if err != nil {
		fmt.Fprintf(&b, "error %v\n", err)
	}
	if b.Len() == 0 {
		return "nothing\n"
	}
	return b.String()
}

func compare(t *testing.T, name string, got map[string]string) {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, f := range a.Files {
		want[f.Name] = string(f.Data)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestImage(t *testing.T) {
	e, got := kernel.Image{}, map[string]string{}
	for path, data := range images(t) {
		f := bulwark.MemoryFile(path, 0o644, data)
		if !e.Wants(path, f.Stat) || !e.WantsHead(path, data[:min(len(data), 4096)]) {
			t.Errorf("does not want %q", path)
		}
		got[path] = describe(e.Extract(t.Context(), f))
	}
	compare(t, "images.txtar", got)
}

func TestModule(t *testing.T) {
	e, got := kernel.Module{}, map[string]string{}
	for path, data := range modules(t) {
		f := bulwark.MemoryFile(path, 0o644, data)
		if !e.Wants(path, f.Stat) {
			t.Errorf("does not want %q", path)
		}
		got[path] = describe(e.Extract(t.Context(), f))
	}
	compare(t, "modules.txtar", got)
}

func TestWants(t *testing.T) {
	st := bulwark.Stat{Size: 1 << 20, Mode: 0o644}
	for _, path := range []string{
		"vmlinuz", "boot/initrd.img-6.1.0", "boot/System.map-6.1.0", "usr/lib/modules/6.1/build/vmlinux", "boot/linux",
		"usr/share/vmlinuz", "boot/efi/EFI/BOOT/BOOTX64.EFI", "lib/modules/6.1.0/modules.dep", "boot/x/y.efi",
	} {
		if (kernel.Image{}).Wants(path, st) {
			t.Errorf("Image wants %q", path)
		}
	}
	for _, path := range []string{"lib/modules/6.1/kernel/net/x.ko", "lib/modules/6.1/modules.dep", "lib/modules/x.ko", "x.ko", "lib/modules/6.1/extra/x.ko.asc"} {
		if (kernel.Module{}).Wants(path, st) {
			t.Errorf("Module wants %q", path)
		}
	}
}

func TestOtherFiles(t *testing.T) {
	for name, data := range map[string][]byte{
		"elf-without-banner": elf(2, 62, ""),
		"relocatable":        elf(1, 62, linuxBanner),
		"pe-without-linux":   bytes.Replace(unified(0x8664, nil), []byte(".linux"), []byte(".initrd")[:6], 1),
		"gzip-of-text":       gzipped(t, []byte(strings.Repeat("text ", 1000))),
		"text":               []byte(strings.Repeat("text ", 100)),
	} {
		pkgs, err := kernel.Image{}.Extract(t.Context(), bulwark.MemoryFile("boot/vmlinuz", 0o644, data))
		if len(pkgs) > 0 || err != nil {
			t.Errorf("%s: %v, %v", name, pkgs, err)
		}
	}
}

func TestHostile(t *testing.T) {
	beyond := slices.Clone(gunzip(t, read(t, "vmlinuz.gz")))
	beyond[0x20e], beyond[0x20f] = 0xff, 0xff
	nested := unified(0x8664, unified(0x8664, gunzip(t, read(t, "vmlinuz.gz"))))
	far := module("name=x\x00")
	binary.BigEndian.PutUint32(far[32:], 1<<31)
	for name, tc := range map[string]struct {
		path string
		data []byte
		want error
		any  bool // any error
	}{
		"version-beyond":   {path: "boot/vmlinuz", data: beyond, any: true},
		"nested-unified":   {path: "boot/EFI/Linux/x.efi", data: nested},
		"no-release":       {path: "boot/vmlinuz", data: flat("ARM\x64", ""), any: true},
		"unknown-packer":   {path: "boot/vmlinuz", data: zboot("lzma", 0xaa64, []byte("x")), want: bulwark.ErrUnsupported},
		"payload-beyond":   {path: "boot/vmlinuz", data: zboot("gzip", 0xaa64, nil)[:100], any: true},
		"bomb":             {path: "boot/vmlinuz", data: bytes.Repeat(gzipped(t, make([]byte, 1<<20)), 130), want: bulwark.ErrTooLarge},
		"module-bomb":      {path: "lib/modules/1/x.ko.gz", data: append(gzipped(t, module("name=x\x00")), bytes.Repeat(gzipped(t, make([]byte, 1<<20)), 130)...), want: bulwark.ErrTooLarge},
		"module-beyond":    {path: "lib/modules/1/x.ko", data: far, any: true},
		"module-no-info":   {path: "lib/modules/1/x.ko", data: elf(1, 62, ""), any: true},
		"module-not-xz":    {path: "lib/modules/1/x.ko.xz", data: []byte("no xz"), any: true},
		"module-xz-window": {path: "lib/modules/1/x.ko.xz", data: read(t, "window.ko.xz"), want: bulwark.ErrTooLarge},                         // 64 MiB
		"module-window":    {path: "lib/modules/1/x.ko.zst", data: []byte("\x28\xb5\x2f\xfd\x00\x88\x01\x00\x00"), want: bulwark.ErrTooLarge}, // 128 MiB
		"kernel-window":    {path: "boot/vmlinuz", data: zboot("zstd", 0xaa64, []byte("\x28\xb5\x2f\xfd\x00\x88\x01\x00\x00")), want: bulwark.ErrTooLarge},
		"module-far-gzip":  {path: "lib/modules/1/x.ko.gz", data: gzipped(t, far), any: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := bulwark.MemoryFile(tc.path, 0o644, tc.data)
			var pkgs []bulwark.Package
			var err error
			if strings.Contains(tc.path, ".ko") {
				pkgs, err = kernel.Module{}.Extract(t.Context(), f)
			} else {
				pkgs, err = kernel.Image{}.Extract(t.Context(), f)
			}
			if len(pkgs) > 0 || tc.any != (err != nil && tc.want == nil) || !tc.any && !errors.Is(err, tc.want) {
				t.Errorf("%v, %v", pkgs, err)
			}
		})
	}
}

func TestBannerAcrossPieces(t *testing.T) {
	for _, at := range []int{256<<10 - 5, 256<<10 - 20, 256<<10 - 600, 512<<10 - 30, 512<<10 - 526} {
		b := make([]byte, 1<<20)
		copy(b[0x38:], "ARM\x64")
		copy(b[at:], linuxBanner)
		pkgs, err := kernel.Image{}.Extract(t.Context(), bulwark.MemoryFile("boot/vmlinuz", 0o644, b))
		if err != nil || len(pkgs) != 1 || pkgs[0].Version != "6.6.8-0-lts" || pkgs[0].Vendor == "" {
			t.Errorf("at %d: %+v, %v", at, pkgs, err)
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (kernel.Image{}).Extract(ctx, bulwark.MemoryFile("boot/vmlinuz", 0o644, flat("ARM\x64", ""))); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestImageKit(t *testing.T) {
	debian := gunzip(t, read(t, "vmlinuz.gz"))[:18<<10]
	packed := []byte(strings.Repeat("text ", 1000) + linuxBanner)
	extracttest.Extractor(t, kernel.Image{}, map[string][]byte{
		"boot/vmlinuz-6.1.0-56-amd64":   debian,
		"boot/vmlinuz-zboot-zstd":       zboot("zstd", 0x6264, zstandard(t, packed)),
		"boot/firmware/kernel8.img":     gzipped(t, packed),
		"boot/efi/EFI/Linux/gentoo.efi": unified(0x8664, debian),
	})
}

func TestModuleKit(t *testing.T) {
	seeds := modules(t)
	for path := range seeds {
		// One is of the kernel's own tree, the others differ in what they say only.
		if strings.HasSuffix(path, "/dummy.ko") || strings.Contains(path, "/misc/") {
			delete(seeds, path)
		}
	}
	extracttest.Extractor(t, kernel.Module{}, seeds)
}

func FuzzImage(f *testing.F) {
	for _, b := range images(f) {
		f.Add(b[:min(len(b), 24<<10)])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = kernel.Image{}.Extract(t.Context(), bulwark.MemoryFile("boot/vmlinuz", 0o644, b))
	})
}

func FuzzModule(f *testing.F) {
	for path, b := range modules(f) {
		f.Add(path, b)
	}
	f.Fuzz(func(t *testing.T, path string, b []byte) {
		if (kernel.Module{}).Wants(path, bulwark.Stat{Mode: 0o644}) {
			_, _ = kernel.Module{}.Extract(t.Context(), bulwark.MemoryFile(path, 0o644, b))
		}
	})
}
