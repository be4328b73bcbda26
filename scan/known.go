// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"crypto/md5"  //nolint:gosec // lists of malware know files by it
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check/malware"
	"github.com/bulwark-sec/bulwark/extract"
)

// The digests of what something may run are part of a layer's record: a list of
// malware of tomorrow is asked about them, and the layer is not read again.

// appendFile adds a file to b: how many bytes its path has in common with that of
// the file before it, the length of the rest and the rest, the size, which digests
// there are, and these. Numbers are varints.
func appendFile(b []byte, before string, h *bulwark.FileHash) []byte {
	n := 0
	for n < min(len(before), len(h.Path)) && before[n] == h.Path[n] {
		n++
	}
	b = binary.AppendUvarint(b, uint64(n))
	b = binary.AppendUvarint(b, uint64(len(h.Path)-n))
	b = append(b, h.Path[n:]...)
	b = binary.AppendUvarint(b, uint64(max(0, h.Size)))
	var has byte
	for i, d := range [][]byte{h.SHA256, h.SHA1, h.MD5} {
		if d != nil {
			has |= 1 << i
		}
	}
	b = append(b, has)
	return append(append(append(b, h.SHA256...), h.SHA1...), h.MD5...)
}

// errFiles is met by digests that nobody wrote so.
var errFiles = errors.New("malformed digests")

// eachFile reads what appendFile wrote, which was made by a parser. What each is
// handed is valid only during the call.
func eachFile(b []byte, each func(*bulwark.FileHash) error) error {
	var path []byte
	files, names := 0, 0
	number := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			b = nil
			return math.MaxUint64
		}
		b = b[n:]
		return v
	}
	for len(b) > 0 {
		same, rest := number(), number()
		if same > uint64(len(path)) || rest > uint64(len(b)) || same+rest > maxPath {
			return errFiles
		}
		// A few bytes can stand for a long path.
		files++
		if names += int(same + rest); files > maxFiles || names > maxNames {
			return fmt.Errorf("digests: %w", bulwark.ErrTooLarge)
		}
		path = append(path[:same], b[:rest]...)
		b = b[rest:]
		size := number()
		if size > math.MaxInt64 || len(b) == 0 || b[0] > 7 {
			return errFiles
		}
		h := bulwark.FileHash{Path: string(path), Size: int64(size)}
		has := b[0]
		b = b[1:]
		for i, d := range []struct {
			to *[]byte
			n  int
		}{{&h.SHA256, sha256.Size}, {&h.SHA1, sha1.Size}, {&h.MD5, md5.Size}} {
			if has>>i&1 == 0 {
				continue
			}
			if len(b) < d.n {
				return errFiles
			}
			*d.to, b = b[:d.n:d.n], b[d.n:]
		}
		if err := each(&h); err != nil {
			return err
		}
	}
	return nil
}

// maxPath bounds a path with those of the archives that it is inside of, bytes.
const maxPath = 16 << 10

// maxNames bounds the paths of one layer's digests, bytes.
const maxNames = 128 << 20

// digest keeps the digests of one file.
func (p *parser) digest(h bulwark.FileHash) {
	if p.hashed++; p.hashed > maxFiles || p.hashes > maxHashed || len(h.Path) > maxPath {
		p.lost++
		return
	}
	p.files = appendFile(p.files, p.path, &h)
	if p.path = h.Path; len(p.files) >= markBlock {
		p.sendFiles()
	}
}

func (p *parser) sendFiles() {
	p.emit(&answer{Files: p.files})
	p.hashes += len(p.files)
	p.files = p.files[:0]
}

// flushFiles sends the last digests, and tells when there were too many.
func (p *parser) flushFiles() {
	if len(p.files) > 0 {
		p.sendFiles()
	}
	if p.lost > 0 {
		p.gap(bulwark.Gap{Kind: bulwark.GapLimit, Detail: fmt.Sprintf("the digests of %d of %d programs, scripts and archives are not kept: a list of known malware does not find them", p.lost, p.hashed)})
	}
	if n := p.asked - maxFiles; n > 0 {
		p.gap(bulwark.Gap{Kind: bulwark.GapLimit, Detail: fmt.Sprintf("the ClamAV daemon was not asked about %d more files", n)})
	}
}

// recall gives the records of layers that were read before, with the digests of
// their files, and without kept content. Without one of them it is an error.
func (s recordStore) recall(layers []bulwark.Layer) (*stack, error) {
	st := &stack{layers: layers}
	for _, l := range layers {
		rec, err := s.get(l, true, func(r io.Reader, size int64) (int64, error) {
			_, err := io.CopyN(io.Discard, r, size)
			return 0, err
		})
		if err != nil {
			return nil, err
		}
		st.records = append(st.records, rec)
	}
	return st, nil
}

// known gives the findings of files whose digests are on the list of malware, and
// what was not looked up.
func (s *stack) known(ctx context.Context, list malware.Hashes) ([]bulwark.Finding, []bulwark.Gap) {
	found := make([][]bulwark.Finding, len(s.records))
	hits, without := 0, 0
	var gaps []bulwark.Gap
	for i, rec := range s.records {
		err := eachFile(rec.Files, func(h *bulwark.FileHash) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if h.SHA256 == nil {
				without++
			}
			f, ok, err := malware.Known(list, h)
			if err != nil || !ok {
				return err
			}
			if hits++; hits <= maxHits {
				found[i] = append(found[i], f)
			}
			return nil
		})
		if err != nil {
			gaps = append(gaps, bulwark.Gap{Kind: bulwark.GapUnreadable, Layer: s.layers[i].DiffID, Detail: "not all digests were looked up: " + err.Error()})
		}
	}
	if without > 0 {
		gaps = append(gaps, bulwark.Gap{Kind: bulwark.GapLimit, Detail: fmt.Sprintf("%d shared libraries of more than 1 MiB have no digest: the list of known malware was not asked about them", without)})
	}
	if hits > maxHits {
		gaps = append(gaps, bulwark.Gap{Kind: bulwark.GapLimit, Detail: fmt.Sprintf("%d more files that are known as malware are not listed", hits-maxHits)})
	}
	if hits == 0 {
		return nil, gaps
	}
	for _, rec := range s.records {
		if rec.white == nil {
			rec.index()
		}
	}
	return s.gather(func(i int) []bulwark.Finding { return found[i] }), gaps
}

// maxHits bounds the files that are listed as known.
const maxHits = 10_000

// hashes gives the list of known malware that a scan asks; nil when it looks for
// no malware.
func (s *Scanner) hashes() malware.Hashes {
	if !s.Malware {
		return nil
	}
	return s.Hashes
}

// notRecalled is told of a saved report whose digests are not there.
const notRecalled = "the digests of its files are not kept, or not under the same flags: the list of known malware was not asked again; scan it again"

// recalled asks the list of known malware about a saved report's layers, of which
// records may be kept.
func (s *Scanner) recalled(ctx context.Context, r *bulwark.Report, found []bulwark.Finding, rules map[string]bulwark.Rule) ([]bulwark.Finding, map[string]bulwark.Rule, error) {
	h := s.hashes()
	if h == nil || r.Artifact.Kind == bulwark.KindSBOM {
		return found, rules, nil
	}
	r.Inventory.Gaps = slices.DeleteFunc(r.Inventory.Gaps, func(g bulwark.Gap) bool { return g.Detail == notRecalled })
	set := s.plan().parsers(r.Artifact.Kind, extract.Known{})
	st, err := s.store(r.Artifact.Kind, &set).recall(r.Inventory.Layers)
	if err != nil || len(r.Inventory.Layers) == 0 {
		r.Inventory.Gaps = append(r.Inventory.Gaps, bulwark.Gap{Kind: bulwark.GapSkipped, Detail: notRecalled})
		return found, rules, nil
	}
	known, gaps := st.known(ctx, h)
	for _, g := range gaps {
		if !slices.Contains(r.Inventory.Gaps, g) {
			r.Inventory.Gaps = append(r.Inventory.Gaps, g)
		}
	}
	found = slices.DeleteFunc(found, malware.ByDigest)
	rules, err = withRulesOf(rules, known, &set)
	return slices.Concat(found, known), rules, err
}

// withRulesOf gives rules with those of further findings.
func withRulesOf(rules map[string]bulwark.Rule, found []bulwark.Finding, set *parsers) (map[string]bulwark.Rule, error) {
	if len(found) == 0 {
		return rules, nil
	}
	rules = maps.Clone(rules)
	if rules == nil {
		rules = map[string]bulwark.Rule{}
	}
	more, err := set.set.Rules(found)
	maps.Copy(rules, more)
	return rules, err
}
