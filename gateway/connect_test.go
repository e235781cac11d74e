package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/gateway/gatewaytest"
	"parley/llm/llmtest"
	"parley/tools"
	"parley/tools/toolstest"
)

// shopAccount is a service on which each person has an account.
func (w *world) shopAccount(g *gatewaytest.Gateway) *toolstest.OAuth2 {
	o := &toolstest.OAuth2{ClientID: "parley", ClientSecret: toolSecret, RedirectURI: "http://" + g.Host + "/v1/connect/callback", Prefix: toolSecret}
	w.Cleanup(w.net.Serve(toolHost, o))
	return o
}

func accountCredential() object {
	at := "http://" + toolHost
	return object{
		"kind": "oauth2", "grant": "authorization_code", "description": "your shop", "origins": []string{at},
		"tokenUrl": at + "/token", "authorizeUrl": at + "/authorize", "clientId": "parley", "clientSecret": toolSecret,
	}
}

func accountTool() object {
	return object{"description": "Looks up orders.", "url": "http://" + toolHost + "/api", "auth": "shop"}
}

// agree follows a redirect to the service, as a browser does, and returns
// where that sends the browser back to.
func (w *world) agree(a *answer) *url.URL {
	w.Helper()
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil || a.status != http.StatusFound || to.Host != toolHost {
		w.Fatalf("%s: %d to %q: %s", a.what, a.status, a.header.Get("Location"), a.body)
	}
	client := *w.net.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := client.Get(to.String())
	if err != nil {
		w.Fatal(err)
	}
	res.Body.Close()
	back, err := res.Location()
	if err != nil {
		w.Fatalf("the service answers with %d", res.StatusCode)
	}
	return back
}

// visit is do that follows no redirect.
func (p *person) visit(path string) *answer {
	p.w.Helper()
	client := *p.w.net.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := client.Do(p.request(p.w.Context(), "GET", path, nil))
	if err != nil {
		p.w.Fatal(err)
	}
	defer res.Body.Close()
	p.keep(res)
	return &answer{p.w.T, "GET " + path, res.StatusCode, res.Header, nil}
}

func TestAPersonConnectsAService(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		g, other := w.gate(), w.gate()
		o := w.shopAccount(g)
		admin := w.admin(g)
		admin.do("PUT", "/v1/credentials/shop", accountCredential()).into(http.StatusOK, nil)
		admin.do("PUT", "/v1/tools/get_order", accountTool()).into(http.StatusOK, nil)
		ann, eve := w.guest(g), w.guest(g)
		ann.get("/v1/info")
		back := w.agree(ann.visit("/v1/connect/shop"))
		if page := eve.get(back.RequestURI()); page.status != http.StatusBadRequest || strings.Contains(string(page.body), "is connected") {
			t.Errorf("somebody else comes back and gets %d %s", page.status, page.body)
		}
		page := ann.at(other).get(back.RequestURI()) // any replica will do
		if page.status != http.StatusOK || !strings.Contains(string(page.body), "shop is connected") || !strings.Contains(string(page.body), `data-credential="shop"`) {
			t.Errorf("the page is %d %s", page.status, page.body)
		}
		policy := page.header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'; script-src 'sha256-") || strings.Contains(policy, "unsafe") || page.header.Get("Cache-Control") != "no-store" || page.header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("its headers are %v", page.header)
		}
		if again := ann.get(back.RequestURI()); again.status != http.StatusBadRequest {
			t.Errorf("a second time: %d", again.status)
		}
		var list struct{ Connections []tools.Connection }
		ann.get("/v1/connections").into(http.StatusOK, &list)
		if len(list.Connections) != 1 || list.Connections[0].Credential != "shop" || list.Connections[0].Description != "your shop" || list.Connections[0].Since.IsZero() {
			t.Errorf("connections are %+v", list)
		}
		eve.get("/v1/connections").into(http.StatusOK, &list)
		if len(list.Connections) != 0 {
			t.Errorf("eve has %+v", list)
		}
		eve.do("DELETE", "/v1/connections/shop", nil).problem(http.StatusNotFound, "not_found", "")
		ann.do("DELETE", "/v1/connections/shop", nil).into(http.StatusNoContent, nil)
		ann.do("DELETE", "/v1/connections/shop", nil).problem(http.StatusNotFound, "not_found", "")
		if len(o.Wrong()) > 0 {
			t.Errorf("the service found wrong: %v", o.Wrong())
		}
	})
}

func TestAWayBackThatLeadsNowhere(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		g := w.gate()
		o := w.shopAccount(g)
		w.admin(g).do("PUT", "/v1/credentials/shop", accountCredential()).into(http.StatusOK, nil)
		ann := w.guest(g)
		ann.get("/v1/info")
		ann.get("/v1/connect/none").problem(http.StatusNotFound, "not_found", "")
		late := w.agree(ann.visit("/v1/connect/shop"))
		time.Sleep(tools.DepartureLife + time.Second)
		o.Deny("access_denied")
		denied := w.agree(ann.visit("/v1/connect/shop"))
		o.Deny("<script>alert(1)</script>")
		odd := w.agree(ann.visit("/v1/connect/shop"))
		o.Deny("")
		forged := *late
		forged.RawQuery = "code=x&state=x.y"
		for name, tt := range map[string]struct {
			at   *url.URL
			says string
		}{
			"too late": {late, "has expired"}, "she did not agree": {denied, "did not agree"}, "an error that holds a script": {odd, "refused"}, "a state that nobody gave": {&forged, "expired"},
		} {
			page := ann.get(tt.at.RequestURI())
			if page.status < 400 || page.status >= 500 || page.header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(string(page.body), tt.says) || strings.Contains(string(page.body), "alert") {
				t.Errorf("%s: %d %s", name, page.status, page.body)
			}
		}
		var list struct{ Connections []tools.Connection }
		ann.get("/v1/connections").into(http.StatusOK, &list)
		if len(list.Connections) != 0 {
			t.Errorf("connections are %+v", list)
		}
	})
}

func TestDeparturesAreLimited(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		g := w.gate()
		w.admin(g).do("PUT", "/v1/credentials/shop", accountCredential()).into(http.StatusOK, nil)
		for range 60 {
			if a := w.guest(g).visit("/v1/connect/shop"); a.status != http.StatusFound {
				t.Fatalf("status %d", a.status)
			}
		}
		w.guest(g).get("/v1/connect/shop").problem(http.StatusTooManyRequests, "rate_limited", "")
	})
}

func TestThePublicURLIsTheWayBack(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		w.o.PublicURL = "https://chat.example"
		g := w.gate()
		w.admin(g).do("PUT", "/v1/credentials/shop", accountCredential()).into(http.StatusOK, nil)
		to, err := url.Parse(w.guest(g).visit("/v1/connect/shop").header.Get("Location"))
		if err != nil || to.Query().Get("redirect_uri") != "https://chat.example/v1/connect/callback" {
			t.Errorf("%v, %v", to, err)
		}
	})
}

func TestCredentialsAreWriteOnly(t *testing.T) {
	inBubble(t, useShop, func(w *world) { // world looks for secrets in every answer and in the log
		w.shop()
		g := w.gate()
		admin := w.admin(g)
		key := object{"kind": "apiKey", "parameter": "X-Api-Key", "value": toolSecret, "origins": []string{"http://" + toolHost}}
		admin.do("PUT", "/v1/credentials/shop", key).into(http.StatusOK, nil)
		var c tools.Credential
		admin.get("/v1/credentials/shop").into(http.StatusOK, &c)
		if c.Value != tools.Mask || c.Parameter != "X-Api-Key" {
			t.Errorf("it is shown as %+v", c)
		}
		tool := shopTool()
		delete(tool, "headers")
		tool["auth"] = "shop"
		admin.do("PUT", "/v1/tools/get_order", tool).into(http.StatusOK, nil)
		key["description"], key["value"] = "the shop", tools.Mask
		admin.do("PUT", "/v1/credentials/shop", key).into(http.StatusOK, nil)
		if a := w.guest(g).say("new", "order?"); !strings.Contains(a.Answer.Content, "shipped") {
			t.Errorf("the answer is %q", a.Answer.Content)
		}
		key["origins"] = []string{"http://" + toolHost, "https://evil.example"}
		admin.do("PUT", "/v1/credentials/shop", key).problem(http.StatusUnprocessableEntity, "bad_request", "value")
		tool["url"] = "https://evil.example/"
		admin.do("PUT", "/v1/tools/get_order", tool).problem(http.StatusUnprocessableEntity, "bad_request", "auth")
		var list struct{ Credentials []tools.Credential }
		admin.get("/v1/credentials").into(http.StatusOK, &list)
		if len(list.Credentials) != 1 || list.Credentials[0].Value != tools.Mask {
			t.Errorf("the list is %+v", list)
		}
		admin.do("DELETE", "/v1/credentials/shop", nil).into(http.StatusNoContent, nil)
		admin.do("DELETE", "/v1/credentials/shop", nil).problem(http.StatusNotFound, "not_found", "")
		admin.get("/v1/credentials/shop").problem(http.StatusNotFound, "not_found", "")
		if a := w.guest(g).say("new", "order?"); !strings.Contains(a.Answer.Content, "not there") {
			t.Errorf("without it the answer is %q", a.Answer.Content)
		}
	})
}

func TestAnImportNamesACredential(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		admin := w.admin(w.gate())
		admin.do("PUT", "/v1/credentials/pets", object{"kind": "bearer", "value": toolSecret, "origins": []string{"https://pets.example"}}).into(http.StatusOK, nil)
		doc := `{"openapi":"3.0.0","info":{"title":"Pets","version":"1"},"servers":[{"url":"https://pets.example/v1"}],"security":[{"b":[]}],
		  "components":{"securitySchemes":{"b":{"type":"http","scheme":"bearer"}}},
		  "paths":{"/pets":{"get":{"operationId":"listPets","responses":{}}},"/far":{"get":{"operationId":"far","servers":[{"url":"https://far.example"}],"responses":{}}}}}`
		var a struct {
			Operations []struct {
				Name, Status, Needs string
				Warnings            []string
			}
		}
		admin.do("POST", "/v1/tools/import", object{"document": doc, "select": object{"all": true}, "auth": "pets"}).into(http.StatusOK, &a)
		for name, want := range map[string]string{"listPets": "pets", "far": ""} {
			var e tools.Endpoint
			admin.get("/v1/tools/"+name).into(http.StatusOK, &e)
			if e.Auth != want {
				t.Errorf("%s has the credential %q", name, e.Auth)
			}
		}
		for _, o := range a.Operations {
			if o.Name == "listPets" && o.Needs != "" || o.Name == "far" && len(o.Warnings) == 0 {
				t.Errorf("the import says %+v", o)
			}
		}
		admin.do("POST", "/v1/tools/import", object{"document": strings.Replace(doc, "listPets", "pets2", 1), "select": object{"all": true}}).into(http.StatusOK, nil)
		var e tools.Endpoint
		admin.get("/v1/tools/listPets").into(http.StatusOK, &e)
		if e.Auth != "pets" {
			t.Errorf("imported again it has the credential %q", e.Auth)
		}
		admin.do("POST", "/v1/tools/import", object{"document": doc, "select": object{"all": true}, "auth": "none"}).problem(http.StatusUnprocessableEntity, "bad_request", "auth")
	})
}

// The shop's refresh tokens are good once: had both replicas asked, ann would
// not be connected any more.
func TestTwoReplicasRefreshOnce(t *testing.T) {
	inBubble(t, useShop, func(w *world) {
		g, other := w.gate(), w.gate()
		o := w.shopAccount(g)
		admin := w.admin(g)
		admin.do("PUT", "/v1/credentials/shop", accountCredential()).into(http.StatusOK, nil)
		tool := accountTool()
		tool["parameters"] = shopTool()["parameters"]
		admin.do("PUT", "/v1/tools/get_order", tool).into(http.StatusOK, nil)
		ann := w.guest(g)
		ann.get("/v1/info")
		if page := ann.get(w.agree(ann.visit("/v1/connect/shop")).RequestURI()); page.status != http.StatusOK {
			t.Fatalf("%d %s", page.status, page.body)
		}
		for round := range 3 {
			o.RevokeAccess()
			var wg sync.WaitGroup
			for _, p := range []*person{ann, ann.at(other)} {
				wg.Go(func() {
					if a := p.say("new", "order?"); !strings.Contains(a.Answer.Content, `"ok":true`) {
						t.Errorf("at %s the answer is %q", p.host, a.Answer.Content)
					}
				})
			}
			wg.Wait()
			if got := o.Requests(); len(got) != round+2 || len(o.Wrong()) > 0 {
				t.Fatalf("tokens were asked for with %v; wrong: %v", got, o.Wrong())
			}
		}
	})
}

// Secrets of every kind, in services that fail and repeat what they were sent:
// none is in an answer, an event, a log line or, as it is, in the store. World
// looks at the answers and the log, the tab at the events.
func TestPlantedSecretsAreNowhere(t *testing.T) {
	kinds := map[string]object{
		"key":    {"kind": "apiKey", "parameter": "X-Key", "value": toolSecret + "-key"},
		"query":  {"kind": "apiKey", "in": "query", "parameter": "key", "value": toolSecret + "-query"},
		"cookie": {"kind": "apiKey", "in": "cookie", "parameter": "key", "value": toolSecret + "-cookie"},
		"basic":  {"kind": "basic", "user": "me", "password": toolSecret + "-password"},
		"bearer": {"kind": "bearer", "value": toolSecret + "-bearer"},
		"client": {"kind": "oauth2", "tokenUrl": "http://" + toolHost + "/token", "clientId": "parley", "clientSecret": toolSecret + "-client"},
		"broken": {"kind": "oauth2", "tokenUrl": "http://" + toolHost + "/echo", "clientId": "parley", "clientSecret": toolSecret + "-client"},
	}
	var calls []llmtest.Call
	for name := range kinds {
		calls = append(calls, llmtest.Call{ID: "call_" + name, Name: "use_" + name, Arguments: "{}"})
	}
	script := func(r llmtest.Request) llmtest.Reply {
		if r.Last().Role == "tool" {
			var all strings.Builder
			for _, m := range r.Messages {
				all.WriteString(m.Content + "\n")
			}
			return llmtest.Text(all.String()) // what it was given it tells
		}
		return llmtest.Use(calls...)
	}
	inBubble(t, script, func(w *world) {
		g := w.gate()
		o := &toolstest.OAuth2{ClientID: "parley", ClientSecret: toolSecret + "-client", Prefix: toolSecret}
		w.Cleanup(w.net.Serve(toolHost, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" {
				o.ServeHTTP(rw, r)
				return
			}
			_ = r.ParseForm()
			_, password, _ := r.BasicAuth()
			rw.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintf(rw, "you sent %v to %v: %q %v", r.Header, r.URL, password, r.Form)
		})))
		admin := w.admin(g)
		for name, c := range kinds {
			c["origins"] = []string{"http://" + toolHost}
			admin.do("PUT", "/v1/credentials/"+name, c).into(http.StatusOK, nil)
			admin.do("PUT", "/v1/tools/use_"+name, object{"description": "x", "effect": "safe", "url": "http://" + toolHost + "/api", "auth": name}).into(http.StatusOK, nil)
		}
		admin.do("PUT", "/v1/tools/plain", shopTool()).into(http.StatusOK, nil)
		p := w.guest(g)
		tb := p.open()
		c := tb.conversation()
		tb.sub(c, "")
		q := tb.say(c, "k", "try them all")
		state, _ := json.Marshal(tb.answered(c, q.Run))
		w.noSecret("the tab", state)
		history, _ := json.Marshal(p.history(c))
		w.noSecret("the history", history)
		if n := strings.Count(string(history), tools.Mask); n < len(kinds)-1 {
			t.Errorf("the services' answers are masked %d times: %s", n, history)
		}
		if len(o.Requests()) == 0 {
			t.Error("no token was asked for")
		}
		w.storeHolds(toolSecret, 0)
		w.storeHolds("use_bearer", 1) // what it looks at is the store
	})
}

// storeHolds looks for a text in the files of the store, and expects it at
// least so often, or never.
func (w *world) storeHolds(text string, least int) {
	w.Helper()
	files, _ := filepath.Glob(w.c.File() + "*")
	n := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			w.Fatal(err)
		}
		n += strings.Count(string(b), text)
	}
	if n < least || least == 0 && n > 0 || len(files) == 0 {
		w.Errorf("%v hold %q %d times", files, text, n)
	}
}
