package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"parley/gateway/chat"
	"parley/gateway/run"
	"parley/gateway/store"
	"parley/tools"
	"parley/tools/feed"
	"parley/tools/rag"
)

// A Problem is what a client is told of an error, as RFC 9457 has it: over
// HTTP as application/problem+json, on a WebSocket inside an err frame. Its
// detail says what to do; nothing internal is shown.
type Problem struct {
	Type    string `json:"type"` // "about:blank#" and the code, which is stable
	Title   string `json:"title"`
	Status  int    `json:"status"`
	Detail  string `json:"detail,omitempty"`
	Code    string `json:"code"`
	Field   string `json:"field,omitempty"` // of the request, that is wrong
	RetryMs int64  `json:"retryMs,omitempty"`
}

func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// The codes of problems.
const (
	codeNotFound    = "not_found"
	codeBadFrame    = "bad_frame"
	codeBadRequest  = "bad_request"
	codeUnknown     = "unknown_command"
	codeTooLong     = "too_long"
	codeTooMany     = "too_many"
	codeLimited     = "rate_limited"
	codeUnavailable = "unavailable"
	codeBusy        = "busy"
	codeConflict    = "conflict"
	codeAnswered    = "already_answered"
	codeExpired     = "expired"
	codeForbidden   = "forbidden"
	codeSignIn      = "sign_in"
	codeFull        = "storage_full"
	codeQuota       = "quota_exceeded"
	codeBudget      = "budget"
	codeInternal    = "internal"
)

func problem(status int, code, format string, args ...any) *Problem {
	return &Problem{Type: "about:blank#" + code, Title: http.StatusText(status), Status: status, Code: code, Detail: fmt.Sprintf(format, args...)}
}

func (p *Problem) in(field string) *Problem { p.Field = field; return p }

func (p *Problem) after(d time.Duration) *Problem { p.RetryMs = max(d.Milliseconds(), 1); return p }

func notFound(what string) *Problem {
	return problem(http.StatusNotFound, codeNotFound, "There is no such %s, or it is not yours.", what)
}

func internal() *Problem {
	return problem(http.StatusInternalServerError, codeInternal, "Something went wrong on our side.")
}

// problemOf turns an error of a lower room into what a client may know of it.
func problemOf(err error) *Problem {
	var p *Problem
	var upload *rag.UploadError
	var field *tools.FieldError
	var payload *run.PayloadError
	var decision *store.DecisionError
	var budget *run.BudgetError
	var he *echo.HTTPError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &upload):
		return uploadProblem(upload)
	case errors.As(err, &payload):
		return payloadProblem(payload)
	case errors.As(err, &budget):
		return problem(http.StatusTooManyRequests, codeBudget, "%s", budget.Advice()).after(time.Until(budget.Until))
	case errors.As(err, &decision):
		return decisionProblem(decision)
	case errors.As(err, &field):
		return problem(http.StatusUnprocessableEntity, codeBadRequest, "%s", field.Reason).in(field.Field)
	case errors.Is(err, chat.ErrNoFile):
		return notFound("file").in("msg.files")
	case errors.Is(err, chat.ErrQuota):
		return problem(http.StatusInsufficientStorage, codeQuota, "There are as many files as there may be. Delete a conversation that has some.")
	case errors.Is(err, chat.ErrTaken):
		return problem(http.StatusConflict, codeConflict, "Another file was sent under this key. Take a new one for each file.").in("clientId")
	case errors.Is(err, store.ErrCursor):
		return problem(http.StatusBadRequest, codeBadRequest, "This cursor is not of this list. Begin without one.").in("after")
	case errors.Is(err, chat.ErrPosition):
		return problem(http.StatusBadRequest, codeBadRequest, "%s", chat.ErrPosition).in("after")
	case errors.Is(err, chat.ErrNotFound):
		return notFound("thing")
	case errors.Is(err, chat.ErrFull):
		return problem(http.StatusInsufficientStorage, codeFull, "The server's storage is full. Nothing was taken; the operator has to make room.")
	case errors.Is(err, run.ErrBusy), errors.Is(err, store.ErrRunning):
		return problem(http.StatusConflict, codeBusy, "The answer is still being written. Stop it or wait for its end.")
	case errors.Is(err, run.ErrUnheard):
		return problem(http.StatusServiceUnavailable, codeUnavailable, "What you sent is kept and will be done, but nobody can be told of it at the moment. Send it again with the same clientId in a moment: it is done once.").after(spread())
	case errors.Is(err, store.ErrNotQuestion):
		return problem(http.StatusBadRequest, codeBadRequest, "Only what a person said can be edited.").in("messageId")
	case errors.Is(err, store.ErrEdited):
		return problem(http.StatusConflict, codeConflict, "This message was edited, or one before it, and is no longer shown. Edit the one in its place.").in("messageId")
	case errors.Is(err, run.ErrNotLast), errors.Is(err, store.ErrNotLast):
		return problem(http.StatusConflict, codeConflict, "Only the last answer of a conversation can be given anew.")
	case errors.Is(err, chat.ErrPinned):
		return problem(http.StatusConflict, codeTooMany, "As many feeds are pinned to this conversation as may be. Unpin one.").in("feed")
	case errors.Is(err, feed.ErrTooMany):
		return problem(http.StatusConflict, codeTooMany, "There are as many feeds as may be. Delete one; the operator can raise PARLEY_FEEDS.")
	case errors.Is(err, tools.ErrBuiltin):
		return problem(http.StatusConflict, codeConflict, "A built-in tool has this name. Choose another.").in("name")
	case errors.As(err, &he):
		return problem(he.Code, codeOf(he.Code), "%v", he.Message)
	}
	return nil
}

func uploadProblem(e *rag.UploadError) *Problem {
	status := http.StatusUnprocessableEntity
	if e.Kind == rag.TooLarge {
		status = http.StatusRequestEntityTooLarge
	}
	return problem(status, string(e.Kind), "%s", e.Reason)
}

func codeOf(status int) string {
	switch status {
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return codeNotFound
	case http.StatusRequestEntityTooLarge:
		return codeTooLong
	case http.StatusTooManyRequests:
		return codeLimited
	}
	return codeBadRequest
}

// explain is problemOf for whatever else goes wrong too: it is logged here,
// and the client is told that it can try again.
func (s *Server) explain(err error, what string) *Problem {
	if p := problemOf(err); p != nil {
		return p
	}
	if errors.Is(err, context.Canceled) { // whoever asked has gone
		s.log.Debug(what, "error", err)
	} else {
		s.log.Error(what, "error", err)
	}
	return problem(http.StatusServiceUnavailable, codeUnavailable, "Something that the server needs does not answer. Try again in a moment.").after(spread())
}

// handleError writes what a handler returned.
func (s *Server) handleError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	p := s.explain(err, c.Request().Method+" "+c.Path())
	h := c.Response().Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if p.RetryMs > 0 {
		h.Set("Retry-After", fmt.Sprint((p.RetryMs+999)/1000))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="parley"`)
	}
	c.Response().WriteHeader(p.Status)
	if c.Request().Method != http.MethodHead {
		_ = json.NewEncoder(c.Response()).Encode(p)
	}
}
