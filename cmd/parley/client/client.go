// Package client speaks Parley's own API from outside: requests with its
// problems over REST, and the frames of the WebSocket protocol parley.v1 over
// links that say whether dialling again makes sense. What people do with a
// server from a terminal, and what measures and tries one, stands on it.
// What a server sent is made fit for a terminal before it becomes an error.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"parley/cmd/parley/plain"
)

// maxAnswer is how much is read of an answer.
const maxAnswer = 64 << 20

// A Client sends requests to a server's REST interface. All methods may be
// called concurrently.
type Client struct {
	Target Target
	HTTP   *http.Client
}

// New returns a client whose requests may take two minutes each.
func New(t Target) *Client { return &Client{Target: t, HTTP: &http.Client{Timeout: 2 * time.Minute}} }

// A Problem is an error as the server tells it (RFC 9457).
type Problem struct {
	Type    string `json:"type,omitempty"`
	Title   string `json:"title"`
	Status  int    `json:"status"`
	Detail  string `json:"detail"`
	Field   string `json:"field,omitempty"`
	Code    string `json:"code,omitempty"`
	RetryMs int64  `json:"retryMs,omitempty"`
}

// Error is the problem in one sentence, fit for a terminal.
func (p *Problem) Error() string {
	text := plain.Text(p.Title)
	if p.Detail != "" {
		text += ": " + plain.Text(p.Detail)
	}
	if p.Field != "" && !strings.Contains(text, p.Field) {
		text += " (field " + plain.Text(p.Field) + ")"
	}
	return text
}

// A Request is one request to the interface.
type Request struct {
	Method, Path string
	Query        url.Values
	Body         io.Reader
	MediaType    string // of body; empty means JSON
	Size         int64  // of body, 0 if it can be told from it
	Prefer       string // header Prefer (RFC 7240), empty for none
}

// Do sends the request and decodes the answer into out, which may be nil. A
// refusal is a [*Problem], which may be wrapped; other errors say what can be
// done about them.
func (c *Client) Do(ctx context.Context, r Request, out any) error {
	req, err := c.Build(ctx, r)
	if err != nil {
		return err
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return c.Target.Hint(UnwrapURL(err))
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return c.Target.Hint(err)
	}
	if len(b) > maxAnswer {
		return fmt.Errorf("the answer to %s %s is larger than %d MiB", r.Method, r.Path, maxAnswer>>20)
	}
	if res.StatusCode >= 300 {
		return c.Target.ReadProblem(res, b)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s does not answer like Parley; is it the right server?", c.Target.URL)
	}
	return nil
}

// Build returns the request as it is sent, for those who read its answer
// themselves.
func (c *Client) Build(ctx context.Context, r Request) (*http.Request, error) {
	u := c.Target.URL.String() + r.Path
	if len(r.Query) > 0 {
		u += "?" + r.Query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, u, r.Body)
	if err != nil {
		return nil, err
	}
	if r.Size > 0 {
		req.ContentLength = r.Size
	}
	if r.Body != nil {
		req.Header.Set("Content-Type", orJSON(r.MediaType))
	}
	req.Header.Set("Accept", "application/json")
	if r.Prefer != "" {
		req.Header.Set("Prefer", r.Prefer)
	}
	c.Target.Authorize(req.Header)
	return req, nil
}

func orJSON(mediaType string) string {
	if mediaType == "" {
		return "application/json"
	}
	return mediaType
}

// Get asks for what is at a path, as Do does.
func (c *Client) Get(ctx context.Context, path string, query url.Values, out any) error {
	return c.Do(ctx, Request{Method: http.MethodGet, Path: path, Query: query}, out)
}

// SendJSON sends in as JSON, as Do does.
func (c *Client) SendJSON(ctx context.Context, method, path string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return c.Do(ctx, Request{Method: method, Path: path, Body: bytes.NewReader(b)}, out)
}

// UnwrapURL takes away the method and URL that net/http puts before an error.
func UnwrapURL(err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}
