package gateway_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/llm/llmtest"
	"parley/tools"
	"parley/tools/toolstest"
)

// exchangeFloor is a feed's server on the network, and lets replicas connect
// to it. It wants the secret.
func (w *world) exchangeFloor() *toolstest.Feed {
	f := &toolstest.Feed{Script: toolstest.Ticks(time.Second, func(n int) string { return fmt.Sprintf(`{"p":%d}`, 100+n) })}
	stop := w.net.Serve(toolHost, f)
	w.Cleanup(stop)
	w.c.Outside = tools.NewClient(tools.ClientOptions{Allow: []string{toolHost + ":80"}, Dial: w.dialTool})
	return f
}

func goldFeed() object {
	return object{
		"description": "Price of gold", "url": "ws://" + toolHost + "/stream", "value": ".p",
		"headers": object{"X-Api-Key": toolSecret}, "login": toolSecret, "window": object{"last": 3},
	}
}

// repeats has the model say what it was given as the last message.
func repeats(r llmtest.Request) llmtest.Reply { return llmtest.Text("Given: " + r.Last().Content) }

func TestAFeedIsRegisteredReadAndDeletedOnAnyReplica(t *testing.T) {
	inBubble(t, repeats, func(w *world) {
		floor := w.exchangeFloor()
		a, b := w.admin(w.gate()), w.admin(w.gate())
		a.do("PUT", "/v1/feeds/gold", goldFeed()).into(http.StatusOK, nil)
		time.Sleep(10 * time.Second)
		if n := floor.Dials(); n != 1 {
			t.Errorf("dialled %d times", n)
		}
		if got := floor.Headers()[0].Get("X-Api-Key"); got != toolSecret {
			t.Errorf("the key that was sent is %q", got)
		}
		for _, p := range []*person{a, b} {
			var l struct {
				Headers map[string]string
				State   struct {
					Connected, Stale          bool
					Since, Replica, LastError string
					Values, MessagesPerMinute int
					Latest                    struct{ Value int }
				}
			}
			p.get("/v1/feeds/gold").into(http.StatusOK, &l)
			if s := l.State; !s.Connected || s.Stale || s.Values != 3 || s.Replica == "" || s.Since == "" || s.MessagesPerMinute < 7 || s.Latest.Value < 107 {
				t.Errorf("%+v", l)
			}
			if l.Headers["X-Api-Key"] != tools.Mask {
				t.Errorf("headers %v", l.Headers)
			}
			var v struct{ Earlier []any }
			p.get("/v1/feeds/gold/value").into(http.StatusOK, &v)
			if len(v.Earlier) != 2 {
				t.Errorf("an agent would read %+v", v)
			}
		}
		masked := goldFeed()
		masked["headers"], masked["login"], masked["description"] = object{"X-Api-Key": tools.Mask}, tools.Mask, "Gold in dollars"
		b.do("PUT", "/v1/feeds/gold", masked).into(http.StatusOK, nil)
		masked["url"] = "ws://elsewhere.example/"
		b.do("PUT", "/v1/feeds/gold", masked).problem(http.StatusUnprocessableEntity, "bad_request", "headers.X-Api-Key")
		time.Sleep(3 * time.Second)
		if got := floor.Headers()[floor.Dials()-1].Get("X-Api-Key"); got != toolSecret || floor.Open() != 1 {
			t.Errorf("the key that was sent then is %q, on %d connections", got, floor.Open())
		}
		b.do("DELETE", "/v1/feeds/gold", nil).into(http.StatusNoContent, nil)
		a.get("/v1/feeds/gold").problem(http.StatusNotFound, "not_found", "")
		time.Sleep(3 * time.Second)
		if floor.Open() != 0 {
			t.Error("a deleted feed is still connected")
		}
	})
}

func TestAPinnedFeedIsShownToAllAndReadWithTheQuestion(t *testing.T) {
	inBubble(t, repeats, func(w *world) {
		w.exchangeFloor()
		one := w.gate()
		w.admin(one).do("PUT", "/v1/feeds/gold", goldFeed()).into(http.StatusOK, nil)
		time.Sleep(5 * time.Second)
		a := w.guest(one).open()
		b := a.at(w.gate()).open()
		q := a.say("", "k1", "How much?")
		c := q.C
		a.sub(c, "")
		b.sub(c, "")
		if got := last(a.answered(c, q.Run)).Content; got != "Given: How much?" {
			t.Errorf("unpinned, the model %s", got)
		}
		if f := b.must(object{"type": "pin", "c": c, "feed": "gold"}); f.Type != "ok" {
			t.Fatalf("pin got %s", f.raw)
		}
		shown := func(want ...string) {
			t.Helper()
			for _, tb := range []*tab{a, b} {
				tb.wait(fmt.Sprint("pinned is ", want), func() bool { return slices.Equal(tb.views[c].state.Pins, want) })
			}
		}
		shown("gold")
		q = a.say(c, "k2", "How much now?")
		got := last(a.answered(c, q.Run)).Content
		if !strings.HasPrefix(got, "Given: How much now?\n\n<live_data ") || !strings.Contains(got, `"latest":{"value":10`) || !strings.Contains(got, `"about":"Price of gold"`) {
			t.Errorf("pinned, the model %s", got)
		}
		if said := text(a.history(c)); strings.Contains(strings.SplitN(said, "Given: How much now?", 2)[0], "live_data") {
			t.Errorf("what was said has the data in it:\n%s", said)
		}
		var list struct {
			Feeds []struct {
				Name   string
				Pinned bool
				Now    struct{ Latest struct{ Value int } }
			}
		}
		b.get("/v1/conversations/"+c+"/feeds").into(http.StatusOK, &list)
		if len(list.Feeds) != 1 || !list.Feeds[0].Pinned || list.Feeds[0].Now.Latest.Value < 100 {
			t.Errorf("listed: %+v", list)
		}
		w.c.Redis.Wipe() // the store knows
		q = a.say(c, "k3", "And now?")
		if got := last(a.answered(c, q.Run)).Content; !strings.Contains(got, "<live_data") {
			t.Errorf("after Redis was wiped, the model %s", got)
		}
		shown("gold")
		a.do("POST", "/v1/conversations/"+c+"/commands", object{"type": "unpin", "feed": "gold"}).into(http.StatusOK, nil)
		shown()
		q = a.say(c, "k4", "And then?")
		if got := last(a.answered(c, q.Run)).Content; got != "Given: And then?" {
			t.Errorf("unpinned again, the model %s", got)
		}
	})
}

func TestPinsHaveBounds(t *testing.T) {
	inBubble(t, repeats, func(w *world) {
		g := w.gate()
		admin := w.admin(g)
		for i := range 5 {
			admin.do("PUT", fmt.Sprint("/v1/feeds/f", i), goldFeed()).into(http.StatusOK, nil)
		}
		off := goldFeed()
		off["disabled"] = true
		admin.do("PUT", "/v1/feeds/off", off).into(http.StatusOK, nil)
		p := w.guest(g)
		c := p.conversation()
		pin := func(p *person, feed string) *answer {
			return p.do("POST", "/v1/conversations/"+c+"/commands", object{"type": "pin", "feed": feed})
		}
		for i := range 4 {
			pin(p, fmt.Sprint("f", i)).into(http.StatusOK, nil)
		}
		pin(p, "f0").into(http.StatusOK, nil) // again
		pin(p, "f4").problem(http.StatusConflict, "too_many", "feed")
		pin(p, "off").problem(http.StatusNotFound, "not_found", "feed")
		pin(p, "none").problem(http.StatusNotFound, "not_found", "feed")
		pin(w.guest(g), "f0").problem(http.StatusNotFound, "not_found", "")
		admin.do("DELETE", "/v1/feeds/f1", nil).into(http.StatusNoContent, nil)
		if a := p.say(c, "Hello?"); !strings.Contains(a.Answer.Content, `"feed":"f0"`) || strings.Contains(a.Answer.Content, `"feed":"f1"`) {
			t.Errorf("the model was %s", a.Answer.Content)
		}
	})
}

// A feed is pinned while an answer is written.
func TestAPinInTheMiddleOfAnAnswer(t *testing.T) {
	inBubble(t, always(words(40, 100*time.Millisecond)), func(w *world) {
		g, other := w.gate(), w.gate()
		w.admin(g).do("PUT", "/v1/feeds/gold", goldFeed()).into(http.StatusOK, nil)
		tb := w.guest(other).open()
		q := tb.say("", "k1", "Tell me")
		tb.sub(q.C, "")
		time.Sleep(time.Second)
		tb.must(object{"type": "pin", "c": q.C, "feed": "gold"})
		tb.wait("it is shown while the answer goes on", func() bool {
			s := tb.views[q.C].state
			return slices.Equal(s.Pins, []string{"gold"}) && s.Active()
		})
		if s := tb.answered(q.C, q.Run); text(s.Messages) != text(tb.history(q.C)) {
			t.Errorf("the tab shows\n%s\nthe store has\n%s", text(s.Messages), text(tb.history(q.C)))
		}
	})
}
