package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
)

// A Target is the server that is spoken to, and who speaks to it.
type Target struct {
	URL   *url.URL // without a slash at its end
	Token string   // empty for none
	Admin bool     // what is asked for is the administrator's
}

// Hint adds to an error of a request what can be done about it.
func (t Target) Hint(err error) error {
	if e := (*net.OpError)(nil); errors.As(err, &e) && e.Op == "dial" {
		return fmt.Errorf("no server answers at %s; start one with `parley serve`, or name another with --server", t.URL)
	}
	if os.IsTimeout(err) {
		return fmt.Errorf("the server at %s did not answer in time", t.URL)
	}
	return err
}

// Authorize says who asks, in the header of a request.
func (t Target) Authorize(h http.Header) {
	h.Set("User-Agent", "parley-cli")
	if t.Token != "" {
		h.Set("Authorization", "Bearer "+t.Token)
	}
}

// ReadProblem makes an error of an answer that is none.
func (t Target) ReadProblem(res *http.Response, body []byte) error {
	p := &Problem{}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if kind != "application/problem+json" || json.Unmarshal(body, p) != nil || p.Title == "" {
		p = &Problem{Title: "the server answered " + res.Status}
	}
	p.Status = res.StatusCode
	if t.Admin && (res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden) {
		return fmt.Errorf("%w\nThe administrator's token is needed: give it as PARLEY_ADMIN_TOKEN or --token; the server prints it at its first start", p)
	}
	return p
}
