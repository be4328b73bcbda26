// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

const (
	maxBuild = 1 << 20 // bytes of a build file; a person writes some kilobytes
	maxSteps = 10_000  // instructions of a build file
)

// A BuildCheck looks for the same faults in build files, before there is an
// image: Dockerfile, Containerfile, and their like. It is safe for concurrent
// use.
type BuildCheck struct{ c *Check }

// NewBuild reads the rules. An error is a fault in them, not in the caller.
func NewBuild() (*BuildCheck, error) {
	c, err := New()
	return &BuildCheck{c}, err
}

// Name gives "buildfile".
func (b *BuildCheck) Name() string { return "buildfile" }

// Rules lists every rule that a finding may name, by id.
func (b *BuildCheck) Rules() []bulwark.Rule { return b.c.Rules() }

// Wants tells whether the name is that of a build file: Dockerfile or
// Containerfile, alone or with a word after or before a dot.
func (b *BuildCheck) Wants(path string, st bulwark.Stat) bool {
	if !st.Mode.IsRegular() || st.Size == 0 || st.Size > maxBuild {
		return false
	}
	base := path[strings.LastIndexByte(path, '/')+1:]
	for _, name := range [...]string{"Dockerfile", "Containerfile"} {
		if i := len(base) - len(name); i >= 0 && strings.EqualFold(base[i:], name) && (i == 0 || base[i-1] == '.') ||
			len(base) > len(name) && strings.EqualFold(base[:len(name)], name) && base[len(name)] == '.' && !strings.HasSuffix(base, ".dockerignore") {
			return true
		}
	}
	return false
}

// An instruction is one of a build file.
type instruction struct {
	step
	line int // at which it begins, from 1
}

// Check gives one finding for each rule and file, with the lines as evidence.
// Values and commands are never repeated. A file that has no FROM is none.
func (b *BuildCheck) Check(ctx context.Context, f *bulwark.File) ([]bulwark.Finding, error) {
	data, err := f.Bytes(maxBuild)
	if err != nil {
		return nil, fmt.Errorf("build file: %w", err)
	}
	if bytes.IndexByte(data, 0) >= 0 {
		return nil, nil
	}
	steps, err := instructions(ctx, data)
	if err != nil {
		return nil, fmt.Errorf("build file %q: %w", f.Path, err)
	}
	if !slices.ContainsFunc(steps, func(i instruction) bool { return i.instruction == "FROM" }) {
		return nil, nil
	}
	w := builds{c: b.c, path: f.Path, at: max(1, f.Line) - 1, evidence: map[string][]bulwark.Evidence{}, stages: map[string]bool{}}
	for _, i := range steps {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("build file %q: %w", f.Path, err)
		}
		w.look(i)
	}
	w.end()
	var out []bulwark.Finding
	for _, r := range b.c.rules {
		if e := w.evidence[r.ID]; len(e) > 0 {
			out = append(out, b.c.finding(r.ID, f.Path, e...))
		}
	}
	return out, nil
}

// builds walks over the instructions of one file.
type builds struct {
	c        *Check
	path     string
	at       int // lines before the file's content
	evidence map[string][]bulwark.Evidence
	stages   map[string]bool // names of stages so far
	user     string          // of the last stage
	userAt   int             // its line, or that of FROM
	place    int             // of the instruction in its stage; 0 comes first after FROM
}

func (w *builds) note(id string, line int, detail string) {
	if len(w.evidence[id]) < maxEvidence {
		w.evidence[id] = append(w.evidence[id], bulwark.Evidence{Location: bulwark.Location{Path: w.path, Line: w.at + line}, Detail: detail})
	}
}

func (w *builds) look(i instruction) {
	defer func() { w.place++ }()
	switch i.instruction {
	case "FROM":
		w.from(i)
	case "USER":
		w.user, w.userAt = i.args, i.line
	case "ADD":
		if i.fetches() {
			w.note("BW-IMG-0004", i.line, "ADD")
		} else if !i.rootfs(w.place) {
			w.note("BW-IMG-0003", i.line, "ADD")
		}
	case "WORKDIR":
		if relative(i.args) {
			w.note("BW-IMG-0015", i.line, "WORKDIR")
		}
	case "ENV", "ARG":
		w.variables(i)
	case "EXPOSE":
		if p, ok := sshPort(strings.Fields(i.args)); ok {
			w.note("BW-IMG-0011", i.line, fmt.Sprintf("EXPOSE %q", p))
		}
	case "VOLUME":
		if v, ok := engineSocket(strings.FieldsFunc(i.args, func(r rune) bool { return strings.ContainsRune(`[]", `, r) })); ok {
			w.note("BW-IMG-0021", i.line, fmt.Sprintf("VOLUME %q", v))
		}
	case "RUN":
		for _, r := range w.c.rules {
			if r.run != nil && r.run.MatchString(i.args) && (r.unless == nil || !r.unless.MatchString(i.args)) {
				w.note(r.ID, i.line, "RUN")
			}
		}
	}
}

// from begins a stage. A base that is a stage of this file, empty, or a variable
// has no tag to pin.
func (w *builds) from(i instruction) {
	words := slices.DeleteFunc(strings.Fields(i.args), func(s string) bool { return strings.HasPrefix(s, "--") })
	w.user, w.userAt, w.place = "", i.line, -1
	if len(words) == 0 {
		return
	}
	name := words[0]
	stage := w.stages[strings.ToLower(name)]
	if len(words) == 3 && strings.EqualFold(words[1], "AS") {
		w.stages[strings.ToLower(words[2])] = true
	}
	if stage || name == "scratch" || strings.ContainsRune(name, '$') || strings.Contains(name, "@sha") {
		return
	}
	switch tag := tagOf(name); tag {
	case "", "latest":
		w.note("BW-IMG-0007", i.line, fmt.Sprintf("base %q is the tag latest", name))
	default:
		w.note("BW-IMG-0007", i.line, fmt.Sprintf("base %q has no digest", name))
	}
}

// variables looks for secrets among the names that ENV and ARG set.
func (w *builds) variables(i instruction) {
	words := strings.Fields(i.args)
	if i.instruction == "ENV" && len(words) > 1 && !strings.Contains(words[0], "=") {
		words = []string{words[0] + "=" + strings.Join(words[1:], " ")} // the old form
	}
	for _, word := range words {
		name, value, ok := strings.Cut(word, "=")
		if value = strings.Trim(value, `"'`); ok && secretEnv(name, value) {
			w.note("BW-IMG-0005", i.line, fmt.Sprintf("%s %q is set to %d characters", i.instruction, name, len(value)))
		}
	}
}

// end judges the last stage, which is the image. One that goes on from another
// stage, or from a base with a user of its own, may have a user already: only
// who names root is told so.
func (w *builds) end() {
	if w.user == "" {
		return
	}
	if who, ok := rootUser(w.user); ok {
		w.note("BW-IMG-0001", w.userAt, "the last stage ends with "+who)
	}
}

// instructions reads a build file: lines joined at the escape character, comments
// and blank lines left out, here-documents as part of the instruction that opens
// them (https://docs.docker.com/reference/dockerfile/).
func instructions(ctx context.Context, data []byte) ([]instruction, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	escape, directives := `\`, true
	var out []instruction
	var text strings.Builder
	begin, number := 0, 0
	var ends []string // words that end the here-documents that are open
	flush := func() {
		if s := strings.TrimSpace(text.String()); s != "" && len(out) < maxSteps {
			word, args, _ := cutSpace(s)
			out = append(out, instruction{step{strings.ToUpper(word), strings.TrimSpace(args[:min(len(args), maxStep)])}, begin})
		}
		text.Reset()
	}
	for raw := range bytes.Lines(data) {
		number++
		if number%1000 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		line := strings.TrimRight(string(raw), "\r\n")
		trimmed := strings.TrimSpace(line)
		if len(ends) > 0 {
			if strings.TrimLeft(trimmed, "\t") == ends[0] {
				if ends = ends[1:]; len(ends) == 0 {
					flush()
				}
				continue
			}
			text.WriteString("\n" + line)
			continue
		}
		if strings.HasPrefix(trimmed, "#") {
			if key, value, ok := strings.Cut(trimmed[1:], "="); directives && ok && strings.EqualFold(strings.TrimSpace(key), "escape") && strings.TrimSpace(value) == "`" {
				escape = "`"
			}
			continue
		}
		directives = false
		if trimmed == "" {
			continue
		}
		if text.Len() == 0 {
			begin = number
		}
		rest, more := strings.CutSuffix(strings.TrimRight(line, " \t"), escape)
		if text.WriteString(cmp.Or(rest, " ")); more {
			text.WriteByte(' ')
			continue
		}
		if ends = heredocs(text.String()); len(ends) == 0 {
			flush()
		}
	}
	flush()
	return out, nil
}

// maxHeredocs bounds the here-documents of one instruction.
const maxHeredocs = 16

// heredocs gives the words that end the here-documents that an instruction opens.
func heredocs(s string) []string {
	word, rest, _ := cutSpace(strings.TrimSpace(s))
	switch strings.ToUpper(word) {
	case "RUN", "COPY", "ADD":
	default:
		return nil
	}
	var out []string
	for word := range strings.FieldsSeq(rest) {
		word, ok := strings.CutPrefix(strings.TrimLeft(word, "0123456789"), "<<")
		if !ok || len(out) == maxHeredocs {
			continue
		}
		word = strings.TrimLeft(strings.TrimPrefix(word, "-"), `"'`)
		n := 0
		for n < len(word) && (word[n] == '_' || word[n]|0x20 >= 'a' && word[n]|0x20 <= 'z' || n > 0 && word[n] >= '0' && word[n] <= '9') {
			n++
		}
		if n > 0 {
			out = append(out, word[:n])
		}
	}
	return out
}

// cutSpace cuts at the first blank.
func cutSpace(s string) (word, rest string, ok bool) {
	if i := strings.IndexAny(s, " \t\n"); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}
