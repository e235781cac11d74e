//go:build integration && unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"parley/cmd/parley/chaos"
	"parley/gateway/chat"
	"parley/llm"
	"parley/llm/llmtest"
)

// procModel answers the question Q with the words Q:0 Q:1 Q:2 …, so that a
// word which is missing, doubled or of another answer is seen at once.
func procModel(t testing.TB, words int, every time.Duration) *llmtest.Server {
	return llmtest.NewServer(t, func(r llmtest.Request) llmtest.Reply {
		return llmtest.Reply{Pieces: strings.SplitAfter(procText(r.Last().Content, words), " "), Every: every}
	})
}

func procText(question string, words int) string {
	all := make([]string, words)
	for i := range all {
		all[i] = fmt.Sprintf("%s:%d", question, i)
	}
	return strings.Join(all, " ")
}

// procModelEnv has a server use a model server.
func procModelEnv(m *llmtest.Server) []string {
	return []string{"PARLEY_MODEL=scripted", "PARLEY_MODEL_URL=" + m.URL, "PARLEY_TITLES=false"}
}

// procPrefix reports what is wrong with a text that should be the beginning
// of an answer of procModel's.
func procPrefix(text string) error {
	question, _, _ := strings.Cut(text, ":")
	if whole := procText(question, strings.Count(text, " ")+1); !strings.HasPrefix(whole+" ", text) {
		return fmt.Errorf("not the beginning of an answer: %q", text)
	}
	return nil
}

// A procFollower follows a conversation as a client does: it dials again
// when its connection ends, any replica, with its last position. Each step is
// checked. All methods may be called concurrently.
type procFollower struct {
	name   string
	sse    bool
	fleet  *procFleet
	person *procPerson
	conv   string

	mu      sync.Mutex // guards all below
	changed chan struct{}
	state   chat.State
	at      chat.Position
	begun   map[uint64]time.Time // when each generation was first heard of
	wrong   error
	dials   int
	snaps   int

	stop func() // ends the following
}

// procFollow follows until the test ends.
func procFollow(t testing.TB, name string, sse bool, f *procFleet, p *procPerson, conv string) *procFollower {
	fo := &procFollower{name: name, sse: sse, fleet: f, person: p, conv: conv, changed: make(chan struct{}), begun: map[uint64]time.Time{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); fo.run(ctx) }()
	fo.stop = func() { cancel(); <-done }
	t.Cleanup(fo.stop)
	return fo
}

func (f *procFollower) run(ctx context.Context) {
	follow := f.webSocket
	if f.sse {
		follow = f.stream
	}
	pause := time.NewTicker(30 * time.Millisecond)
	defer pause.Stop()
	for ctx.Err() == nil {
		f.mu.Lock()
		at := f.at
		f.dials++
		f.mu.Unlock()
		_ = follow(ctx, f.fleet.url(), at) // however it ended, a client dials again
		select {
		case <-time.After(30 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// silence is after how much of it a client dials again: two beats.
const silence = 12 * time.Second

func (f *procFollower) webSocket(ctx context.Context, base string, at chat.Position) error {
	ws, err := procDial(ctx, f.person, base)
	if err != nil {
		return err
	}
	defer func() { _ = ws.CloseNow() }()
	if err := procSend(ctx, ws, map[string]any{"type": "sub", "id": "1", "c": f.conv, "after": at.String()}); err != nil {
		return err
	}
	for {
		fr, err := procRead(ctx, ws)
		if err != nil {
			return err
		}
		switch fr.Type {
		case "sub.ok":
			if !fr.Recovered {
				f.snapshot(fr.At, fr.Snapshot)
			}
		case "snap":
			f.snapshot(fr.At, fr.Snapshot)
		case "ev":
			f.entries(fr.Items...)
		case "bye", "err":
			return errors.New(fr.Type)
		}
	}
}

// A procFrame is whatever a server sends on a WebSocket.
type procFrame struct {
	Type      string
	ID        string
	Recovered bool
	At        chat.Position
	Snapshot  json.RawMessage
	Items     []json.RawMessage
	RetryMs   *int64
	Reason    string
}

func procDial(ctx context.Context, p *procPerson, base string) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, base+"/v1/ws", &websocket.DialOptions{HTTPClient: p.http, Subprotocols: []string{"parley.v1"}})
	if err == nil {
		ws.SetReadLimit(8 << 20)
	}
	return ws, err
}

func procSend(ctx context.Context, ws *websocket.Conn, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return ws.Write(ctx, websocket.MessageText, b)
}

func procRead(ctx context.Context, ws *websocket.Conn) (fr procFrame, err error) {
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	_, b, err := ws.Read(ctx)
	if err == nil {
		err = json.Unmarshal(b, &fr)
	}
	return fr, err
}

func (f *procFollower) stream(ctx context.Context, base string, at chat.Position) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", base+"/v1/conversations/"+f.conv+"/events", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	if !at.IsZero() {
		req.Header.Set("Last-Event-ID", at.String())
	}
	quiet := time.AfterFunc(3*silence, cancel) // a stream beats every 15 s
	defer quiet.Stop()
	resp, err := f.person.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	event := ""
	for lines := bufio.NewReader(resp.Body); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return err
		}
		quiet.Reset(3 * silence)
		line = strings.TrimSuffix(line, "\n")
		if v, ok := strings.CutPrefix(line, "event: "); ok {
			event = v
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok && event == "entry" {
			f.entries(json.RawMessage(data))
		} else if ok {
			var s procFrame
			if err := json.Unmarshal([]byte(data), &s); err != nil {
				return err
			}
			f.snapshot(s.At, s.Snapshot)
		}
	}
}

// snapshot replaces the latest messages, and all if they do not meet.
func (f *procFollower) snapshot(at chat.Position, raw json.RawMessage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var s chat.State
	if err := json.Unmarshal(raw, &s); err != nil {
		f.fail(err)
		return
	}
	f.state = chaos.Behind(f.state, s)
	f.snaps++
	f.moved(at)
}

func (f *procFollower) entries(raws ...json.RawMessage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, raw := range raws {
		e, err := chat.DecodeEntry(raw)
		if err == nil {
			err = chaos.Contiguous(f.at, e)
		}
		if err != nil {
			f.fail(err)
			return
		}
		f.state.Apply(e)
		f.at = e.At
	}
	f.moved(f.at)
}

// moved requires f.mu.
func (f *procFollower) moved(at chat.Position) {
	f.at = at
	if _, ok := f.begun[at.Generation]; !ok {
		f.begun[at.Generation] = time.Now()
	}
	for _, m := range f.state.Clone().Messages {
		if m.Role == llm.Assistant && m.Content != "" {
			f.fail(procPrefix(m.Content))
		}
	}
	close(f.changed)
	f.changed = make(chan struct{})
}

// fail requires f.mu.
func (f *procFollower) fail(err error) {
	if err != nil && f.wrong == nil {
		f.wrong = err
	}
}

// until waits until what the follower has is so.
func (f *procFollower) until(t testing.TB, most time.Duration, what string, is func(*chat.State) bool) {
	t.Helper()
	for late := time.After(most); ; {
		f.mu.Lock()
		st := f.state.Clone()
		ok, wrong, changed, at, dials := is(&st), f.wrong, f.changed, f.at, f.dials
		f.mu.Unlock()
		if wrong != nil {
			t.Fatalf("follower %s: %v", f.name, wrong)
		}
		if ok {
			return
		}
		select {
		case <-changed:
		case <-late:
			b, _ := json.Marshal(st)
			t.Fatalf("follower %s (at %s, dialled %d times): after %v it is not so that %s: %s", f.name, at, dials, most, what, b)
		}
	}
}

// words waits until so many words of the answer to a question are shown.
func (f *procFollower) words(t testing.TB, question string, n int) {
	t.Helper()
	f.until(t, 20*time.Second, fmt.Sprintf("%s has %d words", question, n), func(st *chat.State) bool {
		if n == 0 {
			return true
		}
		return slices.ContainsFunc(st.Messages, func(m llm.Message) bool {
			return m.Role == llm.Assistant && strings.HasPrefix(m.Content, question+":0") && strings.Count(m.Content, ":") >= n
		})
	})
}

func (f *procFollower) position() chat.Position {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at
}

// after returns when a generation later than that was first heard of.
func (f *procFollower) after(gen uint64) (first time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for g, at := range f.begun {
		if g > gen && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// procSame checks that followers show what the store has, and that it is
// each question once with its whole answer behind it.
func procSame(t testing.TB, stored []llm.Message, questions []string, words int, fs ...*procFollower) {
	t.Helper()
	var want, got []string
	for _, q := range questions {
		want = append(want, "user "+q, "assistant "+procText(q, words))
	}
	for _, m := range stored {
		got = append(got, string(m.Role)+" "+m.Content)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("the store (-want +got):\n%s", d)
	}
	for _, f := range fs {
		f.mu.Lock()
		st, wrong := f.state.Clone(), f.wrong
		f.mu.Unlock()
		if wrong != nil {
			t.Errorf("follower %s: %v", f.name, wrong)
		}
		// One that joined late has the latest messages, and asks for the others.
		tail := stored[max(0, len(stored)-len(st.Messages)):]
		if d := cmp.Diff(tail, st.Messages); d != "" || len(st.Messages) == 0 || len(st.Queued) > 0 || len(st.Open) > 0 {
			t.Errorf("follower %s (-store +shown), queued %v, open %v:\n%s", f.name, st.Queued, st.Open, d)
		}
	}
}
