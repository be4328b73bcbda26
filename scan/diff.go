// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// Diff compares two reports. A vulnerability that a package still has after an
// upgrade is no change.
func Diff(before, after *bulwark.Report) *bulwark.Difference {
	d := &bulwark.Difference{Old: before.Artifact, New: after.Artifact, Packages: packageChanges(before, after), Settings: settings(before.Artifact.Image, after.Artifact.Image)}
	x, y := bulwark.Chain(before.Inventory.Layers), bulwark.Chain(after.Inventory.Layers)
	for d.Shared < min(len(x), len(y)) && x[d.Shared] == y[d.Shared] {
		d.Shared++
	}
	d.Added, d.Removed = only(after, before), only(before, after)
	return d
}

// only gives the findings of a that b does not have.
func only(a, b *bulwark.Report) []bulwark.Finding {
	known := make(map[string]bool, len(b.Findings))
	for i := range b.Findings {
		known[same(&b.Findings[i])] = true
	}
	out := []bulwark.Finding{}
	for _, f := range a.Findings {
		if !known[same(&f)] {
			out = append(out, f)
		}
	}
	return out
}

// same names a finding across reports, and with it whether it counts.
func same(f *bulwark.Finding) string {
	key := f.ID
	if f.Class == bulwark.ClassVulnerability {
		key = stem(f)
	}
	if !f.Status.Open() {
		key += "\x00closed"
	}
	return key
}

func packageChanges(before, after *bulwark.Report) []bulwark.PackageChange {
	type name struct{ ecosystem, name, kind string }
	versions := func(r *bulwark.Report) map[name][]string {
		out := map[name][]string{}
		for i := range r.Inventory.Packages {
			p := &r.Inventory.Packages[i]
			kind, _, _ := strings.Cut(p.PURL, "/")
			n := name{p.Ecosystem, p.Name, kind}
			if !slices.Contains(out[n], p.Version) {
				out[n] = append(out[n], p.Version)
			}
		}
		return out
	}
	x, y := versions(before), versions(after)
	all := maps.Clone(x)
	maps.Copy(all, y)
	out := []bulwark.PackageChange{}
	for n := range all {
		a, b := slices.Sorted(slices.Values(x[n])), slices.Sorted(slices.Values(y[n]))
		if !slices.Equal(a, b) {
			out = append(out, bulwark.PackageChange{Ecosystem: n.ecosystem, Name: n.name, Old: strings.Join(a, ", "), New: strings.Join(b, ", ")})
		}
	}
	slices.SortFunc(out, func(a, b bulwark.PackageChange) int {
		return cmp.Or(cmp.Compare(a.Ecosystem, b.Ecosystem), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Old, b.Old), cmp.Compare(a.New, b.New))
	})
	return out
}

func settings(before, after *bulwark.Image) []bulwark.Setting {
	flat := func(i *bulwark.Image) map[string]string {
		out := map[string]string{}
		if i == nil {
			return out
		}
		put := func(name, value string) {
			if value != "" {
				out[name] = value
			}
		}
		put("user", i.User)
		put("working directory", i.WorkingDir)
		put("entrypoint", strings.Join(i.Entrypoint, " "))
		put("command", strings.Join(i.Cmd, " "))
		put("health check", strings.Join(i.Healthcheck, " "))
		put("ports", strings.Join(i.Ports, " "))
		put("volumes", strings.Join(i.Volumes, " "))
		for _, e := range i.Env {
			name, value, _ := strings.Cut(e, "=")
			put("env "+name, value)
		}
		for k, v := range i.Labels {
			put("label "+k, v)
		}
		return out
	}
	x, y := flat(before), flat(after)
	all := maps.Clone(x)
	maps.Copy(all, y)
	out := []bulwark.Setting{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if x[name] != y[name] {
			out = append(out, bulwark.Setting{Name: name, Old: x[name], New: y[name]})
		}
	}
	return out
}
