// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"

	"gopkg.in/yaml.v3" // rules; its nodes let an example be a string or a mapping

	"github.com/bulwark-sec/bulwark"
)

//go:embed rules/*.yaml
var ruleFiles embed.FS

// A ruleFile is one file of rules/.
type ruleFile struct {
	Rules []*rule  `yaml:"rules"`
	Drop  []string `yaml:"drop"` // ids of the gitleaks module that are not used
	Tune  []tuning `yaml:"tune"` // what the gitleaks module does not say about its rules
}

// A tuning adds to rules of the gitleaks module.
type tuning struct {
	IDs      []string         `yaml:"ids"`
	Title    string           `yaml:"title"`
	Severity bulwark.Severity `yaml:"severity"`
	Validate string           `yaml:"validate"`
	Entropy  float64          `yaml:"entropy"`
	Fix      string           `yaml:"fix"`
	Keywords []string         `yaml:"keywords"` // in place of the module's
	Near     []string         `yaml:"near"`     // see rule
	Files    []string         `yaml:"files"`    // in place of the module's expression for paths
	Public   bool             `yaml:"public"`   // see rule
}

// A rule finds one kind of secret.
type rule struct {
	ID          string           `yaml:"id"` // without "secret/"
	Title       string           `yaml:"title"`
	Description string           `yaml:"description"`
	Severity    bulwark.Severity `yaml:"severity"`
	Fix         string           `yaml:"fix"`
	References  []string         `yaml:"references"`

	Regex    string   `yaml:"regex"`    // RE2; the secret is Group, or the first group that took part
	Group    int      `yaml:"group"`    //
	Keywords []string `yaml:"keywords"` // lower case; one of them is in every match
	Files    []string `yaml:"files"`    // base names or ends of paths, with path.Match's wild cards; empty is every file
	Entropy  float64  `yaml:"entropy"`  // bits per byte that the secret must exceed
	Validate string   `yaml:"validate"` // name of a judge
	Find     string   `yaml:"find"`     // name of a finder, in place of Regex
	Back     int      `yaml:"back"`     // bytes before a keyword that a match may need
	Ahead    int      `yaml:"ahead"`    // bytes after it that a match may need
	Weak     bool     `yaml:"weak"`     // the secret has no form of its own, so that in installed code it is suppressed

	Generic bool     `yaml:"generic"` // any other rule that takes the same bytes knows more
	Whole   bool     `yaml:"whole"`   // look at the whole file, which Files must name; no keywords
	Near    []string `yaml:"near"`    // one of them stands within Ahead bytes of a keyword; a cheap look before the expression
	Public  bool     `yaml:"public"`  // programs are published with such secrets in them, so that in those that are installed it is suppressed

	True  []example `yaml:"true"`
	False []example `yaml:"false"`

	own    bool // ours, which wins over the module's for the same bytes
	path   *lazy
	regex  *lazy
	allow  []allowlist
	leads  []lead
	value  []lead // what an assigned value begins with; nil when anything may come
	near   [][]byte
	assign bool   // the keyword must be followed by an assignment
	prefix string // what every match begins with, and so no secret
	judge  judge
	finder finder
}

// An example is a text in which a rule must or must not find something. The
// character ¦ is taken out first: it keeps examples from being secrets
// themselves.
type example struct {
	Path string `yaml:"path"`
	Text string `yaml:"text"`
}

// UnmarshalYAML accepts a bare string for the text.
func (e *example) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		e.Text = n.Value
		return nil
	}
	type plain example
	return n.Decode((*plain)(e))
}

// An allowlist says which matches of a rule are none.
type allowlist struct {
	all    bool   // every kind of criterion must hold, not one
	target string // what regex looks at: "match", "line" or "" for the secret
	path   *lazy
	regex  *lazy
	stop   []string // in lower case
}

// A lazy is an expression that is compiled when it is first needed.
type lazy struct {
	src  string
	once sync.Once
	re   *regexp.Regexp
}

// newLazy checks the expression without compiling it; "" gives nil.
func newLazy(src string) (*lazy, *syntax.Regexp, error) {
	if src == "" {
		return nil, nil, nil
	}
	tree, err := syntax.Parse(src, syntax.Perl)
	if err != nil {
		return nil, nil, err
	}
	return &lazy{src: src}, tree, nil
}

// get compiles at the first call.
func (l *lazy) get() *regexp.Regexp {
	l.once.Do(func() {
		l.re = regexp.MustCompile(l.src) // newLazy has parsed it, and a parsed expression compiles
	})
	return l.re
}

func (l *lazy) match(b []byte) bool       { return l != nil && l.get().Match(b) }
func (l *lazy) matchString(s string) bool { return l != nil && l.get().MatchString(s) }

// either joins expressions into one.
func either(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return "(?:" + strings.Join(list, ")|(?:") + ")"
}

// withoutExamples leaves out the examples of rules, which are two thirds of the
// text and only for tests: in a rule, everything below a line "true:" or
// "false:" that is further in, or on that line itself.
func withoutExamples(b []byte) []byte {
	out := make([]byte, 0, len(b))
	skip := false
	for line := range bytes.Lines(b) {
		in := len(line) - len(bytes.TrimLeft(line, " "))
		if blank := len(bytes.TrimSpace(line)) == 0; !blank && in <= 4 {
			skip = bytes.HasPrefix(line, []byte("    true:")) || bytes.HasPrefix(line, []byte("    false:"))
		}
		if !skip {
			out = append(out, line...)
		}
	}
	return out
}

// readRules reads every file of fsys, strictly, with or without examples.
func readRules(fsys fs.FS, examples bool) (ruleFile, error) {
	var all ruleFile
	names, err := fs.Glob(fsys, "rules/*.yaml")
	if err != nil {
		return all, err
	}
	for _, name := range names {
		b, err := fs.ReadFile(fsys, name)
		if err != nil {
			return all, err
		}
		if !examples {
			b = withoutExamples(b)
		}
		d := yaml.NewDecoder(bytes.NewReader(b))
		d.KnownFields(true)
		var one ruleFile
		if err := d.Decode(&one); err != nil && !errors.Is(err, io.EOF) {
			return all, fmt.Errorf("read %q: %w", name, err)
		}
		all.Rules = append(all.Rules, one.Rules...)
		all.Drop = append(all.Drop, one.Drop...)
		all.Tune = append(all.Tune, one.Tune...)
	}
	for _, r := range all.Rules {
		r.own = true
	}
	return all, nil
}

// prepare makes a rule ready for scanning.
func (r *rule) prepare() error {
	if r.ID == "" || r.Title == "" || r.Severity == bulwark.SeverityUnknown {
		return fmt.Errorf("rule %q: id, title and severity are needed: %w", r.ID, bulwark.ErrUsage)
	}
	for i, k := range r.Keywords {
		r.Keywords[i] = strings.ToLower(k)
	}
	for _, p := range r.Files {
		if _, err := path.Match(p, ""); err != nil {
			return fmt.Errorf("rule %q: %q: %w", r.ID, p, err)
		}
	}
	var ok bool
	if r.judge, ok = judgeNamed(r.Validate); !ok {
		return fmt.Errorf("rule %q: no judge %q: %w", r.ID, r.Validate, bulwark.ErrUsage)
	}
	if r.Find != "" {
		if r.finder, ok = finderNamed(r.Find); !ok {
			return fmt.Errorf("rule %q: no finder %q: %w", r.ID, r.Find, bulwark.ErrUsage)
		}
		return nil
	}
	for _, n := range r.Near {
		r.near = append(r.near, []byte(n))
	}
	lz, tree, err := newLazy(trimName(r.Regex))
	if err != nil || lz == nil {
		return fmt.Errorf("rule %q: expression: %w", r.ID, errors.Join(err, bulwark.ErrUsage))
	}
	r.regex = lz
	if r.assign = strings.Contains(r.Regex, assignment) && tree.Op != syntax.OpAlternate; r.assign {
		r.Back, r.Ahead = 16, 320
		for _, k := range r.Keywords {
			if !r.named(k) { // it is in the value, after the name
				r.Back = 128
			}
		}
		r.value = valueLeads(r.Regex)
	} else {
		r.leads = r.usable(leads(tree))
	}
	if r.Whole {
		if !r.limited() {
			return fmt.Errorf("rule %q: whole needs files: %w", r.ID, bulwark.ErrUsage)
		}
		r.leads, r.prefix = nil, fixed(r.leads)
		return nil
	}
	if r.leads == nil && len(r.Keywords) == 0 {
		return fmt.Errorf("rule %q: needs keywords: %w", r.ID, bulwark.ErrUsage)
	}
	r.prefix = fixed(r.leads)
	if r.leads != nil {
		r.Back = max(r.Back, 2)
	} else if r.Back == 0 {
		r.Back = 256
	}
	if r.Ahead == 0 {
		r.Ahead = 512
		if n := longest(tree); r.leads != nil && n >= 0 {
			r.Ahead = n + 4
		}
	}
	return nil
}

// named tells whether keyword is the name in an assignment.
func (r *rule) named(keyword string) bool {
	name, _, _ := strings.Cut(strings.ToLower(r.Regex), assignment)
	return r.assign && strings.Contains(name, keyword[:min(4, len(keyword))])
}

// usable gives ls when they tell more than the keywords do: when their bytes
// hold one of them, and are few enough for the filter.
func (r *rule) usable(ls []lead) []lead {
	for i := range ls {
		if ls[i].place, ls[i].grams = gramsOf(ls[i].seq); ls[i].grams[0] == nil {
			return nil
		}
	}
	least := 0
	for _, k := range r.Keywords {
		if least == 0 || len(k) < least {
			least = len(k)
		}
		for _, l := range ls {
			if l.admits(k) {
				return ls
			}
		}
	}
	if least >= 5 {
		return nil
	}
	return ls
}

// limited tells whether the rule looks at some files only.
func (r *rule) limited() bool { return r.path != nil || len(r.Files) > 0 }
