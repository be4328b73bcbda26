// SPDX-License-Identifier: Apache-2.0

package osv_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory/osv"
)

var update = flag.Bool("update", false, "write what tests want anew")

// dotted orders versions that are numbers with dots; others have no order.
func dotted(_, a, b string) (int, error) {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(x), len(y)) {
		var n [2]int
		for j, l := range [][]string{x, y} {
			if i < len(l) {
				v, err := strconv.Atoi(l[i])
				if err != nil {
					return 0, fmt.Errorf("version: %w", err)
				}
				n[j] = v
			}
		}
		if n[0] != n[1] {
			return n[0] - n[1], nil
		}
	}
	return 0, nil
}

var feed = osv.Feed{Ecosystem: "Test", Compare: dotted}

// TestRecord reads testdata/records.txtar: NAME.json in, NAME.want out, which is
// the advisory as JSON, or "error: " and the error.
func TestRecord(t *testing.T) {
	const name = "testdata/records.txtar"
	ar, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	var out []txtar.File
	for _, f := range ar.Files {
		if base, ok := strings.CutSuffix(f.Name, ".want"); ok {
			want[base] = string(f.Data)
		}
	}
	for _, f := range ar.Files {
		base, ok := strings.CutSuffix(f.Name, ".json")
		if !ok {
			continue
		}
		var got []byte
		a, err := feed.Record(f.Data)
		if err != nil {
			got = fmt.Appendf(nil, "error: %v", err)
		} else if got, err = json.MarshalIndent(a, "", " "); err != nil {
			t.Fatal(err)
		}
		got = append(got, '\n')
		if d := cmp.Diff(want[base], string(got)); d != "" && !*update {
			t.Errorf("%s: %s", base, d)
		}
		out = append(out, f, txtar.File{Name: base + ".want", Data: got})
	}
	if *update {
		ar.Files = out
		if err := os.WriteFile(name, txtar.Format(ar), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLongMembersAreCut(t *testing.T) {
	refs, aliases := []map[string]string{}, []string{}
	for i := range 5000 {
		refs = append(refs, map[string]string{"url": fmt.Sprintf("https://example.org/%d", i)})
		aliases = append(aliases, fmt.Sprintf("A-%d", i))
	}
	b, _ := json.Marshal(map[string]any{"id": "X", "summary": strings.Repeat("é", 1000), "details": strings.Repeat("é", 10000), "references": refs, "aliases": aliases})
	a, err := feed.Record(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Summary) > 300 || len(a.Details) > 2000 || len(a.References) != 30 || len(a.Aliases) != 4000 || !strings.HasSuffix(a.Details, "é…") {
		t.Errorf("%d, %d, %d, %d", len(a.Summary), len(a.Details), len(a.References), len(a.Aliases))
	}
}

func TestParse(t *testing.T) {
	fsys := fstest.MapFS{
		"all/A-1:2.json": {Data: []byte(`{"id":"A-1:2"}`)},
		"all/B.json":     {Data: []byte(`{"id":`)},
		"all/C.json":     {Data: []byte(`{"id":"C"}`)},
		"all/readme.txt": {Data: []byte(`no record`)},
		"delta/D.json":   {Data: []byte(`{"id":"D","withdrawn":"2020-01-01T00:00:00Z"}`)},
	}
	var got []string
	for a, err := range feed.Parse(t.Context(), fsys) {
		if err != nil {
			if !strings.Contains(err.Error(), `"all/B.json"`) {
				t.Errorf("error does not name the file: %v", err)
			}
			got = append(got, "error")
			continue
		}
		got = append(got, a.ID)
	}
	if d := cmp.Diff([]string{"A-1:2", "error", "C", "D"}, got); d != "" {
		t.Error(d)
	}
	for range feed.Parse(t.Context(), fsys) {
		break // must not go on
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n := 0
	for _, err := range feed.Parse(ctx, fsys) {
		if n++; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if n != 1 {
		t.Errorf("%d answers after the end", n)
	}
}

func TestVersionsWithoutOrder(t *testing.T) {
	// Without an order, and with versions that have none, the events are taken as
	// they are written.
	rec := []byte(`{"id":"X","affected":[{"package":{"ecosystem":"Test","name":"n"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"3"},{"fixed":"4"},{"introduced":"0"},{"fixed":"2"},{"introduced":"z"},{"introduced":"9"}]}]}]}`)
	want := []bulwark.Range{{Introduced: "3", Fixed: "4"}, {Introduced: "0", Fixed: "2"}, {Introduced: "z"}, {Introduced: "9"}}
	for _, f := range []osv.Feed{{}, feed} {
		a, err := f.Record(rec)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, a.Affected[0].Ranges); d != "" {
			t.Error(d)
		}
	}
}

func FuzzRecord(f *testing.F) {
	ar, err := txtar.ParseFile("testdata/records.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range ar.Files {
		if strings.HasSuffix(file.Name, ".json") {
			f.Add(file.Data)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := feed.Record(b)
		if err != nil {
			return
		}
		if a.ID == "" || len(a.Summary) > 300 || len(a.Details) > 2000 || a.Score < 0 || a.Score > 10 {
			t.Errorf("%+v", a)
		}
		if _, err := json.Marshal(a); err != nil {
			t.Error(err)
		}
	})
}

func TestTruncated(t *testing.T) {
	ar, err := txtar.ParseFile("testdata/records.txtar")
	if err != nil {
		t.Fatal(err)
	}
	whole := bytes.TrimSpace(ar.Files[0].Data)
	for n := 1; n < len(whole); n *= 2 {
		if _, err := feed.Record(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes are a record", n, len(whole))
		}
	}
}

// archive makes a zip of files.
func archive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	zw := zip.NewWriter(&b)
	for name, text := range files {
		w, err := zw.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte(text))
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func fetch(t *testing.T, files map[string]string, last string) (mark string, names []string, err error) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, text)
	}))
	defer srv.Close()
	var b bytes.Buffer
	zw := zip.NewWriter(&b)
	mark, err = osv.Feed{Base: srv.URL + "/", Ecosystem: "Red Hat"}.Fetch(t.Context(), srv.Client(), zw, last)
	if e := zw.Close(); e != nil {
		t.Fatal(e)
	}
	zr, e := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if e != nil {
		t.Fatal(e)
	}
	for _, f := range zr.File {
		rc, e := f.Open()
		if e != nil {
			t.Fatal(e)
		}
		if _, e := io.Copy(io.Discard, rc); e != nil {
			t.Fatal(e)
		}
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return mark, names, err
}

func TestFetch(t *testing.T) {
	zipped := string(archive(t, map[string]string{"RHSA-1:1.json": `{"id":"RHSA-1:1"}`}))
	hostile := string(archive(t, map[string]string{"../../etc/passwd.json": "{}", "/abs.json": "{}", "sub\\b.json": "{}", "dir/": "", ".hidden.json": "{}", "x.txt": ""}))
	csv := "2026-01-02T00:00:00.123456789123456Z,RHSA-1:1\n2026-01-01T00:00:00Z,RHSA-0:1\n"
	files := map[string]string{"/Red Hat/modified_id.csv": csv, "/Red Hat/all.zip": zipped, "/Red Hat/RHSA-1:1.json": `{"id":"RHSA-1:1"}`, "/Red Hat/RHSA-0:1.json": `{"id":"RHSA-0:1"}`}
	mark, names, err := fetch(t, files, "")
	if err != nil || mark == "" {
		t.Fatal(mark, err)
	}
	if d := cmp.Diff([]string{"all/RHSA-1:1.json"}, names); d != "" {
		t.Error(d)
	}
	if again, _, err := fetch(t, files, mark); !errors.Is(err, bulwark.ErrUnchanged) || again != mark {
		t.Error(again, err)
	}
	for last, want := range map[string][]string{
		"2026-01-01T00:00:00Z 0123":         {"delta/RHSA-0:1.json", "delta/RHSA-1:1.json"},
		"2026-01-01T00:00:01Z 0123":         {"delta/RHSA-1:1.json"},
		"2027-01-01T00:00:00Z 0123":         {"all/RHSA-1:1.json"}, // the source went back in time
		"no mark":                           {"all/RHSA-1:1.json"},
		strings.Replace(mark, " ", " x", 1): {"delta/RHSA-1:1.json"}, // another record with the same time
	} {
		_, names, err := fetch(t, files, last)
		if err != nil {
			t.Error(last, err)
		}
		if d := cmp.Diff(want, names); d != "" {
			t.Error(last, d)
		}
	}
	files["/Red Hat/all.zip"] = hostile
	if _, names, err = fetch(t, files, ""); err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if strings.Contains(n, "..") || strings.Contains(n, "\\") || !strings.HasPrefix(n, "all/") || strings.Count(n, "/") != 1 {
			t.Errorf("name %q", n)
		}
	}
	delete(files, "/Red Hat/modified_id.csv")
	if mark, names, err = fetch(t, files, mark); err != nil || mark != "" || len(names) != 3 {
		t.Error(mark, names, err)
	}
	for name, bad := range map[string]string{"long": strings.Repeat("x", 5000) + "\n", "no-comma": "2026-01-01T00:00:00Z\n", "time": "yesterday,A\n", "path": "2026-01-01T00:00:00Z,../x\n"} {
		files["/Red Hat/modified_id.csv"] = bad
		if _, _, err := fetch(t, files, ""); err == nil {
			t.Errorf("list %q is taken", name)
		}
	}
	delete(files, "/Red Hat/modified_id.csv")
	files["/Red Hat/all.zip"] = "PK"
	if _, _, err := fetch(t, files, ""); err == nil {
		t.Error("a broken archive is taken")
	}
}

func TestEcosystems(t *testing.T) {
	text := "npm\nAlpine:v3.19\nAlpine\nRed Hat\nGIT\n../etc\n[EMPTY]\n\n.x\n"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }))
	defer srv.Close()
	got, err := osv.Ecosystems(t.Context(), srv.Client(), srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"Alpine", "Red Hat", "npm"}, got); d != "" {
		t.Error(d)
	}
	text = "<html>"
	if _, err := osv.Ecosystems(t.Context(), srv.Client(), srv.URL); !errors.Is(err, bulwark.ErrNotFound) {
		t.Error(err)
	}
}

func TestScore(t *testing.T) {
	for v, want := range map[string]float64{
		"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H":                    9.8,
		"CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H":                    10,
		"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N": 9.3,
	} {
		if _, got, ok := osv.Score(v); !ok || got != want {
			t.Errorf("%s: %.1f, want %.1f", v, got, want)
		}
	}
	for _, v := range []string{"", "AV:N/AC:L/Au:N/C:P/I:P/A:P", "CVSS:3.1/AV:N", "CVSS:4.0/", "CVSS:3.1/" + strings.Repeat("AV:N/", 1000)} {
		if _, _, ok := osv.Score(v); ok {
			t.Errorf("%.40q is a vector", v)
		}
	}
}

func TestTimes(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-01-02T03:04:05Z":                     time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		"2026-01-02T03:04:05.1234567890123456789Z": time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC),
		"0001-01-01T00:00:00Z":                     {},
		"2026":                                     {},
		"2026-13-01T00:00:00Z":                     {},
	} {
		a, err := feed.Record(fmt.Appendf(nil, `{"id":"X","modified":%q}`, text))
		if err != nil || !a.Modified.Equal(want) {
			t.Errorf("%s: %s, %v", text, a.Modified, err)
		}
	}
}
