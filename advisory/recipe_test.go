// SPDX-License-Identifier: Apache-2.0

package advisory_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark/advisory"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// write lays out a recipe in the way of the OSV.dev export: files below
// osv/ECOSYSTEM go into its all.zip, files below one/ are also written singly,
// and the lists are made from the records. Other files are written as they are,
// *.csv.gz compressed.
func write(t testing.TB, dir string, ar *txtar.Archive) {
	t.Helper()
	put := func(name string, b []byte) {
		t.Helper()
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	zips, lists := map[string][]txtar.File{}, map[string][]string{}
	for _, f := range ar.Files {
		parts := strings.Split(f.Name, "/")
		switch {
		case parts[0] == "osv" && len(parts) == 3 && strings.HasSuffix(f.Name, ".json"):
			zips[parts[1]] = append(zips[parts[1]], txtar.File{Name: parts[2], Data: f.Data})
			var head struct{ Modified string }
			_ = json.Unmarshal(f.Data, &head)
			if head.Modified == "" {
				head.Modified = "2020-01-01T00:00:00Z"
			}
			lists[parts[1]] = append(lists[parts[1]], head.Modified+","+strings.TrimSuffix(parts[2], ".json"))
			put(f.Name, f.Data)
		case strings.HasSuffix(f.Name, ".csv.gz"):
			var b bytes.Buffer
			zw := gzip.NewWriter(&b)
			_, _ = zw.Write(f.Data)
			_ = zw.Close()
			put(f.Name, b.Bytes())
		case strings.HasPrefix(f.Name, "kev/"):
			put(f.Name, f.Data)
		}
	}
	var names []string
	for eco, files := range zips {
		names = append(names, eco+"\n")
		var b bytes.Buffer
		zw := zip.NewWriter(&b)
		for _, f := range files {
			w, err := zw.Create(f.Name)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = w.Write(f.Data)
		}
		if err := zw.Close(); err != nil {
			t.Fatal(err)
		}
		put("osv/"+eco+"/all.zip", b.Bytes())
		list := lists[eco]
		slices.SortFunc(list, func(a, b string) int { return strings.Compare(b, a) })
		put("osv/"+eco+"/modified_id.csv", []byte(strings.Join(list, "\n")+"\n"))
	}
	slices.Sort(names)
	put("osv/ecosystems.txt", []byte(strings.Join(names, "")))
}

// build makes a database of a recipe.
func build(t testing.TB, ar *txtar.Archive) (*advisory.DB, advisory.Status) {
	t.Helper()
	data, dir := t.TempDir(), t.TempDir()
	write(t, data, ar)
	st, err := advisory.Import(t.Context(), data, advisory.ImportOptions{Dir: dir, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	db, err := advisory.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db, st
}

// record gives a small OSV record.
func record(id, ecosystem, name, fixed, modified string) txtar.File {
	base, _, _ := strings.Cut(ecosystem, ":")
	return txtar.File{Name: "osv/" + base + "/" + id + ".json", Data: fmt.Appendf(nil,
		`{"id":%q,"modified":%q,"affected":[{"package":{"ecosystem":%q,"name":%q},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":%q}]}]}]}`,
		id, modified, ecosystem, name, fixed)}
}
