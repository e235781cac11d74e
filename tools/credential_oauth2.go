package tools

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// What a token may be at most, and how early a new one is asked for.
const (
	maxTokenText = 16 << 10
	renewAhead   = time.Minute // but at most a quarter of its life
)

// A tokenError says why there is no token. It shows nothing that the service
// has said.
type tokenError struct {
	Reason  string
	refused bool // the grant is no longer good: asking again will not help
}

func (e *tokenError) Error() string { return e.Reason }

// errNotConnected means that a person has to connect first.
var errNotConnected = errors.New("not connected")

// ask asks a service for a token: a new one in the place of old, which has a
// refresh token if it is a person's.
func (cs *Credentials) ask(ctx context.Context, c Credential, old Token) (Token, error) {
	ctx = context.WithValue(ctx, oauth2.HTTPClient, cs.client())
	var got *oauth2.Token
	var err error
	if c.Personal() {
		got, err = c.config("").TokenSource(ctx, &oauth2.Token{RefreshToken: old.Refresh}).Token()
	} else {
		got, err = c.clientConfig().Token(ctx)
	}
	if err != nil {
		return Token{}, c.tokenError(ctx, err)
	}
	t, err := c.token(got)
	t.Since = old.Since
	return t, err
}

// exchange asks for the tokens that a code stands for.
func (cs *Credentials) exchange(ctx context.Context, c Credential, code, verifier, redirect string) (Token, error) {
	ctx = context.WithValue(ctx, oauth2.HTTPClient, cs.client())
	got, err := c.config(redirect).Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return Token{}, c.tokenError(ctx, err)
	}
	t, err := c.token(got)
	t.Since = time.Now()
	return t, err
}

func (c *Credential) config(redirect string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: c.ClientID, ClientSecret: c.ClientSecret, Scopes: c.Scopes, RedirectURL: redirect,
		Endpoint: oauth2.Endpoint{AuthURL: c.AuthorizeURL, TokenURL: c.TokenURL, AuthStyle: c.style()},
	}
}

func (c *Credential) clientConfig() *clientcredentials.Config {
	cc := &clientcredentials.Config{ClientID: c.ClientID, ClientSecret: c.ClientSecret, TokenURL: c.TokenURL, Scopes: c.Scopes, AuthStyle: c.style()}
	if c.Audience != "" {
		cc.EndpointParams = url.Values{"audience": {c.Audience}}
	}
	return cc
}

// style never leaves it to be found out: a code or refresh token that was sent
// in the wrong style may be used up.
func (c *Credential) style() oauth2.AuthStyle {
	if c.AuthStyle == "body" || c.ClientSecret == "" {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader
}

// token checks what a service gave.
func (c *Credential) token(got *oauth2.Token) (Token, error) {
	t := Token{Access: got.AccessToken, Type: got.Type(), Refresh: got.RefreshToken, Expires: got.Expiry, Revision: c.revision()}
	if len(t.Access)+len(t.Refresh) > maxTokenText || !goodHeaderValue(t.Access) || !goodName.MatchString(t.Type) {
		return Token{}, &tokenError{Reason: "its token server gave a token that cannot be sent in a header"}
	}
	if !t.Expires.IsZero() {
		t.Renew = t.Expires.Add(-min(renewAhead, time.Until(t.Expires)/4))
	}
	return t, nil
}

// tokenError says why a service gave no token, in words that hold nothing of
// its answer but a known code.
func (c *Credential) tokenError(ctx context.Context, err error) error {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) {
		var net *url.Error
		if errors.As(err, &net) || ctx.Err() != nil {
			return &tokenError{Reason: "its token server could not be asked: " + Reason(cmp.Or(ctx.Err(), err))}
		}
		return &tokenError{Reason: "its token server answered with something that is no token"}
	}
	status := 0
	if refused.Response != nil {
		status = refused.Response.StatusCode
	}
	switch code := refused.ErrorCode; code {
	case "invalid_grant":
		return &tokenError{Reason: "the access that was granted is no longer good (invalid_grant)", refused: true}
	case "invalid_client", "unauthorized_client", "invalid_scope", "invalid_request", "unsupported_grant_type", "invalid_target", "access_denied":
		return &tokenError{Reason: "its token server refused it (" + code + "): only its owner can change that"}
	}
	return &tokenError{Reason: strings.TrimSpace(fmt.Sprintf("its token server answered with status %d %s", status, http.StatusText(status)))}
}
