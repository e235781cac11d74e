package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"parley/gateway/access"
	"parley/gateway/chat"
)

// A Principal is who a request comes from. What belongs to one Owner is as
// good as absent for every other.
type Principal struct {
	Owner string
	Admin bool   // may do everything
	Tools bool   // may change tools and documents
	Chat  bool   // may have conversations
	Key   string // id of the API key that it came with, empty for none
	Addr  string // the client's IP address, as far as it is known
}

const adminOwner = "admin"

// IsAdmin reports whether an owner is whoever has the admin token.
func IsAdmin(owner string) bool { return owner == adminOwner }

// Identity knows requests by their credentials. It is the only place that
// reads any, for every carrier. All methods may be called concurrently.
type Identity struct {
	AdminToken     string
	RetrievalToken string // opens POST /v1/retrieval alone, for the tool that calls it
	CookieKey      []byte // signs guests' cookies; the same on all replicas
	Keys           *access.Ring
	SecureCookies  string // over TLS only: "true", "false", or "auto" (or empty) for going by each request

	Proxies []*net.IPNet // whose X-Forwarded-Proto is believed
}

const (
	cookieName = "parley"
	cookieAge  = 400 * 24 * time.Hour // what browsers keep at most
)

// bearer returns the token of an Authorization header, or of the subprotocol
// that a browser's WebSocket offers instead.
func bearer(r *http.Request) string {
	if t, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return strings.TrimSpace(t)
	}
	for p := range strings.SplitSeq(r.Header.Get("Sec-WebSocket-Protocol"), ",") {
		if t, ok := strings.CutPrefix(strings.TrimSpace(p), "parley.bearer."); ok {
			b, _ := base64.RawURLEncoding.DecodeString(t)
			return string(b)
		}
	}
	return ""
}

// Of returns who sent a request. A request without credentials is a new
// guest's, whose cookie is set on w; one with wrong credentials is refused.
func (i *Identity) Of(w http.ResponseWriter, r *http.Request) (Principal, error) {
	if t := bearer(r); t != "" || r.Header.Get("Authorization") != "" {
		return i.ofToken(r, t)
	}
	if c, err := r.Cookie(cookieName); err == nil {
		if id, ok := i.verify(c.Value); ok {
			return guest(id), nil
		}
	}
	id := chat.NewID("g")
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: i.sign(id), Path: "/", MaxAge: int(cookieAge.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: i.secure(r),
	})
	return guest(id), nil
}

func guest(id string) Principal { return Principal{Owner: "guest." + id, Chat: true} }

// personHeader names which of the tenant's people a system speaks for.
const personHeader = "Parley-Person"

// ofToken returns who has a token: the administrator, or one of the people of
// an API key's tenant.
func (i *Identity) ofToken(r *http.Request, token string) (Principal, error) {
	if same(token, i.AdminToken) {
		return Principal{Owner: adminOwner, Admin: true, Tools: true, Chat: true}, nil
	}
	k, err := i.key(r.Context(), token)
	if err != nil {
		return Principal{}, err
	}
	owner, err := k.Owner(r.Header.Get(personHeader))
	if err != nil {
		return Principal{}, problem(http.StatusBadRequest, codeBadRequest, "%s", sentence(err)).in(personHeader)
	}
	return Principal{Owner: owner, Key: k.ID, Chat: k.Has(access.Chat), Tools: k.Has(access.Tools)}, nil
}

func (i *Identity) key(ctx context.Context, token string) (access.Key, error) {
	err := access.ErrUnknown
	if i.Keys != nil {
		var k access.Key
		if k, err = i.Keys.Of(ctx, token); err == nil {
			return k, nil
		}
	}
	if errors.Is(err, access.ErrUnknown) {
		err = problem(http.StatusUnauthorized, codeSignIn, "This token is not known, or no longer. The admin token was printed when the server started, and API keys are made with it; without an Authorization header you are a guest.")
	}
	return access.Key{}, err
}

// good reports whether the credentials of somebody who is here still are.
func (i *Identity) good(ctx context.Context, p Principal) bool {
	return p.Key == "" || i.Keys.Good(ctx, p.Key)
}

// secure reports whether a cookie set in answer to r is for TLS alone.
func (i *Identity) secure(r *http.Request) bool {
	switch i.SecureCookies {
	case "true":
		return true
	case "false":
		return false
	}
	return i.overTLS(r)
}

// overTLS reports whether the client speaks TLS, with this server or with a
// proxy that is believed.
func (i *Identity) overTLS(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	ip := net.ParseIP(host)
	proxied := ip != nil && slices.ContainsFunc(i.Proxies, func(n *net.IPNet) bool { return n.Contains(ip) })
	return proxied && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// retrieves reports whether a request may search documents.
func (i *Identity) retrieves(r *http.Request) (bool, error) {
	t := bearer(r)
	if same(t, i.RetrievalToken) {
		return true, nil
	}
	if t == "" {
		return false, nil
	}
	_, err := i.ofToken(r, t)
	if p := problemOf(err); p != nil && p.Status == http.StatusUnauthorized {
		return false, nil
	}
	return err == nil, err
}

func same(got, want string) bool {
	return want != "" && subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}

func (i *Identity) sign(id string) string { return id + "." + i.mac(id) }

func (i *Identity) verify(cookie string) (id string, ok bool) {
	id, mac, _ := strings.Cut(cookie, ".")
	return id, chat.ValidID(id) && same(mac, i.mac(id))
}

func (i *Identity) mac(id string) string { return i.macOf("guest:" + id) }

func (i *Identity) macOf(what string) string {
	m := hmac.New(sha256.New, i.CookieKey)
	m.Write([]byte(what))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}
