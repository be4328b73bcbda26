// SPDX-License-Identifier: Apache-2.0

package rpm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

const (
	// manifest lists the packages of a distroless image of CBL-Mariner or
	// Azure Linux, which has no rpm database.
	manifest = "var/lib/rpmmanifest/container-manifest-2"
	// Bytes of one line, which has ten short fields.
	maxLine = 64 << 10
)

// manifest reads the manifest, if it is there. Each line has, between tabs:
// name, version-release, times of installation and build, vendor, epoch or
// "(none)", size, architecture, epoch as a number, source package.
func (c *collector) manifest(ctx context.Context, fsys fs.FS) error {
	f, err := fsys.Open(manifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	c.start(manifest)
	if err != nil {
		c.gap(err, true)
		return nil
	}
	defer f.Close() //nolint:errcheck // only read from
	r := bufio.NewReaderSize(f, maxLine)
	for no := 1; ; no++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		raw, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			c.gap(fmt.Errorf("line %d: %w", no, bulwark.ErrTooLarge), true)
			return nil
		}
		if line := strings.TrimRight(string(raw), "\r\n"); line != "" {
			c.line(no, line)
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				c.gap(err, true)
			}
			return nil
		}
		if c.lost >= maxGaps {
			return nil
		}
	}
}

func (c *collector) line(no int, line string) {
	fields := strings.Split(line, "\t")
	if len(fields) < 10 || fields[0] == "" || fields[1] == "" {
		c.gap(fmt.Errorf("line %d: %w", no, errHeader), true)
		return
	}
	set := func(s string) string {
		if s == "(none)" {
			return ""
		}
		return s
	}
	p := pkg{name: fields[0], vendor: set(fields[4]), epoch: set(fields[5]), arch: set(fields[7]), source: set(fields[9])}
	if p.epoch == "0" {
		p.epoch = ""
	}
	p.version, p.release, _ = strings.Cut(fields[1], "-")
	if p.name == "gpg-pubkey" {
		return
	}
	c.add(p.noun(manifest, c.os))
}
