// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"bytes"
	"fmt"
	"math"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

const (
	maxMatches = 4096    // of one text; more is a list of secrets, and a thousand make the point
	workShare  = 8       // bytes of windows for each byte of text …
	workBase   = 4 << 20 // … and this many at least: a text made to hit every rule everywhere ends here
	maxGrown   = 16 << 10
	finderWork = 48       // bytes that a finder looks at beyond those it says are done
	maxWindow  = 64 << 10 // between two looks at the clock
)

// A window is a part of the text that one rule's expression is to see.
type window struct{ from, to int }

// A match is a secret at its place.
type match struct {
	rule       *rule
	start, end int    // of the secret in the text
	secret     []byte // the text between them, or what it stands for
	whole      []byte // all that the expression took
	severity   bulwark.Severity
	note       string
	brought    bool // by a package, for all the world to read
}

// detail shows what was seen: the part that is the same for everybody, and the
// length.
func (m *match) detail() string {
	s := fmt.Sprintf("%s… (%d characters)", m.secret[:m.public()], len(m.secret))
	if m.note != "" {
		s += "; " + m.note
	}
	return s
}

// public counts the leading bytes of the secret that are the same for everybody.
func (m *match) public() int {
	if n := len(m.rule.prefix); n <= 4 && 2*n <= len(m.secret) && string(m.secret[:n]) == m.rule.prefix {
		return n
	}
	return 0
}

// scratch is what one scan needs and the next can use again.
type scratch struct {
	pending []window
	touched []int
	on      []bool
	head    [headSize]byte
	wide    []byte // decoded UTF-16
	work    int
	limit   int
	skip    int // where the last finder ended
}

// scan gives the secrets of a text that is named path. It asks stop now and then.
func (c *Check) scan(stop func() error, s *scratch, path string, data []byte) ([]match, error) {
	s.work, s.limit = 0, workBase+workShare*len(data)
	s.touched = s.touched[:0]
	var found []match
	found, err := c.pass(stop, s, c.wide, path, data, found)
	if err == nil && c.narrowed(s, path) {
		found, err = c.pass(stop, s, c.narrow, path, data, found)
	}
	for _, i := range s.touched {
		s.pending[i] = window{}
	}
	return settle(found), err
}

// narrowed notes which of the rules for some files look at this one.
func (c *Check) narrowed(s *scratch, path string) bool {
	for _, i := range c.limits {
		s.on[i] = false
	}
	any := false
	base := path[strings.LastIndexByte(path, '/')+1:]
	low := strings.ToLower(base)
	for _, key := range [...]string{base, wildKey(low), ""} {
		names := c.names[key]
		for i := range names {
			if n := &names[i]; n.matches(path, base, low) {
				s.on[n.rule], any = true, true
			}
		}
	}
	return any
}

func (c *Check) pass(stop func() error, s *scratch, f *filter, path string, data []byte, found []match) ([]match, error) {
	first := len(s.touched)
	s.skip = 0
	if f == c.narrow {
		for _, i := range c.limits {
			if s.on[i] && c.rules[i].Whole {
				s.touched = append(s.touched, i)
				s.pending[i] = window{0, min(len(data), 8*maxWindow)}
			}
		}
	}
	for p, as := f.places.Next(data, 0); p >= 0; p, as = f.places.Next(data, p+2) {
		for _, ai := range as {
			a := &f.anchors[ai]
			r := c.rules[a.rule]
			at := p - a.before
			if f == c.narrow && !s.on[a.rule] || !a.matches(data, at) || a.assign && !r.assigned(data, at+len(a.keyword)) || r.near != nil && !r.close(data, at) {
				continue
			}
			if r.finder != nil {
				if at < s.skip {
					continue
				}
				if err := stop(); err != nil {
					return found, err
				}
				ms, end := r.finder(r, path, data, at)
				s.work += end - at + finderWork
				s.skip = end
				for _, m := range ms {
					found = c.judge(found, path, data, m)
				}
				continue
			}
			w := &s.pending[a.rule]
			from, to := max(0, at-r.Back), min(len(data), at+r.Ahead)
			switch {
			case w.to == 0:
				s.touched = append(s.touched, a.rule)
				*w = window{from, to}
			case from <= w.to && to-w.from <= maxWindow:
				w.to = to
			default:
				var err error
				if found, err = c.run(stop, s, r, *w, path, data, found); err != nil {
					return found, err
				}
				*w = window{from, to}
			}
		}
		if len(found) > maxMatches || s.work > s.limit {
			return found, fmt.Errorf("too much that looks like a secret: %w", bulwark.ErrTooLarge)
		}
	}
	for _, i := range s.touched[first:] {
		var err error
		if found, err = c.run(stop, s, c.rules[i], s.pending[i], path, data, found); err != nil {
			return found, err
		}
	}
	return found, nil
}

// close tells whether one of r.near stands in the window after place at.
func (r *rule) close(data []byte, at int) bool {
	b := data[at:min(len(data), at+r.Ahead)]
	for _, n := range r.near {
		if bytes.Contains(b, n) {
			return true
		}
	}
	return false
}

// run looks for r in one window.
func (c *Check) run(stop func() error, s *scratch, r *rule, w window, path string, data []byte, found []match) ([]match, error) {
	if err := stop(); err != nil {
		return found, err
	}
	re := r.regex.get()
	from, to := w.from, w.to
	for from < to {
		if s.work > s.limit || len(found) > maxMatches {
			return found, fmt.Errorf("too much that looks like a secret: %w", bulwark.ErrTooLarge)
		}
		loc := re.FindSubmatchIndex(data[from:to])
		if loc == nil {
			s.work += to - from
			break
		}
		s.work += loc[1]
		// A match that touches the window's end may be the start of something
		// longer, or of something else.
		if from+loc[1] == to && to < len(data) && to-w.to < maxGrown {
			to = min(len(data), to+max(512, to-from))
			continue
		}
		start, end := loc[0], loc[1]
		for g := 1; 2*g < len(loc); g++ {
			if (r.Group == 0 || r.Group == g) && loc[2*g] >= 0 && loc[2*g] < loc[2*g+1] {
				start, end = loc[2*g], loc[2*g+1]
				break
			}
		}
		// At the left edge of the window \b and ^ hold by themselves.
		cut := loc[0] == 0 && from > 0 && start == 0 && wordByte(data[from-1]) && wordByte(data[from])
		if !cut {
			found = c.judge(found, path, data, match{
				rule: r, start: from + start, end: from + end,
				secret: data[from+start : from+end], whole: data[from+loc[0] : from+loc[1]], severity: r.Severity,
			})
		}
		from += max(loc[1], 1)
	}
	return found, nil
}

func wordByte(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b|foldBit >= 'a' && b|foldBit <= 'z'
}

// judge adds m unless something speaks against it.
func (c *Check) judge(found []match, path string, data []byte, m match) []match {
	r := m.rule
	if r.Entropy > 0 && entropy(m.secret) <= r.Entropy {
		return found
	}
	if !r.own && (c.allowed(c.allow, path, data, &m) || c.allowed(r.allow, path, data, &m)) {
		return found
	}
	if !r.own && r.leads == nil && installed(path) {
		return found
	}
	m.brought = (r.Weak || r.Public && sourceCode(path)) && installed(path)
	sure := false
	if r.judge != nil {
		v := r.judge(path, data, &m)
		if v.drop {
			return found
		}
		sure = v.sure
		if v.severity != bulwark.SeverityUnknown {
			m.severity = v.severity
		}
		m.note = v.note
	}
	if !sure && dummy(m.secret) {
		return found
	}
	return append(found, m)
}

// allowed tells whether a list of the module speaks for m. Lists of paths are
// for secrets without a form of their own: a token is one wherever it lies.
func (c *Check) allowed(lists []allowlist, path string, data []byte, m *match) bool {
	for i := range lists {
		a := &lists[i]
		target := m.secret
		switch a.target {
		case "match":
			target = m.whole
		case "line":
			target = lineOf(data, m.start)
		}
		byPath := a.path != nil && m.rule.leads == nil && a.path.matchString(path)
		byText := a.regex != nil && a.regex.match(target)
		byStop := false
		if len(a.stop) > 0 {
			low := strings.ToLower(string(m.secret))
			for _, w := range a.stop {
				byStop = byStop || strings.Contains(low, w)
			}
		}
		if a.all {
			if (byPath || a.path == nil) && (byText || a.regex == nil) && (byStop || len(a.stop) == 0) {
				return true
			}
		} else if byPath || byText || byStop {
			return true
		}
	}
	return false
}

// lineOf gives the line around place i, 1,024 bytes each way at most.
func lineOf(data []byte, i int) []byte {
	from, to := max(0, i-1024), min(len(data), i+1024)
	if n := bytes.LastIndexByte(data[from:i], '\n'); n >= 0 {
		from += n + 1
	}
	if n := bytes.IndexByte(data[i:to], '\n'); n >= 0 {
		to = i + n
	}
	return data[from:to]
}

// settle leaves one match where several rules took the same bytes: those that
// know a service before the one that does not, ours before the module's, then those with a form of their own, then the worse.
func settle(found []match) []match {
	if len(found) < 2 {
		return found
	}
	better := func(a, b *match) bool {
		if a.rule.Generic != b.rule.Generic {
			return b.rule.Generic
		}
		if a.rule.own != b.rule.own {
			return a.rule.own
		}
		if x, y := a.rule.leads != nil || a.rule.finder != nil, b.rule.leads != nil || b.rule.finder != nil; x != y {
			return x
		}
		if a.severity != b.severity {
			return a.severity > b.severity
		}
		return a.rule.ID < b.rule.ID
	}
	sortByStart(found)
	out := found[:1]
	for i := 1; i < len(found); i++ {
		m := found[i]
		last := &out[len(out)-1]
		if m.start >= last.end {
			out = append(out, m)
		} else if better(&m, last) {
			m.start, m.end = min(m.start, last.start), max(m.end, last.end)
			*last = m
		} else {
			last.end = max(last.end, m.end)
		}
	}
	return out
}

// entropy gives the Shannon entropy of b, in bits per byte.
func entropy(b []byte) float64 {
	if len(b) == 0 {
		return 0
	}
	var count [256]int
	for _, c := range b {
		count[c]++
	}
	var e float64
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(b))
			e -= p * math.Log2(p)
		}
	}
	return e
}
