package provider_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tmc/langchaingo/llms"
	"github.com/tmc/langchaingo/llms/anthropic"
	"github.com/tmc/langchaingo/llms/ollama"
	"github.com/tmc/langchaingo/llms/openai"

	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/provider"
	"parley/tools"
)

// theirs opens langchaingo's own providers.
var theirs = map[llmtest.Dialect]func(url string) (llms.Model, error){
	llmtest.OpenAI: func(url string) (llms.Model, error) {
		return openai.New(openai.WithBaseURL(url+"/v1"), openai.WithToken(testKey), openai.WithModel("m"))
	},
	llmtest.Anthropic: func(url string) (llms.Model, error) {
		return anthropic.New(anthropic.WithBaseURL(url+"/v1"), anthropic.WithToken(testKey), anthropic.WithModel("m"))
	},
	llmtest.Ollama: func(url string) (llms.Model, error) {
		return ollama.New(ollama.WithServerURL(url), ollama.WithModel("m"))
	},
}

func guarded(t *testing.T, d llmtest.Dialect, replies ...llmtest.Reply) (llm.Model, *llmtest.Server) {
	t.Helper()
	s := llmtest.NewServer(t, llmtest.Sequence(replies...))
	m, err := theirs[d](strings.TrimSuffix(s.URL, "/v1"))
	if err != nil {
		t.Fatal(err)
	}
	return provider.FromLangchain(m, provider.LangchainOptions{Name: "m", Key: testKey}), s
}

// drained is all that came of an answer.
type drained struct {
	text   string
	pieces int
	calls  []llm.ToolCall
	finish llm.Finish
	usage  *llm.Usage
	err    error
}

func drain(ctx context.Context, m llm.Model, req llm.Request) (d drained) {
	for c, err := range m.Stream(ctx, req) {
		d.err = err
		d.text += c.Text
		if c.Text != "" {
			d.pieces++
		}
		if c.Call != nil {
			d.calls = append(d.calls, *c.Call)
		}
		if c.Usage != nil {
			d.usage = c.Usage
		}
		d.finish = c.Finish
	}
	return d
}

func TestGuardStreamsText(t *testing.T) {
	for d := range theirs {
		t.Run(string(d), func(t *testing.T) {
			m, _ := guarded(t, d, llmtest.Text("Hello there you"))
			got := drain(t.Context(), m, asked)
			if got.err != nil || got.text != "Hello there you" || got.pieces < 3 || got.finish != llm.FinishStop {
				t.Errorf("%+v", got)
			}
		})
	}
}

// langchaingo takes both for whole answers.
func TestGuardNoticesWhatWasCutOff(t *testing.T) {
	for d := range theirs {
		t.Run(string(d), func(t *testing.T) {
			m, _ := guarded(t, d, llmtest.Reply{Pieces: []string{"Hel"}, Cut: true}, llmtest.Reply{Pieces: []string{"Hel"}, Error: "broke", Code: "server_error"})
			for range 2 {
				got := drain(t.Context(), m, asked)
				if e := failure(t, got.err); got.finish != "" || e.Provider != "langchain" || got.text == "Hel" && !e.MidStream {
					t.Errorf("%+v", got)
				}
			}
		})
	}
}

func TestGuardCallsTools(t *testing.T) {
	call := func(id, city string) llmtest.Call {
		return llmtest.Call{ID: id, Name: "weather", Arguments: `{"city":"` + city + `"}`}
	}
	spec := tools.Spec{Name: "weather", Parameters: []byte(`{"type":"object","properties":{"city":{"type":"string"}}}`)}
	for _, d := range []llmtest.Dialect{llmtest.OpenAI, llmtest.Anthropic} {
		t.Run(string(d), func(t *testing.T) {
			m, s := guarded(t, d, llmtest.Reply{Pieces: []string{"Looking."}, Calls: []llmtest.Call{call("c1", "Bern"), call("c2", "Rome")}}, llmtest.Text("Rain."))
			req := asked
			req.Tools = []tools.Spec{spec}
			got := drain(t.Context(), m, req)
			want := []llm.ToolCall{llm.NewToolCall("c1", "weather", `{"city":"Bern"}`), llm.NewToolCall("c2", "weather", `{"city":"Rome"}`)}
			if got.err != nil || got.text != "Looking." || got.finish != llm.FinishTools || cmp.Diff(want, got.calls) != "" || got.usage == nil {
				t.Fatalf("%+v: %v", got, got.err)
			}
			req.Messages = append(req.Messages, llm.Message{Role: llm.Assistant, Content: got.text, ToolCalls: got.calls},
				llm.Message{Role: llm.ToolRole, ToolCallID: "c1", Content: "rain"}, llm.Message{Role: llm.ToolRole, ToolCallID: "c2", Content: "sun"})
			if got := drain(t.Context(), m, req); got.err != nil || got.text != "Rain." {
				t.Fatalf("%+v: %v", got, got.err)
			}
			results := []string{}
			for _, m := range s.Requests()[1].Messages {
				if m.Role == "tool" {
					results = append(results, m.ToolCallID+" "+m.Content)
				}
			}
			if d := cmp.Diff([]string{"c1 rain", "c2 sun"}, results); d != "" {
				t.Errorf("results (-want +got):\n%s", d)
			}
		})
	}
}

func TestGuardErrors(t *testing.T) {
	for name, c := range map[string]struct {
		reply llmtest.Reply
		want  llm.Kind
	}{
		"a wrong key":     {llmtest.Fail(401, "invalid_api_key", "Incorrect API key provided: "+testKey), llm.Auth},
		"asked too often": {llmtest.Fail(429, "rate_limit_exceeded", "Slow down"), llm.RateLimited},
		"used up":         {llmtest.Fail(429, "insufficient_quota", "insufficient_quota: You exceeded your current quota"), llm.Quota},
		"too long":        {llmtest.Fail(400, "context_length_exceeded", "This model's maximum context length is 8192 tokens."), llm.TooLong},
		"down":            {llmtest.Fail(503, "", "down"), llm.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := guarded(t, llmtest.OpenAI, c.reply)
			e := failure(t, drain(t.Context(), m, asked).err)
			if e.Kind != c.want || strings.Contains(e.Error(), testKey) {
				t.Errorf("%v, want %s", e, c.want)
			}
		})
	}
}

func TestGuardStopsWithItsConsumer(t *testing.T) {
	for d := range theirs {
		t.Run(string(d), func(t *testing.T) {
			hang := llmtest.Reply{Pieces: []string{"Hel"}, Hang: true} // the server's Close waits for it
			m, _ := guarded(t, d, hang, hang)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			for _, err := range m.Stream(ctx, asked) {
				cancel()
				if err != nil && err != context.Canceled {
					t.Errorf("%v, want the context's own error", err)
				}
			}
			for range m.Stream(t.Context(), asked) {
				break
			}
		})
	}
}

// A rogue is a provider as bad as any that was seen.
type rogue func(ctx context.Context, o llms.CallOptions) (*llms.ContentResponse, error)

func (r rogue) GenerateContent(ctx context.Context, _ []llms.MessageContent, opts ...llms.CallOption) (*llms.ContentResponse, error) {
	var o llms.CallOptions
	for _, set := range opts {
		set(&o)
	}
	return r(ctx, o)
}

func (r rogue) Call(context.Context, string, ...llms.CallOption) (string, error) { return "", nil }

func TestGuardSurvivesRogues(t *testing.T) {
	whole := func(c llms.ContentChoice) *llms.ContentResponse {
		return &llms.ContentResponse{Choices: []*llms.ContentChoice{&c}}
	}
	for name, c := range map[string]struct {
		rogue rogue
		want  llm.Kind
	}{
		"panics":          {func(context.Context, llms.CallOptions) (*llms.ContentResponse, error) { panic("index out of range") }, llm.Malformed},
		"returns nothing": {func(context.Context, llms.CallOptions) (*llms.ContentResponse, error) { return nil, nil }, llm.Truncated},
		"no choices": {func(context.Context, llms.CallOptions) (*llms.ContentResponse, error) {
			return whole(llms.ContentChoice{}), nil
		}, llm.Truncated},
		"a call of no name": {func(context.Context, llms.CallOptions) (*llms.ContentResponse, error) {
			return whole(llms.ContentChoice{StopReason: "tool_calls", ToolCalls: []llms.ToolCall{{ID: "c"}}}), nil
		}, llm.Malformed},
		"dials nobody": {func(context.Context, llms.CallOptions) (*llms.ContentResponse, error) {
			return nil, errors.New("dial tcp: refused")
		}, llm.Unavailable},
		"never returns": {func(context.Context, llms.CallOptions) (*llms.ContentResponse, error) {
			time.Sleep(time.Hour)
			return nil, nil
		}, llm.Timeout},
		"nil error when late": {func(ctx context.Context, _ llms.CallOptions) (*llms.ContentResponse, error) {
			<-ctx.Done()
			return whole(llms.ContentChoice{StopReason: "stop"}), nil
		}, llm.Timeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := drain(t.Context(), provider.FromLangchain(c.rogue, provider.LangchainOptions{}), asked)
				if e := failure(t, got.err); e.Kind != c.want {
					t.Errorf("%v, want %s", e, c.want)
				}
				time.Sleep(time.Hour) // what ignores its context ends by itself
			})
		})
	}
}
