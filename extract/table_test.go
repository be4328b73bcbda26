// SPDX-License-Identifier: Apache-2.0

package extract_test

import (
	"flag"
	"fmt"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract"
)

var update = flag.Bool("update", false, "write docs/ecosystems.md")

//go:generate go test -run TestTable -update .

// The table of formats in the documentation is made of the lists.
func TestTable(t *testing.T) {
	images := map[string]bool{}
	for _, x := range extract.Extractors(bulwark.KindImage, extract.Known{}) {
		images[x.Name()] = true
	}
	leaf := func(x any) string { return path.Base(reflect.TypeOf(x).PkgPath()) }
	var rows []string
	for _, x := range extract.Extractors(bulwark.KindRepo, extract.Known{}) {
		where := "directories, repositories"
		if images[x.Name()] {
			where = "images, hosts, " + where
		}
		rows = append(rows, fmt.Sprintf("| %s | `%s` | %s |", leaf(x), x.Name(), where))
	}
	for _, x := range extract.Databases(bulwark.KindImage) {
		rows = append(rows, fmt.Sprintf("| %s | `%s` | images, hosts, directories; read after the layers are merged |", leaf(x), x.Name()))
	}
	slices.Sort(rows)
	if len(slices.Compact(slices.Clone(rows))) != len(rows) {
		t.Error("two extractors have one name")
	}
	want := "# Package formats\n\nMade by `make generate` from the lists in `extract/list.go`. The name stands in reports as what found a package.\n\n" +
		fmt.Sprintf("%d formats.\n\n", len(rows)) + "| of | name | looked for in |\n|---|---|---|\n" + strings.Join(rows, "\n") + "\n"
	const file = "../docs/ecosystems.md"
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(want, "\n"), strings.Split(string(got), "\n")); d != "" {
		t.Errorf("run make generate: %s", d)
	}
}
