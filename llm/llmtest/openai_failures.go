package llmtest

import (
	"net/http"
	"strings"
	"time"

	"parley/llm"
)

func openaiErrors() []Script {
	return []Script{
		{
			Name:  "24 429 with Retry-After",
			Serve: answerWith(429, "Retry-After: 7", `{"error":{"message":"Slow down","type":"requests","code":"rate_limit_exceeded"}}`),
			Want:  Outcome{Err: llm.RateLimited, Status: 429, Code: "rate_limit_exceeded", RetryAfter: 7 * time.Second},
		},
		{
			Name:  "25 400 context_length_exceeded",
			Serve: answerWith(400, "", `{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","code":"context_length_exceeded"}}`),
			Want:  Outcome{Err: llm.TooLong, Status: 400, Code: "context_length_exceeded"},
		},
		{
			Name: "26 500", Serve: answerWith(500, "", `{"error":{"message":"Oops","type":"server_error","code":null}}`),
			Want: Outcome{Err: llm.Unavailable, Status: 500, Code: "server_error"},
		},
		{
			Name: "27 502 with HTML", Serve: answerWith(502, "Content-Type: text/html", "<html><body><h1>502 Bad Gateway</h1>nginx</body></html>"),
			Want: Outcome{Err: llm.Unavailable, Status: 502},
		},
		{
			Name:  "28 401 that shows the key",
			Serve: answerWith(401, "", `{"error":{"message":"Incorrect API key provided: sk-proj-abcd1234*****wxyz.","type":"invalid_request_error","code":"invalid_api_key"}}`),
			Want:  Outcome{Err: llm.Auth, Status: 401, Code: "invalid_api_key"},
		},
		{
			Name:  "29 429 insufficient_quota",
			Serve: answerWith(429, "", `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}`),
			Want:  Outcome{Err: llm.Quota, Status: 429, Code: "insufficient_quota"},
		},
		{
			Name: "30 200 with a JSON error", Serve: answerWith(200, "", `{"error":{"message":"Rate limited upstream","code":429}}`),
			Want: Outcome{Err: llm.RateLimited},
		},
	}
}

// openaiOddities are rarer than the numbered ones of the first series.
func openaiOddities() []Script {
	end := finish("tool_calls") + done
	a, b := `{"city":"Bern"}`, `{"city":"Rome"}`
	return []Script{
		{Name: "34 finish_reason but no [DONE]", Serve: stream(say("Hello there"), finish("stop")), Want: helloText},
		{
			Name: "35 index 0 on every call", Serve: stream(calls(piece(0, "c1", "weather", a)), calls(piece(0, "c2", "weather", b)), end),
			Want: made(weather("c1", "Bern"), weather("c2", "Rome")),
		},
		{
			Name: "36 index 0 on every call, in pieces", Serve: stream(
				calls(piece(0, "c1", "weather", a[:5])), calls(piece(0, "", "", a[5:])),
				calls(piece(0, "c2", "weather", b[:5])), calls(piece(0, "", "", b[5:])), calls(piece(0, "c1", "", "")), end),
			Want: made(weather("c1", "Bern"), weather("c2", "Rome")),
		},
		{
			Name: "37 event: error", Serve: stream(say("Hel"), "event: error\ndata: {\"message\":\"model crashed\",\"type\":\"server_error\"}\n\n"),
			Want: Outcome{Text: "Hel", Err: llm.Unavailable, Code: "server_error", MidStream: true},
		},
		{
			Name: "38 event: error in plain words", Serve: stream("event: error\ndata: model crashed\n\n", done),
			Want: Outcome{Err: llm.Unavailable},
		},
		{
			Name: "39 hundreds of comments", Want: helloText,
			Serve: stream(strings.Repeat(": PROCESSING\n\n", 700), say("Hello there"), strings.Repeat(":\n", 700), finish("stop"), done),
		},
		{
			Name: "40 error_type and error_message", Serve: stream(say("Hel"), `data: {"error_type":"rate_limit_error","error_message":"slow down"}`+"\n\n", done),
			Want: Outcome{Text: "Hel", Err: llm.RateLimited, Code: "rate_limit_error", MidStream: true},
		},
		{
			Name: "41 error in a choice", Serve: stream(say("Hel"), `data: {"error":{"code":502,"message":"upstream"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}`+"\n\n"),
			Want: Outcome{Text: "Hel", Err: llm.Unavailable, MidStream: true},
		},
		{
			Name: "42 error as the first frame", Serve: stream(`data: {"error":"no slot free","code":503}` + "\n\n"),
			Want: Outcome{Err: llm.Unavailable},
		},
		{
			Name:  "43 503 with retry-after-ms",
			Serve: answerWith(503, "Retry-After-Ms: 1500\nRetry-After: 9", `{"detail":"loading the model"}`),
			Want:  Outcome{Err: llm.Unavailable, Status: 503, RetryAfter: 1500 * time.Millisecond},
		},
		{
			Name: "44 404", Serve: answerWith(404, "", `{"error":{"message":"The model x does not exist","code":"model_not_found"}}`),
			Want: Outcome{Err: llm.NotFound, Status: 404, Code: "model_not_found"},
		},
		{Name: "45 200 with an HTML page", Serve: answerWith(200, "Content-Type: text/html", "<html>Sign in</html>"), Want: Outcome{Err: llm.Malformed, Status: 200}},
		{Name: "46 a redirect", Serve: answerWith(302, "Location: /elsewhere", ""), Want: Outcome{Err: llm.NotFound, Status: 302}},
		{Name: "47 an empty body", Serve: answerWith(200, "", ""), Want: Outcome{Err: llm.Truncated}},
	}
}

func openaiMore() []Script {
	end := finish("tool_calls") + done
	a, b := `{"city":"Bern"}`, `{"city":"Rome"}`
	return []Script{
		{
			Name: "48 arguments cut by max_tokens", Serve: stream(say("Looking. "), calls(piece(0, "c1", "weather", `{"city":"Be`)), finish("length"), done),
			Want: Outcome{Text: "Looking. ", Finish: llm.FinishLength},
		},
		{
			Name: "49 call cut by max_tokens before its arguments", Serve: stream(calls(piece(0, "c1", "weather", "")), finish("length"), done),
			Want: Outcome{Finish: llm.FinishLength},
		},
		{
			Name: "50 arguments that are not JSON", Serve: stream(calls(piece(0, "c1", "weather", `{"city":Bern}`)), end),
			Want: made(Call{"c1", "weather", `{"city":Bern}`}),
		},
		{
			Name: "51 arguments that are no object", Serve: stream(calls(piece(0, "c1", "weather", `["Bern"]`)), end),
			Want: made(Call{"c1", "weather", `["Bern"]`}),
		},
		{Name: "52 no arguments", Serve: stream(calls(piece(0, "c1", "now", "")), end), Want: made(Call{"c1", "now", "{}"})},
		{
			Name: "53 calls without ids", Serve: stream(calls(piece(0, "", "weather", a)), calls(piece(1, "", "weather", b)), end),
			Want: made(weather("", "Bern"), weather("", "Rome")),
		},
		{
			Name: "54 one id for two calls", Serve: stream(calls(piece(0, "c1", "weather", a)), calls(piece(1, "c1", "weather", b)), end),
			Want: made(weather("c1", "Bern"), weather("", "Rome")),
		},
		{
			Name: "55 index 0 and no ids", Serve: stream(calls(piece(0, "", "weather", a)), calls(piece(0, "", "weather", b)), end),
			Want: made(weather("", "Bern"), weather("", "Rome")),
		},
		{Name: "56 calls, but finish_reason stop", Serve: stream(calls(piece(0, "c1", "weather", a)), finish("stop"), done), Want: made(weather("c1", "Bern"))},
		{Name: "57 [DONE] after a call, no finish_reason", Serve: stream(calls(piece(0, "c1", "weather", a)), done), Want: made(weather("c1", "Bern"))},
		{Name: "58 a whole call, then the end", Serve: stream(calls(piece(0, "c1", "weather", a))), Want: Outcome{Err: llm.Truncated}},
		{
			Name:  "59 a whole answer, not streamed",
			Serve: answerWith(200, "", `{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there"},"finish_reason":"stop"}]}`),
			Want:  helloText,
		},
		{Name: "60 content as parts", Serve: stream(delta(`"content":[{"type":"text","text":"Hello"}]`), say(" there"), finish("stop"), done), Want: helloText},
		{Name: "61 [DONE] without an end of line", Serve: stream(say("Hello there"), "data: [DONE]"), Want: helloText},
		{Name: "62 the end inside a chunk", Serve: stream(say("Hel"), `data: {"choices":[{"del`), Want: Outcome{Text: "Hel", Err: llm.Truncated, MidStream: true}},
		{
			Name: "63 the connection is cut inside the body", Want: Outcome{Text: "Hel", Err: llm.Truncated, MidStream: true},
			Serve: then(stream(say("Hel")), func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		},
		{Name: "64 silence after finish_reason", Bubble: true, Serve: then(stream(say("Hello there"), finish("stop")), hang), Want: Outcome{Text: "Hello there", Finish: llm.FinishStop, Closed: true}},
		{Name: "65 pings that are no chunks", Serve: stream("event: ping\ndata: {\"type\":\"ping\"}\n\n", say("Hello there"), finish("stop"), done), Want: helloText},
		{
			Name: "66 cancelled with a piece waiting", Serve: then(stream(say("Hel"), say("lo")), hang), Client: Cancels,
			Want: Outcome{Text: "Hel", Cancelled: true, Closed: true},
		},
		{
			Name: "67 cancelled between two calls", Client: Cancels,
			Serve: stream(calls(piece(0, "c1", "weather", a)), calls(piece(1, "c2", "weather", b)), end),
			Want:  Outcome{Calls: []Call{weather("c1", "Bern")}, Cancelled: true},
		},
		{
			Name: "68 index 0, no ids, another name", Want: made(Call{"", "now", "{}"}, weather("", "Bern")),
			Serve: stream(calls(piece(0, "", "now", "")), calls(piece(0, "", "weather", a)), end),
		},
		{
			Name:  "69 400 that only its words tell to be too long",
			Serve: answerWith(400, "", `{"object":"error","message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","code":400}`),
			Want:  Outcome{Err: llm.TooLong, Status: 400, Code: "BadRequestError"},
		},
		{
			Name: "70 another 400", Serve: answerWith(400, "", `{"error":{"message":"temperature must be positive","type":"invalid_request_error","param":"temperature","code":null}}`),
			Want: Outcome{Err: llm.BadRequest, Status: 400, Code: "invalid_request_error"},
		},
		{
			Name: "71 no index, pieces by id", Want: made(weather("c1", "Bern"), weather("c2", "Rome")),
			Serve: stream(calls(bare("c1", "weather", a[:5])), calls(bare("c2", "weather", b[:5])), calls(bare("c1", "", a[5:])), calls(bare("c2", "", b[5:])), end),
		},
		{
			Name: "72 no index, no id but at the beginning", Want: made(weather("c1", "Bern"), weather("c2", "Rome")),
			Serve: stream(calls(bare("c1", "weather", a[:5])), calls(bare("", "", a[5:])), calls(bare("c2", "weather", b[:5])), calls(bare("", "", b[5:])), end),
		},
		{
			Name: "73 neither index nor id", Want: made(weather("", "Bern"), weather("", "Rome"), weather("", "Bern")),
			Serve: stream(calls(bare("", "weather", a)+","+bare("", "weather", b)), calls(bare("", "weather", a)), end),
		},
		{
			Name: "74 finish_reason error and nothing else", Serve: stream(say("Hel"), finish("error"), done),
			Want: Outcome{Text: "Hel", Err: llm.Unavailable, MidStream: true},
		},
		{
			Name: "75 an error in a list", Serve: answerWith(400, "", `[{"error":{"code":400,"message":"API key not valid","status":"INVALID_ARGUMENT"}}]`),
			Want: Outcome{Err: llm.Auth, Status: 400, Code: "INVALID_ARGUMENT"},
		},
	}
}
