// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check"
	"github.com/bulwark-sec/bulwark/extract"
	"github.com/bulwark-sec/bulwark/internal/limit"
)

// A plan says what is looked for, and within which limits. It is part of the key
// under which a layer's record is kept: another plan reads the layer again.
type plan struct {
	Packages bool         `json:"packages"`
	Secrets  bool         `json:"secrets"`
	Config   bool         `json:"config"`
	Malware  bool         `json:"malware"`
	Archives bool         `json:"archives"` // look into archives that lie in the tree
	Limits   limit.Limits `json:"limits"`
}

// parsers are the leaves that a plan asks for.
type parsers struct {
	extractors []extract.Extractor
	databases  []extract.Database
	checks     []check.Check
	archives   bool
	set        *check.Set // the checks' other half: configurations, rules, redaction
}

func (p plan) parsers(kind bulwark.Kind) parsers {
	var out parsers
	if p.Packages {
		out.extractors = extract.Extractors(kind)
		out.databases = extract.Databases(kind)
	}
	files := kind != bulwark.KindSBOM
	out.set = check.Load(check.Options{Secrets: files && p.Secrets, Images: files && p.Config && kind == bulwark.KindImage, Malware: files && p.Malware})
	out.checks = out.set.Checks
	out.archives = files && p.Archives
	return out
}

// hides tells whether packages stay hidden when the file cannot be read: a file
// that declares packages by its name alone, which executables do not.
func (p *parsers) hides(path string) bool {
	st := bulwark.Stat{Size: 1, Mode: 0o644}
	for _, d := range p.databases {
		if o, ok := d.(extract.Partial); d.Wants(path, st) && (!ok || !o.Optional(path)) {
			return true
		}
	}
	for _, e := range p.extractors {
		if _, headed := e.(extract.Headed); !headed && e.Wants(path, st) {
			return true
		}
	}
	return false
}

// wants tells whether any parser would look at the file, by name and Stat.
func (p *parsers) wants(path string, st bulwark.Stat) bool {
	for _, d := range p.databases {
		if d.Wants(path, st) {
			return true
		}
	}
	for _, e := range p.extractors {
		if e.Wants(path, st) {
			return true
		}
	}
	for _, c := range p.checks {
		if c.Wants(path, st) {
			return true
		}
	}
	return extract.IsRelease(path) || p.archives && isNested(path)
}

// key names the extractor set: which parsers, which limits, which build of them.
func (p plan) key(kind bulwark.Kind, build string, set *parsers) string {
	var names []string
	for _, x := range set.extractors {
		names = append(names, x.Name())
	}
	for _, x := range set.databases {
		names = append(names, x.Name())
	}
	for _, x := range set.checks {
		names = append(names, x.Name())
	}
	b, err := json.Marshal(struct {
		plan
		Parsers []string
	}{p, names})
	if err != nil {
		panic(err) // a struct of numbers and names
	}
	sum := sha256.Sum256(append([]byte(recordVersion+"\x00"+build+"\x00"+string(kind)+"\x00"), b...))
	return hex.EncodeToString(sum[:16])
}
