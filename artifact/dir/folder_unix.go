// SPDX-License-Identifier: Apache-2.0

//go:build linux || darwin || freebsd || netbsd || openbsd

package dir

import (
	"context"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/bulwark-sec/bulwark"
)

// A folder is an open directory. What is in it is reached by the name alone,
// relative to the directory itself: whoever renames or replaces directories
// while they are walked leads nobody out of the tree, and a deep path costs no
// more than a short one. [os.Root] would resolve each path from the top, look at
// every entry while it lists a directory, and wait for pipes.
type folder struct{ f *os.File }

func openRoot(name string) (folder, error) { return openFolder(unix.AT_FDCWD, name, 0) }

func openFolder(at int, name string, flags int) (folder, error) {
	fd, err := openAt(at, name, flags|unix.O_DIRECTORY)
	if err != nil {
		return folder{}, err
	}
	return folder{os.NewFile(uintptr(fd), name)}, nil
}

func openAt(at int, name string, flags int) (fd int, err error) {
	for {
		fd, err = unix.Openat(at, name, flags|unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
		if err != unix.EINTR { // network and FUSE file systems let signals through
			break
		}
	}
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return fd, nil
}

func (d folder) fd() int { return int(d.f.Fd()) }

func (d folder) close() error { return d.f.Close() }

// folder opens a directory in d. A link is an error.
func (d folder) folder(name string) (folder, error) {
	return openFolder(d.fd(), name, unix.O_NOFOLLOW)
}

// file opens a file in d, whatever it is by now, and does not wait for the other
// end of a pipe. A link is an error.
func (d folder) file(name string) (*os.File, error) {
	fd, err := openAt(d.fd(), name, unix.O_NOFOLLOW|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// stat looks at a name in d, not through it.
func (d folder) stat(name string) (bulwark.Stat, error) {
	var st unix.Stat_t
	for {
		err := unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return bulwark.Stat{}, err
		}
	}
	m := fs.FileMode(st.Mode & 0o777)
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		m |= fs.ModeIrregular // no more needs to be known
	}
	if st.Mode&unix.S_ISUID != 0 {
		m |= fs.ModeSetuid
	}
	if st.Mode&unix.S_ISGID != 0 {
		m |= fs.ModeSetgid
	}
	if st.Mode&unix.S_ISVTX != 0 {
		m |= fs.ModeSticky
	}
	return bulwark.Stat{Size: st.Size, Mode: m}, nil
}

// link gives what a link in d says.
func (d folder) link(name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(d.fd(), name, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

func (d folder) list(ctx context.Context, limit int) ([]entry, bool, error) {
	return list(ctx, d.f, limit)
}

// nonblock opens a pipe without waiting for its other end.
const nonblock = unix.O_NONBLOCK
