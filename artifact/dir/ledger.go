// SPDX-License-Identifier: Apache-2.0

package dir

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/bulwark-sec/bulwark"
)

const (
	maxGaps  = 200 // gaps of one kind that are told one by one; the rest are counted
	maxNamed = 8   // mounts of one type that are named; the rest are counted
)

// A ledger notes what one stream leaves out.
type ledger struct {
	mu     sync.Mutex
	list   []bulwark.Gap
	of     map[string]*tally   // by kind of gap
	mounts map[string][]string // paths by the type of file system
}

// A tally counts the gaps of one kind.
type tally struct {
	n     int
	hides bool // one that is not told one by one hides packages
}

func (l *ledger) gap(g bulwark.Gap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[string]*tally{}
	}
	c := l.of[g.Kind]
	if c == nil {
		c = &tally{}
		l.of[g.Kind] = c
	}
	if c.n++; c.n > maxGaps {
		c.hides = c.hides || g.Hides
		return
	}
	l.list = append(l.list, g)
}

// omit notes a mount that is left out.
func (l *ledger) omit(rel string, m omission) {
	if m.of != "" {
		l.gap(bulwark.Gap{Kind: bulwark.GapSkipped, Path: rel, Detail: fmt.Sprintf("left out: it shows what lies at %q", m.of)})
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	kind := m.kind
	if m.kernel {
		kind = "" // sorts first
	}
	l.mounts[kind] = append(l.mounts[kind], rel)
}

// gaps gives everything that was noted: mounts as one gap for each type, and
// beyond maxGaps of one kind a number.
func (l *ledger) gaps() []bulwark.Gap {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []bulwark.Gap
	for _, kind := range slices.Sorted(maps.Keys(l.mounts)) {
		at := l.mounts[kind]
		g := bulwark.Gap{Kind: bulwark.GapSkipped}
		switch {
		case kind == "":
			g.Detail = "the kernel's own file systems are left out: " + named(at)
		case len(at) == 1:
			g.Path, g.Detail = at[0], "left out: a mount of type "+kind
		default:
			g.Detail = fmt.Sprintf("%d mounts of type %s are left out: %s", len(at), kind, named(at))
		}
		out = append(out, g)
	}
	out = append(out, l.list...)
	for _, kind := range slices.Sorted(maps.Keys(l.of)) {
		c := l.of[kind]
		more := c.n - maxGaps
		if more <= 0 {
			continue
		}
		detail := fmt.Sprintf("%d more files and directories could not be read", more)
		if kind != bulwark.GapUnreadable {
			detail = fmt.Sprintf("%d more files and directories were left out", more)
		}
		out = append(out, bulwark.Gap{Kind: kind, Detail: detail, Hides: c.hides})
	}
	return out
}

func named(paths []string) string {
	var b strings.Builder
	for i, p := range paths[:min(len(paths), maxNamed)] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", p)
	}
	if more := len(paths) - maxNamed; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}
