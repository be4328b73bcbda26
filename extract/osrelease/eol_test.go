// SPDX-License-Identifier: Apache-2.0

package osrelease

import (
	"testing"
	"time"
)

// A day that cannot be read would say that the end of a release is not known.
func TestSupports(t *testing.T) {
	seen := map[[2]string]bool{}
	for _, s := range supports {
		if _, err := time.Parse(time.DateOnly, s.last); err != nil || s.id == "" || s.release == "" || seen[[2]string{s.id, s.release}] {
			t.Errorf("%+v: %v", s, err)
		}
		seen[[2]string{s.id, s.release}] = true
	}
}
