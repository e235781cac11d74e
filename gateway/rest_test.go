package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/llm/llmtest"
)

func TestPostAMessageAndWait(t *testing.T) {
	inBubble(t, always(words(20, 100*time.Millisecond)), func(w *world) {
		p := w.guest(w.gate())
		a := p.say("new", "hello")
		if a.Status != "finished" || a.Answer == nil || !strings.Contains(a.Answer.Content, "word19") || a.Failure != nil || a.MessageID == "" {
			t.Errorf("got %+v", a)
		}
		next := p.say(a.Conversation, "and again")
		if next.Conversation != a.Conversation || next.Answer.ID == a.Answer.ID || next.Answer.Metadata.Parley.Run != next.Run {
			t.Errorf("the second answer is %+v", next)
		}
	})
}

func TestPostAMessageWithoutWaiting(t *testing.T) {
	inBubble(t, always(words(20, 100*time.Millisecond)), func(w *world) {
		p := w.guest(w.gate())
		for _, wait := range []string{"", "?wait=1s"} {
			began := time.Now()
			var a posted
			p.do("POST", "/v1/conversations/new/messages"+wait, object{"content": "hello"}).into(http.StatusAccepted, &a)
			if a.Answer != nil || a.Status == "finished" || time.Since(began) > 1100*time.Millisecond {
				t.Errorf("wait %q got %+v after %v", wait, a, time.Since(began))
			}
			time.Sleep(5 * time.Second)
			if ms := p.history(a.Conversation); len(ms) != 2 || !strings.Contains(ms[1].Content, "word19") {
				t.Errorf("the answer did not go on:\n%s", text(ms))
			}
			var rec chat.RunRecord
			p.get("/v1/runs/"+a.Run).into(http.StatusOK, &rec)
			if rec.Status != chat.RunDone || rec.Question != a.MessageID || rec.Usage == nil {
				t.Errorf("the run is %+v", rec)
			}
		}
	})
}

func TestIdempotencyKey(t *testing.T) {
	inBubble(t, always(words(5, 100*time.Millisecond)), func(w *world) {
		p := w.guest(w.gate())
		other := p.at(w.gate())
		var one, again, later posted
		p.do("POST", "/v1/conversations/new/messages", object{"content": "hello"}, "Idempotency-Key", "key").into(http.StatusAccepted, &one)
		other.do("POST", "/v1/conversations/new/messages?wait=20s", object{"content": "hello"}, "Idempotency-Key", "key").into(http.StatusOK, &again)
		p.do("POST", "/v1/conversations/new/messages", object{"content": "hello"}, "Idempotency-Key", "key").into(http.StatusOK, &later)
		if again.Run != one.Run || again.MessageID != one.MessageID || later.Run != one.Run || later.Answer == nil || later.Answer.ID != again.Answer.ID {
			t.Errorf("the same key got %+v, then %+v, then %+v", one, again, later)
		}
		if n := w.model.Count(); n != 1 {
			t.Errorf("the model was asked %d times", n)
		}
		var sent, same frame
		commands := "/v1/conversations/" + one.Conversation + "/commands"
		p.do("POST", commands, object{"type": "send", "id": "7", "msg": object{"content": "x"}}, "Idempotency-Key", "key2").into(http.StatusOK, &sent)
		other.do("POST", commands, object{"type": "send", "id": "8", "msg": object{"content": "x"}}, "Idempotency-Key", "key2").into(http.StatusOK, &same)
		if sent.Type != "ok" || sent.ID != "7" || same.ID != "8" || sent.Run == "" || sent.Run != same.Run {
			t.Errorf("the same key got %+v, then %+v", sent, same)
		}
	})
}

func TestAFailedModelIsAnAnswer(t *testing.T) {
	inBubble(t, always(llmtest.Fail(http.StatusUnauthorized, "invalid_api_key", "Incorrect API key provided: "+modelKey)), func(w *world) {
		p := w.guest(w.gate())
		a := p.say("new", "hello")
		if a.Status != "failed" || a.Failure == nil || a.Failure.Code == "" || a.Failure.Message == "" {
			t.Errorf("got %+v", a)
		}
		tb := p.open()
		s := tb.sub(a.Conversation, "").Snapshot
		if d := last(*s).Metadata; d == nil || d.Parley.Failure == nil || d.Parley.Failure.Code != a.Failure.Code {
			t.Errorf("the snapshot does not say that it failed: %+v", s)
		}
	})
}

func TestConversations(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		p := w.guest(w.gate())
		var ids []string
		for i := range 5 {
			var c chat.Conversation
			a := p.do("POST", "/v1/conversations", object{"title": fmt.Sprintf("talk %d", i)})
			a.into(http.StatusCreated, &c)
			if a.header.Get("Location") != "/v1/conversations/"+c.ID {
				t.Errorf("Location is %q", a.header.Get("Location"))
			}
			ids = append([]string{c.ID}, ids...)
			w.rest()
		}
		var got []string
		after := ""
		for range 5 {
			var page struct {
				Conversations []chat.Conversation
				Next          string
			}
			p.get("/v1/conversations?limit=2&after="+after).into(http.StatusOK, &page)
			for _, c := range page.Conversations {
				got = append(got, c.ID)
			}
			if after = page.Next; after == "" {
				break
			}
		}
		if strings.Join(got, " ") != strings.Join(ids, " ") {
			t.Errorf("the pages list %v, want %v", got, ids)
		}
		var c chat.Conversation
		p.do("PATCH", "/v1/conversations/"+ids[0], object{"title": "Überschrift"}).into(http.StatusOK, nil)
		p.at(w.gate()).get("/v1/conversations/"+ids[0]).into(http.StatusOK, &c)
		if c.Title != "Überschrift" || c.Created.IsZero() {
			t.Errorf("after renaming it is %+v", c)
		}
		p.do("DELETE", "/v1/conversations/"+ids[0], nil).into(http.StatusNoContent, nil)
		for _, path := range []string{"", "/messages", "/events"} {
			p.get("/v1/conversations/"+ids[0]+path).problem(http.StatusNotFound, "not_found", "")
		}
		p.do("DELETE", "/v1/conversations/"+ids[0], nil).problem(http.StatusNotFound, "not_found", "")
		var none struct{ Conversations []chat.Conversation }
		a := w.guest(w.gates[0]).get("/v1/conversations")
		if a.into(http.StatusOK, &none); len(none.Conversations) != 0 || !strings.Contains(string(a.body), `"conversations":[]`) {
			t.Errorf("somebody else sees %s", a.body)
		}
	})
}

func TestDeletionWhileAnAnswerRuns(t *testing.T) {
	inBubble(t, always(words(300, 50*time.Millisecond)), func(w *world) {
		g := w.gate()
		w.gate()
		tb := w.guest(g).open()
		q := tb.say("", "k1", "hello")
		tb.sub(q.C, "")
		tb.until(q.C, "some words", func(s *chat.State) bool { return last(*s).ID != "" })
		tb.do("DELETE", "/v1/conversations/"+q.C, nil).into(http.StatusNoContent, nil)
		time.Sleep(2 * time.Minute)
		tb.get("/v1/conversations/"+q.C).problem(http.StatusNotFound, "not_found", "")
		tb.get("/v1/runs/"+q.Run).problem(http.StatusNotFound, "not_found", "")
		tb.refused(object{"type": "sub", "c": q.C}, http.StatusNotFound, "not_found", "")
		tb.refused(object{"type": "send", "msg": object{"clientId": "k1", "content": "hello"}}, http.StatusNotFound, "not_found", "")
		for _, g := range w.gates {
			if n := g.Replica.Runner.Running(); n != 0 {
				t.Errorf("%d runs go on", n)
			}
		}
		if n := w.model.Count(); n != 1 {
			t.Errorf("the model was asked %d times", n)
		}
	})
}

func TestInfoAndHealth(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		g := w.gate()
		p := w.guest(g)
		var info struct {
			Name, Build, Model string
			Limits             struct{ MaxMessage int }
		}
		p.get("/v1/info").into(http.StatusOK, &info)
		if info.Name != "Parley" || info.Build != "test" || info.Model != "scripted" || info.Limits.MaxMessage != 32768 {
			t.Errorf("info is %+v", info)
		}
		p.get("/readyz").into(http.StatusOK, nil)
		g.Replica.Link.Cut()
		p.get("/readyz").problem(http.StatusServiceUnavailable, "unavailable", "")
		p.get("/healthz").into(http.StatusOK, nil)
		g.Replica.Link.Mend()
		time.Sleep(5 * time.Second)
		p.get("/readyz").into(http.StatusOK, nil)
		_ = g.Replica.Store.Close()
		p.get("/readyz").problem(http.StatusServiceUnavailable, "unavailable", "")
		p.get("/healthz").into(http.StatusOK, nil)
	})
}

func TestErrorsShowNothingInternal(t *testing.T) {
	inBubble(t, always(words(10, 100*time.Millisecond)), func(w *world) {
		g := w.gate()
		p := w.guest(g)
		a := exchange(p)
		conv := "/v1/conversations/" + a.Conversation
		check := func(what string, got *answer) {
			t.Helper()
			pr := got.problem(http.StatusServiceUnavailable, "unavailable", "")
			if got.header.Get("Retry-After") == "" || pr.RetryMs <= 0 {
				t.Errorf("%s: no time to try again: %s", got.what, got.body)
			}
			for _, internal := range []string{"sql", "redis", "database", "store:", "chat:", "gatewaytest", "link", ".go"} {
				if strings.Contains(strings.ToLower(string(got.body)), internal) {
					t.Errorf("%s, %s shows %q: %s", what, got.what, internal, got.body)
				}
			}
		}
		g.Replica.Link.Cut()
		check("without Redis", p.do("POST", conv+"/messages", object{"content": "hello"}))
		check("without Redis", p.do("POST", conv+"/commands", object{"type": "send", "msg": object{"clientId": "k1", "content": "hello"}}))
		p.get(conv+"/messages").into(http.StatusOK, nil)
		g.Replica.Link.Mend()
		time.Sleep(time.Minute)
		if ms := p.history(a.Conversation); len(ms) != 6 {
			t.Errorf("after Redis came back:\n%s", text(ms))
		}
		tb := p.open()
		admin := w.admin(g)
		_ = g.Replica.Store.Close()
		for _, got := range []*answer{
			p.get("/v1/conversations"), p.get(conv), p.get(conv + "/messages"), p.get(conv + "/events"), p.get("/v1/runs/" + a.Run),
			p.do("POST", "/v1/conversations", nil), p.do("PATCH", conv, object{"title": "x"}), p.do("DELETE", conv, nil),
			p.do("POST", conv+"/messages", object{"content": "x"}), p.do("POST", "/v1/conversations/new/messages", object{"content": "x"}),
			p.do("POST", conv+"/commands", object{"type": "history"}),
			admin.get("/v1/tools"), admin.get("/v1/tools/x"), admin.do("DELETE", "/v1/tools/x", nil), admin.do("POST", "/v1/tools/x/call", "{}"),
			admin.do("PUT", "/v1/tools/x", object{"description": "x", "url": "http://" + toolHost + "/", "headers": object{"X-Key": toolSecret}}),
			admin.get("/v1/documents"), admin.get("/v1/documents/x"), admin.do("DELETE", "/v1/documents/x", nil),
			admin.do("POST", "/v1/documents?name=x.txt", "some text"), admin.do("POST", "/v1/retrieval", object{"query": "text"}),
		} {
			check("without a store", got)
		}
		tb.refused(object{"type": "sub", "c": a.Conversation}, http.StatusServiceUnavailable, "unavailable", "")
		tb.refused(object{"type": "send", "msg": object{"clientId": "k", "content": "x"}}, http.StatusServiceUnavailable, "unavailable", "")
	})
}
