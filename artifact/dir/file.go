// SPDX-License-Identifier: Apache-2.0

package dir

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bulwark-sec/bulwark"
)

// File opens a single file as an artifact of its own, a bill of materials say.
func File(_ context.Context, name string, kind bulwark.Kind, source string, o bulwark.OpenOptions) (*bulwark.Tree, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", name, cause(err))
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open %q: not a regular file: %w", name, bulwark.ErrUnsupported)
	}
	o.SkipDirs, o.Wants = nil, nil
	t, w, err := open(filepath.Dir(name), kind, source, o, nil)
	if err != nil {
		return nil, err
	}
	w.only = filepath.Base(name)
	t.Artifact.Name = name
	return t, nil
}
