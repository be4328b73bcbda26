// SPDX-License-Identifier: Apache-2.0

package bulwark

import (
	"crypto/sha256"
	"encoding/hex"
)

// A Class is a kind of finding.
type Class string

// The classes of finding.
const (
	ClassVulnerability    Class = "vulnerability"
	ClassSecret           Class = "secret"
	ClassMalware          Class = "malware"
	ClassMisconfiguration Class = "misconfiguration"
	ClassCompliance       Class = "compliance"
	ClassLicense          Class = "license"
	ClassTrust            Class = "trust"
	ClassBehaviour        Class = "behaviour"
	ClassNetwork          Class = "network"
	ClassDataLeak         Class = "data-leak"
)

// A Finding is one claim about one subject, with the evidence for it. What is
// true of every instance (title, remedy, references) lives in the Advisory or
// Rule that Rule names; a Finding holds only what is true of this one.
type Finding struct {
	ID       string     `json:"id"` // stable across scans, see FindingID
	Class    Class      `json:"class"`
	Rule     string     `json:"rule"` // "CVE-2024-3094", "DSA-5649-1", "secret/private-key"
	Severity Severity   `json:"severity"`
	Subject  string     `json:"subject"`          // purl, path, or the artifact's ID
	Fix      string     `json:"fix,omitempty"`    // first fixed version, or what to change; "" if none is known
	Origin   string     `json:"origin,omitempty"` // OwnerBase or OwnerApp: whose layer brought it; "" when that is not known
	Reach    string     `json:"reach,omitempty"`  // whether the flawed code is in the program, see the Reach constants
	Status   Status     `json:"status"`
	Evidence []Evidence `json:"evidence"` // never empty
}

// What is known of the flawed code of a vulnerability in a compiled program. The
// evidence says which functions it is about.
const (
	ReachNone      = ""           // not asked: no compiled program
	ReachLinked    = "linked"     // at least one of the functions that advisories name is in it
	ReachNotLinked = "not-linked" // none of them is in any of the places
	ReachUnknown   = "unknown"    // advisories name no function, or the program does not show its own
)

// FindingID names a finding by class, rule and subject, so that it keeps its
// name from scan to scan: 16 hexadecimal digits of a SHA-256. A subject that is a
// digest is the artifact itself and does not count, for it is another one after
// every build.
func FindingID(class Class, rule, subject string) string {
	if Digest(subject).Valid() {
		subject = ""
	}
	sum := sha256.Sum256([]byte(string(class) + "\x00" + rule + "\x00" + subject))
	return hex.EncodeToString(sum[:8])
}

// Evidence is one observation that a finding rests on.
type Evidence struct {
	Location
	Detail string `json:"detail,omitempty"` // what was seen, secrets redacted
}

// The states of a finding. The zero State is open.
const (
	StateOpen        = ""
	StateNotAffected = "not_affected" // by a VEX statement or a matching rule
	StateFixed       = "fixed"        // by a VEX statement
	StateAccepted    = "accepted"     // somebody took the risk until a date
	StateSuppressed  = "suppressed"   // noise by a rule of ours that Reason names
	StateKnown       = "known"        // in the baseline already
)

// A Status says whether a finding still counts, and on whose word. The zero
// Status is open.
type Status struct {
	State  string `json:"state"`            // "" is open
	By     string `json:"by,omitempty"`     // document, file or rule that says so
	Reason string `json:"reason,omitempty"` // justification in words
	Owner  string `json:"owner,omitempty"`  // who answers for it
	Until  string `json:"until,omitempty"`  // RFC 3339 date at which it ends; "" for ever
}

// Open tells whether the finding still counts.
func (s Status) Open() bool { return s.State == StateOpen }

// A Rule is what is true of every instance of a check's finding.
type Rule struct {
	ID          string   `json:"id"`
	Class       Class    `json:"class"`
	Title       string   `json:"title"`
	Severity    Severity `json:"severity"`
	Description string   `json:"description,omitempty"`
	Remedy      string   `json:"remedy,omitempty"`
	References  []string `json:"references,omitempty"`
	Controls    []string `json:"controls,omitempty"` // "CIS Docker 4.1"
}
