package llmtest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"parley/llm"
)

// An answer is a reply on its way.
type answer struct {
	w     http.ResponseWriter
	ctx   context.Context
	req   Request
	reply Reply
	voice voice
}

func (a *answer) serve() {
	if !sleep(a.ctx, a.reply.Delay) {
		return
	}
	switch {
	case a.reply.Status != 0 && a.reply.Status != http.StatusOK:
		writeError(a.w, a.req.Dialect, a.reply)
	case !a.req.Stream && a.req.Dialect == OpenAI:
		a.whole()
	case !a.req.Stream && a.req.Dialect == Anthropic:
		a.wholeAnthropic()
	default:
		a.stream()
	}
}

func (a *answer) stream() {
	a.w.Header().Set("Content-Type", a.req.Dialect.contentType())
	a.voice = a.req.Dialect.voice(speaker{n: a.req.N, model: a.req.Model, opaque: a.reply.Opaque})
	a.send(a.voice.begin())
	if !a.pieces() {
		return
	}
	for _, c := range a.calls() {
		a.send(a.voice.call(c, []string{c.Arguments}))
	}
	switch {
	case a.reply.Reset:
		reset(a.w)
	case a.reply.Hang:
		<-a.ctx.Done()
	case a.reply.Error != "":
		a.send(a.voice.failure(a.reply.Code, a.reply.Error))
	case !a.reply.Cut:
		a.send(a.voice.end(a.finish(), a.usage()))
	}
}

func (d Dialect) contentType() string {
	if d == Ollama {
		return "application/x-ndjson"
	}
	return "text/event-stream"
}

// pieces sends reasoning and text, and reports whether the client still
// listens.
func (a *answer) pieces() bool {
	total := len(a.reply.Reasoning) + len(a.reply.Pieces)
	for i := range total {
		if i > 0 && !sleep(a.ctx, a.reply.Every) {
			return false
		}
		if i == total-1 && a.reply.Hold != nil {
			select {
			case <-a.reply.Hold:
			case <-a.ctx.Done():
				return false
			}
		}
		if i < len(a.reply.Reasoning) {
			a.send(a.voice.thought(a.reply.Reasoning[i]))
		} else {
			a.send(a.voice.text(a.reply.Pieces[i-len(a.reply.Reasoning)]))
		}
	}
	return true
}

func (a *answer) send(s string) {
	fmt.Fprint(a.w, s)
	http.NewResponseController(a.w).Flush()
}

// whole answers a client of chat completions that does not want a stream.
func (a *answer) whole() {
	m := object{"role": "assistant", "content": strings.Join(a.reply.Pieces, "")}
	var calls []any
	for _, c := range a.calls() {
		calls = append(calls, object{"id": c.ID, "type": "function", "function": object{"name": c.Name, "arguments": c.Arguments}})
	}
	if len(calls) > 0 {
		m["tool_calls"] = calls
	}
	u := a.usage()
	a.w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(a.w).Encode(object{
		"id": fmt.Sprintf("chatcmpl-%d", a.req.N), "object": "chat.completion", "model": a.req.Model,
		"usage":   object{"prompt_tokens": u.Input, "completion_tokens": u.Output, "total_tokens": u.Total},
		"choices": []any{object{"index": 0, "message": m, "finish_reason": a.finish()}},
	})
}

// wholeAnthropic is whole for the Messages API.
func (a *answer) wholeAnthropic() {
	var content []any
	if text := strings.Join(a.reply.Pieces, ""); text != "" {
		content = append(content, object{"type": "text", "text": text})
	}
	for _, c := range a.calls() {
		content = append(content, object{"type": "tool_use", "id": c.ID, "name": c.Name, "input": json.RawMessage(c.Arguments)})
	}
	reason := map[llm.Finish]string{llm.FinishLength: "max_tokens", llm.FinishRefused: "refusal", llm.FinishTools: "tool_use"}[a.finish()]
	u := a.usage()
	a.w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(a.w).Encode(object{
		"id": fmt.Sprint("msg_", a.req.N), "type": "message", "role": "assistant", "model": a.req.Model, "content": content,
		"stop_reason": cmp.Or(reason, "end_turn"), "usage": object{"input_tokens": u.Input, "output_tokens": u.Output},
	})
}

func (a *answer) calls() []Call {
	out := slices.Clone(a.reply.Calls)
	for i := range out {
		out[i].ID = cmp.Or(out[i].ID, fmt.Sprintf("call_%d_%d", a.req.N, i+1))
		out[i].Arguments = cmp.Or(out[i].Arguments, "{}")
	}
	return out
}

func (a *answer) finish() llm.Finish {
	if a.reply.Finish == "" && len(a.reply.Calls) > 0 {
		return llm.FinishTools
	}
	return llm.Finish(cmp.Or(a.reply.Finish, "stop"))
}

// usage counts a token for four bytes asked and one for each piece answered.
func (a *answer) usage() llm.Usage {
	if u := a.reply.Usage; u != nil {
		return llm.Usage{Input: u.Input, Output: u.Output, Total: u.Input + u.Output}
	}
	in, out := len(a.req.Body)/4, len(a.reply.Pieces)+len(a.reply.Reasoning)+len(a.reply.Calls)
	return llm.Usage{Input: in, Output: out, Total: in + out}
}
