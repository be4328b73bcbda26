// SPDX-License-Identifier: Apache-2.0

//go:build unix

package oci_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark"
)

const (
	indexType    = "application/vnd.oci.image.index.v1+json"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerTypeGz  = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// A liar is a registry that answers with whatever it was told to.
type liar struct {
	replies map[string]reply
	gets    []string
}

type reply struct {
	kind string
	body []byte
}

func (l *liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.gets = append(l.gets, r.URL.Path)
	rep, ok := l.replies[strings.TrimPrefix(r.URL.Path, "/v2/app/")]
	switch {
	case r.URL.Path == "/v2/":
	case !ok:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("Content-Type", rep.kind)
		w.Write(rep.body)
	}
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(h[:])
}

type object = map[string]any

func desc(kind string, b []byte) object {
	return object{"mediaType": kind, "digest": sum(b), "size": len(b)}
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// add puts a blob or manifest where it is asked for and gives its descriptor.
func (l *liar) add(kind string, b []byte) object {
	place := "blobs/"
	if kind == indexType || kind == manifestType {
		place = "manifests/"
	}
	l.replies[place+sum(b)] = reply{kind, b}
	return desc(kind, b)
}

func (l *liar) tag(kind string, b []byte) { l.replies["manifests/1"] = reply{kind, b} }

// image puts an image of the layers given, with its configuration.
func (l *liar) image(layers ...object) object {
	diff := []string{}
	for range layers {
		diff = append(diff, sum(nil))
	}
	cfg := l.add(configType, encode(object{"os": "linux", "architecture": "amd64", "rootfs": object{"type": "layers", "diff_ids": diff}}))
	return object{"schemaVersion": 2, "mediaType": manifestType, "config": cfg, "layers": layers}
}

// A registry can lie about everything; each lie has an error of its kind, and
// none makes the client read without end.
func TestRegistryHostile(t *testing.T) {
	layer := desc(layerTypeGz, []byte("layer"))
	many := func(n int) []object {
		ls := make([]object, n)
		for i := range ls {
			ls[i] = layer
		}
		return ls
	}
	for name, c := range map[string]struct {
		setup func(l *liar)
		kind  error
		words []string
	}{
		"endlessManifest": {func(l *liar) {
			l.tag(manifestType, []byte(strings.Repeat(" ", 5<<20)))
		}, bulwark.ErrTooLarge, nil},
		"announcedTooLarge": {func(l *liar) {
			m := l.image(layer)
			m["config"] = object{"mediaType": configType, "digest": sum(nil), "size": 9 << 20}
			l.tag(manifestType, encode(m))
		}, bulwark.ErrTooLarge, []string{"configuration"}},
		"configTooLong": {func(l *liar) {
			m := l.image(layer)
			d := m["config"].(object)["digest"].(string)
			l.replies["blobs/"+d] = reply{"", append(l.replies["blobs/"+d].body, ' ')}
			l.tag(manifestType, encode(m))
		}, bulwark.ErrDigest, nil},
		"configOfOtherDigest": {func(l *liar) {
			m := l.image(layer)
			d := m["config"].(object)["digest"].(string)
			b := []byte(strings.Replace(string(l.replies["blobs/"+d].body), "amd64", "arm64", 1))
			l.replies["blobs/"+d] = reply{"", b}
			l.tag(manifestType, encode(m))
		}, bulwark.ErrDigest, []string{"its digest is"}},
		"manifestOfOtherDigest": {func(l *liar) {
			m := encode(l.image(layer))
			e := desc(manifestType, m)
			l.replies["manifests/"+sum(m)] = reply{manifestType, append(m[:len(m)-1:len(m)-1], ' ', '}')[:len(m)]}
			l.tag(indexType, encode(object{"schemaVersion": 2, "manifests": []object{e}}))
		}, bulwark.ErrDigest, nil},
		"noDigest": {func(l *liar) {
			m := l.image(layer)
			m["layers"] = []object{{"mediaType": layerTypeGz, "digest": "sha256:../../../etc/passwd", "size": 1}}
			l.tag(manifestType, encode(m))
		}, nil, []string{"parse manifest", "layer 0"}},
		"negativeSize": {func(l *liar) {
			m := l.image(layer)
			m["layers"] = []object{{"mediaType": layerTypeGz, "digest": sum(nil), "size": -1}}
			l.tag(manifestType, encode(m))
		}, nil, []string{"size -1"}},
		"fewerDiffIDs": {func(l *liar) {
			m := l.image(layer)
			m["layers"] = many(2)
			l.tag(manifestType, encode(m))
		}, nil, []string{"tells of 1 layers, the manifest of 2"}},
		"tenThousandLayers": {func(l *liar) {
			l.tag(manifestType, encode(l.image(many(10_000)...)))
		}, bulwark.ErrTooLarge, []string{"10000 layers"}},
		"hundredThousandLayers": {func(l *liar) {
			m := l.image(layer)
			m["layers"] = make([]object, 100_000)
			l.tag(manifestType, encode(m))
		}, bulwark.ErrTooLarge, []string{"list of more than"}},
		"bigConfigLists": {func(l *liar) {
			m := l.image(layer)
			m["config"] = l.add(configType, []byte(`{"history":[`+strings.Repeat("{},", 2_000_000)+`{}]}`))
			l.tag(manifestType, encode(m))
		}, bulwark.ErrTooLarge, []string{"list of more than"}},
		"bigConfigTables": {func(l *liar) {
			var b strings.Builder
			for i := range 20_000 {
				fmt.Fprintf(&b, `"%d":"",`, i)
			}
			m := l.image(layer)
			m["config"] = l.add(configType, []byte(`{"config":{"Labels":{`+b.String()+`"x":""}}}`))
			l.tag(manifestType, encode(m))
		}, bulwark.ErrTooLarge, []string{"object of more than"}},
		"deepIndex": {func(l *liar) {
			d := l.add(manifestType, encode(l.image(layer)))
			for range 5 {
				d = l.add(indexType, encode(object{"schemaVersion": 2, "mediaType": indexType, "manifests": []object{d}}))
			}
			l.tag(indexType, encode(object{"schemaVersion": 2, "manifests": []object{d}}))
		}, bulwark.ErrTooLarge, []string{"indexes inside each other"}},
		"wideIndex": {func(l *liar) {
			l.tag(indexType, encode(object{"schemaVersion": 2, "manifests": make([]object, 1500)}))
		}, bulwark.ErrTooLarge, []string{"1500 manifests"}},
		"manyIndexes": {func(l *liar) {
			var ds []object
			for i := range 200 {
				ds = append(ds, l.add(indexType, encode(object{"schemaVersion": 2, "manifests": []object{}, "annotations": object{"n": fmt.Sprint(i)}})))
			}
			l.tag(indexType, encode(object{"schemaVersion": 2, "manifests": ds}))
		}, bulwark.ErrTooLarge, []string{"more than 32"}},
		"bothKinds": {func(l *liar) {
			m := l.image(layer)
			m["manifests"] = []object{}
			l.tag(manifestType, encode(m))
		}, nil, []string{"both an index and an image"}},
		"announcedAsOther": {func(l *liar) {
			l.tag(indexType, encode(l.image(layer)))
		}, nil, []string{"announced as"}},
		"indexInPlaceOfImage": {func(l *liar) {
			b := encode(object{"schemaVersion": 2, "manifests": []object{}})
			l.replies["manifests/"+sum(b)] = reply{"", b}
			l.tag(indexType, encode(object{"schemaVersion": 2, "manifests": []object{desc(manifestType, b)}}))
		}, nil, []string{"not what media type"}},
		"noJSON":     {func(l *liar) { l.tag(manifestType, []byte("<html>")) }, nil, []string{"parse manifest"}},
		"deepJSON":   {func(l *liar) { l.tag(manifestType, []byte(strings.Repeat("[", 1<<20))) }, nil, []string{"parse manifest"}},
		"emptyIndex": {func(l *liar) { l.tag(indexType, []byte(`{"manifests":[]}`)) }, bulwark.ErrNotFound, []string{"without images"}},
		"schema1": {func(l *liar) {
			l.tag("application/vnd.docker.distribution.manifest.v1+prettyjws", []byte(`{"schemaVersion":1,"fsLayers":[]}`))
		}, bulwark.ErrUnsupported, []string{"schema 1", "push the image again"}},
		"chart": {func(l *liar) {
			m := l.image(layer)
			m["config"].(object)["mediaType"] = "application/vnd.cncf.helm.config.v1+json"
			l.tag(manifestType, encode(m))
		}, bulwark.ErrUnsupported, []string{"vnd.cncf.helm"}},
		"onlyAttestations": {func(l *liar) {
			d := l.add(manifestType, encode(l.image(layer)))
			d["platform"] = object{"os": "unknown", "architecture": "unknown"}
			l.tag(indexType, encode(object{"schemaVersion": 2, "manifests": []object{d}}))
		}, bulwark.ErrUnsupported, []string{"attestations"}},
		"noReadableLayer": {func(l *liar) {
			l.tag(manifestType, encode(l.image(desc("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", nil))))
		}, bulwark.ErrUnsupported, []string{"encrypted"}},
		"otherRootFS": {func(l *liar) {
			m := l.image(layer)
			m["config"] = l.add(configType, []byte(`{"rootfs":{"type":"ostree","diff_ids":[]}}`))
			l.tag(manifestType, encode(m))
		}, bulwark.ErrUnsupported, []string{"ostree"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := &liar{replies: map[string]reply{}}
			c.setup(l)
			s := httptest.NewServer(l)
			defer s.Close()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := opener(t).Registry(t.Context(), strings.TrimPrefix(s.URL, "http://")+"/app:1", bulwark.OpenOptions{})
			runtime.ReadMemStats(&after)
			wantErr(t, err, c.kind, c.words...)
			if len(err.Error()) > 2000 {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 150<<20 {
				t.Errorf("%d MiB allocated", got>>20)
			}
			if len(l.gets) > 50 {
				t.Errorf("%d requests", len(l.gets))
			}
		})
	}
}

// Every reply of a registry ends, also the first one and error messages.
func TestRegistryEndlessReplies(t *testing.T) {
	for _, place := range []string{"/v2/", "/v2/app/manifests/1", "error"} {
		t.Run(strings.ReplaceAll(place, "/", "-"), func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != place && place != "error" {
					return
				}
				if place == "error" && r.URL.Path != "/v2/" {
					w.WriteHeader(http.StatusForbidden)
				}
				if place == "error" && r.URL.Path == "/v2/" {
					return
				}
				chunk := make([]byte, 1<<20)
				for r.Context().Err() == nil {
					if _, err := w.Write(chunk); err != nil {
						return
					}
				}
			}))
			defer s.Close()
			_, err := opener(t).Registry(t.Context(), strings.TrimPrefix(s.URL, "http://")+"/app:1", bulwark.OpenOptions{})
			wantErr(t, err, nil)
		})
	}
}

// A layer that is longer or shorter than announced does not end well.
func TestRegistryLayerLength(t *testing.T) {
	content := []byte(strings.Repeat("layer", 100))
	for name, body := range map[string][]byte{"longer": append(content, 'x'), "shorter": content[1:]} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprint(name, chunked), func(t *testing.T) {
				l := &liar{replies: map[string]reply{}}
				m := l.image(desc(layerTypeGz, content))
				l.tag(manifestType, encode(m))
				s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if strings.HasSuffix(r.URL.Path, sum(content)) {
						if chunked {
							w.(http.Flusher).Flush()
						}
						w.Write(body)
						return
					}
					l.ServeHTTP(w, r)
				}))
				defer s.Close()
				tree, err := opener(t).Registry(t.Context(), strings.TrimPrefix(s.URL, "http://")+"/app:1", bulwark.OpenOptions{})
				if err != nil {
					t.Fatal(err)
				}
				defer tree.Close()
				wantErr(t, readBlob(t.Context(), tree.Layers[0]), nil)
			})
		}
	}
}

// Layers that are not tar, and layers kept elsewhere, are gaps. Addresses in the
// manifest are not followed; a foreign layer that the registry has is read.
func TestRegistryGaps(t *testing.T) {
	var followed bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed = true }))
	defer elsewhere.Close()
	l := &liar{replies: map[string]reply{}}
	const foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
	away := desc(foreign, []byte("away"))
	away["urls"] = []string{elsewhere.URL + "/latest/meta-data"}
	urls := l.add(layerTypeGz, []byte("here too"))
	urls["urls"] = []string{elsewhere.URL}
	m := l.image(l.add(layerTypeGz, []byte("here")), away, l.add(foreign, []byte("pushed")), urls, desc("application/vnd.in-toto+json", nil))
	l.tag(manifestType, encode(m))
	s := httptest.NewServer(l)
	defer s.Close()
	tree, err := opener(t).Registry(t.Context(), strings.TrimPrefix(s.URL, "http://")+"/app:1", bulwark.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if len(tree.Layers) != 3 || len(tree.Gaps) != 2 {
		t.Fatalf("%d layers, gaps %v", len(tree.Layers), tree.Gaps)
	}
	for _, b := range tree.Layers {
		if err := readBlob(t.Context(), b); err != nil {
			t.Error(err)
		}
	}
	for i, want := range []bulwark.Gap{
		{Kind: bulwark.GapSkipped, Layer: bulwark.Digest(sum(nil)), Hides: true, Detail: "layer 2 is kept elsewhere, and addresses in manifests are not followed"},
		{Kind: bulwark.GapUnsupported, Layer: bulwark.Digest(sum(nil)), Hides: true, Detail: `layer 5 is of media type "application/vnd.in-toto+json"`},
	} {
		if tree.Gaps[i] != want {
			t.Errorf("gap %d is %+v, want %+v", i, tree.Gaps[i], want)
		}
	}
	if followed {
		t.Error("an address of the manifest was followed")
	}
}

// What many real images have: no times, odd times, a history that does not match,
// a command that is one string, a platform that the index tells and the
// configuration does not.
func TestRegistryLenient(t *testing.T) {
	l := &liar{replies: map[string]reply{}}
	lay := l.add(layerTypeGz, []byte("layer"))
	m := l.image(lay)
	m["config"] = l.add(configType, []byte(`{"created":"yesterday","config":{"Cmd":"sh","Entrypoint":null,"ExposedPorts":null,"Labels":null},
		"rootfs":{"type":"layers","diff_ids":["`+sum(nil)+`"]},"history":[{"created":"0001-01-01T00:00:00Z"},{"created_by":"b"}]}`))
	d := l.add(manifestType, encode(m))
	d["platform"] = object{"os": "linux", "architecture": runtime.GOARCH}
	l.tag(indexType, encode(object{"schemaVersion": 2, "manifests": []object{d}}))
	s := httptest.NewServer(l)
	defer s.Close()
	tree, err := opener(t).Registry(t.Context(), strings.TrimPrefix(s.URL, "http://")+"/app:1", bulwark.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	a := tree.Artifact
	if !a.Created.IsZero() || len(a.Image.Cmd) != 1 || a.Platform != "linux/"+runtime.GOARCH || !a.Image.History[0].Created.IsZero() {
		t.Errorf("artifact %+v, image %+v", a, a.Image)
	}
	if tree.Layers[0].CreatedBy != "" {
		t.Errorf("instruction %q of a history that does not match", tree.Layers[0].CreatedBy)
	}
	rc, err := tree.Layers[0].Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	if b, err := io.ReadAll(rc); string(b) != "layer" || err != nil {
		t.Errorf("layer %q, %v", b, err)
	}
}

// An image from scratch has a configuration and nothing else.
func TestRegistryScratch(t *testing.T) {
	l := &liar{replies: map[string]reply{}}
	m := l.image()
	m["config"] = l.add(configType, []byte(`{"os":"linux","rootfs":{"type":"layers","diff_ids":null}}`))
	m["layers"] = []object{}
	l.tag(manifestType, encode(m))
	s := httptest.NewServer(l)
	defer s.Close()
	host := strings.TrimPrefix(s.URL, "http://")
	tree, err := opener(t).Registry(t.Context(), host+"/app:1", bulwark.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if len(tree.Layers)+len(tree.Gaps) != 0 || tree.Artifact.ID != bulwark.Digest(sum(encode(m))) {
		t.Errorf("tree %+v", tree)
	}
	_, err = opener(t).Open(t.Context(), "sha256:"+strings.Repeat("a", 64), []string{"registry"}, bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrNotFound, "ids are known to engines only")
}
