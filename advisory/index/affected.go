// SPDX-License-Identifier: Apache-2.0

package index

import (
	"context"
	"slices"

	"github.com/bulwark-sec/bulwark"
)

// looked is how many rows are passed between two looks at a context.
const looked = 1 << 16

// Affected gives what the advisories with these ordinals say of packages: at most
// max of them, by name, and how many there are. What several of them say alike
// counts once. It reads every row of the segment, some ten million in a second.
func (s *Segment) Affected(ctx context.Context, ords []uint32, max int) (list []bulwark.Affected, total int, err error) {
	wanted := slices.Sorted(slices.Values(ords))
	var name string
	var told []uint64 // bodies of that name
	rows := 0
	err = s.everyRow(func(key []byte, ord int, at uint64) error {
		if rows%looked == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		rows++
		if _, ok := slices.BinarySearch(wanted, uint32(ord)); !ok {
			return nil
		}
		if string(key) != name {
			name, told = string(key), told[:0]
		}
		if slices.Contains(told, at) {
			return nil
		}
		told = append(told, at)
		total++
		if len(list) >= max {
			return nil
		}
		release, a, err := s.at(at)
		if err != nil {
			return err
		}
		a.Ecosystem, a.Name = s.ecosystem, name
		if release != "" {
			a.Ecosystem += ":" + release
		}
		list = append(list, a)
		return nil
	})
	return list, total, err
}
