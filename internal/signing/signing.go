// SPDX-License-Identifier: Apache-2.0

// Package signing keeps ed25519 key pairs in files that OpenSSL reads, names
// keys, and signs digests. It does not know what is signed, or whom to trust.
package signing

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Types of the PEM blocks that hold keys (RFC 7468, sections 10 and 13).
const (
	pemPrivate = "PRIVATE KEY"
	pemPublic  = "PUBLIC KEY"
)

// maxFile bounds a file of keys, bytes.
const maxFile = 64 << 10

var (
	// ErrKey is wrapped when something is not the key that is wanted.
	ErrKey = errors.New("not an ed25519 key")
	// ErrExposed is wrapped when others than its owner may read a private key.
	ErrExposed = errors.New("others than its owner may read it")
	// ErrSignature is wrapped when a signature is not one of what was signed.
	ErrSignature = errors.New("wrong signature")
)

// NewKey makes a key of 32 random bytes.
func NewKey(random io.Reader) (ed25519.PrivateKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// Public gives the public key of a private one.
func Public(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

// pkix gives the form of a public key that other programs know (RFC 8410).
func pkix(pub ed25519.PublicKey) []byte {
	// What comes before the 32 bytes of any ed25519 key.
	return append([]byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00}, pub...)
}

// ID names a public key: the first 16 hexadecimal digits of the SHA-256 of its
// PKIX form. It serves people to tell keys apart, and is no proof of anything.
func ID(pub ed25519.PublicKey) string {
	sum := sha256.Sum256(pkix(pub))
	return hex.EncodeToString(sum[:8])
}

// Text writes a public key on one line: "ed25519:" and base64.
func Text(pub ed25519.PublicKey) string {
	return "ed25519:" + base64.StdEncoding.EncodeToString(pub)
}

// ParseText reads what Text wrote; anything else is [ErrKey].
func ParseText(s string) (ed25519.PublicKey, error) {
	text, ok := strings.CutPrefix(strings.TrimSpace(s), "ed25519:")
	b, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(b) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%q: %w", s[:min(len(s), 80)], ErrKey)
	}
	return b, nil
}

// MarshalPrivate writes a private key as PKCS #8 in PEM.
func MarshalPrivate(key ed25519.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemPrivate, Bytes: der}), nil
}

// MarshalPublic writes a public key as PKIX in PEM.
func MarshalPublic(pub ed25519.PublicKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemPublic, Bytes: pkix(pub)})
}

// ParsePrivate reads what [MarshalPrivate] or OpenSSL wrote. Anything else is
// [ErrKey], and the error says what it is.
func ParsePrivate(b []byte) (ed25519.PrivateKey, error) {
	block, err := single(b, pemPrivate)
	if err != nil {
		return nil, err
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: it is damaged: %w", ErrKey, err)
	}
	key, ok := k.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%w: it is %s", ErrKey, kind(k))
	}
	return key, nil
}

// ParsePublic reads what [MarshalPublic] or OpenSSL wrote. Anything else is
// [ErrKey], and the error says what it is.
func ParsePublic(b []byte) (ed25519.PublicKey, error) {
	block, err := single(b, pemPublic)
	if err != nil {
		return nil, err
	}
	k, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: it is damaged: %w", ErrKey, err)
	}
	pub, ok := k.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: it is %s", ErrKey, kind(k))
	}
	return pub, nil
}

// single gives the only PEM block of b, which must be of a type.
func single(b []byte, want string) (*pem.Block, error) {
	block, rest := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%w: it has no PEM block", ErrKey)
	}
	if second, _ := pem.Decode(rest); second != nil {
		return nil, fmt.Errorf("%w: it has more than one PEM block", ErrKey)
	}
	encrypted := block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED")
	switch {
	case encrypted:
		return nil, fmt.Errorf("%w: it is encrypted, decrypt it first (openssl pkey -in FILE -out PLAIN)", ErrKey)
	case block.Type == want:
		return block, nil
	case block.Type == pemPublic:
		return nil, fmt.Errorf("%w: it is a public key where the private one is needed", ErrKey)
	case block.Type == pemPrivate:
		return nil, fmt.Errorf("%w: it is a private key where the public one is needed", ErrKey)
	}
	return nil, fmt.Errorf("%w: it is %q", ErrKey, block.Type[:min(len(block.Type), 80)])
}

// kind says in words what key there is instead.
func kind(k any) string {
	switch k.(type) {
	case *rsa.PrivateKey, *rsa.PublicKey:
		return "an RSA key"
	case *ecdsa.PrivateKey, *ecdsa.PublicKey:
		return "an ECDSA key"
	case *ecdh.PrivateKey, *ecdh.PublicKey:
		return "an X25519 key, which cannot sign"
	}
	return "a key of another kind"
}

// WriteFiles writes a private key, for its owner alone, and its public key. Where
// one of the files is there already, it is [os.ErrExist] and nothing is written.
func WriteFiles(private, public string, key ed25519.PrivateKey) error {
	text, err := MarshalPrivate(key)
	if err != nil {
		return err
	}
	if err := create(private, text, 0o600); err != nil {
		return err
	}
	if err := create(public, MarshalPublic(Public(key)), 0o644); err != nil {
		return errors.Join(err, os.Remove(private))
	}
	return nil
}

func create(name string, content []byte, mode os.FileMode) error {
	f, err := os.OpenFile(filepath.Clean(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}

// ReadFile reads a file of keys, of at most 64 KiB. What is larger is [ErrKey].
func ReadFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%w: it is larger than %d bytes", ErrKey, maxFile)
	}
	return b, nil
}

// ReadPrivate reads a file with a private key. One that others may read is
// [ErrExposed].
func ReadPrivate(name string) (ed25519.PrivateKey, error) {
	b, err := ReadFile(name)
	if err != nil {
		return nil, err
	}
	key, err := ParsePrivate(b)
	if err != nil {
		return nil, err
	}
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && st.Mode().Perm()&0o077 != 0 {
		return nil, ErrExposed
	}
	return key, nil
}

// signature is the JSON of a signature.
type signature struct {
	Key       []byte `json:"key"`       // ed25519 public key, 32 bytes
	Signature []byte `json:"signature"` // of message(domain, digest)
}

// message gives the bytes that are signed. The domain keeps a signature of one
// kind of thing from being taken for one of another.
func message(domain, digest string) []byte { return []byte(domain + "\n" + digest + "\n") }

// Sign signs a digest of what the domain names, and gives the signature as JSON.
func Sign(key ed25519.PrivateKey, domain, digest string) ([]byte, error) {
	return json.Marshal(signature{Key: Public(key), Signature: ed25519.Sign(key, message(domain, digest))})
}

// Verify checks what [Sign] gave and tells whose it is. Whether that key is
// trusted is for the caller to say. Anything wrong is [ErrSignature].
func Verify(sig []byte, domain, digest string) (ed25519.PublicKey, error) {
	var s signature
	if err := json.Unmarshal(sig, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if len(s.Key) != ed25519.PublicKeySize || !ed25519.Verify(s.Key, message(domain, digest), s.Signature) {
		return nil, ErrSignature
	}
	if again, err := json.Marshal(s); err != nil || !bytes.Equal(again, sig) {
		return nil, fmt.Errorf("%w: it is not written as it should be", ErrSignature)
	}
	return s.Key, nil
}
