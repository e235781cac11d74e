package tools

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
)

// settle finds the credential that a request is to be sent with, if it names
// one, so that it is known whose answers come. It returns a Result if nothing
// can be sent.
func (x *exchange) settle(req *http.Request, auth string) *Result {
	x.want, x.credential = nil, ""
	if auth == "" {
		return nil
	}
	c, failed := x.credentialFor(req, auth)
	if failed != nil {
		return failed
	}
	w := x.credentials.want(c, "")
	if c.Personal() {
		w.key.Person = x.call.Person
	}
	x.want, x.credential = &w, w.id()
	return nil
}

// sign puts the credential that was settled into a request.
func (x *exchange) sign(req *http.Request) *Result {
	if x.want == nil {
		return nil
	}
	t, failed := x.authorise(req, *x.want)
	x.token = t.Version
	return failed
}

// renewed returns the request with a new token in the place of one that was
// not accepted, nil if there is none to be had or the request may not be sent
// twice; then the next call has the new token.
func (x *exchange) renewed(req *http.Request, r *reply) *http.Request {
	if x.want == nil || x.want.c.Kind != OAuth2 || r.err != nil || r.answer.status != http.StatusUnauthorized {
		return nil
	}
	w := *x.want
	w.refused = x.token
	if x.spec.Effect == Unsafe {
		_, err := w.token(x.ctx)
		if err != nil && !errors.Is(err, errNotConnected) {
			x.credentials.log().WarnContext(x.ctx, "a token was not accepted and could not be renewed", "credential", w.c.Name, "err", err)
		}
		return nil
	}
	again := req.Clone(x.ctx)
	if _, x.denied = x.authorise(again, w); x.denied != nil {
		return nil
	}
	return again
}

// credentialFor returns the credential of that name if it may be sent with
// the request.
func (x *exchange) credentialFor(req *http.Request, name string) (Credential, *Result) {
	refuse := func(format string, args ...any) (Credential, *Result) {
		res := fail(fmt.Sprintf(format, args...), "Nothing was sent. Only the tool's owner can change that: tell the user.")
		return Credential{}, &res
	}
	if x.credentials == nil {
		return refuse("the tool needs the credential %s, and this server keeps none", name)
	}
	c, err := x.credentials.Store.Credential(x.ctx, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return refuse("the tool needs the credential %s, which is not there", name)
	case err != nil:
		return Credential{}, x.unreadable(name, err)
	case !c.fits(origin(req.URL)):
		return refuse("the credential %s must not be sent to %s", name, origin(req.URL))
	case c.Personal() && x.call.Person == "":
		return refuse("the tool acts on somebody's account at the service, and this call is made for nobody")
	}
	x.redactor = x.redactor.and(c.told()...)
	return c, nil
}

func (x *exchange) unreadable(name string, err error) *Result {
	if x.ctx.Err() == nil {
		x.credentials.log().ErrorContext(x.ctx, "a credential could not be read", "credential", name, "err", err)
	}
	res := fail("the credential "+name+" could not be read", "Nothing was sent. Calling again later may help.")
	return &res
}

// authorise puts the credential into the request, for which it may need a
// token. It returns a Result if the person must connect first, or if there is
// no token.
func (x *exchange) authorise(req *http.Request, w want) (t Token, failed *Result) {
	if w.c.Kind != OAuth2 {
		w.c.apply(req)
		return t, nil
	}
	t, err := w.token(x.ctx)
	var none *tokenError
	switch {
	case err == nil:
		req.Header.Set("Authorization", t.Type+" "+t.Access)
		x.redactor = x.redactor.and(t.Access, t.Refresh)
		return t, nil
	case errors.Is(err, errNotConnected):
		return t, x.connect(w.c)
	case errors.As(err, &none):
		res := fail("there is no access with the credential "+w.c.Name+": "+none.Reason, "Calling again later may help."+x.done())
		return t, &res
	case x.ctx.Err() != nil:
		return t, x.broken(&reply{err: context.Cause(x.ctx)})
	}
	return t, x.unreadable(w.c.Name, err)
}

// connect is the Result of a call for a person who has not connected: a
// question where to go, or a failure if that was asked before.
func (x *exchange) connect(c Credential) *Result {
	state := "connect:" + c.Name
	what := c.Name
	if c.Description != "" {
		what = c.Description
	}
	if a := x.call.Answer; a != nil && a.State == state {
		res := fail("the user has not connected "+oneLine(what, 200), "Nothing was sent. The tool works once they have; do not call it again unless they say so.")
		return &res
	}
	to := "/v1/connect/" + url.PathEscape(c.Name)
	return &Result{
		Content: "The user must connect " + oneLine(what, 200) + " first, at " + to + ".",
		Ask:     &Ask{Reason: AskConnect, Message: "Connect " + oneLine(what, 200) + " to go on.", URL: to, State: state},
	}
}

// apply puts a credential that needs no token into a request.
func (c *Credential) apply(req *http.Request) {
	switch {
	case c.Kind == Basic:
		req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(c.User+":"+c.Password)))
	case c.Kind == Bearer:
		req.Header.Set("Authorization", "Bearer "+c.Value)
	case c.In == "query":
		req.URL.RawQuery = withPair(req.URL.RawQuery, "&", c.Parameter, url.QueryEscape(c.Parameter)+"="+url.QueryEscape(c.Value))
	case c.In == "cookie":
		req.Header.Set("Cookie", withPair(req.Header.Get("Cookie"), ";", c.Parameter, c.Parameter+"="+c.Value))
	default:
		req.Header.Set(c.Parameter, c.Value)
	}
}

// withPair returns a list of pairs in which a pair stands in the place of all
// others of its name: an argument must not speak for the credential.
func withPair(list, sep, name, pair string) string {
	var kept []string
	for p := range strings.SplitSeq(list, sep) {
		p = strings.TrimSpace(p)
		key, _, _ := strings.Cut(p, "=")
		if plain, err := url.QueryUnescape(key); err == nil && sep == "&" {
			key = plain
		}
		if p != "" && key != name {
			kept = append(kept, p)
		}
	}
	if sep == ";" {
		sep = "; "
	}
	return strings.Join(append(kept, pair), sep)
}

// id identifies the credential and, if it is a person's, whose: what was
// answered under one must not be shown under another. It holds no secret.
func (w want) id() string {
	sum := sha256.Sum256([]byte(w.c.Name + "\x00" + w.c.revision() + "\x00" + w.key.Person))
	return hex.EncodeToString(sum[:16])
}
