// SPDX-License-Identifier: Apache-2.0

package sbom

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

const (
	// cyclonedxXML begins the name space of every version's XML
	// (https://cyclonedx.org/docs/1.6/xml/).
	cyclonedxXML = "http://cyclonedx.org/schema/bom/1."
	// maxToken bounds one piece of XML, bytes: a tag with its attributes, a text,
	// a comment. The decoder holds it whole.
	maxToken = 4 << 20
	// maxElements bounds elements in elements, of which the decoder keeps each.
	maxElements = 1000
	// maxElementText bounds the text that is taken from an element, bytes. What
	// is longer is no name, and is not kept.
	maxElementText = 64 << 10
)

// meter gives bytes to the decoder, up to a limit for each token.
type meter struct {
	r    *bufio.Reader
	left int
}

func (m *meter) ReadByte() (byte, error) {
	if m.left--; m.left < 0 {
		return 0, fmt.Errorf("more than %d bytes of XML in one piece: %w", maxToken, bulwark.ErrTooLarge)
	}
	return m.r.ReadByte()
}

// Read is there because the decoder asks for an [io.Reader]; it reads bytes.
func (m *meter) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c, err := m.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = c
	return 1, nil
}

// An xmlReader walks a CycloneDX bill in XML. The decoder knows no entities but
// the five of XML itself and fetches nothing; a document type is refused.
type xmlReader struct {
	b     *bill
	m     *meter
	d     *xml.Decoder
	depth int // open elements
}

// xml reads a bill in XML.
func (b *bill) xml(r *bufio.Reader) error {
	m := &meter{r: r}
	x := &xmlReader{b: b, m: m, d: xml.NewDecoder(m)}
	for b.format == "" {
		t, err := x.token()
		if err != nil {
			return noEnd(err)
		}
		root, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		if root.Name.Local != "bom" || !strings.HasPrefix(root.Name.Space, cyclonedxXML) {
			return fmt.Errorf("XML with the root %.60q, which is no CycloneDX: %w", root.Name.Local, bulwark.ErrUnsupported)
		}
		b.format = "CycloneDX"
	}
	return x.children(func(e *xml.StartElement) error {
		switch e.Name.Local {
		case "metadata":
			return x.metadata()
		case "components":
			return x.components(0, b.component)
		}
		return x.skip()
	})
}

// token gives the next token.
func (x *xmlReader) token() (xml.Token, error) {
	if err := x.b.done(); err != nil {
		return nil, err
	}
	x.m.left = maxToken
	t, err := x.d.Token()
	if err != nil {
		if strings.Contains(err.Error(), "CharsetReader") {
			err = fmt.Errorf("XML that is not UTF-8: %w", bulwark.ErrUnsupported)
		}
		return nil, err
	}
	switch t := t.(type) {
	case xml.StartElement:
		if x.depth++; x.depth > maxElements {
			return nil, fmt.Errorf("more than %d XML elements in each other: %w", maxElements, bulwark.ErrTooLarge)
		}
	case xml.EndElement:
		x.depth--
	case xml.Directive:
		return nil, fmt.Errorf("XML with a declaration %.20q: %w", string(t[:min(len(t), 20)]), bulwark.ErrUnsupported)
	}
	return t, nil
}

// children calls yield with each element in the one that was begun, up to its
// end. Yield must read its element to the end.
func (x *xmlReader) children(yield func(e *xml.StartElement) error) error {
	for {
		t, err := x.token()
		if err != nil {
			return noEnd(err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			if err := yield(&t); err != nil {
				return err
			}
		case xml.EndElement:
			return nil
		}
	}
}

// skip passes the rest of the element that was begun.
func (x *xmlReader) skip() error {
	for outer := x.depth - 1; x.depth > outer; {
		if _, err := x.token(); err != nil {
			return noEnd(err)
		}
	}
	return nil
}

// text gives the text of the element that was begun, "" if it is too long.
func (x *xmlReader) text() (string, error) {
	var b strings.Builder
	outer, long := x.depth-1, false
	for x.depth > outer {
		t, err := x.token()
		if err != nil {
			return "", noEnd(err)
		}
		if c, ok := t.(xml.CharData); ok && x.depth == outer+1 {
			if long = long || b.Len()+len(c) > maxElementText; !long {
				b.Write(c)
			}
		}
	}
	if long {
		return "", nil
	}
	return strings.TrimSpace(b.String()), nil
}

// metadata reads what a bill says of itself and its subject.
func (x *xmlReader) metadata() error {
	return x.children(func(e *xml.StartElement) error {
		switch e.Name.Local {
		case "component":
			var c component
			if err := x.component(e, &c, 0); err != nil {
				return err
			}
			return x.b.subject(&c)
		case "properties":
			return x.properties(func(p property) {
				if p.Name == "bulwark:gap" {
					x.b.gap(p.Value)
				}
			})
		}
		return x.skip()
	})
}

// components calls yield with each component of a list.
func (x *xmlReader) components(depth int, yield func(c *component, depth int) error) error {
	return x.children(func(e *xml.StartElement) error {
		if e.Name.Local != "component" {
			return x.skip()
		}
		var c component
		if err := x.component(e, &c, depth); err != nil {
			return err
		}
		return yield(&c, depth)
	})
}

// component reads one component and, to one below the depth that counts, those
// in it.
func (x *xmlReader) component(e *xml.StartElement, c *component, depth int) error {
	for _, a := range e.Attr {
		if a.Name.Local == "type" && a.Name.Space == "" {
			c.Type = a.Value
		}
	}
	fields := map[string]*string{
		"group": &c.Group, "name": &c.Name, "version": &c.Version, "description": &c.Describe,
		"purl": &c.PURL, "scope": &c.Scope, "publisher": &c.Publisher,
	}
	return x.children(func(e *xml.StartElement) (err error) {
		if field := fields[e.Name.Local]; field != nil {
			*field, err = x.text()
			return err
		}
		switch e.Name.Local {
		case "licenses":
			c.declared, err = x.licenses()
			return err
		case "properties":
			return x.properties(func(p property) { c.Properties = append(c.Properties, p) })
		case "components":
			if depth > maxDepth {
				return x.skip()
			}
			return x.components(depth+1, func(inner *component, _ int) error {
				c.Components = append(c.Components, *inner)
				if len(c.Components) > maxItems {
					return fmt.Errorf("more than %d components in one: %w", maxItems, bulwark.ErrTooLarge)
				}
				return nil
			})
		}
		return x.skip()
	})
}

func (x *xmlReader) properties(yield func(p property)) error {
	return x.children(func(e *xml.StartElement) error {
		if e.Name.Local != "property" {
			return x.skip()
		}
		var p property
		for _, a := range e.Attr {
			if a.Name.Local == "name" {
				p.Name = a.Value
			}
		}
		var err error
		if p.Value, err = x.text(); err != nil {
			return err
		}
		yield(p)
		return nil
	})
}

// licenses reads ids, names or an expression.
func (x *xmlReader) licenses() ([]string, error) {
	list := []string{}
	take := func(s string) {
		if s = clean(s); s != "" && len(list) < 64 {
			list = append(list, s)
		}
	}
	err := x.children(func(e *xml.StartElement) error {
		switch e.Name.Local {
		case "expression":
			s, err := x.text()
			take(s)
			return err
		case "license":
			id, name := "", ""
			err := x.children(func(e *xml.StartElement) (err error) {
				switch e.Name.Local {
				case "id":
					id, err = x.text()
				case "name":
					name, err = x.text()
				default:
					err = x.skip()
				}
				return err
			})
			if id == "" {
				id = name
			}
			take(id)
			return err
		}
		return x.skip()
	})
	return list, err
}

var _ io.Reader = (*meter)(nil)
