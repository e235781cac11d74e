package llmtest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A Request is one that a [Handler] got.
type Request struct {
	N          int // 1 for the first one
	Dialect    Dialect
	Path       string
	Header     http.Header
	Body       json.RawMessage // as it came
	Model      string
	Messages   []Message
	Tools      []string // names, in their order
	ToolChoice string
	Stream     bool
}

// A Message is one of a request's messages.
type Message struct {
	Role, Content, ToolCallID string
	Calls                     []Call
	Opaque                    []string // what [Reply.Opaque] was, as it came back
	Parts                     []Part   // of a person's message that has more than text, in their order
}

// Last returns the last message, the zero Message if there are none.
func (r Request) Last() Message {
	if len(r.Messages) == 0 {
		return Message{}
	}
	return r.Messages[len(r.Messages)-1]
}

// A Handler is a model that answers after a script, in the [Dialect] whose path
// is asked: POST …/chat/completions, …/responses, …/messages, /api/chat or
// …:streamGenerateContent. All methods may be called
// concurrently; the fields must not change once it serves.
type Handler struct {
	// Script answers a request; it may be called concurrently. nil: the model
	// repeats what was said last.
	Script func(Request) Reply

	// Keep bounds how many requests Requests returns, the last ones; 0 means
	// 100, less than 0 none.
	Keep int

	mu       sync.Mutex
	n        int
	requests []Request
}

// Requests returns the last requests, oldest first.
func (h *Handler) Requests() []Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.requests)
}

// Count returns how many requests came.
func (h *Handler) Count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.n
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d := dialectOf(r.URL.Path)
	if r.Method != http.MethodPost || d == "" {
		writeError(w, OpenAI, Fail(http.StatusNotFound, "not_found", "there is no model at "+r.Method+" "+r.URL.Path))
		return
	}
	req, err := h.record(r, d)
	if err != nil {
		writeError(w, d, Fail(http.StatusBadRequest, "invalid_request_error", err.Error()))
		return
	}
	reply := Text(req.Last().Content)
	if h.Script != nil {
		reply = h.Script(req)
	}
	a := &answer{w: w, ctx: r.Context(), req: req, reply: reply}
	a.serve()
}

// record reads a request and keeps it.
func (h *Handler) record(r *http.Request, d Dialect) (Request, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 32<<20))
	if err != nil {
		return Request{}, err
	}
	req, err := parseRequest(d, body)
	if err != nil {
		return Request{}, err
	}
	req.Header, req.Path = r.Header.Clone(), r.URL.Path
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n++
	req.N = h.n
	if keep := max(cmp.Or(h.Keep, 100), 0); keep > 0 {
		if len(h.requests) >= keep {
			h.requests = slices.Delete(h.requests, 0, 1)
		}
		h.requests = append(h.requests, req)
	}
	return req, nil
}

func checkCalls(messages []Message) error {
	if len(messages) == 0 {
		return errors.New("there are no messages")
	}
	open := map[string]bool{}
	for _, m := range messages {
		switch {
		case m.Role == "tool" && !open[m.ToolCallID]:
			return fmt.Errorf("tool_call_id %q answers no call before it", m.ToolCallID)
		case m.Role == "tool":
			delete(open, m.ToolCallID)
		case len(open) > 0:
			return errors.New("an assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'")
		}
		for _, c := range m.Calls {
			open[c.ID] = true
		}
	}
	if len(open) > 0 {
		return errors.New("an assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'")
	}
	return nil
}

// writeError sends an error as the dialect's servers do.
func writeError(w http.ResponseWriter, d Dialect, reply Reply) {
	w.Header().Set("Content-Type", "application/json")
	if reply.RetryAfter > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(int(reply.RetryAfter.Seconds())))
	}
	w.WriteHeader(reply.Status)
	fmt.Fprint(w, d.errorJSON(reply.Status, reply.Code, reply.Error))
}

type object = map[string]any

// sleep waits for d or until ctx ends, and reports whether ctx goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// reset ends a connection as abruptly as it allows.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2: the stream is reset
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}
