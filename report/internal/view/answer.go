// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
)

// A Caveat is one reason why the answer does not cover everything.
type Caveat struct {
	Loud bool   // whoever reads little must read this
	All  bool   // it touches the whole answer: say it at the top and at the bottom
	Text string // whole sentences
	Next string // what to do about it; "" when there is nothing
}

const update = "run bulwark db update"

// NoDatabase tells whether nothing was known about vulnerabilities at all.
func (v *View) NoDatabase() bool {
	d := &v.Database
	return !d.Starter && (d.AgeSeconds < 0 || d.Advisories <= 0)
}

// Caveats lists what the answer does not cover, gaps aside, most important first.
func (v *View) Caveats() []Caveat {
	var list []Caveat
	add := func(loud bool, next, format string, args ...any) {
		list = append(list, Caveat{Loud: loud, Next: next, Text: fmt.Sprintf(format, args...)})
	}
	d := &v.Database
	if v.Scan.Interrupted {
		add(true, "scan again; layers that were read are cached", "The scan was interrupted. This is a part of the answer.")
	}
	if d.Starter {
		add(true, update, "STARTER SET: only %s famous vulnerabilities were looked for. All others were not.", text.Count(d.Advisories))
	}
	if v.NoDatabase() {
		add(true, update, "NO DATABASE: known vulnerabilities were not looked for.")
	}
	if d.Stale {
		add(true, update, "STALE DATABASE: it is %s old. What was published since is not in it.", text.Age(d.AgeSeconds))
	}
	for i := range list {
		list[i].All = true
	}
	if len(d.Uncovered) > 0 {
		add(true, "", "No feed covers %s: %s not looked up.", list3(d.Uncovered),
			were(v.countIn(d.Uncovered), "package was", "packages were"))
	}
	if len(d.Unwatched) > 0 {
		asked := "were not looked up"
		if slices.Contains(d.Unwatched, "generic") { // products that the scanner names itself
			asked = "were looked up in Bulwark's own table of well-known flaws only"
		}
		add(false, "", "Nobody publishes advisories about %s: they are listed, and %s.", list3(d.Unwatched), asked)
	}
	if n := v.Hiding(); n > 0 {
		add(true, "", "%s may hide packages.", text.Plural(n, "gap", "gaps"))
	}
	if n := v.versionless(); n > 0 {
		add(false, "", "%s declared no version and could not be looked up.", text.Plural(n, "package", "packages"))
	}
	if v.Inventory.OS == nil && (v.Artifact.Kind == bulwark.KindImage || v.Artifact.Kind == bulwark.KindHost || v.Artifact.Kind == bulwark.KindVM) {
		add(false, "", "No operating system was recognised, so no distribution's advisories were asked.")
	}
	return list
}

func were(n int, one, many string) string { return text.Plural(n, one, many) }

// list3 names up to three things: "a, b, c and 4 others".
func list3(names []string) string {
	if len(names) > 3 {
		return strings.Join(names[:3], ", ") + " and " + text.Plural(len(names)-3, "other", "others")
	}
	return strings.Join(names, ", ")
}

func (v *View) countIn(ecosystems []string) int {
	in := map[string]bool{}
	for _, e := range ecosystems {
		in[e] = true
	}
	n := 0
	for i := range v.Inventory.Packages {
		if in[v.Inventory.Packages[i].Ecosystem] {
			n++
		}
	}
	return n
}

func (v *View) versionless() int {
	n := 0
	for i := range v.Inventory.Packages {
		if v.Inventory.Packages[i].Version == "" {
			n++
		}
	}
	return n
}

// Hiding counts the gaps that may hide packages.
func (v *View) Hiding() int {
	n := 0
	for _, g := range v.Inventory.Gaps {
		if g.Hides {
			n++
		}
	}
	return n
}

// Gaps gives the gaps, those that may hide packages first.
func (v *View) Gaps() []bulwark.Gap {
	list := slices.Clone(v.Inventory.Gaps)
	slices.SortStableFunc(list, func(a, b bulwark.Gap) int {
		hides := func(g bulwark.Gap) int {
			if g.Hides {
				return 0
			}
			return 1
		}
		return cmp.Compare(hides(a), hides(b))
	})
	return list
}

// GapWhere gives the place of a gap in words.
func (v *View) GapWhere(g bulwark.Gap) string {
	where := v.Where(bulwark.Location{Path: g.Path, Layer: g.Layer})
	if where == "" {
		return "whole artifact"
	}
	return where
}

// Nothing says what it means that no vulnerability is open: never more than was
// asked. It gives whole sentences.
func (v *View) Nothing() string {
	d, n := &v.Database, len(v.Inventory.Packages)
	closed := 0
	for i := range v.Findings {
		if f := &v.Findings[i]; f.Class == bulwark.ClassVulnerability && !f.Status.Open() {
			closed++
		}
	}
	var s string
	switch {
	case v.NoDatabase():
		return "Not looked for: there is no advisory database."
	case n == 0 && len(v.Inventory.Gaps) > 0:
		return "No package was found that could be looked up, and some of the artifact was not read."
	case n == 0:
		return "No package was found, so there was nothing to look up."
	case d.Starter:
		s = fmt.Sprintf("None of the %s famous vulnerabilities of the starter set. All others were not looked for.", text.Count(d.Advisories))
	case d.Stale:
		s = fmt.Sprintf("None that was known %s ago, when the database was built.", text.Age(d.AgeSeconds))
	case len(d.Uncovered) > 0 || v.versionless() > 0:
		s = fmt.Sprintf("None that the database knows in what it covers of %s.", text.Plural(n, "package", "packages"))
	default:
		s = fmt.Sprintf("None that the database knows for %s.", text.Plural(n, "package", "packages"))
	}
	if closed > 0 {
		s += " " + text.Plural(closed, "does not count and is listed below.", "do not count and are listed below.")
	}
	if len(d.Uncovered) > 0 {
		s += " Not asked: " + list3(d.Uncovered) + "."
	}
	if v.Hiding() > 0 {
		s += " Gaps may hide packages."
	}
	return s
}

// Verdict gives the answer in capitals: PASS, FAIL, NOT TRUSTWORTHY, NO VERDICT.
func (v *View) Verdict() string {
	switch v.Decision.Verdict {
	case bulwark.Pass:
		return "PASS"
	case bulwark.Fail:
		return "FAIL"
	case bulwark.Warn:
		return "NOT TRUSTWORTHY"
	}
	return "NO VERDICT"
}

// VerdictWords explains a verdict that has no reasons.
func (v *View) VerdictWords() string {
	switch v.Decision.Verdict {
	case bulwark.Pass:
		if x := v.Excepted(); x.Count > 0 {
			return "no rule of the gate objects to what is left"
		}
		return "no rule of the gate objects"
	case bulwark.Fail, bulwark.Warn:
		return "no reason is given"
	}
	return "nothing judged this report"
}

// ArtifactName gives what the artifact was asked for as, else its digest.
func (v *View) ArtifactName() string {
	return cmp.Or(v.Artifact.Name, v.Artifact.ID.Short(), "unnamed artifact")
}

// Identity gives what the artifact is, in parts: kind, digest, platform, system.
func (v *View) Identity() []string {
	a := &v.Artifact
	var parts []string
	add := func(s string) {
		if s != "" {
			parts = append(parts, s)
		}
	}
	add(kindName(a.Kind))
	if short := a.ID.Short(); short != "" {
		add("sha256:" + short)
		if !strings.HasPrefix(string(a.ID), "sha256:") {
			parts[len(parts)-1] = short
		}
	}
	add(a.Platform)
	if os := v.Inventory.OS; os != nil {
		add(cmp.Or(os.Name, strings.TrimSpace(os.ID+" "+os.Version)))
	} else {
		add("no operating system recognised")
	}
	return parts
}

func kindName(k bulwark.Kind) string {
	switch k {
	case bulwark.KindDir:
		return "directory"
	case bulwark.KindRepo:
		return "repository"
	case bulwark.KindSBOM:
		return "bill of materials"
	case bulwark.KindFunction:
		return "serverless function"
	case bulwark.KindVM:
		return "virtual machine"
	}
	return string(k)
}

// Effort gives what was read, in parts: layers, bytes, packages, time.
func (v *View) Effort() []string {
	var parts []string
	if n := v.Scan.Layers; n > 0 {
		s := text.Plural(n, "layer", "layers")
		if v.Scan.Cached > 0 {
			s += fmt.Sprintf(" (%s cached)", text.Count(v.Scan.Cached))
		}
		parts = append(parts, s)
	}
	var size int64
	for _, l := range v.Inventory.Layers {
		size += max(l.Size, 0)
	}
	if size > 0 {
		parts = append(parts, text.Bytes(size))
	}
	parts = append(parts, text.Plural(len(v.Inventory.Packages), "package", "packages"))
	if v.Scan.Bytes > 0 {
		parts = append(parts, text.Bytes(v.Scan.Bytes)+" read")
	}
	if v.Scan.DurationMS > 0 {
		parts = append(parts, text.Duration(v.Scan.DurationMS))
	}
	return parts
}

// DatabaseWords gives one line on what the matching knew.
func (v *View) DatabaseWords() string {
	d := &v.Database
	if v.NoDatabase() {
		return "none"
	}
	parts := []string{}
	if d.Starter {
		parts = append(parts, "embedded starter set")
	}
	if !d.Built.IsZero() {
		parts = append(parts, "built "+Day(d.Built))
	}
	if d.AgeSeconds >= 0 {
		parts = append(parts, text.Age(d.AgeSeconds)+" old")
	}
	parts = append(parts, text.Plural(d.Advisories, "advisory", "advisories"))
	if len(d.Feeds) > 0 {
		parts = append(parts, text.Plural(len(d.Feeds), "feed", "feeds"))
	}
	if short := d.ID.Short(); short != "" {
		parts = append(parts, "id "+short)
	}
	return strings.Join(parts, ", ")
}

// Reproduce gives the command that makes this report again, quoted for a shell;
// "" when the artifact has no name. Flags of the gate are not in a report.
func (v *View) Reproduce() string {
	a := &v.Artifact
	verb := string(a.Kind)
	switch a.Kind {
	case bulwark.KindImage, bulwark.KindDir, bulwark.KindRepo, bulwark.KindSBOM, bulwark.KindFunction, bulwark.KindVM:
	case bulwark.KindHost:
		return "bulwark scan host"
	default:
		return ""
	}
	name := a.Name
	if name == "" {
		return ""
	}
	if a.Kind == bulwark.KindImage && a.Source == "registry" && a.ID.Valid() && !strings.Contains(name, "@") {
		if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
			name = name[:i]
		}
		name += "@" + string(a.ID)
	}
	return "bulwark scan " + verb + " " + text.Quote(name)
}

// Day gives the date of t in UTC; "" for the zero time.
func Day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

// Minute gives the date and time of t in UTC; "" for the zero time.
func Minute(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// SBOMTime gives the time that goes into bills of materials: when the artifact
// was made, else the epoch, so that two scans of one artifact give one bill.
func SBOMTime(r *bulwark.Report) string {
	t := r.Artifact.Created.UTC()
	if t.IsZero() || t.Year() < 1970 || t.Year() > 9999 {
		t = time.Unix(0, 0).UTC()
	}
	return t.Format("2006-01-02T15:04:05Z")
}

// SBOMUUID gives the UUID that names bills of materials of r's artifact: version
// 8 of RFC 9562, made of a SHA-256 as version 5 is made of a SHA-1. One artifact
// always has the same.
func SBOMUUID(r *bulwark.Report) string {
	name := string(r.Artifact.ID)
	if name == "" {
		name = "\x00" + r.Artifact.Name
	}
	sum := sha256.Sum256([]byte("bulwark\x00sbom\x00" + string(r.Artifact.Kind) + "\x00" + name))
	sum[6] = sum[6]&0x0f | 0x80
	sum[8] = sum[8]&0x3f | 0x80
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
