package llmtest

import (
	"cmp"
	"fmt"

	"parley/llm"
)

type anthropicVoice struct {
	speaker
	index int    // of the block that is open or was last
	kind  string // of the block that is open, "" for none
}

// event is one whose data repeat its name.
func event(name string, fields object) string {
	fields["type"] = name
	return sse(name, fields)
}

func (v *anthropicVoice) begin() string {
	return event("message_start", object{"message": object{
		"id": fmt.Sprint("msg_", v.n), "type": "message", "role": "assistant", "model": v.model, "content": []any{},
		"stop_reason": nil, "usage": object{"input_tokens": 0, "output_tokens": 1},
	}})
}

// open begins a block, if the last one is of another kind.
func (v *anthropicVoice) open(kind string, block object) string {
	if v.kind == kind && kind != "tool_use" {
		return ""
	}
	out := v.close()
	v.index, v.kind, block["type"] = v.index+1, kind, kind
	return out + event("content_block_start", object{"index": v.index, "content_block": block})
}

func (v *anthropicVoice) delta(fields object) string {
	return event("content_block_delta", object{"index": v.index, "delta": fields})
}

// close ends the open block; thoughts are signed then.
func (v *anthropicVoice) close() string {
	if v.kind == "" {
		return ""
	}
	out := ""
	if v.kind == "thinking" && v.opaque != "" {
		out = v.delta(object{"type": "signature_delta", "signature": v.opaque})
	}
	v.kind = ""
	return out + event("content_block_stop", object{"index": v.index})
}

func (v *anthropicVoice) thought(piece string) string {
	return v.open("thinking", object{"thinking": "", "signature": ""}) + v.delta(object{"type": "thinking_delta", "thinking": piece})
}

func (v *anthropicVoice) text(piece string) string {
	return v.open("text", object{"text": ""}) + v.delta(object{"type": "text_delta", "text": piece})
}

func (v *anthropicVoice) call(c Call, pieces []string) string {
	out := v.open("tool_use", object{"id": c.ID, "name": c.Name, "input": object{}})
	for _, p := range append([]string{""}, pieces...) {
		out += v.delta(object{"type": "input_json_delta", "partial_json": p})
	}
	return out
}

func (v *anthropicVoice) end(finish llm.Finish, u llm.Usage) string {
	reason := map[llm.Finish]string{llm.FinishLength: "max_tokens", llm.FinishRefused: "refusal", llm.FinishTools: "tool_use"}[finish]
	return v.close() + event("message_delta", object{
		"delta": object{"stop_reason": cmp.Or(reason, "end_turn"), "stop_sequence": nil},
		"usage": object{"input_tokens": u.Input, "output_tokens": u.Output},
	}) + event("message_stop", object{})
}

func (v *anthropicVoice) failure(code, message string) string {
	return "event: error\ndata: " + Anthropic.errorJSON(500, code, message) + "\n\n"
}

func (v *anthropicVoice) ping() string { return event("ping", object{}) }

type responsesVoice struct {
	speaker
	seq     int
	kind    string // of the item that is open, "" for none
	item    object
	written string // of the open item
	output  []any
}

func (v *responsesVoice) event(name string, fields object) string {
	fields["sequence_number"] = v.seq
	v.seq++
	return event(name, fields)
}

func (v *responsesVoice) response(status string) object {
	return object{"id": fmt.Sprint("resp_", v.n), "object": "response", "model": v.model, "status": status, "output": v.output, "error": nil}
}

func (v *responsesVoice) begin() string {
	return v.event("response.created", object{"response": v.response("in_progress")}) +
		v.event("response.in_progress", object{"response": v.response("in_progress")})
}

// open begins an item, if the last one is of another kind.
func (v *responsesVoice) open(kind string, item object) string {
	if v.kind == kind && kind != "function_call" {
		return ""
	}
	out := v.close()
	v.kind, v.item, v.written = kind, item, ""
	item["type"], item["id"] = kind, fmt.Sprintf("%s_%d_%d", kind[:2], v.n, len(v.output))
	return out + v.event("response.output_item.added", object{"output_index": len(v.output), "item": item})
}

func (v *responsesVoice) delta(name, piece string) string {
	v.written += piece
	return v.event("response."+name+".delta", object{"output_index": len(v.output), "item_id": v.item["id"], "content_index": 0, "delta": piece})
}

// close ends the open item.
func (v *responsesVoice) close() string {
	if v.kind == "" {
		return ""
	}
	done := object{"status": "completed"}
	for k, f := range v.item {
		done[k] = f
	}
	switch v.kind {
	case "message":
		done["content"] = []any{object{"type": "output_text", "text": v.written, "annotations": []any{}}}
	case "function_call":
		done["arguments"] = v.written
	case "reasoning":
		done["summary"] = []any{object{"type": "summary_text", "text": v.written}}
		if v.opaque != "" {
			done["encrypted_content"] = v.opaque
		}
	}
	out := v.event("response.output_item.done", object{"output_index": len(v.output), "item": done})
	v.output, v.kind = append(v.output, done), ""
	return out
}

func (v *responsesVoice) thought(piece string) string {
	return v.open("reasoning", object{"summary": []any{}}) + v.delta("reasoning_summary_text", piece)
}

func (v *responsesVoice) text(piece string) string {
	return v.open("message", object{"role": "assistant", "content": []any{}}) + v.delta("output_text", piece)
}

func (v *responsesVoice) call(c Call, pieces []string) string {
	out := v.open("function_call", object{"call_id": c.ID, "name": c.Name, "arguments": ""})
	for _, p := range pieces {
		out += v.delta("function_call_arguments", p)
	}
	return out
}

func (v *responsesVoice) end(finish llm.Finish, u llm.Usage) string {
	out := v.close()
	r := v.response("completed")
	reason := map[llm.Finish]string{llm.FinishLength: "max_output_tokens", llm.FinishRefused: "content_filter"}[finish]
	if reason != "" {
		r["status"], r["incomplete_details"] = "incomplete", object{"reason": reason}
	}
	r["usage"] = object{"input_tokens": u.Input, "output_tokens": u.Output, "total_tokens": u.Input + u.Output}
	return out + v.event("response."+r["status"].(string), object{"response": r})
}

func (v *responsesVoice) failure(code, message string) string {
	return v.event("error", object{"code": code, "message": message, "param": nil})
}

func (v *responsesVoice) ping() string { return ": keep-alive\n\n" }
