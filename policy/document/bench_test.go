// SPDX-License-Identifier: Apache-2.0

package document_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark/policy/document"
)

// BenchmarkParse reads 50 policies of ten rules each.
func BenchmarkParse(b *testing.B) {
	var s strings.Builder
	for i := range 50 {
		fmt.Fprintf(&s, "---\napiVersion: bulwark.dev/v1\nkind: Policy\nmetadata: {name: p%d}\nspec:\n  subject: vulnerability\n  stages: [build, admit]\n  rules:\n", i)
		for j := range 10 {
			fmt.Fprintf(&s, "  - id: r%d\n    when: v.severity >= sev.high && v.fixed_in != \"\"\n    effect: {build: fail, default: alert}\n    message: \"v.id + ' fixed in ' + v.fixed_in\"\n    controls: [pci-4.0/6.3.3]\n", j)
		}
	}
	data := []byte(s.String())
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if set, faults := document.Parse("p.yaml", data); len(set.Policies) != 50 || len(faults) > 0 {
			b.Fatal(faults)
		}
	}
}
