// SPDX-License-Identifier: Apache-2.0

package kev_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory/kev"
)

const catalogue = `{"title":"CISA","count":3,"x":{"y":[1,{"z":null}]},"vulnerabilities":[
{"cveID":"CVE-2025-48384","vulnerabilityName":"Git Link Following","dateAdded":"2025-08-25","dueDate":"2025-09-15","cwes":["CWE-59"]},
{"cveID":"GHSA-1"},
{"cveID":7},
{"cveID":"CVE-2020-0001","dateAdded":"soon","dueDate":""}
],"after":1}`

func parse(ctx context.Context, text string) (out []bulwark.Advisory, errs int) {
	for a, err := range (kev.Feed{}).Parse(ctx, fstest.MapFS{"kev.json": {Data: []byte(text)}}) {
		if err != nil {
			errs++
			continue
		}
		out = append(out, a)
	}
	return out, errs
}

func TestParse(t *testing.T) {
	got, errs := parse(t.Context(), catalogue)
	day := func(m time.Month, d int) time.Time { return time.Date(2025, m, d, 0, 0, 0, 0, time.UTC) }
	want := []bulwark.Advisory{
		{ID: "CVE-2025-48384", Summary: "Git Link Following", Modified: day(8, 25), Due: day(9, 15), Exploited: true, Feed: "kev"},
		{ID: "CVE-2020-0001", Exploited: true, Feed: "kev"},
	}
	if d := cmp.Diff(want, got); d != "" || errs != 2 {
		t.Errorf("%d errors, %s", errs, d)
	}
	for _, bad := range []string{"", "[]", "{}", `"x"`, `{"vulnerabilities":{}}`, `{"vulnerabilities":[{]}`, `{"vulnerabilities":[]`} {
		if _, errs := parse(t.Context(), bad); errs != 1 {
			t.Errorf("%q: %d errors", bad, errs)
		}
	}
	for n := 1; n < len(catalogue); n *= 2 {
		if _, errs := parse(t.Context(), catalogue[:n]); errs == 0 {
			t.Errorf("%d of %d bytes are a catalogue", n, len(catalogue))
		}
	}
	for range (kev.Feed{}).Parse(t.Context(), fstest.MapFS{"kev.json": {Data: []byte(catalogue)}}) {
		break
	}
	if _, errs := parse(t.Context(), ""); errs != 1 {
		t.Error("no file, no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, errs := parse(ctx, catalogue); len(got) != 0 || errs != 1 {
		t.Error("goes on after the end")
	}
}

func TestFetch(t *testing.T) {
	for _, tag := range []string{"ETag", "Last-Modified", ""} {
		status := http.StatusOK
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			value := map[string]string{"ETag": `"abc"`, "Last-Modified": "Mon, 25 Aug 2025 17:00:00 GMT"}[tag]
			if tag != "" {
				w.Header().Set(tag, value)
				if r.Header.Get("If-None-Match") == value || r.Header.Get("If-Modified-Since") == value {
					w.WriteHeader(http.StatusNotModified)
					return
				}
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, catalogue)
		}))
		get := func(last string) (string, string, error) {
			var b bytes.Buffer
			zw := zip.NewWriter(&b)
			mark, err := kev.Feed{URL: srv.URL}.Fetch(t.Context(), srv.Client(), zw, last)
			if err != nil {
				return mark, "", err
			}
			if err := zw.Close(); err != nil {
				t.Fatal(err)
			}
			zr, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
			if err != nil {
				t.Fatal(err)
			}
			f, err := zr.Open("kev.json")
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(f)
			return mark, string(text), err
		}
		mark, text, err := get("")
		if err != nil || text != catalogue || (mark == "") != (tag == "") {
			t.Errorf("%q: %q, %v", tag, mark, err)
		}
		if again, _, err := get(mark); tag != "" && (!errors.Is(err, bulwark.ErrUnchanged) || again != mark) {
			t.Errorf("%q: %q, %v", tag, again, err)
		}
		status = http.StatusNotFound
		if _, _, err := get("etag other"); !errors.Is(err, bulwark.ErrNotFound) {
			t.Error(err)
		}
		status = http.StatusForbidden
		if _, _, err := get(""); err == nil || !strings.Contains(err.Error(), "403") {
			t.Error(err)
		}
		srv.Close()
	}
}

func FuzzParse(f *testing.F) {
	f.Add(catalogue)
	f.Add(`{"vulnerabilities":[{}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		got, _ := parse(context.Background(), text)
		for _, a := range got {
			if !strings.HasPrefix(a.ID, "CVE-") || !a.Exploited {
				t.Errorf("%+v", a)
			}
		}
	})
}
