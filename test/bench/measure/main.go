// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command measure runs a program and prints what it and its descendants cost, as
// one line of names and values on standard output: processor seconds; the peak
// of the sum of resident sets in bytes, which is sampled; wall seconds; the exit
// code. What the program says goes to standard error.
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	every = 3 * time.Millisecond // between two looks at memory
	deep  = 8                    // generations of processes that are looked for
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: measure PROGRAM [ARGUMENT]...")
		os.Exit(64)
	}
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	// The measured do not outlive a measure that is killed. The signal is bound to
	// this thread, which must not end before.
	runtime.LockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
	done, peak := make(chan struct{}), make(chan int64)
	go func() {
		var most int64
		for {
			select {
			case <-done:
				peak <- most
				return
			case <-time.After(every):
				most = max(most, tree(cmd.Process.Pid, 0))
			}
		}
	}()
	err := cmd.Wait()
	wall := time.Since(start)
	close(done)
	var ru syscall.Rusage
	if e := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &ru); e != nil {
		fmt.Fprintln(os.Stderr, "measure:", e)
		os.Exit(1)
	}
	cpu := float64(ru.Utime.Nano()+ru.Stime.Nano()) / 1e9
	// The kernel keeps the peak of the largest process, which sampling may miss.
	fmt.Printf("cpu %.3f rss %d wall %.3f exit %d\n", cpu, max(<-peak, ru.Maxrss<<10), wall.Seconds(), cmd.ProcessState.ExitCode())
	if err != nil && cmd.ProcessState.ExitCode() < 0 {
		os.Exit(1)
	}
}

// tree sums the resident sets of a process and its descendants, bytes. What they
// share counts for each of them, so that the sum is never too small.
func tree(pid, depth int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil || depth > deep {
		return 0
	}
	var sum int64
	if f := strings.Fields(string(b)); len(f) > 1 {
		pages, _ := strconv.ParseInt(f[1], 10, 64)
		sum = pages * int64(os.Getpagesize())
	}
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, t := range tasks {
		kids, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, t.Name()))
		for kid := range bytes.FieldsSeq(kids) {
			if n, err := strconv.Atoi(string(kid)); err == nil {
				sum += tree(n, depth+1)
			}
		}
	}
	return sum
}
