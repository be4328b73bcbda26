// SPDX-License-Identifier: Apache-2.0

package hex

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

// Application finds installed OTP applications by their resource files,
// ebin/NAME.app (https://www.erlang.org/doc/apps/kernel/app.html), which builds,
// releases and distributions have. Its zero value is ready to use.
type Application struct{}

// Name gives "otp-application".
func (Application) Name() string { return "otp-application" }

// Wants tells whether p is the resource file of a compiled application.
func (Application) Wants(p string, st bulwark.Stat) bool {
	if st.Mode&fs.ModeType != 0 || !strings.HasSuffix(p, ".app") {
		return false
	}
	dir := strings.TrimSuffix(p[:len(p)-len(base(p))], "/")
	return base(dir) == "ebin"
}

// Extract gives the application. Those of Erlang/OTP and Elixir themselves have
// a package URL of type otp and belong to no ecosystem; all others are taken for
// packages of Hex, as which nearly all are published.
func (e Application) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxApp)
	if err != nil {
		return nil, err
	}
	s := newScanner(ctx, data, '%')
	a := s.application()
	err = s.err
	if err == nil && !name(a.name) {
		err = errors.New("no application")
	}
	if err != nil {
		return nil, malformed(f, err)
	}
	l := newList(f, e.Name())
	l.add("", a.name, a.version, a.line)
	p := &l.pkgs[0]
	p.Licenses = a.licenses
	if platform(a.name) {
		u := packageurl.PackageURL{Type: packageurl.TypeOTP, Name: strings.ToLower(a.name), Version: p.Version}
		p.PURL, p.Ecosystem = u.ToString(), ""
	}
	return l.pkgs, nil
}

type application struct {
	name, version string
	line          int
	licenses      []string
}

// application reads {application, Name, [{Key, Value}, ...]}.
func (s *scanner) application() application {
	var (
		a     application
		depth int
		index int    // elements of the outer tuple that are complete
		key   string // of the pair that the scanner is in
		first bool   // the next token is the first of a pair
	)
	for t := s.next(); t.kind != end; t = s.next() {
		switch t.kind {
		case '{', '[':
			depth++
			first = depth == 3
			if first {
				key = ""
			}
			continue
		case '}', ']':
			if depth--; depth <= 0 {
				return a // one term is all that such a file has
			}
		case ',':
			if depth == 1 {
				index++
			}
		case text, atom:
			switch {
			case depth == 1 && index == 0 && string(t.text) != "application":
				return application{}
			case depth == 1 && index == 1 && len(t.text) <= maxName:
				a.name, a.line = string(t.text), t.line
			case depth == 3 && first && (string(t.text) == "vsn" || string(t.text) == "licenses"):
				key = string(t.text)
			case depth == 3 && key == "vsn" && t.kind == text && len(t.text) <= maxName:
				a.version = string(t.text)
			case depth == 4 && key == "licenses" && t.kind == text && len(t.text) <= maxName && len(t.text) > 0 && len(a.licenses) < maxLicenses:
				a.licenses = append(a.licenses, string(t.text))
			}
		}
		first = false
	}
	return a
}

// platform tells whether an application is a part of Erlang/OTP
// (https://www.erlang.org/doc/apps) or of Elixir (https://hexdocs.pm/elixir).
func platform(app string) bool {
	switch app {
	case "asn1", "common_test", "compiler", "crypto", "debugger", "dialyzer", "diameter", "edoc", "eldap",
		"erl_docgen", "erl_interface", "erts", "et", "eunit", "ftp", "gs", "hipe", "ic", "inets", "jinterface",
		"kernel", "megaco", "mnesia", "observer", "odbc", "orber", "os_mon", "ose", "otp_mibs", "parsetools",
		"percept", "public_key", "reltool", "runtime_tools", "sasl", "snmp", "ssh", "ssl", "stdlib",
		"syntax_tools", "test_server", "tftp", "tools", "typer", "webtool", "wx", "xmerl",
		"cosEvent", "cosEventDomain", "cosFileTransfer", "cosNotification", "cosProperty", "cosTime", "cosTransactions":
		return true
	case "eex", "elixir", "ex_unit", "iex", "logger", "mix":
		return true
	}
	return false
}
