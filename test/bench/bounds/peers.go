// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// A peer is another scanner, and how it is told what to look at.
type peer struct {
	name, file string
	oci, tar   []string // arguments before the path; nil: it does not read that
}

// peers scan with their default settings, without network. The program under
// test does more on the same image, for it also looks for secrets and settings.
func peers() []peer {
	return []peer{
		{"osv-scanner 2.5.0", "osvscanner", nil, []string{"scan", "image", "--offline", "--format", "json", "--all-packages", "--archive"}},
		{"scalibr 0.5.3", "scalibr", []string{"oci-dir"}, []string{"docker-archive"}},
		{"syft 1.57.0", "syft", []string{"oci-dir"}, []string{"docker-archive"}},
	}
}

// peerRounds is fewer than pairs: peers take long, and are far away.
const peerRounds = 3

// beside scans one image with other scanners: as an OCI layout, and as an
// archive of docker save for those that read nothing else.
func (b *bench) beside(ctx context.Context) ([]row, error) {
	if b.peers == "" {
		return []row{note("other scanners", "not asked for (PEERS=1)")}, nil
	}
	var rows []row
	for _, form := range []struct {
		name, path string
		args       func(peer) []string
	}{
		{"OCI layout", b.layout(), func(p peer) []string { return p.oci }},
		{"docker archive", filepath.Join(b.images, "debian.tar"), func(p peer) []string { return p.tar }},
	} {
		if _, err := os.Stat(form.path); errors.Is(err, fs.ErrNotExist) {
			rows = append(rows, note(form.name, "skipped: there is none"))
			continue
		}
		count := 0
		ours := func(ctx context.Context) (s sample, err error) {
			s, count, err = b.fresh(ctx, form.path)
			return s, err
		}
		names, runs := []string{"bulwark"}, []run{ours}
		for _, p := range peers() {
			args := form.args(p)
			if args == nil {
				continue
			}
			program := filepath.Join(b.peers, p.file)
			if _, err := os.Stat(program); err != nil {
				rows = append(rows, note(p.name, "skipped: it was not built"))
				continue
			}
			if len(args) == 1 {
				args = []string{args[0] + ":" + form.path}
			} else {
				args = append(slices.Clone(args), form.path)
			}
			names = append(names, p.name)
			runs = append(runs, func(ctx context.Context) (sample, error) { return b.measure(ctx, program, args...) })
		}
		s, err := turns(ctx, peerRounds, runs...)
		if err != nil {
			return rows, err
		}
		for i, name := range names {
			what, packages := name+", "+form.name, fmt.Sprint(count)
			if i > 0 {
				packages = counted(s[i][0].said)
			}
			v := fmt.Sprintf("%.1f CPU-s, %s, %s packages", median(each(s[i], cpu)), megabytes(slices.Max(each(s[i], rss))), packages)
			if i == 0 {
				rows = append(rows, note(what, "%s", v))
				continue
			}
			faster := ratio(s[0], s[i])
			leaner := slices.Max(each(s[0], rss)) / slices.Min(each(s[i], rss))
			rows = append(rows, note(what, "%s", v),
				gate(faster <= 1, "  our CPU / its", fmt.Sprintf("%.2f", faster), "≤ 1"),
				gate(leaner <= 1, "  our peak RSS / its least", fmt.Sprintf("%.2f", leaner), "≤ 1"))
		}
	}
	return rows, nil
}

// counted gives the number of packages that a peer told, in its own way.
func counted(said string) string {
	if m := regexp.MustCompile(`(?m)^packages (\d+)$`).FindStringSubmatch(said); m != nil {
		return m[1]
	}
	if n := len(regexp.MustCompile(`"package": \{`).FindAllString(said, -1)); n > 0 {
		return fmt.Sprint(n)
	}
	return "?"
}
