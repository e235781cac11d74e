package gateway_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"parley/gateway"
	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
	"parley/llm/llmtest"
)

// refusal returns the problem with which an upgrade was refused.
func (p *person) refusal(res *http.Response, err error) (retry time.Duration) {
	p.w.Helper()
	if err == nil || res == nil || res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Content-Type") != "application/problem+json" {
		p.w.Fatalf("an upgrade was answered with %v, %v, want a refusal", res, err)
	}
	seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
	if err != nil || seconds < 1 {
		p.w.Errorf("the refusal has Retry-After %q", res.Header.Get("Retry-After"))
	}
	return time.Duration(seconds) * time.Second
}

func TestNewConnectionsPastARateAreToldWhenToComeAgain(t *testing.T) {
	inBubble(t, always(llmtest.Text("yes")), func(w *world) {
		w.o.Limits = gateway.Limits{Dials: 10, DialBurst: 20, PerPerson: 1000}
		g := w.gate()
		p := w.guest(g)
		p.get("/v1/info")
		time.Sleep(10 * time.Second)
		var waits []time.Duration
		for range 50 {
			if _, res, err := p.dial(); err != nil {
				waits = append(waits, p.refusal(res, err))
			}
		}
		if n := 50 - len(waits); n != 20 {
			t.Errorf("%d of 50 at once were let in, want the burst of 20", n)
		}
		if n := g.Refused(); n != len(waits) {
			t.Errorf("%d were refused, and %d counted", len(waits), n)
		}
		first, last := slices.Min(waits), slices.Max(waits)
		if first > 2*time.Second || last < 4*time.Second || last > 5*time.Second {
			t.Errorf("30 refused at 10 a second were told to come again after %v to %v", first, last)
		}
		p.get("/v1/conversations/"+p.conversation()+"/events").problem(http.StatusServiceUnavailable, "too_many", "")
		in := 0
		for range 100 { // 12 a second
			time.Sleep(83 * time.Millisecond)
			if _, _, err := p.dial(); err == nil {
				in++
			}
		}
		if in < 80 || in > 85 {
			t.Errorf("in 8.3 s %d of 100 were let in, want 10 a second", in)
		}
		p.get("/readyz").into(http.StatusOK, nil)
	})
}

// A herd that does what it is told is in as soon as the rate allows.
func TestAHerdComesInAtTheRate(t *testing.T) {
	inBubble(t, always(llmtest.Text("yes")), func(w *world) {
		w.o.Limits = gateway.Limits{Dials: 50, DialBurst: 50, PerPerson: 1000}
		g := w.gate()
		p := w.guest(g)
		p.get("/v1/info")
		time.Sleep(2 * time.Second)
		began := time.Now()
		var in atomic.Int64
		done := make(chan int)
		for range 500 {
			go func() {
				tries := 1
				for ; ; tries++ {
					_, res, err := p.dial()
					if err == nil {
						break
					}
					seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
					time.Sleep(time.Duration(seconds) * time.Second)
				}
				in.Add(1)
				done <- tries
			}()
		}
		tries := 0
		for range 500 {
			tries += <-done
		}
		took := time.Since(began)
		t.Logf("500 at 50 a second were in after %v, with %d dials", took, tries)
		if took > 20*time.Second || tries > 2500 {
			t.Errorf("500 at 50 a second were in after %v, with %d dials", took, tries)
		}
	})
}

func TestTooManyConnectionsAreRefusedBeforeTheUpgrade(t *testing.T) {
	inBubble(t, always(llmtest.Text("yes")), func(w *world) {
		w.o.Limits = gateway.Limits{Connections: 3}
		g := w.gate()
		for range 3 {
			w.guest(g).open()
		}
		p := w.guest(g)
		_, res, err := p.dial()
		p.refusal(res, err)
		p.get("/readyz").into(http.StatusOK, nil)
	})
}

func TestShortOfMemoryNothingNewIsTakenAndTheRestGoesOn(t *testing.T) {
	inBubble(t, always(words(40, 50*time.Millisecond)), func(w *world) {
		var short atomic.Bool
		w.o.Short = short.Load
		w.c.Run.Short = short.Load
		g := w.gate()
		a := w.guest(g).open()
		q := a.say("", "k1", "hello")
		a.sub(q.C, "")
		a.until(q.C, "some words", func(s *chat.State) bool { return last(*s).ID != "" })
		short.Store(true)
		_, res, err := a.person.dial()
		a.refusal(res, err)
		a.get("/v1/conversations/"+q.C+"/events").problem(http.StatusServiceUnavailable, "unavailable", "")
		if p := a.do("POST", "/v1/conversations/new/messages", object{"content": "more"}).problem(http.StatusServiceUnavailable, "unavailable", ""); p.RetryMs < 1000 {
			t.Errorf("to come again after %d ms", p.RetryMs)
		}
		w.admin(g).do("POST", "/v1/documents", "text").problem(http.StatusServiceUnavailable, "unavailable", "")
		a.get("/v1/conversations").into(http.StatusOK, nil)
		a.get("/readyz").into(http.StatusOK, nil)
		a.until(q.C, "the answer that was begun ends", func(s *chat.State) bool { return !s.Active() && s.Run != nil && s.Run.Status == chat.RunDone })

		short.Store(false)
		if got := w.admin(g).say("new", "after that"); got.Status != "finished" {
			t.Errorf("with memory again a question is %s", got.Status)
		}
	})
}

// A question that waits for a slot is shown its place, which gets smaller, and
// nothing of that is in the log.
func TestWhoWaitsIsToldTheirPlace(t *testing.T) {
	inBubble(t, always(words(40, 50*time.Millisecond)), func(w *world) {
		w.c.Run.Answers = 1
		g := w.gate()
		other := w.gate() // has a slot too
		var tabs []*tab
		var convs []string
		for i := range 8 {
			p := w.guest(g)
			tb := p.open()
			q := tb.say("", fmt.Sprint("k", i), "hello")
			tb.sub(q.C, "")
			tabs, convs = append(tabs, tb), append(convs, q.C)
			time.Sleep(100 * time.Millisecond)
		}
		elsewhere := tabs[7].at(other).open()
		elsewhere.sub(convs[7], "")
		time.Sleep(time.Second)
		var c struct{ Ahead *int }
		tabs[7].get("/v1/conversations/"+convs[7]).into(http.StatusOK, &c)
		if c.Ahead == nil || *c.Ahead != 5 {
			t.Errorf("the last of 8, with 2 slots, has not 5 ahead of it: %s", tabs[7].get("/v1/conversations/"+convs[7]).body)
		}
		for i, tb := range tabs {
			tb.until(convs[i], "it is answered", func(s *chat.State) bool { return s.Run != nil && !s.Active() })
		}
		elsewhere.first("its place, at another replica", func(f frame) bool { return f.Type == "eph" })
		var places []int
		var when []time.Time
		for _, f := range tabs[7].all() {
			var n int
			if f.Type == "eph" {
				if _, err := fmt.Sscanf(f.raw, `{"type":"eph","c":"`+convs[7]+`","kind":"queue","data":{"ahead":%d}}`, &n); err != nil {
					t.Errorf("%v: %s", err, f.raw)
				}
				places, when = append(places, n), append(when, f.when)
			}
		}
		if len(places) < 3 || !slices.IsSortedFunc(places, func(a, b int) int { return b - a }) || places[len(places)-1] != 0 && places[len(places)-1] != 1 {
			t.Errorf("the last was told the places %v", places)
		}
		for i := 1; i < len(when); i++ {
			if d := when[i].Sub(when[i-1]); d < time.Second || places[i] == places[i-1] {
				t.Errorf("place %d came %v behind place %d", places[i], d, places[i-1])
			}
		}
		for _, f := range tabs[0].all() {
			if f.Type == "eph" {
				t.Errorf("the first, which never waited, was told %s", f.raw)
			}
		}
		c.Ahead = nil
		tabs[7].get("/v1/conversations/"+convs[7]).into(http.StatusOK, &c)
		if c.Ahead != nil {
			t.Errorf("once answered it has %d ahead of it", *c.Ahead)
		}
	})
}

// A message that cannot be stored is refused clearly, and one for which Redis
// is away a moment is held; what was acknowledged is answered.
func TestMessagesWhileRedisIsAway(t *testing.T) {
	inBubble(t, always(llmtest.Text("yes")), func(w *world) {
		w.c.Run.Reconcile = 5 * time.Second
		g := w.gate()
		p := w.guest(g)
		conv := p.conversation()
		time.Sleep(3 * time.Second)
		g.Replica.Link.Cut()
		time.AfterFunc(time.Second, g.Replica.Link.Mend)
		if got := p.say(conv, "held"); got.Status != "finished" {
			t.Errorf("with Redis away for a second a question is %s", got.Status)
		}
		g.Replica.Link.Cut()
		began := time.Now()
		refused := p.do("POST", "/v1/conversations/"+conv+"/messages", object{"content": "away", "clientId": "k9"}).problem(http.StatusServiceUnavailable, "unavailable", "")
		if took := time.Since(began); took > 6*time.Second || refused.RetryMs < 1000 {
			t.Errorf("refused after %v, to come again after %d ms", took, refused.RetryMs)
		}
		g.Replica.Link.Mend()
		gatewaytest.Eventually(t, 30*time.Second, "what was kept is answered, once", func() bool {
			ms := p.history(conv)
			return len(ms) == 4 && ms[2].Content == "away" && ms[3].Content == "yes"
		})
		var a posted
		p.do("POST", "/v1/conversations/"+conv+"/messages?wait=10s", object{"content": "away", "clientId": "k9"}).into(http.StatusOK, &a)
		if ms := p.history(conv); len(ms) != 4 || a.Status != "finished" {
			t.Errorf("sent again it is %s, and the conversation has %d messages", a.Status, len(ms))
		}
	})
}

// Without its store a replica refuses messages clearly, and what others have
// open stays open.
func TestMessagesWhileTheStoreIsAway(t *testing.T) {
	inBubble(t, always(llmtest.Text("yes")), func(w *world) {
		g := w.gate()
		tb := w.guest(g).open()
		q := tb.say("", "k1", "hello")
		tb.sub(q.C, "")
		tb.until(q.C, "it is answered", func(s *chat.State) bool { return s.Run != nil && !s.Active() })
		_ = g.Replica.Store.Close()
		p := tb.do("POST", "/v1/conversations/"+q.C+"/messages", object{"content": "away"}).problem(http.StatusServiceUnavailable, "unavailable", "")
		if p.RetryMs < 1000 {
			t.Errorf("to come again after %d ms", p.RetryMs)
		}
		tb.refused(object{"type": "send", "c": q.C, "msg": object{"clientId": "k2", "content": "away"}}, http.StatusServiceUnavailable, "unavailable", "")
		time.Sleep(30 * time.Second)
		tb.first("a beat", func(f frame) bool { return f.Type == "beat" })
	})
}
