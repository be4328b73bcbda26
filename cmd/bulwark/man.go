// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand writes the manual pages of all commands. It is hidden: packagers
// need it, others have --help.
func (p *program) manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Hidden: true, Short: "Write the manual pages",
		Long: "Write a manual page for each command into DIR. The same program always writes the same bytes.",
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true // no line with the time of writing
			return p.manual(root, args[0])
		},
	}
}

// manual writes the page of a command and of those below it.
func (p *program) manual(c *cobra.Command, dir string) error {
	for _, sub := range c.Commands() {
		if !sub.IsAvailableCommand() {
			continue
		}
		if err := p.manual(sub, dir); err != nil {
			return err
		}
	}
	made, known := versionTime(p.version)
	var page bytes.Buffer
	header := &doc.GenManHeader{Section: "1", Date: &made, Source: "Bulwark " + p.version, Manual: "Bulwark"}
	if err := doc.GenMan(c, header, &page); err != nil {
		return fmt.Errorf("manual of %s: %w", c.CommandPath(), err)
	}
	text := page.Bytes()
	if !known { // better no date than a wrong one
		text = bytes.Replace(text, []byte(`"Jan 1970"`), []byte(`""`), 1)
	}
	name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
	return os.WriteFile(filepath.Join(dir, name), text, 0o644)
}

// versionTime gives when a version was made: the time in a pseudo-version
// (https://go.dev/ref/mod#pseudo-versions), else that of the commit that was
// built. Known is false, and the time the epoch, when nothing tells.
func versionTime(version string) (made time.Time, known bool) {
	if m := regexp.MustCompile(`[-.](\d{14})-[0-9a-f]{12}`).FindStringSubmatch(version); m != nil {
		if t, err := time.Parse("20060102150405", m[1]); err == nil {
			return t, true
		}
	}
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, s := range b.Settings {
			if t, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
				return t.UTC(), true
			}
		}
	}
	return time.Unix(0, 0).UTC(), false
}
