package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"

	"parley/gateway/chat"
	"parley/tools"
)

// toolLine is one tool.
type toolLine struct {
	tools.Spec
	Builtin bool `json:"builtin"`
}

// listLine is one tool in a list.
type listLine struct {
	tools.Listing
	Stats *tools.Use `json:"stats,omitempty"` // of the last hour; nil if that is not known
}

// maxFoundTools is how many tools a search names if nobody says.
const maxFoundTools = 50

// listTools lists the tools by name, all or a page of them, or those that fit
// a search, the best first.
func (s *Server) listTools(c echo.Context) error {
	q, after := strings.TrimSpace(c.QueryParam("q")), c.QueryParam("after")
	limit, err := limitOf(c, 5000)
	if err != nil {
		return err
	}
	list, err := s.Tools.List(c.Request().Context(), q)
	if err != nil {
		return err
	}
	total := len(list)
	if q != "" && limit == 0 {
		limit = maxFoundTools
	}
	if q == "" && after != "" {
		i := slices.IndexFunc(list, func(l tools.Listing) bool { return l.Name > after })
		list = list[max(i, 0):]
		if i < 0 {
			list = nil
		}
	}
	next := ""
	if limit > 0 && len(list) > limit {
		list = list[:limit]
		if q == "" {
			next = list[limit-1].Name
		}
	}
	return c.JSON(http.StatusOK, struct {
		Tools []listLine `json:"tools"`
		Next  string     `json:"next,omitempty"` // for after, if there are more
		Total int        `json:"total"`
	}{s.linesOf(c.Request().Context(), list), next, total})
}

// linesOf says of each tool of a list how it has been used.
func (s *Server) linesOf(ctx context.Context, list []tools.Listing) []listLine {
	used, known := s.lastHour(ctx)
	lines := make([]listLine, len(list))
	for i, l := range list {
		lines[i].Listing = l
		if use := used[l.Name]; known {
			lines[i].Stats = &use
		}
	}
	return lines
}

// limitOf returns the member limit of a query, 0 if there is none.
func limitOf(c echo.Context, most int) (int, error) {
	text := c.QueryParam("limit")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, problem(http.StatusBadRequest, codeBadRequest, "limit is a number from 1 to %d.", most).in("limit")
	}
	return n, nil
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
		return c.JSON(http.StatusOK, toolLine{Spec: spec, Builtin: true})
	}
	e, err := s.Tools.Get(c.Request().Context(), name)
	if errors.Is(err, fs.ErrNotExist) {
		return s.getSupplied(c, name)
	}
	if err != nil {
		return absent(err, "tool")
	}
	return c.JSON(http.StatusOK, e.Public())
}

// getSupplied shows a tool that is declared elsewhere, by an MCP server.
func (s *Server) getSupplied(c echo.Context, name string) error {
	set, err := s.Tools.Set(c.Request().Context())
	if err != nil {
		return err
	}
	spec, ok := set.Spec(name)
	if !ok {
		return notFound("tool")
	}
	return c.JSON(http.StatusOK, toolLine{spec, false})
}

// maxEndpoint is how large the declaration of a tool may be.
const maxEndpoint = 256 << 10

func (s *Server) putTool(c echo.Context) error {
	b, err := readBody(c, maxEndpoint)
	if err != nil {
		return err
	}
	return s.storeTool(c, b)
}

// storeTool registers what b declares under the name in the address.
func (s *Server) storeTool(c echo.Context, b []byte) error {
	b, err := named(b, c.Param("name"))
	if err != nil {
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

// patchTool changes some members of a tool's declaration: the body is a merge
// patch (RFC 7396) of it as it is shown. Secrets that it does not name stay.
func (s *Server) patchTool(c echo.Context) error {
	b, err := readBody(c, maxEndpoint)
	if err != nil {
		return err
	}
	if s.isBuiltin(c.Param("name")) {
		return problem(http.StatusConflict, codeConflict, "A built-in tool cannot be changed.").in("name")
	}
	var members map[string]json.RawMessage
	if err := decodeStrict(b, &members); err != nil {
		return err
	}
	var patch map[string]any
	if err := decodeExact(b, &patch); err != nil || patch == nil { // null
		return problem(http.StatusBadRequest, codeBadRequest, "A change is a JSON object with the members to change, such as {\"disabled\": true}.")
	}
	e, err := s.Tools.Get(c.Request().Context(), c.Param("name"))
	if err != nil {
		return absent(err, "tool")
	}
	if b, err = patched(e.Public(), patch); err != nil {
		return err
	}
	return s.storeTool(c, b)
}

// patched returns the declaration of e after a merge patch.
func patched(e tools.Endpoint, patch map[string]any) ([]byte, error) {
	b, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	var doc any
	if err := decodeExact(b, &doc); err != nil {
		return nil, err
	}
	return json.Marshal(mergePatch(doc, patch))
}

// decodeExact decodes JSON and keeps numbers as they are written.
func decodeExact(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode(into)
}

// mergePatch is MergePatch of RFC 7396, section 2.
func mergePatch(target, patch any) any {
	members, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	object, ok := target.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	for name, v := range members {
		if v == nil {
			delete(object, name)
		} else {
			object[name] = mergePatch(object[name], v)
		}
	}
	return object
}

// draftTool makes a draft of a tool from a curl command. Nothing is stored and
// nothing called. The draft shows the secrets that the command has: whoever
// asks has just sent them.
func (s *Server) draftTool(c echo.Context) error {
	var body struct {
		Curl string `json:"curl"`
	}
	if err := decodeBody(c, 2*tools.MaxCurl, &body); err != nil {
		return err
	}
	e, warnings, err := tools.DraftCurl(body.Curl)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, struct {
		Tool     tools.Endpoint `json:"tool"`
		Warnings []string       `json:"warnings"`
	}{e, append([]string{}, warnings...)})
}

func (s *Server) deleteTool(c echo.Context) error {
	if err := s.Tools.Delete(c.Request().Context(), c.Param("name")); err != nil {
		return absent(err, "tool")
	}
	return c.NoContent(http.StatusNoContent)
}

// uncallable says why a tool cannot be called.
func (s *Server) uncallable(c echo.Context, name string) error {
	e, err := s.Tools.Get(c.Request().Context(), name)
	switch {
	case err != nil:
		return absent(err, "tool")
	case e.Disabled:
		return problem(http.StatusConflict, codeConflict, "This tool is disabled. Enable it to call it.").in("disabled")
	}
	return e.Validate()
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
		return s.uncallable(c, name)
	}
	id := c.Request().Header.Get("Idempotency-Key")
	if id == "" {
		id = chat.NewID("t")
	}
	var seen attempts
	r := set.Call(c.Request().Context(), tools.Call{ID: id, Name: name, Arguments: body.Arguments, Person: who(c).Owner, Watch: seen.add})
	return c.JSON(http.StatusOK, struct {
		Content  string          `json:"content"`
		Failed   bool            `json:"failed"`
		Outcome  tools.Outcome   `json:"outcome"`
		Attempts []tools.Attempt `json:"attempts,omitempty"` // HTTP requests made, the first of them
		Sources  []tools.Source  `json:"sources,omitempty"`
		Ask      *asked          `json:"ask,omitempty"` // nothing was done: a person is to be asked first
	}{r.Content, r.Failed, r.Outcome, seen.all(), r.Sources, askedOf(r.Ask)})
}

// maxAttempts is how many requests of a call are shown.
const maxAttempts = 16

// attempts gathers what a call does. All methods may be called concurrently.
type attempts struct {
	mu   sync.Mutex
	seen []tools.Attempt
}

func (a *attempts) add(one tools.Attempt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.seen) < maxAttempts {
		a.seen = append(a.seen, one)
	}
}

func (a *attempts) all() []tools.Attempt {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.seen)
}

// asked is what somebody who tries a tool sees of an Ask.
type asked struct {
	Reason  tools.AskReason `json:"reason"`
	Message string          `json:"message"`
	Schema  json.RawMessage `json:"schema,omitempty"`
	URL     string          `json:"url,omitempty"`
}

func askedOf(a *tools.Ask) *asked {
	if a == nil {
		return nil
	}
	return &asked{a.Reason, a.Message, a.Schema, a.URL}
}
