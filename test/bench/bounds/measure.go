// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// A sample is what one run of a program cost.
type sample struct {
	cpu  float64 // seconds, of the process and its descendants
	rss  float64 // peak of the sum of resident sets, bytes
	wall float64 // seconds
	said string  // what the program wrote
}

// measure runs a program in an empty home. Any exit code but 0 is an error.
func (b *bench) measure(ctx context.Context, program string, args ...string) (sample, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(b.tools, "measure"), append([]string{program}, args...)...)
	cmd.Env = b.env()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	name := filepath.Base(program) + " " + strings.Join(args, " ")
	if err := cmd.Run(); err != nil {
		return sample{}, fmt.Errorf("measure %s: %w: %s", name, err, tail(said.Bytes()))
	}
	f := figures(out.String())
	s := sample{cpu: f["cpu"], rss: f["rss"], wall: f["wall"], said: said.String()}
	if code, ok := f["exit"]; !ok || code != 0 {
		return s, fmt.Errorf("%s: exit code %g: %s", name, code, tail(said.Bytes()))
	}
	return s, nil
}

// env is the environment of everything that is measured: the same for all, and
// without anything of the person who measures.
func (b *bench) env() []string {
	home := filepath.Join(b.scratch, "home")
	return []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + filepath.Join(b.scratch, "tmp"), "LANG=C.UTF-8"}
}

// tail gives the end of what a program wrote, for an error.
func tail(b []byte) string {
	b = bytes.TrimSpace(b)
	return string(b[max(0, len(b)-500):])
}

// figures reads a line of names and numbers.
func figures(line string) map[string]float64 {
	f := strings.Fields(line)
	out := map[string]float64{}
	for i := 0; i+1 < len(f); i += 2 {
		if v, err := strconv.ParseFloat(f[i+1], 64); err == nil {
			out[f[i]] = v
		}
	}
	return out
}

// scan runs the program under test on target, with what it keeps in cache. It
// gives the number of packages, for a scanner that finds none is fast.
func (b *bench) scan(ctx context.Context, target, cache string, flags ...string) (sample, int, error) {
	report := filepath.Join(b.scratch, "report.json")
	args := append([]string{"scan", target, "--cache", cache, "--offline", "--exit-zero", "-o", "json=" + report}, flags...)
	s, err := b.measure(ctx, b.bulwark, args...)
	if err != nil {
		return s, 0, err
	}
	data, err := os.ReadFile(report)
	if err != nil {
		return s, 0, err
	}
	var r struct {
		Inventory struct{ Packages []struct{} }
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return s, 0, fmt.Errorf("read report: %w", err)
	}
	if len(r.Inventory.Packages) == 0 {
		return s, 0, errors.New("the scan found no packages")
	}
	return s, len(r.Inventory.Packages), nil
}

// fresh runs a scan with nothing kept, and leaves nothing.
func (b *bench) fresh(ctx context.Context, target string, flags ...string) (sample, int, error) {
	cache := filepath.Join(b.scratch, "fresh")
	if err := os.RemoveAll(cache); err != nil {
		return sample{}, 0, err
	}
	s, n, err := b.scan(ctx, target, cache, flags...)
	return s, n, errors.Join(err, os.RemoveAll(cache))
}

// A run is one thing that is measured in turns with others.
type run func(context.Context) (sample, error)

// turns measures each thing n times: in order, then in reverse, and so on, so
// that what changes with time weighs equally on each.
func turns(ctx context.Context, n int, runs ...run) ([][]sample, error) {
	out := make([][]sample, len(runs))
	for round := range n {
		for i := range runs {
			if round%2 == 1 {
				i = len(runs) - 1 - i
			}
			s, err := runs[i](ctx)
			if err != nil {
				return nil, err
			}
			out[i] = append(out[i], s)
		}
	}
	return out, nil
}

// ratio is the median of the ratios of a to b, round by round.
func ratio(a, b []sample) float64 {
	var r []float64
	for i := range a {
		r = append(r, a[i].cpu/b[i].cpu)
	}
	return median(r)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	if n == 0 {
		return math.NaN()
	}
	return (v[n/2] + v[(n-1)/2]) / 2
}

// each takes one figure of all samples.
func each(s []sample, figure func(sample) float64) (out []float64) {
	for _, x := range s {
		out = append(out, figure(x))
	}
	return out
}

func cpu(s sample) float64 { return s.cpu }
func rss(s sample) float64 { return s.rss }

// spread shows the median of processor times and their range.
func spread(s []sample) string {
	v := each(s, cpu)
	return fmt.Sprintf("%.2f CPU-s (%.2f to %.2f)", median(v), slices.Min(v), slices.Max(v))
}

// slope is the exponent k of the power law y = c·x^k that fits best.
func slope(x, y []float64) float64 {
	var sx, sy, sxx, sxy float64
	n := float64(len(x))
	for i := range x {
		a, b := math.Log(x[i]), math.Log(y[i])
		sx, sy, sxx, sxy = sx+a, sy+b, sxx+a*a, sxy+a*b
	}
	return (n*sxy - sx*sy) / (n*sxx - sx*sx)
}

func megabytes(bytes float64) string { return fmt.Sprintf("%.0f MB", bytes/1e6) }
