// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/signing"
)

// Bounds on what is believed of a file.
const (
	maxManifest  = 1 << 20 // a thousand entries of the longest names have 350 KB
	maxSignature = 1 << 10
	maxTar       = MaxBytes + maxManifest + (MaxFiles+2)*4*512 + 10<<10 // two headers and two paddings for each member
	maxWindow    = 32 << 20
	maxPacked    = maxTar + maxTar/256 // what does not compress grows a little
)

// A Bundle is a set of policy files that was checked.
type Bundle struct {
	Digest   bulwark.Digest    // of the set, see [Digest]
	Files    []File            // sorted by name
	Key      ed25519.PublicKey // that signed it; nil is nobody
	KeyID    string            // of Key; "" is nobody
	SignedAt time.Time         // as the signer says; zero where nobody signed
	Trusted  bool              // Key is one of those that the caller trusts
}

// Read reads a bundle that one of the trusted keys signed, and checks all of it.
// What is damaged, tampered with, unsigned or signed by another key is
// [bulwark.ErrDigest], what is no bundle of this version [bulwark.ErrUnsupported],
// what is beyond the limits [bulwark.ErrTooLarge].
func Read(ra io.ReaderAt, size int64, trusted []ed25519.PublicKey) (*Bundle, error) {
	return read(ra, size, trusted, false)
}

// ReadUnsafe reads a bundle whoever signed it, and also where nobody did; Key and
// Trusted of what it gives say so. All else is checked as in [Read].
func ReadUnsafe(ra io.ReaderAt, size int64, trusted []ed25519.PublicKey) (*Bundle, error) {
	return read(ra, size, trusted, true)
}

func read(ra io.ReaderAt, size int64, trusted []ed25519.PublicKey, anybody bool) (*Bundle, error) {
	b, err := open(ra, size, trusted, anybody)
	if err != nil {
		return nil, fmt.Errorf("read policy bundle: %w", err)
	}
	return b, nil
}

func open(ra io.ReaderAt, size int64, trusted []ed25519.PublicKey, anybody bool) (*Bundle, error) {
	plain, err := unpack(ra, size)
	if err != nil {
		return nil, err
	}
	text, sig, files, err := members(plain)
	if err != nil {
		return nil, err
	}
	b := &Bundle{Files: files}
	// Who signed is judged first: nothing else of the manifest is believed before.
	if sig != nil {
		if b.Key, err = signing.Verify(sig, domain, digestOf(text)); err != nil {
			return nil, damaged(err)
		}
		b.KeyID = signing.ID(b.Key)
		b.Trusted = slices.ContainsFunc(trusted, func(k ed25519.PublicKey) bool { return k.Equal(b.Key) })
	}
	if !anybody {
		if err := b.answered(trusted); err != nil {
			return nil, err
		}
	}
	m, err := parse(text)
	if err != nil {
		return nil, err
	}
	if m.KeyID != b.KeyID || m.SignedAt.IsZero() != (sig == nil) {
		return nil, fmt.Errorf("manifest names key %q, the signature is of %q: %w", m.KeyID, b.KeyID, bulwark.ErrDigest)
	}
	if err := check(files, bulwark.ErrUnsupported); err != nil {
		return nil, err
	}
	if err := m.matches(files); err != nil {
		return nil, err
	}
	if relative(files)[0].Name != files[0].Name {
		return nil, fmt.Errorf("policy file %q: all files lie in one folder of the bundle: %w", files[0].Name, bulwark.ErrUnsupported)
	}
	if got := digest(files); got != m.Digest {
		return nil, fmt.Errorf("policy set %s, manifest names %s: %w", got.Short(), m.Digest.Short(), bulwark.ErrDigest)
	}
	// Nothing is in the file that the manifest does not cover: no other member, no
	// attribute, no padding.
	if want, err := pack(text, sig, files); err != nil || !bytes.Equal(want, plain) {
		return nil, damaged(errors.New("it is not as a bundle is written"))
	}
	b.Digest, b.SignedAt = m.Digest, m.SignedAt
	return b, nil
}

// answered says why nobody who is trusted answers for a bundle; nil when somebody
// does.
func (b *Bundle) answered(trusted []ed25519.PublicKey) error {
	if b.Trusted {
		return nil
	}
	if b.Key == nil {
		return &bulwark.Hint{
			Err:  fmt.Errorf("it is not signed: %w", bulwark.ErrDigest),
			Next: "ask for one that is, or make one of the documents with a key of bulwark key new",
		}
	}
	names := []string{}
	for _, k := range trusted {
		names = append(names, signing.ID(k))
	}
	whom := "no key is trusted"
	if len(names) > 0 {
		whom = "trusted is " + strings.Join(names, " or ")
	}
	return &bulwark.Hint{
		Err:  fmt.Errorf("it is signed by key %s, %s: %w", b.KeyID, whom, bulwark.ErrDigest),
		Next: "compare the id with what the publisher says, then trust the publisher's .pub file (bulwark key show prints its id)",
	}
}

func damaged(err error) error {
	return &bulwark.Hint{Err: fmt.Errorf("%w: %w", err, bulwark.ErrDigest), Next: "it is damaged or was tampered with: fetch it again"}
}

// unpack gives the tar.
func unpack(ra io.ReaderAt, size int64) ([]byte, error) {
	if size > maxPacked {
		return nil, fmt.Errorf("%d bytes, at most %d: %w", size, maxPacked, bulwark.ErrTooLarge)
	}
	packed := make([]byte, max(size, 0))
	if n, err := ra.ReadAt(packed, 0); n < len(packed) {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if len(packed) < 4 || string(packed[:4]) != "\x28\xb5\x2f\xfd" {
		return nil, &bulwark.Hint{Err: fmt.Errorf("it is no policy bundle: %w", bulwark.ErrUnsupported), Next: "name a file that bulwark policy bundle made"}
	}
	if err := oneFrame(packed); err != nil {
		return nil, damaged(err)
	}
	z, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, damaged(err)
	}
	defer z.Close()
	plain, err := io.ReadAll(io.LimitReader(z, maxTar+1))
	if err != nil {
		return nil, damaged(err)
	}
	if len(plain) > maxTar {
		return nil, fmt.Errorf("more than %d bytes once unpacked: %w", maxTar, bulwark.ErrTooLarge)
	}
	return plain, nil
}

// oneFrame tells whether b is one zstd frame with a checksum and nothing after it:
// decoders pass over what follows, or take it for more of the same
// (https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1).
func oneFrame(b []byte) error {
	var h zstd.Header
	if err := h.Decode(b); err != nil {
		return err
	}
	if h.Skippable || !h.HasCheckSum {
		return errors.New("zstd frame without a checksum")
	}
	for rest := b[h.HeaderSize:]; len(rest) >= 3; {
		head := int(rest[0]) | int(rest[1])<<8 | int(rest[2])<<16
		size := head >> 3
		if head>>1&3 == 1 { // one byte, repeated
			size = 1
		}
		if rest = rest[3:]; len(rest) < size {
			break
		}
		rest = rest[size:]
		if head&1 == 0 {
			continue
		}
		if len(rest) != 4 { // the checksum
			break
		}
		return nil
	}
	return errors.New("zstd frame is cut off, or something follows it")
}

// members gives what is in the tar, in the order that Write gives it. A nil
// signature is none.
func members(plain []byte) (manifest, sig []byte, files []File, err error) {
	t := tar.NewReader(bytes.NewReader(plain))
	left := int64(MaxBytes) // sparse members are larger than what they take
	for i := 0; ; i++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) && i > 0 {
			return manifest, sig, files, nil
		}
		if err != nil {
			return nil, nil, nil, damaged(err)
		}
		if i >= MaxFiles+2 {
			return nil, nil, nil, fmt.Errorf("more than %d policy files: %w", MaxFiles, bulwark.ErrTooLarge)
		}
		limit := int64(MaxBytes)
		switch {
		case i == 0:
			limit = maxManifest
		case h.Name == signatureName:
			limit = maxSignature
		}
		if h.Size > limit {
			return nil, nil, nil, fmt.Errorf("member %q of %d bytes, at most %d: %w", cut(h.Name), h.Size, limit, bulwark.ErrTooLarge)
		}
		data, err := io.ReadAll(io.LimitReader(t, limit))
		if err != nil {
			return nil, nil, nil, damaged(err)
		}
		name, below := strings.CutPrefix(h.Name, folder)
		switch {
		case i == 0 && h.Name == manifestName:
			manifest = data
		case i == 0:
			return nil, nil, nil, &bulwark.Hint{Err: fmt.Errorf("it begins with %q and is no policy bundle: %w", cut(h.Name), bulwark.ErrUnsupported), Next: "name a file that bulwark policy bundle made; bulwark bundle is for databases"}
		case i == 1 && h.Name == signatureName:
			sig = append([]byte{}, data...)
		case below && int64(len(data)) > left:
			return nil, nil, nil, fmt.Errorf("policy files have more than %d bytes together: %w", MaxBytes, bulwark.ErrTooLarge)
		case below:
			left -= int64(len(data))
			files = append(files, File{Name: name, Data: data})
		default:
			return nil, nil, nil, fmt.Errorf("member %q does not belong there: %w", cut(h.Name), bulwark.ErrUnsupported)
		}
	}
}

func cut(name string) string { return name[:min(len(name), maxName)] }

// parse reads a manifest. It is strict: a later version may mean something by what
// this one does not know.
func parse(text []byte) (*manifest, error) {
	var m manifest
	var head struct{ Schema string }
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("manifest: %w: %w", err, bulwark.ErrUnsupported)
	}
	next := "update bulwark"
	if head.Schema != Schema {
		return nil, &bulwark.Hint{Err: fmt.Errorf("schema %q, want %q: %w", cut(head.Schema), Schema, bulwark.ErrUnsupported), Next: next}
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return nil, &bulwark.Hint{Err: fmt.Errorf("manifest: %w: %w", err, bulwark.ErrUnsupported), Next: next}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("manifest: more follows after it: %w", bulwark.ErrUnsupported)
	}
	return &m, nil
}

// matches compares files with what the manifest says of them.
func (m *manifest) matches(files []File) error {
	if len(files) != len(m.Files) {
		return fmt.Errorf("%d policy files, manifest names %d: %w", len(files), len(m.Files), bulwark.ErrDigest)
	}
	for i := range files {
		want := &m.Files[i]
		if files[i].Name != want.Name || i > 0 && files[i-1].Name >= want.Name {
			return fmt.Errorf("policy file %q where the manifest has %q: %w", files[i].Name, cut(want.Name), bulwark.ErrDigest)
		}
		sum := sha256.Sum256(files[i].Data)
		if int64(len(files[i].Data)) != want.Size || hex.EncodeToString(sum[:]) != want.SHA256 {
			return fmt.Errorf("policy file %q is not the one that the manifest names: %w", want.Name, bulwark.ErrDigest)
		}
	}
	return nil
}
