// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/attest"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/policy/document"
)

const exceptionImportLong = `Make Exception documents of the statements of VEX documents (OpenVEX, CSAF 2.0,
CycloneDX) that say "not affected" or "fixed". Of two statements about the same
vulnerability and product the newer one counts. What cannot be said as an
exception is told, and then the exit code is 3: products that have neither a
package URL nor a digest, packages within packages, versions of source packages.
Statements that say "affected" or "under investigation" except nothing.

Who only wants to hear a vendor needs no exceptions: scan --vex reads the same
documents. An exception has an owner and an end, and is reviewed.`

// defaultLife is how long an imported exception holds: a year, after which somebody
// looks whether the statement is still true.
const defaultLife = 365 * 24 * time.Hour

// maxClauses bounds the products of one exception: more are another document.
const maxClauses = 40

// An importing turns statements into exceptions.
type importing struct {
	owner, expires string
	policies       []string

	names    map[string]bool
	out      []exceptionYAML
	lost     []string // what could not be said
	statuses int      // statements that except nothing
	older    int      // products that a newer statement is about
}

// exceptionYAML is an Exception document as it is written.
type exceptionYAML struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   metaYAML `yaml:"metadata"`
	Spec       specYAML `yaml:"spec"`
}

type metaYAML struct {
	Name        string `yaml:"name"`
	Description string `yaml:"description"`
}

type specYAML struct {
	For     forYAML `yaml:"for"`
	Match   string  `yaml:"match"`
	VEX     vexYAML `yaml:"vex"`
	Reason  string  `yaml:"reason"`
	Owner   string  `yaml:"owner"`
	Expires string  `yaml:"expires"`
}

type forYAML struct {
	Subject  string   `yaml:"subject,omitempty"`
	Policies []string `yaml:"policies,omitempty,flow"`
}

type vexYAML struct {
	Status        string `yaml:"status"`
	Justification string `yaml:"justification,omitempty"`
	Impact        string `yaml:"impact,omitempty"`
}

func (p *program) exceptionImport() *cobra.Command {
	var im importing
	var out string
	c := &cobra.Command{
		Use: "import FILE...", Short: "Make exceptions of VEX documents: OpenVEX, CSAF, CycloneDX", Long: exceptionImportLong,
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			end, err := lastDayOf(im.expires, p.now())
			if err != nil {
				return err
			}
			im.expires = end
			var docs []attest.Document
			for _, name := range args {
				b, err := readFile(name)
				if err != nil {
					return err
				}
				d, err := attest.ParseVEX(name, b)
				if err != nil {
					return err
				}
				if im.owner == "" && strings.TrimSpace(d.Author) == "" {
					return &bulwark.Hint{Err: fmt.Errorf("%q names no author: %w", name, bulwark.ErrUsage), Next: "say --owner, who answers for the exceptions"}
				}
				docs = append(docs, d)
			}
			im.documents(docs)
			for _, l := range im.lost {
				fmt.Fprintf(p.stderr, "bulwark: left out: %s\n", oneLine(l, 500))
				p.verdict = bulwark.Warn
			}
			fmt.Fprintf(p.stderr, "bulwark: %d exceptions; %d statements say affected or under investigation and except nothing, %d products are in a newer statement\n", len(im.out), im.statuses, im.older)
			if len(im.out) == 0 {
				return nil
			}
			text, err := im.text()
			if err != nil {
				return err
			}
			if out == "" || out == "-" {
				_, err = p.stdout.Write(text)
				return err
			}
			return writeFile(out, func(w io.Writer) error { _, err := w.Write(text); return err })
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVarP(&out, "output", "o", "", "file to write (default standard output)")
	f.StringVar(&im.owner, "owner", "", "who answers for the exceptions (default the author of the document)")
	f.StringVar(&im.expires, "expires", "", "their last day, as 2027-01-31, or a time from now, as 90d (default 365d)")
	f.StringSliceVar(&im.policies, "policies", nil, "names of the policies that they are from (default every policy about vulnerabilities)")
	return c
}

// lastDayOf gives a day that was typed, or that is so far from now.
func lastDayOf(s string, now time.Time) (string, error) {
	if s == "" {
		return now.UTC().Add(defaultLife).Format(time.DateOnly), nil
	}
	if _, err := time.Parse(time.DateOnly, s); err == nil {
		return s, nil
	}
	d, err := days(s)
	if err != nil {
		return "", fmt.Errorf("--expires %q: a day like 2027-01-31, or a time like 90d is wanted: %w", s, bulwark.ErrUsage)
	}
	return now.UTC().Add(d).Format(time.DateOnly), nil
}

// stated is one statement with its products as conditions.
type stated struct {
	doc     *attest.Document
	s       *attest.Statement
	names   []string // of the vulnerability
	clauses []string
	index   int
}

func (im *importing) lose(doc *attest.Document, s *attest.Statement, format string, args ...any) {
	if len(im.lost) < 1000 {
		im.lost = append(im.lost, fmt.Sprintf("%s: %s: ", doc.Name, cmp.Or(s.Vulnerability, s.ID))+fmt.Sprintf(format, args...))
	}
}

func (im *importing) documents(docs []attest.Document) {
	im.names = map[string]bool{}
	var all []*stated
	latest := map[string]*stated{} // by vulnerability and product
	for i := range docs {
		for k := range docs[i].Statements {
			x := &stated{doc: &docs[i], s: &docs[i].Statements[k], index: len(all)}
			if !im.read(x) {
				continue
			}
			all = append(all, x)
			for _, n := range x.names {
				for _, c := range x.clauses {
					key := strings.ToUpper(n) + "\x00" + c
					if old := latest[key]; old == nil || x.newer(old) {
						latest[key] = x
					}
				}
			}
		}
	}
	for _, x := range all {
		if !closes(x.s) {
			im.statuses++
			continue
		}
		x.clauses = slices.DeleteFunc(x.clauses, func(c string) bool {
			gone := slices.ContainsFunc(x.names, func(n string) bool { return latest[strings.ToUpper(n)+"\x00"+c] != x })
			if gone {
				im.older++
			}
			return gone
		})
		for part := range slices.Chunk(x.clauses, maxClauses) {
			im.out = append(im.out, im.exception(x, part))
		}
	}
}

func closes(s *attest.Statement) bool {
	return s.Status == attest.VEXNotAffected || s.Status == attest.VEXFixed
}

// newer is the rule by which attest.Apply chooses among statements.
func (x *stated) newer(y *stated) bool {
	if c := x.s.Timestamp.Compare(y.s.Timestamp); c != 0 {
		return c > 0
	}
	if closes(x.s) != closes(y.s) {
		return closes(y.s)
	}
	return x.index > y.index
}

// read finds out what a statement is about. It is false when nothing of it can be
// said.
func (im *importing) read(x *stated) bool {
	for _, n := range slices.Concat([]string{x.s.Vulnerability}, x.s.Aliases) {
		n = strings.TrimSpace(n)
		if strings.HasPrefix(strings.ToLower(n), "cve-") { // findings have it in capitals
			n = strings.ToUpper(n)
		}
		switch {
		case !literal(n):
			im.lose(x.doc, x.s, "%q is no name that a finding could have", n)
		case !slices.Contains(x.names, n):
			x.names = append(x.names, n)
		}
	}
	if len(x.names) == 0 {
		return false
	}
	if len(x.s.Products) == 0 {
		im.lose(x.doc, x.s, "it names no product")
	}
	for i := range x.s.Products {
		clauses, err := productClauses(&x.s.Products[i])
		if err != nil {
			im.lose(x.doc, x.s, "product %q: %v", clipText(x.s.Products[i].ID), err)
		}
		for _, c := range clauses {
			if !slices.Contains(x.clauses, c) {
				x.clauses = append(x.clauses, c)
			}
		}
	}
	return len(x.clauses) > 0
}

func clipText(s string) string { return s[:min(len(s), 200)] }

// literal tells whether a text can stand in a condition as it is.
func literal(s string) bool {
	return s != "" && len(s) <= 1000 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' || r == '`' })
}

// productClauses gives conditions of which each is about a part of a product. The
// error says what of it is left out.
func productClauses(p *attest.Product) ([]string, error) {
	base, image, err := componentClause(&p.Component)
	if err != nil {
		return nil, err
	}
	for i := range p.Within {
		outer, isImage, err := componentClause(&p.Within[i])
		if err != nil || !isImage {
			return nil, errors.New("what it must be in is no image with a name or digest")
		}
		base = "(" + outer + ") && (" + base + ")"
	}
	if len(p.Subcomponents) == 0 {
		return []string{base}, nil
	}
	if !image {
		return nil, errors.New("it is about packages within a package")
	}
	var out []string
	var errs []error
	for i := range p.Subcomponents {
		sub, _, err := componentClause(&p.Subcomponents[i])
		if err != nil {
			errs = append(errs, fmt.Errorf("subcomponent %q: %w", clipText(p.Subcomponents[i].ID), err))
			continue
		}
		out = append(out, "("+base+") && ("+sub+")")
	}
	return out, errors.Join(errs...)
}

// componentClause gives a condition that is true of what a component names.
func componentClause(c *attest.Component) (clause string, image bool, err error) {
	var parts []string
	for _, s := range c.PURLs {
		n, e := attest.ParsePURL(s)
		if e == nil {
			var part string
			if part, e = namedClause(&n); e == nil {
				parts = append(parts, part)
				image = image || n.Image
				continue
			}
		}
		err = e
	}
	for _, h := range c.Hashes {
		// The digest of a package's file is no image's.
		if d := bulwark.Digest("sha256:" + h); d.Valid() && (image || len(parts) == 0) {
			parts, image = append(parts, fmt.Sprintf(`img.digest == "%s"`, d)), true
		}
	}
	if _, d, _ := strings.Cut(c.ID, "@"); len(c.PURLs) == 0 && bulwark.Digest(d).Valid() {
		parts, image = append(parts, fmt.Sprintf(`img.digest == "%s"`, d)), true
	}
	slices.Sort(parts)
	switch parts = slices.Compact(parts); {
	case len(parts) > 0: // each of its names is enough
		return strings.Join(parts, " || "), image, nil
	case err != nil:
		return "", false, err
	case len(c.CPEs) > 0, strings.HasPrefix(c.ID, "cpe:"):
		return "", false, errors.New("a CPE names a distribution, not what is found in it")
	}
	return "", false, errors.New("it has neither a package URL nor a digest")
}

// namedClause gives a condition that is true of what a package URL names.
func namedClause(n *attest.Named) (string, error) {
	for _, s := range slices.Concat(n.Qualifiers, []string{n.Base, n.Name}, nonEmptyOf(n.Repo, n.Tag)) {
		if !literal(s) {
			return "", fmt.Errorf("%q cannot stand in a condition", s)
		}
	}
	if n.Image {
		if n.Digest != "" {
			return fmt.Sprintf(`img.digest == "%s"`, n.Digest), nil
		}
		registry, repo, ok := strings.Cut(n.Repo, "/")
		if !ok {
			return "", errors.New("an image without a digest and a repository_url")
		}
		clause := fmt.Sprintf(`img.registry == "%s" && img.repo == "%s"`, registry, repo)
		if n.Tag != "" {
			clause += fmt.Sprintf(` && img.tag == "%s"`, n.Tag)
		}
		return clause, nil
	}
	if n.Subpath != "" {
		return "", errors.New("a part of a package (its URL has a subpath)")
	}
	i := slices.IndexFunc(n.Qualifiers, func(q string) bool { return q == "arch=source" || q == "arch=src" })
	var clause string
	switch {
	case i >= 0 && n.Version != "":
		return "", errors.New("a version of a source package: findings have the versions of what was built from it")
	case i >= 0:
		root := n.Base[:strings.LastIndexByte(n.Base, '/')+1]
		clause = fmt.Sprintf(`pkg.purl.startsWith("%s") && (pkg.source == "%s" || pkg.source == "" && pkg.name == "%s")`, root, n.Name, n.Name)
	default:
		bases := []string{n.Base}
		if n.Type == "golang" && n.Version != "" { // versions are written with and without their v
			at := strings.LastIndexByte(n.Base, '@') + 1
			version := strings.TrimPrefix(n.Base[at:], "v")
			bases = []string{n.Base[:at] + version, n.Base[:at] + "v" + version}
		}
		var each []string
		for _, b := range bases {
			each = append(each, fmt.Sprintf(`pkg.purl == "%s" || pkg.purl.startsWith("%s?")`, b, b))
			if n.Version == "" {
				each = append(each, fmt.Sprintf(`pkg.purl.startsWith("%s@")`, b))
			}
		}
		clause = strings.Join(each, " || ")
	}
	for k, q := range n.Qualifiers {
		if k != i {
			clause = fmt.Sprintf(`(%s) && (pkg.purl.contains("?%s&") || pkg.purl.contains("&%s&") || pkg.purl.endsWith("?%s") || pkg.purl.endsWith("&%s"))`, clause, q, q, q, q)
		}
	}
	return clause, nil
}

func nonEmptyOf(list ...string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}

// exception makes a document of a statement and some of its products.
func (im *importing) exception(x *stated, clauses []string) exceptionYAML {
	var quoted []string
	for _, n := range x.names {
		quoted = append(quoted, `"`+n+`"`)
	}
	list := "[" + strings.Join(quoted, ", ") + "]"
	// An advisory about several flaws is not closed by a statement about one of them.
	id := fmt.Sprintf(`v.id in %s || v.aliases.exists(a, a in %s) && v.aliases.all(a, !a.startsWith("CVE-") || a in %s)`, list, list, list)
	var b strings.Builder
	for i, c := range clauses {
		if i > 0 {
			b.WriteString(" ||\n  ")
		}
		b.WriteString(c)
	}
	doc, s := x.doc, x.s
	e := exceptionYAML{APIVersion: document.APIVersion, Kind: "Exception"}
	e.Metadata = metaYAML{Name: im.name(x.names[0]), Description: oneLine(fmt.Sprintf("%s, stated by %s", x.names[0], cmp.Or(strings.TrimSpace(doc.Author), "nobody")), 300)}
	e.Spec = specYAML{
		Match:   "(" + id + ") &&\n(" + b.String() + ")\n",
		VEX:     vexYAML{Status: string(s.Status), Justification: s.Justification, Impact: oneLine(strings.TrimSpace(s.Impact), 4000)},
		Reason:  oneLine(strings.TrimSpace("stated by "+cmp.Or(strings.TrimSpace(doc.Author), "the authors")+" in "+cmp.Or(doc.ID, doc.Name)), 1000),
		Owner:   oneLine(cmp.Or(im.owner, strings.TrimSpace(doc.Author)), 300),
		Expires: im.expires,
	}
	if e.Spec.VEX.Impact == "" && (s.Status == attest.VEXFixed || s.Justification == "") {
		e.Spec.VEX.Impact = oneLine(strings.TrimSpace(s.Notes), 4000)
	}
	if s.Status == attest.VEXNotAffected && s.Justification == "" && e.Spec.VEX.Impact == "" {
		e.Spec.VEX.Impact = "no reason is given" // CSAF and CycloneDX allow that
	}
	if s.Status != attest.VEXNotAffected {
		e.Spec.VEX.Justification = ""
	}
	if len(im.policies) > 0 {
		e.Spec.For.Policies = im.policies
	} else {
		e.Spec.For.Subject = "vulnerability"
	}
	return e
}

// name gives a name that no other exception has.
func (im *importing) name(vulnerability string) string {
	stem := "vex-" + strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.':
			return r
		}
		return '-'
	}, strings.ToLower(vulnerability[:min(len(vulnerability), 80)])), "-.")
	stem = strings.TrimSuffix(stem, "-")
	name := stem
	for i := 2; im.names[name]; i++ {
		name = fmt.Sprintf("%s-%d", stem, i)
	}
	im.names[name] = true
	return name
}

// text writes the documents, and reads them again: what is written holds.
func (im *importing) text() ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	for i := range im.out {
		if err := enc.Encode(&im.out[i]); err != nil {
			return nil, err
		}
	}
	if err := enc.Close(); err != nil {
		return nil, err
	}
	_, faults := document.Parse("exceptions", b.Bytes())
	if len(faults) == 0 && len(im.policies) == 0 { // the policies themselves are elsewhere
		_, err := policy.Load([]policy.Source{{Name: "exceptions", Data: b.Bytes()}})
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, &bulwark.Hint{Err: fmt.Errorf("the exceptions cannot be read again: %w", err), Next: "import fewer documents at once"}
	}
	return b.Bytes(), nil
}
