// SPDX-License-Identifier: Apache-2.0

package serverless_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/serverless"
)

type extractor interface {
	Wants(path string, st bulwark.Stat) bool
	Inventory(ctx context.Context, f *bulwark.File) (bulwark.Inventory, error)
}

func read(t testing.TB, name string) (files []txtar.File, want []string) {
	t.Helper()
	a, err := txtar.ParseFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range a.Files {
		if f.Name == "want.txt" {
			want = strings.Split(strings.TrimSuffix(string(f.Data), "\n"), "\n")
		} else {
			files = append(files, f)
		}
	}
	return files, want
}

func TestDeclared(t *testing.T) {
	for _, name := range []string{"serverless.txtar", "real.txtar"} {
		t.Run(name, func(t *testing.T) { declared(t, name) })
	}
}

func declared(t *testing.T, name string) {
	t.Helper()
	files, want := read(t, name)
	var got []string
	for _, f := range files {
		if !(serverless.Declared{}).Wants(f.Name, bulwark.Stat{Size: int64(len(f.Data))}) {
			t.Errorf("%s is not wanted", f.Name)
		}
		inv, err := serverless.Declared{}.Inventory(t.Context(), bulwark.MemoryFile(f.Name, 0o644, f.Data))
		if err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
		for _, fn := range inv.Functions {
			got = append(got, fmt.Sprintf("%s: %s %s %s %s %s %v %v %d", fn.Path, fn.Name, fn.Provider, fn.Framework, fn.Runtime, fn.Handler, fn.Triggers, fn.Env, fn.Line))
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestCode(t *testing.T) {
	files, want := read(t, "code.txtar")
	var got []string
	for _, f := range files {
		_, name, _ := strings.Cut(f.Name, "/")
		for _, p := range []string{name, serverless.Task + "/" + name} {
			if !(serverless.Code{}).Wants(p, bulwark.Stat{Size: int64(len(f.Data))}) {
				t.Errorf("%s is not wanted", p)
			}
		}
		inv, err := serverless.Code{}.Inventory(t.Context(), bulwark.MemoryFile(name, 0o644, f.Data))
		if err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
		for _, fn := range inv.Functions {
			got = append(got, fmt.Sprintf("%s: %s %s %s %s", f.Name, fn.Provider, fn.Framework, fn.Runtime, fn.Handler))
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestWants(t *testing.T) {
	for p, want := range map[string]bool{"a/index.js": false, "index.js": true, "var/task/x/index.js": false, "bootstrap": true, "readme.md": false} {
		if got := (serverless.Code{}).Wants(p, bulwark.Stat{Size: 1}); got != want {
			t.Errorf("Code wants %s: %v", p, got)
		}
	}
	if (serverless.Declared{}).Wants("template.yaml", bulwark.Stat{Size: 1 << 30}) || (serverless.Declared{}).Wants("template.txt", bulwark.Stat{Size: 1}) {
		t.Error("wants what it does not read")
	}
}

// TestHostile shows that no damage, depth or alias does more than give an error.
func TestHostile(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'i'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	many := "Resources:\n" + strings.Repeat("  F: {Type: 'AWS::Lambda::Function'}\n", 1500)
	for name, b := range map[string]string{
		"bomb": bomb, "loop": "Resources: &r\n  F: *r\n", "deep": strings.Repeat("[", 100_000),
		"many": many, "binary": "\x00\xff\xfe", "number": "7", "long": "Resources: {F: {Type: 'AWS::Lambda::Function', Properties: {Runtime: " + strings.Repeat("x", 1<<20) + "}}}",
	} {
		for _, p := range []string{"template.yaml", "serverless.yml", "host.json", "function.json", "local.settings.json"} {
			inv, _ := serverless.Declared{}.Inventory(t.Context(), bulwark.MemoryFile(p, 0o644, []byte(b)))
			if len(inv.Functions) > 1000 {
				t.Errorf("%s as %s: %d functions", name, p, len(inv.Functions))
			}
			for _, f := range inv.Functions {
				if len(f.Runtime) > 10_000 {
					t.Errorf("%s as %s: a runtime of %d bytes", name, p, len(f.Runtime))
				}
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, x := range []extractor{serverless.Declared{}, serverless.Code{}} {
		if _, err := x.Inventory(ctx, bulwark.MemoryFile("template.yaml", 0o644, nil)); !errors.Is(err, context.Canceled) {
			t.Errorf("%T: %v", x, err)
		}
	}
}

func TestTruncated(t *testing.T) {
	for _, name := range []string{"serverless.txtar", "code.txtar"} {
		files, _ := read(t, name)
		for _, f := range files {
			for n := range f.Data {
				look(t, f.Name, f.Data[:n])
				flipped := bytes.Clone(f.Data)
				flipped[n] ^= 0x80
				look(t, f.Name, flipped)
			}
		}
	}
}

// look reads a file by both extractors; that they return is what is tested.
func look(t testing.TB, name string, b []byte) {
	for _, x := range []extractor{serverless.Declared{}, serverless.Code{}} {
		inv, err := x.Inventory(t.Context(), bulwark.MemoryFile(name, 0o644, b))
		if err != nil && len(inv.Functions) > 0 {
			t.Errorf("%q: functions and an error: %v", name, err)
		}
	}
}

func FuzzInventory(f *testing.F) {
	for _, name := range []string{"serverless.txtar", "real.txtar", "code.txtar"} {
		files, _ := read(f, name)
		for _, file := range files {
			f.Add(file.Name[strings.LastIndexByte(file.Name, '/')+1:], file.Data)
		}
	}
	f.Fuzz(func(t *testing.T, name string, b []byte) { look(t, name, b) })
}
