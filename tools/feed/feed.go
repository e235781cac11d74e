// Package feed is WebSocket feeds as context: a connection to each that is
// kept up, a jq expression that makes values of its messages, the window of
// the latest values, and the tools by which an agent reads it.
//
// It knows no Redis: which replica connects, and where the windows are kept so
// that all of them read the same, is decided above.
//
// Delivery: a window is what a feed said last, not all that it said. What
// comes faster than it may be processed is dropped, the oldest first; what
// comes while nobody is connected is not asked for again.
package feed

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"parley/tools"
)

// A Feed declares a WebSocket whose messages are values.
type Feed struct {
	Name        string `json:"name"`        // see [NamePattern]
	Description string `json:"description"` // what the values are, for the model
	URL         string `json:"url"`         // ws:// or wss://

	// Headers and SecretQuery are sent with the handshake, Login is the first
	// message after it. They are write-only: see [Feed.Public].
	Headers     map[string]string `json:"headers,omitempty"`
	SecretQuery map[string]string `json:"secretQuery,omitempty"`
	Login       string            `json:"login,omitempty"`

	Subscribe []json.RawMessage `json:"subscribe,omitempty"` // messages sent then: a JSON string as its text, other values as JSON
	Value     string            `json:"value,omitempty"`     // jq: what a message's values are, none drops it; empty is the whole message

	Window       Window `json:"window"`
	StaleSeconds int    `json:"staleSeconds,omitempty"` // after so long without a value it is old; zero is 60
	Disabled     bool   `json:"disabled,omitempty"`
}

// A Window says which of the latest values are kept. The zero value keeps the
// last one.
type Window struct {
	Last    int `json:"last,omitempty"`    // so many; with Seconds zero means as many as are allowed
	Seconds int `json:"seconds,omitempty"` // none that is older; zero means any age
}

// NamePattern is what a feed's name must match. Its tool's name is this behind
// [Prefix].
const NamePattern = `^[a-z0-9][a-z0-9_-]{0,47}$`

// Prefix is what the names of feeds' tools begin with.
const Prefix = "feed_"

// Bounds of a declaration.
const (
	MaxFeed      = 32 << 10 // bytes of its JSON
	maxSubscribe = 16
	maxSeconds   = 24 * 60 * 60
)

var goodName = regexp.MustCompile(NamePattern)

// Decode reads a feed's JSON. Unknown members are refused; what else is wrong
// with it [Feed.Validate] says, once masked secrets are in place.
func Decode(b []byte) (Feed, error) {
	var f Feed
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		field := "feed"
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			field = wrong.Field
		}
		return Feed{}, faultf(field, "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Feed{}, faultf("feed", "has something behind its JSON object")
	}
	return f, nil
}

func faultf(field, format string, args ...any) *tools.FieldError {
	return &tools.FieldError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// Validate says what is wrong with f, as a [*tools.FieldError].
func (f Feed) Validate() error {
	switch {
	case !goodName.MatchString(f.Name):
		return faultf("name", "must match %s", NamePattern)
	case strings.TrimSpace(f.Description) == "" || len(f.Description) > 2000:
		return faultf("description", "must say in at most 2,000 bytes what the values are: models choose by it")
	case f.Window.Last < 0 || f.Window.Seconds < 0 || f.Window.Seconds > maxSeconds:
		return faultf("window", "has last and seconds, both zero or more, and at most a day")
	case f.StaleSeconds < 0 || f.StaleSeconds > maxSeconds:
		return faultf("staleSeconds", "must be from 0 to %d", maxSeconds)
	case len(f.Subscribe) > maxSubscribe:
		return faultf("subscribe", "has more than %d messages", maxSubscribe)
	}
	if err := f.validURL(); err != nil {
		return err
	}
	if _, err := tools.ParseExpression(f.Value); err != nil {
		return faultf("value", "%s", err)
	}
	return f.validSecrets()
}

func (f Feed) validURL() error {
	u, err := url.Parse(f.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss":
		return faultf("url", "must be a ws:// or wss:// address")
	case u.User != nil:
		return faultf("url", "must not hold a password, since it is shown: use headers")
	case u.Fragment != "":
		return faultf("url", "must have no fragment")
	}
	return nil
}

// ownHeaders belong to the handshake.
var ownHeaders = []string{"Host", "Connection", "Upgrade", "Content-Length", "Transfer-Encoding", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions", "Sec-Websocket-Protocol"}

func (f Feed) validSecrets() error {
	for _, name := range slices.Sorted(maps.Keys(f.Headers)) {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(f.Headers[name]) {
			return faultf("headers."+line(name, 80), "is no HTTP header")
		}
		if slices.Contains(ownHeaders, http.CanonicalHeaderKey(name)) {
			return faultf("headers."+name, "belongs to the handshake and cannot be set")
		}
	}
	_, err := f.MapSecrets(func(member, value string) (string, error) {
		if strings.Contains(value, tools.Mask) {
			return "", faultf(member, "is masked and nothing is stored for it: give the value")
		}
		return value, nil
	})
	return err
}

// target is the address with its secret query members.
func (f Feed) target() (string, error) {
	u, err := url.Parse(f.URL)
	if err != nil {
		return "", err
	}
	q := u.Query()
	for name, value := range f.SecretQuery {
		q.Set(name, value)
	}
	if len(f.SecretQuery) > 0 {
		u.RawQuery = q.Encode()
	}
	return u.String(), nil
}

// Stale is the age from which the newest value is old.
func (f Feed) Stale() time.Duration { return time.Duration(cmp.Or(f.StaleSeconds, 60)) * time.Second }

// Bounds returns what is kept of f at the most: a number of values and, if not
// zero, their age.
func (f Feed) Bounds(l Limits) (values int, age time.Duration) {
	l = l.WithDefaults()
	values = f.Window.Last
	if values == 0 {
		values = 1
		if f.Window.Seconds > 0 {
			values = l.Values
		}
	}
	return min(values, l.Values), time.Duration(f.Window.Seconds) * time.Second
}

// Limits bound what feeds may take. Zero values are the defaults.
type Limits struct {
	Values  int // of a window: 100
	Bytes   int // of a window's values: 65,536; of one value at most an eighth
	Message int // bytes of a message: 262,144
	Rate    int // messages a second that are processed, the newest ones: 50
}

// WithDefaults returns l with its defaults.
func (l Limits) WithDefaults() Limits {
	l.Values = cmp.Or(max(l.Values, 0), 100)
	l.Bytes = cmp.Or(max(l.Bytes, 0), 64<<10)
	l.Message = cmp.Or(max(l.Message, 0), 256<<10)
	l.Rate = cmp.Or(max(l.Rate, 0), 50)
	return l
}

// line returns s as one line of at most n runes.
func line(s string, n int) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	if r := []rune(s); len(r) > n {
		s = string(r[:n]) + "…"
	}
	return s
}
