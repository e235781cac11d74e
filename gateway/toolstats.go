package gateway

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"parley/tools"
)

// lastHour returns how tools have been used, and false if that cannot be
// known now: a list of tools does without.
func (s *Server) lastHour(ctx context.Context) (map[string]tools.Use, bool) {
	if s.Use == nil {
		return nil, false
	}
	used, err := s.Use.Hour(ctx)
	if err != nil {
		s.log.Warn("the use of tools could not be read", "error", err)
	}
	return used, err == nil
}

// toolStats returns how one tool has been used of late.
func (s *Server) toolStats(c echo.Context) error {
	ctx := c.Request().Context()
	set, err := s.Tools.Set(ctx)
	if err != nil {
		return err
	}
	name := c.Param("name")
	if _, ok := set.Spec(name); !ok {
		return notFound("tool")
	}
	if s.Use == nil {
		return c.JSON(http.StatusOK, tools.UseSeries{})
	}
	series, err := s.Use.Series(ctx, name)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, series)
}
