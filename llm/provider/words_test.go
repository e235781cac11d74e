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
