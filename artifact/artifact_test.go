// SPDX-License-Identifier: Apache-2.0

//go:build unix

package artifact_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/artifact"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world makes one target of each sort in a new directory and goes there.
func world(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	t.Chdir(root)
	var plain, packed bytes.Buffer
	tw := tar.NewWriter(&plain)
	check(t, tw.WriteHeader(&tar.Header{Name: "hello", Typeflag: tar.TypeReg, Mode: 0o644}))
	check(t, tw.Close())
	zw := gzip.NewWriter(&packed)
	_, err := zw.Write(plain.Bytes())
	check(t, errors.Join(err, zw.Close()))
	for name, content := range map[string]string{
		"plain/file":            "1",
		"alpine/file":           "1",
		"work/.git/HEAD":        "0123456789abcdef0123456789abcdef01234567\n",
		"linked/.git":           "gitdir: ../work/.git\n",
		"layout/oci-layout":     `{"imageLayoutVersion":"1.0.0"}`,
		"layout/index.json":     `{"schemaVersion":2,"manifests":[]}`,
		"a:b@c/l/oci-layout":    `{"imageLayoutVersion":"1.0.0"}`,
		"a:b@c/l/index.json":    `{"schemaVersion":2,"manifests":[]}`,
		"a:b@c/web.tar":         plain.String(),
		"both/.git/HEAD":        "x",
		"both/oci-layout":       `{"imageLayoutVersion":"1.0.0"}`,
		"web.tar":               plain.String(),
		"web.tgz":               packed.String(),
		"web.zst":               "\x28\xb5\x2f\xfd rest",
		"redis":                 "\x7fELF",
		"saved":                 plain.String(),
		"README.md":             "# hello",
		"empty":                 "",
		"bom.json":              `{"bomFormat":"CycloneDX"}`,
		"bom-with-mark.json":    "\ufeff \r\n\t{}",
		"bom-with-space.json":   strings.Repeat("\n", 500) + "{}",
		"bom-too-far.json":      strings.Repeat("\n", 512) + "{}",
		"bom.xml":               `<?xml version="1.0"?><bom/>`,
		"bom-bare.xml":          "\ufeff\n<bom/>",
		"bom-comment.xml":       "<!-- x --><bom/>",
		"page.html":             "<html>",
		"tags.spdx":             "SPDXVersion: SPDX-2.3\n",
		"tags-comment.spdx":     "# made by hand\n\n  # twice\nSPDXVersion: SPDX-2.2\n",
		"tags-late.spdx":        "DataLicense: CC0-1.0\nSPDXVersion: SPDX-2.2\n",
		"array.json":            "[]",
		"utf-16.json":           "\xff\xfe{\x00",
		"half-a-mark.json":      "\xef\xbb{}",
		"two-marks.json":        "\ufeff\ufeff{}",
		"with space/bom.json":   "{}",
		"library/alpine/file":   "1",
		"localhost:5000/x/file": "1",
	} {
		check(t, os.MkdirAll(filepath.Dir(name), 0o755))
		check(t, os.WriteFile(name, []byte(content), 0o644))
	}
	check(t, syscall.Mkfifo("pipe", 0o600))
	check(t, os.Symlink("pipe", "link-to-pipe"))
	check(t, os.Symlink("work", "link-to-work"))
	check(t, os.Symlink("loop", "loop"))
	return root
}

const (
	image = bulwark.KindImage
	fsys  = bulwark.KindDir
	repo  = bulwark.KindRepo
	host  = bulwark.KindHost
	sbom  = bulwark.KindSBOM
)

func TestGuess(t *testing.T) {
	root := world(t)
	for _, tc := range []struct {
		target string
		kind   bulwark.Kind // that was said
		want   bulwark.Kind
	}{
		{"plain", "", fsys},
		{"./plain/", "", fsys},
		{"ROOT/plain", "", fsys},
		{".", "", fsys},
		{"alpine", "", fsys},
		{"library/alpine", "", fsys},
		{"work", "", repo},
		{"linked", "", repo},
		{"link-to-work", "", repo},
		{"work", fsys, fsys},
		{"plain", repo, repo}, // the opener says what is wrong
		{"layout", "", image},
		{"layout", fsys, fsys},
		{"layout:latest", "", image},
		{"ROOT/layout:a:b", "", image},
		{"./layout@sha256:0123", "", image},
		{"layout:x", image, image},
		{"a:b@c/l", "", image},
		{"a:b@c/l:tag", "", image},
		{"ROOT/a:b@c/l@sha256:01", "", image},
		{"a:b@c", "", fsys},
		{"both", "", image},
		{"both", repo, repo},
		{"web.tar", "", image},
		{"./web.tar:shop/web:1", "", image},
		{"ROOT/web.tgz:1", "", image},
		{"./web.zst@sha256:01", "", image},
		{"ROOT/a:b@c/web.tar:1", "", image},
		{"README.md", "", image}, // the opener says that it is none
		{"empty", "", image},
		{"redis", "", image},
		{"bom.json", "", sbom},
		{"bom-with-mark.json", "", sbom},
		{"bom-with-space.json", "", sbom},
		{"with space/bom.json", "", sbom},
		{"bom.xml", "", sbom},
		{"bom-bare.xml", "", sbom},
		{"bom-comment.xml", "", sbom},
		{"page.html", "", image},
		{"tags.spdx", "", sbom},
		{"tags-comment.spdx", "", sbom},
		{"tags-late.spdx", "", image},
		{"tags-late.spdx", sbom, sbom},
		{"bom-too-far.json", "", image},
		{"array.json", "", image},
		{"utf-16.json", "", image},
		{"half-a-mark.json", "", image},
		{"two-marks.json", "", image},
		{"array.json", sbom, sbom},
		{"bom.json", image, image},
		{"nginx", "", image},
		{"alpine:3.20", "", image},
		{"alpine@sha256:01", "", image},
		{"redis:7", "", image},
		{"localhost:5000/x", "", fsys},
		{"localhost:5000/y:1", "", image},
		{"none/none", "", image},
		{"sha256:0123456789ab", "", image},
		{strings.Repeat("a", 300), "", image}, // no file can be called so
		{"alpine", image, image},
		{"", host, host},
		{"/", host, host},
		{"ROOT/plain", host, host},
	} {
		t.Run(tc.target+"-as-"+string(tc.kind), func(t *testing.T) {
			got, err := artifact.Guess(strings.Replace(tc.target, "ROOT", root, 1), artifact.Options{Kind: tc.kind})
			if got != tc.want || err != nil {
				t.Errorf("%q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

func TestGuessErrors(t *testing.T) {
	root := world(t)
	for _, tc := range []struct {
		target string
		kind   bulwark.Kind
		is     error
		want   string
	}{
		{"", "", bulwark.ErrUsage, `no target: wrong usage`},
		{"", fsys, bulwark.ErrUsage, `no target: wrong usage`},
		{"./none", "", bulwark.ErrNotFound, `open "./none": not found; check the path`},
		{"../none", image, bulwark.ErrNotFound, `open "../none": not found; check the path`},
		{"none/", "", bulwark.ErrNotFound, `open "none/": not found; check the path`},
		{"/none/at/all", "", bulwark.ErrNotFound, `open "/none/at/all": not found; check the path`},
		{"/none:tag", "", bulwark.ErrNotFound, `open "/none:tag": not found; check the path`},
		{"./plain:tag", "", bulwark.ErrNotFound, `open "./plain:tag": not found; check the path`},
		{"./README.md:tag", "", bulwark.ErrNotFound, `open "./README.md:tag": not found; check the path`},
		{"./plain/file/x", "", bulwark.ErrNotFound, `open "./plain/file/x": not found; check the path`},
		{"./loop", "", bulwark.ErrNotFound, `open "./loop": not found; check the path`},
		{"none", fsys, bulwark.ErrNotFound, `open "none": not found; check the path`},
		{"none", repo, bulwark.ErrNotFound, `open "none": not found; check the path`},
		{"none", sbom, bulwark.ErrNotFound, `open "none": not found; check the path`},
		{"./none", host, bulwark.ErrNotFound, `open "./none": not found; check the path`},
		{"a\nb\x1b", fsys, bulwark.ErrNotFound, `open "a\nb\x1b": not found; check the path`},
		{"pipe", "", bulwark.ErrUnsupported, `open "pipe": neither a file nor a directory: not supported; name a directory, a file, or an image`},
		{"link-to-pipe", sbom, bulwark.ErrUnsupported, `open "link-to-pipe": neither a file nor a directory: not supported; name a directory, a file, or an image`},
		{"./pipe", image, bulwark.ErrUnsupported, `open "./pipe": neither a file nor a directory: not supported; name a directory, a file, or an image`},
		{"./plain", image, bulwark.ErrUnsupported, `open "./plain": a directory that is no OCI layout: not supported; use bulwark scan fs for an unpacked root file system`},
		{"bom.json", fsys, bulwark.ErrUnsupported, `open "bom.json": a file, not a directory: not supported; leave out the kind to have it guessed`},
		{"plain", sbom, bulwark.ErrUnsupported, `open "plain": a directory, not a file: not supported; leave out the kind to have it guessed`},
	} {
		t.Run(tc.target+"-as-"+string(tc.kind), func(t *testing.T) {
			_, err := artifact.Guess(strings.Replace(tc.target, "ROOT", root, 1), artifact.Options{Kind: tc.kind})
			if !errors.Is(err, tc.is) {
				t.Fatalf("error %v, want %v", err, tc.is)
			}
			if d := cmp.Diff(tc.want, err.Error()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if _, oerr := artifact.Open(t.Context(), tc.target, artifact.Options{Kind: tc.kind}); oerr == nil || oerr.Error() != err.Error() {
				t.Errorf("Open says %v", oerr)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	root := world(t)
	for _, tc := range []struct {
		target string
		kind   bulwark.Kind
		want   bulwark.Artifact
		files  []string
	}{
		{"plain", "", bulwark.Artifact{Kind: fsys, Name: "plain", Source: "directory"}, []string{"file"}},
		{".", "", bulwark.Artifact{Kind: fsys, Name: filepath.Base(root), Source: "directory"}, nil},
		{"work", "", bulwark.Artifact{Kind: repo, Name: "work", Source: "git", Commit: "0123456789abcdef0123456789abcdef01234567"}, []string{}},
		{"linked", "", bulwark.Artifact{Kind: repo, Name: "linked", Source: "git", Commit: "0123456789abcdef0123456789abcdef01234567"}, []string{".git"}},
		{"work", fsys, bulwark.Artifact{Kind: fsys, Name: "work", Source: "directory"}, []string{".git/HEAD"}},
		{"bom.json", "", bulwark.Artifact{Kind: sbom, Name: "bom.json", Source: "sbom"}, []string{"bom.json"}},
		{"README.md", sbom, bulwark.Artifact{Kind: sbom, Name: "README.md", Source: "sbom"}, []string{"README.md"}},
		{"plain", host, bulwark.Artifact{Kind: host, Name: "plain", Source: "host"}, []string{"file"}},
	} {
		t.Run(tc.target+"-as-"+string(tc.kind), func(t *testing.T) {
			tree, err := artifact.Open(t.Context(), tc.target, artifact.Options{Kind: tc.kind})
			check(t, err)
			defer tree.Close()
			if d := cmp.Diff(tc.want, tree.Artifact); d != "" {
				t.Errorf("artifact (-want +got):\n%s", d)
			}
			if tc.files == nil {
				return
			}
			r, err := tree.Layers[0].Open(t.Context())
			check(t, err)
			defer r.Close()
			files := []string{}
			for tr := tar.NewReader(r); ; {
				h, err := tr.Next()
				if err == io.EOF {
					break
				}
				check(t, err)
				files = append(files, h.Name)
			}
			if d := cmp.Diff(tc.files, files); d != "" {
				t.Errorf("files (-want +got):\n%s", d)
			}
		})
	}
}

// TestOpenErrors shows that an error names the scheme that was taken and keeps
// its cause.
func TestOpenErrors(t *testing.T) {
	world(t)
	for _, tc := range []struct {
		target, from string
		kind         bulwark.Kind
		is           error
		want         string // the beginning
	}{
		{"plain", "", repo, bulwark.ErrNotFound, `open git: open repository "plain": no .git: not found; use bulwark scan fs`},
		{"README.md", "", repo, bulwark.ErrNotFound, `open git: open repository "README.md": no .git: not found; use bulwark scan fs`},
		{"both", "", repo, nil, `open git: open repository "both": HEAD leads to no commit; use bulwark scan fs`},
		{"README.md", "", "", bulwark.ErrUnsupported, `open archive: open archive "README.md": `},
		{"bom.json", "", image, bulwark.ErrUnsupported, `open archive: open archive "bom.json": `},
		{"empty", "", "", bulwark.ErrUnsupported, `open archive: open archive "empty": `},
		{"web.tar", "", "", bulwark.ErrUnsupported, `open archive: open archive "web.tar": `},
		{"./web.tar:tag", "", "", bulwark.ErrUnsupported, `open archive: open archive "./web.tar": `},
		{"layout:tag", "", "", nil, `open oci-layout: open layout "layout": `},
		{"a:b@c/l", "", image, nil, `open oci-layout: open layout "a:b@c/l": `},
		{"UPPER CASE", "", "", bulwark.ErrUsage, `open image: image name "UPPER CASE": wrong usage`},
		{"plain", "nowhere", image, bulwark.ErrUsage, `open image: image source "nowhere": wrong usage`},
		{"redis", "nowhere", image, bulwark.ErrUsage, `open image: image source "nowhere": wrong usage`},
		{"pipe", "nowhere", image, bulwark.ErrUsage, `open image: image source "nowhere": wrong usage`},
		{"saved", "", image, bulwark.ErrUnsupported, `open archive: open archive "saved": `},
		{"README.md", "", host, nil, `open host: open "README.md": not a directory`},
	} {
		t.Run(tc.target+"-as-"+string(tc.kind), func(t *testing.T) {
			o := artifact.Options{Kind: tc.kind}
			if tc.from != "" {
				o.From = []string{tc.from}
			}
			tree, err := artifact.Open(t.Context(), tc.target, o)
			if err == nil {
				tree.Close()
				t.Fatal("no error")
			}
			if tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("error %v, want %v", err, tc.is)
			}
			if !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("error %q, want %q…", err, tc.want)
			}
		})
	}
}

// TestDirectoryOptions shows that options reach the walk.
func TestDirectoryOptions(t *testing.T) {
	world(t)
	tree, err := artifact.Open(t.Context(), "work", artifact.Options{Kind: fsys, OpenOptions: bulwark.OpenOptions{SkipDirs: []string{".git"}}})
	check(t, err)
	defer tree.Close()
	r, err := tree.Layers[0].Open(t.Context())
	check(t, err)
	defer r.Close()
	if h, err := tar.NewReader(r).Next(); err != io.EOF {
		t.Errorf("%v, %v", h, err)
	}
}
