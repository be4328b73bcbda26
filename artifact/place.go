// SPDX-License-Identifier: Apache-2.0

package artifact

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// What a target can be on the file system.
const (
	nothing = iota
	folder
	file
	special // a pipe, a device
)

// A place is what the file system knows of a target.
type place struct {
	target  string
	kind    int
	head    []byte // the first bytes of a file
	layout  bool   // target is an OCI layout, or one with ":tag" or "@digest" behind it
	archive bool   // target is an archive with ":tag" or "@digest" behind it
}

// headSize is where the first header of a tar archive ends, bytes.
const headSize = 512

func look(target string) (*place, error) {
	p := &place{target: target}
	if target == "" {
		return p, nil
	}
	info, err := os.Stat(target)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("open %q: %w", target, cause(err))
	case err != nil: // also a name that is too long for a file
		p.selection()
		return p, nil
	}
	switch {
	case info.IsDir():
		p.kind, p.layout = folder, isLayout(target)
	case info.Mode().IsRegular():
		p.kind = file
		if p.head, err = head(target); err != nil {
			return nil, fmt.Errorf("open %q: %w", target, cause(err))
		}
	default:
		p.kind = special
	}
	return p, nil
}

// selection finds what stands before a ":tag" or "@digest". What exists decides:
// paths may contain both signs, and so may tags.
func (p *place) selection() {
	for i := len(p.target) - 1; i > 0; i-- {
		if p.target[i] != ':' && p.target[i] != '@' {
			continue
		}
		info, err := os.Stat(p.target[:i])
		switch {
		case err != nil:
		case info.IsDir() && isLayout(p.target[:i]):
			p.layout = true
			return
		case info.Mode().IsRegular():
			b, err := head(p.target[:i])
			p.archive = err == nil && isArchive(b)
			return
		}
	}
}

func isLayout(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "oci-layout"))
	return err == nil
}

// isArchive tells whether a file begins as a tar archive, or as one that is
// compressed with gzip or zstd.
func isArchive(head []byte) bool {
	return bytes.HasPrefix(head, []byte{0x1f, 0x8b}) ||
		bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}) || isTar(head)
}

func isTar(head []byte) bool { return len(head) >= 262 && string(head[257:262]) == "ustar" }

// isZip tells whether a file begins as a zip archive, the empty one among them.
func isZip(head []byte) bool {
	return bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("PK\x05\x06"))
}

// isDisk tells whether a file begins as the disk of a virtual machine: as qcow2,
// as XFS, or with a partition table.
func isDisk(head []byte) bool {
	if bytes.HasPrefix(head, []byte("QFI\xfb")) || bytes.HasPrefix(head, []byte("XFSB")) {
		return true
	}
	if len(head) < 512 || head[510] != 0x55 || head[511] != 0xaa || isTar(head) || isArchive(head) || isZip(head) {
		return false
	}
	for e := head[446:510]; len(e) >= 16; e = e[16:] {
		if e[0]&0x7f != 0 { // neither active nor not: code of a boot loader
			return false
		}
	}
	return head[446+4] != 0
}

// compressed tells whether a file begins as a stream that may hold a tar archive.
func compressed(head []byte) bool {
	return !isTar(head) && isArchive(head) || bytes.HasPrefix(head, []byte("BZh"))
}

// isBill tells whether a file begins as a bill of materials may: with a JSON
// object, with XML, or with the first tag of SPDX after any comments.
func isBill(head []byte) bool {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n")
	for bytes.HasPrefix(head, []byte("#")) {
		_, rest, _ := bytes.Cut(head, []byte("\n"))
		head = bytes.TrimLeft(rest, " \t\r\n")
	}
	return bytes.HasPrefix(head, []byte("{")) || bytes.HasPrefix(head, []byte("SPDXVersion:")) ||
		bytes.HasPrefix(head, []byte("<?xml")) || bytes.HasPrefix(head, []byte("<bom")) || bytes.HasPrefix(head, []byte("<!--"))
}

// head gives the first bytes of a file.
func head(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, headSize)
	n, err := io.ReadFull(f, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return b[:n], err
}

// cause gives what the system said, without the operation and the path.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
