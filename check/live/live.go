// SPDX-License-Identifier: Apache-2.0

// Package live asks the services that secrets belong to whether they still work.
// It knows for each service one question that changes nothing, and what its
// answers mean. It does not know how a secret was found, nor how a request
// travels: it opens no connection, and is handed a way to send one.
package live

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/bulwark-sec/bulwark"
)

// A Request is one question to a service, by HTTPS.
type Request struct {
	Method string
	URL    string      // it may hold the secret, as that of Telegram does
	Header [][2]string // names and values; a later one of a name replaces the one before
	Body   string      // "" is none
}

// MaxBody is how much of an answer is looked at, bytes.
const MaxBody = 64 << 10

// A Response is what a service answered.
type Response struct {
	Status int    // of HTTP
	Body   []byte // at most MaxBody bytes and one more, which says that there was more
}

// A Question is a secret and the rule that found it.
type Question struct {
	Rule  string // "secret/github-token"
	Value string // the secret
}

// A State says whether a secret works.
type State uint8

// The states of a secret. The zero State says that nobody was asked, because no
// service is known for the rule and the form of the secret.
const (
	Unasked State = iota
	Live          // the service accepted it
	Refused       // the service did not
	Unknown       // the service did not say
)

// An Answer is what was learnt of one secret. It never holds the secret.
type Answer struct {
	State State
	Host  string // that was asked; "" for Unasked
	Why   string // for Unknown
}

// A Tally counts the secrets of a scan, each once.
type Tally struct {
	Live, Refused, Unknown int
	Unasked                int // no service is known for them
}

// A Client asks services. Ask may be called several times, by one goroutine.
type Client struct {
	// Do sends a request, follows no redirect, and gives the answer. It must be
	// safe for concurrent use and return soon after ctx is done. Nil asks nobody.
	Do func(ctx context.Context, r *Request) (*Response, error)
	// Timeout bounds one question. 0 is ten seconds.
	Timeout time.Duration
	// Total bounds one call of Ask. 0 is three minutes.
	Total time.Duration

	tally Tally
}

const (
	timeout  = 10 * time.Second
	total    = 3 * time.Minute
	parallel = 4 // questions at once
	patience = 3 // questions in a row that a host may leave without an answer

	minSecret = 8
	maxSecret = 4 << 10 // bytes
	maxWhy    = 200     // bytes
)

// Tally gives what was counted so far.
func (c *Client) Tally() Tally { return c.tally }

// errPatience is why a host is not asked any more.
var errPatience = errors.New("it did not answer before")

// An asking is a secret that a service is asked about, for all who want to know.
type asking struct {
	probe  *probe
	value  string
	answer Answer
}

// Ask gives the answer to each question, in their order. A secret that stands in
// several is asked about once. When ctx is done the rest is Unknown.
func (c *Client) Ask(ctx context.Context, questions []Question) []Answer {
	type key struct{ host, value string }
	known := map[key]*asking{}
	strange := map[Question]bool{}
	of := make([]*asking, len(questions))
	var list []*asking
	for i, q := range questions {
		p := probeFor(q)
		if p == nil {
			if !strange[q] {
				strange[q] = true
				c.tally.Unasked++
			}
			continue
		}
		k := key{p.host + p.path, q.Value}
		if known[k] == nil {
			known[k] = &asking{probe: p, value: q.Value}
			list = append(list, known[k])
		}
		of[i] = known[k]
	}
	c.all(ctx, list)
	for _, a := range list {
		switch a.answer.State {
		case Live:
			c.tally.Live++
		case Refused:
			c.tally.Refused++
		default:
			c.tally.Unknown++
		}
	}
	out := make([]Answer, len(questions))
	for i, a := range of {
		if a != nil {
			out[i] = a.answer
		}
	}
	return out
}

// all asks everything in list.
func (c *Client) all(ctx context.Context, list []*asking) {
	limit := c.Total
	if limit <= 0 {
		limit = total
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	queue := make(chan *asking, len(list))
	for _, a := range list {
		queue <- a
	}
	close(queue)
	var mu sync.Mutex
	lost := map[string]int{} // questions in a row without an answer, by host
	var wg sync.WaitGroup
	for range min(parallel, len(list)) {
		wg.Go(func() {
			for a := range queue {
				host := a.probe.host
				mu.Lock()
				silent := lost[host] >= patience
				mu.Unlock()
				var r *Response
				err := errPatience
				if !silent {
					r, err = c.one(ctx, a)
				}
				a.answer = a.probe.judge(r, err, a.value)
				if silent {
					continue
				}
				mu.Lock()
				if lost[host]++; err == nil {
					lost[host] = 0
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// one asks one question.
func (c *Client) one(ctx context.Context, a *asking) (*Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.Do == nil {
		return nil, errors.New("there is no way to ask")
	}
	limit := c.Timeout
	if limit <= 0 {
		limit = timeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r, err := c.Do(ctx, a.probe.request(a.value))
	if err == nil && r == nil {
		err = errors.New("no answer")
	}
	return r, err
}

// sendable tells whether a value may stand in a header and an address: visible
// ASCII, of a length that tokens have.
func sendable(v string) bool {
	return len(v) >= minSecret && len(v) <= maxSecret && strings.IndexFunc(v, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// reason says in words why there is no answer, without the secret: errors repeat
// addresses, and services what they were sent.
func reason(err error, value string) string {
	switch {
	case errors.Is(err, errPatience):
		return errPatience.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "the scan ended first"
	case errors.Is(err, bulwark.ErrTooLarge):
		return "the answer is too large"
	}
	return "no answer: " + clean(err.Error(), value)
}

// clean gives a short text unless it has the secret in it, in any of the forms in
// which it was sent.
func clean(s, value string) string {
	for _, form := range []string{value, url.PathEscape(value), url.QueryEscape(value),
		base64.StdEncoding.EncodeToString([]byte(value + ":")), base64.StdEncoding.EncodeToString([]byte("api:" + value))} {
		if strings.Contains(s, form) {
			return "the error is not shown, for it repeats the secret"
		}
	}
	if len(s) > maxWhy {
		s = s[:maxWhy] + "…"
	}
	s = strings.ToValidUTF8(s, "?")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
}

// Text says the answer as a part of evidence, with the day on which it was given;
// "" for Unasked.
func (a Answer) Text(day time.Time) string {
	switch a.State {
	case Live:
		return fmt.Sprintf("live: %s accepted it on %s", a.Host, day.UTC().Format(time.DateOnly))
	case Refused:
		return fmt.Sprintf("refused by %s on %s", a.Host, day.UTC().Format(time.DateOnly))
	case Unknown:
		return fmt.Sprintf("not known whether it works: %s: %s", a.Host, a.Why)
	}
	return ""
}
