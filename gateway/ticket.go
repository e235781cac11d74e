package gateway

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// ticketFor is how long a ticket may be used, once.
const ticketFor = 30 * time.Second

// A ticket opens one connection for somebody whose page cannot send a header
// or a cookie here. It may stand in a URL, where logs keep it, since nobody
// can use it a second time.
type ticket struct {
	Owner   string `json:"o"`
	Key     string `json:"k,omitempty"`
	Expires int64  `json:"e"` // ms since 1970
	Nonce   string `json:"n"`
}

// giveTicket gives whoever asks a ticket for themselves; a system asks for the
// one of its people whom it names.
func (s *Server) giveTicket(c echo.Context) error {
	p := who(c)
	if p.Admin {
		return problem(http.StatusForbidden, codeForbidden, "There are no tickets for the administrator. Make an API key, and ask with that.")
	}
	if err := s.allow(c.Request().Context(), "tickets", "ticket:"+p.Owner, s.Limits.MessagesPerMinute); err != nil {
		return err
	}
	t := ticket{Owner: p.Owner, Key: p.Key, Expires: time.Now().Add(ticketFor).UnixMilli(), Nonce: rand.Text()}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusCreated, map[string]any{"ticket": s.Identity.write(t), "expiresMs": ticketFor.Milliseconds()})
}

func (i *Identity) write(t ticket) string {
	b, _ := json.Marshal(t) // of texts and a number
	text := base64.RawURLEncoding.EncodeToString(b)
	return text + "." + i.macOf("ticket:"+text)
}

// read returns what a ticket says, if it is one of ours and not too old.
func (i *Identity) read(text string, now time.Time) (t ticket, ok bool) {
	body, mac, _ := strings.Cut(text, ".")
	if !same(mac, i.macOf("ticket:"+body)) {
		return t, false
	}
	b, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil || json.Unmarshal(b, &t) != nil {
		return t, false
	}
	return t, now.UnixMilli() < t.Expires
}

// ticketed is person for who brings a ticket instead of credentials.
func (s *Server) ticketed(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		text := c.QueryParam("ticket")
		if text == "" {
			return s.person(next)(c)
		}
		p, err := s.redeem(c, text)
		if err != nil {
			return err
		}
		p.Addr = c.RealIP()
		c.Set(principalKey, p)
		return next(c)
	}
}

// redeem uses a ticket up, on all replicas. Without Redis that cannot be done,
// and no ticket opens anything.
func (s *Server) redeem(c echo.Context, text string) (Principal, error) {
	spent := problem(http.StatusUnauthorized, codeSignIn, "This ticket was used before or is too old. Each opens one connection within %d s: ask for another.", ticketFor/time.Second)
	t, ok := s.Identity.read(text, time.Now())
	if !ok {
		return Principal{}, spent
	}
	first, _, err := s.Limiter.Allow(c.Request().Context(), "used:"+t.Nonce, 1, 2*ticketFor)
	if err != nil {
		return Principal{}, err
	}
	p := Principal{Owner: t.Owner, Key: t.Key, Chat: true}
	if !first || !s.Identity.good(c.Request().Context(), p) {
		return Principal{}, spent
	}
	return p, nil
}
