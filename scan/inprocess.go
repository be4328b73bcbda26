// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"io"
	"sync"
	"sync/atomic"

	"github.com/bulwark-sec/bulwark/extract"
	"github.com/bulwark-sec/bulwark/internal/limit"
)

// runInProcess reads all jobs without a child: the same work without the wall,
// to measure what the wall costs.
func (e *engine) runInProcess(ctx context.Context, jobs []*job) error {
	known, err := e.jars.known()
	if err != nil {
		return err
	}
	set := e.plan.parsers(e.kind, known)
	lim := e.plan.Limits.Or(limit.Default())
	var free atomic.Int64
	free.Store(e.keptEnd)
	queue := make(chan *job, len(jobs))
	for _, j := range jobs {
		queue <- j
	}
	close(queue)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for lane := range min(e.lanes, len(jobs)) {
		wg.Go(func() {
			p := &parser{parsers: set, lim: lim, spill: e.spills[lane], kept: e.kept, free: &free, at: func(string) {}, asks: e.daemon != nil, reveals: e.plan.Verify, told: func() error { return nil }}
			for j := range queue {
				j.rec, j.err = &record{}, nil
				p.emit = func(a *answer) int {
					if a.Done != nil {
						j.rec.finish(a.Done)
						return 0
					}
					if a.Ask != nil {
						_ = e.ask(ctx, lane, a.Ask, j.rec)
						return 0
					}
					// A parser in this process stays within its limits.
					_ = j.rec.add(a, lim)
					return 0
				}
				from := source{whole: j.blob.Whole, form: j.blob.Form, at: j.blob.At, key: j.blob.Key}
				if from.whole != nil {
					j.err = p.layer(ctx, from, nil)
					j.sum = j.rec.DiffID
				} else {
					src, err := j.blob.Open(ctx)
					if err != nil {
						j.err = err
						continue
					}
					sum := newHash(j.blob.Digest)
					from.r = io.TeeReader(src, sum)
					j.err = p.layer(ctx, from, nil)
					src.Close()
					j.sum = sum.digest()
				}
				if j.rec.plain {
					j.rec.DiffID = j.sum
				}
				mu.Lock()
				e.read += j.blob.Blob
				if j.done != nil {
					j.done(j)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	e.keptEnd = free.Load()
	return ctx.Err()
}

func (e *engine) mergeInProcess(ctx context.Context, cmd mergeCommand) (merged, error) {
	m := merged{Owners: map[string]string{}}
	set := e.plan.parsers(e.kind, extract.Known{}) // databases ask nothing
	p := &parser{parsers: set, lim: e.plan.Limits.Or(limit.Default()), kept: e.kept, at: func(string) {}, emit: func(a *answer) int { m.add(a); return 0 }}
	return m, p.merge(ctx, &cmd)
}
