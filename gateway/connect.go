package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"parley/tools"
)

// connect sends a person to a service, to agree that Parley acts for them.
func (s *Server) connect(c echo.Context) error {
	p := who(c)
	if err := s.mayDepart(c, p); err != nil {
		return err
	}
	state := s.Identity.state(p.Owner)
	to, err := s.credentials().Depart(c.Request().Context(), c.Param("credential"), p.Owner, state, s.wayBack(c.Request()))
	if err != nil {
		return absent(err, "service to connect")
	}
	h := c.Response().Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	return c.Redirect(http.StatusFound, to)
}

// Departures in a minute, which the store keeps until they lapse: of one
// address, whose guests are as many as it likes.
const departures = 60

func (s *Server) mayDepart(c echo.Context, p Principal) error {
	ok, wait, err := s.Limiter.Allow(c.Request().Context(), "connect:"+p.Addr, departures, time.Minute)
	if err != nil {
		return err
	}
	if !ok {
		return problem(http.StatusTooManyRequests, codeLimited, "Too many people of this address connect at once. Wait a little.").after(wait)
	}
	return nil
}

// wayBack is where a service sends people back to.
func (s *Server) wayBack(r *http.Request) string {
	base := s.PublicURL
	if base == "" {
		base = "http://" + r.Host // which is one of Hosts
		if s.Identity.overTLS(r) {
			base = "https://" + r.Host
		}
	}
	return strings.TrimSuffix(base, "/") + "/v1/connect/callback"
}

// state returns a value that nobody can guess and that only that person can
// come back with.
func (i *Identity) state(owner string) string {
	nonce := rand.Text()
	return nonce + "." + i.macOf("connect:"+nonce+":"+owner)
}

func (i *Identity) ownState(state, owner string) bool {
	nonce, mac, _ := strings.Cut(state, ".")
	return same(mac, i.macOf("connect:"+nonce+":"+owner))
}

// connected is where people come back to. Whatever comes of it is a page: a
// browser's tab is what shows it.
func (s *Server) connected(c echo.Context) error {
	p, q := who(c), c.QueryParams()
	state := q.Get("state")
	if !s.Identity.ownState(state, p.Owner) {
		return s.connectPage(c, http.StatusBadRequest, arrival{Text: strayed})
	}
	name, err := s.credentials().Arrive(c.Request().Context(), p.Owner, state, q.Get("code"), q.Get("error"))
	var wrong *tools.ConnectError
	switch {
	case err == nil:
		return s.connectPage(c, http.StatusOK, arrival{Credential: name})
	case errors.Is(err, tools.ErrDeparture):
		return s.connectPage(c, http.StatusBadRequest, arrival{Text: strayed})
	case errors.As(err, &wrong):
		// Not 502: nginx would ask the next replica, where the way back is used already.
		return s.connectPage(c, http.StatusFailedDependency, arrival{Text: wrong.Reason})
	}
	return s.connectPage(c, http.StatusServiceUnavailable, arrival{Text: s.explain(err, "connect").Detail})
}

const strayed = "This way back was used already, has expired, or belongs to another browser. Begin again where you were asked to connect."

// An arrival is what the page shows: that Credential is connected, or Text.
type arrival struct {
	Credential, Text string
	Script           template.JS
	Style            template.CSS
}

//go:embed connect.html
var connectHTML embed.FS

// What the page runs and looks like. Other tabs of this site hear of it; the
// address, which holds a code, does not stay in the tab's history.
const (
	connectScript = `history.replaceState(null,"",location.pathname);const c=document.body.dataset.credential;if(c)new BroadcastChannel("parley-connect").postMessage({credential:c})`
	connectStyle  = `body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem;color-scheme:light dark}`
)

// connectPolicy lets the page run what it came with and nothing else.
func connectPolicy() string {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return "default-src 'none'; script-src " + hash(connectScript) + "; style-src " + hash(connectStyle) + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

func (s *Server) connectPage(c echo.Context, status int, a arrival) error {
	a.Script, a.Style = connectScript, connectStyle
	page, err := template.ParseFS(connectHTML, "connect.html")
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", connectPolicy())
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	c.Response().WriteHeader(status)
	return page.Execute(c.Response(), a)
}

func (s *Server) listConnections(c echo.Context) error {
	all, err := s.credentials().Connections(c.Request().Context(), who(c).Owner)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]any{"connections": append([]tools.Connection{}, all...)})
}

func (s *Server) deleteConnection(c echo.Context) error {
	if err := s.credentials().Disconnect(c.Request().Context(), c.Param("credential"), who(c).Owner); err != nil {
		return absent(err, "connection")
	}
	return c.NoContent(http.StatusNoContent)
}
