package tools

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Mask stands for a secret value wherever an endpoint is shown. Sent back, it
// means the value that is stored: see [Merge].
const Mask = "•••"

const shortestSecret = 4 // shorter values would blank out ordinary text

// plainHeaders hold no secrets.
var plainHeaders = []string{"Accept", "Accept-Language", "Content-Type", "User-Agent", "Cache-Control", "Prefer", "X-Requested-With"}

func secretHeader(name string) bool {
	return !slices.Contains(plainHeaders, http.CanonicalHeaderKey(name))
}

// Public returns the endpoint as it may be shown: the values of headers and
// secret query members are masked, but for headers such as Accept that say
// nothing.
func (e Endpoint) Public() Endpoint {
	e.Steps = slices.Clone(e.Steps)
	for _, r := range e.requests() {
		r.Headers = masked(r.Headers, secretHeader)
		r.SecretQuery = masked(r.SecretQuery, func(string) bool { return true })
	}
	return e
}

func masked(m map[string]string, secret func(string) bool) map[string]string {
	m = maps.Clone(m)
	for name := range m {
		if secret(name) {
			m[name] = Mask
		}
	}
	return m
}

// unmasked refuses masks: they are no values.
func (e *Endpoint) unmasked() error {
	return e.eachSecret(func(field string, _ *Request, m map[string]string, name string) error {
		if strings.Contains(m[name], Mask) {
			return faultf(field, "is masked and nothing is stored for it: give the value")
		}
		return nil
	})
}

// eachSecret calls f with every member of the endpoint's headers and secret
// queries.
func (e *Endpoint) eachSecret(f func(field string, r *Request, m map[string]string, name string) error) error {
	for i, r := range e.requests() {
		at := ""
		if len(e.Steps) > 0 {
			at = fmt.Sprintf("steps[%d].", i)
		}
		for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
			if err := f(at+"headers."+oneLine(name, 80), r, r.Headers, name); err != nil {
				return err
			}
		}
		for _, name := range slices.Sorted(maps.Keys(r.SecretQuery)) {
			if err := f(at+"secretQuery."+oneLine(name, 80), r, r.SecretQuery, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// Merge returns next with every masked value replaced by the one that old
// has, for a change by somebody who may not see the secrets. A secret belongs
// to the origin that it was given for: if scheme, host or port have changed,
// it must be given again, and so must one that old has not. The result is
// validated.
func Merge(old, next Endpoint) (Endpoint, error) {
	next.Steps = slices.Clone(next.Steps)
	for _, r := range next.requests() {
		r.Headers, r.SecretQuery = maps.Clone(r.Headers), maps.Clone(r.SecretQuery)
	}
	err := next.eachSecret(func(field string, r *Request, m map[string]string, name string) error {
		if m[name] != Mask {
			return nil
		}
		value, sameOrigin := old.stored(next.idOf(r), r, name, strings.Contains(field, "secretQuery."))
		if value == "" || value == Mask {
			return faultf(field, "is masked and nothing is stored for it: give the value")
		}
		if !sameOrigin {
			return faultf(field, "must be given again: the URL's scheme, host or port has changed, and a secret stays with the host that it was given for")
		}
		m[name] = value
		return nil
	})
	if err != nil {
		return Endpoint{}, err
	}
	return next, next.Validate()
}

// idOf returns the id of the step that r belongs to, or "".
func (e *Endpoint) idOf(r *Request) string {
	for i := range e.Steps {
		if &e.Steps[i].Request == r {
			return e.Steps[i].ID
		}
	}
	return ""
}

// stored returns the secret that e has under that name in the request with
// that id, and whether it was given for r's origin.
func (e *Endpoint) stored(id string, r *Request, name string, inQuery bool) (value string, sameOrigin bool) {
	for _, had := range e.requests() {
		if e.idOf(had) != id {
			continue
		}
		m := had.SecretQuery
		if !inQuery {
			m, name = canonicalKeys(had.Headers), http.CanonicalHeaderKey(name)
		}
		was, is := originOf(had.URL), originOf(r.URL)
		return m[name], was != "" && was == is
	}
	return "", false
}

func canonicalKeys(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[http.CanonicalHeaderKey(k)] = v
	}
	return out
}

// originOf returns the origin of a URL template, "" if it has none.
func originOf(raw string) string {
	m := goodURL.FindStringSubmatch(raw)
	if m == nil {
		return ""
	}
	u, err := url.Parse(m[1] + "://" + m[2])
	if err != nil {
		return ""
	}
	return origin(u)
}

// A redactor takes secrets out of texts. It does not change.
type redactor struct {
	plain    []string
	secrets  []string // in every form, longest first
	replacer *strings.Replacer
}

// redactor returns one for the endpoint's secrets in every form that a server
// may echo: as they are, the credentials behind "Bearer", the password in
// "Basic", and each of them escaped for JSON or a URL.
func (e *Endpoint) redactor() redactor {
	var all []string
	_ = e.eachSecret(func(field string, _ *Request, m map[string]string, name string) error {
		if strings.Contains(field, "secretQuery.") || secretHeader(name) {
			all = append(all, secretsIn(m[name])...)
		}
		return nil
	})
	return newRedactor(all)
}

func newRedactor(secrets []string) redactor {
	var forms []string
	for _, s := range secrets {
		forms = append(forms, escapedForms(s)...)
	}
	forms = slices.DeleteFunc(forms, func(s string) bool { return len(s) < shortestSecret })
	slices.SortFunc(forms, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	forms = slices.Compact(forms)
	var pairs []string
	for _, s := range forms {
		pairs = append(pairs, s, Mask)
	}
	return redactor{secrets, forms, strings.NewReplacer(pairs...)}
}

// and returns a redactor that takes more secrets out.
func (r redactor) and(secrets ...string) redactor {
	return newRedactor(slices.Concat(r.plain, secrets))
}

func secretsIn(value string) []string {
	secrets := []string{value}
	scheme, credentials, ok := strings.Cut(value, " ")
	if !ok {
		return secrets
	}
	secrets = append(secrets, strings.TrimSpace(credentials))
	if plain, err := base64.StdEncoding.DecodeString(credentials); err == nil && strings.EqualFold(scheme, "basic") {
		_, password, _ := strings.Cut(string(plain), ":")
		secrets = append(secrets, string(plain), password)
	}
	return secrets
}

func escapedForms(s string) []string {
	quoted := bytes.Trim(compactJSON(s), `"`)
	forHTML, _ := json.Marshal(s)
	inHTML := strings.Trim(string(forHTML), `"`)
	return []string{s, string(quoted), inHTML, strings.ReplaceAll(s, "/", `\/`), url.QueryEscape(s), url.PathEscape(s)}
}

// text returns s without secrets. If s was cut, the beginning of a secret at
// its end goes as well.
func (r redactor) text(s string, cut bool) string {
	s = r.replacer.Replace(s)
	if !cut {
		return s
	}
	for _, secret := range r.secrets {
		for n := min(len(secret), len(s)); n >= shortestSecret; n-- {
			if strings.HasSuffix(s, secret[:n]) {
				return s[:len(s)-n]
			}
		}
	}
	return s
}

// result returns res without secrets.
func (r redactor) result(res Result) Result {
	if len(r.secrets) == 0 {
		return res
	}
	res.Content = r.text(res.Content, false)
	res.Outcome.Reason = r.text(res.Outcome.Reason, false)
	for i := range res.Sources {
		s := &res.Sources[i]
		s.Ref, s.Document, s.Title, s.Text = r.text(s.Ref, false), r.text(s.Document, false), r.text(s.Title, false), r.text(s.Text, false)
		for j := range s.Headings {
			s.Headings[j] = r.text(s.Headings[j], false)
		}
	}
	return res
}
