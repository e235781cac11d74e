//go:build integration && unix

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"parley/llm"
	"parley/llm/llmtest"
	"parley/tools/toolstest"
)

// procPuppet does what the question says: `use NAME ARGUMENTS` calls a tool
// and repeats its result, `use NAME for ever` never stops, `model FAULT` has
// the model itself fail.
func procPuppet(t testing.TB) *llmtest.Server {
	return llmtest.NewServer(t, func(r llmtest.Request) llmtest.Reply {
		question := ""
		for _, m := range r.Messages {
			if m.Role == "user" {
				question = m.Content
			}
		}
		verb, rest, _ := strings.Cut(question, " ")
		name, arguments, _ := strings.Cut(rest, " ")
		switch {
		case verb == "model":
			return procModelFaults()[rest]
		case verb == "use" && arguments == "for ever":
			return llmtest.Endless(name, "")(r)
		case verb == "use" && r.Last().Role != "tool":
			return llmtest.Use(llmtest.Call{Name: name, Arguments: arguments})
		case verb == "use":
			return llmtest.Text(fmt.Sprintf("It said: %.300s", r.Last().Content))
		}
		return llmtest.Text("Certainly: " + question)
	})
}

func procModelFaults() map[string]llmtest.Reply {
	some := []string{"The first ", "half ", "of an "}
	return map[string]llmtest.Reply{
		"is overloaded":           llmtest.Fail(503, "overloaded", "The engine is overloaded"),
		"resets the connection":   {Reset: true},
		"never begins":            {Delay: time.Hour},
		"stops in the middle":     {Pieces: some, Hang: true},
		"breaks off":              {Pieces: some, Cut: true},
		"fails in the middle":     {Pieces: some, Error: "CUDA out of memory", Code: "server_error"},
		"wants another key":       llmtest.Fail(401, "invalid_api_key", "Incorrect API key provided: sk-proj-abcdefgh12345678."),
		"is limited":              {Status: 429, Code: "rate_limit_exceeded", Error: "Slow down", RetryAfter: time.Second},
		"does not know the model": llmtest.Fail(404, "model_not_found", "The model does not exist"),
	}
}

// procUsable checks that a conversation goes on as if nothing had been.
func procUsable(t *testing.T, p *procPerson, base, conv string) {
	t.Helper()
	id := fmt.Sprint(time.Now().UnixNano())
	a, status, err := p.say(t.Context(), base, conv, id, "And now?", "20s")
	if err != nil || status != http.StatusOK || a.Status != "finished" || a.Answer == nil || a.Answer.Content != "Certainly: And now?" {
		t.Errorf("the next question: %d, %v, %+v", status, err, a)
	}
}

func TestToolsAtFault(t *testing.T) {
	t.Parallel()
	nasty := httptest.NewServer(toolstest.Nasty())
	t.Cleanup(nasty.Close)
	at, _ := url.Parse(nasty.URL)
	s := procServe(t, append(procModelEnv(procPuppet(t)), "PARLEY_EGRESS_ALLOW="+at.Host, "PARLEY_MAX_TURNS=4")...)
	for _, name := range []string{"timeout", "drip"} {
		procPut(t, s, "t_"+name, map[string]any{"url": nasty.URL + "/" + name, "timeoutMs": 1000})
	}
	for _, name := range []string{"500", "html", "html-error", "huge", "invalid-json", "truncated", "metadata", "elsewhere", "loop", "file", "hangup", "headers"} {
		procPut(t, s, "t_"+strings.ReplaceAll(name, "-", "_"), map[string]any{"url": nasty.URL + "/" + name})
	}
	procPut(t, s, "t_strict", map[string]any{"url": nasty.URL + "/echo", "parameters": json.RawMessage(
		`{"type":"object","properties":{"n":{"type":"integer","minimum":1}},"required":["n"],"additionalProperties":false}`)})
	procPut(t, s, "t_gone", map[string]any{"url": "http://" + procFreeAddr(t) + "/"})
	person := procGuest(t, s.url)
	const failed, cut = "failed", "cut"
	tests := []struct{ question, outcome, reads string }{ // what the model reads, and the person on the card
		{"use t_timeout", failed, "no whole answer within 1s"},
		{"use t_drip", failed, "no whole answer within 1s"},
		{"use t_500", failed, "500 Internal Server Error"},
		{"use t_html", "", "The upstream server & its cache"},
		{"use t_html_error", failed, "502 Bad Gateway"},
		{"use t_huge", cut, "aaaa"},
		{"use t_invalid_json", "", "not valid"},
		{"use t_truncated", failed, "broke off"},
		{"use t_metadata", failed, "http://169.254.169.254:80, which is not followed"},
		{"use t_elsewhere", failed, "https://example.com:443, which is not followed"},
		{"use t_loop", failed, "more than 3 redirects"},
		{"use t_file", failed, "only http and https"},
		{"use t_hangup", failed, "broke off"},
		{"use t_headers", failed, "headers are too large"},
		{"use t_gone", failed, "private or reserved network"},
		{`use t_strict {"n":"many"}`, failed, "at /n: got string, want integer"},
		{"use t_unheard_of", failed, `no tool named "t_unheard_of"`},
	}
	conv := ""
	for i, tt := range tests {
		t.Run(tt.question, func(t *testing.T) {
			start := time.Now()
			a, status, err := person.say(t.Context(), s.url, conv, fmt.Sprint("q", i), tt.question, "20s")
			if err != nil || status != http.StatusOK || a.Status != "finished" || a.Answer == nil || !strings.HasPrefix(a.Answer.Content, "It said: ") {
				t.Fatalf("%d, %v, %+v", status, err, a)
			}
			if took := time.Since(start); took > 8*time.Second {
				t.Errorf("it took %v", took)
			}
			conv = a.Conversation
			m := procResult(t, person.messages(t, s.url, conv), a.Run)
			o := m.Metadata.Parley.Outcome
			if o.Failed != (tt.outcome == failed) || o.Failed != (o.Reason != "") || o.Cut != (tt.outcome == cut) || !strings.Contains(m.Content, tt.reads) {
				t.Errorf("outcome %+v, the model read %.300q", o, m.Content)
			}
			if len(m.Content) > 300<<10 {
				t.Errorf("a result of %d bytes", len(m.Content))
			}
			if strings.Contains(m.Content, "<html") || strings.Contains(m.Content, "<script") {
				t.Errorf("markup: %.300q", m.Content)
			}
		})
	}
	procUsable(t, person, s.url, conv)
	a, _, err := person.say(t.Context(), s.url, conv, "broken", `use t_strict {"n":`, "20s") // no JSON, of which the model is told
	if err != nil || a.Status != "finished" {
		t.Fatalf("%v, %+v", err, a)
	}
	if m := procResult(t, person.messages(t, s.url, conv), a.Run); !m.Metadata.Parley.Outcome.Failed {
		t.Errorf("the model read %.300q", m.Content)
	}
	procUsable(t, person, s.url, conv)
}

func TestModelThatCallsToolsForEver(t *testing.T) {
	t.Parallel()
	nasty := httptest.NewServer(toolstest.Nasty())
	t.Cleanup(nasty.Close)
	at, _ := url.Parse(nasty.URL)
	s := procServe(t, append(procModelEnv(procPuppet(t)), "PARLEY_EGRESS_ALLOW="+at.Host, "PARLEY_MAX_TURNS=3")...)
	procPut(t, s, "echo", map[string]any{"url": nasty.URL + "/echo"})
	person := procGuest(t, s.url)
	a, status, err := person.say(t.Context(), s.url, "", "q", "use echo for ever", "20s")
	if err != nil || status != http.StatusOK || a.Status != "failed" || a.Failure == nil || a.Failure.Code != "too_many_turns" {
		t.Fatalf("%d, %v, %+v", status, err, a)
	}
	procUsable(t, person, s.url, a.Conversation)
}

// procPut registers a tool.
func procPut(t testing.TB, s *procServer, name string, e map[string]any) {
	t.Helper()
	if e["description"] == nil {
		e["description"] = "Misbehaves."
	}
	var answer json.RawMessage
	status, err := procAdmin().do(t.Context(), "PUT", s.url+"/v1/tools/"+name, e, &answer)
	if err != nil || status != http.StatusOK {
		t.Fatalf("PUT %s: %d, %v, %s", name, status, err, answer)
	}
}

// procResult returns the only result that a tool gave in a run.
func procResult(t *testing.T, all []llm.Message, run string) (found llm.Message) {
	t.Helper()
	for _, m := range all {
		if m.Role == llm.ToolRole && m.Metadata != nil && m.Metadata.Parley.Run == run {
			if found.ID != "" {
				t.Error("there are two results")
			}
			found = m
		}
	}
	if found.Metadata == nil || found.Metadata.Parley.Outcome == nil {
		t.Fatalf("there is no result with an outcome in %+v", all)
	}
	return found
}

func TestModelAtFault(t *testing.T) {
	t.Parallel()
	s := procServe(t, append(procModelEnv(procPuppet(t)), "PARLEY_MAX_RUN=3s")...)
	person := procGuest(t, s.url)
	conv := ""
	for fault := range procModelFaults() {
		t.Run(fault, func(t *testing.T) {
			a, status, err := person.say(t.Context(), s.url, conv, fault, "model "+fault, "20s")
			if err != nil || status != http.StatusOK || a.Status != "failed" || a.Failure == nil || a.Failure.Code == "" {
				t.Fatalf("%d, %v, %+v", status, err, a)
			}
			conv = a.Conversation
			t.Logf("%s: %s", a.Failure.Code, a.Failure.Message)
			if text := a.Failure.Message; len(text) < 20 || strings.Contains(text, "sk-proj") || a.Failure.Code == "internal" {
				t.Errorf("the person is told: %s: %s", a.Failure.Code, text)
			}
			if a.Answer == nil || a.Answer.Metadata.Parley.Failure == nil {
				t.Errorf("the failure is not at the answer: %+v", a.Answer)
			}
			procUsable(t, person, s.url, conv)
		})
	}
}

func TestModelThatIsNotThere(t *testing.T) {
	t.Parallel()
	s := procServe(t, "PARLEY_TITLES=false", "PARLEY_MODEL=scripted", "PARLEY_MODEL_URL=http://"+procFreeAddr(t)+"/v1")
	person := procGuest(t, s.url)
	for i := range 2 {
		a, status, err := person.say(t.Context(), s.url, "", fmt.Sprint(i), "Hello?", "20s")
		if err != nil || status != http.StatusOK || a.Failure == nil || a.Failure.Code != "model_unavailable" {
			t.Fatalf("%d, %v, %+v", status, err, a)
		}
	}
}
