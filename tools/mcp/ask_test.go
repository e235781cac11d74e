package mcp_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"parley/tools"
	"parley/tools/mcp"
)

const nameForm = `{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}`

// booking asks for a name, then whether to go on at an address, and books.
func booking(booked *atomic.Int64) func(*sdk.Server) {
	return add("book", `{"type":"object","properties":{"room":{"type":"string"}}}`, func(_ context.Context, r *sdk.CallToolRequest) *sdk.CallToolResult {
		got := r.Params.InputResponses
		switch {
		case len(got) == 0:
			return &sdk.CallToolResult{RequestState: "one", InputRequests: sdk.InputRequestMap{
				"who": &sdk.ElicitParams{Mode: "form", Message: "Who are you?", RequestedSchema: json.RawMessage(nameForm)},
			}}
		case r.Params.RequestState == "one":
			who := got["who"].(*sdk.ElicitResult)
			if who.Action != "accept" {
				return says("nothing was booked: " + who.Action)
			}
			return &sdk.CallToolResult{RequestState: "two " + who.Content["name"].(string), InputRequests: sdk.InputRequestMap{
				"pay": &sdk.ElicitParams{Mode: "url", Message: "Please pay.", URL: "https://pay.example/x?y=1", ElicitationID: "e1"},
			}}
		}
		booked.Add(1)
		return says("booked for " + strings.TrimPrefix(r.Params.RequestState, "two ") + ": " + got["pay"].(*sdk.ElicitResult).Action)
	})
}

func TestAPersonIsAskedAndAnyReplicaGoesOn(t *testing.T) {
	var booked atomic.Int64
	p := serve(t, false, booking(&booked))
	store := newShelf()
	one, other := start(t, store, []string{p.host()}), start(t, store, []string{p.host()})
	one.put(mcp.Server{Name: "p", URL: p.http.URL})
	other.until("known to the other", func() bool { return len(other.names()) == 1 })

	res := one.call("p_book", `{"room":"5"}`)
	if res.Ask == nil || res.Ask.Reason != tools.AskInput || !strings.Contains(res.Ask.Message, "Who are you?") || !strings.Contains(string(res.Ask.Schema), `"name"`) {
		t.Fatalf("it asks %+v", res)
	}
	res = other.call("p_book", `{"room":"5"}`, &tools.Answer{Status: tools.AnswerResolved, Payload: json.RawMessage(`{"name":7}`), State: res.Ask.State})
	if res.Ask == nil || !strings.Contains(res.Ask.Message, "did not fit") {
		t.Fatalf("an answer that does not fit got %+v", res)
	}
	res = other.call("p_book", `{"room":"5"}`, &tools.Answer{Status: tools.AnswerResolved, Payload: json.RawMessage(`{"name":"Ann"}`), State: res.Ask.State})
	if res.Ask == nil || !strings.Contains(res.Ask.Message, "https://pay.example/x?y=1") || len(res.Ask.Schema) > 0 {
		t.Fatalf("then it asks %+v", res)
	}
	if booked.Load() != 0 {
		t.Error("it was booked before all was answered")
	}
	res = one.call("p_book", `{"room":"5"}`, &tools.Answer{Status: tools.AnswerResolved, State: res.Ask.State})
	if res.Failed || res.Content != "booked for Ann: accept" || booked.Load() != 1 {
		t.Errorf("in the end %+v", res)
	}
}

func TestNoIsAnAnswer(t *testing.T) {
	var booked atomic.Int64
	p := serve(t, false, booking(&booked))
	r := start(t, newShelf(), []string{p.host()})
	r.put(mcp.Server{Name: "p", URL: p.http.URL})
	state := r.call("p_book", `{}`).Ask.State
	for _, tt := range []struct {
		answer tools.Answer
		want   string
	}{
		{tools.Answer{Status: tools.AnswerResolved, Payload: json.RawMessage(`false`)}, "nothing was booked: decline"},
		{tools.Answer{Status: tools.AnswerResolved, Payload: json.RawMessage(`{"action":"decline"}`)}, "nothing was booked: decline"},
		{tools.Answer{Status: tools.AnswerCancelled}, "nothing was booked: cancel"},
		{tools.Answer{Status: tools.AnswerExpired}, "nothing was booked: cancel"},
	} {
		tt.answer.State = state
		if res := r.call("p_book", `{}`, &tt.answer); res.Content != tt.want {
			t.Errorf("%+v got %+v", tt.answer, res)
		}
	}
}

func TestAnAnswerGoesToNobodyElse(t *testing.T) {
	var booked atomic.Int64
	p, q := serve(t, false, booking(&booked)), serve(t, false, booking(&booked))
	r := start(t, newShelf(), []string{p.host(), q.host()})
	r.put(mcp.Server{Name: "p", URL: p.http.URL})
	state := r.call("p_book", `{}`).Ask.State
	r.put(mcp.Server{Name: "p", URL: q.http.URL})
	before := len(q.seen())
	res := r.call("p_book", `{}`, &tools.Answer{Status: tools.AnswerResolved, Payload: json.RawMessage(`{"name":"Ann"}`), State: state})
	if !res.Failed || len(q.seen()) != before {
		t.Errorf("another server got the answer: %+v", res)
	}
}

func TestSeveralQuestionsAreAskedAsOne(t *testing.T) {
	p := serve(t, false, add("ask", "", func(_ context.Context, r *sdk.CallToolRequest) *sdk.CallToolResult {
		if got := r.Params.InputResponses; len(got) == 2 {
			a, b := got["a"].(*sdk.ElicitResult), got["b"].(*sdk.ElicitResult)
			return says(a.Content["name"].(string) + " and " + b.Content["name"].(string))
		}
		ask := func(m string) *sdk.ElicitParams {
			return &sdk.ElicitParams{Mode: "form", Message: m, RequestedSchema: json.RawMessage(nameForm)}
		}
		return &sdk.CallToolResult{InputRequests: sdk.InputRequestMap{"a": ask("First?"), "b": ask("Second?")}}
	}))
	r := start(t, newShelf(), []string{p.host()})
	r.put(mcp.Server{Name: "p", URL: p.http.URL})
	ask := r.call("p_ask", `{}`).Ask
	if ask == nil || !strings.Contains(ask.Message, "First?") || !strings.Contains(ask.Message, "Second?") || !strings.Contains(string(ask.Schema), `"required":["a","b"]`) {
		t.Fatalf("it asks %+v", ask)
	}
	res := r.call("p_ask", `{}`, &tools.Answer{Status: tools.AnswerResolved, Payload: json.RawMessage(`{"a":{"name":"x"},"b":{"name":"y"}}`), State: ask.State})
	if res.Content != "x and y" {
		t.Errorf("both answers gave %+v", res)
	}
	if res := r.call("p_ask", `{}`, &tools.Answer{Status: tools.AnswerResolved, Payload: json.RawMessage(`{"a":{"name":"x"}}`), State: ask.State}); res.Ask == nil {
		t.Errorf("half an answer gave %+v", res)
	}
}

func TestAddressesThatCannotBeShownAreNotAsked(t *testing.T) {
	p := serve(t, false, add("go", `{"type":"object","properties":{"to":{"type":"string"}}}`, func(_ context.Context, r *sdk.CallToolRequest) *sdk.CallToolResult {
		var in struct{ To string }
		_ = json.Unmarshal(r.Params.Arguments, &in)
		return &sdk.CallToolResult{InputRequests: sdk.InputRequestMap{"a": &sdk.ElicitParams{Mode: "url", Message: "m", URL: in.To}}}
	}))
	r := start(t, newShelf(), []string{p.host()})
	r.put(mcp.Server{Name: "p", URL: p.http.URL})
	for _, url := range []string{"javascript:alert(1)", "file:///etc/passwd", "https://good.example/\u202egro.live", "relative", "https://"} {
		b, _ := json.Marshal(map[string]string{"to": url})
		if res := r.call("p_go", string(b)); !res.Failed || res.Ask != nil {
			t.Errorf("%s: %+v", url, res)
		}
	}
}

// A server of an older protocol asks inside the call. It is told that nobody
// answered, and the call is made anew with the answer.
func TestAnOlderServersQuestionsAreAskedToo(t *testing.T) {
	var done atomic.Int64
	p := serve(t, true, add("greet", "", func(ctx context.Context, r *sdk.CallToolRequest) *sdk.CallToolResult {
		var got []string
		for _, message := range []string{"First name?", "Last name?"} {
			res, err := r.Session.Elicit(ctx, &sdk.ElicitParams{Message: message, RequestedSchema: json.RawMessage(nameForm)})
			if err != nil || res.Action != "accept" {
				return says("nobody is there")
			}
			got = append(got, res.Content["name"].(string))
		}
		done.Add(1)
		return says("hello " + strings.Join(got, " "))
	}))
	store := newShelf()
	one, other := start(t, store, []string{p.host()}), start(t, store, []string{p.host()})
	one.put(mcp.Server{Name: "p", URL: p.http.URL})
	other.until("known to the other", func() bool { return len(other.names()) == 1 })
	res := one.call("p_greet", `{}`)
	if res.Ask == nil || !strings.Contains(res.Ask.Message, "First name?") {
		t.Fatalf("it asks %+v", res)
	}
	res = other.call("p_greet", `{}`, &tools.Answer{Status: tools.AnswerResolved, Payload: json.RawMessage(`{"name":"Ann"}`), State: res.Ask.State})
	if res.Ask == nil || !strings.Contains(res.Ask.Message, "Last name?") {
		t.Fatalf("then it asks %+v", res)
	}
	state := res.Ask.State
	res = one.call("p_greet", `{}`, &tools.Answer{Status: tools.AnswerResolved, Payload: json.RawMessage(`{"name":"Lee"}`), State: state})
	if res.Content != "hello Ann Lee" || done.Load() != 1 {
		t.Errorf("in the end %+v", res)
	}
	if res := one.call("p_greet", `{}`, &tools.Answer{Status: tools.AnswerCancelled, State: state}); !res.Failed || res.Ask != nil {
		t.Errorf("cancelled: %+v", res)
	}
}

func TestAFormMaySayNo(t *testing.T) {
	p := serve(t, false, add("ask", "", func(_ context.Context, r *sdk.CallToolRequest) *sdk.CallToolResult {
		if got := r.Params.InputResponses; len(got) > 0 {
			b, _ := json.Marshal(got["a"])
			return says(string(b))
		}
		return &sdk.CallToolResult{InputRequests: sdk.InputRequestMap{"a": &sdk.ElicitParams{
			Mode: "form", Message: "?", RequestedSchema: json.RawMessage(`{"type":"object","properties":{"approved":{"type":"boolean"}},"required":["approved"]}`),
		}}}
	}))
	r := start(t, newShelf(), []string{p.host()})
	r.put(mcp.Server{Name: "p", URL: p.http.URL})
	state := r.call("p_ask", `{}`).Ask.State
	res := r.call("p_ask", `{}`, &tools.Answer{Status: tools.AnswerResolved, Payload: json.RawMessage(`{"approved":false}`), State: state})
	if res.Content != `{"action":"accept","content":{"approved":false}}` {
		t.Errorf("the server got %s", res.Content)
	}
}
