// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark/policy/bundle"
)

// TestPortable: files that people name by any path can be kept.
func TestPortable(t *testing.T) {
	var files []bundle.File
	for _, name := range []string{"gate.yaml", "default/kev.yaml", "/etc/bulwark/p.yaml", "../../p.yaml", "up/up/p.yaml", "a/../../p.yaml", strings.Repeat("x/", 200) + "p.yaml", ""} {
		files = append(files, bundle.File{Name: name, Data: []byte("x: " + name)})
	}
	var got []string
	for _, f := range portable(files) {
		got = append(got, f.Name)
	}
	want := []string{"gate.yaml", "default/kev.yaml", "etc/bulwark/p.yaml", "up/up/p.yaml", "2-up/up/p.yaml", "up/p.yaml", "file.yaml", "2-file.yaml"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	var b bytes.Buffer
	if _, err := bundle.WriteUnsigned(&b, portable(files)); err != nil {
		t.Error(err)
	}
}
