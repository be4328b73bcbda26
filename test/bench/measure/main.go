// SPDX-License-Identifier: Apache-2.0

// Command measure runs a program and prints what it and its children cost:
// processor time, and the peak of the sum of their resident sets, which is
// sampled.
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// every is how often memory is sampled.
const every = 3 * time.Millisecond

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: measure PROGRAM [ARGUMENT]...")
		os.Exit(64)
	}
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	start := time.Now()
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
	done := make(chan struct{})
	peak := make(chan int64)
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
	fmt.Printf("cpu %.3f rss %d wall %.3f exit %d\n", cpu, max(<-peak, ru.Maxrss<<10), wall.Seconds(), cmd.ProcessState.ExitCode())
	if err != nil && cmd.ProcessState.ExitCode() < 0 {
		os.Exit(1)
	}
}

// tree sums the resident sets of a process and its descendants, bytes.
func tree(pid, depth int) int64 {
	if depth > 8 {
		return 0
	}
	var sum int64
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
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
