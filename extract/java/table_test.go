// SPDX-License-Identifier: Apache-2.0

package java_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/java"
)

func section(s string) *io.SectionReader {
	return io.NewSectionReader(strings.NewReader(s), 0, int64(len(s)))
}

func sum(c byte) string { return strings.Repeat(string(c), 40) }

func TestImport(t *testing.T) {
	first := "sha1,group,artifact,version\n" +
		sum('b') + ",org.b,b,2\r\n" +
		"\"" + strings.ToUpper(sum('a')) + "\",\"org.a\",\"a\",\"1.0\"\n" +
		sum('c') + "\torg.c\tc\t3\textra\n" +
		"\n" +
		"no,line,at,all\n" +
		sum('d') + ",org.d,d,\n" +
		strings.Repeat("x", 600_000) + "\n" +
		sum('e') + " org.e:e:5"
	second := sum('b') + ";org.other;b;9\n" + sum('0') + ";org.zero;z;0.1\n"
	var out bytes.Buffer
	got, err := java.ImportCoordinates(t.Context(), &out, section(first), section(second))
	if err != nil {
		t.Fatal(err)
	}
	want := sum('0') + " org.zero:z:0.1\n" + sum('a') + " org.a:a:1.0\n" + sum('b') + " org.b:b:2\n" + sum('c') + " org.c:c:3\n" + sum('e') + " org.e:e:5\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(got.Sample, "line 6") && !strings.Contains(got.Sample, "line 1 ") {
		t.Error(got.Sample)
	}
	got.Sample = ""
	if diff := cmp.Diff(java.Imported{Archives: 5, Twice: 1, Bad: 3}, got); diff != "" {
		t.Error(diff)
	}
	if err := java.CheckCoordinates(t.Context(), &out); err != nil {
		t.Error(err)
	}
}

func TestImportNothing(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "titles": "sha1,group,artifact,version\n", "other": "a\nb\nc\n"} {
		if _, err := java.ImportCoordinates(t.Context(), io.Discard, section(text)); !errors.Is(err, bulwark.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := java.ImportCoordinates(ctx, io.Discard, section(strings.Repeat("x\n", 5000))); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	broken := io.NewSectionReader(broken{}, 0, 100)
	if _, err := java.ImportCoordinates(t.Context(), io.Discard, broken); err == nil {
		t.Error("no error although reads fail")
	}
}

// TestImportLarge sorts a list in parts.
func TestImportLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("a list of 70 MB")
	}
	var in strings.Builder
	r := rand.New(rand.NewPCG(1, 2))
	const n = 400_000
	long := strings.Repeat(".very", 20)
	for i := range n {
		fmt.Fprintf(&in, "%016x%016x%08x,org.example%s,lib%d,1.%d\n", r.Uint64(), r.Uint64(), r.Uint32(), long, i, i)
	}
	var out bytes.Buffer
	got, err := java.ImportCoordinates(t.Context(), &out, section(in.String()))
	if err != nil || got.Archives != n {
		t.Errorf("%+v, %v", got, err)
	}
	if err := java.CheckCoordinates(t.Context(), &out); err != nil {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	good := sum('a') + " a:b:1\n"
	for name, text := range map[string]string{
		"order":    sum('b') + " a:b:1\n" + good,
		"no-sum":   good + "what\n",
		"long":     good + sum('b') + " " + strings.Repeat("x", 5000) + "\n",
		"longest":  good + sum('b') + " " + strings.Repeat("x", 500_000) + "\n",
		"no-space": strings.Repeat("a", 60) + "\n",
	} {
		if err := java.CheckCoordinates(t.Context(), strings.NewReader(text)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	for name, text := range map[string]string{"empty": "", "one": good, "same": good + good, "without-end": strings.TrimSuffix(good, "\n")} {
		if err := java.CheckCoordinates(t.Context(), strings.NewReader(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzImport shows that whatever is taken in makes a table.
func FuzzImport(f *testing.F) {
	f.Add(sum('b') + ",org.b,b,2\n" + sum('a') + " a:b:1\n")
	f.Add("sha1;group\n\"" + sum('F') + "\";\"g\";\"a\";\"1\"")
	f.Fuzz(func(t *testing.T, text string) {
		var out bytes.Buffer
		if _, err := java.ImportCoordinates(t.Context(), &out, section(text)); err != nil {
			return
		}
		if err := java.CheckCoordinates(t.Context(), bytes.NewReader(out.Bytes())); err != nil {
			t.Errorf("%v: %q", err, out.String())
		}
		if _, err := java.NewCoordinates(bytes.NewReader(out.Bytes()), int64(out.Len())); err != nil {
			t.Error(err)
		}
	})
}
