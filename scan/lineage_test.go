// SPDX-License-Identifier: Apache-2.0

package scan_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/scan"
	"github.com/bulwark-sec/bulwark/store"
)

// A name that somebody wrote on an image of his own does not speak for the image
// that everybody knows by it.
func TestBaseEvidence(t *testing.T) {
	history := []bulwark.History{{CreatedBy: "ADD rootfs"}, {CreatedBy: "CMD sh", Empty: true}, {CreatedBy: "RUN two"}, {CreatedBy: "CMD two", Empty: true}, {CreatedBy: "COPY app"}}
	layers := make([]bulwark.Layer, 3)
	for i := range layers {
		layers[i].DiffID = bulwark.Digest(fmt.Sprintf("sha256:%064x", i+1))
	}
	// image gives one of the first n layers and the first steps of the history.
	image := func(name string, n, steps int, change func(*store.Image)) *store.Image {
		img := &store.Image{Name: name, Digest: layers[n].DiffID, Steps: steps, History: store.Steps(history, steps), Settled: true}
		for _, l := range layers[:n] {
			img.Layers = append(img.Layers, l.DiffID)
		}
		if change != nil {
			change(img)
		}
		return img
	}
	loaded := func(*store.Image) {}
	pulled := func(i *store.Image) { i.Pulled = true }
	declared := func(i *store.Image) { i.Declared = true }
	const debian, runtime = "docker.io/library/debian:12", "docker.io/library/python:3.12"
	for _, tc := range []struct {
		name   string
		seen   []*store.Image
		labels map[string]string
		want   *bulwark.Base
	}{
		{"pulled", []*store.Image{image(debian, 1, 2, pulled)}, nil, &bulwark.Base{Name: debian, Layers: 1, By: "layers", Confidence: "likely"}},
		{"loaded", []*store.Image{image(debian, 1, 2, loaded)}, nil, &bulwark.Base{Name: debian, Layers: 1, By: "layers", Confidence: "guess"}},
		{"declared", []*store.Image{image(debian, 1, 2, declared)}, nil, &bulwark.Base{Name: debian, Layers: 1, By: "layers", Confidence: "certain"}},
		{"loaded-and-longer", []*store.Image{image(debian, 1, 2, pulled), image(runtime, 2, 4, loaded)}, nil, &bulwark.Base{Name: debian, Layers: 1, By: "layers", Confidence: "likely"}},
		{"pulled-and-longer", []*store.Image{image(debian, 1, 2, pulled), image(runtime, 2, 4, pulled)}, nil, &bulwark.Base{Name: runtime, Layers: 2, By: "layers", Confidence: "likely"}},
		{"loaded-as-the-label-says", []*store.Image{image(runtime, 2, 4, loaded)}, map[string]string{"org.opencontainers.image.base.name": "python:3.12"}, &bulwark.Base{Name: runtime, Layers: 2, By: "layers", Confidence: "guess"}},
		{"pulled-as-the-label-says", []*store.Image{image(runtime, 2, 4, pulled)}, map[string]string{"org.opencontainers.image.base.name": "python:3.12"}, &bulwark.Base{Name: runtime, Layers: 2, By: "layers", Confidence: "certain"}},
		{"loaded-by-the-digest-of-the-label", []*store.Image{image(runtime, 2, 4, loaded)}, map[string]string{"org.opencontainers.image.base.digest": string(layers[2].DiffID)}, &bulwark.Base{Name: runtime, Layers: 2, By: "layers", Confidence: "certain"}},
		{"shares-its-first-steps-only", []*store.Image{image(debian, 1, 2, func(i *store.Image) { i.Pulled, i.Settled = true, false })}, nil, &bulwark.Base{Layers: 2, By: "history", Confidence: "guess"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := scan.Scanner{Images: store.OpenImages(t.TempDir(), store.Bounds{}), Now: func() time.Time { return time.Unix(1, 0) }}
			for _, img := range tc.seen {
				if err := s.Images.Put(t.Context(), img, nil); err != nil {
					t.Fatal(err)
				}
			}
			r, err := s.Rejudge(t.Context(), &bulwark.Report{
				Artifact:  bulwark.Artifact{Kind: bulwark.KindImage, Name: "shop:1", Image: &bulwark.Image{Labels: tc.labels, History: history}},
				Inventory: bulwark.Inventory{Layers: layers},
			})
			if err != nil {
				t.Fatal(err)
			}
			if r.Base != nil {
				r.Base.Digest = ""
			}
			if d := cmp.Diff(tc.want, r.Base); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}
