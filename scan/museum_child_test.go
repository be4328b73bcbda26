// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scan_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check/live"
	"github.com/bulwark-sec/bulwark/internal/diskcache"
	"github.com/bulwark-sec/bulwark/internal/limit"
	"github.com/bulwark-sec/bulwark/scan"
)

// takenOver are parsing children in which a hostile file has won. Each can do no
// more than write to its output; the scan must bear all that.
var takenOver = map[string]func(in io.Reader, out io.Writer){
	"child-that-talks-rubbish": func(in io.Reader, out io.Writer) {
		asked(in)
		out.Write(noise(1 << 20))
		io.Copy(io.Discard, in)
	},
	"child-of-one-endless-line": func(in io.Reader, out io.Writer) {
		helloThenLayer(in, out)
		for chunk := bytes.Repeat([]byte("a"), 1<<20); ; {
			if _, err := out.Write(chunk); err != nil {
				return
			}
		}
	},
	"child-that-floods-with-packages": func(in io.Reader, out io.Writer) {
		helloThenLayer(in, out)
		for line := []byte(`{"lane":0,"package":{"name":"flood","version":"1"}}` + "\n"); ; {
			if _, err := out.Write(bytes.Repeat(line, 1000)); err != nil {
				return
			}
		}
	},
	"child-that-floods-with-suppressions": func(in io.Reader, out io.Writer) {
		helloThenLayer(in, out)
		for line := []byte(`{"lane":0,"suppression":{"rule":"*"}}` + "\n"); ; {
			if _, err := out.Write(bytes.Repeat(line, 1000)); err != nil {
				return
			}
		}
	},
	"child-that-floods-unasked": func(in io.Reader, out io.Writer) {
		helloThenLayer(in, out)
		for line := []byte(`{"lane":-1,"gap":{"kind":"x"}}` + "\n"); ; {
			if _, err := out.Write(bytes.Repeat(line, 1000)); err != nil {
				return
			}
		}
	},
	"child-that-answers-another-lane": func(in io.Reader, out io.Writer) {
		helloThenLayer(in, out)
		fmt.Fprintln(out, `{"lane":1000000,"done":{}}`)
		io.Copy(io.Discard, in)
	},
	"child-that-keeps-files-outside": func(in io.Reader, out io.Writer) {
		helloThenLayer(in, out)
		fmt.Fprintln(out, `{"lane":0,"kept":{"path":"../../canary/secret","off":9223372036854775807,"size":9223372036854775807}}`)
		fmt.Fprintln(out, `{"lane":0,"done":{}}`)
		io.Copy(io.Discard, in)
	},
	"child-of-another-diff-ID": func(in io.Reader, out io.Writer) {
		helloThenLayer(in, out)
		fmt.Fprintf(out, `{"lane":0,"done":{"diffId":%q}}`+"\n", digest(nil))
		io.Copy(io.Discard, in)
	},
	"child-that-asks-the-daemon-unasked": func(in io.Reader, out io.Writer) {
		helloThenLayer(in, out)
		fmt.Fprintln(out, `{"lane":0,"ask":{"path":"../../canary/secret","off":0,"size":100}}`)
		io.Copy(io.Discard, in)
	},
	"child-of-garbled-digests": func(in io.Reader, out io.Writer) {
		helloThenLayer(in, out)
		fmt.Fprintln(out, `{"lane":0,"files":"/////////////w=="}`)
		fmt.Fprintln(out, `{"lane":0,"done":{}}`)
		io.Copy(io.Discard, in)
	},
	"child-of-endless-digests": func(in io.Reader, out io.Writer) {
		helloThenLayer(in, out)
		for line := []byte(`{"lane":0,"files":"` + strings.Repeat("A", 1<<20) + `"}` + "\n"); ; {
			if _, err := out.Write(line); err != nil {
				return
			}
		}
	},
	"child-that-tells-secrets-unasked": func(in io.Reader, out io.Writer) {
		helloThenLayer(in, out)
		fmt.Fprintln(out, `{"lane":0,"raw":{"value":"a secret"}}`)
		fmt.Fprintln(out, `{"lane":0,"done":{}}`)
		io.Copy(io.Discard, in)
	},
	"child-that-floods-with-secrets": func(in io.Reader, out io.Writer) {
		helloThenLayer(in, out)
		for line := []byte(`{"lane":0,"raw":{"value":"a secret"}}` + "\n"); ; {
			if _, err := out.Write(bytes.Repeat(line, 1000)); err != nil {
				return
			}
		}
	},
	"child-that-dies-at-once": func(io.Reader, io.Writer) {},
	"child-that-paints-the-terminal": func(in io.Reader, out io.Writer) {
		helloThenLayer(in, out)
		fmt.Fprintln(os.Stderr, "\x1b[2J\xff\u202e"+strings.Repeat("x", 1<<20))
		os.Exit(2)
	},
}

// noHashes is a list that knows nothing.
type noHashes struct{}

func (noHashes) Has(int) bool                       { return true }
func (noHashes) Find([]byte, int64) (string, error) { return "", nil }

// asked reads one command.
func asked(in io.Reader) string {
	b, err := bufio.NewReaderSize(in, 1).ReadString('\n')
	if err != nil {
		os.Exit(0)
	}
	return b
}

// helloThenLayer answers the first command and waits for a layer. A file that
// nobody reads from the start serves as its input, so there is nothing behind.
func helloThenLayer(in io.Reader, out io.Writer) {
	asked(in)
	fmt.Fprintln(out, `{"lane":-1,"hello":{}}`)
	asked(in)
}

// childExhibits are good images that a bad child reads.
func childExhibits() []exhibit {
	image := func(r *room) string { return r.layout(good()) }
	as := func(name string) func(context.Context, scan.Scanner, *room, string) (*bulwark.Report, error) {
		return func(ctx context.Context, s scan.Scanner, r *room, target string) (*bulwark.Report, error) {
			s.Exec, s.Parallel = r.path(name), 1
			own, err := os.Executable()
			if err == nil {
				err = os.Link(own, s.Exec)
			}
			if err != nil {
				return nil, errors.Join(errSkip, err)
			}
			return s.Run(ctx, target)
		}
	}
	var all []exhibit
	add := func(x exhibit) {
		x.make, x.scan = image, as(x.name)
		all = append(all, x)
	}
	add(exhibit{name: "child-that-talks-rubbish", refused: "parser"})
	add(exhibit{name: "child-of-one-endless-line", gap: gap{detail: "larger than the limit", hides: true}})
	add(exhibit{name: "child-that-floods-with-packages", limits: limit.Limits{Results: 1000}, gap: gap{detail: "the layer was not read", hides: true},
		bug: "record.add bounds the bytes of answers and not their number: 50 bytes of JSON make a Package of half a kilobyte"})
	add(exhibit{name: "child-that-floods-with-suppressions", gap: gap{detail: "the layer was not read", hides: true}})
	add(exhibit{name: "child-that-floods-unasked", gap: gap{detail: "the layer was not read", hides: true},
		bug: "session.pass blocks on main, which nobody reads during a layer; then ctx ends and gone is never closed"})
	add(exhibit{name: "child-that-answers-another-lane", gap: gap{detail: "not asked", hides: true}})
	add(exhibit{name: "child-that-keeps-files-outside", gap: gap{detail: "the layer was not read", hides: true}})
	add(exhibit{name: "child-of-another-diff-ID", refused: "diff ID"})
	add(exhibit{name: "child-that-asks-the-daemon-unasked", gap: gap{detail: "the layer was not read", hides: true}})
	add(exhibit{name: "child-of-endless-digests", gap: gap{detail: "the layer was not read", hides: true}})
	add(exhibit{name: "child-of-garbled-digests", gap: gap{detail: "malformed digests"}})
	listed := all[len(all)-1].scan
	all[len(all)-1].scan = func(ctx context.Context, s scan.Scanner, r *room, target string) (*bulwark.Report, error) {
		s.Malware, s.Hashes = true, noHashes{}
		return listed(ctx, s, r, target)
	}
	add(exhibit{name: "child-that-tells-secrets-unasked", gap: gap{detail: "the layer was not read", hides: true}})
	add(exhibit{name: "child-that-floods-with-secrets", gap: gap{detail: "the layer was not read", hides: true}})
	flooded := all[len(all)-1].scan
	all[len(all)-1].scan = func(ctx context.Context, s scan.Scanner, r *room, target string) (*bulwark.Report, error) {
		s.Secrets, s.Live = true, &live.Client{}
		return flooded(ctx, s, r, target)
	}
	add(exhibit{name: "child-that-dies-at-once", refused: "parser",
		bug: "engine.died wraps a nil error in errDied when the child ended with code 0: its Error panics"})
	add(exhibit{name: "child-that-paints-the-terminal", gap: gap{detail: "the layer was not read", hides: true}})
	return append(all, exhibit{
		name: "cache-after-a-killed-child",
		make: func(r *room) string {
			return r.layout(gz(new(stream).npm("good", "1.0.0").file("zeros", string(make([]byte, 100<<20))).end()))
		},
		scan: func(ctx context.Context, s scan.Scanner, r *room, target string) (*bulwark.Report, error) {
			s.Cache = diskcache.Open(r.path("cache"), 1<<30)
			if _, err := killing(ctx, func() (*bulwark.Report, error) { return s.Run(ctx, target) }); errors.Is(err, errSkip) {
				return nil, err
			}
			return s.Run(ctx, target)
		},
		packages: []string{"good 1.0.0"},
		bug:      "keepable takes the gap of a dead parser for a function of content: after one death, of too little memory say, the layer counts as unreadable for ever",
	}, exhibit{
		name: "child-that-is-killed-again-and-again",
		make: func(r *room) string {
			s := new(stream).npm("good", "1.0.0").put(head{name: "zeros", claim: 1 << 30}, "").Bytes()
			return r.layout(lying(append(gzipped(s), bytes.Repeat(gzipped(noise(1<<20)), 60)...), "+gzip"))
		},
		scan: func(ctx context.Context, s scan.Scanner, _ *room, target string) (*bulwark.Report, error) {
			return killing(ctx, func() (*bulwark.Report, error) { return s.Run(ctx, target) })
		},
		gap: gap{detail: "the parser was killed", hides: true},
		bug: "engine.one takes the error of a Send that the child's death broke for one of the source: it stays in job.err, Scanner.layers reads again three times and then gives an error where engine.blame had a gap",
	})
}

// killing does to every child that has begun what the kernel does when memory
// runs out, while run runs.
func killing(ctx context.Context, run func() (*bulwark.Report, error)) (*bulwark.Report, error) {
	if os.Geteuid() != 0 {
		return nil, errSkip // it shows only root what it has written
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		greeted := map[int]time.Time{}
		for ctx.Err() == nil {
			for _, pid := range parsing() {
				b, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
				if err != nil || bytes.Contains(b, []byte("wchar: 0\n")) {
					continue // it has not said hello
				}
				if at, ok := greeted[pid]; !ok {
					greeted[pid] = time.Now()
				} else if time.Since(at) > 10*time.Millisecond {
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
			}
			time.Sleep(2 * time.Millisecond)
		}
	})
	// A child that dies before it is listened to is another story, and an error.
	r, err := run()
	for range 3 {
		if err == nil || !strings.HasPrefix(err.Error(), "the parser was killed") {
			break
		}
		r, err = run()
	}
	return r, err
}

// parsing lists the parsing children of this process.
func parsing() []int {
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		return nil
	}
	var out []int
	for _, l := range lists {
		pids, err := os.ReadFile(l)
		if err != nil {
			continue
		}
		for pid := range strings.FieldsSeq(string(pids)) {
			// Before it executes, a child shows its parent's name.
			if name, err := os.ReadFile("/proc/" + pid + "/cmdline"); err == nil && bytes.HasPrefix(name, []byte("bulwark\x00")) {
				if n, err := strconv.Atoi(pid); err == nil {
					out = append(out, n)
				}
			}
		}
	}
	return out
}
