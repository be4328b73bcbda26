// SPDX-License-Identifier: Apache-2.0

package bulwark

// A Verdict is an answer to one question. The zero Verdict decides nothing.
type Verdict string

// The verdicts of a scan, best first.
const (
	Undecided Verdict = ""
	Pass      Verdict = "pass"
	Warn      Verdict = "warn" // passed, but the answer is not trustworthy
	Fail      Verdict = "fail"
)

// A Decision is a policy's answer, and why. The zero Decision decides nothing.
type Decision struct {
	Verdict Verdict  `json:"verdict"`
	Reasons []Reason `json:"reasons,omitempty"` // every rule that fired, not the first
	Errors  []Reason `json:"errors,omitempty"`  // what could not be evaluated
	Policy  Digest   `json:"policy,omitempty"`  // of the exact policy that answered
}

// A Reason is one rule's part in a decision.
type Reason struct {
	Rule     string   `json:"rule"`               // "fail-on/high", "database/stale"
	Detail   string   `json:"detail"`             // one sentence for a person
	Findings []string `json:"findings,omitempty"` // ids of the findings it rests on, sorted
	Count    int      `json:"count,omitempty"`    // how many, where Findings is cut
}
