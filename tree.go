// SPDX-License-Identifier: Apache-2.0

package bulwark

import (
	"context"
	"io"
	"os"
)

// A Tree is an opened artifact. Whatever it is, it is read as tar streams: an
// image has one for each layer, a directory or host has one that is made while
// it is walked. The caller closes it.
type Tree struct {
	Artifact Artifact // ID may be zero until the only layer has been read
	Layers   []Blob   // oldest first
	Gaps     []Gap    // known before anything is read
	Close    func() error
	// Past opens the history of a work tree; nil when there is none. The caller
	// closes it.
	Past func() (*Past, error)
}

// A Past is where git keeps the history of a work tree: opened, and not read yet.
type Past struct {
	Head    string     // full name of the commit that the work tree stands on; "" before the first one
	Packs   []*os.File // the index of a pack and the pack, in turn
	Shallow *os.File   // where a shallow clone ends; nil in others
	// Loose opens an object that has a file of its own, by its full name: without one
	// it is fs.ErrNotExist. It is nil when Head is "".
	Loose func(id string) (io.ReadCloser, error)
	File  func(path string) (io.ReadCloser, error) // opens a file of the work tree
	Close func()
}

// A Blob is one layer and the way to its bytes.
type Blob struct {
	Layer
	// Open gives the blob as it is stored, compressed or not. It may be called
	// again after a failure. The caller verifies digests; Open does not.
	Open func(ctx context.Context) (io.ReadCloser, error)
	// Whole is read at random in place of a stream; nil when Open gives one. It
	// belongs to the tree.
	Whole *os.File
	Form  Form   // what Whole is
	At    string // directory that the content lies in, relative and clean; "" is the root
	Key   string // what of Whole is meant: the commit of a FormGit
	// Gaps tells what the last stream left out; nil when nothing can be. It is
	// called after the stream ended.
	Gaps func() []Gap
}

// A Form is how a file that is read at random is laid out. The zero Form is a tar
// stream, compressed or not.
type Form string

// The forms of files that are read at random.
const (
	FormZip  Form = "zip"
	FormGit  Form = "git"  // a pack that holds one commit with its tree
	FormDisk Form = "disk" // the disk of a virtual machine
)

// OpenOptions say how an artifact is opened. The zero value opens what is local
// and reaches registries by HTTPS.
type OpenOptions struct {
	Platform   string   // "os/arch[/variant]"; "" is linux on this machine's architecture
	PlainHTTP  bool     // talk to registries without TLS; loopback registries fall back to it by themselves
	CAFile     string   // PEM file of further certificate authorities
	Offline    bool     // never reach the network
	SkipDirs   []string // path globs (path.Match on the relative path) of directories to leave out
	MaxEntries int      // entries in one walk; 0 is the default of the opener
	Runtime    string   // of a function, as its provider writes it: "nodejs20.x"; "" is looked for
	Layers     []string // archives that lie below opt/ of a function, the lowest first
	// Wants tells which files of a walked directory are worth reading, by name
	// and Stat; nil is all.
	Wants func(path string, st Stat) bool
	// Beginning tells how many bytes of a file in a walked directory are worth
	// reading when it is too large to be read whole; nil and 0 are none.
	Beginning func(path string, st Stat) int64
}
