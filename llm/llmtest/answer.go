package llmtest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// An answer is a reply on its way.
type answer struct {
	w     http.ResponseWriter
	ctx   context.Context
	req   Request
	reply Reply
}

func (a *answer) serve() {
	if !sleep(a.ctx, a.reply.Delay) {
		return
	}
	switch {
	case a.reply.Status != 0 && a.reply.Status != http.StatusOK:
		writeError(a.w, a.reply)
	case !a.req.Stream:
		a.whole()
	default:
		a.stream()
	}
}

func (a *answer) stream() {
	a.w.Header().Set("Content-Type", "text/event-stream")
	a.chunk(object{"role": "assistant", "content": ""}, nil)
	if !a.pieces() {
		return
	}
	for i, c := range a.calls() {
		c["index"] = i
		a.chunk(object{"tool_calls": []any{c}}, nil)
	}
	switch {
	case a.reply.Reset:
		reset(a.w)
	case a.reply.Hang:
		<-a.ctx.Done()
	case a.reply.Error != "":
		a.send(errorBody(a.reply))
	case !a.reply.Cut:
		a.chunk(object{}, a.finish())
		a.send(object{"object": "chat.completion.chunk", "choices": []any{}, "usage": a.usage()})
		fmt.Fprint(a.w, "data: [DONE]\n\n")
	}
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
			a.chunk(object{"reasoning_content": a.reply.Reasoning[i]}, nil)
		} else {
			a.chunk(object{"content": a.reply.Pieces[i-len(a.reply.Reasoning)]}, nil)
		}
	}
	return true
}

func (a *answer) chunk(delta object, finish any) {
	a.send(object{
		"id": fmt.Sprintf("chatcmpl-%d", a.req.N), "object": "chat.completion.chunk", "model": a.req.Model,
		"choices": []any{object{"index": 0, "delta": delta, "finish_reason": finish}},
	})
}

func (a *answer) send(v any) {
	b, _ := json.Marshal(v)
	fmt.Fprintf(a.w, "data: %s\n\n", b)
	http.NewResponseController(a.w).Flush()
}

// whole answers a client that does not want a stream.
func (a *answer) whole() {
	m := object{"role": "assistant", "content": strings.Join(a.reply.Pieces, "")}
	if calls := a.calls(); len(calls) > 0 {
		m["tool_calls"] = calls
	}
	a.w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(a.w).Encode(object{
		"id": fmt.Sprintf("chatcmpl-%d", a.req.N), "object": "chat.completion", "model": a.req.Model, "usage": a.usage(),
		"choices": []any{object{"index": 0, "message": m, "finish_reason": a.finish()}},
	})
}

func (a *answer) calls() []object {
	var out []object
	for i, c := range a.reply.Calls {
		out = append(out, object{
			"id": cmp.Or(c.ID, fmt.Sprintf("call_%d_%d", a.req.N, i+1)), "type": "function",
			"function": object{"name": c.Name, "arguments": cmp.Or(c.Arguments, "{}")},
		})
	}
	return out
}

func (a *answer) finish() string {
	if a.reply.Finish == "" && len(a.reply.Calls) > 0 {
		return "tool_calls"
	}
	return cmp.Or(a.reply.Finish, "stop")
}

// usage counts a token for four bytes asked and one for each piece answered.
func (a *answer) usage() object {
	in, out := len(a.req.Body)/4, len(a.reply.Pieces)+len(a.reply.Reasoning)+len(a.reply.Calls)
	return object{"prompt_tokens": in, "completion_tokens": out, "total_tokens": in + out}
}
