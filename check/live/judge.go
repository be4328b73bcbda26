// SPDX-License-Identifier: Apache-2.0

package live

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// A probe is the question that a service is asked. None changes anything, and
// each answers with something of the token's owner, which only a token that
// works is shown.
type probe struct {
	rules  []string // ids without "secret/"
	prefix []string // what a value begins with; nil is anything
	host   string
	path   string // "{}" stands for the value
	post   string // what is posted; "" gets
	name   string // of the header with the value; "" is Authorization
	lead   string // before the value in the header; "-" sends none
	basic  bool   // lead is the user of basic authentication, the value the password
	header [][2]string

	yes   string   // member of the answer, as "data.id"; "[]" is a list
	is    string   // its value, as JSON; "" is any but null and false
	no    []int    // statuses that refuse; nil is 401, and an empty list none: see maybe
	maybe string   // why a refusal does not say that the token is dead
	scope string   // words of a refusal that is for the token's rights, which it has only if it works
	words []string // of the member "error" beside "ok": false that refuse; others do not say

	doc string // where the service describes it
}

// anywhere is a refusal that counts for nothing: the token may be one of another
// region or installation.
const anywhere = "it may belong to another region or installation"

func probeFor(q Question) *probe {
	id := strings.TrimPrefix(q.Rule, "secret/")
	if !sendable(q.Value) {
		return nil
	}
	for i := range probes {
		p := &probes[i]
		if slices.Contains(p.rules, id) && (p.prefix == nil || slices.ContainsFunc(p.prefix, func(s string) bool { return strings.HasPrefix(q.Value, s) })) {
			return p
		}
	}
	return nil
}

func (p *probe) request(value string) *Request {
	r := &Request{
		Method: "GET", URL: "https://" + p.host + strings.ReplaceAll(p.path, "{}", url.PathEscape(value)),
		Header: [][2]string{{"Accept", "application/json"}}, Body: p.post,
	}
	if p.post != "" {
		r.Method = "POST"
		r.Header = append(r.Header, [2]string{"Content-Type", "application/json"})
	}
	name := p.name
	if name == "" {
		name = "Authorization"
	}
	switch {
	case p.basic:
		r.Header = append(r.Header, [2]string{name, "Basic " + base64.StdEncoding.EncodeToString([]byte(p.lead+":"+value))})
	case p.lead != "-":
		r.Header = append(r.Header, [2]string{name, p.lead + value})
	}
	r.Header = append(r.Header, p.header...)
	return r
}

// judge says what an answer, or its absence, means for the secret.
func (p *probe) judge(r *Response, err error, value string) Answer {
	a := Answer{State: Unknown, Host: p.host}
	if err != nil {
		a.Why = reason(err, value)
		return a
	}
	no := p.no
	if no == nil {
		no = []int{401}
	}
	body := r.Body[:min(len(r.Body), MaxBody)]
	switch {
	case r.Status == 429:
		a.Why = "it was asked too often; try again later"
	case r.Status >= 400 && p.scope != "" && bytes.Contains(body, []byte(p.scope)):
		a.State = Live
	case slices.Contains(no, r.Status):
		a.State = Refused
	case r.Status == 401 && p.maybe != "":
		a.Why = "it refused, but " + p.maybe
	case r.Status == 403:
		a.Why = "HTTP 403, which it says of tokens that work, too"
		if p.maybe != "" {
			a.Why = "it refused, but " + p.maybe
		}
	case r.Status < 200 || r.Status > 299:
		a.Why = fmt.Sprintf("HTTP %d", r.Status)
	case len(r.Body) > MaxBody:
		a.Why = "the answer is too large"
	default:
		a.State, a.Why = p.read(body, value)
	}
	return a
}

// read looks into the body of a success.
func (p *probe) read(body []byte, value string) (State, string) {
	if p.yes == "[]" {
		var list []json.RawMessage
		if json.Unmarshal(body, &list) != nil || list == nil {
			return Unknown, "an answer that is not the service's"
		}
		return Live, ""
	}
	if p.words != nil {
		var said struct {
			OK    *bool  `json:"ok"`
			Error string `json:"error"`
		}
		switch err := json.Unmarshal(body, &said); {
		case err != nil || said.OK == nil:
			return Unknown, "an answer that is not the service's"
		case !*said.OK && slices.Contains(p.words, said.Error):
			return Refused, ""
		case !*said.OK:
			return Unknown, "it said " + clean(fmt.Sprintf("%q", said.Error), value)
		}
	}
	got, ok := member(body, p.yes)
	switch {
	case !ok || p.is == "" && got == "false":
		return Unknown, "an answer that is not the service's"
	case p.is != "" && got != p.is:
		return Unknown, "it knows the token, but does not say that it is good"
	}
	return Live, ""
}

// member gives the JSON of a member of nested objects; null is none.
func member(body []byte, path string) (string, bool) {
	for name := range strings.SplitSeq(path, ".") {
		var o map[string]json.RawMessage
		if json.Unmarshal(body, &o) != nil {
			return "", false
		}
		body = o[name]
	}
	s := string(bytes.TrimSpace(body))
	return s, s != "" && s != "null"
}
