package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/cmd/parley/client"
	"parley/gateway/chat"
	"parley/llm"
	"parley/tools"
)

// A fakeServer speaks parley.v1 for one conversation. What it answers is a
// script, run when a question comes; connections may be cut at any point of
// it.
type fakeServer struct {
	t      *testing.T
	url    string
	script func(s *fakeServer, run string)
	wg     sync.WaitGroup

	mu        sync.Mutex
	changed   *sync.Cond
	conns     map[*fakeConn]bool
	log       []chat.Entry
	state     chat.State
	gen, n    uint64
	sent      map[string]client.Frame // acknowledgements by client id
	subs      int
	resumed   int // subs with a position
	dials     []time.Time
	cancels   []string
	decisions []client.Decision
	refusals  []client.Problem // of the next sends
	deaf      int              // sends that are heard but not acknowledged: the connection goes
	trimmed   bool             // nothing can be recovered
	cookies   []string
	closed    bool
}

type fakeConn struct {
	ws         *websocket.Conn
	subscribed bool
}

const fakeConv = "c1"

func newFake(t *testing.T, script func(s *fakeServer, run string)) *fakeServer {
	s := &fakeServer{t: t, script: script, conns: map[*fakeConn]bool{}, gen: 1000, sent: map[string]client.Frame{}}
	s.changed = sync.NewCond(&s.mu)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/info", s.info)
	mux.HandleFunc("GET /v1/ws", s.serve)
	mux.HandleFunc("GET /v1/conversations", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"conversations":[{"id":"c1","title":"Weather\u001b[2J in Lisbon","created":"2026-11-22T10:00:00Z","updated":"2026-11-22T10:00:00Z"}]}`)
	})
	srv := httptest.NewServer(mux)
	s.url = srv.URL
	t.Cleanup(func() { s.close(); srv.Close() })
	return s
}

// close lets scripts go that wait for a client that has left.
func (s *fakeServer) close() {
	s.mu.Lock()
	s.closed = true
	s.changed.Broadcast()
	s.mu.Unlock()
	s.cut()
	s.wg.Wait()
}

func (s *fakeServer) info(w http.ResponseWriter, r *http.Request) {
	c, err := r.Cookie("parley")
	if err != nil {
		c = &http.Cookie{Name: "parley", Value: "guest-1", Path: "/", HttpOnly: true}
		http.SetCookie(w, c)
	}
	s.mu.Lock()
	s.cookies = append(s.cookies, c.Value)
	s.mu.Unlock()
	fmt.Fprint(w, `{"name":"Parley","build":"dev","model":"demo","demo":true,"limits":{"maxMessage":1000}}`)
}

func (s *fakeServer) serve(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie("parley"); err != nil || c.Value != "guest-1" {
		http.Error(w, "who?", http.StatusUnauthorized)
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"parley.v1"}})
	if err != nil {
		return
	}
	defer ws.CloseNow()
	c := &fakeConn{ws: ws}
	s.mu.Lock()
	s.conns[c] = true
	s.dials = append(s.dials, time.Now())
	s.mu.Unlock()
	for {
		_, b, err := ws.Read(r.Context())
		if err != nil {
			break
		}
		var o client.Order
		if err := json.Unmarshal(b, &o); err != nil {
			s.t.Errorf("the client sent %s", b)
		}
		s.mu.Lock()
		s.command(c, o)
		s.mu.Unlock()
	}
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

// command requires s.mu, as does all that it calls.
func (s *fakeServer) command(c *fakeConn, o client.Order) {
	switch o.Type {
	case "hello":
		s.write(c, map[string]any{"type": "welcome", "id": o.ID, "maxMessage": 1000, "pingMs": 15000})
	case "sub":
		s.subscribe(c, o)
	case "send":
		s.send(c, o)
	case "edit", "regenerate":
		o.Msg = &client.Said{ClientID: o.ClientID, Content: o.Content}
		s.send(c, o)
	case "answer":
		s.decisions = append(s.decisions, o.Answers...)
		s.write(c, map[string]any{"type": "ok", "id": o.ID, "c": o.C})
		s.changed.Broadcast()
	case "cancel":
		s.cancels = append(s.cancels, o.Run)
		s.write(c, map[string]any{"type": "ok", "id": o.ID, "c": o.C})
		s.changed.Broadcast()
	case "unsub":
		c.subscribed = false
		s.write(c, map[string]any{"type": "ok", "id": o.ID, "c": o.C})
	default:
		s.t.Errorf("the client sent a command %q", o.Type)
	}
}

func (s *fakeServer) write(c *fakeConn, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		s.t.Error(err)
	}
	_ = c.ws.Write(context.Background(), websocket.MessageText, b)
}

func (s *fakeServer) head() chat.Position { return chat.Position{Generation: s.gen, N: s.n} }

func (s *fakeServer) subscribe(c *fakeConn, o client.Order) {
	if o.C != fakeConv {
		s.write(c, map[string]any{"type": "err", "id": o.ID, "problem": client.Problem{Title: "Not Found", Status: 404, Code: "not_found", Detail: "There is no such conversation, or it is not yours."}})
		return
	}
	answer := map[string]any{"type": "sub.ok", "id": o.ID, "c": o.C, "head": s.head(), "recovered": true}
	if o.After == nil || s.trimmed {
		answer["recovered"], answer["snapshot"], answer["at"] = false, s.state.Clone(), s.head()
	}
	s.write(c, answer)
	if o.After != nil && !s.trimmed {
		for _, e := range s.log {
			if o.After.Before(e.At) {
				s.event(c, e)
			}
		}
	}
	c.subscribed = true
	s.subs++
	if o.After != nil {
		s.resumed++
	}
	s.changed.Broadcast()
}

func (s *fakeServer) send(c *fakeConn, o client.Order) {
	if len(s.refusals) > 0 {
		p := s.refusals[0]
		s.refusals = s.refusals[1:]
		s.write(c, map[string]any{"type": "err", "id": o.ID, "problem": p})
		return
	}
	ok, again := s.sent[o.Msg.ClientID]
	if !again {
		n := len(s.sent) + 1
		ok = client.Frame{Type: "ok", C: fakeConv, MessageID: fmt.Sprintf("m%d", n), Run: fmt.Sprintf("r%d", n)}
		s.sent[o.Msg.ClientID] = ok
		said := llm.Message{ID: ok.MessageID, Role: llm.User, Content: o.Msg.Content, Metadata: &llm.Metadata{Parley: llm.Details{ClientID: o.Msg.ClientID, Edits: o.MessageID}}}
		replaced := ""
		if o.Type == "regenerate" {
			ok.MessageID, replaced = o.MessageID, s.state.Run.ID
		} else {
			s.putLocked("", chat.Event{Type: chat.MessageSaid, Said: &said})
		}
		s.wg.Go(func() { s.answer(ok, replaced) })
	}
	if s.deaf > 0 {
		s.deaf--
		_ = c.ws.CloseNow()
		return
	}
	s.write(c, map[string]any{"type": "ok", "id": o.ID, "c": ok.C, "messageId": ok.MessageID, "run": ok.Run})
}

// answer runs the script once the client listens.
func (s *fakeServer) answer(ok client.Frame, replaced string) {
	s.awaitSub(1)
	s.put(ok.Run, chat.Event{Type: chat.RunStarted, ThreadID: fakeConv, RunID: ok.Run, Metadata: &llm.Metadata{Parley: llm.Details{Question: ok.MessageID, Replaces: replaced}}})
	s.script(s, ok.Run)
}

func (s *fakeServer) event(c *fakeConn, e chat.Entry) {
	s.write(c, map[string]any{"type": "ev", "c": fakeConv, "items": []chat.Entry{e}})
}

// put appends an event to the log and sends it to whoever is connected.
func (s *fakeServer) put(run string, ev chat.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putLocked(run, ev)
}

func (s *fakeServer) putLocked(run string, ev chat.Event) {
	s.n++
	e := chat.Entry{At: s.head(), Run: run, Try: 1, Ev: ev}
	s.log = append(s.log, e)
	s.state.Apply(e)
	for c := range s.conns {
		if c.subscribed {
			s.event(c, e)
		}
	}
}

// repeat sends the latest entries once more.
func (s *fakeServer) repeat(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		for _, e := range s.log[max(0, len(s.log)-n):] {
			s.event(c, e)
		}
	}
}

// rollback begins a generation from another state and tells the client.
func (s *fakeServer) rollback(state chat.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gen, s.n, s.log, s.state = s.gen+1, 0, nil, state.Clone()
	for c := range s.conns {
		s.write(c, map[string]any{"type": "snap", "c": fakeConv, "at": s.head(), "snapshot": s.state.Clone(), "reason": "rollback"})
	}
}

// place tells everybody how many come before the question.
func (s *fakeServer) place(ahead int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		s.write(c, map[string]any{"type": "eph", "c": fakeConv, "kind": "queue", "data": map[string]int{"ahead": ahead}})
	}
}

// snapshot is a copy of what the conversation is now.
func (s *fakeServer) snapshot() chat.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.Clone()
}

// cut ends all connections as a killed replica does.
func (s *fakeServer) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.subscribed = false
		_ = c.ws.CloseNow()
	}
}

// bye drains all connections.
func (s *fakeServer) bye(retry time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.subscribed = false
		s.write(c, map[string]any{"type": "bye", "reason": "drain", "retryMs": retry.Milliseconds()})
		s.wg.Go(func() { _ = c.ws.Close(websocket.StatusServiceRestart, "drain") })
	}
}

// awaitSub waits for the n-th subscription.
func (s *fakeServer) awaitSub(n int) {
	s.await(func() bool { return s.subs >= n })
}

func (s *fakeServer) await(ok func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !ok() && !s.closed {
		s.changed.Wait()
	}
}

// The pieces of scripts.

func (s *fakeServer) say(run, message string, words ...string) {
	s.put(run, chat.Event{Type: chat.TextStart, MessageID: message, Role: llm.Assistant})
	s.words(run, message, words...)
	s.put(run, chat.Event{Type: chat.TextEnd, MessageID: message})
}

func (s *fakeServer) words(run, message string, words ...string) {
	for _, w := range words {
		s.put(run, chat.Event{Type: chat.TextContent, MessageID: message, Delta: w})
	}
}

func (s *fakeServer) callTool(run, parent, call, name string, args ...string) {
	s.put(run, chat.Event{Type: chat.ToolCallStart, ToolCallID: call, ToolCallName: name, ParentMessageID: parent})
	for _, a := range args {
		s.put(run, chat.Event{Type: chat.ToolCallArgs, ToolCallID: call, Delta: a})
	}
	s.put(run, chat.Event{Type: chat.ToolCallEnd, ToolCallID: call})
}

func (s *fakeServer) toolAnswers(run, call string, o tools.Outcome, sources ...tools.Source) {
	s.put(run, chat.Event{
		Type: chat.ToolCallResult, MessageID: "res-" + call, ToolCallID: call, Role: llm.ToolRole, Content: "…",
		Metadata: &llm.Metadata{Parley: llm.Details{Outcome: &o, Sources: sources}},
	})
}

func (s *fakeServer) finish(run string) {
	s.put(run, chat.Event{Type: chat.RunFinished, ThreadID: fakeConv, RunID: run, Outcome: &chat.Outcome{Type: "success"}})
}
