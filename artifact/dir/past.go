// SPDX-License-Identifier: Apache-2.0

package dir

import (
	"fmt"
	"io"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/gitlog"
)

// past opens what is known of the past of the work tree at root, which stands on
// the commit head, "" before the first one. It parses nothing: what it opens is as
// hostile as the work tree.
func past(root, head string) (*bulwark.Past, error) {
	work, err := folderRoot(root)
	if err != nil {
		return nil, cause(err)
	}
	h := &bulwark.Past{
		Head: head,
		File: func(name string) (io.ReadCloser, error) {
			f, err := regular(work, name)
			if err != nil {
				return nil, fmt.Errorf("open %q: %w", name, cause(err))
			}
			return f, nil
		},
		Close: func() { work.Close() },
	}
	if head == "" {
		return h, nil
	}
	g, err := openGit(root)
	if err != nil {
		h.Close()
		return nil, err
	}
	files, err := gitlog.Open(g.shared)
	if err != nil {
		h.Close()
		g.close()
		return nil, cause(err)
	}
	h.Packs, h.Shallow, h.Loose = files.Packs, files.Shallow, files.Loose
	h.Close = func() {
		files.Close()
		g.close()
		work.Close()
	}
	return h, nil
}
