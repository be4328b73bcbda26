// SPDX-License-Identifier: Apache-2.0

package advisory

import (
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory/index"
	"github.com/bulwark-sec/bulwark/advisory/osv"
	"github.com/bulwark-sec/bulwark/advisory/starter"
	"github.com/bulwark-sec/bulwark/advisory/vers"
)

// An origin says under which name another ecosystem publishes the flaws of a
// product, whose versions are those of its releases.
type origin struct {
	ecosystem, name string
	// major is set for a Go module whose path has the major version in it, from 2
	// on (https://go.dev/ref/mod#major-version-suffixes).
	major bool
	// until is the first major version that is no release of the module; 0 is none.
	until int
}

// originOf gives the origin of a product that package binary names and Bitnami
// does not know. Left out are products whose tags Go cannot read as versions, so
// that its database knows pseudo-versions only: istio, ingress-nginx, k3s, beats.
func originOf(product string) (origin, bool) {
	module := func(path string) (origin, bool) { return origin{ecosystem: "Go", name: path, major: true}, true }
	switch product {
	case "bun":
		return origin{ecosystem: "npm", name: "bun"}, true
	case "deno":
		return origin{ecosystem: "crates.io", name: "deno"}, true
	case "ghc":
		return origin{ecosystem: "GHC", name: "ghc"}, true
	case "moby": // from 29 on its module is another, with versions of its own
		return origin{ecosystem: "Go", name: "github.com/docker/docker", until: 29}, true
	case "buildah", "podman", "skopeo":
		return module("github.com/containers/" + product)
	case "nomad", "packer", "terraform":
		return module("github.com/hashicorp/" + product)
	case "containerd", "coredns", "cri-o", "traefik":
		return module("github.com/" + product + "/" + product)
	case "caddy":
		return module("github.com/caddyserver/caddy")
	case "github-cli":
		return module("github.com/cli/cli")
	case "hugo":
		return module("github.com/gohugoio/hugo")
	case "kubernetes":
		return module("k8s.io/kubernetes")
	case "loki":
		return module("github.com/grafana/loki")
	case "node-exporter":
		return module("github.com/prometheus/node_exporter")
	case "runc":
		return module("github.com/opencontainers/runc")
	case "telegraf":
		return module("github.com/influxdata/telegraf")
	}
	return origin{}, false
}

// judged gives the package as advisories know it: p itself, or, for a product
// without an ecosystem, the module or package that it is built from, and else
// Bulwark's own facts about the name. The package URL stays.
func judged(p *bulwark.Package) *bulwark.Package {
	rest, ok := strings.CutPrefix(p.PURL, "pkg:generic/")
	name, _, versioned := strings.Cut(rest, "@")
	if p.Ecosystem != "" || !ok || !versioned || name != p.Name || p.Version == "" || strings.ContainsAny(rest, "/?#") {
		return p
	}
	q := *p
	q.Ecosystem = vers.Bulwark
	o, ok := originOf(name)
	if !ok {
		return &q
	}
	q.Ecosystem, q.Name = o.ecosystem, o.name
	digits, _, _ := strings.Cut(p.Version, ".")
	n, err := strconv.Atoi(digits)
	if err != nil || o.until > 0 && n >= o.until {
		return p
	}
	if o.major && n >= 2 {
		q.Name += "/v" + digits
	}
	return &q
}

// matchProduct finds the flaws of a product that is judged as q, and tells
// whether somebody publishes its flaws. What a package of the operating system
// owns is its vendor's, who mends without a new version: nothing is asked. A row
// of Go's that names no fix is not asked either: its database has such rows where
// it does not know in which releases a flaw was mended.
func (m *matcher) matchProduct(p, q *bulwark.Package) (watched bool, err error) {
	watched = q.Ecosystem != vers.Bulwark
	if p.Owner != "" {
		return false, nil
	}
	if q.Ecosystem == "Go" && m.isModule(q) {
		return true, nil // it was asked as what it is
	}
	hits, err := m.hits(q)
	if err != nil {
		return watched, err
	}
	if q.Ecosystem == "Go" {
		fixed := hits[:0]
		for _, h := range hits {
			if h.fix != "" { // a word of Go's is no part of a release's name
				h.fix, h.how = strings.TrimSuffix(h.fix, "+incompatible"), strings.TrimSuffix(h.how, "+incompatible")
				fixed = append(fixed, h)
			}
		}
		hits = fixed
	}
	return watched, m.reportAll(q, hits)
}

// isModule tells whether the inventory has q as a Go module of a release, in the
// same file.
func (m *matcher) isModule(q *bulwark.Package) bool {
	for i := range m.inv.Packages {
		o := &m.inv.Packages[i]
		if o.Ecosystem != q.Ecosystem || o.Name != q.Name || strings.HasPrefix(strings.TrimPrefix(o.Version, "v"), "0.0.0-") {
			continue
		}
		if _, err := vers.Compare(o.Ecosystem, o.Version, o.Version); err != nil {
			continue
		}
		for _, a := range o.Where {
			for _, b := range q.Where {
				if a.Path == b.Path && a.Layer == b.Layer {
					return true
				}
			}
		}
	}
	return false
}

// ownFacts says in evidence whose word a finding is, and what it cannot know.
const ownFacts = "by Bulwark's own table of releases: who mends without a new version is not seen"

// products gives the segment of Bulwark's own facts about products.
var products = sync.OnceValues(func() (*index.Segment, error) {
	fsys, err := starter.Products()
	if err != nil {
		return nil, err
	}
	b, err := index.NewBuilder(vers.Bulwark)
	if err != nil {
		return nil, err
	}
	feed := osv.Feed{Ecosystem: vers.Bulwark, Compare: vers.Compare}
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".json" {
			return err
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		a, err := feed.Record(text)
		if err != nil {
			return fmt.Errorf("record %q: %w", name, err)
		}
		a.Feed = "bulwark"
		return b.Add(a)
	})
	if err != nil {
		return nil, fmt.Errorf("facts about products: %w", err)
	}
	text, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("facts about products: %w", err)
	}
	return index.Open(text)
})

// segment gives what the database, or else the binary itself, has of an
// ecosystem; nil when that is nothing.
func (db *DB) segment(base string) (*index.Segment, error) {
	if base == vers.Bulwark {
		return products()
	}
	return db.segments[base], nil
}

// bases are the ecosystems of the database, sorted, and Bulwark's own at last.
func (db *DB) bases() []string {
	return append(db.order[:len(db.order):len(db.order)], vers.Bulwark)
}
