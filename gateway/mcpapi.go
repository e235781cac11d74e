package gateway

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"parley/tools/mcp"
)

func (s *Server) listMCP(c echo.Context) error {
	list, err := s.MCP.List(c.Request().Context())
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]any{"servers": list})
}

func (s *Server) getMCP(c echo.Context) error {
	status, err := s.MCP.Get(c.Request().Context(), c.Param("name"))
	if err != nil {
		return mcpError(err)
	}
	return c.JSON(http.StatusOK, status)
}

// putMCP registers a server of streamable HTTP. One that is run as a process
// is the operator's to set up, not an administrator's.
func (s *Server) putMCP(c echo.Context) error {
	b, err := readBody(c, mcp.MaxServer)
	if err != nil {
		return err
	}
	name := c.Param("name")
	if b, err = named(b, name); err != nil {
		return err
	}
	server, err := mcp.Decode(b)
	if err != nil {
		return err
	}
	status, err := s.MCP.Put(c.Request().Context(), server)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, status)
}

func (s *Server) deleteMCP(c echo.Context) error {
	if err := s.MCP.Delete(c.Request().Context(), c.Param("name")); err != nil {
		return mcpError(err)
	}
	return c.NoContent(http.StatusNoContent)
}

func mcpError(err error) error {
	if p := problemOf(err); p != nil && p.Status == http.StatusNotFound {
		return notFound("MCP server")
	}
	return err
}
