// SPDX-License-Identifier: Apache-2.0

package signing_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark/internal/signing"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// key gives a key that is always the same.
func key(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func private(t testing.TB, k ed25519.PrivateKey) []byte {
	t.Helper()
	b, err := signing.MarshalPrivate(k)
	check(t, err)
	return b
}

func TestNewKey(t *testing.T) {
	k, err := signing.NewKey(bytes.NewReader(bytes.Repeat([]byte{1}, ed25519.SeedSize)))
	if err != nil || !k.Equal(key(1)) {
		t.Error(k, err)
	}
	if _, err := signing.NewKey(strings.NewReader("short")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

func TestForms(t *testing.T) {
	k := key(1)
	pub := signing.Public(k)
	if got, err := signing.ParsePrivate(private(t, k)); err != nil || !got.Equal(k) {
		t.Error(err)
	}
	if got, err := signing.ParsePublic(signing.MarshalPublic(pub)); err != nil || !got.Equal(pub) {
		t.Error(err)
	}
	if got, err := signing.ParseText(" " + signing.Text(pub) + "\n"); err != nil || !got.Equal(pub) {
		t.Error(err)
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	check(t, err)
	sum := sha256.Sum256(der)
	if got, want := signing.ID(pub), hex.EncodeToString(sum[:8]); got != want {
		t.Errorf("id %s, want %s", got, want)
	}
	if signing.ID(pub) == signing.ID(signing.Public(key(2))) {
		t.Error("two keys have one id")
	}
}

func block(t testing.TB, typ string, der []byte, err error) string {
	t.Helper()
	check(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}))
}

func TestWrongKeys(t *testing.T) {
	k := key(1)
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	x, err := e.ECDH()
	check(t, err)
	pkcs8 := func(k any) string {
		b, err := x509.MarshalPKCS8PrivateKey(k)
		return block(t, "PRIVATE KEY", b, err)
	}
	pkix := func(k crypto.PublicKey) string {
		b, err := x509.MarshalPKIXPublicKey(k)
		return block(t, "PUBLIC KEY", b, err)
	}
	good, public := string(private(t, k)), string(signing.MarshalPublic(signing.Public(k)))
	for name, tc := range map[string]struct{ private, public, want string }{
		"empty":           {"", "", "no PEM block"},
		"text":            {"ed25519:AAAA", "ed25519:AAAA", "no PEM block"},
		"swapped-private": {public, good, "where the"},
		"rsa":             {pkcs8(r), pkix(r.Public()), "an RSA key"},
		"ecdsa":           {pkcs8(e), pkix(e.Public()), "an ECDSA key"},
		"ecdh":            {pkcs8(x), pkix(x.PublicKey()), "key"},
		"pkcs1":           {block(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r), nil), block(t, "RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&r.PublicKey), nil), `"RSA P`},
		"openssh":         {block(t, "OPENSSH PRIVATE KEY", []byte("x"), nil), block(t, "CERTIFICATE", []byte("x"), nil), "it is \""},
		"encrypted":       {block(t, "ENCRYPTED PRIVATE KEY", []byte("x"), nil), block(t, "ENCRYPTED PRIVATE KEY", []byte("x"), nil), "decrypt it first"},
		"old-encrypted": {"-----BEGIN PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END PRIVATE KEY-----\n",
			"-----BEGIN PUBLIC KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END PUBLIC KEY-----\n", "decrypt it first"},
		"two":     {good + good, public + public, "more than one"},
		"damaged": {block(t, "PRIVATE KEY", []byte("x"), nil), block(t, "PUBLIC KEY", []byte("x"), nil), "damaged"},
		"long":    {block(t, strings.Repeat("X", 10_000), nil, nil), block(t, strings.Repeat("X", 10_000), nil, nil), "it is"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := signing.ParsePrivate([]byte(tc.private))
			if !errors.Is(err, signing.ErrKey) || !strings.Contains(err.Error(), tc.want) || len(err.Error()) > 300 {
				t.Errorf("private: %v", err)
			}
			_, err = signing.ParsePublic([]byte(tc.public))
			if !errors.Is(err, signing.ErrKey) || !strings.Contains(err.Error(), tc.want) || len(err.Error()) > 300 {
				t.Errorf("public: %v", err)
			}
		})
	}
	for _, s := range []string{"", "ed25519:", "ed25519:AAAA", "rsa:" + signing.Text(signing.Public(k))[8:], strings.Repeat("x", 500)} {
		if _, err := signing.ParseText(s); !errors.Is(err, signing.ErrKey) || len(err.Error()) > 200 {
			t.Errorf("%.20q: %v", s, err)
		}
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	private, public := filepath.Join(dir, "org.key"), filepath.Join(dir, "org.pub")
	check(t, signing.WriteFiles(private, public, key(1)))
	for name, mode := range map[string]os.FileMode{private: 0o600, public: 0o644} {
		st, err := os.Stat(name)
		check(t, err)
		if st.Mode().Perm()&^mode != 0 {
			t.Errorf("%s: %v", name, st.Mode())
		}
	}
	got, err := signing.ReadPrivate(private)
	if err != nil || !got.Equal(key(1)) {
		t.Error(err)
	}
	// Neither file is written over, and no half pair is left.
	if err := signing.WriteFiles(private, filepath.Join(dir, "other.pub"), key(2)); !errors.Is(err, os.ErrExist) {
		t.Error(err)
	}
	if err := signing.WriteFiles(filepath.Join(dir, "other.key"), public, key(2)); !errors.Is(err, os.ErrExist) {
		t.Error(err)
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 2 {
		t.Error(list, err)
	}
	if got, err := signing.ReadPrivate(private); err != nil || !got.Equal(key(1)) {
		t.Error("the key was written over", err)
	}
	check(t, os.Chmod(private, 0o640))
	if _, err := signing.ReadPrivate(private); !errors.Is(err, signing.ErrExposed) {
		t.Error(err)
	}
	if _, err := signing.ReadPrivate(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	check(t, os.WriteFile(public, make([]byte, 65<<10), 0o600))
	if _, err := signing.ReadFile(public); !errors.Is(err, signing.ErrKey) {
		t.Error(err)
	}
}

// TestOpenSSL has the openssl program read what we write, and reads what it
// writes.
func TestOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	dir := t.TempDir()
	run := func(args ...string) []byte {
		t.Helper()
		cmd := exec.Command(openssl, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("openssl %q: %v\n%s", args, err, out)
		}
		return out
	}
	k := key(1)
	check(t, signing.WriteFiles(filepath.Join(dir, "org.key"), filepath.Join(dir, "org.pub"), k))
	if got := run("pkey", "-in", "org.key", "-pubout"); !bytes.Equal(got, signing.MarshalPublic(signing.Public(k))) {
		t.Errorf("openssl derives another public key:\n%s", got)
	}
	if got := string(run("pkey", "-pubin", "-in", "org.pub", "-noout", "-text")); !strings.Contains(strings.ToUpper(got), "ED25519") {
		t.Errorf("openssl says of the public key:\n%s", got)
	}
	run("genpkey", "-algorithm", "ed25519", "-out", "theirs.key")
	run("pkey", "-in", "theirs.key", "-pubout", "-out", "theirs.pub")
	check(t, os.Chmod(filepath.Join(dir, "theirs.key"), 0o600))
	theirs, err := signing.ReadPrivate(filepath.Join(dir, "theirs.key"))
	check(t, err)
	b, err := signing.ReadFile(filepath.Join(dir, "theirs.pub"))
	check(t, err)
	if pub, err := signing.ParsePublic(b); err != nil || !pub.Equal(signing.Public(theirs)) {
		t.Error(err)
	}
	run("pkey", "-in", "theirs.key", "-aes256", "-passout", "pass:x", "-out", "encrypted.key")
	check(t, os.Chmod(filepath.Join(dir, "encrypted.key"), 0o600))
	if _, err := signing.ReadPrivate(filepath.Join(dir, "encrypted.key")); !errors.Is(err, signing.ErrKey) || !strings.Contains(err.Error(), "decrypt") {
		t.Error(err)
	}
}

func TestSignature(t *testing.T) {
	k := key(1)
	sig, err := signing.Sign(k, "bulwark test v1", "sha256:00")
	check(t, err)
	pub, err := signing.Verify(sig, "bulwark test v1", "sha256:00")
	if err != nil || !pub.Equal(signing.Public(k)) {
		t.Error(err)
	}
	other, err := signing.Sign(key(2), "bulwark test v1", "sha256:00")
	check(t, err)
	for name, tc := range map[string]struct {
		sig            []byte
		domain, digest string
	}{
		"digest":   {sig, "bulwark test v1", "sha256:01"},
		"domain":   {sig, "bulwark test v2", "sha256:00"},
		"no-json":  {sig[1:], "bulwark test v1", "sha256:00"},
		"empty":    {nil, "bulwark test v1", "sha256:00"},
		"object":   {[]byte("{}"), "bulwark test v1", "sha256:00"},
		"null":     {[]byte("null"), "bulwark test v1", "sha256:00"},
		"two-keys": {bytes.Replace(sig, sig[:len(`{"key":"`)+44], other[:len(`{"key":"`)+44], 1), "bulwark test v1", "sha256:00"},
	} {
		t.Run(name, func(t *testing.T) {
			if pub, err := signing.Verify(tc.sig, tc.domain, tc.digest); !errors.Is(err, signing.ErrSignature) || pub != nil {
				t.Errorf("%x, %v", pub, err)
			}
		})
	}
}

// FuzzKeys reads anything; what is a key is written and read again.
func FuzzKeys(f *testing.F) {
	f.Add(private(f, key(1)))
	f.Add(signing.MarshalPublic(signing.Public(key(1))))
	f.Add([]byte(signing.Text(signing.Public(key(1)))))
	f.Add([]byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, err := signing.ParsePrivate(b); err == nil {
			if again, err := signing.ParsePrivate(private(t, k)); err != nil || !again.Equal(k) {
				t.Error(err)
			}
		} else if !errors.Is(err, signing.ErrKey) {
			t.Error(err)
		}
		if pub, err := signing.ParsePublic(b); err == nil {
			if again, err := signing.ParsePublic(signing.MarshalPublic(pub)); err != nil || !again.Equal(pub) {
				t.Error(err)
			}
		} else if !errors.Is(err, signing.ErrKey) {
			t.Error(err)
		}
		_, _ = signing.ParseText(string(b))
		_, _ = signing.Verify(b, "d", "sha256:00")
	})
}
