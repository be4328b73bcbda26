// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"cmp"
	"crypto/md5"  //nolint:gosec // lists of malware know files by it
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

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
	Licenses bool         `json:"licenses,omitempty"`
	Archives bool         `json:"archives"` // look into archives that lie in the tree
	Limits   limit.Limits `json:"limits"`

	Rules string `json:"rules,omitempty"` // digest of further rules for malware
	MD5   bool   `json:"md5,omitempty"`   // digests beside SHA-256
	SHA1  bool   `json:"sha1,omitempty"`
	Clamd string `json:"clamd,omitempty"` // version of the daemon that is asked, and of its signatures; "" asks none

	Verify bool `json:"verify,omitempty"` // secrets are told in clear to the parent, which keeps nothing of such a scan

	Jars bulwark.Digest `json:"jars,omitempty"` // of the table of archives; "" when there is none

	rules [][]byte // not sent in commands: the child reads them from a file
}

// plan gives what the scanner looks for.
func (s *Scanner) plan() plan {
	p := plan{Packages: true, Secrets: s.Secrets, Config: s.Config, Malware: s.Malware, Licenses: s.Licenses, Archives: s.Archives, Limits: s.Limits.Or(limit.Default())}
	p.Verify = s.Live != nil && s.Secrets
	if s.Jars != nil {
		p.Jars = s.Jars.digest
	}
	if !s.Malware {
		return p
	}
	if s.Hashes != nil {
		p.MD5, p.SHA1 = s.Hashes.Has(md5.Size), s.Hashes.Has(sha1.Size)
	}
	if s.Clamd != nil {
		p.Clamd = cmp.Or(s.Daemon, "unknown")
	}
	if p.rules = s.Rules; len(p.rules) > 0 {
		h := sha256.New()
		for _, b := range p.rules {
			fmt.Fprintf(h, "%d\n", len(b))
			h.Write(b)
		}
		p.Rules = hex.EncodeToString(h.Sum(nil))
	}
	return p
}

// store gives where the records of layers are kept.
func (s *Scanner) store(kind bulwark.Kind, set *parsers) recordStore {
	return recordStore{s.Cache, s.plan().key(kind, cmp.Or(s.Build, s.Tool.Version), set)}
}

// parsers are the leaves that a plan asks for.
type parsers struct {
	extractors []extract.Extractor
	databases  []extract.Database
	checks     []check.Check
	archives   bool
	comments   bool       // that ask to overlook findings are read
	walked     bool       // the stream can be one of ours, of a directory
	set        *check.Set // the checks' other half: configurations, rules, redaction
}

func (p plan) parsers(kind bulwark.Kind, known extract.Known) parsers {
	var out parsers
	if p.Packages {
		out.extractors = extract.Extractors(kind, known)
		out.databases = extract.Databases(kind)
	}
	files := kind != bulwark.KindSBOM
	out.set = check.Load(check.Options{
		Secrets: files && p.Secrets, Images: files && p.Config && kind == bulwark.KindImage, Malware: files && p.Malware,
		Builds: p.Config && (kind == bulwark.KindDir || kind == bulwark.KindRepo), Texts: files && p.Licenses,
		Rules: p.rules, MD5: p.MD5, SHA1: p.SHA1,
	})
	out.checks = out.set.Checks
	out.archives, out.comments = files && p.Archives, files
	out.walked = kind == bulwark.KindDir || kind == bulwark.KindHost || kind == bulwark.KindRepo
	return out
}

// faults gives why checks look at nothing.
func (p *parsers) faults() []error {
	if p.set == nil {
		return nil
	}
	return p.set.Faults()
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

// beginning tells how much of a file that is too large is worth reading.
func (p *parsers) beginning(path string, st bulwark.Stat) int64 {
	for _, e := range p.extractors {
		if isPrefixed(e) && e.Wants(path, st) {
			return maxPrefix
		}
	}
	return 0
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
	p.Verify = false // what a layer holds is the same
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
