package tools

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
)

// Declared tells whether what a document declares of a tool, and its owner may
// change, is changed: a text each for the description, the tags, and the
// request with its parameters, another for each value.
func Declared(e Endpoint) map[string]string {
	asked := Endpoint{Parameters: e.Parameters, Request: e.Request, In: e.In, Style: e.Style, Parts: e.Parts}
	asked.Headers, asked.SecretQuery, asked.Auth = nil, nil, "" // no document has them
	return map[string]string{"description": digest(e.Description), "tags": digest(append([]string{}, e.Tags...)), "request": digest(asked)}
}

// digest tells JSON values apart; the order of their members does not count.
func digest(v any) string {
	var plain any
	_ = json.Unmarshal(compactJSON(v), &plain)
	sum := sha256.Sum256(compactJSON(plain))
	return hex.EncodeToString(sum[:8])
}

// A Renewal is what became of an endpoint when its document was read again.
type Renewal struct {
	Endpoint Endpoint
	Kept     []string // fields that the owner had set, which the document does not change
	Replaced []string // fields that the owner had set, in whose place the document's stand
	Lost     []string // secrets that the endpoint's origin must be given again, "auth" for the credential
}

// Renew returns next, an endpoint made anew from its document, with what the
// owner has set on old: headers, secret query, credential, limits, cache, effect,
// approval, select, sources, whether it is disabled, and what differs from the
// document that old was made from: description, tags, and the request with its
// parameters. That request gives way if the document has changed its own too,
// since the call would fail. A secret stays with the origin that it was given
// for, and a credential is not taken to another. Both have no steps.
func Renew(old, next Endpoint) Renewal {
	r := Renewal{Endpoint: next}
	r.edited(old)
	r.set(old)
	r.Endpoint, r.Lost = renewSecrets(old, r.Endpoint)
	if len(r.Endpoint.Headers)+len(r.Endpoint.SecretQuery) > len(next.Headers)+len(next.SecretQuery) {
		r.Kept = append(r.Kept, "headers")
	}
	r.keep("auth", next.Auth == "" && r.Endpoint.Auth != "")
	return r
}

func (r *Renewal) keep(field string, is bool) {
	if is {
		r.Kept = append(r.Kept, field)
	}
}

// edited keeps what the owner wrote in place of what the same operation of the
// document said.
func (r *Renewal) edited(old Endpoint) {
	next := &r.Endpoint
	if old.Import == nil || next.Import == nil || old.Import.From != next.Import.From || old.Import.Operation != next.Import.Operation {
		return
	}
	was, is, says := old.Import.Declared, Declared(old), Declared(*next)
	by := func(field string) bool {
		return was[field] != "" && was[field] != is[field] && says[field] != is[field]
	}
	if by("description") {
		next.Description = old.Description
		r.keep("description", true)
	}
	if by("tags") {
		next.Tags = old.Tags
		r.keep("tags", true)
	}
	secrets := len(next.Headers)+len(next.SecretQuery) > 0 || next.Auth != ""
	switch {
	case !by("request"):
	case says["request"] == was["request"] && (!secrets || originOf(old.URL) == originOf(next.URL)):
		headers, query, auth := next.Headers, next.SecretQuery, next.Auth
		next.Parameters, next.Request, next.In, next.Style, next.Parts = old.Parameters, old.Request, old.In, old.Style, old.Parts
		next.Headers, next.SecretQuery, next.Auth = headers, query, auth
		r.keep("request", true)
	default:
		r.Replaced = append(r.Replaced, "request")
	}
}

// set keeps what documents say nothing of.
func (r *Renewal) set(old Endpoint) {
	next := &r.Endpoint
	for _, n := range []struct {
		field     string
		next, old *int
	}{
		{"timeoutMs", &next.TimeoutMs, &old.TimeoutMs},
		{"attemptMs", &next.AttemptMs, &old.AttemptMs},
		{"maxBytes", &next.MaxBytes, &old.MaxBytes},
		{"maxTokens", &next.MaxTokens, &old.MaxTokens},
		{"concurrency", &next.Concurrency, &old.Concurrency},
	} {
		r.keep(n.field, *n.next == 0 && *n.old != 0)
		*n.next = cmp.Or(*n.next, *n.old)
	}
	r.keep("cache", next.Cache == nil && old.Cache != nil)
	r.keep("effect", next.Effect == "" && old.Effect != "")
	r.keep("approval", next.Approval == "" && old.Approval != "")
	r.keep("disabled", old.Disabled)
	next.Cache, next.Effect, next.Approval, next.Disabled = cmp.Or(next.Cache, old.Cache), cmp.Or(next.Effect, old.Effect), cmp.Or(next.Approval, old.Approval), old.Disabled
	if next.Select == "" && next.Sources == "" && next.JQ == "" {
		r.keep("select", old.Select != "")
		r.keep("sources", old.Sources != "")
		r.keep("jq", old.JQ != "")
		next.Select, next.Sources, next.JQ = old.Select, old.Sources, old.JQ
	}
}

// renewSecrets returns next with what old sends to the same origin.
func renewSecrets(old, next Endpoint) (e Endpoint, lost []string) {
	same := originOf(old.URL) == originOf(next.URL)
	headers, queries := map[string]string{}, map[string]string{}
	given := canonicalKeys(next.Headers)
	for _, name := range slices.Sorted(maps.Keys(old.Headers)) {
		switch _, again := given[http.CanonicalHeaderKey(name)]; {
		case again:
		case same || !secretHeader(name):
			headers[name] = old.Headers[name]
		default:
			lost = append(lost, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old.SecretQuery)) {
		switch _, again := next.SecretQuery[name]; {
		case again:
		case same:
			queries[name] = old.SecretQuery[name]
		default:
			lost = append(lost, name)
		}
	}
	maps.Copy(headers, next.Headers)
	maps.Copy(queries, next.SecretQuery)
	next.Headers, next.SecretQuery = orNil(headers), orNil(queries)
	switch {
	case next.Auth != "" || old.Auth == "":
	case same:
		next.Auth = old.Auth
	default:
		lost = append(lost, "auth")
	}
	return next, lost
}

func orNil(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return m
}

// Origin returns scheme, host and port that an endpoint without steps calls,
// "" if its URL is not valid.
func (e Endpoint) Origin() string { return originOf(e.URL) }

// Fetch reads what is at an http or https address through the registry's
// [Client], at most limit bytes. Its error is a [*FieldError] of the field url
// that people may see, or ctx's. As it comes, progress, if it is not nil, is
// told how many bytes there are, and of how many, 0 if that is not known.
func (r *Registry) Fetch(ctx context.Context, address string, limit int, progress func(bytes, of int64)) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, faultf("url", "must be an http or https address without a user")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, faultf("url", "must be an http or https address")
	}
	req.Header.Set("Accept", "application/json, application/yaml, text/yaml, */*;q=0.5")
	resp, err := r.client().Do(req)
	if err != nil {
		return nil, fetchFault(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, faultf("url", "the server answered with status %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	if resp.ContentLength > int64(limit) {
		return nil, tooLarge(limit)
	}
	body := io.Reader(resp.Body)
	if progress != nil {
		body = &tellingReader{resp.Body, 0, max(resp.ContentLength, 0), progress}
	}
	b, err := io.ReadAll(io.LimitReader(body, int64(limit)+1))
	if err != nil {
		return nil, fetchFault(ctx, err)
	}
	if len(b) > limit {
		return nil, tooLarge(limit)
	}
	return b, nil
}

func tooLarge(limit int) error {
	return faultf("url", "what is there is larger than the %d bytes that are allowed", limit)
}

// A tellingReader tells how far it is.
type tellingReader struct {
	r        io.Reader
	n, of    int64
	progress func(bytes, of int64)
}

func (t *tellingReader) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.n += int64(n)
	t.progress(t.n, t.of)
	return n, err
}

func fetchFault(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("tools: fetch: %w", ctx.Err())
	}
	return faultf("url", "%s", Reason(err))
}
