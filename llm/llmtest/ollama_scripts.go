package llmtest

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"parley/llm"
)

func ollamaLine(message, more string) string {
	return fmt.Sprintf(`{"model":"m","created_at":"2026-01-02T03:04:05Z","message":{"role":"assistant",%s},"done":false%s}`+"\n", message, more)
}

func ollamaSay(text string) string { return ollamaLine(fmt.Sprintf(`"content":%q`, text), "") }

func ollamaDone(more string) string {
	return `{"model":"m","message":{"role":"assistant","content":""},"done":true` + more + "}\n"
}

func ollamaScripts() []Script {
	stop := ollamaDone(`,"done_reason":"stop","prompt_eval_count":11,"eval_count":7`)
	bern := `"content":"","tool_calls":[{"function":{"name":"weather","arguments":{"city":"Bern"}}}]`
	wide := strings.Repeat("wide ", 120_000)
	return []Script{
		{Name: "1 text, done, counts", Serve: stream(ollamaSay("Hello"), ollamaSay(" there"), stop), Want: Outcome{Text: "Hello there", Finish: llm.FinishStop, Usage: &llm.Usage{Input: 11, Output: 7, Total: 18}}},
		{Name: "2 a call in one line, arguments an object, no id", Serve: stream(ollamaLine(bern, ""), stop), Want: made(weather("", "Bern"))},
		{Name: "2b a call in the last line", Serve: stream(strings.Replace(stop, `"content":""`, bern, 1)), Want: made(weather("", "Bern"))},
		{
			Name: "2c two calls in one line, with ids and indices", Want: made(weather("c1", "Bern"), weather("c2", "Rome")),
			Serve: stream(ollamaLine(`"content":"","tool_calls":[{"id":"c1","function":{"index":0,"name":"weather","arguments":{"city":"Bern"}}},{"id":"c2","function":{"index":1,"name":"weather","arguments":{"city":"Rome"}}}]`, ""), stop),
		},
		{Name: "2d arguments a text", Serve: stream(ollamaLine(`"content":"","tool_calls":[{"function":{"name":"weather","arguments":"{\"city\":\"Bern\"}"}}]`, ""), stop), Want: made(weather("", "Bern"))},
		{Name: "3 thinking", Serve: stream(ollamaLine(`"content":"","thinking":"Well."`, ""), ollamaSay("Hello there"), stop), Want: Outcome{Reasoning: "Well.", Text: "Hello there", Finish: llm.FinishStop}},
		{Name: "4 the end without done", Serve: stream(ollamaSay("Hel")), Want: Outcome{Text: "Hel", Err: llm.Truncated, MidStream: true}},
		{
			Name: "5 reset", Want: Outcome{Text: "Hel", Err: llm.Truncated, MidStream: true},
			Serve: then(stream(ollamaSay("Hel")), func(w http.ResponseWriter, r *http.Request) { sleep(r.Context(), 50*time.Millisecond); reset(w) }),
		},
		{Name: "6 cancelled", Serve: then(stream(ollamaSay("Hel")), hang), Client: Cancels, Want: Outcome{Text: "Hel", Cancelled: true, Closed: true}},
		{Name: "7 error in mid-stream", Serve: stream(ollamaSay("Hel"), `{"error":"an error was encountered while running the model: CUDA error"}`+"\n"), Want: Outcome{Text: "Hel", Err: llm.Unavailable, MidStream: true}},
		{Name: "8 600 kB in one line", Serve: stream(ollamaSay(wide), stop), Want: Outcome{Text: wide, Finish: llm.FinishStop}},
		{Name: "9 404 JSON", Serve: answerWith(404, "", `{"error":"model 'm' not found"}`), Want: Outcome{Err: llm.NotFound, Status: 404}},
		{Name: "10 502 HTML", Serve: answerWith(502, "Content-Type: text/html", "<html>502</html>"), Want: Outcome{Err: llm.Unavailable, Status: 502}},
		{Name: "11 done_reason length", Serve: stream(ollamaSay("Hel"), ollamaDone(`,"done_reason":"length"`)), Want: Outcome{Text: "Hel", Finish: llm.FinishLength}},
		{Name: "12 done without a reason", Serve: stream(ollamaSay("Hello there"), ollamaDone("")), Want: helloText},
		{Name: "13 the model was only loaded", Serve: stream(ollamaDone(`,"done_reason":"load"`)), Want: Outcome{Finish: llm.FinishStop}},
		{Name: "14 text in the last line", Serve: stream(strings.Replace(stop, `"content":""`, `"content":"Hello there"`, 1)), Want: helloText},
		{Name: "15 a model that has no tools", Serve: answerWith(400, "", `{"error":"m does not support tools"}`), Want: Outcome{Err: llm.BadRequest, Status: 400}},
		{Name: "16 a line that is no JSON", Serve: stream(ollamaSay("Hel"), "panic: runtime error\n"), Want: Outcome{Text: "Hel", Err: llm.Malformed, MidStream: true}},
		{Name: "17 a line that is no object", Serve: stream("[1]\n"), Want: Outcome{Err: llm.Malformed, Status: 200}},
		{Name: "18 a call cut by length", Serve: stream(ollamaLine(bern, ""), ollamaDone(`,"done_reason":"length"`)), Want: Outcome{Finish: llm.FinishLength}},
	}
}
