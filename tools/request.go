package tools

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// A request is a compiled [Request]. It does not change.
type request struct {
	method   string
	base     string     // scheme://host[:port]
	path     []template // the segments after the first slash
	query    []field
	headers  []field // from arguments
	fixed    map[string]string
	secrets  map[string]string // in the query
	body     any               // a parsed tree, nil for none
	bodyType string
	auth     string // name of a credential, "" for none

	styled  []styled          // of the query
	cookies []styled          // from arguments
	styles  map[string]styled // of values in the path and in headers
	parts   map[string]Style  // of the body's members
}

// A field is a named value of a query or of headers.
type field struct {
	name  template
	value template
}

var (
	goodURL  = regexp.MustCompile(`^(https?)://([^/?#]+)(/[^?#]*)?(\?[^#]*)?$`)
	goodHost = regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
	goodPath = regexp.MustCompile(`^([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*$`)
)

// compileRequest compiles r; at names it in faults, such as "steps[1]." or "".
func compileRequest(r *Request, at string) (*request, error) {
	q := &request{method: r.method(), fixed: r.Headers, secrets: r.SecretQuery, bodyType: cmp.Or(r.BodyType, "json"), auth: r.Auth}
	if !slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}, q.method) {
		return nil, faultf(at+"method", "must be GET, HEAD, POST, PUT, PATCH or DELETE")
	}
	if _, _, err := kindOfBody(q.bodyType); err != nil {
		return nil, faultf(at+"bodyType", "%v", err)
	}
	if err := q.compileURL(r.URL); err != nil {
		return nil, faultf(at+"url", "%v", err)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Query)) {
		value, err := parseTemplate(r.Query[name])
		if err != nil || len(r.Query[name]) > maxText {
			return nil, faultf(at+"query."+name, "%v", cmp.Or(err, fmt.Errorf("is too long")))
		}
		q.query = append(q.query, field{template{}.text(name), value})
	}
	if len(r.Query) > maxMembers || len(r.SecretQuery) > maxMembers || len(r.Headers) > maxMembers {
		return nil, faultf(at+"query", "there may be at most %d members in a query and headers", maxMembers)
	}
	if err := checkHeaders(r.Headers, at); err != nil {
		return nil, err
	}
	return q, q.compileBody(r.Body, at)
}

// compileURL takes a URL template apart. Only path and query may hold
// templates; each keeps to its own segment or member.
func (q *request) compileURL(raw string) error {
	m := goodURL.FindStringSubmatch(raw)
	switch {
	case m == nil || len(raw) > maxText:
		return fmt.Errorf("must be an http or https URL with a host and without a fragment")
	case strings.ContainsAny(m[2], "{}"):
		return fmt.Errorf("the host cannot hold {…}: only the path and the query can")
	case strings.Contains(m[2], "@"):
		return fmt.Errorf("must not hold a user and password: use a header")
	case !goodHost.MatchString(m[2]):
		return fmt.Errorf("the host is not valid: write an international name in its xn-- form")
	}
	if _, err := url.Parse(m[1] + "://" + m[2]); err != nil {
		return fmt.Errorf("the host is not valid")
	}
	q.base = m[1] + "://" + m[2]
	for segment := range strings.SplitSeq(strings.TrimPrefix(m[3], "/"), "/") {
		t, err := parseTemplate(segment)
		if err != nil {
			return err
		}
		for _, p := range t {
			if !goodPath.MatchString(p.lit) {
				return fmt.Errorf("the path holds a character that must be percent-encoded")
			}
		}
		if dots(segment) {
			return fmt.Errorf("the path must not hold . or .. as a segment")
		}
		q.path = append(q.path, t)
	}
	return q.compileQuery(strings.TrimPrefix(m[4], "?"))
}

// dots reports whether a segment means this or the parent directory to some
// server, however it is written.
func dots(segment string) bool {
	plain, err := url.PathUnescape(segment)
	return err != nil || plain == "." || plain == ".."
}

func (q *request) compileQuery(raw string) error {
	if raw == "" {
		return nil
	}
	for pair := range strings.SplitSeq(raw, "&") {
		k, v, _ := strings.Cut(pair, "=")
		name, err1 := parseEscaped(k)
		value, err2 := parseEscaped(v)
		if err := cmp.Or(err1, err2); err != nil {
			return fmt.Errorf("the query %w", err)
		}
		q.query = append(q.query, field{name, value})
	}
	return nil
}

// parseEscaped is parseTemplate for a text whose literals are percent-encoded.
func parseEscaped(s string) (template, error) {
	t, err := parseTemplate(s)
	for i := range t {
		if err == nil {
			t[i].lit, err = url.QueryUnescape(t[i].lit)
		}
	}
	return t, err
}

func (q *request) compileBody(raw []byte, at string) error {
	if len(raw) == 0 {
		return nil
	}
	if q.method == http.MethodGet || q.method == http.MethodHead {
		return faultf(at+"body", "cannot be sent with %s", q.method)
	}
	doc, err := decodeJSON(raw)
	if err == nil {
		q.body, err = parseTree(doc)
	}
	if err != nil {
		return faultf(at+"body", "%v", err)
	}
	kind, _, _ := kindOfBody(q.bodyType)
	if _, isObject := doc.(map[string]any); (kind == formBody || kind == multipartBody) && !isObject {
		return faultf(at+"body", "must be an object to be sent as a form")
	}
	return nil
}

// ownHeaders are set by Parley and by HTTP itself.
var ownHeaders = []string{
	"Host", "Content-Length", "Transfer-Encoding", "Te", "Trailer", "Upgrade", "Connection", "Keep-Alive",
	"Proxy-Connection", "Proxy-Authorization", "Proxy-Authenticate", "Accept-Encoding", "Expect",
	"Idempotency-Key", "Parley-Generation",
}

func checkHeaders(headers map[string]string, at string) error {
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		canonical := http.CanonicalHeaderKey(name)
		field := at + "headers." + oneLine(name, 80)
		switch value := headers[name]; {
		case !httpguts.ValidHeaderFieldName(name):
			return faultf(field, "is not a valid header name")
		case slices.Contains(ownHeaders, canonical):
			return faultf(field, "is set by Parley and cannot be declared")
		case seen[canonical]:
			return faultf(field, "is declared twice")
		case !goodHeaderValue(value):
			return faultf(field, "must be one line without control characters")
		}
		seen[canonical] = true
	}
	return nil
}

func goodHeaderValue(v string) bool {
	return len(v) <= maxText && httpguts.ValidHeaderFieldValue(v) && !strings.ContainsAny(v, "\r\n\x00")
}

// names returns the names of all values that the request uses.
func (q *request) names() (names []string) {
	for _, t := range q.path {
		names = append(names, t.names()...)
	}
	for _, f := range slices.Concat(q.query, q.headers) {
		names = append(append(names, f.name.names()...), f.value.names()...)
	}
	for _, s := range slices.Concat(q.styled, q.cookies) {
		names = append(names, s.param)
	}
	return append(names, treeNames(q.body)...)
}

// target returns the URL for the values. Whatever they are, it has the
// template's scheme and host and as many path segments.
func (q *request) target(vs values, extra map[string]any) (*url.URL, error) {
	var b strings.Builder
	for _, t := range q.path {
		segment, err := q.expand(t, vs, url.PathEscape)
		if err != nil {
			return nil, err
		}
		if len(t.names()) > 0 && (segment == "" || dots(segment)) {
			return nil, fmt.Errorf("%s must be neither empty nor only dots", strings.Join(t.names(), ", "))
		}
		b.WriteString("/" + segment)
	}
	u, err := url.Parse(q.base + b.String())
	if err != nil || u.EscapedPath() != b.String() {
		return nil, fmt.Errorf("the path's values make no valid URL")
	}
	if u.RawQuery, err = q.queryOf(vs, extra); err != nil {
		return nil, err
	}
	return u, nil
}

// expand is [template.expand] with values in their styles.
func (q *request) expand(t template, vs values, escape func(string) string) (string, error) {
	if len(q.styles) == 0 {
		return t.expand(vs, escape)
	}
	var b strings.Builder
	for _, p := range t {
		s, ok := q.styles[p.name]
		if !ok || vs[p.name] == nil {
			text, err := template{p}.expand(vs, escape)
			if err != nil {
				return "", err
			}
			b.WriteString(text)
			continue
		}
		b.WriteString(s.text(vs[p.name], escape))
	}
	return b.String(), nil
}

func (q *request) queryOf(vs values, extra map[string]any) (string, error) {
	plain := q.plainQuery(vs, extra)
	var pairs []string
	for _, s := range q.styled {
		if vs[s.param] == nil {
			continue
		}
		taken := func(name string) bool { return q.takesQuery(name, s.param) }
		more, err := s.query(vs[s.param], taken)
		if err != nil {
			return "", err
		}
		pairs = append(pairs, more...)
	}
	return joinQuery(plain, pairs), nil
}

// takesQuery reports whether a member of the query has a meaning already, so
// that the argument but may not bring in one like it.
func (q *request) takesQuery(name, but string) bool {
	own, _, _ := strings.Cut(name, "[") // of a deepObject
	for _, f := range q.query {
		if text, err := f.name.expand(nil, verbatim); err == nil && (text == name || text == own) {
			return true
		}
	}
	_, secret := q.secrets[name]
	return secret || slices.ContainsFunc(q.styled, func(s styled) bool { return s.param != but && (s.wire == name || s.wire == own) })
}

func (q *request) plainQuery(vs values, extra map[string]any) url.Values {
	out := url.Values{}
	for _, f := range q.query {
		name, err1 := f.name.expand(vs, verbatim)
		value, err2 := f.value.value(vs)
		if err1 == nil && err2 == nil {
			addField(out, name, value)
		}
	}
	for name, value := range extra {
		addField(out, name, value)
	}
	for name, value := range q.secrets {
		out.Set(name, value)
	}
	return out
}

// addField adds a value in the way of forms: a list repeats its key, an
// object is written a[b]=c, deeper lists a[b][0]=c.
func addField(out url.Values, name string, v any) {
	list, ok := v.([]any)
	if !ok {
		addNested(out, name, v)
		return
	}
	for i, e := range list {
		if object, ok := e.(map[string]any); ok {
			addNested(out, fmt.Sprintf("%s[%d]", name, i), object)
		} else {
			out.Add(name, textOf(e))
		}
	}
}

func addNested(out url.Values, name string, v any) {
	switch v := v.(type) {
	case nil:
	case map[string]any:
		for k, e := range v {
			addNested(out, name+"["+k+"]", e)
		}
	case []any:
		for i, e := range v {
			addNested(out, fmt.Sprintf("%s[%d]", name, i), e)
		}
	default:
		out.Add(name, textOf(v))
	}
}

// build returns the request for the values. Extra arguments, which the
// endpoint's schema lets in without naming them, go into the body where it is
// an object, else into the query.
func (q *request) build(ctx context.Context, vs values, extra map[string]any) (*http.Request, error) {
	body, ok := fillTree(q.body, vs)
	object, isObject := body.(map[string]any)
	if isObject {
		maps.Copy(object, extra)
		extra = nil
	}
	u, err := q.target(vs, extra)
	if err != nil {
		return nil, err
	}
	var content io.Reader
	var contentType string
	if q.body != nil && ok {
		var b []byte
		if b, contentType, err = q.encode(body); err != nil {
			return nil, err
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, q.method, u.String(), content)
	if err != nil {
		return nil, fmt.Errorf("the values make no valid request")
	}
	if content != nil {
		req.Header.Set("Content-Type", contentType)
	}
	req.Header.Set("Accept", "application/json, text/*;q=0.9, */*;q=0.5")
	for name, value := range q.fixed {
		req.Header.Set(name, value)
	}
	return req, q.setHeaders(req.Header, vs)
}

func (q *request) setHeaders(h http.Header, vs values) error {
	for _, f := range q.headers {
		name, _ := f.name.expand(vs, verbatim)
		value, err := q.expand(f.value, vs, verbatim)
		if err != nil {
			continue // absent
		}
		if !goodHeaderValue(value) {
			return fmt.Errorf("%s is sent in a header and must be one line without control characters", strings.Join(f.value.names(), ", "))
		}
		h.Set(name, value)
	}
	return q.setCookies(h, vs)
}

// setCookies adds arguments to the cookies that the endpoint declares.
func (q *request) setCookies(h http.Header, vs values) error {
	var cookies []string
	if declared := h.Get("Cookie"); declared != "" {
		cookies = append(cookies, declared)
	}
	for _, s := range q.cookies {
		if vs[s.param] != nil {
			pairs, err := s.query(vs[s.param], func(string) bool { return true })
			if err != nil {
				return err
			}
			cookies = append(cookies, pairs...)
		}
	}
	if len(cookies) > 0 {
		h.Set("Cookie", strings.Join(cookies, "; "))
	}
	return nil
}
