// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/signing"
)

// NewKey makes a pair of keys from random bytes. The private one goes to the file
// name, readable by its owner alone, as PKCS #8 in PEM; the public one to
// name.pub, as PKIX in PEM. A file that is there is [os.ErrExist].
func NewKey(name string, random io.Reader) (ed25519.PublicKey, error) {
	key, err := signing.NewKey(random)
	if err != nil {
		return nil, err
	}
	err = signing.WriteFiles(name, name+".pub", key)
	if errors.Is(err, os.ErrExist) {
		err = &bulwark.Hint{Err: err, Next: "choose another name: a key that is lost cannot be made again"}
	}
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return signing.Public(key), nil
}

// ReadKey reads a private key that [NewKey] wrote. A file that others may read is
// refused.
func ReadKey(name string) (ed25519.PrivateKey, error) {
	key, err := signing.ReadPrivate(name)
	switch {
	case errors.Is(err, signing.ErrExposed):
		return nil, &bulwark.Hint{
			Err:  fmt.Errorf("read key %q: %w: %w", name, err, bulwark.ErrUnsupported),
			Next: "run chmod 600 on it; if others had it, make a new one with bulwark key new",
		}
	case errors.Is(err, signing.ErrKey):
		return nil, &bulwark.Hint{
			Err:  fmt.Errorf("read key %q: %w: %w", name, err, bulwark.ErrUnsupported),
			Next: "name a private key that bulwark key new made",
		}
	case err != nil:
		return nil, fmt.Errorf("read key: %w", err)
	}
	return key, nil
}
