// SPDX-License-Identifier: Apache-2.0

//go:build linux

package secret

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bulwark-sec/bulwark"
)

// TestFalsePositives walks a directory that should hold no secrets, the root of
// a stock installation, and prints what is found and what it cost. It is for
// people, and fails when more than BULWARK_FP_MAX (2) findings are open.
func TestFalsePositives(t *testing.T) {
	root := os.Getenv("BULWARK_FP_ROOT")
	if root == "" {
		t.Skip("BULWARK_FP_ROOT is not set to a directory")
	}
	limit, err := strconv.Atoi(cmp.Or(os.Getenv("BULWARK_FP_MAX"), "2"))
	if err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := newCheck(t)
	var files, texts int
	var bytes, textBytes int64
	byRule := map[string]int{}
	open := 0
	var spent time.Duration
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		name := strings.TrimPrefix(filepath.ToSlash(p), "/")
		files++
		bytes += info.Size()
		if !c.Wants(name, bulwark.Stat{Size: info.Size(), Mode: info.Mode()}) {
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return nil
		}
		start := cpu()
		found, err := c.Check(t.Context(), bulwark.MemoryFile(name, info.Mode(), b))
		took := cpu() - start
		spent += took
		if err != nil {
			t.Logf("error: %v", err)
		}
		if took > 200*time.Millisecond {
			t.Logf("slow: %v %s (%d bytes)", took, name, len(b))
		}
		if !hasNUL(b) {
			texts++
			textBytes += int64(len(b))
		}
		for _, f := range found {
			if f.Status.Open() {
				open++
				t.Logf("%s %s %s: %s", f.Rule, f.Severity, f.Subject, f.Evidence[0].Detail)
			} else {
				byRule[f.Rule]++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files, %d bytes; %d texts, %d bytes; %v CPU, %.2f s/GB of text", files, bytes, texts, textBytes, spent, spent.Seconds()/(float64(textBytes)/1e9))
	t.Logf("open %d, suppressed %v", open, byRule)
	if open > limit {
		t.Errorf("%d open findings, want %d at most", open, limit)
	}
}

func hasNUL(b []byte) bool {
	for _, c := range b[:min(len(b), headSize)] {
		if c == 0 {
			return true
		}
	}
	return false
}

// rusageThread counts the calling thread alone: reading files is not our cost.
const rusageThread = 1

func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(rusageThread, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
