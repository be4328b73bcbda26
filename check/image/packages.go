// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

const rulePackages = "BW-IMG-0023"

// PackageRule is the rule of what [Packages] finds.
func PackageRule() bulwark.Rule {
	return bulwark.Rule{
		ID: rulePackages, Class: bulwark.ClassMisconfiguration, Title: "Packages that a container seldom needs", Severity: bulwark.SeverityLow,
		Description: "Compilers, debuggers, network tools, servers for logins and ways to root are at hand for whoever gets in, and have flaws of their own.",
		Remedy:      "leave them out: build in a stage of its own, and debug with a container beside this one",
		Controls:    []string{"CIS Docker 4.3"},
	}
}

// seldom are packages of distributions that a running service seldom needs, and
// what they are. Names end where a version may follow.
var seldom = []struct{ what, names string }{
	{"a compiler", "gcc g++ gcc-c++ clang build-base build-essential base-devel tcc"},
	{"a debugger", "gdb gdbserver lldb strace ltrace"},
	{"a network tool", "nmap nmap-ncat ncat netcat netcat-openbsd netcat-traditional socat tcpdump tshark wireshark hping3 masscan"},
	{"a server for logins", "openssh-server dropbear telnetd telnet-server inetutils-telnetd rsh-server rsh-redone-server xinetd vsftpd proftpd-core tftpd-hpa"},
	{"a way to root", "sudo doas opendoas"},
	{"a login without encryption", "telnet inetutils-telnet rsh-client rsh-redone-client ftp tftp"},
}

// Packages gives one finding when packages of the distribution are in an image
// that a service seldom needs. It is a function of the inventory; of what is no
// image it says nothing.
func Packages(a *bulwark.Artifact, pkgs []bulwark.Package) []bulwark.Finding {
	if a == nil || a.Image == nil {
		return nil
	}
	var evidence []bulwark.Evidence
	for i := range pkgs {
		p := &pkgs[i]
		what := needless(p)
		if what == "" {
			continue
		}
		e := bulwark.Evidence{Detail: fmt.Sprintf("%q is %s", p.Name, what)}
		if len(p.Where) > 0 {
			e.Location = p.Where[0]
		}
		if evidence = append(evidence, e); len(evidence) == maxEvidence {
			break
		}
	}
	if len(evidence) == 0 {
		return nil
	}
	r := PackageRule()
	subject := string(a.ID)
	if subject == "" {
		subject = a.Name
	}
	return []bulwark.Finding{{
		ID: bulwark.FindingID(r.Class, r.ID, subject), Class: r.Class, Rule: r.ID, Severity: r.Severity, Subject: subject, Fix: r.Remedy, Evidence: evidence,
	}}
}

// needless says what a package is that a container seldom needs; "" is another.
func needless(p *bulwark.Package) string {
	switch kind, _, _ := strings.Cut(strings.TrimPrefix(p.PURL, "pkg:"), "/"); kind {
	case "deb", "rpm", "apk", "alpm":
	default:
		return ""
	}
	name := p.Name
	if stem, version, ok := cutLast(name); ok && version[0] >= '0' && version[0] <= '9' {
		name = stem // gcc-12
	}
	for _, s := range seldom {
		if slices.Contains(strings.Fields(s.names), name) {
			return s.what
		}
	}
	return ""
}

// cutLast cuts a name at its last hyphen.
func cutLast(name string) (stem, rest string, ok bool) {
	i := strings.LastIndexByte(name, '-')
	if i <= 0 || i+1 == len(name) {
		return name, "", false
	}
	return name[:i], name[i+1:], true
}
