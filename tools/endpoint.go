package tools

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
)

// Limits of an [Endpoint].
const (
	MaxEndpoint      = 256 << 10 // bytes of its JSON form
	DefaultTimeoutMs = 15_000
	MaxTimeoutMs     = 120_000
	DefaultMaxBytes  = 256 << 10
	MaxMaxBytes      = 4 << 20

	DefaultConcurrency = 16
	MaxConcurrency     = 1000
	MaxMaxAgeMs        = 24 * 60 * 60 * 1000

	maxSteps   = 8
	maxMembers = 64 // of a request's query, headers, picks
	maxText    = 8 << 10
	maxTags    = 16
	maxTag     = 100 // bytes
)

// An Endpoint is a tool declared as data: an HTTP request, or a few that feed
// each other, whose URL, query, headers and body are filled in from a call's
// arguments. Its JSON form is what PUT /v1/tools/{name} takes:
//
//	{"name": "get_order",
//	 "description": "Looks up one order of the shop.",
//	 "parameters": {"type": "object", "properties": {
//	   "order": {"type": "string"}, "fields": {"type": "array", "items": {"type": "string"}}},
//	   "required": ["order"]},
//	 "method": "GET",
//	 "url": "https://shop.example/v1/orders/{order}",
//	 "headers": {"X-Api-Key": "…"},
//	 "select": "/order"}
//
// A template is text with {name} in it, name being a parameter (or a value
// picked by an earlier [Step]). In a URL it stands in the path or query, never
// in the host, and its value can never add a path segment or a query member.
// Elsewhere a text that is one {name} becomes that value with its JSON type,
// {name,} a list joined by commas, and {{ and }} are braces. A query, header
// or body member that uses a value which is absent is left out.
//
// Steps, Result and Pick are in the documentation of [Step].
type Endpoint struct {
	Name        string          `json:"name"`                 // see [NamePattern]
	Description string          `json:"description"`          // what it does and when to use it, for the model
	Tags        []string        `json:"tags,omitempty"`       // further words that it is found by
	Parameters  json.RawMessage `json:"parameters,omitempty"` // a JSON Schema of type object; empty means no parameters

	Request
	// In says where an argument goes that no template uses: "path",
	// "query", "query-list" (a list as a,b,c and not as a=1&a=2), "header",
	// "cookie", "property" (of a JSON body) or "body" (the whole body), each with
	// ":name" behind it if the name on the wire is another. Parameters not
	// named here go to the path if the URL has them, else to the query for
	// GET, HEAD and DELETE and where there is a whole body, else into the
	// body. A list in a query repeats its key, an object becomes a[b]=c.
	In map[string]string `json:"in,omitempty"`

	Style map[string]Style `json:"style,omitempty"` // by parameter: how it is written in path, query, header or cookie
	Parts map[string]Style `json:"parts,omitempty"` // by member of a form or multipart body: how that is written

	Steps  []Step          `json:"steps,omitempty"`  // instead of a request
	Result json.RawMessage `json:"result,omitempty"` // a JSON template that stands for the answer; of steps only

	Effect    Effect   `json:"effect,omitempty"`    // empty means safe for GET and HEAD, idempotent for PUT and DELETE, else unsafe
	Approval  Approval `json:"approval,omitempty"`  // auto, ask or never; empty means auto for what is safe, else ask
	TimeoutMs int      `json:"timeoutMs,omitempty"` // of a whole call; zero means 15,000
	MaxBytes  int      `json:"maxBytes,omitempty"`  // of an answer as it is read; zero means 262,144
	AttemptMs int      `json:"attemptMs,omitempty"` // of one HTTP request, after which a repeatable one is made again; zero means timeoutMs
	MaxTokens int      `json:"maxTokens,omitempty"` // of what the model is given of it, about; zero means the operator's default, 8,000
	Select    string   `json:"select,omitempty"`    // JSON Pointer to the part of the answer that matters
	JQ        string   `json:"jq,omitempty"`        // instead of Select: a jq expression that makes of the answer what matters
	Sources   string   `json:"sources,omitempty"`   // JSON Pointer to passages shaped like [Source]

	Disabled bool `json:"disabled,omitempty"` // kept, but neither offered nor called

	Concurrency int      `json:"concurrency,omitempty"` // requests at the same time, on each replica; zero means 16
	Cache       *Caching `json:"cache,omitempty"`       // nil means as the service's answers say

	Import *Import `json:"import,omitempty"` // where it was imported from, nil if it was declared by hand
}

// Caching says what is kept of the answers to GET and HEAD. By itself that is
// what the service says with Cache-Control, Expires, ETag and Last-Modified.
type Caching struct {
	Off      bool `json:"off,omitempty"`      // nothing is
	MaxAgeMs int  `json:"maxAgeMs,omitempty"` // how long an answer is fresh that does not say so
}

// An Import says which operation of which document an [Endpoint] was made
// from, so that a later import of the document finds it again.
type Import struct {
	From      string `json:"from"`      // the document's address, or its title and host
	Operation string `json:"operation"` // method and path, as in "GET /pets/{petId}"
	Revision  string `json:"revision"`  // of what the document declares of it

	Declared map[string]string `json:"declared,omitempty"` // what [Declared] says of the document's declaration
}

// A Request is one HTTP request with templates in it.
type Request struct {
	Method string            `json:"method,omitempty"` // empty means GET
	URL    string            `json:"url,omitempty"`    // a template, http or https
	Query  map[string]string `json:"query,omitempty"`  // templates, sent besides the query of URL

	// Headers and SecretQuery are sent as they are, without templates. They
	// are write-only: see [Endpoint.Public]. What stands in URL and Query is
	// shown to everybody.
	Headers     map[string]string `json:"headers,omitempty"`
	SecretQuery map[string]string `json:"secretQuery,omitempty"`

	Auth string `json:"auth,omitempty"` // name of the [Credential] that is sent as well

	Body     json.RawMessage `json:"body,omitempty"`     // a JSON template
	BodyType string          `json:"bodyType,omitempty"` // "json", the default, "form", "text", "multipart" or a media type
}

// A FieldError says which field of an [Endpoint] is wrong. Its text holds no
// secret.
type FieldError struct {
	Field  string // e.g. "url" or "steps[1].pick.lat"
	Reason string // what it must be
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

func faultf(field, format string, args ...any) *FieldError {
	return &FieldError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// DecodeEndpoint decodes one endpoint's JSON and validates it. Unknown fields
// are refused. Its errors are those of [Endpoint.Validate].
func DecodeEndpoint(b []byte) (Endpoint, error) {
	var e Endpoint
	if len(b) > MaxEndpoint {
		return e, faultf("endpoint", "must not be larger than %d bytes", MaxEndpoint)
	}
	if err := decodeStrict(b, &e); err != nil {
		return Endpoint{}, decodeFault(err)
	}
	return e, e.Validate()
}

// decodeStrict decodes one JSON value and refuses fields that v has not.
func decodeStrict(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("there is more after the JSON object")
	}
	return nil
}

func decodeFault(err error) *FieldError {
	var wrong *json.UnmarshalTypeError
	var field *FieldError
	if errors.As(err, &field) {
		return field
	}
	if errors.As(err, &wrong) {
		return faultf(cmp.Or(wrong.Field, "endpoint"), "cannot be a JSON %s", wrong.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return faultf(strings.Trim(name, `"`), "is not a field of an endpoint")
	}
	return faultf("endpoint", "must be one JSON object: %s", strings.TrimPrefix(err.Error(), "json: "))
}

// requests returns the endpoint's requests: its own, or those of its steps.
func (e *Endpoint) requests() []*Request {
	if len(e.Steps) == 0 {
		return []*Request{&e.Request}
	}
	rs := make([]*Request, len(e.Steps))
	for i := range e.Steps {
		rs[i] = &e.Steps[i].Request
	}
	return rs
}

// effect returns the declared effect or, without one, the worst that HTTP
// defines for the endpoint's methods.
func (e *Endpoint) effect() Effect {
	if e.Effect != "" {
		return e.Effect
	}
	worst := Safe
	for _, r := range e.requests() {
		switch r.method() {
		case http.MethodGet, http.MethodHead:
		case http.MethodPut, http.MethodDelete:
			if worst == Safe {
				worst = Idempotent
			}
		default:
			worst = Unsafe
		}
	}
	return worst
}

func (r *Request) method() string { return cmp.Or(r.Method, http.MethodGet) }

// String names the endpoint without its secrets, for %v.
func (e Endpoint) String() string { return "endpoint " + e.Name }

// LogValue is String for slog: a logged endpoint shows no secret.
func (e Endpoint) LogValue() slog.Value { return slog.StringValue(e.Name) }
