// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// A lane is a ring of slots in shared memory. The parent reads its source
// straight into a slot and the child parses from there, so that the wall between
// them costs no copy. Lengths and acknowledgements go through two pipes.
const (
	laneSlots = 4
	slotSize  = 256 << 10
	laneFiles = 3
)

// Marks in place of a slot's length.
const (
	markEnd   = 0          // the stream has ended
	markAbort = 0xffffffff // the parent could not go on
)

// A Lane carries one stream after another from parent to child. It is for one
// goroutine at a time.
type Lane struct {
	mem  []byte
	len  *os.File // parent writes
	ack  *os.File // parent reads
	free int      // slots that the child has done with
	next int
	once sync.Once
}

func newLane() (l *Lane, child []*os.File, err error) {
	fd, err := unix.MemfdCreate("lane", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, nil, os.NewSyscallError("memfd_create", err)
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, laneSlots*slotSize); err != nil {
		return nil, nil, os.NewSyscallError("ftruncate", err)
	}
	mem, err := unix.Mmap(fd, 0, laneSlots*slotSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, os.NewSyscallError("mmap", err)
	}
	// The child may look and not touch: what has been hashed must stay so.
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_FUTURE_WRITE); err != nil {
		unix.Munmap(mem)
		return nil, nil, os.NewSyscallError("fcntl", err)
	}
	ro, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		unix.Munmap(mem)
		return nil, nil, err
	}
	lenR, lenW, err := os.Pipe()
	if err != nil {
		ro.Close()
		unix.Munmap(mem)
		return nil, nil, err
	}
	ackR, ackW, err := os.Pipe()
	if err != nil {
		ro.Close()
		lenR.Close()
		lenW.Close()
		unix.Munmap(mem)
		return nil, nil, err
	}
	return &Lane{mem: mem, len: lenW, ack: ackR, free: laneSlots}, []*os.File{ro, lenR, ackW}, nil
}

// Send passes all of r to the child and ends the stream; sum, if not nil, gets
// every byte. After an error of r or ctx the child's reader gives ErrAborted, and
// the lane can be used again; after any other error the child is gone.
func (l *Lane) Send(ctx context.Context, r io.Reader, sum hash.Hash) (n int64, err error) {
	for {
		if err := l.await(); err != nil {
			return n, err
		}
		slot := l.mem[l.next*slotSize : (l.next+1)*slotSize]
		m, rerr := io.ReadFull(r, slot)
		end := rerr == io.EOF || rerr == io.ErrUnexpectedEOF
		var broken error
		if rerr != nil && !end {
			broken = rerr
		} else if cerr := ctx.Err(); cerr != nil {
			m, broken = 0, cerr
		}
		if m > 0 {
			if sum != nil {
				sum.Write(slot[:m])
			}
			n += int64(m)
			if err := l.mark(uint32(m)); err != nil {
				return n, err
			}
			l.free--
			l.next = (l.next + 1) % laneSlots
		}
		switch {
		case broken != nil:
			if err := l.mark(markAbort); err != nil {
				return n, err
			}
			return n, broken
		case end:
			return n, l.mark(markEnd)
		}
	}
}

func (l *Lane) mark(v uint32) error {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], v)
	if _, err := l.len.Write(b[:]); err != nil {
		return fmt.Errorf("send to sandbox: %w", err)
	}
	return nil
}

// await waits for a free slot and takes in what else has been acknowledged.
func (l *Lane) await() error {
	if l.free > 0 {
		return nil
	}
	var b [laneSlots]byte
	n, err := l.ack.Read(b[:])
	if err != nil {
		return fmt.Errorf("send to sandbox: %w", err)
	}
	if l.free += n; l.free > laneSlots {
		return errors.New("send to sandbox: more acknowledged than sent")
	}
	return nil
}

// Close frees the lane; the child sees its stream cut off.
func (l *Lane) Close() error {
	l.once.Do(func() {
		l.len.Close()
		l.ack.Close()
		unix.Munmap(l.mem)
	})
	return nil
}

// A LaneReader is the child's end of a lane: an [io.Reader] over one stream.
type LaneReader struct {
	mem  []byte
	len  *os.File
	ack  *os.File
	next int
	cur  []byte
	held bool
	end  error
}

func openLane(mem, lengths, acks *os.File) (*LaneReader, error) {
	b, err := unix.Mmap(int(mem.Fd()), 0, laneSlots*slotSize, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	mem.Close()
	return &LaneReader{mem: b, len: lengths, ack: acks}, nil
}

// Reset makes the reader ready for the next stream, once the last was read to
// its end.
func (l *LaneReader) Reset() { l.end, l.cur = nil, nil }

// Read reads from the current stream; io.EOF is its end, ErrAborted says that
// the parent could not go on.
func (l *LaneReader) Read(p []byte) (int, error) {
	for len(l.cur) == 0 {
		if l.end != nil {
			return 0, l.end
		}
		if l.held {
			l.held = false
			if _, err := l.ack.Write([]byte{1}); err != nil {
				l.end = ErrAborted
				return 0, l.end
			}
		}
		var b [4]byte
		if _, err := io.ReadFull(l.len, b[:]); err != nil {
			l.end = ErrAborted
			return 0, l.end
		}
		switch n := binary.LittleEndian.Uint32(b[:]); {
		case n == markEnd:
			l.end = io.EOF
		case n > slotSize:
			l.end = ErrAborted
		default:
			l.cur = l.mem[l.next*slotSize:][:n:n]
			l.next = (l.next + 1) % laneSlots
			l.held = true
		}
	}
	n := copy(p, l.cur)
	l.cur = l.cur[n:]
	return n, nil
}

// Map gives the first size bytes of a file as memory that is shared with whoever
// else has it open. The file must be as long.
func Map(f *os.File, size int) ([]byte, error) {
	b, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return b, nil
}
