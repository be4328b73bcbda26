// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory"
	"github.com/bulwark-sec/bulwark/advisory/bundle"
	"github.com/bulwark-sec/bulwark/artifact/oci"
	"github.com/bulwark-sec/bulwark/internal/signing"
)

// databaseTypes are the media types of a database in a registry.
var databaseTypes = oci.ArtifactTypes{
	Artifact: "application/vnd.bulwark.db.v1",
	Index:    "application/vnd.bulwark.db.index.v1+json",
	Blob:     "application/vnd.bulwark.db.blob.v1+zstd",
}

// mirrorsSetting and keysSetting are what a configuration file has and a command
// line has not: there --from and --key serve.
const (
	mirrorsSetting = "db.mirrors"
	keysSetting    = "bundle.keys"
)

// typedOnly marks a flag that neither environment nor configuration set: another
// command has one of the same name and another meaning.
const typedOnly = "bulwark-typed-only"

// configurable gives the flags that configuration may set.
func configurable(flags *pflag.FlagSet) *pflag.FlagSet {
	out := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.VisitAll(func(f *pflag.Flag) {
		if _, ok := f.Annotations[typedOnly]; !ok {
			out.AddFlag(f)
		}
	})
	return out
}

// reach is how places on the network are reached.
type reach struct {
	caFile    string
	plainHTTP bool
}

func (r *reach) add(f *pflag.FlagSet) {
	f.StringVar(&r.caFile, "ca-file", "", "PEM file of further certificate authorities")
	f.BoolVar(&r.plainHTTP, "plain-http", false, "talk to the registry without TLS")
}

// opener gives what opens oci:// addresses; with write also to push.
func (p *program) opener(r *reach, write bool) advisory.Opener {
	return func(ctx context.Context, ref string) (advisory.Target, error) {
		images := oci.Opener{Env: p.env, UserAgent: "bulwark/" + p.version}
		return images.Repository(ctx, ref, databaseTypes, write, bulwark.OpenOptions{PlainHTTP: r.plainHTTP, CAFile: r.caFile})
	}
}

// webClient gives a client that trusts the authorities of a file, too; nil is the
// system's own.
func (r *reach) webClient() (*http.Client, error) {
	if r.caFile == "" {
		return nil, nil
	}
	pem, err := readFile(r.caFile)
	if err != nil {
		return nil, fmt.Errorf("certificate authorities: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, &bulwark.Hint{Err: fmt.Errorf("certificate authorities %q: no certificate in it: %w", r.caFile, bulwark.ErrUsage), Next: "name a file of PEM certificates"}
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	t.ForceAttemptHTTP2 = true
	return &http.Client{Transport: t}, nil
}

// pins are the keys that are trusted, from the command line or configuration.
type pins struct{ typed, configured []string }

func (k *pins) add(f *pflag.FlagSet) {
	f.StringSliceVar(&k.typed, "key", nil, "public key that must have signed, or a file of such; may be repeated (configuration: "+keysSetting+")")
	hidden(f, keysSetting, &k.configured)
}

// list gives the keys of the command line, or else the configured ones. What is
// not written as a key is a file: one key in PEM, or lines that are keys.
func (k *pins) list() ([]string, error) {
	given := k.typed
	if len(given) == 0 {
		given = k.configured
	}
	var out []string
	for _, g := range given {
		if strings.HasPrefix(g, "ed25519:") {
			out = append(out, g)
			continue
		}
		b, err := signing.ReadFile(g)
		if err != nil {
			return nil, &bulwark.Hint{Err: fmt.Errorf("key %q: %w", g, err), Next: "write ed25519: and base64, or name a file with a public key, as bulwark key new makes it"}
		}
		if bytes.Contains(b, []byte("-----BEGIN ")) {
			pub, err := signing.ParsePublic(b)
			if err != nil {
				return nil, &bulwark.Hint{Err: fmt.Errorf("key %q: %w: %w", g, err, bulwark.ErrUsage), Next: "name the .pub file that bulwark key new made"}
			}
			out = append(out, signing.Text(pub))
			continue
		}
		n := len(out)
		for l := range strings.Lines(string(b)) {
			if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
				out = append(out, l)
			}
		}
		if len(out) == n {
			return nil, fmt.Errorf("key file %q is empty: %w", g, bulwark.ErrUsage) // an empty list would mean other keys
		}
	}
	return out, nil
}

// hidden adds a flag that only a configuration file is meant to set.
func hidden(f *pflag.FlagSet, name string, list *[]string) {
	f.StringSliceVar(list, name, nil, "")
	f.Lookup(name).Hidden = true
}

// readSigningKey reads a private key; "" is none.
func readSigningKey(name string) (ed25519.PrivateKey, error) {
	if name == "" {
		return nil, nil
	}
	return bundle.ReadKey(name)
}

// together refuses flags that were typed and do not go with another.
func together(cmd *cobra.Command, with string, others ...string) error {
	i := slices.IndexFunc(others, func(name string) bool { return cmd.Flags().Changed(name) })
	if i < 0 {
		return nil
	}
	return fmt.Errorf("--%s and --%s do not go together: %w", with, others[i], bulwark.ErrUsage)
}
