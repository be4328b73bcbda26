// SPDX-License-Identifier: Apache-2.0

package osrelease

import (
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// ecosystem gives the OSV ecosystem with release, spelt as in the records that
// OSV.dev exports; "" when there is none. Partly is one sentence when advisories
// cover the distribution only in part.
func ecosystem(os *bulwark.OS, f fields) (eco, partly string) {
	v := os.Version
	numbered := func(name, release string) (string, string) {
		if release == "" {
			return "", ""
		}
		return name + ":" + release, ""
	}
	switch os.ID {
	case "debian":
		return debian(os)
	case "ubuntu":
		return ubuntu(v)
	case "alpine":
		return alpine(v)
	case "wolfi":
		return "Wolfi", ""
	case "chainguard":
		return "Chainguard", ""
	case "minimos":
		return "MinimOS", ""
	case "echo":
		return "Echo", ""
	case "clnstrt", "cleanstart":
		return "CleanStart", ""
	case "alpaquita":
		return numbered("Alpaquita", v)
	case "bellsoft-hardened-containers":
		return numbered("BellSoft Hardened Containers", v)
	case "almalinux":
		return numbered("AlmaLinux", major(v))
	case "rocky":
		return numbered("Rocky Linux", major(v))
	case "azurelinux", "mariner": // one distribution, renamed with version 3
		return numbered("Azure Linux", major(v))
	case "photon":
		return numbered("Photon OS", v)
	case "mageia":
		return numbered("Mageia", major(v))
	case "openeuler":
		return openEuler(v, f["VERSION"])
	case "rhel":
		return redHat(f["CPE_NAME"])
	case "opensuse-leap", "opensuse-tumbleweed", "opensuse-leap-micro", "opensuse":
		// The release is PRETTY_NAME behind the name of the ecosystem.
		if release, ok := strings.CutPrefix(os.Name, "openSUSE "); ok && release != "" {
			return "openSUSE:" + release, ""
		}
		if os.ID == "opensuse-leap" {
			return numbered("openSUSE", strings.TrimSpace("Leap "+v))
		}
	case "sles", "sled", "sles_sap", "sle_hpc", "sle-micro", "sl-micro", "suse-microos":
		release, ok := strings.CutPrefix(os.Name, "SUSE ")
		if !ok || release == "" {
			return "", ""
		}
		// Since 15 the base system is a module with advisories of its own, and
		// nothing in the image tells which module a package came from.
		if strings.HasPrefix(v, "15") {
			partly = "SUSE lists advisories for SUSE Linux Enterprise 15 under its modules: only those that name the product " + quote(release) + " are matched"
		}
		return "SUSE:" + release, partly
	}
	return "", ""
}

// debian names releases by their major number. Testing and unstable have none;
// they are where the release with their codename grows.
func debian(os *bulwark.OS) (eco, partly string) {
	if v := os.Version; v != "" {
		if strings.HasPrefix(v, "3.") { // 3.0 and 3.1 were two releases
			return "Debian:" + v, ""
		}
		return "Debian:" + major(v), ""
	}
	codename := os.Codename
	if codename == "" { // "Debian GNU/Linux forky/sid"
		fields := strings.Fields(os.Name)
		if len(fields) > 0 {
			codename, _, _ = strings.Cut(fields[len(fields)-1], "/")
		}
	}
	for _, r := range [...]struct{ codename, version string }{
		{"buster", "10"}, {"bullseye", "11"}, {"bookworm", "12"}, {"trixie", "13"}, {"forky", "14"}, {"duke", "15"},
	} {
		if codename == r.codename {
			return "Debian:" + r.version, "Debian testing and unstable have no advisories of their own: those of Debian " + r.version + " are matched"
		}
	}
	return "", "Debian unstable has no advisories of its own: its packages are listed, but their vulnerabilities are not known"
}

// ubuntu marks releases with long-term support: those of April of even years.
func ubuntu(v string) (eco, partly string) {
	year, month, ok := strings.Cut(v, ".")
	if !ok || year == "" {
		return "", ""
	}
	month, _, _ = strings.Cut(month, ".") // "14.04.6" in old lsb-release files
	eco = "Ubuntu:" + year + "." + month
	if month == "04" && (year[len(year)-1]-'0')%2 == 0 {
		eco += ":LTS"
	}
	return eco, ""
}

// alpine names release branches "v3.19". Images of the development branch call
// themselves by the coming release and a date.
func alpine(v string) (eco, partly string) {
	if v == "edge" || strings.Contains(v, "_alpha") || strings.Contains(v, "_pre") {
		return "Alpine:edge", "the OSV database covers released branches of Alpine, not its development branch edge: vulnerabilities may be missed"
	}
	first, rest, ok := strings.Cut(v, ".")
	if !ok || first == "" || rest == "" {
		return "", ""
	}
	return "Alpine:v" + first + "." + major(rest), ""
}

// openEuler has "22.03 (LTS-SP3)" as VERSION where OSV writes "22.03-LTS-SP3".
// Releases without long-term support get no advisories.
func openEuler(v, version string) (eco, partly string) {
	_, kind, _ := strings.Cut(version, "(")
	kind, _, _ = strings.Cut(kind, ")")
	if v == "" || !strings.HasPrefix(kind, "LTS") {
		return "", ""
	}
	return "openEuler:" + v + "-" + kind, ""
}

// redHat gives the product stream of CPE_NAME, the form that OSV asks for. The
// base system is one stream, and what comes from AppStream, CodeReady and other
// products is listed under theirs.
func redHat(cpe string) (eco, partly string) {
	_, stream, ok := strings.Cut(cpe, ":redhat:")
	if !ok || !strings.Contains(stream, "::") {
		return "", ""
	}
	return "Red Hat:" + stream, "advisories of Red Hat are listed by product stream: only those that name " + quote(stream) + " are matched"
}

func quote(s string) string { return "\"" + strings.ReplaceAll(s, "\"", "'") + "\"" }
