// SPDX-License-Identifier: Apache-2.0

package model

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

const (
	// maxMetadata bounds what is read of a GGUF file, bytes. The vocabularies in
	// the metadata of large models have some 20 MiB.
	maxMetadata = 128 << 20
	// maxPairs bounds the keys of a file. Real ones have less than a hundred.
	maxPairs = 1 << 16
	// maxKey is the longest key that the format allows, bytes.
	maxKey = 1<<16 - 1
	// maxNesting bounds arrays inside arrays, of which no known key has any.
	maxNesting = 4
	// minTensor is the least that the description of a tensor takes, bytes.
	minTensor = 24
	// maxVersion is the newest version of the format that is known.
	maxVersion = 3
)

const magicGGUF = "GGUF"

// GGUF reads the metadata of GGUF files:
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Its zero value is
// ready to use.
type GGUF struct{}

// Name gives "gguf".
func (GGUF) Name() string { return "gguf" }

// Wants tells whether p can be a GGUF file: one by its suffix, or a blob in the
// stores of Ollama and of the hub's client, which have no suffixes.
func (GGUF) Wants(p string, st bulwark.Stat) bool {
	return regular(st) && (strings.HasSuffix(p, ".gguf") || isBlob(p))
}

// isBlob tells whether p lies in a store whose files are named by their hash.
func isBlob(p string) bool {
	if !strings.Contains(p, "blobs/") {
		return false
	}
	dir, name := parent(p)
	if dir != "blobs" && !strings.HasSuffix(dir, "/blobs") {
		return false
	}
	return strings.HasPrefix(name, "sha256-") || strings.Contains(p, "models--")
}

// WantsHead tells whether a file begins as GGUF does.
func (GGUF) WantsHead(_ string, head []byte) bool { return bytes.HasPrefix(head, []byte(magicGGUF)) }

// Prefix gives the most that is read of a file: the tensors come after it.
func (GGUF) Prefix(string, []byte) int64 { return maxMetadata }

// Extract gives the model. Its name is the one in its metadata, else that of its
// file.
func (e GGUF) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	most := min(f.Size, maxMetadata)
	r := reader{r: bufio.NewReader(io.NewSectionReader(f, 0, most)), left: most, cut: f.Size > most}
	m, err := r.metadata(ctx, f.Size)
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			if err = io.ErrUnexpectedEOF; r.cut {
				err = bulwark.ErrTooLarge
			}
		}
		err = malformed(f, err)
	}
	if m == nil {
		return nil, err
	}
	repo, name := place(f.Path)
	if repo.name == "" {
		repo = onHub(m["general.repo_url"])
	}
	if n := clean(m["general.name"]); n != "" && !ordinary(n) {
		name = n
	}
	if name == "" {
		name = "unnamed"
	}
	details := map[string]string{
		"architecture": clean(m["general.architecture"]),
		"quantization": fileType(m["general.file_type"]),
	}
	declared := m["general.license"]
	if l := license(declared); l == nil && m["general.license.name"] != "" {
		declared = m["general.license.name"]
	}
	return []bulwark.Package{component(e.Name(), f.Path, repo, name, clean(m["general.version"]), details, license(declared))}, err
}

// onHub finds a repository in the address of a model's page.
func onHub(address string) repo {
	rest, ok := strings.CutPrefix(address, "https://huggingface.co/")
	owner, name, ok2 := strings.Cut(strings.TrimSuffix(rest, "/"), "/")
	if !ok || !ok2 || !isRepo(owner) || !isRepo(name) {
		return repo{}
	}
	return repo{owner: owner, name: name}
}

// reader reads metadata. Every length is held against what is left of the file
// before it is believed.
type reader struct {
	r    *bufio.Reader
	left int64
	wide bool // lengths have 64 bits, as they do since version 2
	big  bool // the file is for machines of the other byte order
	cut  bool // the file is longer than what is read of it
}

func (r *reader) bytes(p []byte) error {
	if int64(len(p)) > r.left {
		return io.ErrUnexpectedEOF
	}
	n, err := io.ReadFull(r.r, p)
	r.left -= int64(n)
	return err
}

func (r *reader) skip(n int64) error {
	if n < 0 || n > r.left {
		return io.ErrUnexpectedEOF
	}
	for n > 0 {
		step := int(min(n, 1<<30))
		if _, err := r.r.Discard(step); err != nil {
			return err
		}
		n, r.left = n-int64(step), r.left-int64(step)
	}
	return nil
}

// number reads an unsigned number of 1, 2, 4 or 8 bytes.
func (r *reader) number(size int) (uint64, error) {
	var b [8]byte
	if err := r.bytes(b[:size]); err != nil {
		return 0, err
	}
	if r.big {
		n := uint64(0)
		for _, c := range b[:size] {
			n = n<<8 | uint64(c)
		}
		return n, nil
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

// length reads a count and holds it against what its elements take at least.
func (r *reader) length(element int64) (int64, error) {
	size := 4
	if r.wide {
		size = 8
	}
	n, err := r.number(size)
	if err != nil {
		return 0, err
	}
	if n > uint64(r.left/element) {
		err := fmt.Errorf("a length of %d where %d bytes are left", n, r.left)
		if r.cut {
			err = fmt.Errorf("%w: %w", err, bulwark.ErrTooLarge)
		}
		return 0, err
	}
	return int64(n), nil
}

// text reads a string, or passes over one that is longer than most.
func (r *reader) text(most int64) (string, error) {
	n, err := r.length(1)
	if err != nil {
		return "", err
	}
	if n > most {
		return "", r.skip(n)
	}
	b := make([]byte, n)
	if err := r.bytes(b); err != nil {
		return "", err
	}
	return string(b), nil
}

// metadata gives the values below "general." as text; nil when the file is no
// GGUF. What was read before an error is given too.
func (r *reader) metadata(ctx context.Context, size int64) (map[string]string, error) {
	var magic [4]byte
	if err := r.bytes(magic[:]); err != nil {
		return nil, err
	}
	if string(magic[:]) != magicGGUF {
		return nil, errors.New("not a file of this kind")
	}
	version, err := r.number(4)
	if err != nil {
		return nil, err
	}
	if version&0xffff == 0 { // written the other way round
		r.big, version = true, version>>24
	}
	if version == 0 || version > maxVersion {
		return nil, fmt.Errorf("version %d of the format: %w", version, bulwark.ErrUnsupported)
	}
	r.wide = version > 1
	tensors, err := r.length(1)
	if err != nil {
		return nil, err
	}
	if tensors > size/minTensor {
		return nil, fmt.Errorf("%d tensors in %d bytes", tensors, size)
	}
	pairs, err := r.length(1)
	if err != nil {
		return nil, err
	}
	if pairs > maxPairs {
		return nil, fmt.Errorf("%d keys: %w", pairs, bulwark.ErrTooLarge)
	}
	m := map[string]string{}
	for range pairs {
		if err := ctx.Err(); err != nil {
			return m, err
		}
		n, err := r.length(1)
		if err != nil {
			return m, err
		}
		if n > maxKey {
			return m, fmt.Errorf("a key of %d bytes", n)
		}
		key := make([]byte, n)
		if err := r.bytes(key); err != nil {
			return m, err
		}
		kind, err := r.number(4)
		if err != nil {
			return m, err
		}
		keep := bytes.HasPrefix(key, []byte("general.")) && len(m) < 64
		// The only number of interest is the kind of file; all else is text.
		keep = keep && (kind == kindText) != (string(key) == "general.file_type")
		v, err := r.value(ctx, kind, 0, keep)
		if err != nil {
			return m, fmt.Errorf("key %.80q: %w", key, err)
		}
		if keep && v != "" {
			m[string(key)] = v
		}
	}
	return m, nil
}

// The kinds of value that are not numbers.
const (
	kindText  = 8
	kindArray = 9
)

// width gives the size of a number in bytes, 0 for other kinds.
func width(kind uint64) int64 {
	switch kind {
	case 0, 1, 7: // uint8, int8, bool
		return 1
	case 2, 3: // uint16, int16
		return 2
	case 4, 5, 6: // uint32, int32, float32
		return 4
	case 10, 11, 12: // uint64, int64, float64
		return 8
	}
	return 0
}

// value reads a value. It gives text and unsigned numbers if they are to be
// kept, "" for everything else.
func (r *reader) value(ctx context.Context, kind uint64, depth int, keep bool) (string, error) {
	switch w := width(kind); {
	case w > 0:
		n, err := r.number(int(w))
		if err != nil || !keep {
			return "", err
		}
		return strconv.FormatUint(n, 10), nil
	case kind == kindText:
		most := int64(-1)
		if keep {
			most = maxValue
		}
		return r.text(most)
	case kind != kindArray:
		return "", fmt.Errorf("a value of kind %d", kind)
	case depth == maxNesting:
		return "", errors.New("arrays nested too deeply")
	}
	element, err := r.number(4)
	if err != nil {
		return "", err
	}
	if w := width(element); w > 0 {
		n, err := r.length(w)
		if err != nil {
			return "", err
		}
		return "", r.skip(n * w)
	}
	n, err := r.length(4)
	if err != nil {
		return "", err
	}
	for i := range n {
		if i%checkEvery == 0 && ctx.Err() != nil {
			return "", ctx.Err()
		}
		if _, err := r.value(ctx, element, depth+1, false); err != nil {
			return "", err
		}
	}
	return "", nil
}

// fileType names what most tensors of a file are stored as; "" when it is not
// known: https://github.com/ggml-org/llama.cpp/blob/master/include/llama.h, enum
// llama_ftype.
func fileType(number string) string {
	switch number {
	case "0":
		return "F32"
	case "1":
		return "F16"
	case "2":
		return "Q4_0"
	case "3":
		return "Q4_1"
	case "7":
		return "Q8_0"
	case "8":
		return "Q5_0"
	case "9":
		return "Q5_1"
	case "10":
		return "Q2_K"
	case "11":
		return "Q3_K_S"
	case "12":
		return "Q3_K_M"
	case "13":
		return "Q3_K_L"
	case "14":
		return "Q4_K_S"
	case "15":
		return "Q4_K_M"
	case "16":
		return "Q5_K_S"
	case "17":
		return "Q5_K_M"
	case "18":
		return "Q6_K"
	case "19":
		return "IQ2_XXS"
	case "20":
		return "IQ2_XS"
	case "21":
		return "Q2_K_S"
	case "22":
		return "IQ3_XS"
	case "23":
		return "IQ3_XXS"
	case "24":
		return "IQ1_S"
	case "25":
		return "IQ4_NL"
	case "26":
		return "IQ3_S"
	case "27":
		return "IQ3_M"
	case "28":
		return "IQ2_S"
	case "29":
		return "IQ2_M"
	case "30":
		return "IQ4_XS"
	case "31":
		return "IQ1_M"
	case "32":
		return "BF16"
	case "36":
		return "TQ1_0"
	case "37":
		return "TQ2_0"
	case "38":
		return "MXFP4_MOE"
	}
	return ""
}
