// SPDX-License-Identifier: Apache-2.0

package epss_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
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
	"github.com/bulwark-sec/bulwark/advisory/epss"
)

const daily = `#model_version:v2025.03.14,score_date:2026-11-20T12:55:00Z
cve,epss,percentile
CVE-1999-0001,0.01042,0.77004
CVE-2021-44228,0.94358,1.0

x,1,1
CVE-2020-0001,2,0
CVE-2020-0002,NaN,0
CVE-2020-0003,0.1
CVE-2020-0004,0.1,-0.1
CVE-2026-99999,0,0
`

func pack(text string) []byte {
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	_, _ = zw.Write([]byte(text))
	_ = zw.Close()
	return b.Bytes()
}

func parse(ctx context.Context, b []byte) (out []bulwark.Advisory, errs int) {
	for a, err := range (epss.Feed{}).Parse(ctx, fstest.MapFS{"epss.csv.gz": {Data: b}}) {
		if err != nil {
			errs++
			continue
		}
		out = append(out, a)
	}
	return out, errs
}

func TestParse(t *testing.T) {
	date := time.Date(2026, 11, 20, 12, 55, 0, 0, time.UTC)
	want := []bulwark.Advisory{
		{ID: "CVE-1999-0001", EPSS: 0.01042, EPSSRank: 0.77004, Modified: date, Feed: "epss"},
		{ID: "CVE-2021-44228", EPSS: 0.94358, EPSSRank: 1, Modified: date, Feed: "epss"},
		{ID: "CVE-2026-99999", Modified: date, Feed: "epss"},
	}
	for _, b := range [][]byte{pack(daily), []byte(daily), pack(strings.ReplaceAll(daily, "\n", "\r\n"))} {
		got, errs := parse(t.Context(), b)
		if d := cmp.Diff(want, got); d != "" || errs != 5 {
			t.Errorf("%d errors, %s", errs, d)
		}
	}
	// Columns by their names, dates in other forms.
	got, errs := parse(t.Context(), []byte("#score_date:2024-01-02T00:00:00+0000\npercentile,extra,cve,epss\n0.5,x,CVE-2020-0001,0.25\n"))
	if errs != 0 || len(got) != 1 || got[0].EPSS != 0.25 || got[0].EPSSRank != 0.5 || got[0].Modified.Year() != 2024 {
		t.Errorf("%+v, %d errors", got, errs)
	}
	for name, bad := range map[string][]byte{"empty": nil, "header": []byte("cve,score\n"), "long-line": []byte(strings.Repeat("x", 10000)), "gzip": []byte("\x1f\x8b\x08"), "comment": []byte("#model\n")} {
		if got, errs := parse(t.Context(), bad); len(got) != 0 || errs != 1 {
			t.Errorf("%s: %+v, %d errors", name, got, errs)
		}
	}
	whole := pack(daily)
	for n := 1; n < len(whole); n *= 2 {
		if _, errs := parse(t.Context(), whole[:n]); errs == 0 {
			t.Errorf("%d of %d bytes are all", n, len(whole))
		}
	}
	for range (epss.Feed{}).Parse(t.Context(), fstest.MapFS{"epss.csv.gz": {Data: whole}}) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, errs := parse(ctx, whole); len(got) != 0 || errs != 1 {
		t.Error("goes on after the end")
	}
}

func TestFetch(t *testing.T) {
	whole, status := pack(daily), http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.WriteHeader(status)
		_, _ = w.Write(whole)
	}))
	defer srv.Close()
	get := func(last string) (string, []byte, error) {
		var b bytes.Buffer
		zw := zip.NewWriter(&b)
		mark, err := epss.Feed{URL: srv.URL}.Fetch(t.Context(), srv.Client(), zw, last)
		if err != nil {
			return mark, nil, err
		}
		if err := zw.Close(); err != nil {
			t.Fatal(err)
		}
		zr, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		f, err := zr.Open("epss.csv.gz")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(f)
		return mark, text, err
	}
	mark, b, err := get("")
	if err != nil || !bytes.Equal(b, whole) || mark != `etag "1"` {
		t.Errorf("%q, %v", mark, err)
	}
	if _, _, err := get(mark); !errors.Is(err, bulwark.ErrUnchanged) {
		t.Error(err)
	}
	status = http.StatusNotFound
	if _, _, err := get(""); !errors.Is(err, bulwark.ErrNotFound) {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(pack(daily))
	f.Add([]byte(daily))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, _ := parse(context.Background(), b)
		for _, a := range got {
			if !(a.EPSS >= 0 && a.EPSS <= 1 && a.EPSSRank >= 0 && a.EPSSRank <= 1) {
				t.Errorf("%+v", a)
			}
		}
	})
}
