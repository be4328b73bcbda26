// SPDX-License-Identifier: Apache-2.0

// Command bounds measures the scanner against what it promises, prints a table,
// and exits 1 when a bound is missed. It knows the bounds and the order of the
// measurements; the programs that it calls are built by test/bench/run.
//
// Processor time on a shared machine has noise of two kinds. Load that comes and
// goes is met by measuring two things in turns, A B B A, and judging the median
// of the ratios of neighbours. What load adds to a single figure is met by taking
// the least of several. A bound that is missed while the machine is overloaded is
// measured once more.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// overload is the load average for each processor above which a missed bound
// gets a second chance.
const overload = 2.5

func main() {
	var b bench
	flag.StringVar(&b.bulwark, "bulwark", "", "the program under test")
	flag.StringVar(&b.tools, "tools", "", "folder of the programs that help")
	flag.StringVar(&b.peers, "peers", "", "folder of other scanners; empty leaves them out")
	flag.StringVar(&b.images, "images", "", "folder of images")
	flag.StringVar(&b.scratch, "scratch", "", "folder for what is made on the way")
	flag.StringVar(&b.data, "data", "", "folder of advisories in the layout of the OSV export; empty makes some up")
	flag.IntVar(&b.pairs, "pairs", 5, "how often two things are compared, at least 3")
	only := flag.String("only", "", "only these measurements, separated by commas")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if b.bulwark == "" || b.tools == "" || b.images == "" || b.scratch == "" || b.pairs < 3 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(64)
	}
	if !b.run(ctx, *only) {
		os.Exit(1)
	}
}

type bench struct {
	bulwark, tools, peers, images, scratch, data string
	pairs                                        int
}

// A row is one line of the table.
type row struct {
	what, got, bound string
	ok               bool
	gates            bool // whether a miss fails the benchmark
}

// gate makes a row that fails the benchmark when ok is false.
func gate(ok bool, what, got, bound string) row { return row{what, got, bound, ok, true} }

// note makes a row that is there to be read.
func note(what, format string, args ...any) row {
	return row{what: what, got: fmt.Sprintf(format, args...), ok: true}
}

// A step measures something and gives its rows. An error counts as a miss.
type step struct {
	name string
	run  func(context.Context) ([]row, error)
}

func (b *bench) steps() []step {
	return []step{
		{"cold", b.cold},
		{"warm", b.warm},
		{"growth", b.growth},
		{"tax", b.tax},
		{"checks", b.checks},
		{"index", b.index},
		{"decide", b.decide},
		{"secrets", b.secrets},
		{"peers", b.beside},
	}
}

func (b *bench) run(ctx context.Context, only string) bool {
	fmt.Printf("%d processors, %s, load %.1f, %s\n\n", runtime.NumCPU(), cpuModel(), load(), time.Now().UTC().Format("2006-01-02 15:04 UTC"))
	fmt.Printf("%-44s %28s %10s  %s\n", "WHAT", "MEASURED", "BOUND", "VERDICT")
	passed, failed := 0, 0
	for _, s := range b.steps() {
		if ctx.Err() != nil {
			break
		}
		if only != "" && !strings.Contains(","+only+",", ","+s.name+",") {
			continue
		}
		before := load()
		rows, err := s.run(ctx)
		if busy := max(before, load()); (err != nil || missed(rows)) && ctx.Err() == nil && busy > overload*float64(runtime.NumCPU()) {
			show(rows)
			if err != nil {
				fmt.Printf("%s: %v\n", s.name, err)
			}
			fmt.Printf("%s: missed at load %.1f, measured once more\n", s.name, busy)
			rows, err = s.run(ctx)
		}
		show(rows)
		for _, r := range rows {
			switch {
			case !r.gates:
			case r.ok:
				passed++
			default:
				failed++
			}
		}
		if err != nil {
			failed++
			fmt.Printf("%-44s %28s %10s  MISSED\n", s.name, "not measured", "")
			fmt.Fprintf(os.Stderr, "%s: %v\n", s.name, err)
		}
	}
	if ctx.Err() != nil {
		failed++
		fmt.Println("interrupted")
	}
	fmt.Printf("\nload %.1f at the end\n%d passed, %d failed\n", load(), passed, failed)
	return failed == 0
}

func missed(rows []row) bool {
	for _, r := range rows {
		if r.gates && !r.ok {
			return true
		}
	}
	return false
}

func show(rows []row) {
	for _, r := range rows {
		verdict := ""
		switch {
		case r.gates && r.ok:
			verdict = "ok"
		case r.gates:
			verdict = "MISSED"
		}
		fmt.Println(strings.TrimRight(fmt.Sprintf("%-44s %28s %10s  %s", r.what, r.got, r.bound, verdict), " "))
	}
}

// load gives the load average of the last minute; 0 when the system tells none.
func load() float64 {
	b, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(b), " ")
	l, _ := strconv.ParseFloat(first, 64)
	return l
}

func cpuModel() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	_, rest, ok := strings.Cut(string(b), "model name\t: ")
	if !ok {
		return "unknown processor"
	}
	line, _, _ := strings.Cut(rest, "\n")
	return line
}

// layout is the image that most is measured on.
func (b *bench) layout() string { return filepath.Join(b.images, "debian.oci") }
