// Package httpcache is what RFC 9111 asks of a private cache: which answers
// may be kept, how old they are, until when they are fresh, how they are
// revalidated and when a stale one may be shown (RFC 5861). It keeps nothing
// itself and reads no clock.
//
// A key must tell apart what belongs to different requests: besides method and
// URL all headers that are sent, and whose credentials they are. Then whatever
// Vary names is in the key.
package httpcache

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// How long an entry is kept at most, and how long one that can be revalidated
// is kept after it has become stale.
const (
	MaxKeep    = 24 * time.Hour
	revalidate = 6 * time.Hour
)

// An Entry is an answer that is kept. Its methods may be called concurrently,
// but for Refresh.
type Entry struct {
	Status int         `json:"status"`
	Header http.Header `json:"header"` // the ones that are kept: see [Kept]
	Body   []byte      `json:"-"`

	Requested time.Time `json:"requested"` // when it was asked for, or last revalidated
	Received  time.Time `json:"received"`

	// Declared is for how long an answer is fresh that does not say so itself.
	Declared time.Duration `json:"declared,omitempty"`

	// Mark is whatever the owner of the cache has to know of it.
	Mark string `json:"mark,omitempty"`
}

// cacheable are the statuses of which it is known what they mean and that they
// may be kept (RFC 9110 15.1, without 206).
var cacheable = []int{200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501}

// A Policy is what a cache does beyond what answers say.
type Policy struct {
	// Declared is for how long an answer is fresh that does not say so itself.
	// Zero means that it is not kept, unless it can be revalidated.
	Declared time.Duration
	// Unkeyed are headers of a request that are not in its key. An answer that
	// varies by one of them is not kept.
	Unkeyed []string
}

// Askable reports whether a request may be answered from a cache at all.
func Askable(method string, h http.Header) bool {
	if method != http.MethodGet && method != http.MethodHead {
		return false
	}
	for _, name := range []string{"Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"} {
		if h.Get(name) != "" {
			return false
		}
	}
	return !cacheControl(h).has("no-store")
}

// MustAsk reports whether the request asks for an answer that was checked just
// now.
func MustAsk(h http.Header) bool {
	ds := cacheControl(h)
	return ds.has("no-cache") || ds.has("max-age") && seconds(ds["max-age"]) == 0
}

// Storable reports whether an answer to an [Askable] request may be kept and
// is of any use: it says for how long it is fresh, or can be revalidated, or
// is declared to be.
func (p Policy) Storable(status int, h http.Header) bool {
	ds := cacheControl(h)
	if !slices.Contains(cacheable, status) || ds.has("no-store") || h.Get("Content-Range") != "" || p.varies(h) {
		return false
	}
	fresh, said := lifetime(h, ds, time.Time{})
	return fresh > 0 || validator(h) || !said && p.Declared > 0
}

// varies reports whether an answer varies by what is in no key.
func (p Policy) varies(h http.Header) bool {
	for _, field := range h["Vary"] {
		for name := range strings.SplitSeq(field, ",") {
			name = strings.TrimSpace(name)
			if name == "*" || slices.ContainsFunc(p.Unkeyed, func(u string) bool { return strings.EqualFold(u, name) }) {
				return true
			}
		}
	}
	return false
}

func validator(h http.Header) bool { return h.Get("ETag") != "" || h.Get("Last-Modified") != "" }

// lifetime is for how long an answer is fresh, and whether it says so.
// Received stands for a Date that is missing.
func lifetime(h http.Header, ds directives, received time.Time) (fresh time.Duration, said bool) {
	if ds.has("no-cache") {
		return 0, true
	}
	if ds.has("max-age") {
		return seconds(ds["max-age"]), true
	}
	if len(h["Expires"]) == 0 {
		return 0, ds.has("must-revalidate")
	}
	expires, err := http.ParseTime(h.Get("Expires"))
	if err != nil { // "0" and its like: it has expired
		return 0, true
	}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		date = received
	}
	if date.IsZero() {
		return longest, true
	}
	return min(max(expires.Sub(date), 0), longest), true
}

// Kept returns the headers of an answer that are kept with it: those that say
// what its content is and what a cache needs.
func Kept(h http.Header) http.Header {
	kept := http.Header{}
	for name, values := range h {
		switch {
		case name == "Content-Length", name == "Content-Encoding", name == "Content-Range":
		case strings.HasPrefix(name, "Content-"), slices.Contains(keptHeaders, name):
			kept[name] = values
		}
	}
	return kept
}

var keptHeaders = []string{"Age", "Cache-Control", "Date", "Etag", "Expires", "Last-Modified", "Link", "Vary"}

// Lifetime is for how long the answer is fresh, counted from its Date.
func (e *Entry) Lifetime() time.Duration {
	fresh, said := lifetime(e.Header, cacheControl(e.Header), e.Received)
	if !said {
		return e.Declared
	}
	return fresh
}

// Age is how long ago the service made the answer or last confirmed it
// (RFC 9111 4.2.3).
func (e *Entry) Age(now time.Time) time.Duration {
	var apparent time.Duration
	if date, err := http.ParseTime(e.Header.Get("Date")); err == nil {
		apparent = max(0, e.Received.Sub(date))
	}
	delay := max(0, e.Received.Sub(e.Requested))
	corrected := seconds(e.Header.Get("Age")) + delay
	return max(apparent, corrected) + max(0, now.Sub(e.Received))
}

// Fresh reports whether the answer may be used as it is.
func (e *Entry) Fresh(now time.Time) bool { return e.Age(now) < e.Lifetime() }

// FreshOnError reports whether the answer, though stale, may be used because
// the service cannot be asked.
func (e *Entry) FreshOnError(now time.Time) bool {
	return e.Age(now) < e.Lifetime()+e.grace()
}

// grace is for how long a stale answer may stand in for one that fails.
func (e *Entry) grace() time.Duration {
	ds := cacheControl(e.Header)
	if ds.has("must-revalidate") || ds.has("no-cache") {
		return 0
	}
	return seconds(ds["stale-if-error"])
}

// Keep is for how long from now the entry can be of use.
func (e *Entry) Keep(now time.Time) time.Duration {
	after := e.grace()
	if validator(e.Header) {
		after = max(after, revalidate)
	}
	return min(max(e.Lifetime()+after-e.Age(now), 0), MaxKeep)
}

// Condition makes a request one that the service answers with 304 if the entry
// is still right, and reports whether that is possible.
func (e *Entry) Condition(h http.Header) bool {
	if tag := e.Header.Get("ETag"); tag != "" {
		h.Set("If-None-Match", tag)
	}
	if at := e.Header.Get("Last-Modified"); at != "" {
		h.Set("If-Modified-Since", at)
	}
	return validator(e.Header)
}

// Refresh takes over what a 304 says. It is false if the 304 means another
// answer than the one that is kept (RFC 9111 4.3.4).
func (e *Entry) Refresh(h http.Header, requested, received time.Time) bool {
	if had, now := e.Header.Get("ETag"), h.Get("ETag"); had != "" && now != "" && strings.TrimPrefix(had, "W/") != strings.TrimPrefix(now, "W/") {
		return false
	}
	next := e.Header.Clone()
	next.Del("Age") // of the answer that is confirmed
	for name, values := range Kept(h) {
		if !strings.HasPrefix(name, "Content-") { // the content is the one that is kept
			next[name] = values
		}
	}
	e.Header, e.Requested, e.Received = next, requested, received
	return true
}

// MarshalBinary writes the entry as a line of JSON and its body.
func (e *Entry) MarshalBinary() ([]byte, error) {
	head, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("httpcache: encode: %w", err)
	}
	return append(append(head, '\n'), e.Body...), nil
}

// UnmarshalBinary is the reverse of MarshalBinary. The body is a part of b.
func (e *Entry) UnmarshalBinary(b []byte) error {
	head, body, ok := bytes.Cut(b, []byte{'\n'})
	if !ok {
		return errors.New("httpcache: decode: it has no body")
	}
	if err := json.Unmarshal(head, e); err != nil {
		return fmt.Errorf("httpcache: decode: %w", err)
	}
	e.Body = body
	return nil
}
