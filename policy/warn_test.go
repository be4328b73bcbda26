// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark/policy"
)

// yamlDoc writes one document on one line.
func yamlDoc(kind, name, spec string) string {
	return fmt.Sprintf("---\napiVersion: bulwark.dev/v1\nkind: %s\nmetadata: {name: %s}\nspec: {%s}\n", kind, name, spec)
}

func TestSetWarnings(t *testing.T) {
	const rules = "rules: [{id: a, when: v.kev, effect: alert}]"
	ordered := func(rules string) string {
		return yamlDoc("Policy", "p", "subject: connection, combine: firstMatch, rules: ["+rules+"]")
	}
	scoped := func(stages, collections string) string {
		return yamlDoc("Policy", "p", "subject: vulnerability, stages: ["+stages+"], scope: {collections: ["+collections+"]}, "+rules)
	}
	prod := yamlDoc("Collection", "prod", "include: [{namespaces: [prod-*]}]")
	edge := yamlDoc("Collection", "edge", "include: [{clusters: [edge]}, {collections: [prod]}]")
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"sound", scoped("admit, run", "prod") + prod, nil},
		{"never at build", scoped("build, registry, admit", "prod") + prod, []string{
			`p.yaml:5:88: policy "p" never holds at stage build, registry: collection "prod" chooses by namespaces, which are known at stage admit, run; leave that stage out, or choose by what a scan knows: registries, repos, names, labels`,
		}},
		{"through another", scoped("build", "edge") + prod + edge, []string{
			`p.yaml:5:71: policy "p" never holds at stage build: collection "prod" chooses by namespaces, which are known at stage admit, run; leave that stage out, or choose by what a scan knows: registries, repos, names, labels`,
		}},
		{"another way in", scoped("build", "prod, all") + prod + yamlDoc("Collection", "all", "include: [{repos: [corp/*]}]"), nil},
		{"any namespace", scoped("build", "prod") + yamlDoc("Collection", "prod", `include: [{namespaces: ["*"]}]`), nil},
		{"everything but", scoped("build", "prod") + yamlDoc("Collection", "prod", "exclude: [{namespaces: [kube-system]}]"), nil},
		{"off", strings.Replace(scoped("build", "prod"), "subject:", "mode: off, subject:", 1) + prod, nil},
		{"after true", ordered(`{id: all, when: "true", effect: alert}, {id: b, when: conn.port == 22, effect: block}, {id: c, when: conn.port == 23, effect: block}`), []string{
			`p.yaml:5:103: rule "b" is never reached: rule "all" before it always answers first; put it before that rule, or remove it`,
			`p.yaml:5:150: rule "c" is never reached: rule "all" before it always answers first; put it before that rule, or remove it`,
		}},
		{"twice", ordered(`{id: a, when: conn.port == 22, effect: allow}, {id: b, when: " conn.port == 22", effect: block}`), []string{
			`p.yaml:5:110: rule "b" is never reached: rule "a" before it always answers first; put it before that rule, or remove it`,
		}},
		{"last", ordered(`{id: a, when: conn.port == 22, effect: allow}, {id: rest, when: true, effect: block}`), nil},
		{"strictest", yamlDoc("Policy", "p", `subject: connection, rules: [{id: all, when: true, effect: alert}, {id: b, when: conn.port == 22, effect: block}]`), nil},
		{"another stage", yamlDoc("Policy", "p", `subject: vulnerability, stages: [build, run], combine: firstMatch, rules: [{id: all, when: true, effect: {build: allow}}, {id: b, when: v.kev, effect: alert}]`), nil},
		{"unused", yamlDoc("ValueList", "eol_runtimes", "values: [a]") + prod + edge, []string{
			`p.yaml:2:1: list "eol_runtimes" is used by no condition: a condition names it lists.eol_runtimes`,
			`p.yaml:7:1: collection "prod" is used by no policy and no exception`,
			`p.yaml:12:1: collection "edge" is used by no policy and no exception`,
		}},
		{"used", yamlDoc("ValueList", "a", "values: [a]") + yamlDoc("ValueList", "b_c", "values: [b]") + yamlDoc("ValueList", "d_e", "values: [d]") + yamlDoc("ValueList", "f", "values: [f]") +
			yamlDoc("Policy", "p", `subject: vulnerability, rules: [{id: a, when: v.id in lists.a, message: 'lists.b_c[0]', remediation: "{{lists.d_e[0]}}", effect: alert}]`) +
			yamlDoc("Exception", "x", `for: {policies: [p]}, scope: {not: [edge]}, match: v.id in lists.f, reason: a, owner: b, expires: 2027-01-31`) + prod + edge, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := policy.Load([]policy.Source{{Name: "p.yaml", Data: []byte(tt.text)}})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range s.Warnings() {
				got = append(got, w.Error())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	var none *policy.Set
	if w := none.Warnings(); w != nil {
		t.Errorf("nil set: %v", w)
	}
}

func TestFaults(t *testing.T) {
	_, err := policy.Load([]policy.Source{
		{Name: "b.yaml", Data: []byte(yamlDoc("Policy", "p", "subject: vulnerability, rules: [{id: a, when: v.kevv, effect: allow}]"))},
		{Name: "a.yaml", Data: []byte(yamlDoc("Policy", "q", "subject: vulnerbility, rules: [{id: a, when: true, effect: alert}]"))},
	})
	var got []string
	for _, f := range policy.Faults(err) {
		got = append(got, f.Place.String())
	}
	if diff := cmp.Diff([]string{"a.yaml:5:17", "b.yaml:5:56", "b.yaml:5:70"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s\n%v", diff, err)
	}
	for _, err := range []error{nil, fs.ErrNotExist, errors.Join(fs.ErrNotExist, policy.Fault{})} {
		if f := policy.Faults(err); f != nil {
			t.Errorf("Faults(%v) = %v", err, f)
		}
	}
}
