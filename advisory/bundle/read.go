// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"io"
	"os"
)

// readAll stands in for a mapping.
func readAll(f *os.File, size int64) ([]byte, func() error, error) {
	b := make([]byte, size)
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, nil, err
	}
	return b, func() error { return nil }, nil
}
