// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
)

// A doubt says why silence is no pass. The zero doubt is none.
type doubt struct {
	lacks string // see the Lacks constants of the nouns; LacksKind: it does not concern the artifact
	why   string
}

// silent says what was looked at when nothing speaks against a rule, or why that
// means nothing. The silence of a policy rule is neither.
func (w *witness) silent(x *Rule) (said string, d doubt) {
	switch {
	case x.Policy != "":
		return "", doubt{}
	case x.Inventory:
		if d = w.doubt("inventory"); d.lacks == "" {
			said = plural(len(w.r.Inventory.Packages), "package is", "packages are") + " in the inventory, and no gap is known to hide one"
		}
		return said, d
	case x.Rule != "":
		return w.silentRule(x.Rule)
	}
	c := cmp.Or(x.Class, x.Looked)
	if d = w.doubt(string(c)); d.lacks != "" {
		return "", d
	}
	switch c {
	case bulwark.ClassVulnerability:
		db := &w.r.Database
		said = fmt.Sprintf("%s compared with %s of %s", plural(len(w.r.Inventory.Packages), "package", "packages"), plural(db.Advisories, "advisory", "advisories"), db.Built.UTC().Format(time.DateOnly))
		if x.Looked == "" {
			said += "; none" + x.words() + " is open"
		}
		return said, d
	case bulwark.ClassSecret:
		return "no secret in " + w.places(), d
	case bulwark.ClassMalware:
		return "no malware in " + w.places(), d
	}
	return "no finding of class " + string(c), d
}

// words says which vulnerabilities a rule is about: " with a fix, of severity
// high or worse".
func (x *Rule) words() string {
	var parts []string
	if x.Fixable {
		parts = append(parts, "with a fix")
	}
	if x.Exploited {
		parts = append(parts, "known to be exploited")
	}
	if x.Severity > bulwark.SeverityUnknown {
		s := "of severity " + x.Severity.String()
		if x.Severity < bulwark.SeverityCritical {
			s += " or worse"
		}
		parts = append(parts, s)
	}
	if x.Days > 0 {
		parts = append(parts, fmt.Sprintf("older than %d days", x.Days))
	}
	if len(x.Packages) > 0 {
		parts = append(parts, "in "+strings.Join(x.Packages, ", "))
	}
	if len(parts) == 0 {
		return ""
	}
	return " " + strings.Join(parts, " and ")
}

// places says where the artifact was searched.
func (w *witness) places() string {
	if i := w.r.Artifact.Image; i != nil {
		s := plural(len(w.r.Inventory.Layers), "layer", "layers")
		if len(i.History) > 0 {
			return s + ", settings and history"
		}
		return s + " and settings"
	}
	return "the files of the " + kindName(w.r.Artifact.Kind)
}

// A quiet says what it means when a rule of ours found nothing.
type quiet struct {
	says    string // "%s" is what the report has of it
	history bool   // only the image's build history tells
}

// quiets are the rules that look at one thing. Other rules are one of many of a
// class, and their silence is that of the class.
var quiets = map[string]quiet{
	"BW-IMG-0001": {says: "the image's user is %s"},
	"BW-IMG-0002": {says: "a health check is declared"},
	"BW-IMG-0003": {"no step copies files by ADD", true},
	"BW-IMG-0004": {"no step fetches by ADD", true},
	"BW-IMG-0005": {says: "no environment variable looks like a secret"},
	"BW-IMG-0006": {says: "no file is setuid or setgid"},
	"BW-IMG-0007": {"nothing says that the base is unpinned", true},
	"BW-IMG-0008": {says: "the image is asked for as %s"},
	"BW-IMG-0009": {"no step updates package lists alone", true},
	"BW-IMG-0010": {says: "sudo is not installed"},
	"BW-IMG-0011": {says: "port 22 is not exposed"},
	"BW-IMG-0012": {"no step runs a download unchecked", true},
	"BW-IMG-0013": {"no step opens files to everybody", true},
	"BW-IMG-0014": {says: "no file may be changed by everybody"},
	"BW-IMG-0015": {says: "the working directory is absolute"},
	"BW-IMG-0016": {"no step fetches without checking certificates", true},
	"BW-IMG-0017": {"no step installs without checking signatures", true},
	"BW-IMG-0018": {"no step runs npm's scripts as root", true},
	"BW-IMG-0019": {says: "no SSH server is installed"},
	"BW-IMG-0020": {"no step sets a password", true},
	"BW-IMG-0021": {says: "the engine's socket is not asked for"},
	"BW-IMG-0022": {says: "the search path is absolute"},
	"BW-IMG-0023": {says: "no package is there that containers seldom need"},
	"BW-EOL-0001": {says: "%s is maintained"},
	"BW-EOL-0002": {says: "no runtime is there whose maintenance is known to have ended"},
	"BW-FN-0001":  {says: "the runtime %s is maintained"},
	"BW-FN-0003":  {says: "no secret in the function's environment"},
}

// silentRule says what the silence of one rule of findings means.
func (w *witness) silentRule(rule string) (said string, d doubt) {
	q, ok := quiets[rule]
	if !ok { // a rule of a class, or a glob over such
		class, _, _ := strings.Cut(rule, "/")
		if d = w.doubt(class); d.lacks == "" {
			if said = "no finding of " + rule; class == string(bulwark.ClassSecret) || class == string(bulwark.ClassMalware) {
				said += " in " + w.places()
			}
		}
		return said, d
	}
	r := w.r
	other := doubt{bulwark.LacksKind, ""}
	switch image := r.Artifact.Image; {
	case strings.HasPrefix(rule, "BW-IMG-"):
		if image == nil {
			return "", other
		}
		if d = w.doubt(string(bulwark.ClassMisconfiguration)); d.lacks == "" && q.history && len(image.History) == 0 {
			d = doubt{bulwark.LacksPerson, "the image keeps no build history: look into its build file"}
		}
		switch rule {
		case "BW-IMG-0001":
			q.says = fmt.Sprintf(q.says, fmt.Sprintf("%q", image.User))
		case "BW-IMG-0008":
			q.says = fmt.Sprintf(q.says, fmt.Sprintf("%q", r.Artifact.Name))
		}
	case rule == "BW-EOL-0001":
		os := r.Inventory.OS
		if os == nil {
			if w.distribution() {
				return "", doubt{bulwark.LacksTrust, "the packages of a distribution are there, and nothing tells which release it is"}
			}
			return "", other
		}
		if d = w.doubt(string(bulwark.ClassCompliance)); d.lacks == "" && !slices.Contains(r.Scan.Looked, rule) {
			d = doubt{bulwark.LacksTrust, fmt.Sprintf("until when %q is maintained is not known: look at its maker's page", osName(os))}
		}
		q.says = fmt.Sprintf(q.says, osName(os))
	case rule == "BW-EOL-0002":
		if d = w.doubt(string(bulwark.ClassCompliance)); d.lacks == "" {
			d = w.doubt("inventory")
		}
	case len(r.Inventory.Functions) == 0:
		return "", other
	case rule == "BW-FN-0003":
		d = w.doubt(string(bulwark.ClassSecret))
	default:
		var names []string
		for _, f := range r.Inventory.Functions {
			if !slices.Contains(names, f.Runtime) {
				names = append(names, f.Runtime)
			}
		}
		if d = w.doubt(string(bulwark.ClassCompliance)); d.lacks == "" && !slices.Contains(r.Scan.Looked, rule) {
			d = doubt{bulwark.LacksTrust, "until when the function's runtime is maintained is not known: name it with --runtime, or look at its provider's page"}
		}
		q.says = fmt.Sprintf(q.says, strings.Join(names[:min(len(names), 3)], ", "))
	}
	if d.lacks != "" {
		return "", d
	}
	return q.says, d
}

func osName(os *bulwark.OS) string { return cmp.Or(os.Name, strings.TrimSpace(os.ID+" "+os.Version)) }

// distribution tells whether packages of a distribution are there.
func (w *witness) distribution() bool {
	return slices.ContainsFunc(w.r.Inventory.Packages, func(p bulwark.Package) bool {
		kind, _, _ := strings.Cut(strings.TrimPrefix(p.PURL, "pkg:"), "/")
		return kind == "deb" || kind == "rpm" || kind == "apk"
	})
}

// doubt says why the silence of a class, or the completeness of the inventory,
// cannot be relied on.
func (w *witness) doubt(of string) doubt {
	d, ok := w.doubts[of]
	if !ok {
		d = w.ask(of)
		w.doubts[of] = d
	}
	return d
}

func (w *witness) ask(of string) doubt {
	r := w.r
	trust := func(format string, args ...any) doubt { return doubt{bulwark.LacksTrust, fmt.Sprintf(format, args...)} }
	check := func(format string, args ...any) doubt { return doubt{bulwark.LacksCheck, fmt.Sprintf(format, args...)} }
	// Settings and the release stand in one place each, which no gap hides.
	content := of != string(bulwark.ClassMisconfiguration) && of != string(bulwark.ClassCompliance)
	files := of == string(bulwark.ClassSecret) || of == string(bulwark.ClassMalware)
	if files && r.Artifact.Kind == bulwark.KindSBOM {
		return doubt{bulwark.LacksKind, ""}
	}
	if r.Scan.Interrupted {
		return trust("the scan was interrupted: run it again, finished layers are not read twice")
	}
	if r.Scan.Hidden > 0 {
		return check("%s left out of the report: scan without --severity", plural(r.Scan.Hidden, "finding was", "findings were"))
	}
	if of != "inventory" && !slices.Contains(r.Scan.Looked, of) {
		if r.Scan.Looked == nil {
			return check("the report does not say what was looked for: scan again, it is of an older program")
		}
		return notLooked(of)
	}
	if n, where := w.gaps(func(g *bulwark.Gap) bool {
		return g.Kind == bulwark.GapSkipped && strings.HasPrefix(g.Detail, "left out by ")
	}); n > 0 && content {
		return check("%s left out on request (%s): scan without --skip-dirs", plural(n, "directory was", "directories were"), where)
	}
	if n, where := w.gaps(func(g *bulwark.Gap) bool {
		return g.Hides || files && g.Path != "" && (g.Kind == bulwark.GapUnreadable || g.Kind == bulwark.GapLimit)
	}); n > 0 && content {
		return trust("%s may hide something (%s): scan again with what was missing", plural(n, "gap", "gaps"), where)
	}
	if of == string(bulwark.ClassVulnerability) {
		if why := w.database(); why != "" {
			return trust("%s", why)
		}
	}
	return doubt{}
}

// notLooked says how to look for a class.
func notLooked(of string) doubt {
	next := map[string]string{
		string(bulwark.ClassSecret):           "secrets were not looked for: scan with --secrets on",
		string(bulwark.ClassMalware):          "malware was not looked for: scan with --malware on",
		string(bulwark.ClassLicense):          "licences were not looked for: scan with --licenses",
		string(bulwark.ClassVulnerability):    "no advisory database was asked: run bulwark db update and scan again",
		string(bulwark.ClassMisconfiguration): "dangerous settings were not looked for: scan without --no-config",
		string(bulwark.ClassCompliance):       "the end of support was not looked for: scan without --no-config",
	}[of]
	lacks := bulwark.LacksCheck
	if of == string(bulwark.ClassVulnerability) {
		lacks = bulwark.LacksTrust
	}
	return doubt{lacks, cmp.Or(next, "findings of class "+of+" were not looked for")}
}

// gaps counts gaps of the inventory, and names the first.
func (w *witness) gaps(wanted func(*bulwark.Gap) bool) (n int, first string) {
	for i := range w.r.Inventory.Gaps {
		if g := &w.r.Inventory.Gaps[i]; wanted(g) {
			if n++; n == 1 {
				if first = g.Detail; g.Path != "" {
					first = fmt.Sprintf("%q", path.Clean(g.Path))
				}
			}
		}
	}
	return n, first
}

// database says why what is known of vulnerabilities decides nothing; "" when it
// does.
func (w *witness) database() string {
	db, o := &w.r.Database, &w.o
	const again = ": run bulwark db update and scan again"
	switch {
	case db.AgeSeconds < 0 || db.ID == "" && db.Advisories == 0:
		return "no advisory database was asked" + again
	case db.Starter && o.AllowStarter:
		return ""
	case db.Starter:
		return "only the embedded starter set was asked, which knows " + plural(db.Advisories, "famous vulnerability", "famous vulnerabilities") + again
	case !w.r.Created.IsZero() && db.Built.After(w.r.Created.Add(24*time.Hour)):
		return "the advisory database was built after the scan: set the clock" + again[1:]
	case o.StaleAfter > 0 && o.Now.Sub(db.Built) > o.StaleAfter:
		return fmt.Sprintf("the advisories are of %s, more than %s before this assessment%s", db.Built.UTC().Format(time.DateOnly), age(o.StaleAfter), again)
	case len(db.Uncovered) > 0:
		return fmt.Sprintf("no feed covers %s of this artifact (%q): add it%s", plural(len(db.Uncovered), "ecosystem", "ecosystems"), db.Uncovered[0], again[1:])
	}
	if n, first := w.gaps(func(g *bulwark.Gap) bool {
		return g.Kind == bulwark.GapAdvisory || g.Kind == bulwark.GapUnsupported && g.Path == ""
	}); n > 0 {
		return "what is known does not cover all of it (" + first + "): move to a release that is supported"
	}
	return ""
}

func age(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
	}
	return strings.TrimSuffix(strings.TrimSuffix(d.Round(time.Second).String(), "0s"), "0m")
}
