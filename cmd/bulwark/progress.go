// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/bulwark-sec/bulwark/scan"
)

// A bar shows on a terminal how far a scan has come; elsewhere it is silent.
type bar struct {
	w     io.Writer
	width int

	mu   sync.Mutex
	last scan.Progress
	stop chan struct{}
	gone chan struct{}
	dirt bool
}

// redraw is how often the line is drawn anew.
const redraw = 100 * time.Millisecond

func (p *program) progress(o *outputs) *bar {
	f, ok := p.stderr.(*os.File)
	if !ok || o.quiet || o.noProgress || !term.IsTerminal(int(f.Fd())) || p.env("TERM") == "dumb" {
		return &bar{}
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 20 {
		width = 80
	}
	b := &bar{w: f, width: width, stop: make(chan struct{}), gone: make(chan struct{})}
	go b.run()
	return b
}

func (b *bar) tell(p scan.Progress) {
	if b.w == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = p
}

func (b *bar) run() {
	defer close(b.gone)
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	for frame := 0; ; frame++ {
		select {
		case <-b.stop:
			return
		case <-tick.C:
			b.mu.Lock()
			line := b.line(b.last, frame)
			b.mu.Unlock()
			b.dirt = true
			fmt.Fprintf(b.w, "\r\x1b[K%s", line)
		}
	}
}

func (b *bar) line(p scan.Progress, frame int) string {
	spin := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
	s := string(spin[frame%len(spin)]) + " "
	switch p.Phase {
	case "open", "":
		s += "opening"
	case "layers":
		if p.Layers == 1 {
			s += "reading"
			break
		}
		const cells = 24
		full := 0
		if p.Layers > 0 {
			full = cells * p.Done / p.Layers
		}
		s += fmt.Sprintf("reading layers  %s%s  %d of %d", strings.Repeat("█", full), strings.Repeat("░", cells-full), p.Done, p.Layers)
		if p.Cached > 0 {
			s += fmt.Sprintf(", %d known already", p.Cached)
		}
		if p.Total > 0 {
			s += fmt.Sprintf("  %.0f of %.0f MiB", float64(p.Bytes)/(1<<20), float64(p.Total)/(1<<20))
		}
	case "packages":
		s += "reading package databases"
	case "verify":
		s += "asking whether secrets work"
	case "match":
		s += "matching advisories"
	}
	if r := []rune(s); len(r) >= b.width {
		s = string(r[:b.width-1])
	}
	return s
}

// end removes the line.
func (b *bar) end() {
	if b.w == nil {
		return
	}
	close(b.stop)
	<-b.gone
	if b.dirt {
		fmt.Fprint(b.w, "\r\x1b[K")
	}
}
