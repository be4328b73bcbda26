// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"slices"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check"
	"github.com/bulwark-sec/bulwark/check/function"
	"github.com/bulwark-sec/bulwark/check/lifecycle"
	"github.com/bulwark-sec/bulwark/extract"
)

// reads gives the classes of findings that the reading of an artifact of that
// kind looks for. A report without a finding would not tell nothing from nobody
// looked.
func (s *Scanner) reads(kind bulwark.Kind) []string {
	var out []string
	files := kind != bulwark.KindSBOM
	if files && s.Secrets {
		out = append(out, string(bulwark.ClassSecret))
	}
	if files && s.Malware {
		out = append(out, string(bulwark.ClassMalware))
	}
	switch kind {
	case bulwark.KindImage, bulwark.KindDir, bulwark.KindRepo, bulwark.KindFunction:
		if s.Config {
			out = append(out, string(bulwark.ClassMisconfiguration))
		}
	}
	return out
}

// looked gives the classes that were looked for in what r is about, sorted: those
// that the reading looked for, which stand in r, and those that are judged anew
// each time. Rules about the end of support are named one by one where its day is
// known: elsewhere their silence says nothing.
func (s *Scanner) looked(r *bulwark.Report) []string {
	anew := map[string]bool{string(bulwark.ClassVulnerability): s.DB != nil}
	if s.Config {
		_, ends := extract.SupportEnds(r.Inventory.OS)
		anew[string(bulwark.ClassCompliance)] = true
		anew[lifecycle.RuleOS] = ends
		anew[function.RuleEnded] = len(r.Inventory.Functions) > 0 && !slices.ContainsFunc(r.Inventory.Functions, func(f bulwark.Function) bool {
			_, known := check.Runtime(f.Provider, f.Runtime)
			return !known
		})
	}
	if s.Licenses {
		anew[string(bulwark.ClassLicense)] = true
	}
	out := slices.DeleteFunc(slices.Clone(r.Scan.Looked), func(name string) bool {
		_, again := anew[name]
		return again
	})
	for name, did := range anew {
		if did {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
