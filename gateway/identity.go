package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"parley/gateway/chat"
)

// A Principal is who a request comes from. What belongs to one Owner is as
// good as absent for every other.
type Principal struct {
	Owner string
	Admin bool   // may change tools and documents
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
		if !same(t, i.AdminToken) {
			return Principal{}, problem(http.StatusUnauthorized, codeSignIn, "This token is not known. The admin token was printed when the server started; without an Authorization header you are a guest.")
		}
		return Principal{Owner: adminOwner, Admin: true}, nil
	}
	if c, err := r.Cookie(cookieName); err == nil {
		if id, ok := i.verify(c.Value); ok {
			return Principal{Owner: "guest." + id}, nil
		}
	}
	id := chat.NewID("g")
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: i.sign(id), Path: "/", MaxAge: int(cookieAge.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: i.secure(r),
	})
	return Principal{Owner: "guest." + id}, nil
}

// secure reports whether a cookie set in answer to r is for TLS alone.
func (i *Identity) secure(r *http.Request) bool {
	switch i.SecureCookies {
	case "true":
		return true
	case "false":
		return false
	}
	if r.TLS != nil {
		return true
	}
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	ip := net.ParseIP(host)
	proxied := ip != nil && slices.ContainsFunc(i.Proxies, func(n *net.IPNet) bool { return n.Contains(ip) })
	return proxied && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// retrieves reports whether a request may search documents.
func (i *Identity) retrieves(r *http.Request) bool {
	t := bearer(r)
	return same(t, i.RetrievalToken) || same(t, i.AdminToken)
}

func same(got, want string) bool {
	return want != "" && subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}

func (i *Identity) sign(id string) string { return id + "." + i.mac(id) }

func (i *Identity) verify(cookie string) (id string, ok bool) {
	id, mac, _ := strings.Cut(cookie, ".")
	return id, chat.ValidID(id) && same(mac, i.mac(id))
}

func (i *Identity) mac(id string) string {
	m := hmac.New(sha256.New, i.CookieKey)
	m.Write([]byte("guest:" + id))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}
