// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"errors"
	"fmt"
	"io"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/tarfs"
)

// broken tells that a file's content could not be read to its end. The walk will
// meet the cause itself, so it goes on.
func (p *parser) broken(e *tarfs.Entry, hides bool, err error) error {
	if p.ctx.Err() != nil {
		return p.ctx.Err()
	}
	if errors.Is(err, errSpill) {
		p.gap(bulwark.Gap{Kind: bulwark.GapUnreadable, Path: e.Path, Hides: hides, Detail: err.Error()})
	} else {
		p.gap(bulwark.Gap{Kind: bulwark.GapMalformed, Path: e.Path, Hides: hides, Detail: "its content is cut off"})
	}
	return nil
}

var errSpill = errors.New("no room to spill a large file")

// load brings a file's content into memory, or into the spill file if it is
// large.
func (p *parser) load(e *tarfs.Entry, head []byte, content io.Reader) (*bulwark.File, error) {
	if e.Size <= p.lim.Memory {
		if int64(cap(p.buf)) < e.Size {
			// Grow in steps of powers of two, so that few sizes are ever made.
			n := int64(64 << 10)
			for n < e.Size {
				n *= 2
			}
			p.buf = make([]byte, min(n, max(p.lim.Memory, e.Size)))
		}
		b := p.buf[:e.Size]
		copy(b, head)
		if _, err := io.ReadFull(content, b[len(head):]); err != nil {
			return nil, err
		}
		return bulwark.MemoryFile(e.Path, e.Mode, b), nil
	}
	if cap(p.buf) < 256<<10 {
		p.buf = make([]byte, 256<<10)
	}
	buf := p.buf[:cap(p.buf)]
	if _, err := p.spill.WriteAt(head, p.spillAt); err != nil {
		return nil, fmt.Errorf("%w: %w", errSpill, err)
	}
	for off := int64(len(head)); off < e.Size; {
		n, err := io.ReadFull(content, buf[:min(int64(len(buf)), e.Size-off)])
		if err != nil {
			return nil, err
		}
		if _, err := p.spill.WriteAt(buf[:n], p.spillAt+off); err != nil {
			return nil, fmt.Errorf("%w: %w", errSpill, err)
		}
		off += int64(n)
	}
	var ra io.ReaderAt = p.spill
	if p.spillAt > 0 {
		ra = io.NewSectionReader(p.spill, p.spillAt, e.Size)
	}
	return bulwark.ReaderFile(e.Path, e.Mode, ra, e.Size), nil
}
