package gateway

import (
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"parley/gateway/chat"
)

const conversationKey = "conversation"

// own lets in whose conversation it is.
func (s *Server) own(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		conv, err := s.owned(c.Request().Context(), who(c), c.Param("c"))
		if err != nil {
			return err
		}
		c.Set(conversationKey, conv)
		return next(c)
	}
}

func (s *Server) createConversation(c echo.Context) error {
	var body struct {
		Title string `json:"title"`
		Agent string `json:"agent"`
	}
	if c.Request().ContentLength != 0 {
		if err := decodeBody(c, int64(s.Limits.Frame), &body); err != nil {
			return err
		}
	}
	if err := checkTitle(body.Title); err != nil {
		return err
	}
	if err := s.checkAgent(c.Request().Context(), body.Agent); err != nil {
		return err
	}
	now := time.Now().UTC()
	conv := chat.Conversation{ID: chat.NewID("c"), Owner: who(c).Owner, Title: body.Title, Created: now, Updated: now, Agent: body.Agent}
	if err := s.Store.CreateConversation(c.Request().Context(), conv); err != nil {
		return err
	}
	c.Response().Header().Set("Location", "/v1/conversations/"+conv.ID)
	return c.JSON(http.StatusCreated, conv)
}

func (s *Server) listConversations(c echo.Context) error {
	limit, err := limitParam(c)
	if err != nil {
		return err
	}
	cs, next, err := s.Store.Conversations(c.Request().Context(), who(c).Owner, c.QueryParam("after"), limit)
	if err != nil {
		return err
	}
	if cs == nil {
		cs = []chat.Conversation{}
	}
	return c.JSON(http.StatusOK, struct {
		Conversations []chat.Conversation `json:"conversations"`
		Next          string              `json:"next,omitempty"`
	}{cs, next})
}

func limitParam(c echo.Context) (int, error) {
	v := c.QueryParam("limit")
	if v == "" {
		return pageSize(0), nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > 200 {
		return 0, problem(http.StatusBadRequest, codeBadRequest, "limit is a number from 1 to 200.").in("limit")
	}
	return n, nil
}

func (s *Server) getConversation(c echo.Context) error {
	conv := c.Get(conversationKey).(chat.Conversation)
	return c.JSON(http.StatusOK, struct {
		chat.Conversation
		Ahead *int `json:"ahead,omitempty"`
	}{conv, s.ahead(conv.ID)})
}

// patchConversation gives a conversation another title, or another agent, or
// both.
func (s *Server) patchConversation(c echo.Context) error {
	var body struct {
		Title *string `json:"title"`
		Agent *string `json:"agent"`
	}
	if err := decodeBody(c, int64(s.Limits.Frame), &body); err != nil {
		return err
	}
	if body.Title == nil && body.Agent == nil {
		return problem(http.StatusBadRequest, codeBadRequest, "The title is empty.").in("title")
	}
	if err := s.checkPatch(c, body.Title, body.Agent); err != nil {
		return err
	}
	ctx, conv := c.Request().Context(), c.Get(conversationKey).(chat.Conversation)
	if body.Title != nil {
		if err := s.Store.RenameConversation(ctx, conv.ID, *body.Title); err != nil {
			return err
		}
		conv.Title = *body.Title
	}
	if body.Agent != nil {
		if err := s.Store.ChooseAgent(ctx, conv.ID, *body.Agent); err != nil {
			return err
		}
		conv.Agent = *body.Agent
	}
	return c.JSON(http.StatusOK, conv)
}

func (s *Server) checkPatch(c echo.Context, title, agent *string) error {
	if title != nil && strings.TrimSpace(*title) == "" {
		return problem(http.StatusBadRequest, codeBadRequest, "The title is empty.").in("title")
	}
	if title != nil {
		if err := checkTitle(*title); err != nil {
			return err
		}
	}
	if agent != nil {
		return s.checkAgent(c.Request().Context(), *agent)
	}
	return nil
}

// maxTitle is the length of a title in characters.
const maxTitle = 200

func checkTitle(t string) error {
	if !utf8.ValidString(t) || utf8.RuneCountInString(t) > maxTitle {
		return problem(http.StatusBadRequest, codeTooLong, "A title has at most %d characters.", maxTitle).in("title")
	}
	return nil
}

func (s *Server) deleteConversation(c echo.Context) error {
	ctx, conv := c.Request().Context(), c.Param("c")
	if err := s.Store.DeleteConversation(ctx, conv); err != nil {
		return err
	}
	if err := s.Runner.Deleted(ctx, conv); err != nil {
		s.Log.Warn("nobody is told that a conversation was deleted", "conversation", conv, "error", err)
	}
	return c.NoContent(http.StatusNoContent)
}

func (s *Server) listMessages(c echo.Context) error {
	limit, err := limitParam(c)
	if err != nil {
		return err
	}
	r, err := s.history(c.Request().Context(), who(c), command{C: c.Param("c"), Before: c.QueryParam("before"), Limit: limit})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, struct {
		Messages any    `json:"messages"`
		Next     string `json:"next,omitempty"`
	}{r.Messages, r.Next})
}

// postCommand carries out a WebSocket command that came over HTTP. Its answer
// is the same frame; an err frame has its problem's status too.
func (s *Server) postCommand(c echo.Context) error {
	b, err := readBody(c, int64(s.Limits.Frame))
	if err != nil {
		return err
	}
	var cmd command
	if err := decodeLoose(b, &cmd); err != nil {
		return err
	}
	cmd.C = c.Param("c")
	if key := c.Request().Header.Get("Idempotency-Key"); key != "" {
		if cmd.Msg != nil && cmd.Msg.ClientID == "" {
			cmd.Msg.ClientID = key
		}
		if cmd.ClientID == "" {
			cmd.ClientID = key
		}
	}
	r := s.execute(c.Request().Context(), who(c), cmd)
	if r.Problem != nil {
		return r.Problem
	}
	return c.JSON(http.StatusOK, r)
}

func (s *Server) getRun(c echo.Context) error {
	ctx := c.Request().Context()
	rec, err := s.Store.RunRecord(ctx, c.Param("run"))
	if err == nil {
		_, err = s.owned(ctx, who(c), rec.Conversation)
	}
	if err != nil {
		if problemOf(err) != nil {
			return notFound("run")
		}
		return err
	}
	return c.JSON(http.StatusOK, rec)
}
