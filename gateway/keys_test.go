package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/gateway/gatewaytest"
	"parley/llm/llmtest"
)

// key makes an API key and returns its token and id.
func (w *world) key(g *gatewaytest.Gateway, name, tenant string, scopes ...string) (token, id string) {
	w.Helper()
	var k struct{ Token, ID string }
	w.admin(g).do("POST", "/v1/keys", object{"name": name, "tenant": tenant, "scopes": scopes}).into(http.StatusCreated, &k)
	return k.Token, k.ID
}

// speaks is one of a tenant's people, for whom the key's system speaks.
func (w *world) speaks(g *gatewaytest.Gateway, token, name string) *person {
	return &person{w: w, host: g.Host, token: token, name: name}
}

func TestASystemSpeaksForItsPeople(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		g, h := w.gate(), w.gate()
		acme, _ := w.key(g, "Acme's shop", "acme", "chat")
		beta, _ := w.key(g, "Beta", "beta", "chat")
		again, _ := w.key(g, "Acme's phone", "acme", "chat")
		ann := w.speaks(g, acme, "ann")
		a := ann.say("new", "hello")
		if a.Status != "finished" {
			t.Fatalf("%+v", a)
		}
		at := "/v1/conversations/" + a.Conversation
		for name, p := range map[string]*person{"herself elsewhere": w.speaks(h, acme, "ann"), "by another key": w.speaks(g, again, "ann"), "the administrator": w.admin(g)} {
			if got := p.get(at); got.status != http.StatusOK {
				t.Errorf("%s: %d %s", name, got.status, got.body)
			}
		}
		for name, p := range map[string]*person{
			"another person": w.speaks(g, acme, "bob"), "the system itself": w.speaks(g, acme, ""),
			"another tenant's": w.speaks(g, beta, "ann"), "a guest": w.guest(g),
		} {
			p.get(at).problem(http.StatusNotFound, "not_found", "")
			var list struct{ Conversations []object }
			p.get("/v1/conversations").into(http.StatusOK, &list)
			if len(list.Conversations) > 0 {
				t.Errorf("%s sees %v", name, list.Conversations)
			}
		}
		ann.open().sub(a.Conversation, "")
	})
}

func TestAKeyDoesWhatItsScopesSay(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		g := w.gate()
		chats, _ := w.key(g, "chats", "acme", "chat")
		tools, _ := w.key(g, "tools", "acme", "tools")
		both, _ := w.key(g, "both", "acme", "chat", "tools")
		for _, c := range []struct {
			token, path string
			want        int
		}{
			{chats, "/v1/conversations", http.StatusOK},
			{chats, "/v1/tools", http.StatusForbidden},
			{tools, "/v1/conversations", http.StatusForbidden},
			{tools, "/v1/tools", http.StatusOK},
			{tools, "/v1/documents", http.StatusOK},
			{both, "/v1/conversations", http.StatusOK},
			{both, "/v1/tools", http.StatusOK},
			{both, "/v1/keys", http.StatusForbidden},
		} {
			a := w.speaks(g, c.token, "").get(c.path)
			if a.status != c.want {
				t.Errorf("%s: %d %s, want %d", c.path, a.status, a.body, c.want)
			}
			if c.want == http.StatusForbidden {
				a.problem(http.StatusForbidden, "forbidden", "")
			}
		}
		if _, res, err := w.speaks(g, tools, "").dial(); err == nil || res.StatusCode != http.StatusForbidden {
			t.Errorf("a key for tools opens a WebSocket: %v", err)
		}
	})
}

func TestATokenIsShownOnce(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		g := w.gate()
		token, id := w.key(g, "a", "acme", "chat")
		list := w.admin(g).get("/v1/keys")
		if !strings.Contains(string(list.body), id) || strings.Contains(string(list.body), token[len(token)-20:]) {
			t.Errorf("the list is %s", list.body)
		}
		if strings.Contains(string(w.log.bytes()), token[len(token)-20:]) {
			t.Error("the log shows the token")
		}
		w.admin(g).do("POST", "/v1/keys", object{"name": "a", "tenant": "acme"}).problem(http.StatusConflict, "conflict", "name")
	})
}

func TestAKeyIsTakenBackEverywhere(t *testing.T) {
	inBubble(t, always(words(200, 100*time.Millisecond)), func(w *world) {
		g, h := w.gate(), w.gate()
		token, id := w.key(g, "a", "acme", "chat")
		other, _ := w.key(g, "b", "acme", "chat")
		ann := w.speaks(h, token, "ann")
		conv := ann.conversation()
		tb := ann.open()
		tb.sub(conv, "")
		stays := w.speaks(h, other, "ann").open()
		stream := ann.stream(conv, "")
		w.admin(g).do("DELETE", "/v1/keys/"+id, nil).into(http.StatusNoContent, nil)
		w.admin(g).do("DELETE", "/v1/keys/"+id, nil).problem(http.StatusNotFound, "not_found", "")
		time.Sleep(3 * time.Second)
		ann.get("/v1/conversations").problem(http.StatusUnauthorized, "sign_in", "")
		if _, res, err := ann.dial(); err == nil || res.StatusCode != http.StatusUnauthorized {
			t.Errorf("a new connection: %v", err)
		}
		tb.mu.Lock()
		last, ended := tb.frames[len(tb.frames)-1], tb.ended
		tb.mu.Unlock()
		if last.Type != "bye" || last.Reason != "auth_expired" || websocket.CloseStatus(ended) != 4401 {
			t.Errorf("the WebSocket ended behind %s with %v", last.raw, ended)
		}
		for stream.next() {
		}
		if got := stays.do("GET", "/v1/conversations", nil); got.status != http.StatusOK {
			t.Errorf("another key: %d %s", got.status, got.body)
		}
		stays.mu.Lock()
		defer stays.mu.Unlock()
		if stays.ended != nil {
			t.Errorf("another key's connection ended: %v", stays.ended)
		}
	})
}

func TestATicketOpensOneConnection(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		g, h := w.gate(), w.gate()
		token, id := w.key(g, "a", "acme", "chat")
		ann := w.speaks(g, token, "ann")
		conv := exchange(ann).Conversation
		ticketOf := func(p *person) string {
			var a struct {
				Ticket    string
				ExpiresMs int64
			}
			p.do("POST", "/v1/ws-ticket", nil).into(http.StatusCreated, &a)
			if a.ExpiresMs != 30_000 {
				t.Errorf("it expires in %d ms", a.ExpiresMs)
			}
			return a.Ticket
		}
		refused := func(why, ticket string, g *gatewaytest.Gateway) {
			p := w.guest(g)
			p.ticket = ticket
			if _, res, err := p.dial(); err == nil || res.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s: %v", why, err)
			}
		}
		page := w.guest(h) // of another origin, with no cookie
		page.ticket = ticketOf(ann)
		if f := page.open().sub(conv, ""); f.Snapshot == nil {
			t.Errorf("ann's conversation: %s", f.raw)
		}
		refused("used on another replica", page.ticket, g)
		sse := ticketOf(ann)
		if a := w.guest(g).do("GET", "/v1/conversations/"+conv+"/events?wait=0s&ticket="+sse, nil, "Accept", "application/json"); a.status != http.StatusOK {
			t.Errorf("events: %d %s", a.status, a.body)
		}
		refused("used for events", sse, g)
		w.guest(g).get("/v1/conversations?ticket="+ticketOf(ann)).into(http.StatusOK, nil) // a guest's own: tickets open connections alone
		w.guest(g).get("/v1/conversations/"+conv+"?ticket="+ticketOf(ann)).problem(http.StatusNotFound, "not_found", "")

		late := ticketOf(ann)
		time.Sleep(31 * time.Second)
		refused("too old", late, g)
		fresh := ticketOf(ann)
		body, mac, _ := strings.Cut(fresh, ".")
		for why, forged := range map[string]string{"no signature": body, "other signature": body + "." + mac[1:], "of another": "eyJvIjoiYWRtaW4ifQ." + mac, "rubbish": "%00", "a cookie's": "x." + mac} {
			refused(why, forged, g)
		}
		w.admin(g).do("DELETE", "/v1/keys/"+id, nil).into(http.StatusNoContent, nil)
		time.Sleep(2 * time.Second)
		refused("its key was taken back", fresh, g)
		w.admin(g).do("POST", "/v1/ws-ticket", nil).problem(http.StatusForbidden, "forbidden", "")
		guest := w.guest(g)
		mine := exchange(guest).Conversation
		elsewhere := w.guest(h)
		elsewhere.ticket = ticketOf(guest)
		elsewhere.open().sub(mine, "")
	})
}

func TestBadKeysAndPeople(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		g := w.gate()
		for _, c := range []struct {
			body  object
			field string
		}{
			{object{"tenant": "acme"}, "name"},
			{object{"name": "a"}, "tenant"},
			{object{"name": "a", "tenant": "Acme:x"}, "tenant"},
			{object{"name": "a", "tenant": "acme", "scopes": []string{"admin"}}, "scopes"},
			{object{"name": "a", "tenant": "acme", "expires": "1999-01-01T00:00:00Z"}, "expires"},
		} {
			w.admin(g).do("POST", "/v1/keys", c.body).problem(http.StatusUnprocessableEntity, "bad_request", c.field)
		}
		w.admin(g).do("POST", "/v1/keys", object{"name": "a", "tenant": "acme", "hash": "x"}).problem(http.StatusBadRequest, "bad_request", "hash")
		token, _ := w.key(g, "a", "acme", "chat")
		for _, name := range []string{"a:b", "a b", "-", strings.Repeat("x", 65)} {
			w.speaks(g, token, name).get("/v1/conversations").problem(http.StatusBadRequest, "bad_request", "Parley-Person")
		}
		w.guest(g).do("GET", "/v1/conversations", nil, "Parley-Person", "ann").into(http.StatusOK, nil) // a guest's own, whatever it says
	})
}
