// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTurns(t *testing.T) {
	order := ""
	thing := func(name string, cost float64) run {
		return func(context.Context) (sample, error) {
			order += name
			return sample{cpu: cost * float64(len(order))}, nil
		}
	}
	s, err := turns(t.Context(), 4, thing("A", 1), thing("B", 1))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff("ABBAABBA", order); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([][]float64{{1, 4, 5, 8}, {2, 3, 6, 7}}, [][]float64{each(s[0], cpu), each(s[1], cpu)}); d != "" {
		t.Error(d)
	}
}

func TestRatio(t *testing.T) {
	// One round under load changes both sides, and one outlier changes nothing.
	a := []sample{{cpu: 3}, {cpu: 30}, {cpu: 90}}
	b := []sample{{cpu: 2}, {cpu: 20}, {cpu: 2}}
	if got := ratio(a, b); got != 1.5 {
		t.Errorf("ratio %g, want 1.5", got)
	}
}

func TestMedian(t *testing.T) {
	for _, tc := range []struct {
		in   []float64
		want float64
	}{{[]float64{3, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}, {[]float64{7}, 7}} {
		if got := median(tc.in); got != tc.want {
			t.Errorf("median of %v is %g, want %g", tc.in, got, tc.want)
		}
	}
}

func TestSlope(t *testing.T) {
	x := []float64{0.1, 0.5, 1.5, 5}
	for _, k := range []float64{0, 0.1, 1} {
		var y []float64
		for _, v := range x {
			y = append(y, 70*math.Pow(v, k))
		}
		if got := slope(x, y); math.Abs(got-k) > 1e-9 {
			t.Errorf("slope %g, want %g", got, k)
		}
	}
}

func TestFigures(t *testing.T) {
	want := map[string]float64{"cpu": 1.5, "rss": 100, "exit": 0}
	if d := cmp.Diff(want, figures("cpu 1.5 rss 100 note x exit 0\n")); d != "" {
		t.Error(d)
	}
}
