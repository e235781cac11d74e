package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswer is how much is read of an answer.
const maxAnswer = 64 << 20

// An api sends requests to a server's REST interface. All methods may be
// called concurrently.
type api struct {
	target target
	http   *http.Client
}

func newAPI(t target) *api { return &api{t, &http.Client{Timeout: 2 * time.Minute}} }

// A problem is an error as the server tells it (RFC 9457).
type problem struct {
	Type    string `json:"type,omitempty"`
	Title   string `json:"title"`
	Status  int    `json:"status"`
	Detail  string `json:"detail"`
	Field   string `json:"field,omitempty"`
	Code    string `json:"code,omitempty"`
	RetryMs int64  `json:"retryMs,omitempty"`
}

func (p *problem) Error() string {
	text := plainText(p.Title)
	if p.Detail != "" {
		text += ": " + plainText(p.Detail)
	}
	if p.Field != "" && !strings.Contains(text, p.Field) {
		text += " (field " + plainText(p.Field) + ")"
	}
	return text
}

// A request is one request to the interface.
type request struct {
	method, path string
	query        url.Values
	body         io.Reader
	mediaType    string // of body; empty means JSON
	size         int64  // of body, 0 if it can be told from it
	prefer       string // header Prefer (RFC 7240), empty for none
}

// do sends the request and decodes the answer into out, which may be nil.
func (c *api) do(ctx context.Context, r request, out any) error {
	req, err := c.build(ctx, r)
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return c.target.hint(unwrapURL(err))
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return c.target.hint(err)
	}
	if len(b) > maxAnswer {
		return fmt.Errorf("the answer to %s %s is larger than %d MiB", r.method, r.path, maxAnswer>>20)
	}
	if res.StatusCode >= 300 {
		return c.target.readProblem(res, b)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s does not answer like Parley; is it the right server?", c.target.url)
	}
	return nil
}

func (c *api) build(ctx context.Context, r request) (*http.Request, error) {
	u := c.target.url.String() + r.path
	if len(r.query) > 0 {
		u += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u, r.body)
	if err != nil {
		return nil, err
	}
	if r.size > 0 {
		req.ContentLength = r.size
	}
	if r.body != nil {
		req.Header.Set("Content-Type", orJSON(r.mediaType))
	}
	req.Header.Set("Accept", "application/json")
	if r.prefer != "" {
		req.Header.Set("Prefer", r.prefer)
	}
	c.target.authorize(req.Header)
	return req, nil
}

func (t target) authorize(h http.Header) {
	h.Set("User-Agent", "parley-cli")
	if t.token != "" {
		h.Set("Authorization", "Bearer "+t.token)
	}
}

func orJSON(mediaType string) string {
	if mediaType == "" {
		return "application/json"
	}
	return mediaType
}

func (c *api) get(ctx context.Context, path string, query url.Values, out any) error {
	return c.do(ctx, request{method: http.MethodGet, path: path, query: query}, out)
}

func (c *api) sendJSON(ctx context.Context, method, path string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return c.do(ctx, request{method: method, path: path, body: bytes.NewReader(b)}, out)
}

// readProblem makes an error of an answer that is none.
func (t target) readProblem(res *http.Response, body []byte) error {
	p := &problem{}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if kind != "application/problem+json" || json.Unmarshal(body, p) != nil || p.Title == "" {
		p = &problem{Title: "the server answered " + res.Status}
	}
	p.Status = res.StatusCode
	if t.admin && (res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden) {
		return fmt.Errorf("%w\nThe administrator's token is needed: give it as PARLEY_ADMIN_TOKEN or --token; the server prints it at its first start", p)
	}
	return p
}

// unwrapURL takes away the method and URL that net/http puts before an error.
func unwrapURL(err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}

func asError[T error](err error, to *T) bool { return errors.As(err, to) }

// plainText is a text from elsewhere as a terminal may be given it: without
// control characters, which could move the cursor or change colours.
func plainText(v string) string {
	return strings.Map(func(r rune) rune {
		if isControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, v)
}

// isControl is true of C0, C1 and of the marks that turn the direction of
// writing, with which a text can show as another.
func isControl(r rune) bool {
	return r < ' ' || r >= 0x7f && r <= 0x9f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}
