// SPDX-License-Identifier: Apache-2.0

package advisory_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory"
)

type answers func(r *http.Request) (*http.Response, error)

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

// TestBackOff looks at the time between attempts, on a clock of its own.
func TestBackOff(t *testing.T) {
	for _, tc := range []struct {
		name  string
		after string // Retry-After
		want  time.Duration
		asked int
	}{
		{"doubled", "", 15 * time.Second, 5},
		{"as-asked", "30", (30 + 30 + 30 + 30) * time.Second, 5},
		{"too-long", "61", 0, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, asked := time.Now(), 0
				client := &http.Client{Transport: answers(func(r *http.Request) (*http.Response, error) {
					asked++
					h := http.Header{}
					if tc.after != "" {
						h.Set("Retry-After", tc.after)
					}
					return &http.Response{StatusCode: 429, Status: "429 Too Many Requests", Header: h, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
				})}
				_, err := advisory.Update(t.Context(), advisory.UpdateOptions{Dir: t.TempDir(), Source: "https://example.invalid", Client: client, Now: now})
				var hint *bulwark.Hint
				if !errors.As(err, &hint) {
					t.Error(err)
				}
				if d := time.Since(start); d != tc.want || asked != tc.asked {
					t.Errorf("%d attempts in %s, want %d in %s", asked, d, tc.asked, tc.want)
				}
			})
		})
	}
}

// TestStalled ends a body that no longer comes.
func TestStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &http.Client{Transport: answers(func(r *http.Request) (*http.Response, error) {
			pr, pw := io.Pipe()
			go func() {
				<-r.Context().Done()
				pw.CloseWithError(r.Context().Err())
			}()
			return &http.Response{StatusCode: 200, Status: "200 OK", Header: http.Header{}, Body: pr, Request: r}, nil
		})}
		start := time.Now()
		_, err := advisory.Update(t.Context(), advisory.UpdateOptions{Dir: t.TempDir(), Source: "https://example.invalid", Client: client, Now: now})
		if err == nil || time.Since(start) > 3*time.Minute {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}
