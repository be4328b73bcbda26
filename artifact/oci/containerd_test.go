// SPDX-License-Identifier: Apache-2.0

//go:build unix

package oci_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"google.golang.org/protobuf/encoding/protowire"
)

// fakeContainerd serves images and content as containerd does, over gRPC.
type fakeContainerd struct {
	namespace string
	images    map[string]object // descriptors by name
	blobs     map[string][]byte
	odd       func(method string, w http.ResponseWriter) bool // answers in its own way
}

func frame(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(b))), b...)
}

func bytesField(b []byte, n protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v)
}

func (f *fakeContainerd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/grpc")
	end := func(code int, message string) {
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", fmt.Sprint(code))
		w.Header().Set(http.TrailerPrefix+"Grpc-Message", message)
	}
	if r.ProtoMajor != 2 || r.Header.Get("TE") != "trailers" || r.Header.Get("Content-Type") != "application/grpc" {
		w.WriteHeader(http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || len(body) < 5 || int(binary.BigEndian.Uint32(body[1:])) != len(body)-5 {
		end(13, "bad frame")
		return
	}
	_, _, n := protowire.ConsumeTag(body[5:])
	arg, _ := protowire.ConsumeString(body[5+n:])
	method := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	if f.odd != nil && f.odd(method, w) {
		return
	}
	if r.Header.Get("containerd-namespace") != f.namespace {
		end(5, "not%20found")
		return
	}
	switch method {
	case "Get":
		d, ok := f.images[arg]
		if !ok {
			end(5, "image%20not%20found")
			return
		}
		var target []byte
		target = bytesField(target, 1, []byte(d["mediaType"].(string)))
		target = bytesField(target, 2, []byte(d["digest"].(string)))
		target = protowire.AppendVarint(protowire.AppendTag(target, 3, protowire.VarintType), uint64(d["size"].(int)))
		image := bytesField(bytesField(nil, 1, []byte(arg)), 3, target)
		w.Write(frame(bytesField(nil, 1, image)))
	case "Info":
		if _, ok := f.blobs[arg]; !ok {
			end(5, "content%20not%20found")
			return
		}
		w.Write(frame(bytesField(nil, 1, bytesField(nil, 1, []byte(arg)))))
	case "Read":
		b, ok := f.blobs[arg]
		if !ok {
			end(5, "content%20not%20found")
			return
		}
		for off := 0; off < len(b); off += 100 {
			m := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(off))
			w.Write(frame(bytesField(m, 2, b[off:min(off+100, len(b))])))
		}
	}
	end(0, "")
}

// addImage puts an image with all its blobs into the store.
func (f *fakeContainerd) addImage(t testing.TB, name string, img v1.Image) {
	t.Helper()
	raw, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	cfg, _ := img.RawConfigFile()
	f.blobs[sum(raw)], f.blobs[sum(cfg)] = raw, cfg
	f.images[name] = desc(manifestType, raw)
	ls, _ := img.Layers()
	for _, l := range ls {
		rc, err := l.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(rc)
		if err != nil {
			t.Fatal(err)
		}
		f.blobs[sum(b)] = b
	}
}

func h2c(s *http.Server) {
	s.Protocols = new(http.Protocols)
	s.Protocols.SetUnencryptedHTTP2(true)
}

func TestContainerd(t *testing.T) {
	img := testImage(t, "linux/amd64")
	f := &fakeContainerd{namespace: "k8s.io", images: map[string]object{}, blobs: map[string][]byte{}}
	f.addImage(t, "docker.io/library/app:1", img)
	sock := listen(t, f, h2c)
	o := opener(t)
	o.Env = env("CONTAINERD_ADDRESS", sock)
	for _, ref := range []string{"app:1", "docker.io/library/app:1", "index.docker.io/library/app:1"} {
		tree, err := o.Containerd(t.Context(), ref, bulwark.OpenOptions{Offline: true})
		if err != nil {
			t.Fatal(err)
		}
		verify(t, tree, wantArtifact(t, img, ref, "containerd", "linux/amd64"), wantLayers(t, img))
	}
	_, err := o.Containerd(t.Context(), "app:2", bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrNotFound, `["default" "k8s.io" "moby"]`)
	o.Env = env("CONTAINERD_ADDRESS", "unix://"+sock, "CONTAINERD_NAMESPACE", "mine")
	_, err = o.Containerd(t.Context(), "app:1", bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrNotFound, `["mine"]`)
	o.Env = env("CONTAINERD_ADDRESS", sock+"none")
	_, err = o.Containerd(t.Context(), "app:1", bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrNotFound, "not running here")

	// A store that has thrown its layers away is not the place to scan from.
	m, _ := img.Manifest()
	delete(f.blobs, m.Layers[1].Digest.String())
	o.Env = env("CONTAINERD_ADDRESS", sock)
	_, err = o.Containerd(t.Context(), "app:1", bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrNotFound, "--from registry", m.Layers[1].Digest.String())
}

// Answers that containerd would not give.
func TestContainerdHostile(t *testing.T) {
	img := testImage(t, "linux/amd64")
	for name, c := range map[string]struct {
		method string
		answer func(w http.ResponseWriter)
		kind   error
		words  []string
	}{
		"denied": {"Get", func(w http.ResponseWriter) { w.Header().Set("Grpc-Status", "7") }, nil, []string{"permission denied", "run as root"}},
		"other": {"Get", func(w http.ResponseWriter) {
			w.Header().Set("Grpc-Status", "13")
			w.Header().Set("Grpc-Message", "boom%0Aboom")
		}, nil, []string{`status 13: "boom\nboom"`}},
		"noStatus":   {"Get", func(w http.ResponseWriter) {}, nil, []string{"without status"}},
		"http":       {"Get", func(w http.ResponseWriter) { w.WriteHeader(http.StatusTeapot) }, nil, []string{"http status 418"}},
		"compressed": {"Get", func(w http.ResponseWriter) { w.Write([]byte{1, 0, 0, 0, 0}) }, bulwark.ErrUnsupported, nil},
		"huge":       {"Get", func(w http.ResponseWriter) { w.Write([]byte{0, 0xff, 0xff, 0xff, 0xff}) }, bulwark.ErrTooLarge, nil},
		"cut":        {"Get", func(w http.ResponseWriter) { w.Write([]byte{0, 0, 0, 0, 9, 1}) }, io.ErrUnexpectedEOF, nil},
		"noise":      {"Get", func(w http.ResponseWriter) { w.Write(frame([]byte{0xff, 0xff})) }, nil, []string{"containerd"}},
		"empty": {"Get", func(w http.ResponseWriter) {
			w.Write(frame(nil))
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		}, nil, []string{"not sha256"}},
		"longContent": {"Read", func(w http.ResponseWriter) {
			for range 100 {
				w.Write(frame(bytesField(nil, 2, make([]byte, 1<<10))))
			}
		}, bulwark.ErrDigest, nil},
		"shortContent": {"Read", func(w http.ResponseWriter) { w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0"); w.WriteHeader(200) }, io.ErrUnexpectedEOF, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeContainerd{namespace: "default", images: map[string]object{}, blobs: map[string][]byte{}}
			f.addImage(t, "docker.io/library/app:1", img)
			f.odd = func(method string, w http.ResponseWriter) bool {
				if method != c.method {
					return false
				}
				c.answer(w)
				return true
			}
			o := opener(t)
			o.Env = env("CONTAINERD_ADDRESS", listen(t, f, h2c))
			_, err := o.Containerd(t.Context(), "app:1", bulwark.OpenOptions{})
			wantErr(t, err, c.kind, c.words...)
		})
	}
}
