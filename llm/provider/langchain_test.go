package provider_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tmc/langchaingo/llms"

	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/provider"
)

func TestLangchainAnswer(t *testing.T) {
	s := llmtest.NewServer(t, llmtest.Sequence(llmtest.Reply{
		Reasoning: []string{"hm"}, Pieces: []string{"Look", "ing."},
		Calls: []llmtest.Call{{ID: "c1", Name: "weather", Arguments: `{"city":"Bern"}`}, {ID: "c2", Name: "now"}},
	}))
	var pieces []string
	got, err := provider.Langchain(openServer(t, s)).GenerateContent(t.Context(),
		[]llms.MessageContent{llms.TextParts(llms.ChatMessageTypeHuman, "hello")},
		llms.WithStreamingFunc(func(_ context.Context, b []byte) error { pieces = append(pieces, string(b)); return nil }))
	if err != nil {
		t.Fatal(err)
	}
	f1, f2 := &llms.FunctionCall{Name: "weather", Arguments: `{"city":"Bern"}`}, &llms.FunctionCall{Name: "now", Arguments: "{}"}
	in := len(s.Requests()[0].Body) / 4
	want := &llms.ContentResponse{Choices: []*llms.ContentChoice{{
		Content: "Looking.", ReasoningContent: "hm", StopReason: "tool_calls", FuncCall: f1,
		ToolCalls: []llms.ToolCall{{ID: "c1", Type: "function", FunctionCall: f1}, {ID: "c2", Type: "function", FunctionCall: f2}},
		GenerationInfo: map[string]any{
			"PromptTokens": in, "CompletionTokens": 5, "TotalTokens": in + 5,
			"ReasoningTokens": 0, "ThinkingTokens": 0, "PromptCachedTokens": 0,
		},
	}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("response (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"Look", "ing."}, pieces); d != "" {
		t.Errorf("pieces streamed (-want +got):\n%s", d)
	}
}

func TestLangchainHistory(t *testing.T) {
	s := llmtest.NewServer(t, llmtest.Sequence(llmtest.Text("ok")))
	call := func(id string) llms.ToolCall {
		return llms.ToolCall{ID: id, Type: "function", FunctionCall: &llms.FunctionCall{Name: "now", Arguments: "{}"}}
	}
	_, err := provider.Langchain(openServer(t, s)).GenerateContent(t.Context(), []llms.MessageContent{
		llms.TextParts(llms.ChatMessageTypeSystem, "be brief"),
		llms.TextParts(llms.ChatMessageTypeHuman, "one", "two"),
		{Role: llms.ChatMessageTypeAI, Parts: []llms.ContentPart{llms.TextPart("Let me look."), call("c1"), call("c2")}},
		{Role: llms.ChatMessageTypeTool, Parts: []llms.ContentPart{
			llms.ToolCallResponse{ToolCallID: "c1", Content: "12:00"}, llms.ToolCallResponse{ToolCallID: "c2", Content: "12:01"},
		}},
	}, llms.WithTools([]llms.Tool{{Type: "function", Function: &llms.FunctionDefinition{Name: "now", Parameters: map[string]any{"type": "object"}}}}),
		llms.WithToolChoice("none"))
	if err != nil {
		t.Fatal(err)
	}
	r := s.Requests()[0]
	want := []llmtest.Message{
		{Role: "system", Content: "be brief"},
		{Role: "user", Content: "one\ntwo"},
		{Role: "assistant", Content: "Let me look.", Calls: []llmtest.Call{{ID: "c1", Name: "now", Arguments: "{}"}, {ID: "c2", Name: "now", Arguments: "{}"}}},
		{Role: "tool", Content: "12:00", ToolCallID: "c1"},
		{Role: "tool", Content: "12:01", ToolCallID: "c2"},
	}
	if d := cmp.Diff(want, r.Messages); d != "" {
		t.Errorf("messages (-want +got):\n%s", d)
	}
	if cmp.Diff([]string{"now"}, r.Tools) != "" || r.ToolChoice != "none" {
		t.Errorf("tools %q, choice %q", r.Tools, r.ToolChoice)
	}
}

func TestLangchainSaysWhatItCannotDo(t *testing.T) {
	hello := llms.TextPart("hello")
	human := func(parts ...llms.ContentPart) llms.MessageContent {
		return llms.MessageContent{Role: llms.ChatMessageTypeHuman, Parts: parts}
	}
	for name, c := range map[string]struct {
		message llms.MessageContent
		option  llms.CallOption
		want    string
	}{
		"picture by address": {human(hello, llms.ImageURLPart("https://example.com/a.png")), nil, "pictures"},
		"picture":            {human(llms.BinaryPart("image/png", []byte{1})), nil, "pictures"},
		"no parts":           {human(), nil, "no parts"},
		"call by a person":   {human(llms.ToolCall{ID: "c"}), nil, "tool call"},
		"text of a tool":     {llms.TextParts(llms.ChatMessageTypeTool, "12:00"), nil, "result"},
		"stop words":         {human(hello), llms.WithStopWords([]string{"."}), "stop words"},
		"another model":      {human(hello), llms.WithModel("gpt-9"), "another model"},
		"JSON mode":          {human(hello), llms.WithJSONMode(), "response format"},
		"one tool":           {human(hello), llms.WithToolChoice(llms.ToolChoice{Type: "function"}), "tool choice"},
	} {
		t.Run(name, func(t *testing.T) {
			s := llmtest.NewServer(t, nil)
			opts := []llms.CallOption{}
			if c.option != nil {
				opts = append(opts, c.option)
			}
			_, err := provider.Langchain(openServer(t, s)).GenerateContent(t.Context(), []llms.MessageContent{c.message}, opts...)
			if err == nil || !strings.Contains(err.Error(), c.want) || s.Count() != 0 {
				t.Errorf("error %v after %d requests, want one about %q and no request", err, s.Count(), c.want)
			}
		})
	}
}

func TestLangchainErrors(t *testing.T) {
	s := llmtest.NewServer(t, llmtest.Sequence(llmtest.Reply{Pieces: []string{"Hel"}, Cut: true}, llmtest.Text("a b c"), llmtest.Text("hi there")))
	m := provider.Langchain(openServer(t, s))
	if _, err := llms.GenerateFromSinglePrompt(t.Context(), m, "hello"); failure(t, err).Kind != llm.Truncated {
		t.Errorf("a cut stream is %v", err)
	}
	enough := errors.New("enough")
	seen := 0
	_, err := llms.GenerateFromSinglePrompt(t.Context(), m, "hello", llms.WithStreamingFunc(func(context.Context, []byte) error { seen++; return enough }))
	if !errors.Is(err, enough) || seen != 1 {
		t.Errorf("error %v after %d pieces, want the callback's own after one", err, seen)
	}
	if text, err := llms.GenerateFromSinglePrompt(t.Context(), m, "hello"); text != "hi there" || err != nil {
		t.Errorf("answer %q, %v", text, err)
	}
}

func ExampleLangchain() {
	model, err := provider.OpenAI(provider.OpenAIOptions{
		Model: "m", Client: &http.Client{Transport: canned("data: {\"choices\":[{\"delta\":{\"content\":\"Grüezi!\"}}]}\n\ndata: [DONE]\n\n")},
	})
	if err != nil {
		panic(err)
	}
	text, err := llms.GenerateFromSinglePrompt(context.Background(), provider.Langchain(model), "Greet me in Swiss German")
	fmt.Println(text, err)
	// Output: Grüezi! <nil>
}
