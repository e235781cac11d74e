package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// signedInfo is what a page may know of its own session.
type signedInfo struct {
	SignedIn bool       `json:"signedIn"`
	Expires  *time.Time `json:"expires,omitempty"`
}

// getSession says whether the page's user is signed in as owner.
func (s *Server) getSession(c echo.Context) error {
	a := signedInfo{}
	if until, ok := s.Identity.ownerUntil(c.Request()); ok {
		a = signedInfo{true, &until}
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, a)
}

// openSession signs a page's user in: the admin token for a cookie.
func (s *Server) openSession(c echo.Context) error {
	var body struct {
		Token string `json:"token"`
	}
	if err := decodeBody(c, 4096, &body); err != nil {
		return err
	}
	if err := s.checkSignIns(c.Request().Context(), who(c).Addr); err != nil {
		return err
	}
	until, ok := s.Identity.openOwner(c.Response(), c.Request(), body.Token)
	if !ok {
		return problem(http.StatusUnauthorized, codeSignIn, "This is not the admin token. It was printed when the server started, or is PARLEY_ADMIN_TOKEN.").in("token")
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, signedInfo{true, &until})
}

func (s *Server) closeSession(c echo.Context) error {
	s.Identity.closeOwner(c.Response(), c.Request())
	return c.NoContent(http.StatusNoContent)
}

// checkSignIns counts how often an address tries tokens, on all replicas.
func (s *Server) checkSignIns(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, countWithin)
	defer cancel()
	ok, wait, err := s.Limiter.Allow(ctx, "sign-in:"+addr, s.Limits.SignIns, time.Minute)
	if err != nil {
		s.log.Warn("limit", "error", err) // what cannot be counted is allowed: no token can be guessed
		return nil
	}
	if !ok {
		return problem(http.StatusTooManyRequests, codeLimited, "%d attempts to sign in a minute are allowed. Wait a little.", s.Limits.SignIns).after(wait)
	}
	return nil
}
