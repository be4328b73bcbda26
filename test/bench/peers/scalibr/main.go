// SPDX-License-Identifier: Apache-2.0

// Command scalibr lists the packages of an image with the osv-scalibr module,
// and prints how many there are. It has the extractors of the ecosystems that
// the image of the benchmark holds, each imported by itself, as a lean user of
// the module would have it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	scalibr "github.com/google/osv-scalibr"
	"github.com/google/osv-scalibr/artifact/image/layerscanning/image"
	cpb "github.com/google/osv-scalibr/binary/proto/config_go_proto"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/extractor/filesystem/language/golang/gobinary"
	"github.com/google/osv-scalibr/extractor/filesystem/language/java/archive"
	"github.com/google/osv-scalibr/extractor/filesystem/language/javascript/packagejson"
	"github.com/google/osv-scalibr/extractor/filesystem/language/python/wheelegg"
	"github.com/google/osv-scalibr/extractor/filesystem/language/ruby/gemspec"
	"github.com/google/osv-scalibr/extractor/filesystem/os/apk"
	"github.com/google/osv-scalibr/extractor/filesystem/os/dpkg"
	"github.com/google/osv-scalibr/extractor/filesystem/os/rpm"
	"github.com/google/osv-scalibr/plugin"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: scalibr oci-dir:DIR|docker-archive:FILE")
		os.Exit(64)
	}
	n, err := count(context.Background(), os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "scalibr:", err)
		os.Exit(1)
	}
	fmt.Println("packages", n)
}

func count(ctx context.Context, name string) (int, error) {
	src, err := open(name)
	if err != nil {
		return 0, err
	}
	img, err := image.FromV1Image(src, image.DefaultConfig())
	if err != nil {
		return 0, err
	}
	defer img.CleanUp()
	var plugins []plugin.Plugin
	for _, make := range []func(*cpb.PluginConfig) (filesystem.Extractor, error){
		dpkg.New, apk.New, rpm.New, gobinary.New, packagejson.New, wheelegg.New, archive.New, gemspec.New,
	} {
		p, err := make(&cpb.PluginConfig{})
		if err != nil {
			return 0, err
		}
		plugins = append(plugins, p)
	}
	r, err := scalibr.New().ScanContainer(ctx, img, &scalibr.ScanConfig{
		Plugins:      plugins,
		Capabilities: &plugin.Capabilities{OS: plugin.OSLinux, Network: plugin.NetworkOffline},
	})
	if err != nil {
		return 0, err
	}
	return len(r.Inventory.Packages), nil
}

func open(name string) (v1.Image, error) {
	if file, ok := strings.CutPrefix(name, "docker-archive:"); ok {
		return tarball.ImageFromPath(file, nil)
	}
	dir, ok := strings.CutPrefix(name, "oci-dir:")
	if !ok {
		return nil, errors.New("neither oci-dir: nor docker-archive:")
	}
	idx, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, err
	}
	m, err := idx.IndexManifest()
	if err != nil {
		return nil, err
	}
	if len(m.Manifests) != 1 {
		return nil, fmt.Errorf("%d images", len(m.Manifests))
	}
	return idx.Image(m.Manifests[0].Digest)
}
