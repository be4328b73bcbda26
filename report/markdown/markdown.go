// SPDX-License-Identifier: Apache-2.0

// Package markdown writes a report as GitHub-flavoured Markdown
// (https://github.github.com/gfm/) that fits one comment on a pull request: the
// answer, what to do first, the findings, what the answer does not cover. It
// knows how to keep what others chose from acting as Markdown, HTML, mention or
// link; it does not post anything.
package markdown

import (
	"io"
	"strings"
	"unicode/utf8"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// A Format writes at most Limit bytes. What does not fit is counted where it is
// missing.
type Format struct {
	Limit int // bytes; 0 is 60,000, what GitHub takes in a comment less a reserve; at least 4,000
}

// Name gives "markdown".
func (Format) Name() string { return "markdown" }

const (
	// limit leaves room below the 65,536 characters of a comment for what a
	// workflow writes around the report.
	limit    = 60_000
	minLimit = 4_000
	// reserve is kept for what ends the report, bytes.
	reserve = 1_500

	// Widths of what is shown of names, columns.
	wideName, wideTitle, wideID = 60, 120, 40

	actions = 5
)

// Write writes the report.
func (f Format) Write(w io.Writer, r *bulwark.Report) error {
	p := &page{v: view.New(r), left: max(minLimit, f.Limit)}
	if f.Limit == 0 {
		p.left = limit
	}
	p.left -= reserve
	p.head()
	p.counts()
	p.actions()
	p.vulnerabilities()
	p.others()
	p.closed()
	p.gaps()
	p.left += reserve
	p.foot()
	_, err := io.WriteString(w, p.b.String())
	return err
}

type page struct {
	v    *view.View
	b    strings.Builder
	left int // bytes that may still be written
	cut  int // findings, actions and gaps that had no room
}

// add writes s if it fits.
func (p *page) add(s string) bool {
	if len(s) > p.left {
		return false
	}
	p.left -= len(s)
	p.b.WriteString(s)
	return true
}

// say writes s, or counts that it had no room.
func (p *page) say(s string) {
	if !p.add(s) {
		p.cut++
	}
}

// rows writes a title and a table as far as it fits, and says what it left out.
func (p *page) rows(title, header string, n int, row func(i int) string, fold bool) {
	if n == 0 {
		return
	}
	const tail = 120 // for the line that says what is missing
	open, end := "\n### "+title+"\n\n", ""
	if fold {
		open, end = "\n<details><summary>"+title+"</summary>\n\n", "\n</details>\n"
	}
	p.left -= len(end) + tail
	done := 0
	if p.add(open + header) {
		for ; done < n && p.add(row(done)); done++ {
		}
		p.left += tail
		if done < n {
			p.cut += n - done
			p.add("\n" + text.Count(n-done) + " more did not fit in here.\n")
		}
		p.left += len(end)
		p.add(end)
		return
	}
	p.left += len(end) + tail
	p.cut += n
}

func (p *page) head() {
	v := p.v
	mark := map[bulwark.Verdict]string{bulwark.Pass: "✅", bulwark.Fail: "❌", bulwark.Warn: "⚠️"}[v.Decision.Verdict]
	if mark == "" {
		mark = "❔"
	}
	p.say("## " + mark + " " + v.Verdict() + ": " + code(v.ArtifactName(), wideTitle) + "\n\n")
	var facts []string
	for _, s := range append(v.Identity(), v.Effort()...) {
		facts = append(facts, escape(s, wideTitle))
	}
	p.say(strings.Join(facts, " · ") + "\n\n")
	const most = 10
	list := v.Reasons()
	for i, x := range list {
		if i == most {
			p.say("- " + text.Plural(len(list)-most, "more reason", "more reasons") + "\n")
			break
		}
		p.say("- " + reason(&x) + "\n")
	}
	for i, x := range v.Decision.Errors {
		if i == most {
			break
		}
		p.say("- not evaluated: " + code(x.Rule, wideID) + " " + escape(x.Detail, 400) + "\n")
	}
	if len(list) == 0 {
		p.say("- " + v.VerdictWords() + "\n")
	}
	if x := v.Excepted(); x.Count > 0 {
		p.say("- " + escape(x.Words(), 400) + "\n")
	}
	for i, x := range v.Refused() {
		if i == most {
			break
		}
		p.say("- does not count: " + escape(x.Words(), 400) + "\n")
	}
	if why := v.Why(); why != "" {
		p.say("\nWhy: " + code(why, wideTitle) + "\n")
	}
	for _, c := range v.Caveats() {
		if c.Loud {
			s := "\n> **" + escape(c.Text, 400) + "**"
			if c.Next != "" {
				s += " " + escape(c.Next, 200) + "."
			}
			p.say(s + "\n")
		}
	}
}

// reason tells one rule's part in one line.
func reason(x *bulwark.Reason) string {
	s := code(x.Rule, wideID) + " " + escape(x.Detail, 400)
	if e := x.Effect.String(); e != "" {
		s = "**" + e + "** " + s
	}
	if aside := view.Aside(x); aside != "" {
		s += " (" + escape(aside, 200) + ")"
	}
	if x.Remedy != "" {
		s += " → " + escape(x.Remedy, 200)
	}
	if len(x.Controls) > 0 {
		s += " · " + escape(strings.Join(x.Controls, ", "), 200)
	}
	return s
}

// counts shows classes by severity.
func (p *page) counts() {
	p.say("\n| open findings |")
	for _, s := range bulwark.Severities() {
		p.say(" " + s.String() + " |")
	}
	p.say(" with a fix |\n|:--|" + strings.Repeat("--:|", len(bulwark.Severities())+1) + "\n")
	nothing := false
	for _, l := range p.v.Lines() {
		row := "| " + escape(l.Name, wideID) + " |"
		for _, s := range bulwark.Severities() {
			row += " " + count(l.Open[s]) + " |"
		}
		p.say(row + " " + count(l.Fixable) + " |\n")
		nothing = nothing || l.Class == bulwark.ClassVulnerability && l.Open.Total() == 0
	}
	if nothing {
		p.say("\nVulnerabilities: " + escape(p.v.Nothing(), 400) + "\n")
	}
}

func count(n int) string {
	if n == 0 {
		return "–"
	}
	return text.Count(n)
}

// actions shows what removes most risk.
func (p *page) actions() {
	list := p.v.Removals(actions)
	if len(list) == 0 {
		return
	}
	p.say("\n### Do this first\n\n")
	for i, a := range list {
		s := text.Count(i+1) + ". " + escape(a.Title, 200) + " – " + a.Words() + "\n"
		if a.Command != "" && len(a.Command) <= 1000 {
			s += "\n   " + code(a.Command, 1000) + "\n"
		}
		p.say(s)
	}
}

func (p *page) vulnerabilities() {
	list := p.v.Open(bulwark.ClassVulnerability)
	p.rows("Vulnerabilities: "+text.Count(len(list))+" open",
		"| severity | id | package | installed | fix | |\n|:--|:--|:--|:--|:--|:--|\n", len(list), func(i int) string {
			f := list[i]
			name, version := p.v.SubjectName(f)
			a := p.v.Advisory(f)
			title := escape(p.v.Title(f), wideTitle)
			if a.Exploited {
				title = "**known to be exploited** " + title
			}
			fix := "no fix"
			if f.Fix != "" {
				fix = code(f.Fix, wideName)
			}
			return "| " + f.Severity.String() + " | " + p.linked(f, a.References) + " | " + code(name, wideName) + " | " + code(version, wideName) + " | " + fix + " | " + title + " |\n"
		}, false)
}

// linked gives a finding's rule, with the first address that says more.
func (p *page) linked(f *bulwark.Finding, references []string) string {
	id := code(f.Rule, wideID)
	for _, u := range references {
		if u = text.HTTPS(u); u != "" && len(u) <= 200 {
			return "[" + id + "](" + strings.NewReplacer("(", "%28", ")", "%29", "*", "%2A", "_", "%5F", "~", "%7E").Replace(u) + ")"
		}
	}
	return id
}

// others shows every class but vulnerabilities.
func (p *page) others() {
	for _, c := range view.Classes(p.v.Report) {
		if c == bulwark.ClassVulnerability {
			continue
		}
		list := p.v.Open(c)
		name := escape(view.ClassName(c), wideID)
		_, first := utf8.DecodeRuneInString(name)
		name = strings.ToUpper(name[:first]) + name[first:]
		p.rows(name+": "+text.Count(len(list))+" open", "| severity | rule | where | |\n|:--|:--|:--|:--|\n", len(list), func(i int) string {
			f := list[i]
			e := p.v.Place(f)
			where := p.v.Where(e.Location)
			if where == "" && f.Subject != string(p.v.Artifact.ID) {
				where, _ = p.v.SubjectName(f)
			}
			title := escape(p.v.Title(f), wideTitle)
			if e.Detail != "" {
				title = strings.TrimSpace(title + " " + code(e.Detail, wideName))
			}
			if f.Fix != "" {
				title += " → " + escape(f.Fix, wideTitle)
			}
			return "| " + f.Severity.String() + " | " + p.linked(f, p.v.Rules[f.Rule].References) + " | " + code(where, wideTitle) + " | " + title + " |\n"
		}, false)
	}
}

// closed shows what does not count, and on whose word.
func (p *page) closed() {
	list := p.v.Closed()
	p.rows("Do not count: "+words(view.States(list)), "| state | id | subject | |\n|:--|:--|:--|:--|\n", len(list), func(i int) string {
		f := list[i]
		name, _ := p.v.SubjectName(f)
		return "| " + escape(view.StateName(f.Status.State), wideID) + " | " + code(f.Rule, wideID) + " | " + code(name, wideName) + " | " + escape(view.StatusWords(f.Status), wideTitle) + " |\n"
	}, true)
}

// gaps shows what was not read.
func (p *page) gaps() {
	list := p.v.Gaps()
	title := "What this answer does not cover: " + text.Plural(len(list), "gap", "gaps")
	if n := p.v.Hiding(); n > 0 {
		title += ", " + text.Count(n) + " may hide packages"
	}
	p.rows(title, "| kind | where | |\n|:--|:--|:--|\n", len(list), func(i int) string {
		g := list[i]
		kind := escape(g.Kind, wideID)
		if g.Hides {
			kind = "**" + kind + "**"
		}
		return "| " + kind + " | " + code(p.v.GapWhere(g), wideTitle) + " | " + escape(g.Detail, wideTitle) + " |\n"
	}, true)
}

// foot says what was known, what was cut, and how to get all of it.
func (p *page) foot() {
	if p.cut > 0 {
		p.say("\n**" + text.Plural(p.cut, "entry", "entries") + " did not fit in this text.** All are in the other forms, for example `-o json=FILE` or `-o html=FILE`.\n")
	}
	p.say("\n<sub>Database: " + escape(p.v.DatabaseWords(), 200) + " · " + escape(strings.TrimSpace(p.v.Tool.Name+" "+p.v.Tool.Version), wideName) + "</sub>\n")
	if again := p.v.Reproduce(); again != "" && len(again) < 400 {
		p.say("<sub>Again: " + code(again, 400) + "</sub>\n")
	}
}

// code gives s as a code span that fits a table: nothing in it is a link, a
// mention or markup. A bar is named, for a table splits at bars before it looks
// at code, and readers differ on what escapes them.
func code(s string, width int) string {
	s = text.Cut(text.Clean(s), width, "…")
	if s == "" {
		return "–"
	}
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	pad := ""
	if len(fence) > 1 || s[0] == ' ' || s[len(s)-1] == ' ' {
		pad = " " // one space on both sides is not shown
	}
	return fence + pad + strings.ReplaceAll(s, "|", `\x7c`) + pad + fence
}

// escape gives s as words: what would be markup has a backslash in front, and
// what would call a person or an issue stands in a code span.
func escape(s string, width int) string {
	s = text.Cut(text.Clean(s), width, "…")
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '@' || c == '#':
			b.WriteString("`" + string(c) + "`")
		case strings.IndexByte("\\`*_{}[]<>|~&!$^", c) >= 0,
			c == ':' && i+1 < len(s) && s[i+1] != ' ', // addresses and emoji
			c == '.' && i >= 3 && strings.EqualFold(s[i-3:i], "www"):
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// words keeps the letters, digits, spaces and commas of s: inside an HTML tag
// Markdown's escapes say nothing.
func words(s string) string {
	return text.Cut(strings.Map(func(r rune) rune {
		if r == ' ' || r == ',' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '?'
	}, s), wideTitle, "")
}
