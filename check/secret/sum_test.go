// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Values of .NET's own tests of System.Marvin.
func TestMarvin(t *testing.T) {
	for _, tt := range []struct {
		seed uint64
		data string
		want uint64
	}{
		{0x004FB61A001BDBCC, "", 0x30ED35C100CD3C7D},
		{0x004FB61A001BDBCC, "af", 0x48E73FC77D75DDC1},
		{0x004FB61A001BDBCC, "e70f", 0xB5F6E1FC485DBFF8},
		{0x004FB61A001BDBCC, "37f495", 0xF0B07C789B8CF7E8},
		{0x004FB61A001BDBCC, "8642dc59", 0x7008F2E87E9CF556},
		{0x004FB61A001BDBCC, "153fb79826", 0xE6C08C6DA2AFA997},
		{0x004FB61A001BDBCC, "ab427ea8d10fc7", 0xE11847E4F0678C41},
		{0x804FB61A001BDBCC, "0932e6246c47", 0xD6DD5E40AD1BC2ED},
		{0x804FB61A801BDBCC, "FF00FF00FF00FF", 0xFDFD187B1D3CE784},
	} {
		b, err := hex.DecodeString(tt.data)
		if err != nil {
			t.Fatal(err)
		}
		if p0, p1 := marvinState(b, tt.seed); uint64(p1)<<32|uint64(p0) != tt.want {
			t.Errorf("%q: %08x%08x, want %x", tt.data, p1, p0, tt.want)
		}
	}
}

func TestAWSAccount(t *testing.T) {
	for id, want := range map[string]string{"ASIA¦QNZGKIQY56JQ7WML": "029608264753", "AKIA¦IOSFODNN7EXAMPLE": "", "AKIA": "", "AKIA¦Q1111111111111111": ""} {
		if got, _ := awsAccount([]byte(plain(id))); got != want {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
}

// A right sum or content is told, a wrong one makes the finding milder or none;
// both of the gitleaks module's rules and of ours.
func TestSums(t *testing.T) {
	c := newCheck(t)
	for _, tt := range []struct {
		rule, token string
		from, to    string // changes it
	}{
		{"pypi-upload-token", "pypi-AgE¦IcHlwaS5vcmcCJGNjNjU3NzQyLThjMmYtNmQ2Yi1jNjRlLTVhMjJmYWMxODBkNgAABiB33M5cEnVU_SDy4e7RisiIrmKwFBhQS3aQksaE8UZ25g", "pypi-AgE", "pypi-AgQ"},
		{"grafana-service-account-token", "glsa_Mmd¦DWIN86tKvycm7L8gqLCHBKer0aF7b_156a73f8", "glsa_M", "glsa_N"},
		{"age-secret-key", "AGE-SECRET-KEY-1YWM¦UHGVR25Z3V976J5JTPQ20FUJ4GRV7TA68XQ2R87XKZKC3VA2QR20SLQ", "KEY-1Y", "KEY-1Z"},
		{"grafana-cloud-api-token", "glc_eyJ¦vIjoiNjUyOTkyIiwibiI6InN0YWNrLTI4NjMwMyIsImsiOiJjUWlaMHdJVzhzZTdESXYzdG14dkptOGEiLCJtIjp7InIiOiJ1cyJ9fQ==", "glc_ey", "glc_fy"},
		{"gitlab-routable-token", "glpat-bzo¦xCnU6M3g1g9YfXiCzGGYXZB5ID8ckEA.0y1kc3lqk", "glpat-b", "glpat-c"},
		{"azure-annotated-key", "SLL¦aJ7N4jUxfzO2QH20XLrEgSAl1DVNYZV0zZYa0XiFL4C7Xu2ZxJQQJ99BKACcOT2pOpuTGAAAAACOGmuWg", "= SLL", "= SLM"},
		{"azure-devops-token", "dog¦jrto75ebvnvizwamhhanywltv2ugynx3kwnzrcck4h54sfthq", "= dog", "= doh"},
		{"azure-client-secret", "trt¦8Q~PYScw9F4ca96QEgS6r3UyeiI75Qb4SaLNY", "= trt", "= trs"},
	} {
		text := plain("azure_devops = " + tt.token)
		good := check(t, c, "srv/a.txt", []byte(text))
		changed := strings.Replace(text, tt.from, tt.to, 1)
		if changed == text {
			t.Errorf("%s: nothing was changed", tt.rule)
		}
		bad := check(t, c, "srv/a.txt", []byte(changed))
		if len(good) != 1 || good[0].Rule != "secret/"+tt.rule || good[0].Severity.String() != "critical" && good[0].Severity.String() != "high" {
			t.Errorf("%s: %v", tt.rule, brief(good))
			continue
		}
		if len(bad) > 0 && bad[0].Severity >= good[0].Severity {
			t.Errorf("%s with a wrong sum: %v", tt.rule, brief(bad))
		}
	}
}

// The rules that know a service win over the one that does not, which is
// suppressed in installed code.
func TestGenericIsLast(t *testing.T) {
	c := newCheck(t)
	text := plain("access_token: \"" + plantedPAT + "\"\nclient_secret: \"kT9f¦Lw2Qx7Zr4Vb8Nc1Md6Hj3Gs5Pa0Yu\"\n")
	want := []string{"github-token critical 1", "assigned-secret medium 2"}
	if d := cmp.Diff(want, brief(check(t, c, "srv/a.yaml", []byte(text)))); d != "" {
		t.Error(d)
	}
	want[1] += " suppressed"
	if d := cmp.Diff(want, brief(check(t, c, "usr/lib/app/a.yaml", []byte(text)))); d != "" {
		t.Errorf("in installed code: %s", d)
	}
}
