// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/bulwark-sec/bulwark"
)

// TestWebClient trusts the authority of a file, and refuses a file without one.
func TestWebClient(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := (&reach{caFile: ca}).webClient()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	c.CloseIdleConnections()
	if err := os.WriteFile(ca, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (&reach{caFile: ca}).webClient(); !errors.Is(err, bulwark.ErrUsage) {
		t.Error(err)
	}
	if c, err := (&reach{}).webClient(); c != nil || err != nil {
		t.Error(c, err)
	}
}

// TestPins reads keys and files of keys; what was typed counts alone.
func TestPins(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte("# ours\ned25519:one\n\n ed25519:two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k := pins{configured: []string{"ed25519:zero", file}}
	got, err := k.list()
	if d := cmp.Diff([]string{"ed25519:zero", "ed25519:one", "ed25519:two"}, got); d != "" || err != nil {
		t.Error(d, err)
	}
	k.typed = []string{"ed25519:x"}
	if got, err = k.list(); err != nil || len(got) != 1 {
		t.Error(got, err)
	}
	for _, bad := range []string{"nowhere", os.DevNull} {
		k.typed = []string{bad}
		if got, err := k.list(); err == nil {
			t.Errorf("%q gives %q", bad, got)
		}
	}
}

func TestConfigurable(t *testing.T) {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.String("from", "", "")
	f.String("to", "", "")
	if err := f.SetAnnotation("from", typedOnly, nil); err != nil {
		t.Fatal(err)
	}
	if out := configurable(f); out.Lookup("from") != nil || out.Lookup("to") == nil {
		t.Error("configuration sets what it must not, or cannot set what it may")
	}
}

// TestOneLine keeps text of a database from steering a terminal.
func TestOneLine(t *testing.T) {
	if got := oneLine("a\x1b[2Jb\nc", 100); got != "a?[2Jb?c" {
		t.Errorf("%q", got)
	}
	if got := oneLine("äöüß", 3); got != "äö…" {
		t.Errorf("%q", got)
	}
}
