package llmtest_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/llm/llmtest"
)

func ask(t testing.TB, s *llmtest.Server, body string) *http.Response {
	t.Helper()
	resp, err := s.Client.Post(s.URL+"/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

const hello = `{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}`

func TestStreamOnTheWire(t *testing.T) {
	s := llmtest.NewServer(t, llmtest.Sequence(llmtest.Reply{Pieces: []string{"Hi"}, Calls: []llmtest.Call{{Name: "now"}}}))
	var got []string
	for lines := bufio.NewScanner(ask(t, s, hello).Body); lines.Scan(); {
		if lines.Text() != "" {
			got = append(got, lines.Text())
		}
	}
	chunk := func(delta, finish string) string {
		return fmt.Sprintf(`data: {"choices":[{"delta":%s,"finish_reason":%s,"index":0}],"id":"chatcmpl-1","model":"m","object":"chat.completion.chunk"}`, delta, finish)
	}
	want := []string{
		chunk(`{"content":"","role":"assistant"}`, "null"),
		chunk(`{"content":"Hi"}`, "null"),
		chunk(`{"tool_calls":[{"function":{"arguments":"{}","name":"now"},"id":"call_1_1","index":0,"type":"function"}]}`, "null"),
		chunk(`{}`, `"tool_calls"`),
		`data: {"choices":[],"object":"chat.completion.chunk","usage":{"completion_tokens":2,"prompt_tokens":18,"total_tokens":20}}`,
		"data: [DONE]",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("lines (-want +got):\n%s", d)
	}
}

func TestErrors(t *testing.T) {
	lost := `{"messages":[{"role":"assistant","tool_calls":[{"id":"c1","function":{"name":"now","arguments":"{}"}}]},{"role":"user","content":"?"}]}`
	formed := func(format string) string { return strings.Replace(hello, "{", `{"response_format":`+format+",", 1) }
	for name, c := range map[string]struct {
		body   string
		script func(llmtest.Request) llmtest.Reply
		status int
		after  string
		code   string
	}{
		"scripted":               {hello, llmtest.Sequence(llmtest.Reply{Status: 429, Code: "slow", RetryAfter: 3 * time.Second}), 429, "3", "slow"},
		"after the script's end": {hello, llmtest.Sequence(), 500, "", "script_over"},
		"not JSON":               {"hello", nil, 400, "", "invalid_request_error"},
		"a call without result":  {lost, nil, 400, "", "invalid_request_error"},
		"a result without call":  {`{"messages":[{"role":"tool","tool_call_id":"c9"}]}`, nil, 400, "", "invalid_request_error"},
		"no messages":            {`{}`, nil, 400, "", "invalid_request_error"},
		"JSON, but nobody said":  {formed(`{"type":"json_object"}`), nil, 400, "", "invalid_request_error"},
		"a format of a list":     {formed(`{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"array"}}}`), nil, 400, "", "invalid_request_error"},
		"a strict, open schema":  {formed(`{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"type":"object"}}}`), nil, 400, "", "invalid_request_error"},
	} {
		t.Run(name, func(t *testing.T) {
			resp := ask(t, llmtest.NewServer(t, c.script), c.body)
			var e struct{ Error struct{ Code string } }
			err := json.NewDecoder(resp.Body).Decode(&e)
			if resp.StatusCode != c.status || resp.Header.Get("Retry-After") != c.after || e.Error.Code != c.code || err != nil {
				t.Errorf("status %d, Retry-After %q, code %q, %v", resp.StatusCode, resp.Header.Get("Retry-After"), e.Error.Code, err)
			}
		})
	}
}

func TestRequestsAreKeptUpToABound(t *testing.T) {
	h := &llmtest.Handler{Keep: 2}
	for i := range 3 {
		body := fmt.Sprintf(`{"messages":[{"role":"user","content":[{"type":"text","text":"q%d"}]}]}`, i+1)
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader(body)))
	}
	var got []string
	for _, r := range h.Requests() {
		got = append(got, fmt.Sprint(r.N, " ", r.Last().Content))
	}
	if d := cmp.Diff([]string{"2 q2", "3 q3"}, got); d != "" || h.Count() != 3 {
		t.Errorf("of %d requests kept (-want +got):\n%s", h.Count(), d)
	}
}

func TestPipeServerKeepsTheBubblesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := llmtest.NewPipeServer(t, llmtest.Sequence(llmtest.Reply{Delay: time.Minute, Pieces: []string{"a", "b", "c"}, Every: time.Hour}))
		began := time.Now()
		b, err := io.ReadAll(ask(t, s, hello).Body)
		if took := time.Since(began); took != 2*time.Hour+time.Minute || err != nil || !strings.Contains(string(b), "[DONE]") {
			t.Errorf("answer of %d bytes, %v, after %v", len(b), err, took)
		}
	})
}

func TestHowAnAnswerBreaks(t *testing.T) {
	for name, c := range map[string]struct {
		reply   llmtest.Reply
		last    string // of what arrives
		readErr bool
	}{
		"cut":         {llmtest.Reply{Pieces: []string{"Hi"}, Cut: true}, `"content":"Hi"`, false},
		"reset":       {llmtest.Reply{Pieces: []string{"Hi"}, Reset: true}, "", true},
		"error frame": {llmtest.Reply{Pieces: []string{"Hi"}, Error: "broke"}, `"message":"broke"`, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := llmtest.NewServer(t, llmtest.Sequence(c.reply))
			b, err := io.ReadAll(ask(t, s, hello).Body)
			if (err != nil) != c.readErr || !strings.Contains(string(b), c.last) || strings.Contains(string(b), "[DONE]") {
				t.Errorf("%s\n%v", b, err)
			}
		})
	}
}

func TestHangEndsWithTheClient(t *testing.T) {
	s := llmtest.NewServer(t, llmtest.Sequence(llmtest.Reply{Pieces: []string{"Hi"}, Hang: true}))
	resp := ask(t, s, hello)
	r := bufio.NewReader(resp.Body)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, "Hi") {
			break
		}
	}
	resp.Body.Close() // the server's Close, at the end of the test, waits for the request
}

func TestNotStreamed(t *testing.T) {
	s := llmtest.NewServer(t, nil)
	var got struct {
		Choices []struct {
			Message      struct{ Content string }
			FinishReason string `json:"finish_reason"`
		}
	}
	resp := ask(t, s, strings.Replace(hello, `"stream":true,`, "", 1))
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || len(got.Choices) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if c := got.Choices[0]; c.Message.Content != "hello" || c.FinishReason != "stop" {
		t.Errorf("%+v", c)
	}
}

func TestCasesAreWellNamed(t *testing.T) {
	for _, d := range llmtest.Dialects() {
		names := map[string]bool{}
		for _, s := range llmtest.Scripts(d) {
			if names[s.Name] || s.Name == "" || s.Serve == nil {
				t.Errorf("%s: %q has the name of another one, or nothing to serve", d, s.Name)
			}
			names[s.Name] = true
		}
		if len(names) < 70 {
			t.Errorf("%s: %d cases", d, len(names))
		}
	}
}

// A case that one dialect has and another has not must say why.
func TestEveryCommonCaseIsTriedOrExplained(t *testing.T) {
	have, all := map[llmtest.Dialect]map[string]bool{}, map[string]bool{}
	for _, d := range llmtest.Dialects() {
		have[d] = map[string]bool{}
		for _, s := range llmtest.Common(d) {
			have[d][s.Name], all[s.Name] = true, true
		}
	}
	for _, d := range llmtest.Dialects() {
		for name := range all {
			if why := llmtest.Inapplicable(d)[name]; have[d][name] == (why != "") {
				t.Errorf("%s: %q is tried %v, not applicable because %q", d, name, have[d][name], why)
			}
		}
		for name := range llmtest.Inapplicable(d) {
			if !all[name] {
				t.Errorf("%s: %q is no case of any dialect", d, name)
			}
		}
	}
}

// A model that looks up the time and then says it.
func ExampleHandler() {
	h := &llmtest.Handler{Script: llmtest.Sequence(
		llmtest.Use(llmtest.Call{Name: "now"}),
		llmtest.Text("It is noon."),
	)}
	s := httptest.NewServer(h)
	defer s.Close()
	resp, err := http.Post(s.URL+"/v1/chat/completions", "application/json",
		strings.NewReader(`{"messages":[{"role":"user","content":"What time is it?"}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode, h.Requests()[0].Last().Content)
	// Output: 200 What time is it?
}
