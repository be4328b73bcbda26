// SPDX-License-Identifier: Apache-2.0

// Command syft lists the packages of an image with the syft module in its
// default settings, and prints how many there are.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	_ "modernc.org/sqlite" // reads rpm databases

	"github.com/anchore/syft/syft"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: syft oci-dir:DIR|docker-archive:FILE")
		os.Exit(64)
	}
	n, err := count(context.Background(), os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "syft:", err)
		os.Exit(1)
	}
	fmt.Println("packages", n)
}

func count(ctx context.Context, image string) (int, error) {
	kind, path, ok := strings.Cut(image, ":")
	if !ok {
		return 0, errors.New("neither oci-dir: nor docker-archive:")
	}
	src, err := syft.GetSource(ctx, path, syft.DefaultGetSourceConfig().WithSources(kind))
	if err != nil {
		return 0, err
	}
	defer src.Close()
	s, err := syft.CreateSBOM(ctx, src, nil)
	if err != nil {
		return 0, err
	}
	return s.Artifacts.Packages.PackageCount(), nil
}
