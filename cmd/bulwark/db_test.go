// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// buildExport writes folders of OSV records in the layout of the OSV.dev export,
// so that "bulwark db import OUT" works without a network:
//
//	db OUT DIR…
//
// A record goes to every ecosystem that it names. The file kev.json, if there is
// one, is CISA's catalogue.
func buildExport(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: db OUT DIR…")
	}
	out := ts.MkAbs(args[0])
	ts.Check(os.RemoveAll(out))
	archives := map[string]map[string][]byte{} // ecosystem → id → record
	modified := map[string]string{}
	for _, dir := range args[1:] {
		names, err := filepath.Glob(filepath.Join(ts.MkAbs(dir), "*.json"))
		ts.Check(err)
		for _, name := range names {
			b, err := os.ReadFile(name)
			ts.Check(err)
			if filepath.Base(name) == "kev.json" {
				ts.Check(write(filepath.Join(out, "kev", "known_exploited_vulnerabilities.json"), b))
				continue
			}
			var r struct {
				ID       string
				Modified string
				Affected []struct{ Package struct{ Ecosystem string } }
			}
			if err := json.Unmarshal(b, &r); err != nil {
				ts.Fatalf("%s: %v", name, err)
			}
			modified[r.ID] = r.Modified
			for _, a := range r.Affected {
				eco, _, _ := strings.Cut(a.Package.Ecosystem, ":")
				if archives[eco] == nil {
					archives[eco] = map[string][]byte{}
				}
				archives[eco][r.ID] = b
			}
		}
	}
	list := ""
	for eco, records := range archives {
		list += eco + "\n"
		ids := []string{}
		for id := range records {
			ids = append(ids, id)
		}
		// The newest record first, as in the export.
		slices.SortFunc(ids, func(a, b string) int {
			return strings.Compare(modified[b]+b, modified[a]+a)
		})
		var z bytes.Buffer
		w := zip.NewWriter(&z)
		csv := ""
		for _, id := range ids {
			f, err := w.Create(id + ".json")
			ts.Check(err)
			_, err = f.Write(records[id])
			ts.Check(err)
			csv += fmt.Sprintf("%s,%s\n", modified[id], id)
			ts.Check(write(filepath.Join(out, "osv", eco, id+".json"), records[id]))
		}
		ts.Check(w.Close())
		ts.Check(write(filepath.Join(out, "osv", eco, "all.zip"), z.Bytes()))
		ts.Check(write(filepath.Join(out, "osv", eco, "modified_id.csv"), []byte(csv)))
	}
	ts.Check(write(filepath.Join(out, "osv", "ecosystems.txt"), []byte(list)))
}

func write(name string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	return os.WriteFile(name, b, 0o666)
}
