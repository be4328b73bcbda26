// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// fence is a block of code in Markdown that says what it is: "```yaml FILE" is a
// file, "```console" what a person types and sees.
var fence = regexp.MustCompile("(?ms)^```(\\w+)(?: +([^\\s`]+))?\n(.*?)^```$")

// runManual does what pages below docs tell: it writes their files, then types their
// commands, and compares what is shown. "…" there is anything, on a line of its own
// any lines.
func runManual(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: manual PAGE…")
	}
	for _, page := range args {
		text, err := os.ReadFile(filepath.Join(ts.Getenv("DOCS"), page))
		ts.Check(err)
		done := 0
		for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
			switch {
			case m[1] == "yaml" && m[2] != "":
				name := ts.MkAbs(m[2])
				ts.Check(os.MkdirAll(filepath.Dir(name), 0o777))
				ts.Check(os.WriteFile(name, []byte(m[3]), 0o666))
				done++
			case m[1] == "console":
				typeAll(ts, page, m[3])
				done++
			}
		}
		if done == 0 {
			ts.Fatalf("%s has nothing to do", page)
		}
	}
}

// typeAll types the commands of one block.
func typeAll(ts *testscript.TestScript, page, block string) {
	code := 0
	for _, step := range strings.Split("\n"+block, "\n$ ")[1:] {
		command, want, _ := strings.Cut(step, "\n")
		var got string
		if command == "echo $?" {
			got = strconv.Itoa(code) + "\n"
		} else {
			err := ts.Exec("sh", "-c", command)
			var exit *exec.ExitError
			if code = 0; errors.As(err, &exit) {
				code = exit.ExitCode()
			} else if err != nil {
				ts.Fatalf("%s: %s: %v", page, command, err)
			}
			got = ts.ReadFile("stdout") + ts.ReadFile("stderr")
		}
		if !shown(want).MatchString(strings.TrimSuffix(got, "\n")) {
			ts.Fatalf("%s: %q shows\n%s\nwant\n%s", page, command, got, want)
		}
	}
}

// shown gives what a page shows as a pattern.
func shown(want string) *regexp.Regexp {
	lines := strings.Split(strings.TrimSuffix(want, "\n"), "\n")
	for i, l := range lines {
		if l == "…" {
			lines[i] = `(?s:.*)`
		} else {
			lines[i] = strings.ReplaceAll(regexp.QuoteMeta(l), "…", ".*")
		}
	}
	return regexp.MustCompile(`^` + strings.Join(lines, "\n") + `$`)
}
