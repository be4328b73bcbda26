// SPDX-License-Identifier: Apache-2.0

package bulwark

import (
	"fmt"
	"time"
)

// A Verdict is an answer to one question. The zero Verdict decides nothing.
type Verdict string

// The verdicts of a scan, best first.
const (
	Undecided Verdict = ""
	Pass      Verdict = "pass"
	Warn      Verdict = "warn" // passed, but the answer is not trustworthy
	Fail      Verdict = "fail"
)

// A Stage is a moment at which something is decided. The zero Stage is unknown.
type Stage string

// The stages, in the order in which software meets them.
const (
	StageBuild    Stage = "build"    // a scan by a developer or in a pipeline
	StageRegistry Stage = "registry" // what a registry holds
	StageAdmit    Stage = "admit"    // a request to run it
	StageRun      Stage = "run"      // it runs
)

// Stages lists every stage, in order.
func Stages() []Stage { return []Stage{StageBuild, StageRegistry, StageAdmit, StageRun} }

// An Effect is what a policy does to what its rule matched. Effects are ordered,
// mildest first. The zero Effect decides nothing.
type Effect int

// The effects. From EffectFail on something is refused.
const (
	EffectNone       Effect = iota
	EffectAllow             // ends an ordered policy; overrides nothing
	EffectIgnore            // is recorded, no more
	EffectAlert             // somebody is told
	EffectWarn              // whoever asks is told, too
	EffectFail              // the build fails
	EffectBlock             // the request is denied
	EffectPrevent           // the system call or connection does not happen
	EffectKill              // the process ends
	EffectQuarantine        // the workload is cut off from the network
	EffectIsolate           // the machine is
)

var effectNames = [...]string{"", "allow", "ignore", "alert", "warn", "fail", "block", "prevent", "kill", "quarantine", "isolate"}

// Refuses tells whether something does not come to pass because of e.
func (e Effect) Refuses() bool { return e >= EffectFail }

// ParseEffect reads the name of an effect. Anything else is [ErrUsage].
func ParseEffect(s string) (Effect, error) {
	for i, n := range effectNames {
		if n == s && n != "" {
			return Effect(i), nil
		}
	}
	return EffectNone, fmt.Errorf("effect %q: %w", s, ErrUsage)
}

// String gives the name; "" is none.
func (e Effect) String() string {
	if e < 0 || int(e) >= len(effectNames) {
		return ""
	}
	return effectNames[e]
}

// MarshalText writes the name.
func (e Effect) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads what MarshalText wrote; "" is none.
func (e *Effect) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*e = EffectNone
		return nil
	}
	*e, err = ParseEffect(string(b))
	return err
}

// A Decision is a policy's answer, and why. The zero Decision decides nothing.
type Decision struct {
	ID      string   `json:"id,omitempty"` // 16 hexadecimal digits of input, policy and time; "" where nothing was judged
	Verdict Verdict  `json:"verdict"`
	Effect  Effect   `json:"effect,omitzero"` // the strictest of all rules
	Stage   Stage    `json:"stage,omitempty"`
	Reasons []Reason `json:"reasons,omitempty"` // every rule that fired, not the first
	Errors  []Reason `json:"errors,omitempty"`  // what could not be evaluated
	Policy  Digest   `json:"policy,omitempty"`  // of the exact set of policies that answered

	Exceptions []Considered `json:"exceptions,omitempty"` // every exception from a rule that fired
	Input      Digest       `json:"input,omitempty"`      // of what was judged
	Now        time.Time    `json:"now,omitzero"`         // the time that rules saw
}

// A Reason is one rule's part in a decision.
type Reason struct {
	Rule     string   `json:"rule"`               // "fail-on/high", "database/stale"
	Detail   string   `json:"detail"`             // one sentence for a person
	Findings []string `json:"findings,omitempty"` // ids of the findings it rests on, sorted
	Count    int      `json:"count,omitempty"`    // how many, where Findings is cut

	Effect   Effect    `json:"effect,omitzero"`    // what came of it
	Wanted   Effect    `json:"wanted,omitzero"`    // what the rule asks for, where that is more
	Held     string    `json:"held,omitempty"`     // why it is not what was wanted, in words
	Until    time.Time `json:"until,omitzero"`     // when that ends
	Severity Severity  `json:"severity,omitempty"` // as the rule has it
	Remedy   string    `json:"remedy,omitempty"`   // what to do
	Controls []string  `json:"controls,omitempty"` // "pci-4.0/6.3.3"
}

// A Considered is an exception that was asked about a rule that fired.
type Considered struct {
	Name     string   `json:"name"`               // of the exception
	Rule     string   `json:"rule"`               // "prod-vuln-gate/kev"
	About    bool     `json:"about,omitempty"`    // what the rule fired on is what it is about
	Applied  bool     `json:"applied,omitempty"`  // it counts
	Why      string   `json:"why"`                // it applied, or not, in words
	Findings []string `json:"findings,omitempty"` // ids, sorted
	Count    int      `json:"count,omitempty"`    // how many, where Findings is cut
}
