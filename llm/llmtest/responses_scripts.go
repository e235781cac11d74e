package llmtest

import (
	"fmt"
	"strings"

	"parley/llm"
)

// respond is one event of the Responses API.
func respond(name, fields string) string {
	return fmt.Sprintf("event: %s\ndata: {\"type\":%q,\"sequence_number\":1,%s}\n\n", name, name, fields)
}

func itemAdded(i int, item string) string {
	return respond("response.output_item.added", fmt.Sprintf(`"output_index":%d,"item":%s`, i, item))
}

func itemDone(i int, item string) string {
	return respond("response.output_item.done", fmt.Sprintf(`"output_index":%d,"item":%s`, i, item))
}

func itemDelta(i int, name, delta string) string {
	return respond("response."+name+".delta", fmt.Sprintf(`"output_index":%d,"item_id":"i%d","content_index":0,"delta":%q`, i, i, delta))
}

const responseCreated = `event: response.created` + "\n" + `data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","model":"m","status":"in_progress","output":[]}}` + "\n\n"

// responseEnds is the last event: its response has a status and whatever more
// is given.
func responseEnds(status, more string) string {
	return respond("response."+status, fmt.Sprintf(`"response":{"id":"resp_1","object":"response","model":"m","status":%q%s}`, status, more))
}

func functionCall(id, args string) string {
	return fmt.Sprintf(`{"id":"fc_1","type":"function_call","call_id":%q,"name":"weather","arguments":%q}`, id, args)
}

func responsesScripts() []Script {
	message := `{"id":"msg_1","type":"message","role":"assistant","content":[]}`
	said := `{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"output_text","text":"Hello there","annotations":[]}]}`
	completed := responseEnds("completed", `,"output":[`+said+`],"usage":{"input_tokens":11,"input_tokens_details":{"cached_tokens":4},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":18}`)
	bern, rome := `{"city":"Bern"}`, `{"city":"Rome"}`
	thoughts := `{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"Well."},{"type":"summary_text","text":"So."}],"encrypted_content":"gAAAAAB"}`
	return append(responsesFailures(), []Script{
		{
			Name: "01 text, usage, every event there is", Want: Outcome{Text: "Hello there", Finish: llm.FinishStop, Usage: &llm.Usage{Input: 11, Output: 7, Total: 18, CachedInput: 4, Reasoning: 3}},
			Serve: stream(responseCreated, respond("response.in_progress", `"response":{"status":"in_progress"}`), itemAdded(0, message),
				respond("response.content_part.added", `"output_index":0,"part":{"type":"output_text","text":""}`), itemDelta(0, "output_text", "Hello"), itemDelta(0, "output_text", " there"),
				respond("response.output_text.done", `"output_index":0,"text":"Hello there"`), respond("response.content_part.done", `"output_index":0,"part":{"type":"output_text","text":"Hello there"}`),
				itemDone(0, said), completed),
		},
		{Name: "02 text only in the last event", Serve: stream(responseCreated, completed), Want: helloText},
		{Name: "03 text only in output_item.done", Serve: stream(responseCreated, itemDone(0, said), completed), Want: helloText},
		{
			Name: "04 a call, its arguments in pieces", Want: made(weather("c1", "Bern")),
			Serve: stream(responseCreated, itemAdded(0, functionCall("c1", "")), itemDelta(0, "function_call_arguments", bern[:5]), itemDelta(0, "function_call_arguments", bern[5:]),
				respond("response.function_call_arguments.done", `"output_index":0,"arguments":"{}"`), itemDone(0, functionCall("c1", bern)), responseEnds("completed", "")),
		},
		{Name: "05 a call whose pieces were lost", Serve: stream(responseCreated, itemAdded(0, functionCall("c1", "")), itemDone(0, functionCall("c1", bern)), responseEnds("completed", "")), Want: made(weather("c1", "Bern"))},
		{Name: "06 a call without output_item.done", Serve: stream(responseCreated, itemAdded(0, functionCall("c1", "")), itemDelta(0, "function_call_arguments", bern), responseEnds("completed", "")), Want: made(weather("c1", "Bern"))},
		{
			Name: "07 interleaved calls", Want: made(weather("c1", "Bern"), weather("c2", "Rome")),
			Serve: stream(responseCreated, itemAdded(0, functionCall("c1", "")), itemAdded(1, functionCall("c2", "")), itemDelta(0, "function_call_arguments", bern[:5]),
				itemDelta(1, "function_call_arguments", rome[:5]), itemDelta(0, "function_call_arguments", bern[5:]), itemDelta(1, "function_call_arguments", rome[5:]), responseEnds("completed", "")),
		},
		{Name: "08 calls only in the last event", Serve: stream(responseCreated, responseEnds("completed", `,"output":[`+functionCall("c1", bern)+"]")), Want: made(weather("c1", "Bern"))},
		{
			Name: "09 reasoning that goes back", Want: Outcome{Reasoning: "Well.\n\nSo.", Text: "Hello there", Finish: llm.FinishStop, Opaque: thoughts},
			Serve: stream(responseCreated, itemAdded(0, `{"id":"rs_1","type":"reasoning","summary":[]}`),
				respond("response.reasoning_summary_text.delta", `"output_index":0,"summary_index":0,"delta":"Well."`), respond("response.reasoning_summary_text.delta", `"output_index":0,"summary_index":1,"delta":"So."`),
				itemDone(0, thoughts), itemAdded(1, message), itemDelta(1, "output_text", "Hello there"), responseEnds("completed", "")),
		},
		{Name: "10 reasoning in words, as local servers send it", Serve: stream(responseCreated, itemDelta(0, "reasoning_text", "Well."), itemDelta(1, "output_text", "Hello there"), responseEnds("completed", "")), Want: Outcome{Reasoning: "Well.", Text: "Hello there", Finish: llm.FinishStop}},
		{
			Name: "11 reasoning, then a call", Want: Outcome{Calls: []Call{weather("c1", "Bern")}, Finish: llm.FinishTools, Reasoning: "Well.\n\nSo.", Opaque: `"gAAAAAB"}},{"c":true}`},
			Serve: stream(responseCreated, itemDone(0, thoughts), itemDone(1, functionCall("c1", bern)), responseEnds("completed", "")),
		},
		{Name: "11b reasoning that cannot go back is not kept", Serve: stream(responseCreated, itemDone(0, `{"id":"rs_1","type":"reasoning","summary":[]}`), itemDelta(1, "output_text", "Hello there"), responseEnds("completed", "")), Want: helloText},
		{Name: "12 a refusal", Serve: stream(responseCreated, itemAdded(0, message), itemDelta(0, "refusal", "I can"), itemDelta(0, "refusal", "not."), responseEnds("completed", "")), Want: Outcome{Text: "I cannot.", Finish: llm.FinishRefused}},
		{Name: "13 incomplete for its length", Serve: stream(responseCreated, itemDelta(0, "output_text", "Hel"), responseEnds("incomplete", `,"incomplete_details":{"reason":"max_output_tokens"}`)), Want: Outcome{Text: "Hel", Finish: llm.FinishLength}},
		{Name: "14 a call cut by the length", Serve: stream(responseCreated, itemAdded(0, functionCall("c1", "")), itemDelta(0, "function_call_arguments", bern[:8]), responseEnds("incomplete", `,"incomplete_details":{"reason":"max_output_tokens"}`)), Want: Outcome{Finish: llm.FinishLength}},
		{Name: "15 incomplete for a filter", Serve: stream(responseCreated, responseEnds("incomplete", `,"incomplete_details":{"reason":"content_filter"}`)), Want: Outcome{Finish: llm.FinishRefused}},
		{Name: "16 no event lines", Serve: stream(withoutNames(responseCreated + itemDelta(0, "output_text", "Hello there") + completed)), Want: helloText},
		{Name: "17 [DONE] behind the end", Serve: stream(responseCreated, itemDelta(0, "output_text", "Hello there"), completed, done), Want: helloText},
		{Name: "18 events and items that nobody knows", Serve: stream(responseCreated, respond("response.hologram.delta", `"delta":{"x":1}`), itemAdded(0, `{"type":"web_search_call","id":"ws"}`), itemDone(0, `{"type":"web_search_call","id":"ws"}`), itemDelta(1, "output_text", "Hello there"), responseEnds("completed", "")), Want: helloText},
		{Name: "19 a whole response, not streamed", Serve: answerWith(200, "", `{"object":"response","status":"completed","model":"m","output":[`+said+`]}`), Want: helloText},
	}...)
}

// withoutNames leaves out the event lines.
func withoutNames(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		if !strings.HasPrefix(line, "event: ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func responsesFailures() []Script {
	hel := responseCreated + itemDelta(0, "output_text", "Hel")
	return []Script{
		{Name: "30 failed", Serve: stream(hel, responseEnds("failed", `,"error":{"code":"server_error","message":"The model failed"}`)), Want: Outcome{Text: "Hel", Err: llm.Unavailable, Code: "server_error", MidStream: true}},
		{Name: "31 failed by a limit", Serve: stream(responseCreated, responseEnds("failed", `,"error":{"code":"rate_limit_exceeded","message":"Slow down"}`)), Want: Outcome{Err: llm.RateLimited, Code: "rate_limit_exceeded"}},
		{Name: "32 failed without a word", Serve: stream(hel, responseEnds("failed", "")), Want: Outcome{Text: "Hel", Err: llm.Unavailable, Code: "failed", MidStream: true}},
		{Name: "33 cancelled at the server", Serve: stream(hel, responseEnds("cancelled", "")), Want: Outcome{Text: "Hel", Err: llm.Unavailable, Code: "cancelled", MidStream: true}},
		{Name: "34 error event", Serve: stream(hel, respond("error", `"code":"context_length_exceeded","message":"Your input exceeds the context window","param":null`)), Want: Outcome{Text: "Hel", Err: llm.TooLong, Code: "context_length_exceeded", MidStream: true}},
		{Name: "35 error event with the error inside", Serve: stream(hel, respond("error", `"error":{"type":"invalid_request_error","code":"invalid_prompt","message":"flagged"}`)), Want: Outcome{Text: "Hel", Err: llm.Refused, Code: "invalid_prompt", MidStream: true}},
		{Name: "36 completed, but still in progress", Serve: stream(hel, respond("response.completed", `"response":{"status":"in_progress"}`)), Want: Outcome{Text: "Hel", Err: llm.Malformed, MidStream: true}},
		{Name: "37 completed without a response", Serve: stream(hel, respond("response.completed", `"x":1`)), Want: Outcome{Text: "Hel", Err: llm.Malformed, MidStream: true}},
		{Name: "38 [DONE] without an end", Serve: stream(hel, done), Want: Outcome{Text: "Hel", Err: llm.Truncated, MidStream: true}},
		{Name: "39 400 for an item that is not kept", Serve: answerWith(400, "", `{"error":{"message":"Item 'rs_1' not found.","type":"invalid_request_error","param":"input","code":null}}`), Want: Outcome{Err: llm.BadRequest, Status: 400, Code: "invalid_request_error"}},
	}
}
