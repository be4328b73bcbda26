// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/whole"
)

// Reports is a folder of the last reports, bounded in number and bytes: the
// oldest go first. Beside a report the set of policies can be kept that judged it,
// as bytes that mean nothing here. A nil Reports holds nothing and keeps nothing.
// It is safe for use by several goroutines and processes: every file is written
// whole or not at all, and never changes.
//
//	reports/TIME-ID.report       a report: a line that says what it is, then its JSON, compressed
//	reports/TIME-ID-SET.report   the same of one that was judged by a set
//	sets/SET                     a set, compressed
type Reports struct {
	dir string
	max ReportBounds
}

// Bounds on what is believed of a file.
const (
	maxReport = 512 << 20 // bytes of JSON; a report on 50,000 packages with 100,000 findings has 100 MB
	maxValues = 12 << 20  // array elements and object members of a report
	maxHeader = 16 << 10  // bytes of the first line
	maxSet    = 64 << 20  // bytes of a set
	maxText   = 1000      // bytes of a name that are kept in a header
	maxRead   = 200       // reports that Find reads
	maxFound  = 1 << 30   // bytes of JSON that it reads
)

// A Header is what is known of a kept report without reading it.
type Header struct {
	ID       string          `json:"id"`                 // 16 hexadecimal digits of the SHA-256 of its JSON
	Name     string          `json:"name"`               // of the artifact, cut after 1,000 bytes; for display
	Artifact bulwark.Digest  `json:"artifact,omitempty"` // the artifact's ID
	Kind     bulwark.Kind    `json:"kind"`               //
	Created  time.Time       `json:"created"`            // when the scan was made
	Verdict  bulwark.Verdict `json:"verdict"`            //
	Decision string          `json:"decision,omitempty"` // its ID; "" where nothing was judged
	Policy   bulwark.Digest  `json:"policy,omitempty"`   // of the set that the decision names
	Set      bulwark.Digest  `json:"set,omitempty"`      // SHA-256 of the set that is kept beside it; "" is none
	Findings int             `json:"findings"`           // that are open
	Size     int64           `json:"size"`               // bytes of its JSON
	Packed   int64           `json:"packed"`             // bytes of that, compressed
	Sum      bulwark.Digest  `json:"sum"`                // of the compressed bytes
	Bytes    int64           `json:"-"`                  // of the file
}

// A Kept is a report that was kept.
type Kept struct {
	Header
	Report *bulwark.Report
}

// A reportFile is what the name of a file tells.
type reportFile struct {
	base, id, set string // set is the digits of a digest, "" is none
	size          int64
	kept          time.Time // when it was written
}

const nameTime = "20060102T150405.000000000Z"

var reportName = regexp.MustCompile(`^\d{8}T\d{6}\.\d{9}Z-([0-9a-f]{16})(?:-([0-9a-f]{64}))?\.report$`)

func (h *Header) base() string {
	set := ""
	if h.Set != "" {
		set = "-" + h.Set.Hex()
	}
	return h.Created.UTC().Format(nameTime) + "-" + h.ID + set + ".report"
}

// OpenReports opens a folder of reports, which need not be there yet. Zero bounds
// are the default ones.
func OpenReports(dir string, max ReportBounds) *Reports {
	return &Reports{dir: dir, max: ReportBounds{cmp.Or(max.Reports, defaultReports), cmp.Or(max.Bytes, defaultReportBytes)}}
}

func (s *Reports) reports() string { return filepath.Join(s.dir, "reports") }

func (s *Reports) setFile(hex string) string { return filepath.Join(s.dir, "sets", hex) }

func sum(b []byte) bulwark.Digest {
	d := sha256.Sum256(b)
	return bulwark.Digest("sha256:" + hex.EncodeToString(d[:]))
}

// encode compresses as fast as can be: a scan waits for it. A small window takes
// half the time of the usual one and gives six bytes in a hundred more; sums of
// our own are there already.
func encode(fill func(io.Writer) error) ([]byte, error) {
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true),
		zstd.WithWindowSize(128<<10), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, err
	}
	err = errors.Join(fill(z), z.Close())
	return out.Bytes(), err
}

// A digester counts and names what is written to it.
type digester struct {
	hash.Hash
	n int64
}

func (d *digester) Write(p []byte) (int, error) {
	d.n += int64(len(p))
	return d.Hash.Write(p)
}

// decode gives what was compressed, of which there are at most limit bytes.
func decode(b []byte, limit int64) ([]byte, error) {
	z, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	// Reports have some twenty times the bytes; who promises more gets it by and by.
	out := bytes.NewBuffer(make([]byte, 0, min(limit, 32*int64(len(b)))+bytes.MinRead))
	if _, err := out.ReadFrom(io.LimitReader(z, limit+1)); err != nil {
		return nil, err
	}
	if int64(out.Len()) > limit {
		return nil, fmt.Errorf("more than %d bytes: %w", limit, bulwark.ErrTooLarge)
	}
	return out.Bytes(), nil
}

// Put keeps a report and the set that judged it, unless that is empty, and gives
// the id that it is found by. After that it removes what the bounds leave no room
// for. A report of more than 512 MiB or a set of more than 64 MiB is
// [bulwark.ErrTooLarge]. The report is only read.
func (s *Reports) Put(ctx context.Context, r *bulwark.Report, set []byte) (id string, err error) {
	if s == nil {
		return "", nil
	}
	h, err := s.put(ctx, r, set)
	if err == nil {
		_, err = s.Trim(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("keep report: %w", err)
	}
	return h.ID, nil
}

func (s *Reports) put(ctx context.Context, r *bulwark.Report, set []byte) (*Header, error) {
	text := &digester{Hash: sha256.New()}
	packed, err := encode(func(w io.Writer) error {
		e := json.NewEncoder(io.MultiWriter(text, w))
		e.SetEscapeHTML(false)
		return e.Encode(r)
	})
	if err != nil {
		return nil, err
	}
	if text.n > maxReport || len(set) > maxSet {
		return nil, fmt.Errorf("report of %d bytes, policies of %d: %w", text.n, len(set), bulwark.ErrTooLarge)
	}
	h := &Header{
		ID: hex.EncodeToString(text.Sum(nil)[:8]), Name: strings.ToValidUTF8(r.Artifact.Name[:min(len(r.Artifact.Name), maxText)], ""),
		Artifact: r.Artifact.ID, Kind: r.Artifact.Kind, Created: r.Created.UTC(), Verdict: r.Decision.Verdict,
		Decision: r.Decision.ID, Policy: r.Decision.Policy, Size: text.n, Packed: int64(len(packed)), Sum: sum(packed),
	}
	for i := range r.Findings {
		if r.Findings[i].Status.Open() {
			h.Findings++
		}
	}
	if len(set) > 0 {
		h.Set = sum(set)
		if err := s.putSet(ctx, h.Set, set); err != nil {
			return nil, err
		}
	}
	head, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	if n := int64(len(packed) + len(set)); n > s.max.Bytes {
		return nil, fmt.Errorf("it has %d bytes, all together may have %d: %w", n, s.max.Bytes, bulwark.ErrTooLarge)
	}
	if len(head) > maxHeader {
		return nil, fmt.Errorf("header of %d bytes: %w", len(head), bulwark.ErrTooLarge)
	}
	err = whole.Write(filepath.Join(s.reports(), h.base()), func(w io.Writer) error {
		out := writer{ctx, w}
		_, err := out.Write(headLine(head))
		if err == nil {
			_, err = out.Write(packed)
		}
		return err
	})
	if err == nil && h.Set != "" && !exists(s.setFile(h.Set.Hex())) {
		err = s.putSet(ctx, h.Set, set) // somebody has just removed it, when nothing needed it yet
	}
	if errors.Is(err, whole.ErrGone) { // the folder is being cleared, and with it this report
		err = nil
	}
	return h, err
}

// putSet keeps a set once. What is there counts as new again, so that nobody who
// trims takes it for what nothing needs.
func (s *Reports) putSet(ctx context.Context, d bulwark.Digest, set []byte) error {
	name := s.setFile(d.Hex())
	now := time.Now()
	if err := os.Chtimes(name, now, now); err == nil {
		return nil
	}
	packed, err := encode(func(w io.Writer) error { _, err := w.Write(set); return err })
	if err != nil {
		return err
	}
	err = whole.Write(name, func(w io.Writer) error { _, err := writer{ctx, w}.Write(packed); return err })
	if errors.Is(err, whole.ErrGone) {
		return nil
	}
	return err
}

// headLine is the first line of a file: what it is, a checksum, and the header.
func headLine(head []byte) []byte {
	return fmt.Appendf(nil, "%s%s %s\n", magic, sum(head).Hex()[:16], head)
}

const magic = "bulwark.kept/v1 "

// list gives the files of reports, oldest first, and errors for what is no report.
// What is unfinished is passed over.
func (s *Reports) list() (out []reportFile, faults []error, err error) {
	entries, err := os.ReadDir(s.reports())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries { // by name, which begins with the time
		if whole.Unfinished(e.Name()) {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		m := reportName.FindStringSubmatch(e.Name())
		if err != nil || m == nil || !info.Mode().IsRegular() {
			faults = append(faults, cmp.Or(err, fmt.Errorf("kept report %q: it is none: %w", filepath.Join(s.reports(), e.Name()), bulwark.ErrUnsupported)))
			continue
		}
		out = append(out, reportFile{base: e.Name(), id: m[1], set: m[2], size: info.Size(), kept: info.ModTime()})
	}
	// Reports of one second are in the order in which they were kept.
	slices.SortStableFunc(out, func(a, b reportFile) int {
		return cmp.Or(cmp.Compare(a.base[:len(nameTime)], b.base[:len(nameTime)]), a.kept.Compare(b.kept))
	})
	return out, faults, nil
}

// open opens the file of a report behind its header. The caller closes it. A file
// that is not whole is [bulwark.ErrDigest].
func (s *Reports) open(f *reportFile) (*Header, *os.File, error) {
	name := filepath.Join(s.reports(), f.base)
	file, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	h, err := f.header(file)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("kept report %q: %w", name, err), file.Close())
	}
	return h, file, nil
}

// header reads the first line, and leaves the file behind it.
func (f *reportFile) header(file io.ReadSeeker) (*Header, error) {
	start := make([]byte, min(f.size, int64(len(magic)+16+1+maxHeader+1)))
	if _, err := io.ReadFull(file, start); err != nil {
		return nil, err
	}
	line, _, _ := bytes.Cut(start, []byte("\n"))
	seal, head, _ := bytes.Cut(bytes.TrimPrefix(line, []byte(magic)), []byte(" "))
	if !bytes.HasPrefix(line, []byte(magic)) || string(seal) != sum(head).Hex()[:16] {
		return nil, fmt.Errorf("its first line is damaged: %w", bulwark.ErrDigest)
	}
	h := &Header{}
	if err := json.Unmarshal(head, h); err != nil {
		return nil, fmt.Errorf("its first line: %w: %w", err, bulwark.ErrDigest)
	}
	end := int64(len(line)) + 1
	switch {
	case h.base() != f.base:
		return nil, fmt.Errorf("it is not what its name says: %w", bulwark.ErrDigest)
	case h.Size < 0 || h.Size > maxReport || h.Packed < 0 || h.Packed > maxReport:
		return nil, fmt.Errorf("it says that it has %d bytes: %w", max(h.Size, h.Packed), bulwark.ErrTooLarge)
	case end+h.Packed != f.size:
		return nil, fmt.Errorf("it has %d bytes, its first line says %d: %w", f.size, end+h.Packed, bulwark.ErrDigest)
	}
	h.Bytes = f.size
	_, err := file.Seek(end, io.SeekStart)
	return h, err
}

// text reads a report's header and its JSON, which is hostile: whoever can write
// the folder made it.
func (s *Reports) text(f *reportFile) (*Header, []byte, error) {
	h, file, err := s.open(f)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	wrong := func(err error) (*Header, []byte, error) {
		return nil, nil, fmt.Errorf("kept report %q: %w", filepath.Join(s.reports(), f.base), err)
	}
	packed := make([]byte, h.Packed)
	if _, err := io.ReadFull(file, packed); err != nil {
		return wrong(err)
	}
	if sum(packed) != h.Sum {
		return wrong(bulwark.ErrDigest)
	}
	text, err := decode(packed, h.Size)
	if err != nil {
		return wrong(err)
	}
	if int64(len(text)) != h.Size {
		return wrong(bulwark.ErrDigest)
	}
	return h, text, nil
}

// parse reads the JSON of a report.
func (f *reportFile) parse(h *Header, text []byte) (*Kept, error) {
	wrong := func(err error) (*Kept, error) { return nil, fmt.Errorf("kept report %s: %w", f.id, err) }
	if sum(text).Hex()[:16] != h.ID {
		return wrong(bulwark.ErrDigest)
	}
	if n := values(text); n > maxValues {
		return wrong(fmt.Errorf("%d values: %w", n, bulwark.ErrTooLarge))
	}
	k := &Kept{Header: *h, Report: &bulwark.Report{}}
	if err := json.Unmarshal(text, k.Report); err != nil {
		return wrong(err)
	}
	if k.Report.Schema != bulwark.ReportSchema {
		return wrong(fmt.Errorf("schema %q, want %q: %w", k.Report.Schema[:min(len(k.Report.Schema), 80)], bulwark.ReportSchema, bulwark.ErrUnsupported))
	}
	return k, nil
}

// values counts the array elements and object members of JSON, at most, before
// they take memory: short ones take many times their bytes.
func values(text []byte) (n int) {
	inString := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			inString = !inString
		case inString:
			if c == '\\' {
				i++
			}
		case c == ',' || c == '[' || c == '{':
			n++
		}
	}
	return n
}

// List gives what is known of each kept report, the newest last. What is no report,
// or not whole, comes as an error in its place, and the list goes on.
func (s *Reports) List(ctx context.Context) iter.Seq2[Header, error] {
	return func(yield func(Header, error) bool) {
		if s == nil {
			return
		}
		files, faults, err := s.list()
		for _, err := range append(faults, err) {
			if err != nil && !yield(Header{}, err) {
				return
			}
		}
		for i := range files {
			if err := ctx.Err(); err != nil {
				yield(Header{}, err)
				return
			}
			h, file, err := s.open(&files[i])
			if errors.Is(err, fs.ErrNotExist) {
				continue // somebody else trims
			}
			if err != nil {
				h = &Header{}
			} else {
				err = file.Close()
			}
			if !yield(*h, err) {
				return
			}
		}
	}
}

// Get gives the report with an id of [Reports.Put] or [Reports.List].
// [bulwark.ErrNotFound] says that it is not, or no longer, kept, and
// [bulwark.ErrDigest] that it is damaged.
func (s *Reports) Get(ctx context.Context, id string) (*Kept, error) {
	missing := fmt.Errorf("kept report %q: %w", id[:min(len(id), 80)], bulwark.ErrNotFound)
	if s == nil {
		return nil, missing
	}
	files, _, err := s.list()
	if err != nil {
		return nil, err
	}
	for i := range slices.Backward(files) {
		if files[i].id != id {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, text, err := s.text(&files[i])
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return nil, err
		}
		return files[i].parse(h, text)
	}
	return nil, missing
}

// Set gives a set that was kept beside a report, by its digest.
// [bulwark.ErrNotFound] says that it is not there, [bulwark.ErrDigest] that it is
// damaged.
func (s *Reports) Set(d bulwark.Digest) ([]byte, error) {
	wrong := func(err error) ([]byte, error) { return nil, fmt.Errorf("kept policies %s: %w", d.Short(), err) }
	if s == nil || !d.Valid() || len(d.Hex()) != 64 {
		return wrong(bulwark.ErrNotFound)
	}
	f, err := os.Open(s.setFile(d.Hex()))
	if errors.Is(err, fs.ErrNotExist) {
		return wrong(bulwark.ErrNotFound)
	}
	if err != nil {
		return wrong(err)
	}
	defer f.Close()
	packed, err := io.ReadAll(io.LimitReader(f, maxSet+maxHeader))
	if err != nil {
		return wrong(err)
	}
	set, err := decode(packed, maxSet)
	switch {
	case err != nil:
		return wrong(fmt.Errorf("%w: %w", err, bulwark.ErrDigest))
	case sum(set) != d:
		return wrong(bulwark.ErrDigest)
	}
	return set, nil
}

var wantedID = regexp.MustCompile(`^[0-9a-f]{16}$`)

// Find gives the newest report whose decision has the id, or else the newest that
// has a finding with it. For findings at most 200 reports and 1 GiB are read.
// [bulwark.ErrNotFound] says that there is none, and what was not read. Skipped
// holds an error for each report that is damaged and may have been the one; it is
// also part of the error.
func (s *Reports) Find(ctx context.Context, id string) (k *Kept, skipped []error, err error) {
	missing := fmt.Errorf("%q in kept reports: %w", id[:min(len(id), 80)], bulwark.ErrNotFound)
	if s == nil || !wantedID.MatchString(id) {
		return nil, nil, missing
	}
	files, skipped, err := s.list()
	if err != nil {
		return nil, nil, err
	}
	sound := files[:0:0] // newest first
	decided := -1
	for i := range slices.Backward(files) {
		if err := ctx.Err(); err != nil {
			return nil, skipped, err
		}
		h, file, err := s.open(&files[i])
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			skipped = append(skipped, err)
			continue
		}
		_ = file.Close() // it was only read
		if sound = append(sound, files[i]); h.Decision == id {
			decided = len(sound) - 1
			break
		}
	}
	if decided >= 0 {
		sound = sound[decided:]
	}
	read := int64(0)
	for i := range sound {
		if err := ctx.Err(); err != nil {
			return nil, skipped, err
		}
		if i >= maxRead || read > maxFound {
			missing = fmt.Errorf("%w; %d older ones were not read", missing, len(sound)-i)
			break
		}
		h, text, err := s.text(&sound[i])
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			skipped = append(skipped, err)
			continue
		}
		read += int64(len(text))
		if h.Decision != id && !bytes.Contains(text, []byte(`"`+id+`"`)) {
			continue
		}
		k, err := sound[i].parse(h, text)
		if err != nil {
			skipped = append(skipped, err)
			continue
		}
		if k.Report.Decision.ID == id || slices.ContainsFunc(k.Report.Findings, func(f bulwark.Finding) bool { return f.ID == id }) {
			return k, skipped, nil
		}
	}
	return nil, skipped, errors.Join(append([]error{missing}, skipped...)...)
}
