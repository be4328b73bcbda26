// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/bulwark-sec/bulwark"
)

// pemKey is the type of a PEM block that holds a private key (RFC 7468, section
// 10).
const pemKey = "PRIVATE KEY"

// NewKey makes a pair of keys from random bytes. The private one goes to the file
// name, readable by its owner alone, as PKCS #8 in PEM; the public one to
// name.pub, as [PublicKey] writes it. A file that is there is [os.ErrExist].
func NewKey(name string, random io.Reader) (ed25519.PublicKey, error) {
	pub, key, err := ed25519.GenerateKey(random)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	write := func(name string, content []byte, mode os.FileMode) error {
		f, err := os.OpenFile(filepath.Clean(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
		if err != nil {
			return err
		}
		_, err = f.Write(content)
		return errors.Join(err, f.Sync(), f.Close())
	}
	err = write(name, pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}), 0o600)
	if err == nil {
		err = write(name+".pub", []byte(PublicKey(pub)+"\n"), 0o644)
	}
	if errors.Is(err, os.ErrExist) {
		err = &bulwark.Hint{Err: err, Next: "choose another name: a key that is lost cannot be made again"}
	}
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return pub, nil
}

// ReadKey reads a private key that [NewKey] wrote. A file that others may read is
// refused.
func ReadKey(name string) (ed25519.PrivateKey, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	if runtime.GOOS != "windows" && st.Mode().Perm()&0o077 != 0 {
		return nil, &bulwark.Hint{
			Err:  fmt.Errorf("read key %q: others than its owner may read it: %w", name, bulwark.ErrUnsupported),
			Next: "run chmod 600 on it; if others had it, make a new one with bulwark bundle keygen",
		}
	}
	b, err := readFile(name, 64<<10)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	wrong := &bulwark.Hint{
		Err:  fmt.Errorf("read key %q: no ed25519 private key: %w", name, bulwark.ErrUnsupported),
		Next: "make one with bulwark bundle keygen",
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != pemKey {
		return nil, wrong
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, wrong
	}
	key, ok := k.(ed25519.PrivateKey)
	if !ok {
		return nil, wrong
	}
	return key, nil
}
