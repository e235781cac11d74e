package tools

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
)

// Renew returns next, an endpoint made anew from its document, with what the
// owner has set on old: headers, secret query, credential, limits, cache, effect,
// approval, select, sources and whether it is disabled. A secret stays with the origin
// that it was given for, and a credential is not taken to another: lost names
// those that next's origin must be given again. Both have no steps.
func Renew(old, next Endpoint) (e Endpoint, lost []string) {
	next.AttemptMs, next.Concurrency, next.Cache = cmp.Or(next.AttemptMs, old.AttemptMs), cmp.Or(next.Concurrency, old.Concurrency), cmp.Or(next.Cache, old.Cache)
	next.TimeoutMs, next.MaxBytes = cmp.Or(next.TimeoutMs, old.TimeoutMs), cmp.Or(next.MaxBytes, old.MaxBytes)
	next.Effect, next.Disabled = cmp.Or(next.Effect, old.Effect), old.Disabled
	next.Approval = cmp.Or(next.Approval, old.Approval)
	next.MaxTokens = cmp.Or(next.MaxTokens, old.MaxTokens)
	if next.Select == "" && next.Sources == "" && next.JQ == "" {
		next.Select, next.Sources, next.JQ = old.Select, old.Sources, old.JQ
	}
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
