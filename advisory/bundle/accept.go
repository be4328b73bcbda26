// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
)

// ErrOld says that a database is too old: than a limit, than its own date, or
// than the one that there is.
var ErrOld = errors.New("too old")

// ahead is how far the clock of a builder may be ahead of ours. A database from
// the far future would bar all later ones.
const ahead = 24 * time.Hour

// Acceptance says which databases are taken. The zero Acceptance takes what the
// database at hand trusts already, of any age but its own date.
type Acceptance struct {
	Keys       []ed25519.PublicKey // that may have signed; empty is those that the database trusts
	Any        bool                // or anybody; the file was brought by hand
	Now        time.Time           // needed
	MaxAge     time.Duration       // since a feed was last asked; 0 is any
	AllowOlder bool                // than the current one, and than its own date
}

// key tells whether databases of a key are taken into dir; "" is none.
func (a *Acceptance) key(dir string, k ed25519.PublicKey) error {
	if len(a.Keys) > 0 {
		var names []string
		for _, want := range a.Keys {
			if want.Equal(k) {
				return nil
			}
			names = append(names, PublicKey(want))
		}
		return &bulwark.Hint{
			Err:  fmt.Errorf("signed by %s, wanted %s: %w", PublicKey(k), strings.Join(names, " or "), bulwark.ErrDigest),
			Next: "ask the publisher which key is right; if it was changed, pin the new one with --key or bundle.keys",
		}
	}
	if a.Any || dir != "" && trusted(dir, k) == nil {
		return nil
	}
	return &bulwark.Hint{
		Err:  fmt.Errorf("signed by %s, which is not pinned: %w", PublicKey(k), bulwark.ErrDigest),
		Next: "compare it with what the publisher says, then pass it as --key or set bundle.keys",
	}
}

// Keyed tells whether generations signed by k may be taken into a database.
func (w *Writer) Keyed(a *Acceptance, k ed25519.PublicKey) error { return a.key(w.dir, k) }

// Fresh tells whether a database is young enough to be taken in place of current,
// which may be nil. It is [ErrOld] when not.
func (a *Acceptance) Fresh(m *Manifest, current *Manifest) error {
	date := func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
	if m.Built.After(a.Now.Add(ahead)) {
		return &bulwark.Hint{
			Err:  fmt.Errorf("database was built at %s, which is in the future", date(m.Built)),
			Next: "set the clocks of this machine and of the builder",
		}
	}
	if age := a.Now.Sub(m.Asked()); a.MaxAge > 0 && age > a.MaxAge {
		return &bulwark.Hint{
			Err:  fmt.Errorf("database is of %s, %s old, where %s are allowed: %w", date(m.Asked()), days(age), days(a.MaxAge), ErrOld),
			Next: "bring a newer one, or raise --max-age",
		}
	}
	if a.AllowOlder {
		return nil
	}
	if !m.Expires.IsZero() && a.Now.After(m.Expires) {
		return &bulwark.Hint{
			Err:  fmt.Errorf("database was good until %s: %w", date(m.Expires), ErrOld),
			Next: "bring a newer one; --allow-older takes it nevertheless",
		}
	}
	if current != nil && m.Built.Before(current.Built) {
		return &bulwark.Hint{
			Err:  fmt.Errorf("database was built at %s, the one that there is at %s: %w", date(m.Built), date(current.Built), ErrOld),
			Next: "bring a newer one; --allow-older takes it nevertheless",
		}
	}
	return nil
}

// days writes a time the way people speak of ages.
func days(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.Round(time.Minute).String()
}

// ParseKeys reads public keys; anything else is [bulwark.ErrUsage].
func ParseKeys(list []string) ([]ed25519.PublicKey, error) {
	var out []ed25519.PublicKey
	for _, s := range list {
		k, err := ParsePublicKey(s)
		if err != nil {
			return nil, &bulwark.Hint{Err: err, Next: "write it as ed25519: and base64, as bulwark key show prints it"}
		}
		if !slices.ContainsFunc(out, func(o ed25519.PublicKey) bool { return o.Equal(k) }) {
			out = append(out, k)
		}
	}
	return out, nil
}
