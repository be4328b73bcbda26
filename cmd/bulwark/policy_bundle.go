// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/policy/bundle"
)

const policyBundleLong = `Write documents of policies to one signed file. It is named by their content: the
digest that is printed is in every decision that the file makes, and that of the
folder which it was made from.

  bulwark key new --out org                                       once
  bulwark policy bundle policies/ --key org.key -o set.bundle
  bulwark policy bundle show set.bundle --policy-key org.pub
  bulwark scan shop:1 --policy set.bundle --policy-key org.pub     who applies it`

func (p *program) policyBundle() *cobra.Command {
	var key, out string
	var unsigned bool
	var keys []string
	c := &cobra.Command{
		Use: "bundle FILE|DIR... --key NAME.key -o FILE", Short: "Write policies to one signed file", Long: policyBundleLong,
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if unsigned {
				if err := together(cmd, "unsigned", "key"); err != nil {
					return err
				}
			} else if key == "" {
				return &bulwark.Hint{Err: fmt.Errorf("--key is needed: %w", bulwark.ErrUsage), Next: "bulwark key new makes one; a bundle with --unsigned is refused by those who apply policies"}
			}
			if out == "" {
				return fmt.Errorf("-o is needed: the file to write, - is standard output: %w", bulwark.ErrUsage)
			}
			signer, err := readSigningKey(key)
			if err != nil {
				return err
			}
			sources, err := p.allNamed(args, keys)
			if err != nil {
				return err
			}
			return p.writeBundle(sources, signer, out)
		},
	}
	f := c.Flags()
	f.StringVar(&key, "key", "", "private key of bulwark key new that signs it")
	f.BoolVar(&unsigned, "unsigned", false, "nobody signs it: to look at, it is refused where policies are applied")
	f.StringVarP(&out, "output", "o", "", "file to write; - is standard output")
	f.StringSliceVar(&keys, "policy-key", nil, "public key of a bundle among the arguments; may be repeated")
	c.AddCommand(p.policyBundleShow())
	return c
}

// writeBundle writes documents that can be loaded.
func (p *program) writeBundle(sources []policy.Source, signer ed25519.PrivateKey, out string) error {
	set, err := policy.Load(sources)
	if err != nil {
		return p.faults(err)
	}
	files, err := inside(set.Files())
	if err != nil {
		return err
	}
	var digest bulwark.Digest
	write := func(w io.Writer) (err error) {
		if signer == nil {
			digest, err = bundle.WriteUnsigned(w, files)
		} else {
			digest, err = bundle.Write(w, files, signer, p.now())
		}
		return err
	}
	if out == "-" {
		return write(p.stdout)
	}
	if err := writeFile(out, write); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "digest    %s\nbundle    %s: %s\n", digest, oneLine(out, 200), counted(len(files), "file", "files"))
	if signer == nil {
		_, err = fmt.Fprintln(p.stdout, "signed    by nobody: it is refused where policies are applied")
		return err
	}
	return p.printKey(signer.Public().(ed25519.PublicKey))
}

// inside gives files names that may stand in a bundle when some lie outside of the
// working directory: seen from the root, from which a bundle leaves out what all
// have in common.
func inside(files []bundle.File) ([]bundle.File, error) {
	if !slices.ContainsFunc(files, func(f bundle.File) bool { return !filepath.IsLocal(f.Name) }) {
		return files, nil
	}
	files = slices.Clone(files)
	for i := range files {
		name, err := filepath.Abs(files[i].Name)
		if err != nil {
			return nil, fmt.Errorf("bundle %q: %w", files[i].Name, err)
		}
		files[i].Name = name
	}
	return files, nil
}

func (p *program) policyBundleShow() *cobra.Command {
	var keys []string
	c := &cobra.Command{
		Use: "show FILE", Short: "Say what a bundle of policies holds and who signed it",
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			b, err := readFile(args[0])
			if err != nil {
				return err
			}
			trusted, err := policyKeys(keys)
			if err != nil {
				return err
			}
			read := bundle.ReadUnsafe // who names no key wants to see whose it is
			if len(trusted) > 0 {
				read = bundle.Read
			}
			bd, err := read(bytes.NewReader(b), int64(len(b)), trusted)
			if err != nil {
				return fmt.Errorf("%q: %w", args[0], err)
			}
			return p.printBundle(bd)
		},
	}
	c.Flags().StringSliceVar(&keys, "policy-key", nil, "public key that it must be signed with; may be repeated")
	return c
}

func (p *program) printBundle(bd *bundle.Bundle) error {
	signed := "by nobody"
	if bd.Key != nil {
		signed = fmt.Sprintf("%s by key %s", bd.SignedAt.UTC().Format("2006-01-02 15:04 UTC"), bd.KeyID)
		if bd.Trusted {
			signed += ", which is trusted"
		} else {
			signed += "; whether to trust it was not asked: --policy-key"
		}
	}
	size := 0
	for _, f := range bd.Files {
		size += len(f.Data)
	}
	fmt.Fprintf(p.stdout, "digest    %s\nsigned    %s\nfiles     %d, %d bytes\n", bd.Digest, signed, len(bd.Files), size)
	for _, f := range bd.Files {
		if _, err := fmt.Fprintf(p.stdout, "%9d %s\n", len(f.Data), oneLine(f.Name, 200)); err != nil {
			return err
		}
	}
	return nil
}
