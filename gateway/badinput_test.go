package gateway_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/llm/llmtest"
)

func TestBadFrames(t *testing.T) {
	tests := []struct {
		name, raw   string
		status      int
		code, field string
	}{
		{"half an object", `{"type":"ping"`, 400, "bad_frame", ""},
		{"nothing", ``, 400, "bad_frame", ""},
		{"not JSON", `hello`, 400, "bad_frame", ""},
		{"two objects", `{"type":"ping"} {"type":"ping"}`, 400, "bad_frame", ""},
		{"a list", `[{"type":"ping"}]`, 400, "bad_frame", ""},
		{"a text", `"ping"`, 400, "bad_frame", ""},
		{"deep", strings.Repeat("[", 30000), 400, "bad_frame", ""},
		{"deep and whole", `{"type":"ping","x":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, 400, "bad_frame", ""},
		{"invalid UTF-8", "{\"type\":\"ping\xff\"}", 400, "bad_frame", ""},
		{"type of the wrong type", `{"type":1}`, 400, "bad_frame", "type"},
		{"msg of the wrong type", `{"type":"send","msg":"hello"}`, 400, "bad_frame", "msg"},
		{"content of the wrong type", `{"type":"send","msg":{"clientId":"k","content":["x"]}}`, 400, "bad_frame", "msg.content"},
		{"limit of the wrong type", `{"type":"history","c":"c1","limit":"7"}`, 400, "bad_frame", "limit"},
		{"null", `null`, 400, "unknown_command", "type"},
		{"no type", `{}`, 400, "unknown_command", "type"},
		{"unknown type", `{"type":"dance"}`, 400, "unknown_command", "type"},
		{"a type of the server's", `{"type":"welcome"}`, 400, "unknown_command", "type"},
		{"send without msg", `{"type":"send"}`, 400, "bad_request", "msg"},
		{"no content", `{"type":"send","msg":{"clientId":"k"}}`, 400, "bad_request", "msg.content"},
		{"blank content", `{"type":"send","msg":{"clientId":"k","content":" \n\t "}}`, 400, "bad_request", "msg.content"},
		{"no clientId", `{"type":"send","msg":{"content":"hello"}}`, 400, "bad_request", "msg.clientId"},
		{"long clientId", `{"type":"send","msg":{"content":"hello","clientId":"` + strings.Repeat("k", 129) + `"}}`, 400, "bad_request", "msg.clientId"},
		{"message over the limit", `{"type":"send","msg":{"clientId":"k","content":"` + strings.Repeat("x", 32<<10+1) + `"}}`, 413, "too_long", "msg.content"},
	}
	inBubble(t, nil, func(w *world) {
		tb := w.guest(w.gate()).open()
		for i, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				before := len(tb.all())
				tb.post(tt.raw)
				tb.wait("an answer", func() bool { return len(tb.frames) > before })
				f := tb.all()[before]
				if f.Type != "err" || f.Problem.Status != tt.status || f.Problem.Code != tt.code || f.Problem.Field != tt.field || f.Problem.Detail == "" {
					t.Errorf("%s: got %s, want %d %s %q", tt.name, f.raw, tt.status, tt.code, tt.field)
				}
			})
			if i%20 == 19 {
				w.rest()
			}
		}
		w.rest()
		if err := tb.ws.Write(w.Context(), websocket.MessageBinary, []byte(`{"type":"ping"}`)); err != nil {
			t.Fatal(err)
		}
		tb.first("an err for the binary frame", func(f frame) bool { return f.Problem != nil && strings.Contains(f.Problem.Detail, "text") })
		tb.must(object{"type": "ping"}) // it survived all that
	})
}

func TestFramesOverTheLimitCloseTheConnection(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		g := w.gate()
		tb := w.guest(g).open()
		tb.post(`{"type":"ping","x":"` + strings.Repeat("x", 65536-22) + `"}`) // the longest that there may be
		tb.first("pong", func(f frame) bool { return f.Type == "pong" })
		go func() {
			_ = tb.ws.Write(context.Background(), websocket.MessageText, []byte(strings.Repeat("x", 65537)))
		}()
		if code := tb.closed(); code != websocket.StatusMessageTooBig {
			t.Errorf("closed with %d, want 1009", code)
		}
		w.rest()
		if n := g.Connections(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
}

func TestAFloodOfCommandsIsRefusedAndSurvived(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		tb := w.guest(w.gate()).open()
		var ids []string
		for range 200 {
			ids = append(ids, tb.send(object{"type": "ping"}))
		}
		limited := 0
		for _, id := range ids {
			f := tb.first("answer to "+id, func(f frame) bool { return f.ID == id })
			if f.Type == "err" {
				if f.Problem.Code != "rate_limited" || f.Problem.RetryMs <= 0 {
					t.Errorf("the flood got %s", f.raw)
				}
				limited++
			}
		}
		if limited < 155 || limited > 161 { // 40 at once
			t.Errorf("%d of 200 commands were refused", limited)
		}
		time.Sleep(time.Second)
		if f := tb.ask(object{"type": "ping"}); f.Type != "pong" {
			t.Errorf("a second later: %s", f.raw)
		}
	})
}

func TestOneConnectionFollowsSoMany(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		w.o.Limits.Follows = 3
		p := w.guest(w.gate())
		tb := p.open()
		cs := []string{p.conversation(), p.conversation(), p.conversation(), p.conversation()}
		for _, c := range cs[:3] {
			tb.sub(c, "")
		}
		tb.refused(object{"type": "sub", "c": cs[3]}, http.StatusTooManyRequests, "too_many", "")
		tb.sub(cs[2], "") // again is no more
		tb.must(object{"type": "unsub", "c": cs[0]})
		tb.sub(cs[3], "")
	})
}

func TestMessagesAMinuteAreLimitedOnAllReplicas(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		w.o.Limits.MessagesPerMinute = 4
		p := w.guest(w.gate())
		a := p.open()
		b := p.at(w.gate()).open()
		for i, tb := range []*tab{a, b, a, b} {
			tb.say("", "k"+string(rune('0'+i)), "hello")
		}
		f := b.ask(object{"type": "send", "msg": object{"clientId": "k9", "content": "hello"}})
		if f.Type != "err" || f.Problem.Code != "rate_limited" || f.Problem.RetryMs < 50_000 || f.Problem.RetryMs > 60_000 {
			t.Errorf("the fifth message got %s", f.raw)
		}
		got := p.do("POST", "/v1/conversations/new/messages", object{"content": "hello"})
		got.problem(http.StatusTooManyRequests, "rate_limited", "")
		if after := got.header.Get("Retry-After"); after != "60" {
			t.Errorf("Retry-After is %q", after)
		}
		w.guest(w.gates[0]).open().say("", "k1", "another person may")
		time.Sleep(time.Minute)
		a.say("", "k9", "a minute later")
	})
}

func TestSoManyQuestionsWait(t *testing.T) {
	inBubble(t, always(words(100, 100*time.Millisecond)), func(w *world) {
		w.o.Limits.Queued = 3
		tb := w.guest(w.gate()).open()
		q := tb.say("", "k0", "hello")
		tb.say(q.C, "k1", "hello")
		tb.say(q.C, "k2", "hello")
		tb.refused(object{"type": "send", "c": q.C, "msg": object{"clientId": "k3", "content": "hello"}}, http.StatusTooManyRequests, "too_many", "")
		tb.say(q.C, "k2", "hello") // again is no more
		time.Sleep(12 * time.Second)
		tb.say(q.C, "k3", "hello")
	})
}

func TestBadBodies(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		p := w.guest(w.gate())
		c := p.conversation()
		conv := "/v1/conversations/" + c
		tests := []struct {
			name, method, path, body string
			status                   int
			code, field              string
		}{
			{"not JSON", "POST", conv + "/messages", "hello", 400, "bad_request", ""},
			{"empty", "POST", conv + "/messages", "", 400, "bad_request", ""},
			{"half", "POST", conv + "/messages", `{"content":"x`, 400, "bad_request", ""},
			{"unknown field", "POST", conv + "/messages", `{"content":"x","owner":"guest.me"}`, 400, "bad_request", "owner"},
			{"trailing data", "POST", conv + "/messages", `{"content":"x"}{}`, 400, "bad_request", ""},
			{"wrong type", "POST", conv + "/messages", `{"content":7}`, 400, "bad_request", "content"},
			{"a list", "POST", conv + "/messages", `[]`, 400, "bad_request", ""},
			{"null", "POST", conv + "/messages", `null`, 400, "bad_request", "content"},
			{"deep", "POST", conv + "/messages", `{"content":` + strings.Repeat("[", 15000), 400, "bad_request", ""},
			{"not UTF-8", "POST", conv + "/messages", "{\"content\":\"\xff\"}", 400, "bad_request", ""},
			{"no content", "POST", conv + "/messages", `{}`, 400, "bad_request", "content"},
			{"blank", "POST", conv + "/messages", `{"content":"\n"}`, 400, "bad_request", "content"},
			{"long clientId", "POST", conv + "/messages", `{"content":"x","clientId":"` + strings.Repeat("k", 129) + `"}`, 400, "bad_request", "clientId"},
			{"over the limit", "POST", conv + "/messages", `{"content":"` + strings.Repeat("x", 32<<10+1) + `"}`, 413, "too_long", "content"},
			{"1 MB", "POST", conv + "/messages", `{"content":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "too_long", ""},
			{"wait without a unit", "POST", conv + "/messages?wait=60", `{"content":"x"}`, 400, "bad_request", "wait"},
			{"negative wait", "POST", conv + "/messages?wait=-1s", `{"content":"x"}`, 400, "bad_request", "wait"},
			{"title of the wrong type", "POST", "/v1/conversations", `{"title":[]}`, 400, "bad_request", "title"},
			{"unknown field of a conversation", "POST", "/v1/conversations", `{"id":"c1"}`, 400, "bad_request", "id"},
			{"long title", "POST", "/v1/conversations", `{"title":"` + strings.Repeat("ü", 201) + `"}`, 400, "too_long", "title"},
			{"no title", "PATCH", conv, `{}`, 400, "bad_request", "title"},
			{"blank title", "PATCH", conv, `{"title":"  "}`, 400, "bad_request", "title"},
			{"too long a title", "PATCH", conv, `{"title":"` + strings.Repeat("x", 201) + `"}`, 400, "too_long", "title"},
			{"more than a title", "PATCH", conv, `{"title":"x","created":"2000-01-01T00:00:00Z"}`, 400, "bad_request", "created"},
			{"command is not JSON", "POST", conv + "/commands", `x`, 400, "bad_request", ""},
			{"command of the wrong type", "POST", conv + "/commands", `{"type":{}}`, 400, "bad_request", "type"},
			{"unknown command", "POST", conv + "/commands", `{"type":"dance"}`, 400, "unknown_command", "type"},
			{"command of a connection", "POST", conv + "/commands", `{"type":"sub"}`, 400, "unknown_command", "type"},
			{"long command", "POST", conv + "/commands", `{"type":"` + strings.Repeat("x", 1<<17) + `"}`, 413, "too_long", ""},
			{"limit 0", "GET", "/v1/conversations?limit=0", "", 400, "bad_request", "limit"},
			{"limit over 200", "GET", conv + "/messages?limit=201", "", 400, "bad_request", "limit"},
			{"limit of words", "GET", "/v1/conversations?limit=many", "", 400, "bad_request", "limit"},
			{"foreign cursor", "GET", "/v1/conversations?after=x", "", 400, "bad_request", "after"},
			{"no position", "GET", conv + "/events?after=x", "", 400, "bad_request", "after"},
			{"no such message", "GET", conv + "/messages?before=mnever", "", 404, "not_found", "before"},
		}
		for _, tt := range tests {
			a := p.do(tt.method, tt.path, tt.body)
			a.what = tt.name
			a.problem(tt.status, tt.code, tt.field)
		}
		a := p.do("GET", conv+"/events", nil, "Last-Event-ID", "x")
		a.problem(http.StatusBadRequest, "bad_request", "after")
		if ms := p.history(c); len(ms) != 0 {
			t.Errorf("something was said: %s", text(ms))
		}
		full := p.say(c, strings.Repeat("\n\"", 16<<10)) // as long as may be, and twice that as JSON
		if full.Status != "finished" {
			t.Errorf("the longest message got %+v", full)
		}
	})
}

func TestAFaultOfOursEndsOneCommandOnly(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		g := w.gate()
		limiter := g.Limiter
		g.Limiter = nil
		tb := w.guest(g).open()
		tb.refused(object{"type": "send", "msg": object{"clientId": "k", "content": "x"}}, http.StatusInternalServerError, "internal", "")
		tb.must(object{"type": "ping"})
		tb.do("POST", "/v1/conversations/new/messages", object{"content": "x"}).problem(http.StatusInternalServerError, "internal", "")
		g.Limiter = limiter
	})
}
