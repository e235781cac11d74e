package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"parley/gateway/access"
)

// Keys is where API keys are kept.
type Keys interface {
	AddKey(ctx context.Context, k access.Key) error
	Keys(ctx context.Context) ([]access.Key, error)
	DeleteKey(ctx context.Context, id string) error
}

// madeKey is the answer to the making of a key: the only time that its token
// is shown.
type madeKey struct {
	access.Key
	Token string `json:"token"`
}

func (s *Server) addKey(c echo.Context) error {
	var body struct {
		Name    string         `json:"name"`
		Tenant  string         `json:"tenant"`
		Scopes  []access.Scope `json:"scopes"`
		Expires time.Time      `json:"expires"`
	}
	if err := decodeBody(c, int64(s.Limits.Frame), &body); err != nil {
		return err
	}
	if body.Scopes == nil {
		body.Scopes = []access.Scope{access.Chat}
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	k := access.Key{Name: body.Name, Tenant: body.Tenant, Scopes: body.Scopes, Created: now, Expires: body.Expires.UTC().Truncate(time.Millisecond)}
	if err := k.Check(now); err != nil {
		return keyProblem(err)
	}
	token := access.Mint(&k)
	if err := s.Keys.AddKey(c.Request().Context(), k); err != nil {
		return keyProblem(err)
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusCreated, madeKey{k, token})
}

func (s *Server) listKeys(c echo.Context) error {
	ks, err := s.Keys.Keys(c.Request().Context())
	if err != nil {
		return err
	}
	if ks == nil {
		ks = []access.Key{}
	}
	return c.JSON(http.StatusOK, map[string]any{"keys": ks})
}

// deleteKey takes a key back. Within a second or two nothing is done for it
// any more, and its connections end.
func (s *Server) deleteKey(c echo.Context) error {
	err := s.Keys.DeleteKey(c.Request().Context(), c.Param("id"))
	if p := problemOf(err); p != nil && p.Status == http.StatusNotFound {
		return notFound("key")
	}
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// keyProblem says which field of a key is wrong.
func keyProblem(err error) error {
	for wrong, field := range map[error]string{
		access.ErrName: "name", access.ErrTenant: "tenant", access.ErrScope: "scopes", access.ErrExpiry: "expires",
	} {
		if errors.Is(err, wrong) {
			return problem(http.StatusUnprocessableEntity, codeBadRequest, "%s", sentence(wrong)).in(field)
		}
	}
	if errors.Is(err, access.ErrTaken) {
		return problem(http.StatusConflict, codeConflict, "%s", "Another key has this name. Take that one back first, or choose another name.").in("name")
	}
	return err
}

// sentence is an error's text as people are told it.
func sentence(err error) string {
	text := err.Error()
	r, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + strings.TrimSuffix(text[n:], ".") + "."
}

// keysWithin bounds asking about the keys of all connections.
const keysWithin = 500 * time.Millisecond

// dismiss ends the connections whose keys were taken back or have expired.
func (s *Server) dismiss(conns []*conn) {
	ctx, cancel := context.WithTimeout(s.ctx, keysWithin)
	defer cancel()
	good := map[string]bool{}
	for _, c := range conns {
		id := c.who.Key
		if id == "" {
			continue
		}
		if _, asked := good[id]; !asked {
			good[id] = s.Identity.good(ctx, c.who)
		}
		if !good[id] {
			s.wg.Go(c.signOut)
		}
	}
}
