package provider

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"parley/llm"
)

// A brokenError is a connection that failed.
type brokenError struct {
	err   error
	began bool // while the answer was coming
}

func (e *brokenError) Error() string { return e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

// describe makes an [*llm.Error] of whatever ended a stream.
func (s *stream) describe(err error) *llm.Error {
	var e *llm.Error
	var late *lateError
	switch {
	case errors.As(err, &e):
	case errors.As(context.Cause(s.w.ctx), &late):
		e = &llm.Error{Kind: llm.Timeout, Message: late.Error()}
	default:
		e = s.broken(err)
	}
	e.Provider = s.provider
	e.MidStream = e.MidStream || s.delivered
	return e
}

// broken describes a failed connection. Of a [*url.Error] only the cause is
// kept: its URL may hold secrets.
func (w *wire) broken(err error) *llm.Error {
	if errors.Is(err, errTooLong) {
		return &llm.Error{Kind: llm.Malformed, Err: errTooLong}
	}
	if b, ok := errors.AsType[*brokenError](err); ok && b.began {
		return &llm.Error{Kind: llm.Truncated, Message: "the connection broke before the answer ended", Err: w.safe(b.err)}
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return &llm.Error{Kind: llm.Unavailable, Message: w.host + " cannot be reached", Err: w.safe(err)}
}

// safe returns err, or only its words if secrets had to be taken out.
func (w *wire) safe(err error) error {
	words := err.Error()
	if clean := redact(words, w.key); clean != words {
		return errors.New(clean)
	}
	return err
}

// refusal makes an error of a response that is no answer.
func (w *wire) refusal(resp *http.Response, r io.Reader) error {
	body, _ := io.ReadAll(io.LimitReader(r, 64<<10))
	e := w.failure(body, resp.StatusCode)
	e.RetryAfter = cmp.Or(retryAfter(resp.Header), e.RetryAfter)
	if isHTML(resp.Header, body) {
		e.Message = htmlMessage(resp.StatusCode)
	}
	if resp.StatusCode/100 == 3 {
		e.Kind, e.Message = llm.NotFound, "the address leads elsewhere; check the base URL"
	}
	if resp.StatusCode/100 == 2 && !(json.Valid(body) && bytes.Contains(body, []byte(`"error`))) {
		e.Kind = llm.Malformed
	}
	if len(body) > 0 && body[0] == gzipMagic {
		e.Message = "the answer is compressed, which was not asked for"
	}
	e.Message = cmp.Or(e.Message, http.StatusText(resp.StatusCode))
	return e
}

// failure makes an error of a JSON body or frame in any of the forms that
// servers use. A status of 0 means that there was none.
func (w *wire) failure(body []byte, status int) *llm.Error {
	f := parseFailure(body)
	e := &llm.Error{Status: status, Code: short(redact(f.code(), w.key))}
	e.Message, e.RetryAfter = short(redact(f.Message, w.key)), f.Wait
	if status == 0 {
		status = f.status()
	}
	e.Kind = classify(status, f)
	return e
}

// complaint makes an error of JSON that came in the place of an answer.
func (w *wire) complaint(data []byte) error {
	var v map[string]json.RawMessage
	if json.Unmarshal(data, &v) == nil && (v["error"] != nil || v["message"] != nil || v["detail"] != nil || v["error_type"] != nil) {
		return w.failure(data, 0)
	}
	return chunkError(errNoAnswer)
}

var errNoAnswer = errors.New("it is JSON, but no answer")

// A failureBody is an error as servers tell it.
type failureBody struct {
	Message string
	Type    string
	Code    any           // a string or a number
	Wait    time.Duration // how long to wait, as Google's RetryInfo says it
	Reason  string        // as Google's ErrorInfo and quota violations say it
}

// code returns the more telling one of code and type.
func (f failureBody) code() string {
	if s, ok := f.Code.(string); ok && s != "" {
		return s
	}
	return f.Type
}

// status returns a code that is an HTTP status, else 0.
func (f failureBody) status() int {
	n, _ := f.Code.(float64)
	if s, ok := f.Code.(string); ok {
		n, _ = strconv.ParseFloat(s, 64)
	}
	if n >= 400 && n < 600 {
		return int(n)
	}
	return 0
}

// parseFailure reads {"error":{…}}, {"error":"…"}, [{"error":…}], {"message":
// …}, {"detail":…}, error_type beside error_message, a JSON string, or text.
func parseFailure(body []byte) failureBody {
	var v any
	if json.Unmarshal(body, &v) != nil {
		return failureBody{Message: plainText(body)}
	}
	f := failureOf(v)
	if f.Message == "" && f.code() == "" {
		f.Message = plainText(body)
	}
	return f
}

func failureOf(v any) failureBody {
	switch v := v.(type) {
	case string:
		return failureBody{Message: v}
	case []any:
		if len(v) > 0 {
			return failureOf(v[0])
		}
	case map[string]any:
		if inner := v["error"]; inner != nil {
			f := failureOf(inner)
			if f.Type == "" {
				f.Type = text(v, "error_type")
			}
			return f
		}
		f := failureBody{Message: text(v, "message", "error_message", "detail", "msg"), Type: text(v, "type", "error_type", "status"), Code: v["code"]}
		f.addDetails(v["details"])
		return f
	}
	return failureBody{}
}

// addDetails reads google.rpc details
// (https://cloud.google.com/apis/design/errors#error_details).
func (f *failureBody) addDetails(v any) {
	list, _ := v.([]any)
	for _, d := range list {
		m, _ := d.(map[string]any)
		if wait, err := time.ParseDuration(text(m, "retryDelay")); err == nil {
			f.Wait = min(max(wait, 0), 24*time.Hour)
		}
		f.Reason += " " + text(m, "reason")
		violations, _ := m["violations"].([]any)
		for _, v := range violations {
			m, _ := v.(map[string]any)
			f.Reason += " " + text(m, "quotaId")
		}
	}
}

// text returns the first of m's fields that is a text.
func text(m map[string]any, names ...string) string {
	for _, n := range names {
		if s, ok := m[n].(string); ok && s != "" {
			return s
		}
	}
	return ""
}

// classify finds the kind of a failure. Codes say more than a status: a used
// up account is a 429 too.
func classify(status int, f failureBody) llm.Kind {
	words, message := strings.ToLower(f.code()+" "+f.Type+f.Reason), strings.ToLower(f.Message)
	switch {
	case has(words, "insufficient_quota", "billing", "insufficient_balance", "payment_required", "credit", "perday"),
		has(message, "credit balance", "insufficient balance"), status == http.StatusPaymentRequired:
		return llm.Quota
	case has(words, "content_filter", "content_policy", "invalid_prompt", "prohibited_content"):
		return llm.Refused
	case has(words, "api_key_invalid", "invalid_api_key"), has(message, "api key not valid"):
		return llm.Auth
	case has(words, "request_too_large"), status == http.StatusRequestEntityTooLarge:
		return llm.TooLong
	case has(words, "context_length", "context_size", "context_too_long", "string_above_max_length"), tooLong(status, f.Message):
		return llm.TooLong
	}
	if k := kindOfStatus(status); k != "" {
		return k
	}
	switch {
	case has(words, "rate_limit", "too_many_requests", "throttl", "resource_exhausted"):
		return llm.RateLimited
	case has(words, "api_key", "authentication", "permission", "unauthorized", "forbidden"):
		return llm.Auth
	case has(words, "not_found"), has(message, "model not found"):
		return llm.NotFound
	case has(words, "timeout", "deadline_exceeded"):
		return llm.Timeout
	case has(words, "invalid_request", "bad_request", "invalid_argument", "badrequest"):
		return llm.BadRequest
	}
	return llm.Unavailable
}

// kindOfStatus returns "" where the status does not decide.
func kindOfStatus(status int) llm.Kind {
	switch {
	case status == http.StatusTooManyRequests:
		return llm.RateLimited
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return llm.Auth
	case status == http.StatusNotFound:
		return llm.NotFound
	case status == http.StatusRequestTimeout:
		return llm.Timeout
	case status >= 500:
		return llm.Unavailable
	case status >= 400:
		return llm.BadRequest
	}
	return ""
}

// tooLong knows the sentences of servers that have no code for it.
func tooLong(status int, message string) bool {
	if status != 0 && status != http.StatusBadRequest && status != http.StatusRequestEntityTooLarge && status != http.StatusUnprocessableEntity {
		return false
	}
	return has(strings.ToLower(message), "maximum context length", "context length exceeded", "context window",
		"available context size", "prompt is too long", "too many tokens", "exceeds the context", "maximum number of tokens", "input is too long", "context limit")
}

func has(s string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}
