package provider_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/provider"
	"parley/tools"
)

const testKey = "sk-secret-1234"

func openWith(t testing.TB, opts provider.OpenAIOptions) *provider.Remote {
	t.Helper()
	if opts.Model == "" {
		opts.Model = "m"
	}
	m, err := provider.OpenAI(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.CloseIdleConnections)
	return m
}

func openServer(t testing.TB, s *llmtest.Server) *provider.Remote {
	return openWith(t, provider.OpenAIOptions{BaseURL: s.URL, Client: s.Client, Key: testKey})
}

var asked = llm.Request{Messages: []llm.Message{{Role: llm.User, Content: "hello"}}}

// collect returns the text of an answer and the error that ended it.
func collect(ctx context.Context, m llm.Model, req llm.Request) (string, error) {
	var text strings.Builder
	for c, err := range m.Stream(ctx, req) {
		if err != nil {
			return text.String(), err
		}
		text.WriteString(c.Text)
	}
	return text.String(), nil
}

func failure(t *testing.T, err error) *llm.Error {
	t.Helper()
	var e *llm.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want an *llm.Error", err)
	}
	return e
}

func TestOpenAIRequest(t *testing.T) {
	zero := 0.0
	spec := tools.Spec{Name: "weather", Description: "tells", Parameters: json.RawMessage(`{"type":"object"}`)}
	for name, c := range map[string]struct {
		req  llm.Request
		want string // of the body, but model and stream
	}{
		"what is not set is not sent": {asked, `{"messages":[{"role":"user","content":"hello"}]}`},
		"a temperature of 0 is sent": {
			llm.Request{Messages: asked.Messages, Temperature: &zero, MaxTokens: 9},
			`{"messages":[{"role":"user","content":"hello"}],"temperature":0,"max_tokens":9}`,
		},
		"tools, and the choice of none": {
			llm.Request{Messages: asked.Messages, Tools: []tools.Spec{spec, {Name: "now"}}, NoTools: true},
			`{"messages":[{"role":"user","content":"hello"}],"tool_choice":"none","tools":[
				{"type":"function","function":{"name":"weather","description":"tells","parameters":{"type":"object"}}},
				{"type":"function","function":{"name":"now","parameters":{"type":"object","properties":{}}}}]}`,
		},
		"a whole history": {
			llm.Request{System: "be brief", Messages: []llm.Message{
				{Role: llm.User, Content: "both?"},
				{Role: llm.Reasoning, Content: "hm"},
				{Role: llm.Assistant, ToolCalls: []llm.ToolCall{llm.NewToolCall("c1", "weather", `{"city":"Bern"}`), llm.NewToolCall("c2", "now", "")}},
				{Role: llm.ToolRole, ToolCallID: "c1", Content: "rain"},
				{Role: llm.ToolRole, ToolCallID: "c2", Error: "no clock"},
				{Role: llm.Assistant},
				{Role: llm.Assistant, Content: "Rain."},
				{Role: llm.User, Content: ""},
			}},
			`{"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"both?"},
				{"role":"assistant","content":null,"tool_calls":[
					{"id":"c1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Bern\"}"}},
					{"id":"c2","type":"function","function":{"name":"now","arguments":"{}"}}]},
				{"role":"tool","content":"rain","tool_call_id":"c1"},{"role":"tool","content":"no clock","tool_call_id":"c2"},
				{"role":"assistant","content":"Rain."},{"role":"user","content":""}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := llmtest.NewServer(t, llmtest.Sequence(llmtest.Text("ok")))
			if _, err := collect(t.Context(), openServer(t, s), c.req); err != nil {
				t.Fatal(err)
			}
			var got, want map[string]any
			json.Unmarshal(s.Requests()[0].Body, &got)
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			want["model"], want["stream"], want["stream_options"] = "m", true, map[string]any{"include_usage": true}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("body (-want +got):\n%s", d)
			}
		})
	}
}

func TestOpenAIAddressAndKey(t *testing.T) {
	for name, c := range map[string]struct{ base, key, wantPath, wantAuth string }{
		"no path gets v1":              {"", "k", "/v1/chat/completions", "Bearer k"},
		"a slash gets v1":              {"/", "", "/v1/chat/completions", ""},
		"slashes at the end":           {"/v1//", " key\n", "/v1/chat/completions", "Bearer key"},
		"another path stays":           {"/api/openai", "k", "/api/openai/chat/completions", "Bearer k"},
		"the whole address":            {"/v1/chat/completions", "k", "/v1/chat/completions", "Bearer k"},
		"a query goes with the answer": {"/x?api-version=2", "k", "/x/chat/completions?api-version=2", "Bearer k"},
	} {
		t.Run(name, func(t *testing.T) {
			var path, auth string
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				path, auth = r.URL.RequestURI(), r.Header.Get("Authorization")
				(&llmtest.Handler{}).ServeHTTP(w, r)
			}))
			defer s.Close()
			text, err := collect(t.Context(), openWith(t, provider.OpenAIOptions{BaseURL: s.URL + c.base, Key: c.key}), asked)
			if text != "hello" || err != nil || path != c.wantPath || auth != c.wantAuth {
				t.Errorf("answer %q, %v at %q with %q, want %q with %q", text, err, path, auth, c.wantPath, c.wantAuth)
			}
		})
	}
}

func TestOpenAIRefusesOptionsThatCannotWork(t *testing.T) {
	for name, c := range map[string]struct {
		opts provider.OpenAIOptions
		want string
	}{
		"no model":        {provider.OpenAIOptions{Key: "sk-hidden-key"}, "no model"},
		"no address":      {provider.OpenAIOptions{Model: "m", BaseURL: "sk-hidden-key"}, "base URL"},
		"another scheme":  {provider.OpenAIOptions{Model: "m", BaseURL: "file:///sk-hidden-key"}, "base URL"},
		"a key of two":    {provider.OpenAIOptions{Model: "m", Key: "sk-hidden\nkey"}, "the key"},
		"a key in quotes": {provider.OpenAIOptions{Model: "m", Key: "“sk-hidden”"}, "the key"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := provider.OpenAI(c.opts)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") {
				t.Errorf("error %v, want one about %q and without the key", err, c.want)
			}
		})
	}
}

func TestOpenAITimeLimits(t *testing.T) {
	for name, c := range map[string]struct {
		reply     llmtest.Reply
		wantAfter time.Duration
		midStream bool
		wantText  string
	}{
		"no answer":             {llmtest.Reply{Delay: time.Hour}, 60 * time.Second, false, ""},
		"silence between":       {llmtest.Reply{Pieces: []string{"a", "b"}, Every: time.Hour}, 30 * time.Second, true, "a"},
		"silence after a piece": {llmtest.Reply{Pieces: []string{"a"}, Hang: true}, 30 * time.Second, true, "a"},
		"an endless answer":     {llmtest.Reply{Pieces: strings.Split(strings.Repeat("x", 60), ""), Every: 29 * time.Second}, 10 * time.Minute, true, strings.Repeat("x", 21)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				text, err := collect(t.Context(), openServer(t, llmtest.NewPipeServer(t, llmtest.Sequence(c.reply))), asked)
				e := failure(t, err)
				if e.Kind != llm.Timeout || e.MidStream != c.midStream || text != c.wantText || time.Since(began) != c.wantAfter {
					t.Errorf("%q, then %v (mid-stream %v) after %v; want %q, then a timeout (%v) after %v",
						text, e, e.MidStream, time.Since(began), c.wantText, c.midStream, c.wantAfter)
				}
			})
		})
	}
}

// A piece every 20 s is a slow answer and no dead one, and a consumer that
// takes its time is not the model's fault.
func TestOpenAIWaitsForTheSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := llmtest.NewPipeServer(t, llmtest.Sequence(llmtest.Reply{Delay: 50 * time.Second, Pieces: []string{"a", "b", "c"}, Every: 20 * time.Second}))
		var text string
		for c, err := range openServer(t, s).Stream(t.Context(), asked) {
			if err != nil {
				t.Fatal(err)
			}
			text += c.Text
			time.Sleep(100 * time.Second)
		}
		if text != "abc" {
			t.Errorf("text %q", text)
		}
	})
}

func TestOpenAIContextErrors(t *testing.T) {
	for name, reply := range map[string]llmtest.Reply{
		"before the answer": {Delay: time.Hour},
		"between pieces":    {Pieces: []string{"a", "b"}, Every: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				_, err := collect(ctx, openServer(t, llmtest.NewPipeServer(t, llmtest.Sequence(reply))), asked)
				if err != context.DeadlineExceeded {
					t.Errorf("error %v, want the context's own", err)
				}
			})
		})
	}
}

// Not even an answer that is whole but for its usage hides that the context
// ended.
func TestOpenAIContextErrorAfterFinishReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := llmtest.Pipe(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}`+"\n\n")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		text, err := collect(ctx, openWith(t, provider.OpenAIOptions{BaseURL: "http://llmtest", Client: client}), asked)
		if text != "a" || err != context.DeadlineExceeded {
			t.Errorf("%q, then %v; want the context's own error", text, err)
		}
	})
}

// After a whole answer the connection must be free for the next one, even if
// the server takes a moment to end it after [DONE].
func TestOpenAIReusesConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := llmtest.Pipe(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "data: [DONE]\n\n")
			http.NewResponseController(w).Flush()
			time.Sleep(20 * time.Millisecond)
		}))
		dials := 0
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
			if !c.Reused {
				dials++
			}
		}})
		m := openWith(t, provider.OpenAIOptions{BaseURL: "http://llmtest", Client: client})
		for range 10 {
			for c, err := range m.Stream(ctx, asked) {
				if err != nil {
					t.Fatal(err)
				}
				if c.Finish != "" {
					break // a consumer need not ask for what cannot come
				}
			}
		}
		if dials != 1 {
			t.Errorf("%d connections for 10 answers in a row, want 1", dials)
		}
	})
}

func TestOpenAIUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	m := openWith(t, provider.OpenAIOptions{BaseURL: "http://" + l.Addr().String() + "/v1?key=" + testKey, Key: testKey})
	_, err = collect(t.Context(), m, asked)
	e := failure(t, err)
	if e.Kind != llm.Unavailable || !strings.Contains(e.Error(), l.Addr().String()) || strings.Contains(e.Error(), "secret") {
		t.Errorf("error %v, want one that names the host and no secret", e)
	}
}

func TestOpenAIErrorsKeepNoSecrets(t *testing.T) {
	long := strings.Repeat("é", 2000)
	for name, c := range map[string]struct{ key, body, want string }{
		"the key itself":    {"abcdefgh-1234", `{"error":{"message":"bad key abcdefgh-1234","code":"abcdefgh-1234"}}`, "bad key [key]"},
		"another key":       {"", `{"error":"Incorrect key sk-proj-12**34."}`, "Incorrect key [key]"},
		"a bearer token":    {"", `Authorization: Bearer eyJhbGciOi was refused`, "Authorization: [key] was refused"},
		"a key over a cut":  {strings.Repeat("k", 300), strings.Repeat("x ", 200) + strings.Repeat("k", 300), strings.Repeat("x ", 200) + "[key]"},
		"a word for a key":  {"ollama", `{"error":"ollama is starting"}`, "ollama is starting"},
		"a long body":       {"", long, strings.Repeat("é", 248) + "…"},
		"control and lines": {"", "a\r\n\tb", "a b"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(400)
				w.Write([]byte(c.body))
			}))
			defer s.Close()
			_, err := collect(t.Context(), openWith(t, provider.OpenAIOptions{BaseURL: s.URL, Key: c.key}), asked)
			e := failure(t, err)
			if e.Message != c.want || len(e.Message) > 500 || c.key != "ollama" && c.key != "" && strings.Contains(e.Error(), c.key) {
				t.Errorf("error %q, want %q", e.Message, c.want)
			}
		})
	}
}

func TestOpenAIBoundsWhatItKeeps(t *testing.T) {
	fill := strings.Repeat("x", 2000)
	piece := `data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"n","arguments":"` + fill[:500] + `"}}]}}]}` + "\n\n"
	for name, body := range map[string]string{
		"a long line":      "data: " + fill,
		"a long event":     strings.Repeat("data: x\n", 2000),
		"long arguments":   strings.Repeat(piece, 3),
		"a long JSON body": `{"choices":[],"pad":"` + fill + `"}`,
		"too many calls":   manyCalls(300),
	} {
		t.Run(name, func(t *testing.T) {
			m := openWith(t, provider.OpenAIOptions{Client: &http.Client{Transport: canned(body)}, Limits: provider.Limits{MaxLine: 1000}})
			if _, err := collect(t.Context(), m, asked); failure(t, err).Kind != llm.Malformed {
				t.Errorf("error %v, want malformed", err)
			}
		})
	}
}

// manyCalls returns a stream of n calls without arguments.
func manyCalls(n int) string {
	var s strings.Builder
	for i := range n {
		fmt.Fprintf(&s, `data: {"choices":[{"delta":{"tool_calls":[{"index":%d,"id":"c%d","function":{"name":"n"}}]}}]}`+"\n\n", i, i)
	}
	return s.String() + "data: [DONE]\n\n"
}
