// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	imageName = "linux-kernel"

	// Offsets of the x86 boot protocol
	// (https://www.kernel.org/doc/html/latest/arch/x86/boot.html).
	offSetupSects = 0x1f1
	offBootFlag   = 0x1fe
	offMagic      = 0x202
	offProtocol   = 0x206
	offVersion    = 0x20e
	offLoadFlags  = 0x236
	headerEnd     = 0x238

	// Offset of the magic number in the header of an uncompressed arm64 kernel
	// (https://www.kernel.org/doc/html/latest/arch/arm64/booting.html); RISC-V has
	// its own at the same place.
	offFlatMagic = 0x38

	// Sections of a PE file; a unified kernel image has about ten.
	maxPESections = 96
	// A banner is one line.
	maxBanner = 512
)

var (
	errImage = errors.New("malformed kernel image")
	// banner is how the text begins that /proc/version shows.
	banner = []byte("Linux version ")
)

// An Image reads kernel images: bzImage, the flat image of arm64 and RISC-V,
// plain or compressed, the ELF file of a kernel, and the unified kernel image of
// systemd. The zero Image is ready.
type Image struct{}

// Name gives "linux-kernel".
func (Image) Name() string { return imageName }

// Wants takes files that are named like kernels, where kernels lie.
func (Image) Wants(path string, st bulwark.Stat) bool {
	if st.Mode&fs.ModeType != 0 {
		return false
	}
	if _, rest, ok := modulesDir(path); ok {
		return strings.IndexByte(rest, '/') < 0 && isImageName(rest)
	}
	rest, ok := strings.CutPrefix(path, "boot/")
	if !ok {
		if rest, ok = strings.CutPrefix(path, "efi/"); !ok {
			return false
		}
	}
	i := strings.LastIndexByte(rest, '/')
	base := rest[i+1:]
	if isImageName(base) {
		return true
	}
	// Type 1 and type 2 of the Boot Loader Specification
	// (https://uapi-group.org/specifications/specs/boot_loader_specification/).
	return i > 0 && (base == "linux" || strings.HasSuffix(base, ".efi") && strings.HasSuffix(rest[:i], "EFI/Linux"))
}

func isImageName(base string) bool {
	for _, p := range [...]string{"vmlinuz", "vmlinux", "bzImage", "zImage", "Image", "kernel"} {
		if strings.HasPrefix(base, p) {
			return true
		}
	}
	return false
}

// WantsHead tells whether head begins one of the forms that are read.
func (Image) WantsHead(_ string, head []byte) bool { return formOf(head) != formNone }

// A form is a form of kernel images.
type form int

const (
	formNone form = iota
	formBzImage
	formFlat  // arm64, RISC-V
	formZBoot // compressed, in an EFI program that unpacks it
	formGzip
	formELF
	formPE // a unified kernel image, or nothing
)

func formOf(head []byte) form {
	switch {
	case len(head) < offFlatMagic+8:
		return formNone
	case len(head) >= headerEnd && binary.LittleEndian.Uint16(head[offBootFlag:]) == 0xaa55 && string(head[offMagic:offMagic+4]) == "HdrS":
		return formBzImage
	case string(head[:2]) == "MZ" && string(head[4:8]) == "zimg":
		return formZBoot
	case string(head[offFlatMagic:offFlatMagic+4]) == "ARM\x64", string(head[offFlatMagic:offFlatMagic+4]) == "RSC\x05":
		return formFlat
	case head[0] == 0x1f && head[1] == 0x8b:
		return formGzip
	case string(head[:4]) == "\x7fELF":
		return formELF
	case string(head[:2]) == "MZ":
		return formPE
	}
	return formNone
}

// Extract gives the kernel in the file. A file that is none has no packages and
// is no error.
func (e Image) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	i, err := read(ctx, f, f.Size, 0)
	err = limited(err)
	if named(f.Path) != "" && (errors.Is(err, bulwark.ErrUnsupported) || errors.Is(err, bulwark.ErrTooLarge)) {
		err = nil // what is inside is not read, and the name says enough
	}
	if err != nil {
		return nil, fmt.Errorf("parse %q: %w", f.Path, err)
	}
	if i.form == formNone {
		return nil, nil
	}
	release, rest, _ := strings.Cut(i.banner, " ")
	if !isRelease(release) {
		// Nothing inside says it; the name may.
		if release, rest = named(f.Path), ""; release == "" {
			if i.form == formPE || i.form == formELF || i.form == formGzip {
				return nil, nil // another program
			}
			return nil, fmt.Errorf("parse %q: no release: %w", f.Path, errImage)
		}
	}
	p := bulwark.Package{
		Name: imageName, Version: release, Arch: i.arch, Where: []bulwark.Location{{Path: f.Path}}, By: e.Name(),
	}
	q := map[string]string{}
	if p.Arch != "" {
		q["arch"] = p.Arch
	}
	p.Vendor = builder(rest)
	// The release of Debian's kernels is that of their module interface; the
	// version, by which fixes are told, stands further on.
	if v := debian(rest); v != "" {
		p.Source, p.SourceVersion = "linux", v
		q["upstream"] = "linux@" + v
	}
	p.PURL = packageurl.NewPackageURL(packageurl.TypeGeneric, "", p.Name, p.Version, packageurl.QualifiersFromMap(q), "").ToString()
	return []bulwark.Package{p}, nil
}

// An image is what is found out about one.
type image struct {
	form   form
	arch   string
	banner string // release, builder, compiler, build; "" when there is none
}

// read looks into an image of size bytes. Depth counts the images around it.
func read(ctx context.Context, r io.ReaderAt, size int64, depth int) (image, error) {
	var i image
	if err := ctx.Err(); err != nil {
		return i, err
	}
	head := make([]byte, min(size, 4096))
	if n, err := r.ReadAt(head, 0); n < len(head) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return i, err
	}
	i.form = formOf(head)
	var err error
	switch i.form {
	case formNone:
	case formBzImage:
		i.arch = "i686"
		if binary.LittleEndian.Uint16(head[offProtocol:]) >= 0x20c && head[offLoadFlags]&1 != 0 {
			i.arch = "x86_64"
		}
		i.banner, err = setupText(r, size, head)
	case formFlat:
		i.arch = "aarch64"
		if head[offFlatMagic] == 'R' {
			i.arch = "riscv64"
		}
		i.banner, err = find(ctx, io.NewSectionReader(r, 0, size))
	case formELF:
		o := binary.ByteOrder(binary.LittleEndian)
		if head[5] == 2 {
			o = binary.BigEndian
		}
		if o.Uint16(head[16:]) == 1 { // a relocatable file, that is, a part of a program
			i.form = formNone
			return i, nil
		}
		i.arch = machine(o.Uint16(head[18:]))
		i.banner, err = find(ctx, io.NewSectionReader(r, 0, size))
	case formGzip:
		i.banner, err = unpacked(ctx, io.NewSectionReader(r, 0, size), "gzip")
		if name := strings.ToLower(i.banner); strings.Contains(name, "arm64") || strings.Contains(name, "aarch64") {
			i.arch = "aarch64"
		}
	case formZBoot:
		i.arch, err = peArch(head)
		if err == nil {
			i.banner, err = zboot(ctx, r, size, head)
		}
	case formPE:
		return unified(ctx, r, size, head, depth)
	}
	return i, err
}

// setupText gives the text that the setup part of a bzImage points to.
func setupText(r io.ReaderAt, size int64, head []byte) (string, error) {
	at := int64(binary.LittleEndian.Uint16(head[offVersion:]))
	sects := int64(head[offSetupSects])
	if sects == 0 {
		sects = 4
	}
	if at == 0 || binary.LittleEndian.Uint16(head[offProtocol:]) < 0x200 {
		return "", nil
	}
	at += 0x200
	// The protocol asks for a place within the setup part.
	if at >= min((sects+1)*0x200, size) {
		return "", fmt.Errorf("version at %d of %d bytes: %w", at, size, errImage)
	}
	b := make([]byte, min(maxBanner, size-at))
	n, err := r.ReadAt(b, at)
	if n < len(b) && !errors.Is(err, io.EOF) {
		return "", err
	}
	b, _, _ = bytes.Cut(b[:n], []byte{0})
	return text(string(b)), nil
}

// zboot looks into the compressed kernel of an EFI program of the form that
// drivers/firmware/efi/libstub/zboot-header.S in the kernel's sources makes.
func zboot(ctx context.Context, r io.ReaderAt, size int64, head []byte) (string, error) {
	off, n := int64(binary.LittleEndian.Uint32(head[8:])), int64(binary.LittleEndian.Uint32(head[12:]))
	if off > size || n > size-off {
		return "", fmt.Errorf("%d bytes at %d of %d: %w", n, off, size, errImage)
	}
	method, _, _ := bytes.Cut(head[24:offFlatMagic], []byte{0})
	return unpacked(ctx, io.NewSectionReader(r, off, n), string(method))
}

func peArch(head []byte) (string, error) {
	at := int(binary.LittleEndian.Uint32(head[0x3c:]))
	if at < 0 || at > len(head)-24 || string(head[at:at+4]) != "PE\x00\x00" {
		return "", fmt.Errorf("no PE header: %w", errImage)
	}
	return peMachine(binary.LittleEndian.Uint16(head[at+4:])), nil
}

// unified looks for the kernel in a unified kernel image
// (https://uapi-group.org/specifications/specs/unified_kernel_image/).
func unified(ctx context.Context, r io.ReaderAt, size int64, head []byte, depth int) (image, error) {
	none := image{}
	arch, err := peArch(head)
	if err != nil || depth > 0 {
		return none, nil // not a PE file, or one in another
	}
	at := int(binary.LittleEndian.Uint32(head[0x3c:]))
	sections := int(binary.LittleEndian.Uint16(head[at+6:]))
	table := int64(at) + 24 + int64(binary.LittleEndian.Uint16(head[at+20:]))
	if sections > maxPESections || table+40*int64(sections) > size {
		return none, fmt.Errorf("%d sections: %w", sections, errImage)
	}
	rows := make([]byte, 40*sections)
	if n, err := r.ReadAt(rows, table); n < len(rows) {
		return none, err
	}
	for ; len(rows) > 0; rows = rows[40:] {
		name, _, _ := bytes.Cut(rows[:8], []byte{0})
		if string(name) != ".linux" {
			continue
		}
		n, off := int64(binary.LittleEndian.Uint32(rows[16:])), int64(binary.LittleEndian.Uint32(rows[20:]))
		if off > size || n > size-off {
			return none, fmt.Errorf("section of %d bytes at %d of %d: %w", n, off, size, errImage)
		}
		i, err := read(ctx, io.NewSectionReader(r, off, n), n, depth+1)
		if i.arch == "" {
			i.arch = arch
		}
		return i, err
	}
	return none, nil
}

// find gives the text behind the first banner that r has. The format that the
// banner is made with begins like it; a release begins with a digit.
func find(ctx context.Context, r io.Reader) (string, error) {
	b := make([]byte, 256<<10)
	kept, total := 0, int64(0)
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := io.ReadFull(r, b[kept:])
		total += int64(n)
		data := b[:kept+n]
		last := err != nil
		for at := 0; ; {
			j := bytes.Index(data[at:], banner)
			if j < 0 {
				break
			}
			at += j + len(banner)
			if !last && at+maxBanner > len(data) {
				break // the next piece has it whole
			}
			line := data[at:min(len(data), at+maxBanner)]
			if end := bytes.IndexAny(line, "\n\x00"); end >= 0 {
				line = line[:end]
			}
			s := text(string(line))
			if release, _, _ := strings.Cut(s, " "); isRelease(release) {
				return s, nil
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return "", nil
		case err != nil:
			return "", err
		case total > maxUnpacked:
			return "", fmt.Errorf("more than %d bytes: %w", maxUnpacked, bulwark.ErrTooLarge)
		}
		kept = copy(b, data[len(data)-maxBanner-len(banner):])
	}
}

// unpacked looks into a compressed kernel.
func unpacked(ctx context.Context, r io.Reader, method string) (string, error) {
	z, err := decompress(r, method)
	if err != nil {
		return "", err
	}
	defer z.Close() //nolint:errcheck // only read from
	return find(ctx, z)
}

// named gives the release that the path of a kernel has in it.
func named(path string) string {
	if release, _, ok := modulesDir(path); ok && isRelease(release) {
		return release
	}
	base := path[strings.LastIndexByte(path, '/')+1:]
	if _, release, ok := strings.Cut(base, "-"); ok {
		if release = strings.TrimSuffix(release, ".efi"); isRelease(release) {
			return release
		}
	}
	return ""
}

// builder gives who built a kernel, by the rest of its banner: "(user@host) …".
func builder(rest string) string {
	rest, ok := strings.CutPrefix(rest, "(")
	if !ok {
		return ""
	}
	who, _, ok := strings.Cut(rest, ")")
	if !ok {
		return ""
	}
	return who
}

// debian gives the version of a Debian kernel: "… Debian 6.1.69-1 (2023-12-30)".
func debian(rest string) string {
	_, v, ok := strings.Cut(rest, " Debian ")
	if !ok {
		return ""
	}
	v, _, _ = strings.Cut(v, " ")
	if !isRelease(v) {
		return ""
	}
	return v
}
