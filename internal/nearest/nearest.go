// SPDX-License-Identifier: Apache-2.0

// Package nearest finds the word that somebody most likely meant to write. It
// knows slips of the finger; it does not know what the words mean.
package nearest

import "strings"

// maxWord bounds what is compared, in bytes: keys, flags and names are shorter,
// and the work grows with the product of the lengths.
const maxWord = 64

// slips is how many insertions, deletions and changes may lie between what was
// written and what was meant.
const slips = 2

// Of gives the first of words that differs least from s, or "" when none is near:
// more than two letters differ, or all of the word. Case does not count.
func Of(s string, words []string) string {
	best, least := "", slips+1
	s = strings.ToLower(s[:min(len(s), maxWord)])
	for _, w := range words {
		if n := len(w) - len(s); n > slips || n < -slips || len(w) > maxWord {
			continue
		}
		if d := edits(s, strings.ToLower(w)); d < least && d < len(w) {
			best, least = w, d
		}
	}
	return best
}

// edits counts the insertions, deletions and changes of bytes from a to b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
