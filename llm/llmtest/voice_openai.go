package llmtest

import (
	"cmp"
	"encoding/json"
	"fmt"

	"parley/llm"
)

func encode(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

type openaiVoice struct {
	speaker
	calls int
}

func (v *openaiVoice) chunk(delta object, finish any) string {
	return sse("", object{
		"id": fmt.Sprintf("chatcmpl-%d", v.n), "object": "chat.completion.chunk", "model": v.model,
		"choices": []any{object{"index": 0, "delta": delta, "finish_reason": finish}},
	})
}

func (v *openaiVoice) begin() string { return v.chunk(object{"role": "assistant", "content": ""}, nil) }

func (v *openaiVoice) thought(piece string) string {
	return v.chunk(object{"reasoning_content": piece}, nil)
}

func (v *openaiVoice) text(piece string) string { return v.chunk(object{"content": piece}, nil) }

func (v *openaiVoice) call(c Call, pieces []string) string {
	i := v.calls
	v.calls++
	first := object{"index": i, "type": "function", "function": object{"name": c.Name, "arguments": pieces[0]}}
	if c.ID != "" {
		first["id"] = c.ID
	}
	if v.opaque != "" && i == 0 {
		first["extra_content"] = object{"google": object{"thought_signature": v.opaque}}
	}
	out := v.chunk(object{"tool_calls": []any{first}}, nil)
	for _, p := range pieces[1:] {
		out += v.chunk(object{"tool_calls": []any{object{"index": i, "function": object{"arguments": p}}}}, nil)
	}
	return out
}

func (v *openaiVoice) end(finish llm.Finish, u llm.Usage) string {
	usage := object{"prompt_tokens": u.Input, "completion_tokens": u.Output, "total_tokens": u.Input + u.Output}
	return v.chunk(object{}, finish) +
		sse("", object{"object": "chat.completion.chunk", "choices": []any{}, "usage": usage}) + "data: [DONE]\n\n"
}

func (v *openaiVoice) failure(code, message string) string {
	return "data: " + OpenAI.errorJSON(500, code, message) + "\n\n"
}

func (v *openaiVoice) ping() string { return ": PROCESSING\n\n" }

type ollamaVoice struct{ speaker }

func (v *ollamaVoice) line(fields object) string {
	all := object{"model": v.model, "created_at": "2026-01-02T03:04:05Z", "done": false}
	for k, f := range fields {
		all[k] = f
	}
	return encode(all) + "\n"
}

func (v *ollamaVoice) say(m object) string {
	m["role"], m["content"] = "assistant", cmp.Or(m["content"], any(""))
	return v.line(object{"message": m})
}

func (v *ollamaVoice) begin() string               { return "" }
func (v *ollamaVoice) thought(piece string) string { return v.say(object{"thinking": piece}) }
func (v *ollamaVoice) text(piece string) string    { return v.say(object{"content": piece}) }

func (v *ollamaVoice) call(c Call, _ []string) string {
	call := object{"function": object{"name": c.Name, "arguments": json.RawMessage(c.Arguments)}}
	if c.ID != "" {
		call["id"] = c.ID
	}
	return v.say(object{"tool_calls": []any{call}})
}

func (v *ollamaVoice) end(finish llm.Finish, u llm.Usage) string {
	reason := "stop"
	if finish == llm.FinishLength {
		reason = "length"
	}
	return v.line(object{
		"message": object{"role": "assistant", "content": ""}, "done": true, "done_reason": reason,
		"total_duration": 12, "prompt_eval_count": u.Input, "eval_count": u.Output,
	})
}

func (v *ollamaVoice) failure(_, message string) string {
	return Ollama.errorJSON(500, "", message) + "\n"
}

func (v *ollamaVoice) ping() string { return "\n" }

type geminiVoice struct {
	speaker
	signed bool
}

func (v *geminiVoice) chunk(fields object, parts ...any) string {
	candidate := object{"index": 0}
	if len(parts) > 0 {
		candidate["content"] = object{"role": "model", "parts": parts}
	}
	all := object{"candidates": []any{candidate}, "modelVersion": v.model, "responseId": fmt.Sprint("r", v.n)}
	for k, f := range fields {
		if k == "finishReason" {
			candidate[k] = f
		} else {
			all[k] = f
		}
	}
	return sse("", all)
}

func (v *geminiVoice) begin() string { return "" }

func (v *geminiVoice) thought(piece string) string {
	return v.chunk(nil, object{"text": piece, "thought": true})
}

func (v *geminiVoice) text(piece string) string { return v.chunk(nil, object{"text": piece}) }

func (v *geminiVoice) call(c Call, _ []string) string {
	call := object{"name": c.Name, "args": json.RawMessage(c.Arguments)}
	if c.ID != "" {
		call["id"] = c.ID
	}
	part := object{"functionCall": call}
	if v.opaque != "" && !v.signed {
		part["thoughtSignature"], v.signed = v.opaque, true
	}
	return v.chunk(nil, part)
}

func (v *geminiVoice) end(finish llm.Finish, u llm.Usage) string {
	reason := map[llm.Finish]string{llm.FinishLength: "MAX_TOKENS", llm.FinishRefused: "SAFETY"}[finish]
	var parts []any
	if v.opaque != "" && !v.signed {
		parts = append(parts, object{"text": "", "thoughtSignature": v.opaque})
	}
	return v.chunk(object{
		"finishReason":  cmp.Or(reason, "STOP"),
		"usageMetadata": object{"promptTokenCount": u.Input, "candidatesTokenCount": u.Output, "totalTokenCount": u.Input + u.Output},
	}, parts...)
}

func (v *geminiVoice) failure(code, message string) string {
	return "data: " + Gemini.errorJSON(503, cmp.Or(code, "UNAVAILABLE"), message) + "\n\n"
}

func (v *geminiVoice) ping() string { return ": ping\n\n" }
