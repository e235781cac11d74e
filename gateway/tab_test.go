package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/gateway"
	"parley/gateway/chat"
	"parley/llm"
)

// A frame is one that a server sent.
type frame struct {
	Type, ID, C, Session, Server, Build string

	MaxFrame, MaxMessage      int
	PingMs, ResumeMs, RetryMs int64
	Head, At                  chat.Position
	Recovered, Late           bool
	Snapshot                  *chat.State
	Older, Reason             string
	MessageID, Run, Next      string
	FileID, URL               string
	Ref                       uint32
	Messages                  []llm.Message
	Problem                   *gateway.Problem
	Items                     []chat.Entry

	raw  string
	when time.Time
}

// A tab is a WebSocket client that does what a page does: it folds what it
// follows, and notices what comes twice, out of order or not at all.
type tab struct {
	*person
	t  *testing.T
	ws *websocket.Conn

	loose bool // somebody else compares what comes

	mu      sync.Mutex // guards all below
	frames  []frame
	views   map[string]*view
	ended   error
	changed chan struct{}
	held    chan struct{} // closed while the client reads
	n       int
}

// A view is what a tab has of a conversation.
type view struct {
	state  chat.State
	at     chat.Position
	subs   int // subscriptions answered
	snaps  int
	merged int // pieces that came as one
}

// open connects a tab.
func (p *person) open() *tab {
	p.w.Helper()
	tb, res, err := p.dial()
	if err != nil {
		p.w.Fatalf("dial: %v %v", err, res)
	}
	return tb
}

func (p *person) dial(header ...string) (*tab, *http.Response, error) {
	h := http.Header{}
	p.sign(h)
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	protocols := []string{"parley.v1"}
	if offered := h.Get("Sec-WebSocket-Protocol"); offered != "" {
		protocols = strings.Split(offered, ", ")
	}
	address := "ws://" + p.host + "/v1/ws"
	if p.ticket != "" {
		address += "?ticket=" + p.ticket
	}
	ws, res, err := websocket.Dial(p.w.Context(), address, &websocket.DialOptions{
		HTTPClient: p.w.net.Client(), HTTPHeader: h, Subprotocols: protocols,
	})
	if err != nil {
		return nil, res, err
	}
	p.keep(res)
	ws.SetReadLimit(-1)
	tb := &tab{person: p, t: p.w.T, ws: ws, views: map[string]*view{}, changed: make(chan struct{}), held: make(chan struct{})}
	close(tb.held)
	done := make(chan struct{})
	go func() { defer close(done); tb.read() }()
	p.w.Cleanup(func() { tb.letGo(); _ = ws.CloseNow(); <-done })
	return tb, res, nil
}

func (tb *tab) read() {
	for {
		tb.mu.Lock()
		held := tb.held
		tb.mu.Unlock()
		<-held
		_, b, err := tb.ws.Read(context.Background())
		if err != nil {
			tb.mu.Lock()
			tb.ended = err
			tb.notify()
			tb.mu.Unlock()
			return
		}
		tb.took(b)
	}
}

// hold has the tab read nothing more, letGo read on.
func (tb *tab) hold() {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.held = make(chan struct{})
}

func (tb *tab) letGo() {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	select {
	case <-tb.held:
	default:
		close(tb.held)
	}
}

// notify requires tb.mu.
func (tb *tab) notify() {
	close(tb.changed)
	tb.changed = make(chan struct{})
}

func (tb *tab) took(b []byte) {
	f := frame{raw: string(b), when: time.Now()}
	if err := json.Unmarshal(b, &f); err != nil {
		tb.t.Errorf("a frame is not JSON: %v: %.200s", err, b)
	}
	tb.w.noSecret("a frame", b)
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.frames = append(tb.frames, f)
	tb.fold(f)
	tb.notify()
}

// fold requires tb.mu.
func (tb *tab) fold(f frame) {
	v := tb.views[f.C]
	if v == nil {
		v = &view{}
	}
	switch f.Type {
	case "sub.ok":
		v.subs++
		if !f.Recovered {
			v.state, v.at = f.Snapshot.Clone(), f.At
			v.snaps++
		}
	case "snap":
		v.replace(*f.Snapshot)
		v.at = f.At
		v.snaps++
	case "ev":
		for _, e := range f.Items {
			tb.check(v, e)
			v.state.Apply(e)
			v.at = e.At
		}
	default:
		return
	}
	tb.views[f.C] = v
}

func (tb *tab) check(v *view, e chat.Entry) {
	if tb.loose {
		return
	}
	switch piece := e.Ev.Type == chat.TextContent || e.Ev.Type == chat.ReasoningContent; {
	case v.subs == 0:
		tb.t.Errorf("%v came without a subscription", e.At)
	case !v.at.Before(e.At):
		tb.t.Errorf("%v came behind %v: twice", e.At, v.at)
	case e.At == v.at.Next(), e.At.N == 0 && (e.Ev.Prev == nil && v.at.IsZero() || e.Ev.Prev != nil && *e.Ev.Prev == v.at):
	case piece && e.At.Generation == v.at.Generation:
		v.merged++
	default:
		tb.t.Errorf("%v %s came behind %v: something is missing", e.At, e.Ev.Type, v.at)
	}
}

// replace puts a snapshot in place of the window, as a page does.
func (v *view) replace(s chat.State) {
	var kept []llm.Message
	if len(s.Messages) > 0 {
		i := slices.IndexFunc(v.state.Messages, func(m llm.Message) bool { return m.ID == s.Messages[0].ID })
		kept = v.state.Messages[:max(i, 0)]
	}
	s.Messages = append(slices.Clone(kept), s.Messages...)
	v.state = s.Clone()
}

// wait waits until ok reports true.
func (tb *tab) wait(what string, ok func() bool) {
	tb.t.Helper()
	late := time.After(time.Minute)
	for {
		tb.mu.Lock()
		done, changed, ended := ok(), tb.changed, tb.ended
		tb.mu.Unlock()
		if done {
			return
		}
		if ended != nil {
			tb.t.Fatalf("the connection ended (%v) before: %s", ended, what)
		}
		select {
		case <-changed:
		case <-late:
			tb.mu.Lock()
			defer tb.mu.Unlock()
			tb.t.Fatalf("not within a minute: %s; %d frames, the last are %v", what, len(tb.frames), tb.lastFrames(5))
		}
	}
}

// all returns the frames that came so far.
func (tb *tab) all() []frame {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	return slices.Clone(tb.frames)
}

func (tb *tab) lastFrames(n int) (raw []string) {
	for _, f := range tb.frames[max(0, len(tb.frames)-n):] {
		raw = append(raw, fmt.Sprintf("%.300s", f.raw))
	}
	return raw
}

// first returns the first frame that ok accepts, waiting for it.
func (tb *tab) first(what string, ok func(frame) bool) (found frame) {
	tb.t.Helper()
	tb.wait(what, func() bool {
		i := slices.IndexFunc(tb.frames, ok)
		if i >= 0 {
			found = tb.frames[i]
		}
		return i >= 0
	})
	return found
}

// post sends a frame as it is.
func (tb *tab) post(raw string) {
	tb.t.Helper()
	if err := tb.ws.Write(context.Background(), websocket.MessageText, []byte(raw)); err != nil {
		tb.t.Fatalf("write: %v", err)
	}
}

// send sends a command under an id of its own, which it returns.
func (tb *tab) send(cmd object) string {
	tb.t.Helper()
	tb.mu.Lock()
	tb.n++
	id := fmt.Sprintf("id%d", tb.n)
	tb.mu.Unlock()
	cmd["id"] = id
	tb.post(string(bodyOf(cmd)))
	return id
}

// ask sends a command and returns its answer.
func (tb *tab) ask(cmd object) frame {
	tb.t.Helper()
	id := tb.send(cmd)
	return tb.first(fmt.Sprint("answer to ", cmd), func(f frame) bool { return f.ID == id })
}

// must is ask for a command that must succeed.
func (tb *tab) must(cmd object) frame {
	tb.t.Helper()
	f := tb.ask(cmd)
	if f.Type == "err" {
		tb.t.Fatalf("%v: %s", cmd, f.raw)
	}
	return f
}

// refused is ask for a command that must be answered with a problem.
func (tb *tab) refused(cmd object, status int, code, field string) {
	tb.t.Helper()
	f := tb.ask(cmd)
	if f.Type != "err" || f.Problem == nil || f.Problem.Status != status || f.Problem.Code != code || f.Problem.Field != field || f.Problem.Detail == "" {
		tb.t.Errorf("%v: %s, want status %d, code %s, field %q", cmd, f.raw, status, code, field)
	}
}

func (tb *tab) say(conv, clientID, text string) frame {
	tb.t.Helper()
	cmd := object{"type": "send", "msg": object{"clientId": clientID, "content": text}}
	if conv != "" {
		cmd["c"] = conv
	}
	return tb.must(cmd)
}

func (tb *tab) sub(conv string, after string) frame {
	tb.t.Helper()
	cmd := object{"type": "sub", "c": conv}
	if after != "" {
		cmd["after"] = after
		tb.mu.Lock()
		if at, err := chat.ParsePosition(after); err == nil && tb.views[conv] == nil {
			tb.views[conv] = &view{at: at}
		}
		tb.mu.Unlock()
	}
	return tb.must(cmd)
}

// view returns a copy of what the tab has of a conversation.
func (tb *tab) view(conv string) view {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	v := *tb.views[conv]
	v.state = v.state.Clone()
	return v
}

// until waits until what the tab shows of a conversation is so.
func (tb *tab) until(conv, what string, ok func(s *chat.State) bool) {
	tb.t.Helper()
	tb.wait(what, func() bool { v := tb.views[conv]; return v != nil && ok(&v.state) })
}

// answered waits until a run has ended and returns what the tab shows.
func (tb *tab) answered(conv, run string) chat.State {
	tb.t.Helper()
	tb.until(conv, "the end of run "+run, func(s *chat.State) bool { return s.Run != nil && s.Run.ID == run && s.Run.Status.Ended() })
	v := tb.view(conv)
	return v.state
}

// closed waits until the server has ended the connection, and returns how.
func (tb *tab) closed() websocket.StatusCode {
	tb.t.Helper()
	late := time.After(time.Minute)
	for {
		tb.mu.Lock()
		ended, changed := tb.ended, tb.changed
		tb.mu.Unlock()
		if ended != nil {
			return websocket.CloseStatus(ended)
		}
		select {
		case <-changed:
		case <-late:
			tb.t.Fatal("the connection is open after a minute")
		}
	}
}

// close ends the connection from the client's side.
func (tb *tab) close() { _ = tb.ws.Close(websocket.StatusNormalClosure, "") }

// text is what a person sees of messages.
func text(ms []llm.Message) string {
	var lines []string
	for _, m := range ms {
		lines = append(lines, fmt.Sprintf("%s %s: %s", m.Role, m.ID, m.Content))
	}
	return strings.Join(lines, "\n")
}

// last returns the last answer that a state shows.
func last(s chat.State) llm.Message {
	for _, m := range slices.Backward(s.Messages) {
		if m.Role == llm.Assistant {
			return m
		}
	}
	return llm.Message{}
}
