package gateway

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"parley/tools"
)

func (s *Server) listCredentials(c echo.Context) error {
	all, err := s.credentials().List(c.Request().Context())
	if err != nil {
		return err
	}
	list := make([]tools.Credential, len(all))
	for i, one := range all {
		list[i] = one.Public()
	}
	return c.JSON(http.StatusOK, map[string]any{"credentials": list})
}

func (s *Server) getCredential(c echo.Context) error {
	one, err := s.credentials().Get(c.Request().Context(), c.Param("name"))
	if err != nil {
		return absent(err, "credential")
	}
	return c.JSON(http.StatusOK, one.Public())
}

func (s *Server) putCredential(c echo.Context) error {
	b, err := readBody(c, tools.MaxCredential)
	if err != nil {
		return err
	}
	if b, err = named(b, c.Param("name")); err != nil {
		return err
	}
	one, err := tools.DecodeCredential(b)
	if err != nil {
		return err
	}
	stored, err := s.credentials().Put(c.Request().Context(), one)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, stored.Public())
}

func (s *Server) deleteCredential(c echo.Context) error {
	if err := s.credentials().Delete(c.Request().Context(), c.Param("name")); err != nil {
		return absent(err, "credential")
	}
	return c.NoContent(http.StatusNoContent)
}

// credentials returns those of the tools.
func (s *Server) credentials() *tools.Credentials { return s.Tools.Credentials }

// absent says in the words of a thing that there is none.
func absent(err error, what string) error {
	if p := problemOf(err); p != nil && p.Status == http.StatusNotFound {
		return notFound(what)
	}
	return err
}
