// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// envLimits carries "memory,cpu,files,lanes" to the child.
const envLimits = "BULWARK_SANDBOX"

// maxFile bounds what a child can write to a descriptor that it was handed, bytes.
const maxFile = 9 << 30

// Confine gives up everything but the inherited descriptors, for all threads
// and for good. It must be called before any input is read. A kernel that lacks
// Landlock or seccomp leaves a note in Missing; any other failure is an error,
// and the child must then not go on.
func Confine() (*Inherited, error) {
	var mem, cpu uint64
	var files, lanes int
	if _, err := fmt.Sscanf(os.Getenv(envLimits), "%d,%d,%d,%d", &mem, &cpu, &files, &lanes); err != nil {
		return nil, errors.New("confine: not started by the sandbox")
	}
	os.Clearenv()
	in := &Inherited{}
	fd := firstFile
	for range files {
		in.Files = append(in.Files, os.NewFile(uintptr(fd), "inherited"))
		fd++
	}
	for range lanes {
		l, err := openLane(os.NewFile(uintptr(fd), "lane"), os.NewFile(uintptr(fd+1), "lengths"), os.NewFile(uintptr(fd+2), "acks"))
		if err != nil {
			return nil, fmt.Errorf("confine: %w", err)
		}
		in.Lanes = append(in.Lanes, l)
		fd += laneFiles
	}
	for _, r := range []struct {
		name string
		what int
		max  uint64
	}{
		{"data", unix.RLIMIT_DATA, mem},
		{"cpu", unix.RLIMIT_CPU, cpu},
		{"fsize", unix.RLIMIT_FSIZE, maxFile},
		{"core", unix.RLIMIT_CORE, 0},
		{"nofile", unix.RLIMIT_NOFILE, uint64(fd + 16)},
	} {
		if err := unix.Setrlimit(r.what, &unix.Rlimit{Cur: r.max, Max: r.max}); err != nil {
			return nil, fmt.Errorf("confine: limit %s: %w", r.name, err)
		}
	}
	// A core file or a debugger would carry hostile and private bytes out.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("confine: dumpable: %w", err)
	}
	if os.Geteuid() == 0 {
		if err := dropRoot(); err != nil {
			in.Missing = append(in.Missing, "root could not be given up: "+err.Error())
		}
	}
	abi, err := ll.LandlockGetABIVersion()
	switch {
	case err != nil || abi < 1:
		in.Missing = append(in.Missing, "the kernel has no Landlock: paths are kept from the parsers by seccomp alone")
	default:
		if err := landlock.V6.BestEffort().Restrict(); err != nil {
			return nil, fmt.Errorf("confine: landlock: %w", err)
		}
	}
	if err := filter(); err != nil {
		if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) || errors.Is(err, errNoFilter) {
			in.Missing = append(in.Missing, "the kernel has no seccomp filter: system calls are not restricted")
		} else {
			return nil, fmt.Errorf("confine: seccomp: %w", err)
		}
	}
	return in, nil
}

// nobody is the uid and gid that by convention owns nothing.
const nobody = 65534

func dropRoot() error {
	if err := syscall.Setgroups(nil); err != nil {
		return err
	}
	if err := syscall.Setresgid(nobody, nobody, nobody); err != nil {
		return err
	}
	return syscall.Setresuid(nobody, nobody, nobody)
}

var errNoFilter = errors.New("no filter for this architecture")

// filter installs a seccomp allow-list for all threads. What is not on it fails
// with EPERM: a parser that tries it gets an error and goes on.
func filter() error {
	if auditArch == 0 {
		return errNoFilter
	}
	const (
		offNr   = 0
		offArch = 4
		offArg0 = 16 // low half of the first argument on little-endian machines
	)
	prog := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch, SkipTrue: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_KILL_PROCESS},
		bpf.LoadAbsolute{Off: offNr, Size: 4},
		// clone may make threads, not processes.
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.SYS_CLONE, SkipTrue: 4},
		bpf.LoadAbsolute{Off: offArg0, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: unix.CLONE_THREAD, SkipTrue: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW},
		// The filter cannot look into clone3's arguments. Without it the C library
		// of a program that is linked with one falls back to clone.
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.SYS_CLONE3, SkipTrue: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
	}
	for _, nr := range allowed {
		prog = append(prog,
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(nr), SkipTrue: 1},
			bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW})
	}
	prog = append(prog, bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)})
	raw, err := bpf.Assemble(prog)
	if err != nil {
		return err
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	fprog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&fprog)))
	runtime.KeepAlive(code)
	if errno != 0 {
		return errno
	}
	return nil
}

// Parts says in one line what holds a confined child.
func (in *Inherited) Parts() string {
	if len(in.Missing) == 0 {
		return "landlock, seccomp, rlimits"
	}
	return "degraded: " + strings.Join(in.Missing, "; ")
}
