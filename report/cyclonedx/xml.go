// SPDX-License-Identifier: Apache-2.0

package cyclonedx

import (
	"bufio"
	"fmt"
	"io"
	"reflect"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
)

// XML writes the bill that [Format] writes, as XML. Characters that XML cannot
// hold, or that would act on a terminal, are written as their names, such as
// \x1b.
type XML struct{}

// Name gives "cyclonedx-xml".
func (XML) Name() string { return "cyclonedx-xml" }

const namespace = "http://cyclonedx.org/schema/bom/1.6"

// Write writes the bill.
func (XML) Write(w io.Writer, r *bulwark.Report) error {
	bom := newBill(r).bom()
	bom.XMLNS = namespace
	for i := range *bom.Components {
		c := &(*bom.Components)[i]
		c.PackageURL = uri(c.PackageURL)
	}
	clean(reflect.ValueOf(bom))
	out := bufio.NewWriterSize(w, 64<<10)
	if err := cdx.NewBOMEncoder(out, cdx.BOMFileFormatXML).SetPretty(true).Encode(bom); err != nil {
		return err
	}
	out.WriteByte('\n')
	return out.Flush()
}

// uri gives a package URL as the schema wants it, with escapes for what no URI
// has (RFC 3986, appendix A); "" for what is no package URL.
func uri(s string) string {
	if !strings.HasPrefix(s, "pkg:") {
		return ""
	}
	var b strings.Builder
	fragment := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~:/?@!$&'()*+,;=", c) >= 0
		switch c {
		case '%':
			ok = i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2])
		case '#':
			ok = !fragment
			fragment = true
		}
		if ok {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// clean makes every string below v fit for XML, in place. The references of a
// bill are clean already, so no two of them become one.
func clean(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			clean(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				clean(f)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			clean(v.Index(i))
		}
	case reflect.String:
		if s := v.String(); v.CanSet() {
			if c := text.Block(s); c != s {
				v.SetString(c)
			}
		}
	}
}
