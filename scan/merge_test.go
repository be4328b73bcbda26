// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scan_test

import (
	"testing"

	"github.com/bulwark-sec/bulwark/scan"
)

// Both files of a cask give one package, and it has what either says.
func TestCask(t *testing.T) {
	r := &room{dir: t.TempDir()}
	room := "opt/homebrew/Caskroom/shell-theme/.metadata/"
	s := new(stream)
	s.file(room+"1.4.0/20260123063509.412/Casks/shell-theme.json", `{"artifacts": []}`)
	s.file(room+"INSTALL_RECEIPT.json", `{"source": {"tap": "someone/themes", "version": "1.4.0"}, "arch": "arm64"}`)
	got, err := (&scan.Scanner{TempDir: t.TempDir(), InProcessUnsafe: true}).Run(t.Context(), r.layout(gz(s.end())))
	if err != nil {
		t.Fatal(err)
	}
	p := got.Inventory.Packages
	if len(p) != 1 || p[0].Vendor != "someone/themes" || p[0].PURL != "pkg:brew/shell-theme@1.4.0?type=cask" || len(p[0].Where) != 2 {
		t.Errorf("%+v", p)
	}
}
