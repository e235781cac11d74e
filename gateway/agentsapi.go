package gateway

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"parley/gateway/agents"
)

// agentLine is what everybody may know of an agent.
type agentLine struct {
	Name        string   `json:"name"`
	Title       string   `json:"title,omitempty"`
	Description string   `json:"description,omitempty"`
	Questions   []string `json:"questions,omitempty"`
}

// listAgents lists who can answer, the default first.
func (s *Server) listAgents(c echo.Context) error {
	all, err := s.Agents.List(c.Request().Context())
	if err != nil {
		return err
	}
	lines := make([]agentLine, len(all))
	for i, v := range all {
		lines[i] = agentLine{v.Name, v.Title, v.Description, v.Questions}
	}
	return c.JSON(http.StatusOK, map[string]any{"agents": lines})
}

// agentShown is an agent with what its fields can be.
type agentShown struct {
	agents.Version
	Available available `json:"available"`
}

type available struct {
	Models []string `json:"models"` // that an agent can choose
	System string   `json:"system"` // what the settings instruct an agent that has no instructions
}

// getAgent shows the newest version of an agent. Its ETag is its version, for
// If-Match.
func (s *Server) getAgent(c echo.Context) error {
	v, err := s.Agents.Get(c.Request().Context(), c.Param("name"))
	if err != nil {
		return absent(err, "agent")
	}
	setVersion(c, v)
	return c.JSON(http.StatusOK, agentShown{v, available{append([]string{}, s.Agents.Models()...), s.Agents.Builtin.System}})
}

func setVersion(c echo.Context, v agents.Version) {
	c.Response().Header().Set("ETag", `"`+strconv.Itoa(v.Version)+`"`)
}

// putAgent stores a new version of an agent. With If-Match it does so only if
// nobody else has since.
func (s *Server) putAgent(c echo.Context) error {
	b, err := readBody(c, agents.MaxBody)
	if err != nil {
		return err
	}
	if b, err = named(b, c.Param("name")); err != nil {
		return err
	}
	a, err := agents.Decode(b)
	if err != nil {
		return err
	}
	expected, err := expectedVersion(c.Request().Header)
	if err != nil {
		return err
	}
	v, fresh, err := s.Agents.Put(c.Request().Context(), a, maker(who(c)), expected)
	if err != nil {
		return agentError(err)
	}
	setVersion(c, v)
	status := http.StatusOK
	if fresh && v.Version == 1 {
		status = http.StatusCreated
	}
	return c.JSON(status, v)
}

// maker names who changes an agent: a person of a tenant's, or whoever has the
// admin token, on a page that was signed in with it too.
func maker(p Principal) string {
	if p.Key == "" {
		return adminOwner
	}
	return p.Owner
}

// expectedVersion returns the version that a change is made to: negative for
// any, 0 for none.
func expectedVersion(h http.Header) (int, error) {
	match := h.Get("If-Match")
	switch {
	case h.Get("If-None-Match") == "*":
		return 0, nil
	case match == "" || match == "*":
		return -1, nil
	}
	n, err := strconv.Atoi(strings.Trim(strings.TrimPrefix(match, "W/"), `"`)) // a proxy that compresses makes it weak
	if err != nil || n < 0 {
		return 0, problem(http.StatusBadRequest, codeBadRequest, "If-Match is the ETag of the agent that you have changed, such as \"3\".").in("If-Match")
	}
	return n, nil
}

func (s *Server) deleteAgent(c echo.Context) error {
	if err := s.Agents.Delete(c.Request().Context(), c.Param("name")); err != nil {
		return agentError(err)
	}
	return c.NoContent(http.StatusNoContent)
}

// listAgentVersions lists the versions of an agent, the newest first, also of
// one that was deleted.
func (s *Server) listAgentVersions(c echo.Context) error {
	limit, err := limitParam(c)
	if err != nil {
		return err
	}
	before, err := 0, error(nil)
	if text := c.QueryParam("before"); text != "" {
		if before, err = strconv.Atoi(text); err != nil || before < 1 {
			return problem(http.StatusBadRequest, codeBadRequest, "before is a version.").in("before")
		}
	}
	vs, err := s.Agents.Store.AgentVersions(c.Request().Context(), c.Param("name"), before, limit+1)
	if err != nil {
		return err
	}
	if len(vs) == 0 && before == 0 && c.Param("name") != agents.Default {
		return notFound("agent")
	}
	next := 0
	if len(vs) > limit {
		vs = vs[:limit]
		next = vs[limit-1].Version
	}
	return c.JSON(http.StatusOK, struct {
		Versions []agents.Version `json:"versions"`
		Next     int              `json:"next,omitempty"` // for before, if there are more
	}{append([]agents.Version{}, vs...), next})
}

func (s *Server) getAgentVersion(c echo.Context) error {
	n, err := strconv.Atoi(c.Param("n"))
	if err != nil {
		return notFound("version")
	}
	v, err := s.Agents.Store.AgentVersion(c.Request().Context(), c.Param("name"), n)
	if err != nil {
		return absent(err, "version")
	}
	return c.JSON(http.StatusOK, v)
}

// checkAgent makes sure that there is an agent of that name.
func (s *Server) checkAgent(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	_, err := s.Agents.Get(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return problem(http.StatusUnprocessableEntity, codeBadRequest, "There is no agent %.64q. GET /v1/agents names those that there are.", name).in("agent")
	}
	return err
}

func agentError(err error) error {
	switch {
	case errors.Is(err, agents.ErrChanged):
		return problem(http.StatusPreconditionFailed, codeConflict, "Somebody else has changed this agent. Read it again, and change that.").in("If-Match")
	case errors.Is(err, agents.ErrDefault):
		return problem(http.StatusConflict, codeConflict, "The default agent is always there. Put {} to have it do again what the settings say.").in("name")
	case errors.Is(err, agents.ErrTooMany):
		return problem(http.StatusConflict, codeTooMany, "There are as many agents as may be. Delete one.").in("name")
	}
	return absent(err, "agent")
}
