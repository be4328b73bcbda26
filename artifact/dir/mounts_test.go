// SPDX-License-Identifier: Apache-2.0

package dir

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/bulwark-sec/bulwark"
)

// omitted writes what is left out, one line each.
func omitted(out map[string]omission) string {
	var b strings.Builder
	for _, rel := range slices.Sorted(maps.Keys(out)) {
		switch m := out[rel]; {
		case m.of != "":
			fmt.Fprintf(&b, "%s = %s\n", rel, m.of)
		case m.kernel:
			fmt.Fprintf(&b, "%s kernel %s\n", rel, m.kind)
		default:
			fmt.Fprintf(&b, "%s %s\n", rel, m.kind)
		}
	}
	return b.String()
}

// TestForeign reads the mount tables in testdata/mounts. Each file has a table
// and, for one or more roots, what a walk from there leaves out.
func TestForeign(t *testing.T) {
	files, err := filepath.Glob("testdata/mounts/*.txtar")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			list, err := readMounts(strings.NewReader(string(a.Files[0].Data)))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range a.Files[1:] {
				got := omitted(foreign(list, f.Name, func(rel string) bool { return store(rel) != "" }))
				if d := cmp.Diff(string(f.Data), got); d != "" {
					t.Errorf("%s (-want +got):\n%s", f.Name, d)
				}
			}
		})
	}
}

func TestReadMounts(t *testing.T) {
	for _, tc := range []struct {
		name, table string
		want        []mount
		err         string
	}{
		{name: "no-optional-fields", table: "22 27 0:21 / /proc rw - proc proc rw\n",
			want: []mount{{"22", "27", "0:21", "/", "/proc", "proc"}}},
		{name: "many-optional-fields", table: "22 27 0:21 / /proc rw shared:1 master:2 propagate_from:3 unbindable - proc proc rw",
			want: []mount{{"22", "27", "0:21", "/", "/proc", "proc"}}},
		{name: "empty-source", table: "22 27 0:21 / /t rw - tmpfs  rw\n",
			want: []mount{{"22", "27", "0:21", "/", "/t", "tmpfs"}}},
		{name: "a-minus-for-a-source", table: "22 27 0:21 / /t rw - tmpfs - rw\n",
			want: []mount{{"22", "27", "0:21", "/", "/t", "tmpfs"}}},
		{name: "escapes", table: `22 27 0:21 /a\040b /x\011y\012z\134w\043\303\274\777\04 rw - fuse.s\040s x rw`,
			want: []mount{{"22", "27", "0:21", "/a b", "/x\ty\nz\\w#ü\\777\\04", "fuse.s s"}}},
		{name: "no-UTF-8", table: `22 27 0:21 / /x\377 rw - ext4 x rw`,
			want: []mount{{"22", "27", "0:21", "/", `/x\xff`, "ext4"}}},
		{name: "unclean-point", table: "22 27 0:21 / /a//b/ rw - ext4 x rw",
			want: []mount{{"22", "27", "0:21", "/", "/a/b", "ext4"}}},
		{name: "bad-lines", table: "\nhello\n1 2 3 4 5 6 7 8 9\n1 2 0:1 / /x rw -\n1 2 0:1 / relative rw - ext4 x rw\n1 2 0:1 net:[4026531840] /run/netns/a rw - nsfs nsfs rw\n",
			want: []mount{{"1", "2", "0:1", "net:[4026531840]", "/run/netns/a", "nsfs"}}},
		{name: "long-line", table: "1 2 0:1 / /m rw - overlay overlay rw,lowerdir=" + strings.Repeat("/l:", 200_000) + "\n",
			want: []mount{{"1", "2", "0:1", "/", "/m", "overlay"}}},
		{name: "too-long-line", table: "1 2 0:1 / /m rw - overlay overlay " + strings.Repeat("x", maxMountLine), err: "bufio.Scanner: token too long"},
		{name: "empty", err: "no mounts"},
		{name: "too-many", table: strings.Repeat("1 2 0:1 / /m rw - ext4 x rw\n", maxMounts), err: "mounts: larger than the limit"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := readMounts(strings.NewReader(tc.table))
			if (err == nil) != (tc.err == "") || err != nil && err.Error() != tc.err {
				t.Fatalf("error %v, want %q", err, tc.err)
			}
			if d := cmp.Diff(tc.want, got, cmp.AllowUnexported(mount{})); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestBelow(t *testing.T) {
	for _, tc := range []struct {
		p, dir, want string
		ok           bool
	}{
		{"/", "/", ".", true},
		{"/foo", "/", "foo", true},
		{"/foo/bar", "/", "foo/bar", true},
		{"/foo", "/foo", ".", true},
		{"/foo/bar", "/foo", "bar", true},
		{"/foobar", "/foo", "", false},
		{"/fo", "/foo", "", false},
		{"/", "/foo", "", false},
		{"net:[1]", "/foo", "", false},
	} {
		if got, ok := below(tc.p, tc.dir); got != tc.want || ok != tc.ok {
			t.Errorf("below(%q, %q) = %q, %v", tc.p, tc.dir, got, ok)
		}
	}
}

func TestStore(t *testing.T) {
	for rel, want := range map[string]bool{
		"var/lib/docker": true, "var/lib/docker2": false, "srv/var/lib/docker": false, "var/lib": false,
		".local/share/containers": true, "home/a/.local/share/containers": true, "root/.local/share/docker": true,
		"home/a/x.local/share/containers": false, "home/a/.local/share/containers/x": false, "usr/share/containers": false,
		".snapshots": true, "home/a/.snapshots": false, "lost+found": true,
	} {
		if got := store(rel) != ""; got != want {
			t.Errorf("store(%q) = %q", rel, store(rel))
		}
	}
}

// TestLedger shows that a host with many mounts has few gaps.
func TestLedger(t *testing.T) {
	l := &ledger{mounts: map[string][]string{}}
	for _, p := range []string{"dev", "proc", "sys"} {
		l.omit(p, omission{kind: p, kernel: true})
	}
	for i := range 12 {
		l.omit(fmt.Sprintf("snap/%d", i), omission{kind: "squashfs"})
	}
	l.omit("mnt/n a\ns", omission{kind: "nfs4"})
	l.omit("srv/b", omission{kind: "ext4", of: "srv/a"})
	l.gap(bulwark.Gap{Kind: bulwark.GapSkipped, Path: "var/lib/docker", Detail: "left out: Docker's store"})
	want := []bulwark.Gap{
		{Kind: "skipped", Detail: `the kernel's own file systems are left out: "dev", "proc", "sys"`},
		{Kind: "skipped", Path: "mnt/n a\ns", Detail: "left out: a mount of type nfs4"},
		{Kind: "skipped", Detail: `12 mounts of type squashfs are left out: "snap/0", "snap/1", "snap/2", "snap/3", "snap/4", "snap/5", "snap/6", "snap/7" and 4 more`},
		{Kind: "skipped", Path: "srv/b", Detail: `left out: it shows what lies at "srv/a"`},
		{Kind: "skipped", Path: "var/lib/docker", Detail: "left out: Docker's store"},
	}
	if d := cmp.Diff(want, l.gaps()); d != "" {
		t.Errorf("gaps (-want +got):\n%s", d)
	}
}

func TestShow(t *testing.T) {
	shown := func(names ...string) []string {
		var list []entry
		for _, n := range names {
			list = append(list, entry{name: n, shown: n})
		}
		show(list)
		var out []string
		for _, e := range list {
			out = append(out, e.shown)
		}
		return out
	}
	for _, tc := range []struct{ in, want []string }{
		{[]string{"a", "ü", "\uFFFD"}, []string{"a", "ü", "\uFFFD"}},
		{[]string{"a\xff", "\xc3", "b"}, []string{`a\xff`, `\xc3`, "b"}},
		{[]string{`\xff`, "\xff"}, []string{`\xff`, ""}},
		{[]string{"\xfe\\xff", "\\xfe\xff"}, []string{`\xfe\xff`, ""}},
	} {
		if d := cmp.Diff(tc.want, shown(tc.in...)); d != "" {
			t.Errorf("%q (-want +got):\n%s", tc.in, d)
		}
	}
}

func FuzzMounts(f *testing.F) {
	files, err := filepath.Glob("testdata/mounts/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(a.Files[0].Data), "/")
		f.Add(string(a.Files[0].Data), "/host")
	}
	// Mounts that carry each other.
	f.Add("1 2 0:1 / / rw - ext4 x rw\n2 1 0:1 / / rw - ext4 x rw\n2 2 0:1 / / rw - nfs x rw\n", "/")
	f.Fuzz(func(t *testing.T, table, root string) {
		if len(table) > 64<<10 {
			return // the work is the product of mounts and their depth
		}
		list, err := readMounts(strings.NewReader(table))
		if err != nil {
			return
		}
		root = filepath.Clean("/" + root)
		for rel, m := range foreign(list, root, func(rel string) bool { return store(rel) != "" }) {
			if rel == "" || rel == "." || rel[0] == '/' || rel != filepath.Clean(rel) || strings.HasPrefix(rel, "../") {
				t.Errorf("path %q", rel)
			}
			if !utf8.ValidString(rel) && utf8.ValidString(root) {
				t.Errorf("path %q is no UTF-8", rel)
			}
			if m.kind == "" || m.of == rel {
				t.Errorf("%q: %+v", rel, m)
			}
		}
	})
}

// TestOwnMounts reads this machine's table.
func TestOwnMounts(t *testing.T) {
	list, err := mountsOf()
	if os.IsNotExist(err) {
		t.Skip("no " + mountTable)
	}
	if err != nil {
		t.Fatal(err)
	}
	if i := newMountTree(list).at("/"); i >= 0 && list[i].point != "/" {
		t.Errorf("the root is seen at %q", list[i].point)
	}
	if m, ok := kernelMounts("/")["proc"]; ok != slices.ContainsFunc(list, func(m mount) bool { return m.point == "/proc" && m.kind == "proc" }) {
		t.Errorf("/proc: %+v", m)
	}
}
