package provider

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetryAfter(t *testing.T) {
	for name, c := range map[string]struct {
		header, value string
		want          time.Duration
	}{
		"seconds":          {"Retry-After", "7", 7 * time.Second},
		"parts of seconds": {"Retry-After", "0.5", 500 * time.Millisecond},
		"a date":           {"Retry-After", "Sat, 01 Jan 2000 00:01:00 GMT", time.Minute},
		"a date gone by":   {"Retry-After", "Fri, 31 Dec 1999 23:00:00 GMT", 0},
		"milliseconds":     {"Retry-After-Ms", "1500", 1500 * time.Millisecond},
		"nonsense":         {"Retry-After", "soon", 0},
		"not a number":     {"Retry-After", "NaN", 0},
		"less than none":   {"Retry-After", "-3", 0},
		"for ever":         {"Retry-After", "1e300", 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // where it is the year 2000
				if got := retryAfter(http.Header{c.header: {c.value}}); got != c.want {
					t.Errorf("%v, want %v", got, c.want)
				}
			})
		})
	}
}

func TestRetryAfterByLimits(t *testing.T) {
	for name, c := range map[string]struct {
		header map[string]string
		want   time.Duration
	}{
		"the one that is used up": {map[string]string{
			"Anthropic-Ratelimit-Requests-Remaining": "0", "Anthropic-Ratelimit-Requests-Reset": "2000-01-01T00:00:30Z",
			"Anthropic-Ratelimit-Tokens-Remaining": "50", "Anthropic-Ratelimit-Tokens-Reset": "2000-01-01T00:05:00Z",
		}, 30 * time.Second},
		"in durations":               {map[string]string{"X-Ratelimit-Remaining-Tokens": "0", "X-Ratelimit-Reset-Tokens": "6m0s"}, 6 * time.Minute},
		"none is used up":            {map[string]string{"X-Ratelimit-Remaining-Tokens": "9", "X-Ratelimit-Reset-Tokens": "6m0s"}, 0},
		"Retry-After is asked first": {map[string]string{"Retry-After": "3", "X-Ratelimit-Remaining-Tokens": "0", "X-Ratelimit-Reset-Tokens": "6m0s"}, 3 * time.Second},
		"a time gone by":             {map[string]string{"Anthropic-Ratelimit-Tokens-Remaining": "0", "Anthropic-Ratelimit-Tokens-Reset": "1999-01-01T00:00:00Z"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := http.Header{}
				for k, v := range c.header {
					h.Set(k, v)
				}
				if got := retryAfter(h); got != c.want {
					t.Errorf("%v, want %v", got, c.want)
				}
			})
		})
	}
}
