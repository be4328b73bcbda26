// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// What is promised.
const (
	maxOverFloor   = 1.5     // processor time, over the floor with the standard library's gunzip
	maxResident    = 150e6   // bytes, of parent and child together
	maxExponent    = 0.1     // of resident memory in the size of the image
	maxWarm        = 0.2     // processor seconds of scanning the same again
	maxTax         = 1.05    // processor time with the sandbox, over that without
	maxLoading     = 150     // of 500 rules, ms of processor time
	minDecisions   = 100_000 // in a second of one processor, with 500 rules
	maxGate        = 600     // of a report, µs of processor time
	maxRowBytes    = 40      // hot index, for each affected package
	maxLookup      = 2000    // nanoseconds of processor time
	maxOpening     = 10      // milliseconds
	maxSecretsByGB = 3       // processor seconds for each GB of text
	maxChecks      = 1.4     // processor time with every check, over that with secrets and settings
)

// cold scans with nothing kept, next to the least work there is.
func (b *bench) cold(ctx context.Context) ([]row, error) {
	tool := filepath.Join(b.tools, "floor")
	packages := 0
	s, err := turns(ctx, b.pairs,
		func(ctx context.Context) (sample, error) { return b.measure(ctx, tool, "-std", b.layout()) },
		func(ctx context.Context) (s sample, err error) {
			s, packages, err = b.fresh(ctx, b.layout())
			return s, err
		},
		func(ctx context.Context) (sample, error) { return b.measure(ctx, tool, b.layout()) },
	)
	if err != nil {
		return nil, err
	}
	std, scan, fast := s[0], s[1], s[2]
	over, peak := ratio(scan, std), slices.Max(each(scan, rss))
	size := figures(std[0].said)["bytes"]
	return []row{
		note("image, uncompressed", "%.0f MB, %d packages", size/1e6, packages),
		note("floor, standard library's gunzip + SHA-256", "%s", spread(std)),
		note("floor, klauspost's gunzip + SHA-256", "%s", spread(fast)),
		note("cold scan", "%s", spread(scan)),
		gate(over <= maxOverFloor, "cold scan / standard library's floor", fmt.Sprintf("%.2f", over), fmt.Sprint("≤ ", maxOverFloor)),
		note("cold scan / klauspost's floor", "%.2f", ratio(scan, fast)),
		gate(peak <= maxResident, "cold scan, peak RSS of parent + child", megabytes(peak), "≤ "+megabytes(maxResident)),
	}, nil
}

// warm scans what was scanned before.
func (b *bench) warm(ctx context.Context) ([]row, error) {
	cache := filepath.Join(b.scratch, "kept")
	if err := os.RemoveAll(cache); err != nil {
		return nil, err
	}
	_, first, err := b.scan(ctx, b.layout(), cache)
	if err != nil {
		return nil, err
	}
	var all []sample
	for range 2 * b.pairs {
		s, n, err := b.scan(ctx, b.layout(), cache)
		if err != nil {
			return nil, err
		}
		if n != first {
			return nil, fmt.Errorf("%d packages, %d in the first scan", n, first)
		}
		all = append(all, s)
	}
	v := each(all, cpu)
	least := slices.Min(v)
	return []row{
		gate(least <= maxWarm, "warm scan, least CPU", fmt.Sprintf("%.2f CPU-s (median %.2f)", least, median(v)), fmt.Sprintf("≤ %.1f s", maxWarm)),
		note("warm scan, peak RSS", "%s", megabytes(slices.Max(each(all, rss)))),
	}, os.RemoveAll(cache)
}

// sizes are those of the layouts that test/bench/run makes, GB.
var sizes = []string{"0.1", "0.5", "1.5", "5"}

// growth scans ever larger images: memory must not grow with them.
func (b *bench) growth(ctx context.Context) ([]row, error) {
	var rows []row
	var x, y []float64
	for _, size := range sizes {
		dir := filepath.Join(b.images, "growth", size+".oci")
		var all []sample
		packages := 0
		for range 3 {
			s, n, err := b.fresh(ctx, dir)
			if err != nil {
				return rows, err
			}
			packages, all = n, append(all, s)
		}
		gb, err := strconv.ParseFloat(size, 64)
		if err != nil {
			return rows, err
		}
		// The collector's timing makes peaks vary both ways: the median tells most.
		peak := median(each(all, rss))
		x, y = append(x, gb), append(y, peak)
		rows = append(rows, note("image of "+size+" GB, median peak RSS", "%s, %.1f CPU-s, %d packages", megabytes(peak), slices.Min(each(all, cpu)), packages))
	}
	k := slope(x, y)
	return append(rows, gate(k <= maxExponent, "exponent of RSS in size", fmt.Sprintf("%.3f", k), fmt.Sprint("≤ ", maxExponent))), nil
}

// tax scans with the sandbox and without.
func (b *bench) tax(ctx context.Context) ([]row, error) {
	mode := func(name string) run {
		return func(ctx context.Context) (sample, error) {
			return b.measure(ctx, filepath.Join(b.tools, "tax"), name, b.layout())
		}
	}
	s, err := turns(ctx, b.pairs+2, mode("sandboxed"), mode("unsafe"))
	if err != nil {
		return nil, err
	}
	if a, b := figures(s[0][0].said)["packages"], figures(s[1][0].said)["packages"]; a != b || a == 0 {
		return nil, fmt.Errorf("%g packages with the sandbox, %g without", a, b)
	}
	tax := ratio(s[0], s[1])
	return []row{
		note("scan with the sandbox", "%s", spread(s[0])),
		note("scan without it", "%s", spread(s[1])),
		gate(tax <= maxTax, "sandbox tax", fmt.Sprintf("%.3f", tax), fmt.Sprint("≤ ", maxTax)),
	}, nil
}

// checks scans with every check there is, next to a scan with the checks of the
// first release alone: secrets and settings.
func (b *bench) checks(ctx context.Context) ([]row, error) {
	with := func(flags ...string) run {
		return func(ctx context.Context) (sample, error) {
			s, _, err := b.fresh(ctx, b.layout(), flags...)
			return s, err
		}
	}
	s, err := turns(ctx, b.pairs,
		with("--secrets", "on", "--malware", "off"),
		with("--secrets", "on", "--malware", "on", "--benchmark", "cis-docker", "--licenses"),
		with("--secrets", "off", "--malware", "off", "--no-config"),
	)
	if err != nil {
		return nil, err
	}
	few, all, none := s[0], s[1], s[2]
	cost := ratio(all, few)
	return []row{
		note("scan for packages alone", "%s", spread(none)),
		note("with secrets and settings", "%s", spread(few)),
		note("with malware, licences, CIS Docker, too", "%s", spread(all)),
		gate(cost <= maxChecks, "every check / secrets and settings", fmt.Sprintf("%.2f", cost), fmt.Sprint("≤ ", maxChecks)),
		note("every check / packages alone", "%.2f", ratio(all, none)),
	}, nil
}

// decide asks policies: about processes that start, and about a report.
func (b *bench) decide(ctx context.Context) ([]row, error) {
	s, err := b.measure(ctx, filepath.Join(b.tools, "decide"), "now")
	if err != nil {
		return nil, err
	}
	f := figures(s.said)
	if f["event"] == 0 || f["fired"] == 0 || f["failed"] == 0 {
		return nil, fmt.Errorf("decide: no figures in %q", tail([]byte(s.said)))
	}
	each := 1e9 / f["event"]
	return []row{
		gate(f["load"] <= maxLoading, "load of 500 rules", fmt.Sprintf("%.0f CPU-ms", f["load"]), fmt.Sprintf("≤ %d ms", maxLoading)),
		gate(each >= minDecisions, "decisions, 500 rules over processes", fmt.Sprintf("%.0f k/CPU-s", each/1000), fmt.Sprintf("≥ %d k", minDecisions/1000)),
		note("each of them", "%.1f µs, %.1f allocations; %.0f in a hundred fire a rule", f["event"]/1000, f["allocs"], f["fired"]/2),
		gate(f["idleallocs"] == 0, "where no rule's index matches", fmt.Sprintf("%.0f ns, %.0f allocations", f["idle"], f["idleallocs"]), "0"),
		gate(f["gate"] <= maxGate, "gate, 300 vulnerabilities, 20 rules", fmt.Sprintf("%.0f µs", f["gate"]), fmt.Sprintf("≤ %d µs", maxGate)),
		note("allocations of that gate", "%.0f", f["gateallocs"]),
	}, nil
}

// index builds a database of advisories and looks things up.
func (b *bench) index(ctx context.Context) ([]row, error) {
	data, kind := b.data, "real"
	if data == "" {
		data, kind = "synthetic", "made up"
	}
	s, err := b.measure(ctx, filepath.Join(b.tools, "index"), data)
	if err != nil {
		return nil, err
	}
	f := figures(s.said)
	if f["rows"] == 0 {
		return nil, fmt.Errorf("index: no figures in %q", tail([]byte(s.said)))
	}
	each := f["hot"] / f["rows"]
	rows := []row{
		note("advisories, "+kind, "%.0f, %.0f rows", f["advisories"], f["rows"]),
		note("database", "%.1f MB, %.1f CPU-s, %s RSS", f["bytes"]/1e6, f["build"], megabytes(f["rss"])),
		gate(each <= maxRowBytes, "hot index", fmt.Sprintf("%.1f B/row", each), fmt.Sprintf("≤ %d B", maxRowBytes)),
		gate(f["open"] <= maxOpening, "opening", fmt.Sprintf("%.2f ms", f["open"]), fmt.Sprintf("≤ %d ms", maxOpening)),
		gate(f["unknown"] <= maxLookup, "lookup", fmt.Sprintf("%.2f µs", f["unknown"]/1000), fmt.Sprintf("≤ %d µs", maxLookup/1000)),
		note("match of lodash behind all its fixes", "%.2f µs", f["fixed"]/1000),
	}
	if b.data == "" {
		return rows, nil
	}
	return append(rows, b.known(ctx)...), nil
}

// known asks the database of real advisories what is known by hand.
func (b *bench) known(ctx context.Context) []row {
	out, err := b.test(ctx, "./advisory", "^TestReal$", "BULWARK_DATA="+b.data)
	var rows []row
	for _, m := range regexp.MustCompile(`(?m)real_test\.go:\d+: (build|size|open|match of [^:]+|known): (.+)$`).FindAllStringSubmatch(out, -1) {
		rows = append(rows, note("  "+m[1], "%s", m[2]))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, tail([]byte(out)))
	}
	return append(rows, gate(err == nil, "hand-checked answers", passFail(err), "all"))
}

func passFail(err error) string {
	if err != nil {
		return "failed"
	}
	return "passed"
}

// test runs one Go test of the repository, in whose root this program runs.
func (b *bench) test(ctx context.Context, pkg, name string, env ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-v", "-run", name, pkg)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err == nil && !strings.Contains(string(out), "--- PASS: ") {
		err = errors.New("the test was skipped")
	}
	return string(out), err
}

// secrets looks for secrets in every text of the root.
func (b *bench) secrets(ctx context.Context) ([]row, error) {
	least, detail := 0.0, ""
	for i := range 3 {
		// How many it may find is another test's question.
		out, err := b.test(ctx, "./check/secret", "^TestFalsePositives$", "BULWARK_FP_MAX=1000000", "BULWARK_FP_ROOT="+filepath.Join(b.images, "rootfs"))
		if err != nil {
			return nil, fmt.Errorf("%w: %s", err, tail([]byte(out)))
		}
		m := regexp.MustCompile(`(\d+) texts, (\d+) bytes; (\S+) CPU, ([0-9.]+) s/GB of text`).FindStringSubmatch(out)
		if m == nil {
			return nil, fmt.Errorf("no figures in %q", tail([]byte(out)))
		}
		v, err := strconv.ParseFloat(m[4], 64)
		if err != nil {
			return nil, err
		}
		if size, _ := strconv.ParseFloat(m[2], 64); i == 0 || v < least {
			least, detail = v, fmt.Sprintf("%s texts, %s", m[1], megabytes(size))
		}
	}
	return []row{
		note("texts of the root", "%s", detail),
		gate(least <= maxSecretsByGB, "secrets, least CPU", fmt.Sprintf("%.2f CPU-s/GB", least), fmt.Sprintf("≤ %d", maxSecretsByGB)),
	}, nil
}
