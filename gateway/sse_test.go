package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/llm/llmtest"
)

// A stream reads Server-Sent Events as an EventSource does, and folds them.
type stream struct {
	w       *world
	res     *http.Response
	lines   *bufio.Scanner
	stop    context.CancelFunc
	lastID  string
	state   chat.State
	snaps   int
	entries int
	beats   []time.Time
}

func (p *person) stream(conv, lastID string) *stream {
	p.w.Helper()
	ctx, stop := context.WithCancel(p.w.Context())
	p.w.Cleanup(stop)
	req := p.request(ctx, "GET", "/v1/conversations/"+conv+"/events", nil, "Accept", "text/event-stream")
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	res, err := p.w.net.Client().Do(req)
	if err != nil {
		p.w.Fatal(err)
	}
	p.w.Cleanup(func() { _ = res.Body.Close() })
	if ct := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || ct != "text/event-stream" || res.Header.Get("Cache-Control") != "no-store" {
		p.w.Fatalf("events: %d, %v", res.StatusCode, res.Header)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	return &stream{w: p.w, res: res, lines: lines, stop: stop, lastID: lastID}
}

// next takes one event, and reports false at the stream's end.
func (s *stream) next() bool {
	s.w.Helper()
	var id, kind, data string
	for s.lines.Scan() {
		line := s.lines.Text()
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case line == ": beat":
			s.beats = append(s.beats, time.Now())
		case name == "id":
			id = value
		case name == "event":
			kind = value
		case name == "data":
			data = value
		case line == "" && kind != "":
			s.take(id, kind, data)
			return true
		}
	}
	return false
}

func (s *stream) take(id, kind, data string) {
	s.w.Helper()
	switch kind {
	case "snap":
		var snap struct {
			At       chat.Position
			Snapshot chat.State
		}
		if err := json.Unmarshal([]byte(data), &snap); err != nil || snap.At.String() != id {
			s.w.Fatalf("snap %s with id %s: %v", data, id, err)
		}
		v := view{state: s.state}
		v.replace(snap.Snapshot)
		s.state = v.state
		s.snaps++
	case "entry":
		e, err := chat.DecodeEntry([]byte(data))
		if err != nil || e.At.String() != id {
			s.w.Fatalf("entry %s with id %s: %v", data, id, err)
		}
		if at, _ := chat.ParsePosition(s.lastID); e.At != at.Next() && e.At.N != 0 {
			s.w.Errorf("%v came behind %v", e.At, at)
		}
		s.state.Apply(e)
		s.entries++
	default:
		s.w.Errorf("there is an event %q", kind)
	}
	s.lastID = id
}

func (s *stream) until(what string, ok func(s *chat.State) bool) {
	s.w.Helper()
	for !ok(&s.state) {
		if !s.next() {
			s.w.Fatalf("the stream ended before: %s", what)
		}
	}
}

func ended(run string) func(s *chat.State) bool {
	return func(s *chat.State) bool { return s.Run != nil && s.Run.ID == run && s.Run.Status.Ended() }
}

func TestEventStreamResumes(t *testing.T) {
	inBubble(t, always(words(100, 20*time.Millisecond)), func(w *world) {
		g, other := w.gate(), w.gate()
		p := w.guest(g)
		var q posted
		p.do("POST", "/v1/conversations/new/messages", object{"content": "hello"}).into(http.StatusAccepted, &q)
		s := p.stream(q.Conversation, "")
		s.next()
		if s.snaps != 1 {
			t.Errorf("a stream without a position does not begin with a snapshot")
		}
		for i := 0; i < 30; i++ {
			s.next()
		}
		s.stop()
		again := p.at(other).stream(q.Conversation, s.lastID)
		again.state = s.state
		again.until("the end", ended(q.Run))
		if again.snaps != 0 || again.entries == 0 {
			t.Errorf("resuming brought %d snapshots and %d entries", again.snaps, again.entries)
		}
		if got, want := text(again.state.Messages), text(p.history(q.Conversation)); got != want || !strings.Contains(got, "word99") {
			t.Errorf("the stream adds up to\n%s\nthe store has\n%s", got, want)
		}
		for _, lost := range []string{"1000-1", "99999999999999-1"} {
			s := p.stream(q.Conversation, lost)
			s.next()
			if s.snaps != 1 {
				t.Errorf("behind %s the stream does not begin with a snapshot", lost)
			}
			s.stop()
		}
	})
}

func TestAQuietEventStreamBeatsAndEndsAtDrain(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		g := w.gate()
		p := w.guest(g)
		a := exchange(p)
		s := p.stream(a.Conversation, "")
		s.next()
		began := time.Now()
		defer time.AfterFunc(50*time.Second, g.SendAway).Stop()
		if s.next() {
			t.Error("something came on a quiet stream")
		}
		if err := s.lines.Err(); err != nil {
			t.Errorf("the stream ended with %v", err)
		}
		if took := time.Since(began); len(s.beats) != 3 || s.beats[0].Sub(began).Round(time.Second) != 15*time.Second || took < 50*time.Second || took > 52*time.Second {
			t.Errorf("beats at %v, end after %v", s.beats, took)
		}
		w.rest()
		if n := g.Connections(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
}

func TestLongPoll(t *testing.T) {
	inBubble(t, always(words(50, 50*time.Millisecond)), func(w *world) {
		p := w.guest(w.gate())
		c := p.conversation()
		poll := func(at chat.Position, wait string) (a struct {
			At       chat.Position
			Snapshot *chat.State
			Items    []chat.Entry
		},
		) {
			p.do("GET", "/v1/conversations/"+c+"/events?wait="+wait+"&after="+at.String(), nil, "Accept", "application/json").into(http.StatusOK, &a)
			return a
		}
		var state chat.State
		a := poll(chat.Position{}, "1s")
		if a.Snapshot == nil {
			t.Fatal("the first poll has no snapshot")
		}
		var q frame
		p.do("POST", "/v1/conversations/"+c+"/commands", object{"type": "send", "msg": object{"clientId": "k", "content": "hello"}}).into(http.StatusOK, &q)
		at := a.At
		for range 1000 {
			a := poll(at, "20s")
			if a.Snapshot != nil {
				state = a.Snapshot.Clone()
			}
			for _, e := range a.Items {
				if !at.Before(e.At) {
					t.Errorf("%v came behind %v", e.At, at)
				}
				state.Apply(e)
			}
			at = a.At
			if state.Run != nil && state.Run.Status.Ended() {
				break
			}
		}
		if got, want := text(state.Messages), text(p.history(c)); got != want || !strings.Contains(got, "word49") {
			t.Errorf("the polls add up to\n%s\nthe store has\n%s", got, want)
		}
		began := time.Now()
		if a := poll(at, "3s"); len(a.Items) != 0 || a.At != at || time.Since(began) != 3*time.Second {
			t.Errorf("a poll for nothing got %+v after %v", a, time.Since(began))
		}
	})
}
