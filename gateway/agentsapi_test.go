package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"parley/gateway/chat"
	"parley/llm"
	"parley/llm/llmtest"
	"parley/tools"
)

// instructed says what it was instructed and offered.
func instructed(r llmtest.Request) llmtest.Reply {
	said := ""
	for _, m := range r.Messages {
		if m.Role == "system" || m.Role == "developer" {
			said = m.Content
		}
	}
	return llmtest.Text(r.Model + ": " + said + " [" + strings.Join(r.Tools, " ") + "]")
}

func (w *world) twoModels() {
	first := w.c.Agent.Model
	w.c.Agent.Model = llm.NewChain(llm.ChainOptions{}, first, renamed{first, "other"})
	w.c.Agent.System = "settings"
}

// renamed is a model under another name.
type renamed struct {
	llm.Model
	name string
}

func (r renamed) Name() string { return r.name }

func TestAnAgentIsPutListedChosenAndRolledBack(t *testing.T) {
	inBubble(t, instructed, func(w *world) {
		w.twoModels()
		g, other := w.gate(), w.gate()
		admin, ann := w.admin(g), w.guest(other)
		type version struct {
			Version      int
			Instructions string
			By           string
			Available    struct{ Models []string }
		}
		var v version
		a := admin.do("PUT", "/v1/agents/sales", object{"title": "Sales", "description": "Sells.", "instructions": "sell", "models": []string{"other"}, "tools": []string{}, "questions": []string{"What have you got?"}})
		if a.into(http.StatusCreated, &v); v.Version != 1 || v.By != "admin" || a.header.Get("ETag") != `"1"` {
			t.Errorf("%s %s", a.header.Get("ETag"), a.body)
		}
		list := ann.get("/v1/agents")
		var listed struct{ Agents []object }
		if list.into(http.StatusOK, &listed); len(listed.Agents) != 2 || listed.Agents[0]["name"] != "default" || listed.Agents[1]["title"] != "Sales" || strings.Contains(string(list.body), "instructions") {
			t.Errorf("%s", list.body)
		}

		var p posted
		ann.do("POST", "/v1/conversations/new/messages?wait=60s", object{"content": "hi", "agent": "sales"}).into(http.StatusOK, &p)
		if d := p.Answer.Metadata.Parley; p.Answer.Content != "scripted: sell []" || d.Agent == nil || *d.Agent != (llm.AgentRef{Name: "sales", Version: 1}) || d.Model != "other" {
			t.Errorf("%s says %q: %+v", d.Model, p.Answer.Content, d.Agent)
		}
		var rec chat.RunRecord
		if ann.get("/v1/runs/"+p.Run).into(http.StatusOK, &rec); rec.Agent != "sales" || rec.AgentVersion != 1 {
			t.Errorf("the run is %+v", rec)
		}

		admin.do("PUT", "/v1/agents/sales", object{"instructions": "sell more"}, "If-Match", `W/"1"`).into(http.StatusOK, &v)
		admin.do("PUT", "/v1/agents/sales", object{"instructions": "sell less"}, "If-Match", `"1"`).problem(http.StatusPreconditionFailed, "conflict", "If-Match")
		admin.do("PUT", "/v1/agents/sales", object{}, "If-None-Match", "*").problem(http.StatusPreconditionFailed, "conflict", "If-Match")
		if p = ann.say(p.Conversation, "more"); p.Answer.Content != "scripted: sell more []" {
			t.Errorf("now it says %q", p.Answer.Content)
		}
		var versions struct{ Versions []version }
		if admin.get("/v1/agents/sales/versions").into(http.StatusOK, &versions); len(versions.Versions) != 2 || versions.Versions[0].Instructions != "sell more" {
			t.Errorf("%+v", versions)
		}
		old := admin.get("/v1/agents/sales/versions/1")
		var back object
		old.into(http.StatusOK, &back)
		for _, name := range []string{"version", "at", "by"} {
			delete(back, name)
		}
		if admin.do("PUT", "/v1/agents/sales", back).into(http.StatusOK, &v); v.Version != 3 {
			t.Errorf("rolled back to %+v", v)
		}
		if admin.do("PUT", "/v1/agents/sales", back).into(http.StatusOK, &v); v.Version != 3 {
			t.Errorf("the same again is %+v", v)
		}
		if p = ann.say(p.Conversation, "back"); p.Answer.Content != "scripted: sell []" {
			t.Errorf("rolled back it says %q", p.Answer.Content)
		}

		if admin.get("/v1/agents/default").into(http.StatusOK, &v); v.Version != 0 || !slices.Equal(v.Available.Models, []string{"openai:scripted", "other"}) {
			t.Errorf("the default is %+v", v)
		}
		ann.do("PATCH", "/v1/conversations/"+p.Conversation, object{"agent": "default"}).into(http.StatusOK, nil)
		if p = ann.say(p.Conversation, "you"); p.Answer.Content != "scripted: settings []" || p.Answer.Metadata.Parley.Agent != nil {
			t.Errorf("the default says %q", p.Answer.Content)
		}
		admin.do("DELETE", "/v1/agents/default", nil).problem(http.StatusConflict, "conflict", "name")
		admin.do("DELETE", "/v1/agents/sales", nil).into(http.StatusNoContent, nil)
		admin.do("DELETE", "/v1/agents/sales", nil).problem(http.StatusNotFound, "not_found", "")
		admin.get("/v1/agents/sales").problem(http.StatusNotFound, "not_found", "")
		admin.get("/v1/agents/sales/versions/1").into(http.StatusOK, nil)
	})
}

func TestAnAgentHasTheToolsItNames(t *testing.T) {
	inBubble(t, instructed, func(w *world) {
		g := w.gate()
		admin := w.admin(g)
		for name, tags := range map[string][]string{"shop_buy": {"shop"}, "shop_sell": nil, "weather_now": {"sky"}} {
			admin.do("PUT", "/v1/tools/"+name, tools.Endpoint{Name: name, Description: name, Tags: tags, Request: tools.Request{Method: "GET", URL: "http://" + toolHost + "/"}}).into(http.StatusOK, nil)
		}
		for want, list := range map[string][]string{
			"shop_buy shop_sell weather_now": nil,
			"":                               {},
			"shop_buy":                       {"shop_buy", "gone"},
			"shop_buy shop_sell":             {"shop_*"},
			"shop_buy weather_now":           {"tag:shop", "tag:sky"},
		} {
			body := object{}
			if list != nil {
				body["tools"] = list
			}
			if a := admin.do("PUT", "/v1/agents/default", body); a.status/100 != 2 {
				t.Errorf("%v: %s", list, a.body)
			}
			if p := w.guest(g).say("new", "hi"); p.Answer.Content != "scripted:  ["+want+"]" {
				t.Errorf("with %v it has %q", list, p.Answer.Content)
			}
		}
	})
}

func TestAgentsThatCannotBe(t *testing.T) {
	inBubble(t, instructed, func(w *world) {
		w.twoModels()
		admin := w.admin(w.gate())
		for _, tt := range []struct {
			body  object
			field string
		}{
			{object{"name": "other"}, "name"},
			{object{"secret": "x"}, "secret"},
			{object{"title": strings.Repeat("x", 101)}, "title"},
			{object{"instructions": strings.Repeat("x", 33<<10)}, "instructions"},
			{object{"models": []string{"gpt-77"}}, "models"},
			{object{"models": []string{"other", "other"}}, "models.1"},
			{object{"tools": []string{"x", "tag:"}}, "tools.1"},
			{object{"questions": []string{" "}}, "questions.0"},
			{object{"temperature": 3}, "temperature"},
			{object{"temperature": "hot"}, "temperature"},
			{object{"maxTurns": -1}, "maxTurns"},
		} {
			a := admin.do("PUT", "/v1/agents/sales", tt.body)
			if tt.field == "name" {
				a.problem(http.StatusBadRequest, "bad_request", tt.field)
			} else {
				a.problem(http.StatusUnprocessableEntity, "bad_request", tt.field)
			}
		}
		for _, name := range []string{"Sales", "a_b", strings.Repeat("a", 65)} {
			admin.do("PUT", "/v1/agents/"+name, object{}).problem(http.StatusUnprocessableEntity, "bad_request", "name")
		}
		p := w.guest(w.gates[0])
		p.do("POST", "/v1/conversations", object{"agent": "sales"}).problem(http.StatusUnprocessableEntity, "bad_request", "agent")
		p.do("POST", "/v1/conversations/new/messages", object{"content": "x", "agent": "sales"}).problem(http.StatusUnprocessableEntity, "bad_request", "agent")
		p.open().refused(object{"type": "send", "agent": "sales", "msg": object{"clientId": "k", "content": "x"}}, http.StatusUnprocessableEntity, "bad_request", "agent")
	})
}
