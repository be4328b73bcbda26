// SPDX-License-Identifier: Apache-2.0

// Package bulwark holds the nouns of container security: what is scanned, what
// is inside it, what is known about that, what was found, and what was decided.
//
// The nouns have no behaviour beyond naming, ordering and encoding themselves,
// and import only the standard library. Their JSON is the wire form and the
// stored form: fields are added, never renamed. The package does not know how
// anything is opened, read, matched, judged or shown.
package bulwark

import (
	"errors"
	"fmt"
	"strings"
)

// Sentinel errors that cross package borders. They are wrapped with the
// operation that met them and tested with [errors.Is].
var (
	ErrNotFound    = errors.New("not found")
	ErrUnchanged   = errors.New("unchanged")
	ErrUnsupported = errors.New("not supported")
	ErrTooLarge    = errors.New("larger than the limit")
	ErrDigest      = errors.New("digest mismatch")
	ErrUsage       = errors.New("wrong usage")
)

// A Hint is an error with advice on what to do next. The zero Hint has neither.
type Hint struct {
	Err  error
	Next string // one sentence in lower case, for example "run bulwark db update"
}

// Error gives the error and the advice.
func (h *Hint) Error() string { return h.Err.Error() + "; " + h.Next }

// Unwrap gives the error without the advice.
func (h *Hint) Unwrap() error { return h.Err }

// A Digest is a content hash in the form of the OCI image specification,
// "sha256:" and 64 lower-case hexadecimal digits. The zero Digest is unknown.
type Digest string

// Valid tells whether d is a well-formed SHA-256 or SHA-512 digest.
func (d Digest) Valid() bool {
	alg, hex, ok := strings.Cut(string(d), ":")
	if !ok || (alg != "sha256" || len(hex) != 64) && (alg != "sha512" || len(hex) != 128) {
		return false
	}
	return strings.Trim(hex, "0123456789abcdef") == ""
}

// Hex gives the digits without the algorithm; "" for the zero Digest.
func (d Digest) Hex() string {
	_, hex, _ := strings.Cut(string(d), ":")
	return hex
}

// Short gives the first twelve hexadecimal digits, for display only.
func (d Digest) Short() string {
	hex := d.Hex()
	return hex[:min(12, len(hex))]
}

// A Severity ranks how bad something is. The zero Severity is unknown, which is
// not low.
type Severity int

// The severities, mildest first.
const (
	SeverityUnknown Severity = iota
	SeverityNegligible
	SeverityLow
	SeverityMedium
	SeverityHigh
	SeverityCritical
)

var severityNames = [...]string{"unknown", "negligible", "low", "medium", "high", "critical"}

// Severities lists every severity, worst first.
func Severities() []Severity {
	return []Severity{SeverityCritical, SeverityHigh, SeverityMedium, SeverityLow, SeverityNegligible, SeverityUnknown}
}

// ParseSeverity reads the lower-case name of a severity; upper case and the
// vendors' words "moderate", "important" and "none" are accepted. Anything else is
// [ErrUsage].
func ParseSeverity(s string) (Severity, error) {
	name := strings.ToLower(strings.TrimSpace(s))
	switch name {
	case "moderate":
		return SeverityMedium, nil
	case "important":
		return SeverityHigh, nil
	case "none", "unimportant":
		return SeverityNegligible, nil
	}
	for i, n := range severityNames {
		if n == name {
			return Severity(i), nil
		}
	}
	return SeverityUnknown, fmt.Errorf("severity %q: %w", s, ErrUsage)
}

// SeverityOfScore gives the CVSS v3.1 qualitative rating of a base score from 0
// to 10 (https://www.first.org/cvss/v3.1/specification-document, section 5).
// Zero is negligible; anything outside the scale is unknown.
func SeverityOfScore(score float64) Severity {
	switch {
	case score < 0 || score > 10:
		return SeverityUnknown
	case score >= 9:
		return SeverityCritical
	case score >= 7:
		return SeverityHigh
	case score >= 4:
		return SeverityMedium
	case score >= 0.1:
		return SeverityLow
	case score >= 0:
		return SeverityNegligible
	}
	return SeverityUnknown
}

// String gives the lower-case name.
func (s Severity) String() string {
	if s < 0 || int(s) >= len(severityNames) {
		return severityNames[0]
	}
	return severityNames[s]
}

// MarshalText writes the lower-case name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote; "" is unknown.
func (s *Severity) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*s = SeverityUnknown
		return nil
	}
	*s, err = ParseSeverity(string(b))
	return err
}
