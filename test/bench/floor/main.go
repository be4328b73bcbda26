// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command floor does the least that any scanner of an OCI layout must: it
// inflates the layers and hashes them as they are stored. Its processor time is
// what a scan is compared with.
package main

import (
	"bytes"
	stdgzip "compress/gzip"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/klauspost/compress/gzip"
)

func main() {
	std := flag.Bool("std", false, "inflate with the standard library instead of klauspost/compress")
	flag.Parse()
	blobs, err := filepath.Glob(filepath.Join(flag.Arg(0), "blobs", "*", "*"))
	if err != nil || len(blobs) == 0 {
		fmt.Fprintln(os.Stderr, "floor: no blobs in", flag.Arg(0), err)
		os.Exit(1)
	}
	var total int64
	buf := make([]byte, 256<<10)
	for _, name := range blobs {
		n, err := inflate(name, *std, buf)
		if err != nil {
			fmt.Fprintln(os.Stderr, "floor:", name, err)
			os.Exit(1)
		}
		total += n
	}
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
	cpu := float64(ru.Utime.Nano()+ru.Stime.Nano()) / 1e9
	fmt.Printf("cpu %.3f rss %d bytes %d\n", cpu, ru.Maxrss<<10, total)
}

// inflate gives the number of uncompressed bytes of a blob; 0 for one that is
// not compressed.
func inflate(name string, std bool, buf []byte) (int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	head := make([]byte, 2)
	if _, err := io.ReadFull(f, head); err != nil || !bytes.Equal(head, []byte{0x1f, 0x8b}) {
		return 0, nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	hashed := io.TeeReader(f, sha256.New())
	var z io.Reader
	if std {
		z, err = stdgzip.NewReader(hashed)
	} else {
		z, err = gzip.NewReader(hashed)
	}
	if err != nil {
		return 0, err
	}
	return io.CopyBuffer(struct{ io.Writer }{io.Discard}, z, buf)
}
