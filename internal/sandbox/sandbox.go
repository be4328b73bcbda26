// SPDX-License-Identifier: Apache-2.0

// Package sandbox runs a part of this program in a child process that has no
// network, no paths, bounded memory and only the descriptors that it was handed.
// Hostile bytes are parsed there. It does not know what is parsed.
//
// [Start] runs the same executable again; the child's main calls [Confine]
// before it reads anything. Bytes reach the child through [Lane]s, answers come
// back on its standard output.
//
// Only Linux has the parts that the wall is made of: elsewhere [Supported] is
// false, and who calls must parse in its own process and say so.
package sandbox

import (
	"errors"
	"os"
)

// Options say what a child gets. The zero value gives one that inherits nothing.
type Options struct {
	Path   string     // executable; "" is this program
	Args   []string   // arguments after the program's name
	Lanes  int        // how many lanes lead to the child
	Files  []*os.File // further descriptors, see Inherited.File
	Memory int64      // RLIMIT_DATA, bytes; 0 is 768 MiB
	Soft   int64      // GOMEMLIMIT, bytes; 0 is none
	CPU    int        // RLIMIT_CPU, seconds; 0 is one hour
}

// Inherited is what a child was handed.
type Inherited struct {
	Files   []*os.File
	Lanes   []*LaneReader
	Missing []string // parts of the sandbox that this kernel lacks, each a phrase for a person
}

// ErrAborted is what a child's reader gives when the parent could not read on.
var ErrAborted = errors.New("the stream was cut off")
