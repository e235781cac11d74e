package gateway_test

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"

	"parley/gateway/gatewaytest"
	"parley/llm/llmtest"
)

// Who may use a route.
type access int

const (
	everybody access = iota
	owners           // of the conversation in the address
	admins
	retrievers
	nobody // there is nothing at that address
)

// routes is every route that there is. One that is not listed fails the test:
// whoever adds a route says here who may use it.
func routes() map[string]access {
	all := map[string]access{
		"GET /healthz":                                 everybody,
		"GET /readyz":                                  everybody,
		"GET /*":                                       everybody,
		"HEAD /*":                                      everybody,
		"GET /v1/info":                                 everybody,
		"GET /v1/ws":                                   everybody,
		"POST /v1/conversations":                       everybody,
		"GET /v1/conversations":                        everybody,
		"GET /v1/conversations/:c":                     owners,
		"PATCH /v1/conversations/:c":                   owners,
		"DELETE /v1/conversations/:c":                  owners,
		"GET /v1/conversations/:c/messages":            owners,
		"POST /v1/conversations/:c/messages":           owners,
		"GET /v1/conversations/:c/events":              owners,
		"POST /v1/conversations/:c/commands":           owners,
		"GET /v1/conversations/:c/allowances":          owners,
		"DELETE /v1/conversations/:c/allowances/:tool": owners,
		"GET /v1/runs/:run":                            owners,
		"GET /v1/tools":                                admins,
		"GET /v1/tools/:name":                          admins,
		"GET /v1/tools/:name/stats":                    admins,
		"PUT /v1/tools/:name":                          admins,
		"PATCH /v1/tools/:name":                        admins,
		"POST /v1/tools/draft":                         admins,
		"DELETE /v1/tools/:name":                       admins,
		"POST /v1/tools/:name/call":                    admins,
		"POST /v1/tools/import":                        admins,
		"GET /v1/agents":                               everybody,
		"GET /v1/agents/:name":                         admins,
		"PUT /v1/agents/:name":                         admins,
		"DELETE /v1/agents/:name":                      admins,
		"GET /v1/agents/:name/versions":                admins,
		"GET /v1/agents/:name/versions/:n":             admins,
		"GET /v1/feeds":                                admins,
		"GET /v1/feeds/:name":                          admins,
		"GET /v1/feeds/:name/value":                    admins,
		"PUT /v1/feeds/:name":                          admins,
		"DELETE /v1/feeds/:name":                       admins,
		"GET /v1/conversations/:c/feeds":               owners,
		"GET /v1/mcp":                                  admins,
		"GET /v1/mcp/:name":                            admins,
		"PUT /v1/mcp/:name":                            admins,
		"DELETE /v1/mcp/:name":                         admins,
		"GET /v1/credentials":                          admins,
		"GET /v1/credentials/:name":                    admins,
		"PUT /v1/credentials/:name":                    admins,
		"DELETE /v1/credentials/:name":                 admins,
		"GET /v1/connect/:credential":                  everybody,
		"GET /v1/connect/callback":                     everybody,
		"GET /v1/connections":                          everybody, // their own
		"DELETE /v1/connections/:credential":           everybody,
		"POST /v1/documents":                           admins,
		"GET /v1/documents":                            admins,
		"GET /v1/documents/:id":                        everybody,
		"DELETE /v1/documents/:id":                     admins,
		"POST /v1/files":                               everybody,
		"GET /v1/files/:id":                            everybody, // each their own: see files_test.go
		"HEAD /v1/files/:id":                           everybody,
		"DELETE /v1/files/:id":                         everybody,
		"POST /v1/retrieval":                           retrievers,
		"GET /v1/session":                              everybody,
		"POST /v1/session":                             everybody,
		"DELETE /v1/session":                           everybody,
		"POST /v1/ws-ticket":                           everybody,
		"GET /v1/usage":                                everybody, // their own
		"GET /v1/usage/report":                         admins,
		"POST /v1/keys":                                admins,
		"GET /v1/keys":                                 admins,
		"DELETE /v1/keys/:id":                          admins,
		"echo_route_not_found /v1/*":                   nobody,
		"echo_route_not_found /v1":                     nobody,
		"echo_route_not_found /":                       nobody,
		"CONNECT /v1/*":                                nobody,
		"PROPFIND /v1/*":                               nobody,
		"REPORT /v1/*":                                 nobody,
		"TRACE /v1/*":                                  nobody,
		"HEAD /v1/*":                                   nobody,
		"OPTIONS /v1/*":                                nobody,
		"GET /v1/tools/imports/:id":                    admins,
		"DELETE /v1/tools/imports/:id":                 admins,
	}
	for _, m := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		all[m+" /v1/*"] = nobody
	}
	return all
}

// exchange is a conversation with one answer in it.
func exchange(p *person) posted {
	a := p.say("new", "hello")
	if a.Status != "finished" {
		p.w.Fatalf("the exchange ended as %+v", a)
	}
	p.w.rest() // the store has it all, the log gets its last entry a moment later
	return a
}

func TestEveryRouteSaysWhoMayUseIt(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		g := w.gate()
		mine := w.guest(g)
		foreign := exchange(mine)
		known := routes()
		for _, route := range g.Routes() {
			may, ok := known[route]
			if !ok {
				t.Errorf("%s is not in this test's list: say there who may use it", route)
				continue
			}
			method, pattern, _ := strings.Cut(route, " ")
			if strings.HasPrefix(method, "echo_") {
				continue
			}
			at := func(conv, run string) string {
				return strings.NewReplacer(":c", conv, ":run", run, ":name", "some_tool", ":tool", "some_tool", ":id", "some-document", "*", "nothing/here").Replace(pattern)
			}
			switch may {
			case owners:
				for _, body := range []string{
					"", `{"content":"x"}`, `{"title":"x"}`, `{"type":"send","msg":{"clientId":"k","content":"x"}}`,
					`{"type":"cancel","run":"` + foreign.Run + `"}`, `{"type":"regenerate","clientId":"k","messageId":"` + foreign.MessageID + `"}`, `{"type":"history"}`,
					`{"type":"edit","clientId":"k","content":"x","messageId":"` + foreign.MessageID + `"}`,
				} {
					if refusesEarlier(route, body) {
						continue
					}
					other := w.guest(g)
					is := other.do(method, at(foreign.Conversation, foreign.Run), body)
					not := other.do(method, at("cnever", "rnever"), body)
					is.problem(http.StatusNotFound, "not_found", "")
					if string(is.body) != string(not.body) || is.status != not.status {
						t.Errorf("%s %s: foreign: %s, unknown: %s", route, body, is.body, not.body)
					}
				}
			case admins:
				w.guest(g).do(method, at("", ""), "{}").problem(http.StatusUnauthorized, "sign_in", "")
				mine.do(method, at("", ""), "{}").problem(http.StatusUnauthorized, "sign_in", "")
				fallthrough
			case retrievers, everybody:
				for _, token := range []string{"wrong", gatewaytest.AdminToken + "x", gatewaytest.AdminToken[:5], "Ω"} {
					if slices.Contains([]string{"GET /healthz", "GET /readyz"}, route) {
						continue
					}
					p := &person{w: w, host: g.Host, token: token}
					a := p.do(method, at("", ""), "{}")
					if method == "HEAD" && a.status == http.StatusUnauthorized {
						continue // without a body
					}
					a.problem(http.StatusUnauthorized, "sign_in", "")
					if a.header.Get("WWW-Authenticate") == "" {
						t.Errorf("%s: 401 without WWW-Authenticate", route)
					}
				}
			case nobody:
				if method != "HEAD" && method != "CONNECT" {
					w.guest(g).do(method, at("", ""), nil).problem(http.StatusNotFound, "not_found", "")
				}
			}
		}
		if got := len(mine.history(foreign.Conversation)); got != 2 {
			t.Errorf("after all that the conversation has %d messages", got)
		}
	})
}

// refusesEarlier tells of bodies that a route refuses, whatever conversation
// it is about.
func refusesEarlier(route, body string) bool {
	command := strings.Contains(body, `"type"`)
	switch {
	case strings.HasSuffix(route, "/commands"):
		return !command
	case strings.HasPrefix(route, "POST") && strings.HasSuffix(route, "/messages"):
		return !strings.Contains(body, `{"content"`)
	}
	return false
}

func TestForeignConversationsOnAWebSocket(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		g := w.gate()
		foreign := exchange(w.guest(g))
		tb := w.guest(g).open()
		for _, c := range []string{foreign.Conversation, "cnever", "", "../x", "a b", strings.Repeat("c", 200), "c\x00d", "*"} {
			for _, cmd := range []object{
				{"type": "sub"},
				{"type": "sub", "after": "1-1"},
				{"type": "send", "msg": object{"clientId": "k", "content": "x"}},
				{"type": "cancel", "run": foreign.Run},
				{"type": "regenerate", "messageId": foreign.MessageID, "clientId": "k"},
				{"type": "edit", "messageId": foreign.MessageID, "clientId": "k", "content": "x"},
				{"type": "history"},
				{"type": "history", "before": foreign.MessageID},
			} {
				if c == "" && cmd["type"] == "send" {
					continue // begins a conversation
				}
				cmd["c"] = c
				tb.refused(cmd, http.StatusNotFound, "not_found", "")
				tb.w.rest()
			}
		}
		mine := exchange(tb.person)
		tb.refused(object{"type": "cancel", "c": mine.Conversation, "run": foreign.Run}, http.StatusNotFound, "not_found", "")
		tb.refused(object{"type": "regenerate", "c": mine.Conversation, "messageId": foreign.MessageID, "clientId": "k"}, http.StatusConflict, "conflict", "")
		tb.refused(object{"type": "edit", "c": mine.Conversation, "messageId": foreign.MessageID, "clientId": "k", "content": "x"}, http.StatusNotFound, "not_found", "messageId")
		tb.refused(object{"type": "history", "c": mine.Conversation, "before": foreign.MessageID}, http.StatusNotFound, "not_found", "before")
	})
}

func TestAdminMayReadEverything(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		g := w.gate()
		foreign := exchange(w.guest(g))
		admin := w.admin(g)
		admin.get("/v1/conversations/"+foreign.Conversation).into(http.StatusOK, nil)
		admin.get("/v1/runs/"+foreign.Run).into(http.StatusOK, nil)
		if f := admin.open().sub(foreign.Conversation, ""); f.Snapshot == nil {
			t.Errorf("sub got %s", f.raw)
		}
	})
}

func TestAnAlteredCookieIsANewGuest(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		g := w.gate()
		owner := w.guest(g)
		mine := exchange(owner)
		good := owner.cookie
		id, mac, _ := strings.Cut(good, ".")
		flipped := "A" + mac[1:]
		if mac[0] == 'A' {
			flipped = "B" + mac[1:]
		}
		for name, cookie := range map[string]string{
			"no signature":       id,
			"empty signature":    id + ".",
			"other signature":    id + "." + flipped,
			"other id":           id[:len(id)-1] + "0." + mac,
			"no id":              "." + mac,
			"rubbish":            "rubbish",
			"signature of admin": "admin." + mac,
			"longer":             good + "A",
			"empty":              "",
		} {
			p := &person{w: w, host: g.Host, cookie: cookie}
			a := p.get("/v1/conversations/" + mine.Conversation)
			a.problem(http.StatusNotFound, "not_found", "")
			if p.cookie == cookie || p.cookie == good {
				t.Errorf("%s: the cookie is still %q", name, p.cookie)
			}
			set := a.header.Get("Set-Cookie")
			if !strings.Contains(set, "HttpOnly") || !strings.Contains(set, "SameSite=Lax") || !strings.Contains(set, "Path=/") {
				t.Errorf("%s: Set-Cookie is %s", name, set)
			}
		}
		if a := owner.get("/v1/conversations/" + mine.Conversation); a.status != http.StatusOK || a.header.Get("Set-Cookie") != "" {
			t.Errorf("the right cookie got %d and Set-Cookie %q", a.status, a.header.Get("Set-Cookie"))
		}
	})
}

func TestAPageVisitMakesAGuestForItsWebSocket(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		g := w.gate()
		p := w.guest(g)
		for _, path := range []string{"/", "/c/cabc"} {
			if a := p.get(path); a.status != http.StatusOK || !strings.Contains(string(a.body), "the page") {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
		}
		if p.cookie == "" {
			t.Fatal("the page set no cookie")
		}
		tb := p.open()
		q := tb.say("", "k", "hello")
		p.get("/v1/conversations/"+q.C).into(http.StatusOK, nil)
	})
}

func TestTheWebSocketTakesATokenAsSubprotocol(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		g := w.gate()
		foreign := exchange(w.guest(g))
		for token, want := range map[string]int{gatewaytest.AdminToken: http.StatusSwitchingProtocols, gatewaytest.RetrievalToken: http.StatusUnauthorized, "wrong": http.StatusUnauthorized, "": http.StatusSwitchingProtocols} {
			p := w.guest(g)
			tb, res, err := p.dial("Sec-WebSocket-Protocol", "parley.v1, parley.bearer."+base64.RawURLEncoding.EncodeToString([]byte(token)))
			if res == nil || res.StatusCode != want {
				t.Errorf("token %q got %v, %v", token, res, err)
			}
			if err == nil && token != "" && tb.sub(foreign.Conversation, "").Snapshot == nil {
				t.Errorf("token %q may not read", token)
			}
		}
	})
}

func TestOriginsAndHosts(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		w.o.Hosts = []string{"chat.example", "::1"}
		w.o.Origins = []string{"https://embed.example"}
		g := w.gate()
		tests := []struct {
			name, host, origin string
			want               int // of a POST and an upgrade; a GET is always let in
		}{
			{"no origin", "chat.example", "", 0},
			{"its own", "chat.example", "http://chat.example", 0},
			{"its own behind TLS", "chat.example", "https://chat.example", 0},
			{"its own with a port", "chat.example:8080", "http://chat.example:8080", 0},
			{"its own in capitals", "chat.example", "http://CHAT.example", 0},
			{"IPv6", "[::1]:8080", "http://[::1]:8080", 0},
			{"listed", "chat.example", "https://embed.example", 0},
			{"listed but over http", "chat.example", "http://embed.example", http.StatusForbidden},
			{"another port", "chat.example:8080", "http://chat.example:9090", http.StatusForbidden},
			{"another site", "chat.example", "https://evil.example", http.StatusForbidden},
			{"a suffix", "chat.example", "https://evilchat.example", http.StatusForbidden},
			{"a prefix", "chat.example", "https://chat.example.evil.example", http.StatusForbidden},
			{"userinfo", "chat.example", "https://chat.example@evil.example", http.StatusForbidden},
			{"null", "chat.example", "null", http.StatusForbidden},
			{"a file", "chat.example", "file://chat.example", http.StatusForbidden},
			{"a rebound name", "evil.example", "", http.StatusMisdirectedRequest},
			{"a rebound name as origin", "evil.example", "http://evil.example", http.StatusMisdirectedRequest},
		}
		for _, tt := range tests {
			p := &person{w: w, host: g.Host}
			header := []string{"Host", tt.host}
			if tt.origin != "" {
				header = append(header, "Origin", tt.origin)
			}
			if probe := p.do("GET", "/readyz", nil, header...); probe.status != http.StatusOK {
				t.Errorf("%s: a probe gets %d", tt.name, probe.status) // it asks by the address of a pod, and learns nothing
			}
			get := p.do("GET", "/v1/conversations", nil, header...)
			post := p.do("POST", "/v1/conversations", nil, header...)
			wantGet, wantPost, wantWS := http.StatusOK, http.StatusCreated, http.StatusSwitchingProtocols
			if tt.want != 0 {
				wantPost, wantWS = tt.want, tt.want
			}
			if tt.want == http.StatusMisdirectedRequest {
				wantGet = tt.want
			}
			up := p.do("GET", "/v1/ws", nil, append(header, "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")...)
			if get.status != wantGet || post.status != wantPost || up.status != wantWS {
				t.Errorf("%s: GET %d, POST %d, upgrade %d, want %d, %d, %d", tt.name, get.status, post.status, up.status, wantGet, wantPost, wantWS)
			}
			for _, a := range []*answer{get, post, up} {
				if a.status >= 400 {
					a.problem(a.status, "forbidden", "")
				}
				if a.header.Get("X-Content-Type-Options") != "nosniff" && a.status != http.StatusSwitchingProtocols {
					t.Errorf("%s: no nosniff", tt.name)
				}
			}
		}
	})
}

func TestConnectionsOfOnePersonAreLimited(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		w.o.Limits.PerPerson, w.o.Limits.Connections = 2, 3
		g := w.gate()
		a := w.guest(g)
		a.get("/v1/info")
		one, _ := a.open(), a.open()
		if _, res, err := a.dial(); err == nil || res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" {
			t.Errorf("the third connection got %v", res)
		}
		b := w.guest(g).open()
		if _, res, err := w.guest(g).dial(); err == nil || res.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("one connection too many got %v", res)
		}
		one.close()
		one.closed()
		w.rest()
		a.open()
		if n := g.Connections(); n != 3 {
			t.Errorf("%d connections are counted, want 3", n)
		}
		b.close()
	})
}
