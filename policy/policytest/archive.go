// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"fmt"
	"path"

	"golang.org/x/tools/txtar" // archives of small files that people read

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
)

// maxArchive bounds an archive, bytes.
const maxArchive = 16 << 20

// Archive gives the documents of a txtar archive, which are one set, and what its
// file "want" says that [Result.WriteText] writes; nil is no such file. An archive
// of more than 16 MiB is [bulwark.ErrTooLarge].
func Archive(data []byte) (sources []policy.Source, want []byte, err error) {
	if len(data) > maxArchive {
		return nil, nil, fmt.Errorf("an archive of %d bytes, limit %d: %w", len(data), maxArchive, bulwark.ErrTooLarge)
	}
	for _, f := range txtar.Parse(data).Files {
		switch {
		case path.Ext(f.Name) == ".yaml", path.Ext(f.Name) == ".yml":
			sources = append(sources, policy.Source{Name: f.Name, Data: f.Data})
		case f.Name == "want":
			want = append([]byte{}, f.Data...)
		}
	}
	if len(sources) == 0 {
		return nil, nil, fmt.Errorf("the archive has no file that ends in .yaml: %w", bulwark.ErrNotFound)
	}
	return sources, want, nil
}
