// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scan_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/bulwark-sec/bulwark/internal/sandbox"
)

// traced gives a tracing child that says some lines and then waits to be ended.
func traced(lines ...string) func(io.Reader, io.Writer) {
	return func(in io.Reader, out io.Writer) {
		asked(in)
		for _, l := range lines {
			fmt.Fprintln(out, l)
		}
		io.Copy(io.Discard, in)
	}
}

const change = `{"lane":-1,"change":{"asked":0,"change":{}}}`

// tracersTakenOver are children that ask a work tree's past, in which a hostile
// object has won.
var tracersTakenOver = map[string]func(in io.Reader, out io.Writer){
	"tracer-that-dies": func(in io.Reader, _ io.Writer) { asked(in) },
	"tracer-that-is-killed": func(in io.Reader, _ io.Writer) {
		asked(in)
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	},
	"tracer-that-complains": func(in io.Reader, _ io.Writer) {
		asked(in)
		fmt.Fprintln(os.Stderr, "no\x1b[2J")
		os.Exit(2)
	},
	"tracer-that-hangs":             traced(`{"lane":-1,"hello":{}}`),
	"tracer-that-listens-to-nobody": func(io.Reader, io.Writer) { hang() },
	"tracer-that-takes-nothing":     traced(`{"lane":-1,"want":{"file":1}}`),
	"tracer-that-closes-its-mouth": func(in io.Reader, _ io.Writer) {
		asked(in)
		os.Stdout.Close()
		hang()
	},
	"tracer-that-talks-rubbish": func(in io.Reader, out io.Writer) {
		asked(in)
		out.Write(append([]byte("\x00\n"), noise(1<<20)...))
		io.Copy(io.Discard, in)
	},
	"tracer-of-half-a-line": func(in io.Reader, out io.Writer) {
		asked(in)
		fmt.Fprint(out, change[:9])
	},
	"tracer-that-greets-for-ever": func(in io.Reader, out io.Writer) {
		asked(in)
		for lines := bytes.Repeat([]byte(`{"lane":-1,"hello":{"missing":["`+strings.Repeat("a", 10<<10)+`"]}}`+"\n"), 100); ; {
			if _, err := out.Write(lines); err != nil {
				return
			}
		}
	},
	"tracer-of-one-endless-line": func(in io.Reader, out io.Writer) {
		asked(in)
		for chunk := bytes.Repeat([]byte("a"), 1<<20); ; {
			if _, err := out.Write(chunk); err != nil {
				return
			}
		}
	},
	"tracer-that-answers-twice":           traced(change, change),
	"tracer-that-answers-for-another":     traced(`{"lane":-1,"change":{"asked":6,"change":{}}}`),
	"tracer-of-layers":                    traced(`{"lane":0,"package":{"name":"flood","version":"1"}}`),
	"tracer-of-no-commit":                 traced(`{"lane":-1,"change":{"asked":0,"change":{"commit":"../../config"}}}`),
	"tracer-that-paints-the-terminal":     traced(`{"lane":-1,"change":{"asked":0,"change":{"commit":"` + strings.Repeat("ab", 20) + `","author":"\u001b[2J","date":"2024-05-01T10:00:00+02:00"}}}`),
	"tracer-that-paints-its-end":          traced(`{"lane":-1,"traced":{"err":"\u001b[2J"}}`),
	"tracer-that-wants-the-configuration": traced(`{"lane":-1,"want":{"object":"../../../../../../../../../../etc/passwd"}}`),
	"tracer-that-wants-any-file":          traced(`{"lane":-1,"want":{"file":7}}`),
	"tracer-that-wants-both":              traced(`{"lane":-1,"want":{"file":1,"object":"` + strings.Repeat("ab", 20) + `"}}`),
	"tracer-that-looks-around":            lookAround,
}

// lookAround tries what a taken-over reader of git's objects would try, and says what
// came of it where the parent expects the bound that it met.
func lookAround(in io.Reader, out io.Writer) {
	confined, err := sandbox.Confine()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var cmd struct {
		Trace struct{ Asked []struct{ Name string } }
	}
	if err := json.Unmarshal([]byte(asked(in)), &cmd); err != nil || len(cmd.Trace.Asked) == 0 {
		fmt.Fprintln(os.Stderr, "no question")
		os.Exit(1)
	}
	git := cmd.Trace.Asked[0].Name + "/.git"
	said := fmt.Sprintf("descriptors %d: ", len(confined.Files))
	try := func(what string, err error) {
		if err == nil {
			said += "ESCAPED: " + what + "; "
		} else {
			said += "denied; "
		}
	}
	open := func(what string, fd int, name string, flags int) {
		_, err := syscall.Openat(fd, name, flags, 0)
		try(what, err)
	}
	const cwd = -100 // AT_FDCWD
	open("git's configuration", cwd, git+"/config", syscall.O_RDONLY)
	open("git's HEAD, to write", cwd, git+"/HEAD", syscall.O_WRONLY)
	open("git's folder", cwd, git, syscall.O_RDONLY|syscall.O_DIRECTORY)
	open("a file of the work tree", cwd, git+"/../lock", syscall.O_RDONLY)
	open("a file outside", cwd, "/etc/passwd", syscall.O_RDONLY)
	open("the root", cwd, "/", syscall.O_RDONLY)
	open("the current folder", cwd, ".", syscall.O_RDONLY)
	for fd := 0; fd < 20; fd++ { // all that it was handed, and more
		_, err := syscall.Openat(fd, "..", syscall.O_RDONLY, 0)
		if err == nil {
			try("the folder of a descriptor", nil)
		}
		if _, err := syscall.ReadDirent(fd, make([]byte, 4096)); err == nil {
			try("what a folder holds", nil)
		}
		if err := syscall.Fchdir(fd); err == nil {
			try("a folder as the current one", nil)
		}
	}
	for _, f := range confined.Files {
		_, err := f.WriteAt([]byte("x"), 0)
		try("write to a file of git", err)
		try("cut a file of git", f.Truncate(0))
		open("a descriptor as a file", cwd, fmt.Sprintf("/proc/self/fd/%d", f.Fd()), syscall.O_RDWR)
	}
	_, err = net.DialTimeout("tcp", "127.0.0.1:1", time.Second)
	if errors.Is(err, syscall.ECONNREFUSED) {
		err = nil
	}
	try("connect", err)
	_, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	try("a datagram socket", err)
	_, err = syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	try("a local socket", err)
	try("run a program", exec.Command("/bin/true").Run())
	try("signal the parent", syscall.Kill(os.Getppid(), 0))
	b, err := json.Marshal(map[string]any{"lane": -1, "traced": map[string]any{"cut": said}})
	if err == nil {
		fmt.Fprintln(out, string(b))
	}
}

// hang never returns: whoever started the child has to end it. Signals wake it, those
// of Go's scheduler, too.
func hang() {
	for {
		syscall.Pause() //nolint:errcheck // it always gives one
	}
}
