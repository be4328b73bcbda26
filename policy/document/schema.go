// SPDX-License-Identifier: Apache-2.0

package document

import (
	"encoding/json"
	"fmt"

	"github.com/bulwark-sec/bulwark"
)

// Kinds lists the kinds of document, the most important first.
func Kinds() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}

// Schema gives the JSON Schema of a kind of document
// (https://json-schema.org/draft/2020-12), for editors: it refuses nothing that
// [Parse] reads, and of what Parse refuses, all that one value shows. A kind that
// there is not is [bulwark.ErrUsage].
func Schema(kind string) ([]byte, error) {
	for _, k := range kinds {
		if k.name != kind {
			continue
		}
		s := k.schema()
		s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
		s["title"] = k.name + ", " + APIVersion
		b, err := json.MarshalIndent(s, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("schema of %q: %w", kind, err)
		}
		return append(b, '\n'), nil
	}
	return nil, fmt.Errorf("%s: %w", unknown("kind", kind, Kinds()), bulwark.ErrUsage)
}
