// SPDX-License-Identifier: Apache-2.0

package sbom_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
	"github.com/bulwark-sec/bulwark/extract/sbom"
)

// describe writes an inventory in lines: package by package what matching needs,
// then the rest.
func describe(inv bulwark.Inventory, err error) string {
	var b strings.Builder
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, " %s=%s", name, value)
		}
	}
	for _, p := range inv.Packages {
		fmt.Fprintf(&b, "%s|%s|%s %s", p.Ecosystem, p.Name, p.Version, p.PURL)
		field("source", p.Source)
		field("sourceVersion", p.SourceVersion)
		field("arch", p.Arch)
		field("module", p.Module)
		field("owner", p.Owner)
		field("vendor", p.Vendor)
		field("licenses", strings.Join(p.Licenses, ","))
		if p.By != "sbom" {
			field("by", p.By)
		}
		if p.Dev {
			b.WriteString(" dev")
		}
		for _, w := range p.Where {
			fmt.Fprintf(&b, " @%s:%d", w.Path, w.Line)
			field("layer", w.Layer.Short())
			field("deleted", w.Deleted.Short())
		}
		b.WriteByte('\n')
	}
	if inv.OS != nil {
		out, _ := json.Marshal(inv.OS)
		fmt.Fprintf(&b, "os %s\n", out)
	}
	for _, l := range inv.Layers {
		fmt.Fprintf(&b, "layer %s\n", l.DiffID.Short())
	}
	for _, g := range inv.Gaps {
		fmt.Fprintf(&b, "gap %s %v %s\n", g.Kind, g.Hides, g.Detail)
	}
	if err != nil {
		fmt.Fprintf(&b, "error: %v\n", err)
	}
	return b.String()
}

func fixtures(tb testing.TB, try func(path string, data []byte, want string)) {
	tb.Helper()
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		tb.Fatal("no fixtures", err)
	}
	for _, name := range archives {
		a, err := txtar.ParseFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		want := map[string]string{}
		for _, f := range a.Files {
			want[f.Name] = string(f.Data)
		}
		for _, f := range a.Files {
			if !strings.HasSuffix(f.Name, ".want") {
				// "DIGEST" followed by a digit stands for a long digest.
				data := f.Data
				for _, n := range []string{"1", "2", "3"} {
					data = bytes.ReplaceAll(data, []byte("DIGEST"+n), []byte("sha256:"+strings.Repeat(n, 64)))
				}
				try(f.Name, data, want[f.Name+".want"])
			}
		}
	}
}

func TestFixtures(t *testing.T) {
	fixtures(t, func(path string, data []byte, want string) {
		t.Run(path, func(t *testing.T) {
			inv, err := sbom.Read(t.Context(), bulwark.MemoryFile(path, 0o644, data))
			if diff := cmp.Diff(want, describe(inv, err)); diff != "" {
				t.Error(diff)
			}
			if err != nil && !errors.Is(err, bulwark.ErrUnsupported) && strings.Contains(want, "not supported") {
				t.Errorf("error %v is not ErrUnsupported", err)
			}
		})
	})
}

func TestKit(t *testing.T) {
	seeds := map[string][]byte{}
	fixtures(t, func(path string, data []byte, want string) {
		if want != "" && !strings.Contains(want, "error:") && !strings.Contains(want, " by=") {
			seeds[path] = data
		}
	})
	extracttest.Extractor(t, sbom.Document{}, seeds)
}

func TestDeep(t *testing.T) {
	for _, text := range []string{
		`{"bomFormat":"CycloneDX","components":` + strings.Repeat(`[{"type":"library","components":`, 200_000),
		`{"bomFormat":"CycloneDX","components":[` + strings.Repeat(`{"components":[`, 4_000) + strings.Repeat(`]}`, 4_000) + `]}`,
		`{"bomFormat":"CycloneDX","x":` + strings.Repeat(`[`, 1_000_000),
		strings.Repeat(`{"predicate":`, 1_000_000),
	} {
		if inv, err := sbom.Read(t.Context(), bulwark.MemoryFile("a", 0, []byte(text))); len(inv.Packages) > 0 {
			t.Errorf("%d packages, %v", len(inv.Packages), err)
		}
	}
}

func TestTooLarge(t *testing.T) {
	_, err := sbom.Read(t.Context(), bulwark.ReaderFile("a", 0, bytes.NewReader(nil), 1<<40))
	if !errors.Is(err, bulwark.ErrTooLarge) {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	fixtures(f, func(_ string, data []byte, _ string) { f.Add(data) })
	f.Fuzz(func(t *testing.T, data []byte) {
		inv, _ := sbom.Read(t.Context(), bulwark.MemoryFile("a", 0, data))
		for _, p := range inv.Packages {
			if p.Name == "" || !strings.HasPrefix(p.PURL, "pkg:") || len(p.Where) == 0 {
				t.Errorf("%+v", p)
			}
		}
	})
}

// TestDeepXML: elements in elements end at a limit, whether they count or not.
func TestDeepXML(t *testing.T) {
	const head = `<bom xmlns="http://cyclonedx.org/schema/bom/1.6"><components>`
	component := `<component type="library"><purl>pkg:npm/a@1</purl><components>`
	for _, tt := range []struct {
		name, text string
		want       error
		packages   int
	}{
		{"skipped", head + strings.Repeat("<x>", 1_000_000), bulwark.ErrTooLarge, 0},
		{"components", head + strings.Repeat(component, 1_000_000), bulwark.ErrTooLarge, 0},
		{"left-out", head + strings.Repeat(component, 100) + strings.Repeat("</components></component>", 100) + "</components></bom>", nil, 1},
		{"text", head + `<component><purl>` + strings.Repeat("<x>", 1_000_000), bulwark.ErrTooLarge, 0},
	} {
		inv, err := sbom.Read(t.Context(), bulwark.MemoryFile("a", 0, []byte(tt.text)))
		if !errors.Is(err, tt.want) || len(inv.Packages) != tt.packages {
			t.Errorf("%s: %d packages, %v", tt.name, len(inv.Packages), err)
		}
		if tt.want == nil && (len(inv.Gaps) == 0 || !inv.Gaps[0].Hides) {
			t.Errorf("%s: no gap says that components are left out", tt.name)
		}
	}
}

// TestLongPieces: no piece of XML and no value of a tag is held beyond a limit.
func TestLongPieces(t *testing.T) {
	const head = `<bom xmlns="http://cyclonedx.org/schema/bom/1.6"><components><component type="library">`
	long := strings.Repeat("x", 5<<20)
	for name, text := range map[string]string{
		"text":    head + "<name>" + long + "</name>",
		"comment": head + "<!--" + long + "-->",
		"data":    head + "<![CDATA[" + long,
		"tag":     head + "<" + long,
		"value":   head + `<a b="` + long,
		"prolog":  `<?xml version="1.0"?><?` + long,
	} {
		if _, err := sbom.Read(t.Context(), bulwark.MemoryFile("a", 0, []byte(text))); !errors.Is(err, bulwark.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	long = strings.Repeat(long, 2)
	folded := strings.Repeat(strings.Repeat("x", 999)+"\n", len(long)/1000)
	for name, text := range map[string]string{
		"line": "SPDXVersion: SPDX-2.3\nPackageName: " + long,
		"text": "SPDXVersion: SPDX-2.3\nPackageComment: <text>" + folded,
	} {
		if _, err := sbom.Read(t.Context(), bulwark.MemoryFile("a", 0, []byte(text))); !errors.Is(err, bulwark.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What nobody asks for may be long.
	text := "SPDXVersion: SPDX-2.3\nLicenseID: LicenseRef-1\nExtractedText: <text>" + folded + "</text>\nPackageName: a\nExternalRef: PACKAGE-MANAGER purl pkg:npm/a@1\n"
	if inv, err := sbom.Read(t.Context(), bulwark.MemoryFile("a", 0, []byte(text))); err != nil || len(inv.Packages) != 1 {
		t.Errorf("%d packages, %v", len(inv.Packages), err)
	}
}
