package provider

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tmc/langchaingo/llms"

	"parley/llm"
	"parley/tools"
)

// Langchain offers one of our models as langchaingo's llms.Model, for code
// that is written against that. Its methods may be called concurrently.
//
// Only text goes to a StreamingFunc. The response has one choice with all
// calls, and usage in its GenerationInfo under the keys that langchaingo's
// OpenAI provider uses. Pictures, sound and PDFs are taken as bytes or data:
// URLs if the model takes them; no address is fetched. What a [llm.Request]
// cannot say, such as stop words, is an error and not left out in silence.
func Langchain(m llm.Model) llms.Model { return &langchain{m} }

type langchain struct{ model llm.Model }

var _ llms.Model = (*langchain)(nil)

// Call answers a single prompt.
func (l *langchain) Call(ctx context.Context, prompt string, options ...llms.CallOption) (string, error) {
	return llms.GenerateFromSinglePrompt(ctx, l, prompt, options...)
}

// GenerateContent answers messages. If the answer fails on its way, the error
// is that of [llm.Model]'s Stream.
func (l *langchain) GenerateContent(ctx context.Context, messages []llms.MessageContent, options ...llms.CallOption) (*llms.ContentResponse, error) {
	var opts llms.CallOptions
	for _, set := range options {
		set(&opts)
	}
	req, err := l.request(ctx, messages, &opts)
	if err != nil {
		return nil, fmt.Errorf("provider: langchain: %w", err)
	}
	var text, reasoning strings.Builder
	choice := &llms.ContentChoice{GenerationInfo: map[string]any{}}
	for c, err := range l.model.Stream(ctx, req) {
		if err != nil {
			return nil, err
		}
		text.WriteString(c.Text)
		reasoning.WriteString(c.Reasoning)
		fillChoice(choice, c)
		if err := streamOut(ctx, &opts, c); err != nil {
			return nil, err
		}
	}
	choice.Content, choice.ReasoningContent = text.String(), reasoning.String()
	return &llms.ContentResponse{Choices: []*llms.ContentChoice{choice}}, nil
}

// streamOut hands a piece to the caller's functions. Reasoning goes only
// where it is told apart.
func streamOut(ctx context.Context, opts *llms.CallOptions, c llm.Chunk) error {
	if opts.StreamingFunc != nil && c.Text != "" {
		if err := opts.StreamingFunc(ctx, []byte(c.Text)); err != nil {
			return err
		}
	}
	if opts.StreamingReasoningFunc != nil && c.Text+c.Reasoning != "" {
		return opts.StreamingReasoningFunc(ctx, []byte(c.Reasoning), []byte(c.Text))
	}
	return nil
}

func fillChoice(choice *llms.ContentChoice, c llm.Chunk) {
	if c.Call != nil {
		f := &llms.FunctionCall{Name: c.Call.Function.Name, Arguments: c.Call.Function.Arguments}
		choice.FuncCall = cmp.Or(choice.FuncCall, f)
		choice.ToolCalls = append(choice.ToolCalls, llms.ToolCall{ID: c.Call.ID, Type: "function", FunctionCall: f})
	}
	if u := c.Usage; u != nil {
		choice.GenerationInfo["PromptTokens"] = u.Input
		choice.GenerationInfo["CompletionTokens"] = u.Output
		choice.GenerationInfo["TotalTokens"] = u.Total
		choice.GenerationInfo["ReasoningTokens"] = u.Reasoning
		choice.GenerationInfo["ThinkingTokens"] = u.Reasoning
		choice.GenerationInfo["PromptCachedTokens"] = u.CachedInput
	}
	choice.StopReason = cmp.Or(choice.StopReason, string(c.Finish))
}

func (l *langchain) request(ctx context.Context, messages []llms.MessageContent, opts *llms.CallOptions) (llm.Request, error) {
	if err := l.unsupported(opts); err != nil {
		return llm.Request{}, err
	}
	req := llm.Request{MaxTokens: opts.MaxTokens}
	if opts.Temperature != 0 { // langchaingo cannot tell 0 from not set
		req.Temperature = &opts.Temperature
	}
	for i, m := range messages {
		out, err := fromLangchain(m)
		if err != nil {
			return llm.Request{}, fmt.Errorf("message %d: %w", i+1, err)
		}
		if err := l.taken(ctx, out); err != nil {
			return llm.Request{}, fmt.Errorf("message %d: %w", i+1, err)
		}
		req.Messages = append(req.Messages, out...)
	}
	specs, err := toolSpecs(opts)
	if err != nil {
		return llm.Request{}, err
	}
	req.Tools = specs
	req.NoTools = opts.ToolChoice == "none" || opts.FunctionCallBehavior == llms.FunctionCallBehaviorNone
	return req, nil
}

// unsupported names the first option that would be lost.
func (l *langchain) unsupported(o *llms.CallOptions) error {
	for _, c := range []struct {
		set  bool
		name string
	}{
		{o.Model != "" && o.Model != l.model.Name(), "another model than " + l.model.Name()},
		{o.ToolChoice != nil && o.ToolChoice != "none" && o.ToolChoice != "auto", "a tool choice but none and auto"},
		{strings.Contains(string(o.FunctionCallBehavior), "{"), "a call of one function"},
		{len(o.StopWords) > 0, "stop words"},
		{o.CandidateCount > 1 || o.N > 1, "more than one choice"},
		{o.JSONMode || o.ResponseMIMEType != "" && o.ResponseMIMEType != "text/plain", "a response format"},
		{o.TopK != 0 || o.TopP != 0 || o.Seed != 0, "sampling by top-k, top-p or seed"},
		{o.MinLength != 0 || o.MaxLength != 0, "a length but max tokens"},
		{o.RepetitionPenalty != 0 || o.FrequencyPenalty != 0 || o.PresencePenalty != 0, "penalties"},
	} {
		if c.set {
			return fmt.Errorf("the option is not supported: %s", c.name)
		}
	}
	return nil
}

func toolSpecs(opts *llms.CallOptions) ([]tools.Spec, error) {
	var out []tools.Spec
	for _, t := range opts.Tools {
		if t.Function == nil {
			return nil, fmt.Errorf("a tool of type %q is not supported, only functions are", t.Type)
		}
		opts.Functions = append(opts.Functions[:len(opts.Functions):len(opts.Functions)], *t.Function)
	}
	for _, f := range opts.Functions {
		spec := tools.Spec{Name: f.Name, Description: f.Description}
		if f.Parameters != nil {
			b, err := json.Marshal(f.Parameters)
			if err != nil {
				return nil, fmt.Errorf("the parameters of %s: %w", f.Name, err)
			}
			spec.Parameters = b
		}
		out = append(out, spec)
	}
	return out, nil
}

// fromLangchain maps one message: a message of several results becomes
// several messages.
func fromLangchain(m llms.MessageContent) ([]llm.Message, error) {
	if len(m.Parts) == 0 {
		return nil, errors.New("it has no parts")
	}
	switch m.Role {
	case llms.ChatMessageTypeTool, llms.ChatMessageTypeFunction:
		return toolResults(m.Parts)
	case llms.ChatMessageTypeAI:
		return joinParts(llm.Assistant, m.Parts)
	case llms.ChatMessageTypeSystem:
		return joinParts(llm.System, m.Parts)
	case llms.ChatMessageTypeHuman, llms.ChatMessageTypeGeneric:
		return joinParts(llm.User, m.Parts)
	}
	return nil, fmt.Errorf("the role %q is not known", m.Role)
}

func toolResults(parts []llms.ContentPart) ([]llm.Message, error) {
	var out []llm.Message
	for _, p := range parts {
		r, ok := p.(llms.ToolCallResponse)
		if !ok {
			return nil, fmt.Errorf("a %T cannot be the result of a tool", p)
		}
		out = append(out, llm.Message{Role: llm.ToolRole, Content: r.Content, ToolCallID: r.ToolCallID})
	}
	return out, nil
}

// joinParts makes one message; texts are joined by line ends.
func joinParts(role llm.Role, parts []llms.ContentPart) ([]llm.Message, error) {
	m := llm.Message{Role: role}
	var texts []string
	for _, p := range parts {
		switch p := p.(type) {
		case llms.TextContent:
			texts = append(texts, p.Text)
			m.Parts = append(m.Parts, llm.Part{Kind: llm.TextPart, Text: p.Text})
		case llms.ToolCall:
			if role != llm.Assistant || p.FunctionCall == nil {
				return nil, errors.New("a tool call must name a function and be the model's")
			}
			m.ToolCalls = append(m.ToolCalls, llm.NewToolCall(p.ID, p.FunctionCall.Name, p.FunctionCall.Arguments))
		case llms.ImageURLContent, llms.BinaryContent:
			part, err := langchainPart(role, p)
			if err != nil {
				return nil, err
			}
			m.Parts = append(m.Parts, part)
			continue
		default:
			return nil, fmt.Errorf("a part of type %T is not supported here", p)
		}
	}
	if m.Content = strings.Join(texts, "\n"); !slices.ContainsFunc(m.Parts, func(p llm.Part) bool { return p.Kind != llm.TextPart }) {
		m.Parts = nil
	}
	return []llm.Message{m}, nil
}
