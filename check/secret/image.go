// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// maxText bounds one string of a configuration, in bytes.
const maxText = 1 << 20

// Image finds secrets in an image's configuration. A finding's subject is
// "env:NAME", "label:NAME", "entrypoint", "cmd", "healthcheck" or "history:N",
// with N from 0. A secret that stands in several places is told of the first
// only, in that order.
func (c *Check) Image(ctx context.Context, a *bulwark.Artifact) ([]bulwark.Finding, error) {
	v := c.view(ctx, a)
	return v.out, v.err
}

func (c *Check) view(ctx context.Context, a *bulwark.Artifact) view {
	if a == nil || a.Image == nil {
		return view{}
	}
	img := a.Image
	v := view{c: c, seen: map[string]bool{}}
	for _, e := range img.Env {
		name, _, _ := strings.Cut(e, "=")
		v.look(ctx, "env:"+name, "", e)
	}
	for _, name := range slices.Sorted(maps.Keys(img.Labels)) {
		v.look(ctx, "label:"+name, "", name+"="+img.Labels[name])
	}
	v.look(ctx, "entrypoint", "#history", strings.Join(img.Entrypoint, " "))
	v.look(ctx, "cmd", "#history", strings.Join(img.Cmd, " "))
	v.look(ctx, "healthcheck", "#history", strings.Join(img.Healthcheck, " "))
	for i, h := range img.History {
		path := "#history"
		if by := strings.TrimLeft(strings.TrimPrefix(h.CreatedBy, "/bin/sh -c #(nop)"), " "); strings.HasPrefix(by, "ENV ") {
			path = "" // is in Env, where its name counts
		}
		v.look(ctx, fmt.Sprintf("history:%d", i), path, h.CreatedBy)
		v.look(ctx, fmt.Sprintf("history:%d", i), "", h.Comment)
	}
	return v
}

// A view is one pass over a configuration.
type view struct {
	c    *Check
	seen map[string]bool // rule and secret
	out  []bulwark.Finding
	err  error

	values [][]string // see report
}

func (v *view) look(ctx context.Context, subject, path, s string) {
	if v.err != nil || len(s) < minSize {
		return
	}
	if len(s) > maxText {
		v.err = fmt.Errorf("check %q for secrets: %w", subject, bulwark.ErrTooLarge)
		return
	}
	sc := v.c.pool.Get().(*scratch)
	defer v.c.pool.Put(sc)
	data := []byte(s)
	found, err := v.c.scan(ctx.Err, sc, path, data)
	if err != nil {
		v.err = fmt.Errorf("check %q for secrets: %w", subject, err)
	}
	found = slices.DeleteFunc(found, func(m match) bool {
		key := string(m.secret)
		old := v.seen[key]
		v.seen[key] = true
		return old
	})
	if len(found) == 0 {
		return
	}
	list, values := report(found, "", data, false, 0)
	v.values = append(v.values, values...)
	for _, f := range list {
		f.Subject = subject
		f.ID = bulwark.FindingID(f.Class, f.Rule, subject)
		for i := range f.Evidence {
			f.Evidence[i].Detail = subject + ": " + f.Evidence[i].Detail
		}
		v.out = append(v.out, f)
	}
}
