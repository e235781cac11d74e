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

// do sends a request that is complete but for its credential. A token that
// the service does not accept is renewed, and the request is sent once more if
// that is harmless. It returns a Result only if nothing was sent.
func (x *exchange) do(req *http.Request, auth string) (*http.Response, *Result, error) {
	if auth == "" {
		resp, err := x.client.Do(req)
		return resp, nil, err
	}
	c, failed := x.credentialFor(req, auth)
	if failed != nil {
		return nil, failed, nil
	}
	w := x.credentials.want(c, "")
	if c.Personal() {
		w.key.Person = x.call.Person
	}
	x.credential = w.id()
	t, failed := x.authorise(req, w)
	if failed != nil {
		return nil, failed, nil
	}
	resp, err := x.client.Do(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || c.Kind != OAuth2 {
		return resp, nil, err
	}
	w.refused = t.Version
	return x.doAgain(req, resp, w)
}

// doAgain renews a token that was not accepted. What may not be sent twice
// keeps its answer, and the next call has the new token.
func (x *exchange) doAgain(req *http.Request, resp *http.Response, w want) (*http.Response, *Result, error) {
	if x.spec.Effect == Unsafe {
		_, err := w.token(x.ctx)
		if err != nil && !errors.Is(err, errNotConnected) {
			x.credentials.log().WarnContext(x.ctx, "a token was not accepted and could not be renewed", "credential", w.c.Name, "err", err)
		}
		return resp, nil, nil
	}
	again := req.Clone(x.ctx)
	if req.GetBody != nil {
		var err error
		if again.Body, err = req.GetBody(); err != nil {
			return resp, nil, nil
		}
	}
	if _, failed := x.authorise(again, w); failed != nil {
		resp.Body.Close()
		return nil, failed, nil
	}
	resp.Body.Close()
	x.out.Requests++
	resp, err := x.client.Do(again)
	return resp, nil, err
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
		return t, x.broken(context.Cause(x.ctx))
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
