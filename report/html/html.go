// SPDX-License-Identifier: Apache-2.0

// Package html writes a report as one HTML file that needs nothing else: no
// network, no font, no script for what matters. It knows layout, accessibility
// and what a browser could be talked into; it does not know how the file is
// served.
package html

import (
	"bufio"
	"crypto/sha256"
	_ "embed" // style, script and template
	"encoding/base64"
	"html/template"
	"io"
	"sync"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// A Format writes one page with every finding and package, row by row.
type Format struct{}

// Name gives "html".
func (Format) Name() string { return "html" }

var (
	//go:embed page.css
	style string
	//go:embed page.js
	script string
	//go:embed page.tmpl
	source string
	//go:embed assessment.css
	assessmentStyle string
	//go:embed assessment.tmpl
	assessmentSource string
)

var page = sync.OnceValues(func() (*template.Template, error) {
	t, err := template.New("page").Parse(source)
	if err != nil {
		return nil, err
	}
	return t.Parse(assessmentSource)
})

// prefix is everything before the body. The policy allows this style and this
// script by their hashes and nothing else: no connection, no image, no frame, no
// form, no base, no inline handler.
var prefix = sync.OnceValue(func() string { return before(style, script) })

// before gives what stands before a page's title. A page without a script says
// that none may run.
func before(style, script string) string {
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	scripts := "'none'"
	if script != "" {
		scripts = hash(script)
	}
	return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src ` + hash(style) + `; script-src ` + scripts + `; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<style>` + style + `</style>
`
}

// Write writes the page.
func (Format) Write(w io.Writer, r *bulwark.Report) error {
	t, err := page()
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 64<<10)
	p := &writer{t: t, w: out, v: view.New(r)}
	p.page()
	if p.err != nil {
		return p.err
	}
	return out.Flush()
}

type writer struct {
	t   *template.Template
	w   *bufio.Writer
	v   *view.View
	err error
}

func (p *writer) part(name string, data any) {
	if p.err == nil {
		p.err = p.t.ExecuteTemplate(p.w, name, data)
	}
}

func (p *writer) page() {
	p.w.WriteString(prefix())
	p.w.WriteString("<title>" + template.HTMLEscapeString(text.Cut(text.Clean(p.v.ArtifactName()), 120, "…")+": "+p.v.Verdict()) + "</title>\n</head>\n")
	s := p.summary()
	p.part("head", s)
	p.part("findings", s)
	for _, c := range view.Classes(p.v.Report) {
		for _, f := range p.v.Open(c) {
			p.part("finding", p.finding(f))
		}
	}
	p.part("findings-end", s)
	if closed := p.v.Closed(); len(closed) > 0 {
		p.part("closed", struct{ States string }{text.Clean(view.States(closed))})
		for _, f := range closed {
			p.part("closed-row", p.finding(f))
		}
		p.part("table-end", nil)
	}
	p.part("coverage", p.coverage())
	if n := len(p.v.Inventory.Packages); n > 0 {
		p.part("packages", text.Count(n))
		for i := range p.v.Inventory.Packages {
			p.part("package", p.pkg(&p.v.Inventory.Packages[i]))
		}
		p.part("packages-end", nil)
	}
	if len(p.v.Inventory.Layers) > 0 {
		p.part("layers", p.layers())
	}
	p.part("foot", p.foot())
	p.w.WriteString("<script>" + script + "</script>\n</body>\n</html>\n")
}

// A severity has a glyph and a word, so that its colour says nothing new.
type severity struct {
	N               int
	Word, Mark, Sep string
}

func severityOf(s bulwark.Severity) severity {
	if s < 0 || s > bulwark.SeverityCritical {
		s = bulwark.SeverityUnknown
	}
	return severity{N: int(s), Word: s.String(), Mark: [...]string{"?", "·", "▽", "◆", "▲", "✖"}[s]}
}

func severities() []severity {
	var list []severity
	for _, s := range bulwark.Severities() {
		list = append(list, severityOf(s))
	}
	for i := range list {
		list[i].Sep = ", "
	}
	list[len(list)-1].Sep = ". "
	return list
}

func clean(s string) string { return text.Clean(s) }

func cleanAll(list []string) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, clean(s))
	}
	return out
}

// cut bounds a string of the report; nobody reads more of one.
func cut(s string, width int) string { return text.Cut(clean(s), width, "…") }
