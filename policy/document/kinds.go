// SPDX-License-Identifier: Apache-2.0

// Package document reads the files in which people write policies: five kinds of
// YAML document, strict, many in a file. It knows their form and where in a file
// each word stands. It does not know what a condition means, which subjects there
// are, or how anything is decided.
package document

import "time"

// APIVersion is the only version of the documents.
const APIVersion = "bulwark.dev/v1"

// A Place is where something is written. The zero Place is unknown.
type Place struct {
	File   string `json:"file"`
	Line   int    `json:"line"`   // from 1
	Column int    `json:"column"` // from 1, in characters
}

// A Text is a word or an expression, and where it stands. The zero Text is not
// given.
type Text struct {
	Value string
	Place Place // where its content begins: behind a quote, below the mark of a block

	folds *[]fold // nil where At needs none
}

// A Head is what every document begins with.
type Head struct {
	Name        string            // unique among the documents of its kind
	Labels      map[string]string // for people
	Description string
	Place       Place  // of the document
	Source      string // its own YAML, as written
}

// A Set is what a number of files say. Lists are in the order of files and
// documents.
type Set struct {
	Policies    []Policy
	Collections []Collection
	Exceptions  []Exception
	Tests       []PolicyTest
	Lists       []ValueList
}

// A Policy is rules about one subject.
type Policy struct {
	Head
	Subject     Text     // "vulnerability", "image" …
	Stages      []Text   // empty is every stage of the subject
	Tier        string   // "guardrail", "org" or "team"; "" is "team"
	Mode        string   // "off", "audit" or "enforce"; "" is "enforce"
	Scope       Scope    //
	Combine     string   // "strictest" or "firstMatch"; "" is "strictest"
	OnUnknown   string   // "ignore", "alert", "fail" or "block"; "" is "alert"
	AllowInline string   // "never", "withReasonAndExpiry" or "always"; "" is "withReasonAndExpiry"
	Rules       []Rule   // at least one
	Controls    []string // of all its rules
}

// A Scope says where a policy or exception holds. The zero Scope is everywhere.
type Scope struct {
	Collections   []Text // in any of them
	Not           []Text // and in none of these
	Kinds         []Text // of Kubernetes objects
	ResourceTypes []Text // of infrastructure as code
}

// A Rule is one condition and what comes of it.
type Rule struct {
	ID          Text
	Description string
	When        Text   // CEL, a boolean
	Grace       *Grace // nil is none
	Effect      Effect
	Severity    string // severity of what the rule finds; "" is the subject's own, or unknown
	Message     Text   // CEL, a string; empty is the rule's description
	Remediation string // text with {{variable}}
	Controls    []string
	Place       Place
}

// An Effect says what comes of a rule at each stage.
type Effect struct {
	Default Text            // at the stages that Stages does not name; from a scalar, or the key "default"
	Stages  map[string]Text // by stage
	Place   Place
}

// A Grace is the time that there is to mend something.
type Grace struct {
	Days     int            // for severities that BySeverity does not name
	Severity map[string]int // days by severity
	From     string         // "fix_date", "published" or "first_seen"; "" is "fix_date", else "published"
	Place    Place
}

// A Collection is a named part of the world.
type Collection struct {
	Head
	Include []Selector // any of them; empty is everything
	Exclude []Selector // and none of these
}

// A Selector picks assets. All of its members must hold, each by any one of its
// globs, in which * is any characters. Empty members hold.
type Selector struct {
	Collections []Text // names of other collections
	Kinds       []Text // of artifact: "image", "host" …
	Registries  []Text
	Repos       []Text
	Tags        []Text
	Digests     []Text
	Names       []Text
	Namespaces  []Text
	Clusters    []Text
	Hosts       []Text
	Accounts    []Text
	Labels      map[string]Text // by name
	Place       Place
}

// An Exception says who need not follow a rule, until when, and why.
type Exception struct {
	Head
	For          For
	Scope        Scope
	Match        Text // CEL, a boolean, over the subject of its policies; empty is everything that For and Scope name
	VEX          *VEX // nil makes a finding accepted, not denied
	Reason       string
	Owner        string
	ApprovedBy   string
	ApproverTier string    // tier of who approved it: "guardrail", "org" or "team"; "" is "team"
	Starts       time.Time // zero is at once
	Expires      time.Time // first moment at which it no longer holds; required
}

// For names what an exception is from.
type For struct {
	Subject  Text // needed when Policies is empty and there is a Match
	Policies []Text
	Rules    []Text // ids; empty is all rules of Policies
	Place    Place
}

// VEX is what an exception says in OpenVEX's words
// (https://github.com/openvex/spec).
type VEX struct {
	Status        string // "not_affected", "affected", "fixed" or "under_investigation"
	Justification string // required when not affected, and Impact is empty
	Impact        string
	Place         Place
}

// A PolicyTest is examples of what policies decide.
type PolicyTest struct {
	Head
	Policies []Text // that are asked; empty is all
	Now      time.Time
	Cases    []Case
}

// A Case is one input and what must come of it.
type Case struct {
	Name    string
	Stage   Text
	Subject Text           // "" is that of the first of the test's policies
	Input   map[string]any // the variables of the subject: {v: {id: CVE-2024-3094}}
	Unknown []Text         // names of variables that are not known
	Lists   map[string][]string
	Now     time.Time // zero is the test's
	Want    Want
	Place   Place
}

// Want is what a case must give. Empty members are not compared.
type Want struct {
	Effect   *string           // "" is none
	Rules    map[string]string // by "policy/rule" or "rule": "match", "no" or "unknown"
	Messages []string          // texts that reasons must hold
	Excepted []string          // names of exceptions that must apply
	Place    Place
}

// A ValueList is a named list for conditions, as lists.NAME.
type ValueList struct {
	Head
	Values []Text
}
