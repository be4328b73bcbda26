// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"sync"

	"github.com/bulwark-sec/bulwark"
)

// maxText bounds a text file that is looked at, bytes. The list of modules in
// elixir.app makes it the largest, with some 10 KiB.
const maxText = 1 << 20

// RuntimeFile reads the small text files in which runtimes and servers that are
// no single program keep their version: Java's release file, the application
// files of Elixir and RabbitMQ, Erlang's OTP_VERSION, Firefox's
// application.ini. Its zero value is ready to use.
type RuntimeFile struct{}

// A text is one kind of such a file.
type text struct {
	file    string // name
	under   string // a directory that the file must be in; "" is any
	head    string // stands in the first bytes, so that nothing else is read
	name    string
	bitnami string
	re      string // its first group is the version
	spell   func(string) string
}

var texts = []text{
	{file: "release", head: `JAVA_VERSION="`, name: "java", bitnami: "java", spell: javaVersion, re: `(?m)^JAVA_VERSION="(\d{1,2}[0-9A-Za-z._+-]{0,40})"\s*$`},
	{file: "elixir.app", head: "{application,elixir,", name: "elixir", re: `\{vsn,\s*"(\d{1,2}\.\d{1,3}\.\d{1,3}(?:-[0-9A-Za-z.]{1,20})?)"\}`},
	{file: "rabbit.app", head: "{application,", name: "rabbitmq", bitnami: "rabbitmq", re: `(?s)^(?:%[^\n]*\n|\s)*\{application,\s*'?rabbit'?,.*\{vsn,\s*"(\d{1,2}\.\d{1,3}\.\d{1,3}(?:-[0-9A-Za-z.]{1,20})?)"\}`},
	{file: "DESCRIPTION", under: "base", head: "Package: base\n", name: "r", re: `(?m)\APackage: base\nVersion: (\d\.\d{1,2}\.\d{1,2})$`},
	{file: "OTP_VERSION", under: "releases", name: "erlang", re: `^(\d{2}(?:\.\d{1,3}){1,4})\s*$`},
	{file: "application.ini", head: "Name=Firefox", name: "firefox", re: `(?m)^\[App\]\s*$(?:\n[A-Za-z]+=.*)*\nVersion=(\d{2,3}(?:\.\d{1,3}){1,3}(?:[ab]\d{1,2}|esr)?)\s*$`},
}

var textPatterns = sync.OnceValue(func() []*regexp.Regexp {
	var all []*regexp.Regexp
	for i := range texts {
		all = append(all, regexp.MustCompile(texts[i].re))
	}
	return all
})

// Name gives "runtime-file".
func (RuntimeFile) Name() string { return "runtime-file" }

// textOf gives the number of the kind of file that p is named like, or -1.
func textOf(p string) int {
	name := base(p)
	for i := range texts {
		if name == texts[i].file && (texts[i].under == "" || within(p, texts[i].under)) {
			return i
		}
	}
	return -1
}

// within tells whether p is in a directory of that name, at some depth.
func within(p, dir string) bool {
	for {
		elem, rest, ok := strings.Cut(p, "/")
		if !ok {
			return false
		}
		if elem == dir {
			return true
		}
		p = rest
	}
}

// Wants tells whether a file is named like one that keeps a version.
func (RuntimeFile) Wants(p string, st bulwark.Stat) bool {
	return st.Mode&fs.ModeType == 0 && st.Size <= maxText && textOf(p) >= 0
}

// WantsHead tells whether head is that of such a file.
func (RuntimeFile) WantsHead(p string, head []byte) bool {
	i := textOf(p)
	return i >= 0 && bytes.Contains(head, []byte(texts[i].head))
}

// Extract gives the runtime, if the file tells its version.
func (e RuntimeFile) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	i := textOf(f.Path)
	if i < 0 {
		return nil, nil
	}
	data, err := f.Bytes(maxText)
	if err != nil {
		return nil, fmt.Errorf("runtime file: %w", err)
	}
	t := &texts[i]
	if !bytes.Contains(data[:min(len(data), 4096)], []byte(t.head)) {
		return nil, nil
	}
	m := textPatterns()[i].FindSubmatch(data)
	if m == nil {
		return nil, nil
	}
	v := string(m[1])
	if t.spell != nil {
		v = t.spell(v)
	}
	return []bulwark.Package{found(t.name, t.bitnami, v, f.Path, e.Name())}, nil
}
