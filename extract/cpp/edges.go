// SPDX-License-Identifier: Apache-2.0

package cpp

import (
	"encoding/json"
	"maps"
	"slices"
)

// edges are the nodes that a node of a graph points to: a list of their numbers,
// or to version 0.3 of the format a number for each reference.
type edges []string

// UnmarshalJSON reads either form and takes any other for none.
func (e *edges) UnmarshalJSON(data []byte) error {
	*e = nil
	switch data[0] {
	case '[':
		var list []string
		if json.Unmarshal(data, &list) == nil {
			*e = list
		}
	case '{':
		var byRef map[string]string
		if json.Unmarshal(data, &byRef) == nil {
			*e = slices.Collect(maps.Values(byRef))
		}
	}
	return nil
}

// reference is a list of references, for which some versions write one string.
type reference []string

// UnmarshalJSON reads either form and takes any other for none.
func (r *reference) UnmarshalJSON(data []byte) error {
	*r = nil
	switch data[0] {
	case '"':
		*r = reference{""}
		return json.Unmarshal(data, &(*r)[0])
	case '[':
		var list []string
		if json.Unmarshal(data, &list) == nil {
			*r = list
		}
	}
	return nil
}
