// SPDX-License-Identifier: Apache-2.0

package flatpak

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// parseMetadata reads from a key file what it describes: an application by name,
// a runtime by name. Id is "" for another key file, or none.
func parseMetadata(data []byte) (kind, id string) {
	group := ""
	for line := range bytes.Lines(data) {
		s := strings.TrimSpace(string(line[:min(len(line), maxText)]))
		if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
			group = s
			continue
		}
		key, value, ok := strings.Cut(s, "=")
		if !ok || strings.TrimSpace(key) != "name" {
			continue
		}
		switch group {
		case "[Application]":
			return kindApp, text(value)
		case "[Runtime]":
			return kindRuntime, text(value)
		}
	}
	return "", ""
}

// parseDeploy reads what Flatpak notes of a deployment, a GVariant of type
// (ssasta{sv}): it begins with the name of the remote, and its dictionary has
// what the AppStream metadata said
// (https://docs.gtk.org/glib/gvariant-format-strings.html). Entries are found by
// their keys.
func parseDeploy(data []byte) (origin, version, license string, err error) {
	b, _, ok := bytes.Cut(data[:min(len(data), maxText)], []byte{0})
	if !ok {
		return "", "", "", fmt.Errorf("no name of a remote: %w", errDeployment)
	}
	return text(string(b)), entry(data, "appdata-version"), entry(data, "appdata-license"), nil
}

// entry gives the string that a dictionary of strings to variants has for a key.
// Entries and the variants in them begin at multiples of 8; a variant ends with a
// zero and its type.
func entry(data []byte, key string) string {
	k := append([]byte(key), 0)
	for from := 0; ; {
		i := bytes.Index(data[from:], k)
		if i < 0 {
			return ""
		}
		at := from + i
		from = at + len(k)
		if at%8 != 0 {
			continue
		}
		rest := data[min((from+7)&^7, len(data)):]
		value, rest, ok := bytes.Cut(rest, []byte{0})
		if ok && bytes.HasPrefix(rest, []byte("\x00s")) && len(value) <= maxText {
			return text(string(value))
		}
	}
}

// A metainfo is what is kept of AppStream metadata.
type metainfo struct{ id, license, version string }

// parseMetainfo reads AppStream metadata
// (https://www.freedesktop.org/software/appstream/docs/). The version is that of
// the newest release. It gives what it could read beside the error.
func parseMetainfo(data []byte) (m metainfo, err error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	var (
		path   []string // elements around, up to three
		depth  int
		newest = int64(math.MinInt64)
	)
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			if depth == 0 && m.id == "" {
				return m, fmt.Errorf("no component: %w", errDeployment)
			}
			return m, nil
		}
		if err != nil {
			var syntax *xml.SyntaxError
			if errors.As(err, &syntax) {
				err = fmt.Errorf("line %d: %w", syntax.Line, errDeployment)
			} else {
				err = fmt.Errorf("%w: %w", err, errDeployment) // an encoding that is not read
			}
			return m, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if depth++; depth <= 3 {
				path = append(path, t.Name.Local)
			}
			if depth == 3 && path[0] == "component" && path[1] == "releases" && path[2] == "release" {
				version, at := release(t.Attr)
				if version != "" && (m.version == "" || at > newest) {
					m.version, newest = version, at
				}
			}
		case xml.EndElement:
			if depth <= 3 {
				path = path[:depth-1]
			}
			depth--
		case xml.CharData:
			if depth != 2 || path[0] != "component" {
				continue
			}
			switch s := text(string(t[:min(len(t), maxText)])); {
			case path[1] == "id" && m.id == "":
				m.id = s
			case path[1] == "project_license" && m.license == "":
				m.license = s
			}
		}
	}
}

// release gives version and time, in seconds since 1970, of a release.
func release(attrs []xml.Attr) (version string, at int64) {
	at = math.MinInt64
	for _, a := range attrs {
		switch a.Name.Local {
		case "version":
			version = text(a.Value)
		case "timestamp":
			if n, err := strconv.ParseInt(a.Value, 10, 64); err == nil {
				at = n
			}
		case "date":
			if t, err := time.Parse(time.DateOnly, a.Value[:min(len(a.Value), len(time.DateOnly))]); err == nil && at == math.MinInt64 {
				at = t.Unix()
			}
		}
	}
	return version, at
}

// text drops what does not belong into a value.
func text(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), maxText)], "")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s))
}
