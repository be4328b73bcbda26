// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// onTerminal runs bulwark with both outputs on a terminal of 100 columns and 40
// rows. What it showed is stdout, whichever output it came from.
func onTerminal(ts *testscript.TestScript, neg bool, args []string) {
	want, args := code(ts, neg, args)
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	ts.Check(err)
	defer control.Close()
	n, err := unix.IoctlGetInt(int(control.Fd()), unix.TIOCGPTN)
	ts.Check(err)
	ts.Check(unix.IoctlSetPointerInt(int(control.Fd()), unix.TIOCSPTLCK, 0))
	ts.Check(unix.IoctlSetWinsize(int(control.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: 100, Row: 40}))
	terminal, err := os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	ts.Check(err)
	defer terminal.Close()

	cmd := command(ts, args)
	cmd.Stdout, cmd.Stderr = terminal, terminal
	ts.Check(cmd.Start())
	// The terminal is open here, too, until bulwark has ended: else reading ends early.
	var shown bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		io.Copy(&shown, control) // ends with an error when nobody has the terminal any more
	}()
	err = cmd.Wait()
	terminal.Close()
	<-read
	fmt.Fprint(ts.Stdout(), string(bytes.ReplaceAll(shown.Bytes(), []byte("\r\n"), []byte("\n"))))
	compareCode(ts, want, args, err)
}
