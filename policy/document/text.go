// SPDX-License-Identifier: Apache-2.0

package document

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// A fold is where a run of a text's characters stands, when that does not follow
// from where the text begins: in lines that were folded, behind escapes.
type fold struct{ offset, line, column int }

// Equal tells whether two texts say the same at the same place.
func (t Text) Equal(u Text) bool { return t.Value == u.Value && t.Place == u.Place }

// At gives the place of the character that has offset characters before it in the
// value. Where a scalar with folded lines cannot be followed, the place is in its
// first line.
func (t Text) At(offset int) Place {
	p := t.Place
	if offset <= 0 || p.Line == 0 {
		return p
	}
	offset = min(offset, utf8.RuneCountInString(t.Value))
	if t.folds != nil {
		folds := *t.folds
		i, exact := slices.BinarySearchFunc(folds, offset, func(f fold, o int) int { return f.offset - o })
		if !exact {
			i--
		}
		if i >= 0 {
			p.Line, p.Column = folds[i].line, folds[i].column+offset-folds[i].offset
		}
		return p
	}
	for _, c := range t.Value {
		if offset == 0 {
			break
		}
		offset--
		p.Column++
		if c == '\n' { // a literal block: every line begins in the same column
			p.Line, p.Column = p.Line+1, t.Place.Column
		}
	}
	return p
}

// text gives a scalar's value and where its content stands.
func (r *reader) text(n *yaml.Node) Text {
	t := Text{Value: n.Value, Place: r.place(n)}
	var folds []fold
	switch {
	case n.Style&yaml.LiteralStyle != 0:
		t.Place.Line++
		t.Place.Column = 1 + r.indent(n)
	case n.Style&yaml.FoldedStyle != 0:
		t.Place.Line++
		t.Place.Column = 1 + r.indent(n)
		folds = r.folded(n, t.Place.Column-1)
	default:
		column := n.Column
		if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			column++
			t.Place.Column++
		}
		if !strings.HasPrefix(r.from(n.Line, column), n.Value) {
			folds = r.flowed(n, column)
		}
	}
	for i := range folds {
		folds[i].line += r.first
	}
	if folds != nil {
		t.folds = &folds
	}
	return t
}

// line gives a line of the document, from 1, without its end; "" beyond the last.
func (r *reader) line(n int) string {
	if n < 1 || n > len(r.lines) {
		return ""
	}
	return strings.TrimSuffix(r.lines[n-1], "\r")
}

// from gives what stands in a line from a column on. A file may be one line of a
// megabyte with a hundred thousand texts, so it must not count from its beginning
// each time.
func (r *reader) from(line, column int) string {
	l := r.line(line)
	starts, ok := r.starts[line]
	if !ok {
		if utf8.RuneCountInString(l) != len(l) {
			starts = make([]int32, 0, len(l))
			for i := range l {
				starts = append(starts, int32(i))
			}
		}
		if r.starts == nil {
			r.starts = map[int][]int32{}
		}
		r.starts[line] = starts
	}
	at := column - 1
	if starts != nil && at < len(starts) {
		at = int(starts[at])
	} else if starts != nil {
		at = len(l)
	}
	return l[max(0, min(at, len(l))):]
}

// indent gives the spaces before each line of a block scalar: its first line that
// is not blank is, in the file, that much longer.
func (r *reader) indent(n *yaml.Node) int {
	for first := range strings.SplitSeq(n.Value, "\n") {
		if strings.TrimSpace(first) == "" {
			continue
		}
		for i := n.Line + 1; i <= len(r.lines); i++ {
			if l := r.line(i); strings.TrimSpace(l) != "" {
				spaces := len(l) - len(strings.TrimLeft(l, " "))
				return max(0, spaces-(len(first)-len(strings.TrimLeft(first, " "))))
			}
		}
	}
	return 0
}

// folded follows the lines of a folded block scalar; nil when it cannot.
func (r *reader) folded(n *yaml.Node, indent int) []fold {
	var folds []fold
	rest, offset := n.Value, 0
	for i := n.Line + 1; rest != "" && i <= len(r.lines); i++ {
		l := r.line(i)
		if len(l) <= indent {
			continue
		}
		l = l[indent:]
		for rest != "" && (rest[0] == ' ' || rest[0] == '\n') && !strings.HasPrefix(rest, l) {
			rest = rest[1:]
			offset++
		}
		if rest == "" {
			break
		}
		if !strings.HasPrefix(rest, l) {
			return nil
		}
		folds = append(folds, fold{offset, i, indent + 1})
		rest = rest[len(l):]
		offset += utf8.RuneCountInString(l)
	}
	return folds
}

// flowed follows the characters of a plain or quoted scalar through escapes and
// line breaks; nil when what it reads is not the value, so that no place is wrong.
func (r *reader) flowed(n *yaml.Node, column int) []fold {
	f := follower{r: r, line: n.Line, column: column, rest: r.from(n.Line, column)}
	single, double := n.Style&yaml.SingleQuotedStyle != 0, n.Style&yaml.DoubleQuotedStyle != 0
	want := []rune(n.Value)
	for len(f.got) < len(want) {
		switch {
		case f.rest == "", double && f.rest == `\`:
			if !f.breakLine(f.rest == "") {
				return nil
			}
		case single && f.rest[0] == '\'' && !strings.HasPrefix(f.rest, "''"), double && f.rest[0] == '"':
			return nil // it ends here, and the value does not
		case single && f.rest[0] == '\'':
			f.emit('\'', 2, 2)
		case double && f.rest[0] == '\\':
			c, size := unescape(f.rest)
			if size == 0 {
				return nil
			}
			f.emit(c, size, size)
			f.kept = len(f.got)
		default:
			c, size := utf8.DecodeRuneInString(f.rest)
			f.emit(c, size, 1)
		}
	}
	if !slices.Equal(f.got, want) {
		return nil
	}
	return f.folds
}

// A follower reads a scalar's characters once more, with their places.
type follower struct {
	r            *reader
	line, column int    // of the next character
	rest         string // of the line
	got          []rune
	kept         int // characters that a line break does not take away
	folds        []fold
}

// emit adds a character that takes so many bytes and columns.
func (f *follower) emit(c rune, size, columns int) {
	f.add(c, f.line, f.column)
	f.rest = f.rest[size:]
	f.column += columns
}

func (f *follower) add(c rune, line, column int) {
	if k := len(f.folds) - 1; k < 0 || f.folds[k].line != line || f.folds[k].column+len(f.got)-f.folds[k].offset != column {
		f.folds = append(f.folds, fold{len(f.got), line, column})
	}
	f.got = append(f.got, c)
}

// breakLine goes on to the next line that is not blank. The break is a space,
// unless it is escaped; blank lines are line feeds; space around it counts for
// nothing (https://yaml.org/spec/1.2.2/#65-line-folding). It is false when there is
// no such line.
func (f *follower) breakLine(folded bool) bool {
	if folded {
		for len(f.got) > f.kept && (f.got[len(f.got)-1] == ' ' || f.got[len(f.got)-1] == '\t') {
			f.got = f.got[:len(f.got)-1]
		}
		for len(f.folds) > 0 && f.folds[len(f.folds)-1].offset >= len(f.got) {
			f.folds = f.folds[:len(f.folds)-1]
		}
	}
	next := f.line + 1
	for ; next <= len(f.r.lines) && strings.TrimSpace(f.r.line(next)) == ""; next++ {
		f.add('\n', f.line, f.column)
	}
	if next > len(f.r.lines) {
		return false
	}
	if folded && next == f.line+1 {
		f.add(' ', f.line, f.column)
	}
	l := f.r.line(next)
	f.rest = strings.TrimLeft(l, " \t")
	f.line, f.column = next, 1+len(l)-len(f.rest)
	f.kept = len(f.got)
	return true
}

// unescape reads an escape of a double-quoted scalar, all of whose characters are
// ASCII (https://yaml.org/spec/1.2.2/#57-escaped-characters).
func unescape(s string) (c rune, size int) {
	digits := 0
	switch s[1] {
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	default:
		const from, to = `0abt` + "\t" + `nvfre "/\N_LP`, "\x00\a\b\t\t\n\v\f\r\x1b \"/\\\u0085\u00a0\u2028\u2029"
		i := strings.IndexByte(from, s[1])
		if i < 0 {
			return 0, 0
		}
		return []rune(to)[i], 2
	}
	if len(s) < 2+digits {
		return 0, 0
	}
	v, err := strconv.ParseUint(s[2:2+digits], 16, 32)
	if err != nil {
		return 0, 0
	}
	return rune(v), 2 + digits
}
