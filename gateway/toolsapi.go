package gateway

import (
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"parley/gateway/chat"
	"parley/tools"
)

// toolLine is one tool in a list.
type toolLine struct {
	tools.Spec
	Builtin bool `json:"builtin"`
}

func (s *Server) listTools(c echo.Context) error {
	set, err := s.Tools.Set(c.Request().Context())
	if err != nil {
		return err
	}
	list := []toolLine{}
	for _, spec := range set.Specs() {
		list = append(list, toolLine{spec, s.isBuiltin(spec.Name)})
	}
	return c.JSON(http.StatusOK, map[string]any{"tools": list})
}

func (s *Server) isBuiltin(name string) bool {
	for _, t := range s.Tools.Builtins {
		if t.Spec().Name == name {
			return true
		}
	}
	return false
}

func (s *Server) getTool(c echo.Context) error {
	name := c.Param("name")
	if s.isBuiltin(name) {
		set, err := s.Tools.Set(c.Request().Context())
		if err != nil {
			return err
		}
		spec, _ := set.Spec(name)
		return c.JSON(http.StatusOK, toolLine{spec, true})
	}
	e, err := s.Tools.Get(c.Request().Context(), name)
	if err != nil {
		return toolError(err)
	}
	return c.JSON(http.StatusOK, e.Public())
}

func toolError(err error) error {
	if p := problemOf(err); p != nil && p.Status == http.StatusNotFound {
		return notFound("tool")
	}
	return err
}

// maxEndpoint is how large the declaration of a tool may be.
const maxEndpoint = 256 << 10

func (s *Server) putTool(c echo.Context) error {
	b, err := readBody(c, maxEndpoint)
	if err != nil {
		return err
	}
	name := c.Param("name")
	if b, err = named(b, name); err != nil {
		return err
	}
	e, err := tools.DecodeEndpoint(b)
	if err != nil && e.Name == "" { // what is wrong with one that was decoded Put says, once masked secrets are in place
		return err
	}
	stored, err := s.Tools.Put(c.Request().Context(), e)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, stored.Public())
}

// named puts the name of the address into a declaration that has none, and
// refuses one that has another.
func named(b []byte, name string) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		return nil, jsonProblem(err)
	}
	if fields == nil { // null
		return nil, problem(http.StatusBadRequest, codeBadRequest, "A tool is declared by a JSON object.")
	}
	var had string
	if raw, ok := fields["name"]; ok {
		if err := json.Unmarshal(raw, &had); err != nil || had != name {
			return nil, problem(http.StatusBadRequest, codeBadRequest, "The name in the body is not the one in the address. Leave it out.").in("name")
		}
		return b, nil
	}
	fields["name"], _ = json.Marshal(name)
	return json.Marshal(fields)
}

func (s *Server) deleteTool(c echo.Context) error {
	if err := s.Tools.Delete(c.Request().Context(), c.Param("name")); err != nil {
		return toolError(err)
	}
	return c.NoContent(http.StatusNoContent)
}

// callTool tries a tool as an agent would call it.
func (s *Server) callTool(c echo.Context) error {
	var body struct {
		Arguments json.RawMessage `json:"arguments"`
	}
	if err := decodeBody(c, int64(s.Limits.Frame), &body); err != nil {
		return err
	}
	if len(body.Arguments) == 0 {
		body.Arguments = json.RawMessage("{}")
	}
	set, err := s.Tools.Set(c.Request().Context())
	if err != nil {
		return err
	}
	name := c.Param("name")
	if _, ok := set.Spec(name); !ok {
		return notFound("tool")
	}
	id := c.Request().Header.Get("Idempotency-Key")
	if id == "" {
		id = chat.NewID("t")
	}
	r := set.Call(c.Request().Context(), tools.Call{ID: id, Name: name, Arguments: body.Arguments, Person: who(c).Owner})
	return c.JSON(http.StatusOK, struct {
		Content string         `json:"content"`
		Failed  bool           `json:"failed"`
		Outcome tools.Outcome  `json:"outcome"`
		Sources []tools.Source `json:"sources,omitempty"`
	}{r.Content, r.Failed, r.Outcome, r.Sources})
}
