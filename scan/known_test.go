// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scan_test

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check/malware"
	"github.com/bulwark-sec/bulwark/internal/diskcache"
	"github.com/bulwark-sec/bulwark/scan"
)

// script is a script that no rule knows.
const script = "#!/bin/sh\necho a script that no rule knows\n"

// listed gives a list that knows contents by their SHA-256.
func listed(t *testing.T, contents ...string) malware.Hashes {
	t.Helper()
	var b malware.HashBuilder
	var list strings.Builder
	list.WriteString(strings.Repeat("00", 32) + "  Nothing\n")
	for _, c := range contents {
		sum := sha256.Sum256([]byte(c))
		fmt.Fprintf(&list, "%s  Test.Listed\n", hex.EncodeToString(sum[:]))
	}
	if _, err := b.Add(strings.NewReader(list.String()), "list"); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := b.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	s, err := malware.OpenHashSet(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func zipOf(t *testing.T, name, content string) string {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	w, err := z.Create(name)
	if err == nil {
		_, err = io.WriteString(w, content)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// bad gives the findings of malware: rule, path, and whether a later layer hides it.
func bad(r *bulwark.Report) []string {
	out := []string{}
	for _, f := range r.Findings {
		if f.Class != bulwark.ClassMalware {
			continue
		}
		for _, e := range f.Evidence {
			out = append(out, strings.TrimSpace(f.Rule+" "+e.Path+" "+map[bool]string{true: "deleted"}[e.Deleted != ""]))
		}
	}
	slices.Sort(out)
	return out
}

func hasGap(r *bulwark.Report, detail string) bool {
	return slices.ContainsFunc(r.Inventory.Gaps, func(g bulwark.Gap) bool { return strings.Contains(g.Detail, detail) })
}

// A list of tomorrow finds what was scanned today although the bytes of the layers
// are gone, which whoever reads them is told: nothing is read but what was kept.
func TestTomorrowsList(t *testing.T) {
	r := &room{dir: t.TempDir()}
	layers := []layer{
		gz(new(stream).npm("good", "1.0.0").file("opt/run.sh", script).end()),
		gz(new(stream).file("opt/a.zip", zipOf(t, "in/run.sh", script)).file("opt/note.txt", script[10:]).end()),
		gz(new(stream).file("opt/.wh.run.sh", "").end()),
	}
	target := r.layout(layers...)
	s := scan.Scanner{Tool: bulwark.Tool{Name: "bulwark", Version: "test"}, TempDir: t.TempDir(), Cache: diskcache.Open(t.TempDir(), 1<<30), Malware: true}
	run := func() *bulwark.Report {
		t.Helper()
		out, err := s.Run(t.Context(), target)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	today := run()
	if got := bad(today); len(got) != 0 || today.Scan.Bytes == 0 {
		t.Fatalf("today: %v, %d bytes read", got, today.Scan.Bytes)
	}
	for _, l := range layers {
		must(os.WriteFile(filepath.Join(r.path("layout/blobs"), strings.Replace(l.digest, ":", "/", 1)), make([]byte, l.size), 0o600))
	}
	fresh := s
	fresh.Cache = nil
	if _, err := fresh.Run(t.Context(), target); err == nil {
		t.Fatal("the layers can be read still")
	}
	want := []string{"malware/known-digest opt/a.zip!/in/run.sh", "malware/known-digest opt/run.sh deleted"}
	s.Hashes = listed(t, script)
	tomorrow := run()
	if diff := cmp.Diff(want, bad(tomorrow)); diff != "" {
		t.Error(diff)
	}
	if tomorrow.Scan.Cached != 3 || tomorrow.Scan.Bytes != 0 {
		t.Errorf("%d of 3 layers were kept, %d bytes were read", tomorrow.Scan.Cached, tomorrow.Scan.Bytes)
	}
	if rule := tomorrow.Rules["malware/known-digest"]; rule.Severity != bulwark.SeverityCritical {
		t.Errorf("its rule: %+v", rule)
	}
	// The same of a saved report.
	judged, err := s.Rejudge(t.Context(), today)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, bad(judged)); diff != "" || judged.Rules["malware/known-digest"].ID == "" {
		t.Error("saved report:", diff)
	}
	// Another list takes the place of the one that was asked before.
	s.Hashes = listed(t)
	if judged, err = s.Rejudge(t.Context(), judged); err != nil || len(bad(judged)) != 0 {
		t.Errorf("another list: %v, %v", bad(judged), err)
	}
	// Without what was kept the old answer stands, and that is told, once.
	s.Hashes, s.Cache = listed(t, script), nil
	for range 2 {
		if tomorrow, err = s.Rejudge(t.Context(), tomorrow); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for _, g := range tomorrow.Inventory.Gaps {
		if strings.Contains(g.Detail, "scan it again") {
			n++
		}
	}
	if diff := cmp.Diff(want, bad(tomorrow)); diff != "" || n != 1 {
		t.Error("nothing kept:", n, "gaps;", diff)
	}
}

// What is not kept is asked about in the same scan, with and without the sandbox.
func TestListAtOnce(t *testing.T) {
	dir := t.TempDir()
	must(os.MkdirAll(filepath.Join(dir, "opt"), 0o700))
	must(os.WriteFile(filepath.Join(dir, "opt/run.sh"), []byte(script), 0o600))
	lib := string(noise(2 << 20))
	must(os.WriteFile(filepath.Join(dir, "opt/lib.so.1"), []byte("\x7fELF\x02\x01\x01"+lib), 0o600))
	for _, inProcess := range []bool{false, true} {
		s := scan.Scanner{TempDir: t.TempDir(), Malware: true, Hashes: listed(t, script), InProcessUnsafe: inProcess}
		r, err := s.Run(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"malware/known-digest opt/run.sh"}, bad(r)); diff != "" {
			t.Error(diff)
		}
		if !hasGap(r, "1 shared libraries of more than 1 MiB have no digest") {
			t.Errorf("nothing is told of the large library: %+v", r.Inventory.Gaps)
		}
	}
}

// Rules of the user's own reach the parser.
func TestOwnRules(t *testing.T) {
	dir := t.TempDir()
	must(os.WriteFile(filepath.Join(dir, "run.sh"), []byte(script), 0o600))
	rules := [][]byte{
		[]byte("rules:\n- {id: mine, title: Mine, severity: high, family: test, on: [shell], strings: {a: that no rule}}\n"),
		[]byte("rules:\n- {id: other, title: Other, severity: low, family: test, on: [shell], strings: {a: not there}}\n"),
	}
	for _, inProcess := range []bool{false, true} {
		s := scan.Scanner{TempDir: t.TempDir(), Malware: true, Rules: rules, InProcessUnsafe: inProcess}
		r, err := s.Run(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"malware/mine run.sh"}, bad(r)); diff != "" || r.Rules["malware/mine"].Title != "Mine" {
			t.Error(r.Rules, diff)
		}
	}
}

// A clamdServer is the daemon's side of INSTREAM.
type clamdServer struct {
	mu      sync.Mutex
	streams int
	answers int // streams that it answers; then it hangs up
	wg      sync.WaitGroup
}

func (d *clamdServer) dial(context.Context) (io.ReadWriteCloser, error) {
	ours, theirs := net.Pipe()
	d.wg.Go(func() { d.serve(theirs) })
	return ours, nil
}

func (d *clamdServer) serve(c net.Conn) {
	defer c.Close()
	br := bufio.NewReader(c)
	if command, err := br.ReadString(0); err != nil || command != "zINSTREAM\x00" {
		return
	}
	var all []byte
	for {
		var n [4]byte
		if _, err := io.ReadFull(br, n[:]); err != nil {
			return
		}
		if n == [4]byte{} {
			break
		}
		b := make([]byte, binary.BigEndian.Uint32(n[:]))
		if _, err := io.ReadFull(br, b); err != nil {
			return
		}
		all = append(all, b...)
	}
	d.mu.Lock()
	d.streams++
	answer := d.streams <= d.answers
	d.mu.Unlock()
	reply := "stream: OK\x00"
	if bytes.Contains(all, []byte("no rule knows")) {
		reply = "stream: Test.Signature FOUND\x00"
	}
	if answer {
		io.WriteString(c, reply)
	}
}

// A daemon is asked about programs, scripts and archives, small and large, in
// several layers at once; what it will not take is told.
func TestDaemon(t *testing.T) {
	large := script + strings.Repeat("# filled\n", 600_000)
	huge := script + strings.Repeat("# filled\n", 800_000)
	r := &room{dir: t.TempDir()}
	var layers []layer
	for i := range 4 {
		layers = append(layers, gz(new(stream).file(fmt.Sprintf("opt/%d/run.sh", i), script+strings.Repeat("\n", i)).
			file(fmt.Sprintf("opt/%d/large.sh", i), large).file(fmt.Sprintf("opt/%d/good.sh", i), "#!/bin/sh\necho nothing at all here\n").
			file(fmt.Sprintf("opt/%d/huge.sh", i), huge).file(fmt.Sprintf("opt/%d/data.txt", i), script[10:]).end()))
	}
	target := r.layout(layers...)
	var want []string
	for i := range 4 {
		want = append(want, fmt.Sprintf("malware/clamav opt/%d/large.sh", i), fmt.Sprintf("malware/clamav opt/%d/run.sh", i))
	}
	for _, inProcess := range []bool{false, true} {
		d := &clamdServer{answers: 1000}
		s := scan.Scanner{
			Tool: bulwark.Tool{Version: "test"}, TempDir: t.TempDir(), Cache: diskcache.Open(t.TempDir(), 1<<30), Parallel: 3, Malware: true, InProcessUnsafe: inProcess,
			Clamd: &malware.Clamd{Dial: d.dial, Limit: 6 << 20, Timeout: time.Minute}, Daemon: "ClamAV 1/1",
		}
		for try := range 2 {
			got, err := s.Run(t.Context(), target)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, bad(got)); diff != "" {
				t.Error(diff)
			}
			if !hasGap(got, "more than 6291456 bytes") || got.Scan.Cached != 4*try {
				t.Errorf("try %d: %d layers were kept; gaps %+v", try, got.Scan.Cached, got.Inventory.Gaps)
			}
		}
		d.wg.Wait()
		if d.streams != 12 {
			t.Errorf("%d questions, want 12", d.streams)
		}
		s.Daemon = "ClamAV 1/2"
		if got, err := s.Run(t.Context(), target); err != nil || got.Scan.Cached != 0 {
			t.Errorf("new signatures: %d layers were not asked about again, %v", got.Scan.Cached, err)
		}
	}
}

// A daemon that goes away leaves gaps, is soon left alone, and what it did not see
// is not kept.
func TestDaemonGoesAway(t *testing.T) {
	r := &room{dir: t.TempDir()}
	files := new(stream)
	for i := range 20 {
		files.file(fmt.Sprintf("opt/%d.sh", i), script)
	}
	target := r.layout(gz(files.end()))
	d := &clamdServer{answers: 3}
	s := scan.Scanner{
		Tool: bulwark.Tool{Version: "test"}, TempDir: t.TempDir(), Cache: diskcache.Open(t.TempDir(), 1<<30), Malware: true,
		Clamd: &malware.Clamd{Dial: d.dial}, Daemon: "ClamAV 1/1",
	}
	got, err := s.Run(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(bad(got)); n != 3 || !hasGap(got, "gave no verdict") || !hasGap(got, "not asked about 12 files") {
		t.Errorf("%d findings, gaps %+v", n, got.Inventory.Gaps)
	}
	d.wg.Wait()
	if d.streams != 8 {
		t.Errorf("%d questions, want 8", d.streams)
	}
	d.answers = 1000
	if got, err = s.Run(t.Context(), target); err != nil || got.Scan.Cached != 0 || len(bad(got)) != 20 {
		t.Errorf("the next scan: %v, %d kept, %d findings", err, got.Scan.Cached, len(bad(got)))
	}
}
