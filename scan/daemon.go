// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check/malware"
)

// A daemon is a ClamAV daemon that is asked about files for the parsers, which
// have no network: a parser leaves a file in its lane's spill file and waits.
type daemon struct {
	clamd *malware.Clamd
	lost  atomic.Int32 // questions in a row that it did not answer
}

// patience is how many questions in a row may stay without an answer before no
// more are asked.
const patience = 5

// ask has the daemon asked about f: it lies in the spill file, which the parent
// reads, until that has told.
func (p *parser) ask(f *bulwark.File) {
	if f.Size == 0 || p.ctx.Err() != nil {
		return
	}
	if p.asked++; p.asked > maxFiles {
		return
	}
	if f.Size <= p.lim.Memory {
		b, err := f.Bytes(p.lim.Memory)
		if err == nil {
			_, err = p.spill.WriteAt(b, 0)
		}
		if err != nil {
			p.gap(bulwark.Gap{Kind: bulwark.GapUnreadable, Path: f.Path, Detail: "the ClamAV daemon was not asked: " + err.Error()})
			return
		}
	}
	p.emit(&answer{Ask: &keptFile{Path: f.Path, Size: f.Size}})
	if err := p.told(); err != nil && p.ctx.Err() == nil {
		p.gap(bulwark.Gap{Kind: bulwark.GapUnreadable, Path: f.Path, Detail: "the ClamAV daemon was not asked: " + err.Error()})
	}
}

// ask asks the daemon about what a parser left in its spill file, and puts the
// answer into the record. The error is one of the parser: it asked for what it
// may not.
func (e *engine) ask(ctx context.Context, lane int, f *keptFile, r *record) error {
	if e.daemon == nil || f.Off != 0 || f.Size <= 0 || f.Size > e.plan.Limits.File {
		return errors.New("the parser's answers: a question that may not be asked")
	}
	if r.asked++; r.asked > maxFiles {
		return fmt.Errorf("the parser's answers: questions: %w", bulwark.ErrTooLarge)
	}
	if e.daemon.lost.Load() >= patience {
		r.unasked++
		return nil
	}
	name, err := e.daemon.clamd.Scan(ctx, io.NewSectionReader(e.spills[lane], 0, f.Size))
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, bulwark.ErrTooLarge):
		e.daemon.lost.Store(0)
		r.Gaps = append(r.Gaps, bulwark.Gap{Kind: bulwark.GapLimit, Path: f.Path, Detail: err.Error()})
	case err != nil:
		e.daemon.lost.Add(1)
		r.Gaps = append(r.Gaps, bulwark.Gap{Kind: bulwark.GapUnreadable, Path: f.Path, Detail: "the ClamAV daemon gave no verdict: " + err.Error()})
	default:
		e.daemon.lost.Store(0)
		if name != "" {
			r.Findings = append(r.Findings, malware.Detected(f.Path, name))
		}
	}
	return nil
}
