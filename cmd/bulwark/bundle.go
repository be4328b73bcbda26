// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory"
	"github.com/bulwark-sec/bulwark/advisory/bundle"
	"github.com/bulwark-sec/bulwark/advisory/starter"
	"github.com/bulwark-sec/bulwark/check"
)

const bundleLong = `A bundle is one signed file that carries the advisory database to where there is
no network. It says which rules and which starter set its maker had, and until
when it is good. Whoever takes it in names the key that must have signed it.

  bulwark key new --out org                              once
  bulwark bundle create -o monday.bundle --signing-key org.key
  bulwark bundle verify monday.bundle --key org.pub    on the other side
  bulwark bundle apply monday.bundle --key org.pub`

func (p *program) bundleCommand() *cobra.Command {
	c := group("bundle", "know", "Carry the database in one signed file to where there is no network",
		p.bundleCreate(), p.bundleVerify(), p.bundleApply(), p.bundleKeygen())
	c.Long = bundleLong
	return c
}

func (p *program) bundleKeygen() *cobra.Command {
	return &cobra.Command{
		Use: "keygen FILE", Short: "Make a pair of keys, as bulwark key new does: FILE, to be kept secret, and FILE.pub", Args: arguments(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			pub, err := bundle.NewKey(args[0], rand.Reader)
			if err != nil {
				return err
			}
			fmt.Fprintf(p.stdout, "private   %s: keep it secret, it is needed to sign\npublic    %s\n\nThose who read what it signs put this into their configuration:\n\n%s:\n  - %s\n",
				args[0], bundle.PublicKey(pub), keysSetting, bundle.PublicKey(pub))
			return nil
		},
	}
}

func (p *program) bundleCreate() *cobra.Command {
	var out, key, note string
	var valid time.Duration
	c := p.db("create -o FILE --signing-key KEY", "Write the database to a signed file", cobra.NoArgs, func(cmd *cobra.Command, dir string, _ []string) error {
		if out == "" || key == "" {
			return &bulwark.Hint{Err: fmt.Errorf("-o and --signing-key are needed: %w", bulwark.ErrUsage), Next: "bulwark key new makes a key"}
		}
		signer, err := readSigningKey(key)
		if err != nil {
			return err
		}
		versions, err := ruleVersions()
		if err != nil {
			return err
		}
		var made advisory.Carried
		write := func(w io.Writer) (err error) {
			made, err = advisory.Carry(cmd.Context(), w, advisory.CarryOptions{
				Dir: dir, Key: signer, ValidFor: valid, Now: p.now(), Tool: "bulwark " + p.version, Versions: versions, Note: note,
			})
			return err
		}
		if out == "-" {
			return write(p.stdout)
		}
		if err := writeFile(out, write); err != nil {
			return err
		}
		p.printCarried(made, nil)
		return nil
	})
	f := c.Flags()
	f.StringVarP(&out, "output", "o", "", "file to write; - is standard output")
	f.StringVar(&key, "signing-key", "", "private key of bulwark key new")
	f.DurationVar(&valid, "valid-for", 30*24*time.Hour, "time after which it is refused; 0 is for ever")
	f.StringVar(&note, "note", "", "a line for those who receive it")
	return c
}

// reading makes the commands that read a bundle.
func (p *program) reading(use, short string, read func(ctx context.Context, name string, o advisory.ApplyOptions) (advisory.Carried, error), done string) *cobra.Command {
	var k pins
	var maxAge time.Duration
	var allowOlder bool
	c := p.db(use, short, cobra.ExactArgs(1), func(cmd *cobra.Command, dir string, args []string) error {
		keys, err := k.list()
		if err != nil {
			return err
		}
		o := advisory.ApplyOptions{Dir: dir, Keys: keys, MaxAge: maxAge, AllowOlder: allowOlder, Now: p.now()}
		got, err := read(cmd.Context(), args[0], o)
		if err != nil {
			return err
		}
		mine, err := ruleVersions()
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "ok        %s %s\n", args[0], done)
		p.printCarried(got, mine)
		return nil
	})
	k.add(c.Flags())
	c.Flags().DurationVar(&maxAge, "max-age", 0, "refuse a database that is older; 0 is any age")
	c.Flags().BoolVar(&allowOlder, "allow-older", false, "take what is older than the present database, or past its own date")
	return c
}

func (p *program) bundleVerify() *cobra.Command {
	return p.reading("verify FILE", "Check a bundle as apply would, and change nothing", advisory.VerifyBundle, "can be applied")
}

func (p *program) bundleApply() *cobra.Command {
	return p.reading("apply FILE", "Make the database of a bundle the current one", advisory.Apply, "is now the database")
}

// printCarried says what is in a bundle; mine are this program's own versions,
// which are compared with those of its maker.
func (p *program) printCarried(c advisory.Carried, mine map[string]string) {
	until := "for ever"
	if !c.Label.Expires.IsZero() {
		until = "until " + c.Label.Expires.UTC().Format("2006-01-02 15:04 UTC")
	}
	fmt.Fprintf(p.stdout, "database  %s, built %s, %d advisories in %d feeds\n", c.ID.Short(), c.Built.UTC().Format("2006-01-02 15:04 UTC"), c.Advisories, len(c.Feeds))
	fmt.Fprintf(p.stdout, "bundle    made %s by %s, good %s\nsigned    %s\n", c.Label.Created.UTC().Format("2006-01-02 15:04 UTC"), oneLine(c.Label.Tool, 80), until, c.Key)
	if c.Label.Note != "" {
		fmt.Fprintf(p.stdout, "note      %s\n", oneLine(c.Label.Note, 200))
	}
	if mine != nil && !c.Newer {
		fmt.Fprintln(p.stdout, "It is not newer than the database that there was.")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Label.Versions)) {
		theirs, ours := c.Label.Versions[name], mine[name]
		switch {
		case mine == nil, theirs == ours:
			fmt.Fprintf(p.stdout, "%-9s %s\n", oneLine(name, 40), oneLine(theirs, 80))
		default:
			fmt.Fprintf(p.stdout, "%-9s %s, this bulwark has %s: it is another version of bulwark that made the bundle\n", oneLine(name, 40), oneLine(theirs, 80), cmpOr(ours, "none"))
		}
	}
}

// ruleVersions names the versions of what is compiled in and finds things: the
// rules, by number and digest, and the starter set, by its day.
func ruleVersions() (map[string]string, error) {
	set := check.Load(check.All())
	byCheck := map[string][]bulwark.Rule{}
	for _, c := range set.Checks {
		byCheck["rules/"+c.Name()] = c.Rules()
	}
	if err := errors.Join(set.Faults()...); err != nil {
		return nil, err
	}
	out := map[string]string{"starter": starter.Built}
	for name, rules := range byCheck {
		slices.SortFunc(rules, func(a, b bulwark.Rule) int { return strings.Compare(a.ID, b.ID) })
		text, err := json.Marshal(rules)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		out[name] = fmt.Sprintf("%d rules, %s", len(rules), hex.EncodeToString(sum[:6]))
	}
	return out, nil
}
