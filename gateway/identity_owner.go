package gateway

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	ownerCookie = "parley_owner"
	ownerAge    = 12 * time.Hour
)

// openOwner gives whoever has the admin token a cookie that opens what the
// token does for tools and documents, for some hours. It makes nobody another
// person: conversations stay those of the guest.
func (i *Identity) openOwner(w http.ResponseWriter, r *http.Request, token string) (until time.Time, ok bool) {
	if !same(token, i.AdminToken) {
		return time.Time{}, false
	}
	until = time.Now().Add(ownerAge).Truncate(time.Second)
	at := strconv.FormatInt(until.Unix(), 10)
	http.SetCookie(w, i.ownerCookie(r, at+"."+i.ownerMAC(at), int(ownerAge.Seconds())))
	return until, true
}

func (i *Identity) closeOwner(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, i.ownerCookie(r, "", -1))
}

func (i *Identity) ownerCookie(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: ownerCookie, Value: value, Path: "/v1", MaxAge: age,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: i.secure(r),
	}
}

// ownerUntil returns until when a request's owner cookie is good. One that
// another site's page caused has none, whatever the browser sent.
func (i *Identity) ownerUntil(r *http.Request) (time.Time, bool) {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return time.Time{}, false
	}
	c, err := r.Cookie(ownerCookie)
	if err != nil {
		return time.Time{}, false
	}
	at, mac, _ := strings.Cut(c.Value, ".")
	unix, err := strconv.ParseInt(at, 10, 64)
	until := time.Unix(unix, 0)
	return until, err == nil && same(mac, i.ownerMAC(at)) && time.Now().Before(until)
}

// ownerMAC binds a cookie to the admin token too: with another token all
// sessions are over.
func (i *Identity) ownerMAC(at string) string { return i.macOf("owner:" + at + ":" + i.AdminToken) }
