// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bulwark-sec/bulwark/internal/sandbox"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "__child" {
		os.Exit(child(os.Args[2]))
	}
	os.Exit(m.Run())
}

// child is what the sandboxed process of a test does.
func child(what string) int {
	in, err := sandbox.Confine()
	if err != nil {
		fmt.Println("confine:", err)
		return 1
	}
	if len(in.Missing) > 0 {
		fmt.Println("missing:", in.Missing)
	}
	switch what {
	case "escape":
		escape()
	case "echo":
		for range 3 {
			in.Lanes[0].Reset()
			h := sha256.New()
			n, err := io.Copy(h, in.Lanes[0])
			fmt.Printf("%d %x %v\n", n, h.Sum(nil), err)
		}
	case "hog":
		var all [][]byte
		for {
			all = append(all, bytes.Repeat([]byte{1}, 1<<20))
			runtime.KeepAlive(all)
		}
	case "spin":
		for {
			runtime.Gosched()
		}
	case "file":
		_, err := in.Files[0].WriteAt([]byte("hello"), 3)
		fmt.Println(err)
	}
	return 0
}

// escape tries what a taken-over parser would try, and prints what succeeded.
func escape() {
	try := func(what string, err error) {
		if err == nil {
			fmt.Println("ESCAPED:", what)
		} else {
			fmt.Println("denied:", what)
		}
	}
	_, err := os.ReadFile("/etc/passwd")
	try("read a file", err)
	_, err = os.ReadDir("/")
	try("read a directory", err)
	_, err = os.ReadFile("/proc/self/environ")
	try("read proc", err)
	try("write a file", os.WriteFile("/tmp/bulwark-escape", []byte("x"), 0o600))
	try("make a directory", os.Mkdir("/tmp/bulwark-escape-dir", 0o700))
	_, err = net.DialTimeout("tcp", "127.0.0.1:1", time.Second)
	try("connect", errorUnless(err, syscall.ECONNREFUSED))
	_, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	try("make a datagram socket", err)
	_, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	try("make a unix socket", err)
	_, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, 0)
	try("make a netlink socket", err)
	_, err = net.Listen("tcp", "127.0.0.1:0")
	try("listen", err)
	try("run a program", exec.Command("/bin/true").Run())
	try("fork", func() error {
		pid, _, errno := syscall.RawSyscall(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0)
		if errno != 0 {
			return errno
		}
		if pid == 0 {
			syscall.RawSyscall(syscall.SYS_EXIT, 0, 0, 0)
		}
		return nil
	}())
	try("signal the parent", syscall.Kill(os.Getppid(), 0))
	try("trace the parent", unix.PtraceAttach(os.Getppid()))
	try("mount", unix.Mount("none", "/mnt", "tmpfs", 0, ""))
	try("unshare", unix.Unshare(unix.CLONE_NEWUSER))
	try("raise a limit", unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}))
	try("use io_uring", func() error {
		_, _, errno := syscall.RawSyscall(unix.SYS_IO_URING_SETUP, 1, 0, 0)
		if errno == syscall.EPERM || errno == syscall.ENOSYS {
			return errno
		}
		return nil
	}())
	try("read the environment", func() error {
		if len(os.Environ()) == 0 {
			return errors.New("empty")
		}
		return nil
	}())
}

// errorUnless turns an error that shows success into nil: a refused connection
// was tried on the network.
func errorUnless(err error, is error) error {
	if errors.Is(err, is) {
		return nil
	}
	return err
}

func start(t *testing.T, what string, o sandbox.Options) *sandbox.Child {
	t.Helper()
	o.Args = []string{"__child", what}
	t.Setenv("BULWARK_TEST_SECRET", "a credential of the parent")
	c, err := sandbox.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNoWayOut(t *testing.T) {
	c := start(t, "escape", sandbox.Options{})
	out, err := io.ReadAll(c.Out)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if strings.Contains(string(out), "ESCAPED") {
		t.Errorf("the sandbox leaks:\n%s", out)
	}
	if n := strings.Count(string(out), "denied:"); n < 18 {
		t.Errorf("only %d attempts were made:\n%s", n, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "missing:") {
			t.Log(line) // an old kernel: said, and seccomp still holds
		}
	}
}

func TestLane(t *testing.T) {
	c := start(t, "echo", sandbox.Options{Lanes: 1})
	big := bytes.Repeat([]byte("0123456789abcdef"), 200_000) // 3.2 MB: the ring goes round
	sum := sha256.New()
	n, err := c.Lanes[0].Send(t.Context(), iotest.OneByteReader(bytes.NewReader(big[:5000])), sum)
	if err != nil || n != 5000 {
		t.Fatal(n, err)
	}
	boom := errors.New("boom")
	if _, err := c.Lanes[0].Send(t.Context(), io.MultiReader(bytes.NewReader(big[:600_000]), iotest.ErrReader(boom)), nil); !errors.Is(err, boom) {
		t.Fatalf("the source's error got lost: %v", err)
	}
	if n, err := c.Lanes[0].Send(t.Context(), bytes.NewReader(big), nil); err != nil || n != int64(len(big)) {
		t.Fatal(n, err)
	}
	out, err := io.ReadAll(c.Out)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 3 {
		t.Fatalf("%q", lines)
	}
	if want := fmt.Sprintf("5000 %x <nil>", sum.Sum(nil)); lines[0] != want {
		t.Errorf("got %q, want %q", lines[0], want)
	}
	if !strings.HasSuffix(lines[1], sandbox.ErrAborted.Error()) {
		t.Errorf("a broken stream ended as if it were whole: %q", lines[1])
	}
	if want := fmt.Sprintf("%d %x <nil>", len(big), sha256.Sum256(big)); lines[2] != want {
		t.Errorf("got %q, want %q", lines[2], want)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	c := start(t, "hog", sandbox.Options{Memory: 64 << 20})
	io.Copy(io.Discard, c.Out)
	if err := c.Wait(); err == nil {
		t.Fatal("the child got all the memory it wanted")
	}
	if _, rss := c.Usage(); rss > 128<<20 {
		t.Errorf("resident set of %d MiB", rss>>20)
	}
}

func TestProcessorTimeIsBounded(t *testing.T) {
	c := start(t, "spin", sandbox.Options{CPU: 1})
	io.Copy(io.Discard, c.Out)
	if err := c.Wait(); err == nil {
		t.Fatal("the child ran for ever")
	}
}

func TestKilledWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, err := sandbox.Start(ctx, sandbox.Options{Args: []string{"__child", "spin"}})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	io.Copy(io.Discard, c.Out)
	if err := c.Wait(); err == nil {
		t.Fatal("the child outlived its context")
	}
}

func TestSendToDeadChild(t *testing.T) {
	c := start(t, "file", sandbox.Options{Lanes: 1, Files: []*os.File{scratch(t)}})
	io.Copy(io.Discard, c.Out)
	if _, err := c.Lanes[0].Send(t.Context(), bytes.NewReader(make([]byte, 4<<20)), nil); err == nil {
		t.Error("a dead child took everything")
	}
	c.Wait()
}

func TestFilesAreShared(t *testing.T) {
	f := scratch(t)
	c := start(t, "file", sandbox.Options{Files: []*os.File{f}})
	io.Copy(io.Discard, c.Out)
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 8)
	if _, err := f.ReadAt(b, 0); err != nil || string(b) != "\x00\x00\x00hello" {
		t.Errorf("%q, %v", b, err)
	}
}

func scratch(t *testing.T) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}
