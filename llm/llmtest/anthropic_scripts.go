package llmtest

import (
	"fmt"
	"net/http"
	"strings"

	"parley/llm"
)

// Building blocks of Anthropic's stream.
const (
	messageStart = `event: message_start` + "\n" + `data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":10,"cache_read_input_tokens":100,"output_tokens":1}}}` + "\n\n"
	messageStop  = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
)

func blockStart(i int, block string) string {
	return fmt.Sprintf("event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":%d,\"content_block\":%s}\n\n", i, block)
}

func blockDelta(i int, kind, field, value string) string {
	return fmt.Sprintf("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":%d,\"delta\":{\"type\":%q,%q:%q}}\n\n", i, kind, field, value)
}

func blockStop(i int) string {
	return fmt.Sprintf("event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":%d}\n\n", i)
}

func stopReason(reason string) string {
	return fmt.Sprintf("event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":%q,\"stop_sequence\":null},\"usage\":{\"output_tokens\":15}}\n\n", reason) + messageStop
}

// textBlock is a whole block of text.
func textBlock(i int, pieces ...string) string {
	out := blockStart(i, `{"type":"text","text":""}`)
	for _, p := range pieces {
		out += blockDelta(i, "text_delta", "text", p)
	}
	return out + blockStop(i)
}

func toolStart(i int, id string) string {
	return blockStart(i, fmt.Sprintf(`{"type":"tool_use","id":%q,"name":"weather","input":{}}`, id))
}

func toolJSON(i int, piece string) string {
	return blockDelta(i, "input_json_delta", "partial_json", piece)
}

func anthropicScripts() []Script {
	usage := llm.Usage{Input: 25, CacheWritten: 10, CachedInput: 100, Output: 15, Total: 150}
	ping := "event: ping\ndata: {\"type\": \"ping\"}\n\n"
	hello := textBlock(0, "Hello", " there")
	end := stopReason("end_turn")
	return append(anthropicThoughts(), []Script{
		{Name: "01 text, ping, cache usage", Serve: stream(messageStart, ping, hello, end), Want: Outcome{Text: "Hello there", Finish: llm.FinishStop, Usage: &usage}},
		{
			Name: "02 text and a tool, the first partial_json empty", Want: Outcome{Text: "Looking.", Calls: []Call{weather("t1", "Bern")}, Finish: llm.FinishTools},
			Serve: stream(messageStart, textBlock(0, "Looking."), toolStart(1, "t1"), toolJSON(1, ""), toolJSON(1, `{"city":"B`), toolJSON(1, `ern"}`), blockStop(1), stopReason("tool_use")),
		},
		{
			Name: "03 two tools", Want: made(weather("t1", "Bern"), weather("t2", "Rome")),
			Serve: stream(messageStart, toolStart(0, "t1"), toolJSON(0, `{"city":"Bern"}`), blockStop(0), toolStart(1, "t2"), toolJSON(1, `{"city":"Rome"}`), blockStop(1), stopReason("tool_use")),
		},
		{
			Name: "04 interleaved blocks", Want: Outcome{Text: "Hm.", Calls: []Call{weather("t1", "Bern"), weather("t2", "Rome")}, Finish: llm.FinishTools},
			Serve: stream(messageStart, toolStart(0, "t1"), toolStart(1, "t2"), blockStart(2, `{"type":"text","text":""}`), toolJSON(0, `{"city":`), toolJSON(1, `{"city":"Ro`),
				blockDelta(2, "text_delta", "text", "Hm."), toolJSON(0, `"Bern"}`), toolJSON(1, `me"}`), blockStop(0), blockStop(1), blockStop(2), stopReason("tool_use")),
		},
		{
			Name: "08 event: error, overloaded, and more behind it", Want: Outcome{Text: "Hello", Err: llm.Unavailable, Code: "overloaded_error", MidStream: true},
			Serve: stream(messageStart, blockStart(0, `{"type":"text","text":""}`), blockDelta(0, "text_delta", "text", "Hello"),
				"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n", blockDelta(0, "text_delta", "text", " leak"), end),
		},
		{
			Name: "08c error in data without its event line", Want: Outcome{Err: llm.RateLimited, Code: "rate_limit_error"},
			Serve: stream(messageStart, "data: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"slow\"}}\n\n"),
		},
		{
			Name: "09 stop_reason but no message_stop", Want: Outcome{Text: "Hello there", Err: llm.Truncated, MidStream: true},
			Serve: stream(messageStart, hello, strings.TrimSuffix(end, messageStop)),
		},
		{
			Name: "11 unknown event and block", Want: helloText,
			Serve: stream(messageStart, "event: surprise\ndata: {\"type\":\"surprise\",\"index\":7}\n\n", hello, blockStart(1, `{"type":"hologram","x":1}`), blockDelta(1, "hologram_delta", "x", "y"), blockStop(1), end),
		},
		{
			Name: "13 data: without space", Want: helloText,
			Serve: stream(strings.ReplaceAll(strings.ReplaceAll(messageStart+hello+end, "data: ", "data:"), "event: ", "event:")),
		},
		{
			Name: "14 tool JSON cut by max_tokens", Want: Outcome{Text: "Looking.", Finish: llm.FinishLength},
			Serve: stream(messageStart, textBlock(0, "Looking."), toolStart(1, "t1"), toolJSON(1, `{"city":"B`), blockStop(1), stopReason("max_tokens")),
		},
		{Name: "15 refusal without content", Serve: stream(messageStart, stopReason("refusal")), Want: Outcome{Finish: llm.FinishRefused}},
		{Name: "15b refusal behind text", Serve: stream(messageStart, textBlock(0, "Well"), stopReason("refusal")), Want: Outcome{Text: "Well", Finish: llm.FinishRefused}},
		{Name: "15c stop_sequence", Serve: stream(messageStart, hello, stopReason("stop_sequence")), Want: helloText},
		{Name: "15d pause_turn is no whole answer", Serve: stream(messageStart, hello, stopReason("pause_turn")), Want: Outcome{Text: "Hello there", Finish: llm.FinishLength}},
		{Name: "15e the context window is full", Serve: stream(messageStart, hello, stopReason("model_context_window_exceeded")), Want: Outcome{Text: "Hello there", Finish: llm.FinishLength}},
		{
			Name: "18 message_delta without usage", Want: helloText,
			Serve: stream(messageStart, hello, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n", messageStop),
		},
		{
			Name: "20 529", Serve: answerWith(529, "", `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`),
			Want: Outcome{Err: llm.Unavailable, Status: 529, Code: "overloaded_error"},
		},
		{
			Name: "21 400 that its words tell to be too long", Serve: answerWith(400, "", `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 205000 tokens > 200000 maximum"}}`),
			Want: Outcome{Err: llm.TooLong, Status: 400, Code: "invalid_request_error"},
		},
		{
			Name: "21b 413", Serve: answerWith(413, "", `{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}`),
			Want: Outcome{Err: llm.TooLong, Status: 413, Code: "request_too_large"},
		},
		{
			Name: "21c 400 that its words tell to be an account", Serve: answerWith(400, "", `{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}`),
			Want: Outcome{Err: llm.Quota, Status: 400, Code: "invalid_request_error"},
		},
		{
			Name: "22 citations_delta", Want: helloText,
			Serve: stream(messageStart, blockStart(0, `{"type":"text","text":""}`), blockDelta(0, "text_delta", "text", "Hello there"),
				"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"citations_delta\",\"citation\":{\"cited_text\":\"x\"}}}\n\n", blockStop(0), end),
		},
		{Name: "23 a piece of a block that never began", Serve: stream(messageStart, blockDelta(3, "text_delta", "text", "x"), end), Want: Outcome{Err: llm.Malformed, MidStream: true}},
		{Name: "24 text inside content_block_start", Serve: stream(messageStart, blockStart(0, `{"type":"text","text":"Hello there"}`), blockStop(0), end), Want: helloText},
		{
			Name: "25 input inside content_block_start", Want: made(weather("t1", "Bern")),
			Serve: stream(messageStart, blockStart(0, `{"type":"tool_use","id":"t1","name":"weather","input":{"city":"Bern"}}`), blockStop(0), stopReason("tool_use")),
		},
		{
			Name: "26 a whole message, not streamed", Want: Outcome{Text: "Hello there", Calls: []Call{weather("t1", "Bern")}, Finish: llm.FinishTools},
			Serve: answerWith(200, "", `{"type":"message","model":"m","content":[{"type":"text","text":"Hello there"},{"type":"tool_use","id":"t1","name":"weather","input":{"city":"Bern"}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":2}}`),
		},
		{
			Name: "27 limits told as times", Serve: limited("Anthropic-Ratelimit-Requests-Remaining: 0\nAnthropic-Ratelimit-Requests-Reset: 1970-01-01T00:00:00Z\nRetry-After: 3"),
			Want: Outcome{Err: llm.RateLimited, Status: 429, Code: "rate_limit_error", RetryAfter: 3e9},
		},
	}...)
}

func limited(header string) http.HandlerFunc {
	return answerWith(429, header, `{"type":"error","error":{"type":"rate_limit_error","message":"Number of requests has exceeded your limit"}}`)
}

func anthropicThoughts() []Script {
	end := stopReason("end_turn")
	think := blockStart(0, `{"type":"thinking","thinking":"","signature":""}`)
	return []Script{
		{
			Name: "05 thinking, signature_delta, text", Want: Outcome{Reasoning: "Well, so.", Text: "Hello there", Finish: llm.FinishStop, Opaque: `"signature":"EqQBCg=="`},
			Serve: stream(messageStart, think, blockDelta(0, "thinking_delta", "thinking", "Well, "), blockDelta(0, "thinking_delta", "thinking", "so."),
				blockDelta(0, "signature_delta", "signature", "EqQB"), blockDelta(0, "signature_delta", "signature", "Cg=="), blockStop(0), textBlock(1, "Hello there"), end),
		},
		{
			Name: "05b only thinking", Want: Outcome{Reasoning: "Well.", Finish: llm.FinishStop, Opaque: `"signature":"s"`},
			Serve: stream(messageStart, think, blockDelta(0, "thinking_delta", "thinking", "Well."), blockDelta(0, "signature_delta", "signature", "s"), blockStop(0), end),
		},
		{
			Name: "06 redacted_thinking", Want: Outcome{Text: "Hello there", Finish: llm.FinishStop, Opaque: `{"type":"redacted_thinking","data":"EmwKAh"}`},
			Serve: stream(messageStart, blockStart(0, `{"type":"redacted_thinking","data":"EmwKAh"}`), blockStop(0), textBlock(1, "Hello there"), end),
		},
		{
			Name: "07 the server's own tools", Want: helloText,
			Serve: stream(messageStart, blockStart(0, `{"type":"server_tool_use","id":"srv1","name":"web_search","input":{}}`), toolJSON(0, `{"query":"x"}`), blockStop(0),
				blockStart(1, `{"type":"web_search_tool_result","tool_use_id":"srv1","content":[{"type":"web_search_result","url":"https://example.com"}]}`), blockStop(1), textBlock(2, "Hello there"), end),
		},
	}
}
