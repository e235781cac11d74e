package gateway_test

import (
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
	"parley/llm/llmtest"
)

func TestTwoTabsOnTwoReplicasSeeTheSame(t *testing.T) {
	inBubble(t, always(words(60, 30*time.Millisecond)), func(w *world) {
		a := w.guest(w.gate()).open()
		b := a.at(w.gate()).open()
		c := a.conversation()
		a.sub(c, "")
		b.sub(c, "")
		q := b.say(c, "k1", "hello")
		sa, sb := a.answered(c, q.Run), b.answered(c, q.Run)
		if text(sa.Messages) != text(sb.Messages) || len(sa.Messages) != 2 || !strings.Contains(text(sa.Messages), "word59") {
			t.Errorf("one shows\n%s\nthe other\n%s", text(sa.Messages), text(sb.Messages))
		}
		if a.view(c).at != b.view(c).at {
			t.Errorf("one stands at %v, the other at %v", a.view(c).at, b.view(c).at)
		}
	})
}

func TestReconnectInMidAnswer(t *testing.T) {
	inBubble(t, always(words(200, 20*time.Millisecond)), func(w *world) {
		gates := []*gatewaytest.Gateway{w.gate(), w.gate()}
		a := w.guest(gates[0]).open()
		q := a.say("", "k1", "hello")
		a.sub(q.C, "")
		a.until(q.C, "some words", func(s *chat.State) bool { return last(*s).ID != "" })
		snaps := a.view(q.C).snaps
		for i := range 6 {
			time.Sleep(300 * time.Millisecond)
			_ = a.ws.CloseNow()
			a.closed()
			b := a.at(gates[i%2]).open()
			b.mu.Lock()
			v := a.view(q.C)
			b.views[q.C] = &v
			b.mu.Unlock()
			if f := b.sub(q.C, v.at.String()); !f.Recovered {
				t.Errorf("sub behind %v got %s", v.at, f.raw)
			}
			a = b
		}
		s := a.answered(q.C, q.Run)
		if got, want := text(s.Messages), text(a.history(q.C)); got != want || !strings.Contains(got, "word199") {
			t.Errorf("the tab shows\n%s\nthe store has\n%s", got, want)
		}
		if n := a.view(q.C).snaps; n != snaps {
			t.Errorf("%d snapshots came though every position was known", n-snaps)
		}
	})
}

func TestTakeoverRollsBack(t *testing.T) {
	inBubble(t, always(words(100, 30*time.Millisecond)), func(w *world) {
		ga := w.gate()
		a := w.guest(ga).open()
		q := a.say("", "k1", "hello")
		a.sub(q.C, "")
		a.until(q.C, "some words", func(s *chat.State) bool { return last(*s).ID != "" })
		gb := w.gate()
		b := a.at(gb).open()
		b.sub(q.C, "")
		ga.Replica.Kill()
		ga.Stop()
		w.gates = w.gates[1:]
		s := b.answered(q.C, q.Run)
		if s.Run.Try != 2 || text(s.Messages) != text(b.history(q.C)) || strings.Count(text(s.Messages), "word99") != 1 || len(s.Messages) != 2 {
			t.Errorf("in attempt %d the tab shows\n%s", s.Run.Try, text(s.Messages))
		}
	})
}

func TestASlowReaderGetsMergedPieces(t *testing.T) {
	piece := strings.Repeat("x", 1000)
	reply := llmtest.Reply{Every: 10 * time.Millisecond}
	for range 900 {
		reply.Pieces = append(reply.Pieces, piece)
	}
	inBubble(t, always(reply), func(w *world) {
		g := w.gate()
		a := w.guest(g).open()
		b := a.at(g).open()
		c := a.conversation()
		a.sub(c, "")
		b.sub(c, "")
		q := a.say(c, "k1", "a lot")
		a.until(c, "it begins", func(s *chat.State) bool { return last(*s).ID != "" })
		b.hold()
		time.Sleep(8 * time.Second)
		b.letGo()
		sa, sb := a.answered(c, q.Run), b.answered(c, q.Run)
		if text(sa.Messages) != text(sb.Messages) || len(last(sb).Content) != 900*1000 {
			t.Errorf("the fast tab has %d bytes, the slow one %d", len(last(sa).Content), len(last(sb).Content))
		}
		if v := b.view(c); v.merged == 0 && v.snaps < 2 {
			t.Error("nothing was merged for the slow tab")
		}
		if len(b.all()) > len(a.all())/2 {
			t.Errorf("the slow tab got %d frames, the fast one %d", len(b.all()), len(a.all()))
		}
	})
}

func TestAClientThatTakesNothingIsClosed(t *testing.T) {
	inBubble(t, always(words(2000, 20*time.Millisecond)), func(w *world) {
		g := w.gate()
		a := w.guest(g).open()
		q := a.say("", "k1", "a lot")
		a.sub(q.C, "")
		a.until(q.C, "it begins", func(s *chat.State) bool { return last(*s).ID != "" })
		a.hold()
		time.Sleep(9 * time.Second)
		if n := g.Connections(); n != 1 {
			t.Errorf("after 9 s there are %d connections", n)
		}
		time.Sleep(4 * time.Second)
		if n := g.Connections(); n != 0 {
			t.Errorf("after 13 s there are %d connections", n)
		}
	})
}

func TestAFloodThatReadsNoAnswersIsNotRead(t *testing.T) {
	for name, raw := range map[string]struct {
		kind websocket.MessageType
		data string
	}{
		"pings":        {websocket.MessageText, `{"type":"ping","id":"1"}`},
		"no JSON":      {websocket.MessageText, `{`},
		"binary":       {websocket.MessageBinary, `x`},
		"no UTF-8":     {websocket.MessageText, "\"\xff\""},
		"subscribe":    {websocket.MessageText, `{"type":"sub","id":"1","c":"cnone"}`},
		"unknown type": {websocket.MessageText, `{"type":"dance","id":"1"}`},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(w *world) {
				g := w.gate()
				a := w.guest(g).open()
				a.must(object{"type": "ping"})
				a.hold()
				a.post(`{"type":"ping"}`) // the one frame that the tab reads yet
				ctx := w.Context()
				sent := make(chan int)
				go func() {
					n := 0
					for a.ws.Write(ctx, raw.kind, []byte(raw.data)) == nil && n < 5000 {
						n++
					}
					sent <- n
				}()
				if n := <-sent; n > 500 {
					t.Errorf("the server took %d frames from a client that reads no answer", n)
				}
				time.Sleep(2 * time.Second)
				if n := g.Connections(); n != 0 {
					t.Errorf("%d connections are left", n)
				}
			})
		})
	}
}
