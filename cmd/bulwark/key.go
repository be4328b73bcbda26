// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/signing"
)

const keyLong = `Make and look at the keys that sign what Bulwark carries: published databases,
bundles of the database, and bundles of policies. A key is a pair of files that
OpenSSL reads, too: an ed25519 private key (PKCS #8) and its public key (PKIX).

  bulwark key new --out org      org.key, to be kept secret, and org.pub
  bulwark key show org.pub       its id, and how configuration names it`

func (p *program) keyCommand() *cobra.Command {
	c := group("key", "tool", "Make and look at signing keys", p.keyNew(), p.keyShow())
	c.Long = keyLong
	return c
}

func (p *program) keyNew() *cobra.Command {
	out := "bulwark"
	c := &cobra.Command{
		Use: "new", Short: "Make a pair of keys: NAME.key, to be kept secret, and NAME.pub", Args: arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if out == "" || strings.HasSuffix(out, "/") {
				return &bulwark.Hint{Err: fmt.Errorf("--out %q: %w", out, bulwark.ErrUsage), Next: "name the files without their endings, org say"}
			}
			key, err := signing.NewKey(rand.Reader)
			if err != nil {
				return err
			}
			err = signing.WriteFiles(out+".key", out+".pub", key)
			if errors.Is(err, os.ErrExist) {
				err = &bulwark.Hint{Err: err, Next: "say another name with --out: a key that is lost cannot be made again"}
			}
			if err != nil {
				return fmt.Errorf("make key: %w", err)
			}
			fmt.Fprintf(p.stdout, "private   %s: keep it secret, it is needed to sign\npublic    %s: for those who read what it signs\n", out+".key", out+".pub")
			return p.printKey(signing.Public(key))
		},
	}
	c.Flags().StringVar(&out, "out", out, "name of the files without .key and .pub")
	return c
}

func (p *program) keyShow() *cobra.Command {
	return &cobra.Command{
		Use: "show FILE", Short: "Say which key a file holds, private or public", Args: arguments(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			pub, private, err := readAnyKey(args[0])
			if err != nil {
				return fmt.Errorf("read key %q: %w", args[0], err)
			}
			what := "public key"
			if private {
				what = "private key"
			}
			fmt.Fprintf(p.stdout, "file      %s: %s\n", oneLine(args[0], 200), what)
			return p.printKey(pub)
		},
	}
}

func (p *program) printKey(pub ed25519.PublicKey) error {
	_, err := fmt.Fprintf(p.stdout, "id        %s\nkey       %s\n", signing.ID(pub), signing.Text(pub))
	return err
}

// readAnyKey reads a private or public key. A private one that others may read is
// an error, for that is what somebody who looks at it must know first.
func readAnyKey(name string) (pub ed25519.PublicKey, private bool, err error) {
	b, err := signing.ReadFile(name)
	if err != nil {
		return nil, false, err
	}
	if bytes.Contains(b, []byte("PRIVATE KEY-----")) {
		key, err := signing.ReadPrivate(name)
		switch {
		case errors.Is(err, signing.ErrExposed):
			return nil, true, &bulwark.Hint{Err: err, Next: "run chmod 600 on it; if others had it, make a new one with bulwark key new"}
		case err != nil:
			return nil, true, err
		}
		return signing.Public(key), true, nil
	}
	if text := bytes.TrimSpace(b); bytes.HasPrefix(text, []byte("ed25519:")) {
		pub, err = signing.ParseText(string(text))
		return pub, false, err
	}
	pub, err = signing.ParsePublic(b)
	return pub, false, err
}
