// SPDX-License-Identifier: Apache-2.0

package jsonreport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/bulwark-sec/bulwark"
)

// The limits of a report that is read. A report on 50,000 packages with 100,000
// findings has 100 MB and 3 million values.
const (
	maxBytes  = 512 << 20 // of JSON
	maxValues = 12 << 20  // array elements and object members, at any depth
	maxItems  = 2 << 20   // findings, packages, advisories, rules: of each
)

// Parse reads a report that [Format] wrote, of this version of the schema or of
// a later one with fields more. It is [bulwark.ErrUnsupported] for another
// schema and [bulwark.ErrTooLarge] above 512 MiB, 12 million values or 2 million
// findings or packages. Strings are as the file has them, and hostile.
func Parse(r io.Reader) (*bulwark.Report, error) {
	m := &meter{r: r}
	rep, err := parse(m)
	if m.err != nil { // the decoder may have made a syntax error of it
		err = m.err
	}
	if err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	return rep, nil
}

func parse(r io.Reader) (*bulwark.Report, error) {
	d := json.NewDecoder(r)
	var rep bulwark.Report
	seen := map[string]bool{}
	err := object(d, func(key string) error {
		if seen[key] {
			return fmt.Errorf("member %q: given twice", key)
		}
		if len(seen) < 64 {
			seen[key] = true
		}
		switch key {
		case "schema":
			if err := d.Decode(&rep.Schema); err != nil {
				return err
			}
			return check(rep.Schema)
		case "tool":
			return d.Decode(&rep.Tool)
		case "created":
			return d.Decode(&rep.Created)
		case "artifact":
			return d.Decode(&rep.Artifact)
		case "base":
			return d.Decode(&rep.Base)
		case "inventory":
			return inventory(d, &rep.Inventory)
		case "findings":
			return array(d, &rep.Findings)
		case "gone":
			return array(d, &rep.Gone)
		case "advisories":
			rep.Advisories = map[string]bulwark.Advisory{}
			return entries(d, rep.Advisories)
		case "rules":
			rep.Rules = map[string]bulwark.Rule{}
			return entries(d, rep.Rules)
		case "database":
			return d.Decode(&rep.Database)
		case "decision":
			return d.Decode(&rep.Decision)
		case "controls":
			return array(d, &rep.Controls)
		case "actions":
			return array(d, &rep.Actions)
		case "scan":
			return d.Decode(&rep.Scan)
		}
		return skip(d)
	})
	if err != nil {
		return nil, err
	}
	if err := check(rep.Schema); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more follows after the report")
	}
	return &rep, nil
}

func check(schema string) error {
	if schema != bulwark.ReportSchema {
		return fmt.Errorf("schema %q, want %q: %w", schema, bulwark.ReportSchema, bulwark.ErrUnsupported)
	}
	return nil
}

func inventory(d *json.Decoder, inv *bulwark.Inventory) error {
	return object(d, func(key string) error {
		switch key {
		case "os":
			return d.Decode(&inv.OS)
		case "packages":
			return array(d, &inv.Packages)
		case "removed":
			return array(d, &inv.Removed)
		case "programs":
			return array(d, &inv.Programs)
		case "layers":
			return array(d, &inv.Layers)
		case "gaps":
			return array(d, &inv.Gaps)
		case "functions":
			return array(d, &inv.Functions)
		case "suppressions":
			return array(d, &inv.Suppressions)
		}
		return skip(d)
	})
}

// object walks the members of the object that comes next.
func object(d *json.Decoder, member func(key string) error) error {
	t, err := d.Token()
	if err != nil {
		return eof(err)
	}
	if t != json.Delim('{') {
		return fmt.Errorf("offset %d: want an object", d.InputOffset())
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return eof(err)
		}
		key, _ := t.(string)
		if err := member(key); err != nil {
			return fmt.Errorf("%q: %w", key, eof(err))
		}
	}
	_, err = d.Token()
	return eof(err)
}

// array reads the array, or the null, that comes next.
func array[T any](d *json.Decoder, into *[]T) error {
	t, err := d.Token()
	if err != nil || t == nil {
		return err
	}
	if t != json.Delim('[') {
		return fmt.Errorf("offset %d: want an array", d.InputOffset())
	}
	*into = []T{}
	for d.More() {
		if len(*into) >= maxItems {
			return fmt.Errorf("more than %d: %w", maxItems, bulwark.ErrTooLarge)
		}
		var v T
		if err := d.Decode(&v); err != nil {
			return err
		}
		*into = append(*into, v)
	}
	_, err = d.Token()
	return err
}

func entries[T any](d *json.Decoder, into map[string]T) error {
	return object(d, func(key string) error {
		if len(into) >= maxItems {
			return fmt.Errorf("more than %d: %w", maxItems, bulwark.ErrTooLarge)
		}
		var v T
		if err := d.Decode(&v); err != nil {
			return err
		}
		into[key] = v
		return nil
	})
}

func skip(d *json.Decoder) error {
	var v json.RawMessage
	return d.Decode(&v)
}

func eof(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// A meter passes JSON on and stops it at the limits. It counts values by the
// commas and opening brackets outside strings, so that short values that take
// much memory once decoded are bounded before they are.
type meter struct {
	r        io.Reader
	bytes    int64
	values   int
	inString bool
	escaped  bool
	err      error
}

func (m *meter) Read(p []byte) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	n, err := m.r.Read(p)
	m.bytes += int64(n)
	for b := p[:n]; len(b) > 0; {
		switch {
		case m.escaped:
			m.escaped = false
			b = b[1:]
		case m.inString:
			i := bytes.IndexAny(b, `"\`)
			if i < 0 {
				b = nil
				break
			}
			m.inString = b[i] != '"'
			m.escaped = b[i] == '\\'
			b = b[i+1:]
		default:
			switch b[0] {
			case '"':
				m.inString = true
			case ',', '[', '{':
				m.values++
			}
			b = b[1:]
		}
	}
	switch {
	case m.bytes > maxBytes:
		m.err = fmt.Errorf("more than %d bytes: %w", maxBytes, bulwark.ErrTooLarge)
	case m.values > maxValues:
		m.err = fmt.Errorf("more than %d values: %w", maxValues, bulwark.ErrTooLarge)
	default:
		return n, err
	}
	return 0, m.err
}
