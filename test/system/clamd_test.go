// SPDX-License-Identifier: Apache-2.0

package system

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestClamd scans with ClamAV's own daemon, which knows one file, by hand: alone,
// in an archive that the daemon opens, and one that is larger than it takes.
func TestClamd(t *testing.T) {
	if os.Getenv("BULWARK_SYSTEM") == "" {
		t.Skip("needs a real clamd: run make test-system")
	}
	const daemon = "/usr/sbin/clamd"
	if _, err := os.Stat(daemon); err != nil {
		t.Skip("clamd is not installed")
	}
	program := os.Getenv("BULWARK")
	if program == "" {
		t.Fatal("BULWARK must be set")
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	const bad = "#!/bin/sh\necho a specimen for one signature\n"
	sum := md5.Sum([]byte(bad))
	write("db/ours.hdb", fmt.Sprintf("%s:%d:Test.ByHand\n", hex.EncodeToString(sum[:]), len(bad)))
	socket := filepath.Join(dir, "s")
	conf := write("clamd.conf", fmt.Sprintf("LocalSocket %s\nDatabaseDirectory %s\nForeground yes\nStreamMaxLength 1M\nUser root\n", socket, filepath.Join(dir, "db")))
	write("root/opt/bad.sh", bad)
	write("root/opt/good.sh", "#!/bin/sh\necho nothing that anybody knows\n")
	write("root/opt/large.sh", bad+strings.Repeat("# filled\n", 300_000))
	run(t, "tar", "-czf", filepath.Join(dir, "root/opt/a.tar.gz"), "-C", filepath.Join(dir, "root"), "opt/bad.sh")

	// The daemon is handed a socket that listens already, as by systemd: who asks
	// before it is ready waits for it.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	listening, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer listening.Close()
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" --config-file "$1"`, daemon, conf)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = os.Stderr, os.Stderr, []*os.File{listening}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	r := scan(t, program, filepath.Join(dir, "root"), "--clamd", "unix://"+socket)
	found := map[string]string{}
	for _, f := range r.Findings {
		if f.Rule == "malware/clamav" {
			found[f.Subject] = f.Evidence[0].Detail
		}
	}
	const want = `ClamAV says "Test.ByHand.UNOFFICIAL"`
	if len(found) != 2 || found["opt/bad.sh"] != want || found["opt/a.tar.gz"] != want {
		t.Errorf("found %v", found)
	}
	told := false
	for _, g := range r.Inventory.Gaps {
		told = told || g.Path == "opt/large.sh" && strings.Contains(g.Detail, "limit of a stream")
	}
	if !told {
		t.Errorf("nothing is told of the file that the daemon does not take: %+v", r.Inventory.Gaps)
	}
}
