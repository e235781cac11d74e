package provider

import (
	"cmp"
	"encoding/json"
	"math"
	"reflect"
	"strings"

	"github.com/tmc/langchaingo/llms"

	"parley/llm"
	"parley/tools"
)

// messages flattens a conversation to what langchaingo's providers read: one
// part a message for Anthropic's, which drops all but the first, and one
// result a message for all. There is always something that is not system.
func (g *guard) messages(req llm.Request) (out []llms.MessageContent) {
	system, ms := history(req)
	if system != "" {
		out = append(out, llms.TextParts(llms.ChatMessageTypeSystem, system))
	}
	names := map[string]string{}
	for _, m := range ms {
		switch m.Role {
		case llm.Assistant:
			out = append(out, g.answer(m, names)...)
		case llm.ToolRole:
			out = append(out, llms.MessageContent{Role: llms.ChatMessageTypeTool, Parts: []llms.ContentPart{llms.ToolCallResponse{
				ToolCallID: m.ToolCallID, Name: names[m.ToolCallID], Content: cmp.Or(m.Content, m.Error, "(nothing)"),
			}}})
		default:
			out = append(out, llms.TextParts(llms.ChatMessageTypeHuman, cmp.Or(m.Content, "(nothing)")))
		}
	}
	if len(ms) == 0 {
		out = append(out, llms.TextParts(llms.ChatMessageTypeHuman, "(nothing)"))
	}
	return out
}

func (g *guard) answer(m llm.Message, names map[string]string) (out []llms.MessageContent) {
	var parts []llms.ContentPart
	if m.Content != "" {
		parts = append(parts, llms.TextContent{Text: m.Content})
	}
	for _, c := range m.ToolCalls {
		names[c.ID] = c.Function.Name
		f := &llms.FunctionCall{Name: c.Function.Name, Arguments: string(objectOf(c.Function))}
		parts = append(parts, llms.ToolCall{ID: c.ID, Type: "function", FunctionCall: f})
	}
	if !g.anthropic && len(parts) > 0 {
		return []llms.MessageContent{{Role: llms.ChatMessageTypeAI, Parts: parts}}
	}
	for _, p := range parts {
		out = append(out, llms.MessageContent{Role: llms.ChatMessageTypeAI, Parts: []llms.ContentPart{p}})
	}
	return out
}

func langchainTools(specs []tools.Spec) []llms.Tool {
	out := make([]llms.Tool, len(specs))
	for i, s := range specs {
		var params any
		if json.Unmarshal(s.Parameters, &params) != nil {
			params = map[string]any{"type": "object", "properties": map[string]any{}}
		}
		out[i] = llms.Tool{Type: "function", Function: &llms.FunctionDefinition{Name: s.Name, Description: s.Description, Parameters: params}}
	}
	return out
}

// mergedChoices is one answer made of all choices: Anthropic's provider
// returns one for each block.
type mergedChoices struct {
	text, reasoning, stop string
	calls                 *callList
	usage                 *llm.Usage
}

func (g *guard) merge(choices []*llms.ContentChoice) mergedChoices {
	all := mergedChoices{calls: &callList{limit: g.limits.MaxLine}}
	for _, c := range choices {
		if c == nil {
			continue
		}
		all.text += c.Content
		all.reasoning += c.ReasoningContent
		all.stop = cmp.Or(all.stop, c.StopReason)
		list := c.ToolCalls
		if len(list) == 0 && c.FuncCall != nil {
			list = []llms.ToolCall{{FunctionCall: c.FuncCall}}
		}
		for _, t := range list {
			p := callPiece{Index: all.calls.len(), Indexed: true, ID: t.ID}
			if t.FunctionCall != nil {
				p.Name, p.Args = t.FunctionCall.Name, t.FunctionCall.Arguments
			}
			if p.Name == "" {
				p.Args = cmp.Or(p.Args, "{}") // whole complains of it
			}
			_ = all.calls.add(p, p.Index) // too many or too long: the rest is left out
		}
		if u := g.usage(c.GenerationInfo); u != nil {
			all.usage = u
		}
	}
	return all
}

func (m mergedChoices) finish() llm.Finish {
	switch strings.ToLower(m.stop) {
	case "length", "max_tokens", "finishreasonmaxtokens", "model_length":
		return llm.FinishLength
	case "content_filter", "refusal", "safety", "finishreasonsafety", "finishreasonrecitation", "content_filtered":
		return llm.FinishRefused
	}
	if m.calls.len() > 0 {
		return llm.FinishTools
	}
	return llm.FinishStop
}

// usage finds the counts under whichever key a provider has them.
func (g *guard) usage(info map[string]any) *llm.Usage {
	u := &llm.Usage{
		Provider: "langchain", Model: g.opts.Name,
		Input:       countOf(info, "PromptTokens", "InputTokens", "input_tokens", "prompt_tokens", "usage.PromptTokens"),
		Output:      countOf(info, "CompletionTokens", "OutputTokens", "output_tokens", "completion_tokens", "usage.CompletionTokens"),
		Total:       countOf(info, "TotalTokens", "total_tokens", "usage.TotalTokens"),
		Reasoning:   countOf(info, "ReasoningTokens", "ThinkingTokens", "CompletionReasoningTokens"),
		CachedInput: countOf(info, "PromptCachedTokens", "CacheReadInputTokens", "cached_tokens"), CacheWritten: countOf(info, "CacheCreationInputTokens"),
	}
	if u.Input+u.Output+u.Total == 0 {
		return nil
	}
	u.Total = cmp.Or(u.Total, u.Input+u.Output)
	return u
}

// countOf returns the first of info's values that is a number; a name with a
// dot looks into a struct or map.
func countOf(info map[string]any, names ...string) int {
	for _, name := range names {
		var v any = info[name]
		if outer, inner, ok := strings.Cut(name, "."); ok {
			v = fieldOf(info[outer], inner)
		}
		if r := reflect.ValueOf(v); r.IsValid() && r.CanConvert(reflect.TypeFor[float64]()) {
			if f := r.Convert(reflect.TypeFor[float64]()).Float(); f > 0 && f < math.MaxInt32 {
				return int(f)
			}
		}
	}
	return 0
}

func fieldOf(v any, name string) any {
	r := reflect.Indirect(reflect.ValueOf(v))
	if r.Kind() != reflect.Struct {
		return nil
	}
	if f := r.FieldByName(name); f.IsValid() && f.CanInterface() {
		return f.Interface()
	}
	return nil
}
