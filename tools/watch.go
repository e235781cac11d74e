package tools

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// An Attempt is one HTTP request of a call, as people are shown it who try a
// tool. It holds no credential.
type Attempt struct {
	Method  string   `json:"method"`
	Host    string   `json:"host"`
	Status  int      `json:"status,omitempty"` // 0 if there was no answer
	TookMs  int64    `json:"tookMs"`           // until the answer was read
	Reason  string   `json:"reason,omitempty"` // why there is no whole answer
	Headers []Header `json:"headers,omitempty"`
	LeftOut int      `json:"leftOut,omitempty"` // headers that there are besides
}

// A Header is a header of an answer.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// The bounds of what is shown of an answer's headers.
const (
	maxShownHeaders = 64
	maxShownBytes   = 8 << 10
	maxShownValue   = 1 << 10
)

// attempt describes a request that was made, and its reply.
func (x *exchange) attempt(req *http.Request, r *reply) Attempt {
	a := Attempt{Method: req.Method, Host: req.URL.Host, Status: r.answer.status, TookMs: time.Since(r.requested).Milliseconds()}
	if r.err != nil {
		a.Reason = oneLine(x.redactor.text(Reason(r.err), false), 300)
	}
	left := maxShownBytes
	for _, name := range slices.Sorted(maps.Keys(r.header)) {
		for _, value := range r.header[name] {
			h := x.shown(name, value)
			if left -= len(h.Name) + len(h.Value); left < 0 || len(a.Headers) == maxShownHeaders {
				left = 0
				a.LeftOut++
				continue
			}
			a.Headers = append(a.Headers, h)
		}
	}
	return a
}

var (
	// heldName is what a header is called that holds a credential, or may.
	heldName = regexp.MustCompile(`(?i)cookie|auth|token|secret|passw|credential|signature|session|csrf|xsrf|api-?key|jwt`)

	// secretMember is such a member of a query, of a header's parameters or of
	// a cookie: the group is what comes before its value.
	secretMember = regexp.MustCompile(`(?i)((?:^|[?&;,#\s])[\w.\[\]-]*(?:token|secret|sig|signature|key|passw(?:or)?d|auth|code|state|session|credential|assertion|jwt)[\w.\[\]-]*=)("[^"]*"|[^&\s;,#<>"]+)`)

	// secretText is what a credential looks like wherever it stands.
	secretText = regexp.MustCompile(`(?i)\b(?:bearer|basic)\s+\S+|\beyJ[\w-]+\.[\w-]+\.[\w-]*|://[^/\s@]+@`)
)

// shown returns a header as it may be shown.
func (x *exchange) shown(name, value string) Header {
	name = oneLine(x.redactor.text(name, false), 100)
	if heldName.MatchString(name) {
		return Header{name, Mask}
	}
	value = x.redactor.text(strings.ToValidUTF8(value, "\uFFFD"), false)
	value = secretMember.ReplaceAllString(value, "${1}"+Mask)
	return Header{name, oneLine(secretText.ReplaceAllString(value, Mask), maxShownValue)}
}
