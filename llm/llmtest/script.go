package llmtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/llm"
)

// A Script is one behaviour of a model server, byte by byte, and what must
// come of it.
type Script struct {
	Name   string
	Ask    llm.Request // what is asked; without Messages, one that says hello
	Sends  Sending     // what of it must be in the first request
	Serve  http.HandlerFunc
	Client ClientAct // what the consumer does; "" for reading to the end
	Bare   bool      // the base URL has no path
	Bubble bool      // it takes so long that only a [testing/synctest] bubble can run it
	Want   Outcome
}

// A ClientAct is what a consumer does after the first piece.
type ClientAct string

// What a consumer may do before the end.
const (
	Cancels ClientAct = "cancels" // its context
	Stops   ClientAct = "stops"   // reading
)

// An Outcome is what must come of a script.
type Outcome struct {
	Text, Reasoning string
	Calls           []Call // an ID of "" stands for any that is not empty
	Finish          llm.Finish
	Usage           *llm.Usage // nil: not looked at; names are never looked at

	Err        llm.Kind // "" for success
	Status     int
	Code       string
	RetryAfter time.Duration
	MidStream  bool
	Cancelled  bool // the error must be context.Canceled
	Closed     bool // the connection must be closed by the client

	Unfit llm.Finish // the answer has not the format that was asked for, since it ended so; FinishStop: by what it says
	Anew  bool       // what the answer had begun with is void

	Opaque  string     // must be somewhere in the State; not looked at if empty
	AnyCode bool       // the code is not looked at
	AnyErr  []llm.Kind // kinds that will do as well as Err
}

func (s Script) run(t *testing.T, d Dialect, open Open) {
	served := make(chan struct{}, 8)
	h := s.handler(t, d)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { served <- struct{}{} }()
		h.ServeHTTP(w, r)
	}))
	defer srv.Close() // waits for every request
	base := srv.URL + d.Base()
	if s.Bare {
		base = srv.URL
	}
	got := s.consume(t, open(t, base, nil))
	select {
	case <-served:
	case <-time.After(10 * time.Second):
		srv.CloseClientConnections()
		t.Error("the connection is still open 10 s after the consumer went")
	}
	s.compare(t, got)
}

// handler serves the script where the dialect's real server would answer.
func (s Script) handler(t *testing.T, d Dialect) http.Handler {
	var first atomic.Bool
	first.Store(true)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || !d.at(r.URL.Path) {
			t.Errorf("asked %s %s", r.Method, r.URL.Path)
		}
		req, err := parseRequest(d, body)
		if err != nil {
			t.Errorf("the request is not the protocol: %v\n%s", err, body)
		}
		if first.CompareAndSwap(true, false) {
			s.check(t, req)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.Serve(w, r)
	})
}

// seen is what a consumer got.
type seen struct {
	Outcome
	err   error
	after int // pieces that came after the final one
}

func (s Script) consume(t *testing.T, m llm.Model) (got seen) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	m, req := s.asked(t, m)
	if req.Begun != nil {
		got.Text = req.Begun.Text
	}
	for c, err := range m.Stream(ctx, req) {
		if got.Finish != "" || got.err != nil {
			got.after++
		}
		if err != nil {
			got.err = err
			continue
		}
		got.take(c)
		switch s.Client {
		case Cancels:
			cancel()
		case Stops:
			return got
		}
	}
	return got
}

func (g *seen) take(c llm.Chunk) {
	if c.StandIn != nil && c.StandIn.Anew {
		g.Text, g.Anew = "", true
	}
	g.Text += c.Text
	g.Reasoning += c.Reasoning
	if c.Call != nil {
		g.Calls = append(g.Calls, Call{c.Call.ID, c.Call.Function.Name, c.Call.Function.Arguments})
	}
	if c.Usage != nil {
		u := *c.Usage
		u.Provider, u.Model = "", ""
		g.Usage = &u
	}
	if c.State != nil {
		g.Opaque = string(c.State.Blocks)
	}
	g.Finish = c.Finish
}

func (s Script) compare(t *testing.T, got seen) {
	if got.after > 0 {
		t.Errorf("%d pieces came after the final one", got.after)
	}
	ids := map[string]bool{}
	for i := range got.Calls {
		id := got.Calls[i].ID
		if id == "" || ids[id] {
			t.Errorf("the id %q of call %d is empty or not its own", id, i)
		}
		ids[id] = true
		if i < len(s.Want.Calls) && s.Want.Calls[i].ID == "" {
			got.Calls[i].ID = ""
		}
	}
	got.judge(t)
	got.Unfit = s.unfit(got)
	want := s.Want
	want.Closed, want.AnyCode, want.AnyErr = false, false, nil // run has waited for it
	if slices.Contains(s.Want.AnyErr, got.Err) {
		want.Err = got.Err
	}
	if s.Want.AnyCode {
		want.Code = got.Code
	}
	if strings.Contains(got.Opaque, want.Opaque) {
		want.Opaque = got.Opaque
	}
	if want.Usage == nil {
		got.Usage = nil
	}
	if d := cmp.Diff(want, got.Outcome); d != "" {
		t.Errorf("outcome (-want +got):\n%s\nerror: %v", shorten(d), got.err)
	}
}

// judge fills in what the error says.
func (g *seen) judge(t *testing.T) {
	var e *llm.Error
	switch {
	case g.err == nil:
	case errors.Is(g.err, context.Canceled) && !errors.As(g.err, &e):
		g.Cancelled = true
	case errors.As(g.err, &e):
		g.Err, g.Status, g.Code, g.RetryAfter, g.MidStream = e.Kind, e.Status, e.Code, e.RetryAfter, e.MidStream
		if strings.Contains(e.Error(), "<html") || strings.Contains(e.Error(), "sk-") {
			t.Errorf("the error shows what it should not: %v", e)
		}
	default:
		t.Errorf("the error is neither the context's nor an *llm.Error: %v", g.err)
	}
}

func shorten(s string) string {
	if len(s) > 4000 {
		return s[:4000] + "…"
	}
	return s
}
