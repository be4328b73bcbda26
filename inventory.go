// SPDX-License-Identifier: Apache-2.0

package bulwark

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"
)

// An Inventory is what an artifact contains. It is a function of content alone
// and stays true for ever; what is known about the content is not part of it.
type Inventory struct {
	OS       *OS       `json:"os,omitempty"` // nil when no operating system was recognised
	Packages []Package `json:"packages"`
	Removed  []Package `json:"removed,omitempty"`  // what a later layer took away; Where says which
	Programs []Program `json:"programs,omitempty"` // whose functions are known, by layer and path
	Layers   []Layer   `json:"layers,omitempty"`   // oldest first; empty for artifacts without layers
	Gaps     []Gap     `json:"gaps,omitempty"`

	Functions []Function `json:"functions,omitempty"` // serverless functions that it is or declares

	Suppressions []Suppression `json:"suppressions,omitempty"` // what comments in files ask to overlook
}

// A Suppression is a comment in a scanned file that asks to overlook findings of a
// rule on its own line or the next: bulwark:ignore RULE until=2027-01-31 reason="…".
// Whoever wrote the file wrote it; whether it counts is for policy to say.
type Suppression struct {
	Rule   string `json:"rule"`             // rule, alias of it, or glob
	Until  string `json:"until,omitempty"`  // last day on which it holds, in UTC; "" is none given
	Reason string `json:"reason,omitempty"` // in words
	Owner  string `json:"owner,omitempty"`  //
	Fault  string `json:"fault,omitempty"`  // why it cannot be read, and then it does nothing
	Location
}

// A Function is what one place says of a serverless function. Every member may be
// unknown.
type Function struct {
	Name      string   `json:"name,omitempty"`      // as the place calls it
	Provider  string   `json:"provider,omitempty"`  // "aws", "azure" or "gcp"
	Runtime   string   `json:"runtime,omitempty"`   // as the provider writes it: "nodejs20.x", "python312"; a language alone when its version is not known
	Handler   string   `json:"handler,omitempty"`   // "index.handler"
	Framework string   `json:"framework,omitempty"` // what it is written or declared with: "sam", "serverless", "functions-framework"
	Triggers  []string `json:"triggers,omitempty"`  // what calls it, as the provider writes it
	Env       []string `json:"env,omitempty"`       // "NAME=value"; values that look secret are redacted in reports
	Path      string   `json:"path,omitempty"`      // the file that says so; "" for a flag or an image's configuration
	Line      int      `json:"line,omitempty"`      // from 1; 0 is unknown
}

// An OS is the distribution that an artifact stands on, from os-release(5).
type OS struct {
	ID        string `json:"id"`                  // "debian", "alpine", "rhel"
	Version   string `json:"version"`             // VERSION_ID: "12", "3.20.1"
	Like      string `json:"like,omitempty"`      // ID_LIKE
	Codename  string `json:"codename,omitempty"`  // VERSION_CODENAME
	Name      string `json:"name,omitempty"`      // PRETTY_NAME
	Ecosystem string `json:"ecosystem,omitempty"` // OSV ecosystem with release: "Debian:12"; "" when OSV knows none
}

// A Package is one installed or declared piece of software.
type Package struct {
	PURL      string `json:"purl"`      // canonical, https://github.com/package-url/purl-spec
	Name      string `json:"name"`      // as its ecosystem writes it
	Version   string `json:"version"`   // as its ecosystem writes it; "" when it declares none
	Ecosystem string `json:"ecosystem"` // OSV ecosystem, with release for distributions: "Debian:12", "PyPI"

	Source        string `json:"source,omitempty"`        // source package, where advisories name it
	SourceVersion string `json:"sourceVersion,omitempty"` // "" when equal to Version
	Arch          string `json:"arch,omitempty"`
	Module        string `json:"module,omitempty"` // rpm modularity label, "nodejs:18"
	Vendor        string `json:"vendor,omitempty"` // who built it: rpm vendor, dpkg maintainer

	Concluded *Concluded `json:"concluded,omitempty"` // its licence as read from a text; nil when it declares one, or none was found

	Licenses []string   `json:"licenses,omitempty"` // as declared; SPDX expressions where they are
	Where    []Location `json:"where"`              // every place it was seen, first layer first; never empty
	By       string     `json:"by"`                 // extractors that found it: "dpkg", "npm-installed,package-lock"
	Dev      bool       `json:"dev,omitempty"`      // declared for development only
	Owner    string     `json:"owner,omitempty"`    // operating-system package that owns its files: "python3-pip 23.0.1"

	// Files are paths that the package owns, relative and clean: those that
	// somebody asked for. They serve the merge of layers and are not part of the
	// stored form.
	Files []string `json:"-"`
}

// Key tells packages apart: two with one Key are one package. Where OSV has no
// ecosystem, the type of the package URL stands for it.
func (p *Package) Key() string {
	ecosystem := p.Ecosystem
	if ecosystem == "" {
		ecosystem, _, _ = strings.Cut(p.PURL, "/")
	}
	return ecosystem + "\x00" + p.Name + "\x00" + p.Version + "\x00" + p.Arch + "\x00" + p.Module
}

// Own notes which of the files that p owns were asked for; nil asks for none. It
// takes files over, and keeps no part of the other names alive.
func (p *Package) Own(files []string, asked func(path string) bool) {
	if asked == nil {
		return
	}
	n := 0
	for _, f := range files {
		if asked(f) {
			files[n] = f
			n++
		}
	}
	if n == 0 {
		return
	}
	p.Files = make([]string, n)
	for i, f := range files[:n] {
		p.Files[i] = strings.Clone(f)
	}
}

// Concluded is the licence of a package that declares none, read from the text of
// a licence beside it.
type Concluded struct {
	License string `json:"license"` // SPDX expression
	Path    string `json:"path"`    // of the text, or the first of several
	Percent int    `json:"percent"` // how much of the file is the licence's text, 0 to 100
}

// A Program is an executable file whose functions were looked at, so that it can
// be told whether a function that an advisory names was linked in. It is a Go
// program: no other linker leaves a list that stripping does not remove.
type Program struct {
	Path  string `json:"path"`            // as in the Where of the packages in it
	Layer Digest `json:"layer,omitempty"` // diff ID of the layer that brought it
	// Functions is a compact set of their names, one and a half bytes for each;
	// its form is internal/funcset's. nil when they are not known.
	Functions []byte `json:"functions,omitempty"`
	Unknown   string `json:"unknown,omitempty"` // why they are not known, in words
	System    string `json:"system,omitempty"`  // what it was built for, "linux/amd64"; without one part, or "", where it does not say
}

// A Location is a place inside an artifact.
type Location struct {
	Path    string `json:"path,omitempty"`    // relative, clean, slash-separated; inside archives "a.jar!/b.jar"
	Line    int    `json:"line,omitempty"`    // from 1; 0 is unknown
	Layer   Digest `json:"layer,omitempty"`   // diff ID of the layer that brought it
	Deleted Digest `json:"deleted,omitempty"` // diff ID of the later layer that removed it
	// Since is the commit that brought it, where a repository's history was asked;
	// nil is unknown.
	Since *Change `json:"since,omitempty"`
}

// A Change is the commit that brought something into a repository.
type Change struct {
	Commit string    `json:"commit,omitempty"` // full name; "" when it is not committed yet
	Author string    `json:"author,omitempty"` // name, as the commit has it: anybody may write any
	Mail   string    `json:"mail,omitempty"`
	Date   time.Time `json:"date,omitzero"`   // the author's
	Older  bool      `json:"older,omitempty"` // Commit has it already; what came before was not seen
}

// A Trace asks a repository's history since when a file has had something.
type Trace struct {
	Path    string // of a file in the work tree
	Name    string // of a package that the file names with its Version; "" asks for the line
	Version string
	Line    int // from 1, of the file as it is in the work tree; asked when the package is not found
}

// A Layer is one layer of an image. All but Class and Owner is a function of
// the layers' content.
type Layer struct {
	DiffID    Digest           `json:"diffId"`              // of the uncompressed tar stream
	Digest    Digest           `json:"digest,omitempty"`    // of the blob as stored
	Size      int64            `json:"size,omitempty"`      // bytes of the uncompressed tar stream
	Blob      int64            `json:"blob,omitempty"`      // bytes of the blob as stored
	Entries   int              `json:"entries,omitempty"`   // tar entries
	CreatedBy string           `json:"createdBy,omitempty"` // instruction that made it
	Content   map[string]int64 `json:"content,omitempty"`   // bytes of files by Area
	Wasted    int64            `json:"wasted,omitempty"`    // bytes of files that later layers hide, about
	Class     string           `json:"class,omitempty"`     // what it is for, see the Class constants; "" is unknown
	Owner     string           `json:"owner,omitempty"`     // who answers for it: OwnerBase or OwnerApp
}

// The areas of an image that a layer's files belong to.
const (
	AreaSystem   = "system"   // where the operating system's packages put their files
	AreaLanguage = "language" // where a language's package manager puts them
	AreaCode     = "code"     // programs, libraries, scripts, pages
	AreaConfig   = "config"   // settings
	AreaData     = "data"     // everything else
)

// The classes of layers.
const (
	LayerBaseOS    = "base-os"       // the distribution
	LayerBaseAdded = "base-added"    // operating-system packages, and what a base image adds to its distribution
	LayerLanguage  = "language"      // dependencies from a language's package manager
	LayerApp       = "application"   // programs and pages
	LayerConfig    = "configuration" // settings
	LayerData      = "data"          // neither program nor setting
)

// The owners of layers and findings.
const (
	OwnerBase = "base" // whoever makes the base image
	OwnerApp  = "app"  // whoever builds this image
)

// A Base is the image that another one was built from. How sure that is says By.
type Base struct {
	Name       string `json:"name,omitempty"`   // "docker.io/library/debian:12"; "" when only the layers tell
	Digest     Digest `json:"digest,omitempty"` // of its manifest, if known
	Layers     int    `json:"layers"`           // how many of the image's layers are its own, the oldest ones
	By         string `json:"by"`               // "layers", "label" or "history"
	Confidence string `json:"confidence"`       // "certain", "likely" or "guess"
}

// Chain gives the chain ID of each layer: it names the layer with all that lie
// below it (https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid).
// Layers without a diff ID end it.
func Chain(layers []Layer) []Digest {
	out := make([]Digest, 0, len(layers))
	for i, l := range layers {
		if l.DiffID == "" {
			break
		}
		id := l.DiffID
		if i > 0 {
			sum := sha256.Sum256([]byte(string(out[i-1]) + " " + string(l.DiffID)))
			id = Digest("sha256:" + hex.EncodeToString(sum[:]))
		}
		out = append(out, id)
	}
	return out
}

// A Gap says what could not be read, and so what the answer does not cover.
type Gap struct {
	Kind   string `json:"kind"`             // see the Gap constants
	Path   string `json:"path,omitempty"`   // "" when the whole artifact is meant
	Layer  Digest `json:"layer,omitempty"`  //
	Detail string `json:"detail,omitempty"` // one sentence for a person
	Hides  bool   `json:"hides,omitempty"`  // packages may be missing from the inventory because of it
}

// The kinds of gap.
const (
	GapUnreadable  = "unreadable"  // permission, I/O error
	GapMalformed   = "malformed"   // does not follow its format
	GapLimit       = "limit"       // a limit stopped the reading
	GapUnsupported = "unsupported" // a format, distribution or feature that is not read
	GapSkipped     = "skipped"     // left out on purpose, by flag or by rule
	GapSandbox     = "sandbox"     // the kernel lacks a part of the parsers' sandbox
	GapAdvisory    = "advisory"    // what is known does not cover it
)

// A FileHash names the content of a file that something may run: a program, a
// library, a script, an archive. It is kept, so that tomorrow's list of malware
// finds today's file without reading it again.
type FileHash struct {
	Path   string `json:"path"`             // relative, clean; inside archives "a.zip!/b"
	Size   int64  `json:"size"`             // bytes
	SHA256 []byte `json:"sha256,omitempty"` // nil when it was not taken: of a shared library of more than 1 MiB
	SHA1   []byte `json:"sha1,omitempty"`   // nil when nobody asked for it
	MD5    []byte `json:"md5,omitempty"`    // nil when nobody asked for it
}

// A Stat is what is known of a file before it is read.
type Stat struct {
	Size int64       // bytes
	Mode fs.FileMode // type, permission, setuid, setgid and sticky bits
}

// A File is one regular file that is offered to extractors and checks. It is
// valid only during the call that it is handed to. Content is hostile.
type File struct {
	Path string // relative, clean, slash-separated
	Stat
	Line int // line in Path at which content begins, 0 for whole files

	data []byte // whole content, when it is in memory
	ra   io.ReaderAt
}

// MemoryFile gives a File whose whole content is data, which it does not copy.
func MemoryFile(path string, mode fs.FileMode, data []byte) *File {
	return &File{Path: path, Stat: Stat{Size: int64(len(data)), Mode: mode}, data: data, ra: bytes.NewReader(data)}
}

// ReaderFile gives a File that reads its size bytes from ra.
func ReaderFile(path string, mode fs.FileMode, ra io.ReaderAt, size int64) *File {
	return &File{Path: path, Stat: Stat{Size: size, Mode: mode}, ra: ra}
}

// ReadAt reads as [io.ReaderAt] does; it is safe for concurrent use.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if off >= f.Size {
		return 0, io.EOF
	}
	n, err := f.ra.ReadAt(p[:min(int64(len(p)), f.Size-off)], off)
	if n < len(p) && err == nil {
		err = io.EOF
	}
	return n, err
}

// Bytes gives the whole content, which must not be changed or kept. It is
// [ErrTooLarge] when the file has more than limit bytes.
func (f *File) Bytes(limit int64) ([]byte, error) {
	if f.Size > limit {
		return nil, fmt.Errorf("read %q: %d bytes, limit %d: %w", f.Path, f.Size, limit, ErrTooLarge)
	}
	if f.data != nil || f.Size == 0 {
		return f.data, nil
	}
	b := make([]byte, f.Size)
	if n, err := f.ra.ReadAt(b, 0); n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read %q: %w", f.Path, err)
	}
	return b, nil
}

// Reader gives a reader over the whole content.
func (f *File) Reader() *io.SectionReader { return io.NewSectionReader(f, 0, f.Size) }
