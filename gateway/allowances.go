package gateway

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// An allowance is a tool about which a conversation does not ask, since a
// person said so when it last did.
type allowance struct {
	Tool string `json:"tool"`
}

func (s *Server) listAllowances(c echo.Context) error {
	names, err := s.Store.Allowances(c.Request().Context(), c.Param("c"))
	if err != nil {
		return err
	}
	all := make([]allowance, len(names))
	for i, name := range names {
		all[i].Tool = name
	}
	return c.JSON(http.StatusOK, map[string]any{"allowances": all})
}

// deleteAllowance takes an allowance back: the next call of the tool is asked
// about, on whichever replica, since each call looks in the store.
func (s *Server) deleteAllowance(c echo.Context) error {
	err := s.Store.Disallow(c.Request().Context(), c.Param("c"), c.Param("tool"))
	if p := problemOf(err); p != nil && p.Status == http.StatusNotFound {
		return notFound("allowance")
	}
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
