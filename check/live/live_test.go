// SPDX-License-Identifier: Apache-2.0

package live_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check/live"
)

// A service is one case of testdata/services.txtar.
type service struct{ rule, value, ask, header, yes, refusal string }

func services(t testing.TB) []service {
	t.Helper()
	b, err := os.ReadFile("testdata/services.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var out []service
	for _, f := range txtar.Parse(b).Files {
		s := service{rule: "secret/" + f.Name}
		for line := range strings.Lines(string(f.Data)) {
			name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
			switch name {
			case "value":
				s.value = text
			case "ask":
				s.ask = text
			case "header":
				s.header = text
			case "yes":
				s.yes = text
			case "refusal":
				s.refusal = text
			default:
				t.Fatalf("%s: %q", f.Name, line)
			}
		}
		out = append(out, s)
	}
	return out
}

// served gives a way to send requests to a TLS server that stands for all services,
// whatever host they name.
func served(t *testing.T, h http.Handler) func(context.Context, *live.Request) (*live.Response, error) {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	client := s.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return func(ctx context.Context, q *live.Request) (*live.Response, error) {
		req, err := http.NewRequestWithContext(ctx, q.Method, q.URL, strings.NewReader(q.Body))
		if err != nil {
			return nil, err
		}
		req.Host = req.URL.Host
		req.URL.Host = strings.TrimPrefix(s.URL, "https://")
		for _, h := range q.Header {
			req.Header.Set(h[0], h[1])
		}
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(io.LimitReader(resp.Body, live.MaxBody+1))
		return &live.Response{Status: resp.StatusCode, Body: b}, err
	}
}

// day is when services are asked.
var day = time.Date(2026, 3, 4, 23, 0, 0, 0, time.UTC)

func TestServices(t *testing.T) {
	for _, s := range services(t) {
		t.Run(strings.TrimPrefix(s.rule, "secret/"), func(t *testing.T) {
			var asked []string
			status, body := 200, s.yes
			do := served(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.Method+" https://"+r.Host+r.URL.RequestURI())
				if name, want, ok := strings.Cut(s.header, ": "); ok && r.Header.Get(name) != want {
					t.Errorf("header %q is %q, want %q", name, r.Header.Get(name), want)
				}
				w.WriteHeader(status)
				io.WriteString(w, body)
			}))
			host, _, _ := strings.Cut(strings.SplitN(s.ask, "//", 2)[1], "/")
			ask := func() live.Answer {
				c := live.Client{Do: do}
				return c.Ask(t.Context(), []live.Question{{Rule: s.rule, Value: s.value}})[0]
			}
			a := ask()
			if diff := cmp.Diff(live.Answer{State: live.Live, Host: host}, a); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{s.ask}, asked); diff != "" {
				t.Error(diff)
			}
			status, body = 401, `{"message":"no"}`
			want := live.Refused
			if s.refusal == "maybe" {
				want = live.Unknown
			}
			if a := ask(); a.State != want {
				t.Errorf("HTTP 401: %+v", a)
			}
			// What does not say that the token works, and what does not say that it
			// does not.
			for _, odd := range []struct {
				status int
				body   string
			}{
				{200, ""}, {200, "<html>Welcome</html>"}, {200, "{}"}, {200, "null"}, {200, `"x"`}, {200, "{"},
				{200, s.yes + strings.Repeat(" ", live.MaxBody)}, {200, strings.Repeat("[", live.MaxBody)},
				{302, s.yes}, {403, "{}"}, {429, "{}"}, {500, s.yes}, {503, ""},
			} {
				status, body = odd.status, odd.body
				a := ask()
				if a.State != live.Unknown || a.Why == "" {
					t.Errorf("HTTP %d %.20q: %+v", odd.status, odd.body, a)
				}
				if strings.Contains(a.Text(day), s.value) {
					t.Errorf("HTTP %d: the answer repeats the secret", odd.status)
				}
			}
		})
	}
}

func TestWords(t *testing.T) {
	for _, tc := range []struct {
		name, rule, value string
		status            int
		body              string
		want              live.Answer
	}{
		{"slack-no", "slack-bot-token", "xoxb-1111111111-1111111111-aaaa", 200, `{"ok":false,"error":"token_revoked"}`, live.Answer{State: live.Refused, Host: "slack.com"}},
		{"slack-unsure", "slack-bot-token", "xoxb-1111111111-1111111111-aaaa", 200, `{"ok":false,"error":"fatal_error"}`, live.Answer{State: live.Unknown, Host: "slack.com", Why: `it said "fatal_error"`}},
		{"slack-repeats", "slack-bot-token", "xoxb-1111111111-1111111111-aaaa", 200, `{"ok":false,"error":"xoxb-1111111111-1111111111-aaaa?"}`, live.Answer{State: live.Unknown, Host: "slack.com", Why: "it said the error is not shown, for it repeats the secret"}},
		{"openai-rights", "openai-api-key", "sk-proj-aaaaaaaaaaaaaaaa", 403, `{"error":{"message":"You have insufficient permissions for this operation. Missing scopes: api.model.read."}}`, live.Answer{State: live.Live, Host: "api.openai.com"}},
		{"gitlab-rights", "gitlab-pat", "glpat-aaaaaaaaaaaaaaaaaaaa", 403, `{"error":"insufficient_scope"}`, live.Answer{State: live.Live, Host: "gitlab.com"}},
		{"gitlab-revoked", "gitlab-pat", "glpat-aaaaaaaaaaaaaaaaaaaa", 200, `{"active":false}`, live.Answer{State: live.Unknown, Host: "gitlab.com", Why: "it knows the token, but does not say that it is good"}},
		{"resend-sends-only", "resend-api-key", "re_aaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaa", 401, `{"name":"restricted_api_key"}`, live.Answer{State: live.Live, Host: "api.resend.com"}},
		{"telegram-no", "telegram-bot-token", "12345678:AAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 404, `{"ok":false}`, live.Answer{State: live.Refused, Host: "api.telegram.org"}},
		{"no-service", "private-key", "-----BEGIN", 200, `{}`, live.Answer{}},
		{"other-form", "github-token", "ghr_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 200, `{}`, live.Answer{}},
		{"line-break", "npm-token", "npm_aaaa\r\nHost: a", 200, `{"username":"a"}`, live.Answer{}},
		{"long", "npm-token", strings.Repeat("a", 5000), 200, `{"username":"a"}`, live.Answer{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := live.Client{Do: func(context.Context, *live.Request) (*live.Response, error) {
				return &live.Response{Status: tc.status, Body: []byte(tc.body)}, nil
			}}
			got := c.Ask(t.Context(), []live.Question{{Rule: "secret/" + tc.rule, Value: tc.value}})
			if diff := cmp.Diff([]live.Answer{tc.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	const token = "12345678:AAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	for _, tc := range []struct {
		name string
		err  error
		want string
	}{
		{"address", fmt.Errorf("Get %q: EOF", "https://api.telegram.org/bot"+token+"/getMe"), "no answer: the error is not shown, for it repeats the secret"},
		{"escaped", fmt.Errorf("proxy: %s", "bot12345678%3AAAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), "no answer: the error is not shown, for it repeats the secret"},
		{"time", fmt.Errorf("x: %w", context.DeadlineExceeded), "no answer in time"},
		{"size", bulwark.ErrTooLarge, "the answer is too large"},
		{"plain", errors.New("lookup api.telegram.org:\x1b no such host"), "no answer: lookup api.telegram.org:? no such host"},
		{"nothing", nil, "no answer: no answer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := live.Client{Do: func(context.Context, *live.Request) (*live.Response, error) { return nil, tc.err }}
			got := c.Ask(t.Context(), []live.Question{{Rule: "secret/telegram-bot-token", Value: token}})
			want := []live.Answer{{State: live.Unknown, Host: "api.telegram.org", Why: tc.want}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSlow(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	do := served(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cancel() // whoever asked goes away while the answer is awaited
		<-r.Context().Done()
	}))
	c := live.Client{Do: do}
	got := c.Ask(ctx, []live.Question{{Rule: "secret/npm-token", Value: "npm_aaaaaaaaaaaa"}})
	want := []live.Answer{{State: live.Unknown, Host: "registry.npmjs.org", Why: "the scan ended first"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	c = live.Client{}
	got = c.Ask(t.Context(), []live.Question{{Rule: "secret/npm-token", Value: "npm_aaaaaaaaaaaa"}})
	want[0].Why = "no answer: there is no way to ask"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	c = live.Client{Timeout: time.Nanosecond, Do: func(ctx context.Context, _ *live.Request) (*live.Response, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	got = c.Ask(t.Context(), []live.Question{{Rule: "secret/npm-token", Value: "npm_aaaaaaaaaaaa"}})
	want[0].Why = "no answer in time"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOnceAndFewAtATime(t *testing.T) {
	var mu sync.Mutex
	count, now, most := map[string]int{}, 0, 0
	c := live.Client{Do: func(_ context.Context, r *live.Request) (*live.Response, error) {
		mu.Lock()
		count[r.Header[1][1]]++
		now++
		most = max(most, now)
		mu.Unlock()
		defer func() { mu.Lock(); now--; mu.Unlock() }()
		return &live.Response{Status: 200, Body: []byte(`{"username":"a"}`)}, nil
	}}
	var list []live.Question
	for i := range 100 {
		list = append(list, live.Question{Rule: "secret/npm-token", Value: fmt.Sprintf("npm_aaaaaaa%d", i%50)})
	}
	list = append(list, live.Question{Rule: "secret/private-key", Value: "a"}, live.Question{Rule: "secret/private-key", Value: "a"})
	got := c.Ask(t.Context(), list)
	if len(count) != 50 || slices.Max(slices.Collect(values(count))) != 1 || most > 4 {
		t.Errorf("%d secrets, at most %d at once", len(count), most)
	}
	if n := len(slices.DeleteFunc(got, func(a live.Answer) bool { return a.State != live.Live })); n != 100 {
		t.Errorf("%d answers", n)
	}
	if diff := cmp.Diff(live.Tally{Live: 50, Unasked: 1}, c.Tally()); diff != "" {
		t.Error(diff)
	}
}

func values(m map[string]int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

// TestPatience shows that a host that is not there costs a few questions, not one
// for each secret.
func TestPatience(t *testing.T) {
	var mu sync.Mutex
	asked := 0
	c := live.Client{Do: func(context.Context, *live.Request) (*live.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		return nil, errors.New("connection refused")
	}}
	var list []live.Question
	for i := range 100 {
		list = append(list, live.Question{Rule: "secret/npm-token", Value: fmt.Sprintf("npm_aaaaaaa%d", i)})
	}
	c.Ask(t.Context(), list)
	if asked > 8 {
		t.Errorf("asked %d times", asked)
	}
	if diff := cmp.Diff(live.Tally{Unknown: 100}, c.Tally()); diff != "" {
		t.Error(diff)
	}
}

func TestText(t *testing.T) {
	for _, tc := range []struct {
		a    live.Answer
		want string
	}{
		{live.Answer{}, ""},
		{live.Answer{State: live.Live, Host: "a.test"}, "live: a.test accepted it on 2026-03-04"},
		{live.Answer{State: live.Refused, Host: "a.test"}, "refused by a.test on 2026-03-04"},
		{live.Answer{State: live.Unknown, Host: "a.test", Why: "HTTP 500"}, "not known whether it works: a.test: HTTP 500"},
	} {
		if got := tc.a.Text(day); got != tc.want {
			t.Errorf("%+v: %q, want %q", tc.a, got, tc.want)
		}
	}
}

// FuzzAsk hands every service any answer: none may make it panic, or repeat the
// secret.
func FuzzAsk(f *testing.F) {
	all := services(f)
	for i, s := range all {
		f.Add(i, 200, []byte(s.yes))
	}
	f.Add(0, 401, []byte(`{"ok":false,"error":"x"}`))
	f.Fuzz(func(t *testing.T, which, status int, body []byte) {
		s := all[uint(which)%uint(len(all))]
		c := live.Client{Do: func(context.Context, *live.Request) (*live.Response, error) {
			return &live.Response{Status: status, Body: body}, nil
		}}
		a := c.Ask(t.Context(), []live.Question{{Rule: s.rule, Value: s.value}})[0]
		if a.State == live.Unasked || strings.Contains(a.Text(day), s.value) {
			t.Errorf("%+v", a)
		}
		if a.State == live.Refused && status == 500 {
			t.Error("a broken service does not refuse")
		}
	})
}
