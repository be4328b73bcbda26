// SPDX-License-Identifier: Apache-2.0

package dpkg

import "strings"

// Optional tells whether a file that is wanted only adds to what the database
// says: copyright and control files name licences.
func (Extractor) Optional(path string) bool {
	return strings.HasPrefix(path, "usr/share/doc/") || strings.HasSuffix(path, ctrlExt) && !strings.HasPrefix(path, statusDir)
}
