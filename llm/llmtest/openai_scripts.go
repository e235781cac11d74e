package llmtest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"parley/llm"
)

// openaiScripts are what servers of the chat completions protocol have been
// seen to send, right and wrong. Each guards against a failure that a widely
// used client had.
func openaiScripts() []Script {
	var all []Script
	for _, part := range [][]Script{openaiCalls(), openaiStreams(), openaiErrors(), openaiOddities(), openaiMore()} {
		all = append(all, part...)
	}
	slices.SortFunc(all, func(a, b Script) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Building blocks: a chunk with a delta, a finish, and the end.
const done = "data: [DONE]\n\n"

func delta(fields string) string {
	return `data: {"id":"c1","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{` + fields + `},"finish_reason":null}]}` + "\n\n"
}

func say(text string) string { return delta(fmt.Sprintf(`"content":%q`, text)) }

func finish(reason string) string {
	return `data: {"id":"c1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"` + reason + `"}]}` + "\n\n"
}

func calls(list string) string { return delta(`"tool_calls":[` + list + `]`) }

// piece is one of a call's: what is "" is left out.
func piece(index int, id, name, args string) string {
	s := fmt.Sprintf(`{"index":%d`, index)
	if id != "" {
		s += fmt.Sprintf(`,"id":%q,"type":"function"`, id)
	}
	s += `,"function":{`
	if name != "" {
		s += fmt.Sprintf(`"name":%q,`, name)
	}
	return s + fmt.Sprintf(`"arguments":%q}}`, args)
}

// bare is a piece without index.
func bare(id, name, args string) string {
	return strings.Replace(piece(0, id, name, args), `"index":0,`, "", 1)
}

// stream serves parts as an event stream, each flushed.
func stream(parts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, p := range parts {
			fmt.Fprint(w, p)
			http.NewResponseController(w).Flush()
		}
	}
}

// then serves first and does more after it.
func then(first, more http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { first(w, r); more(w, r) }
}

// hang waits until the client goes.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// answerWith serves one body that is no stream.
func answerWith(status int, header, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for line := range strings.Lines(header) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

var helloText = Outcome{Text: "Hello there", Finish: llm.FinishStop}

func weather(id, city string) Call { return Call{id, "weather", `{"city":"` + city + `"}`} }

func made(calls ...Call) Outcome { return Outcome{Calls: calls, Finish: llm.FinishTools} }

func openaiCalls() []Script {
	args := []string{`{"c`, `ity`, `":`, `"Be`, `rn`, `"}`}
	one := []string{calls(piece(0, "c1", "weather", ""))}
	typed := []string{calls(piece(0, "c1", "weather", ""))}
	for _, a := range args {
		one = append(one, calls(piece(0, "", "", a)))
		typed = append(typed, calls(piece(0, "c1", "weather", a)))
	}
	end := finish("tool_calls") + done
	a, b := piece(0, "c1", "weather", `{"city":"Bern"}`), piece(1, "c2", "weather", `{"city":"Rome"}`)
	return []Script{
		{Name: "02 one call, arguments in six pieces", Serve: stream(append(one, end)...), Want: made(weather("c1", "Bern"))},
		{
			Name: "03 text, then a call", Serve: stream(say("Looking. "), calls(a), end),
			Want: Outcome{Text: "Looking. ", Calls: []Call{weather("c1", "Bern")}, Finish: llm.FinishTools},
		},
		{Name: "04 two calls in sequence", Serve: stream(calls(a), calls(b), end), Want: made(weather("c1", "Bern"), weather("c2", "Rome"))},
		{
			Name: "05 two calls interleaved", Serve: stream(
				calls(piece(0, "c1", "weather", `{"city"`)), calls(piece(1, "c2", "weather", `{"city"`)),
				calls(piece(0, "", "", `:"Bern"}`)), calls(piece(1, "", "", `:"Rome"}`)), end),
			Want: made(weather("c1", "Bern"), weather("c2", "Rome")),
		},
		{Name: "06 type, id and name in every delta", Serve: stream(append(typed, end)...), Want: made(weather("c1", "Bern"))},
		{
			Name: "07 no type, all in one chunk", Want: made(weather("c1", "Bern")),
			Serve: stream(calls(strings.Replace(a, `"type":"function",`, "", 1)), end),
		},
		{
			Name: "08 trailing delta with empty arguments", Want: made(weather("c1", "Bern")),
			Serve: stream(calls(a), calls(piece(0, "", "", "")), calls(piece(1, "", "", "")), end),
		},
		{
			Name: "22 legacy function_call", Serve: stream(
				delta(`"function_call":{"name":"weather","arguments":""}`), delta(`"function_call":{"arguments":"{\"city\":"}`),
				delta(`"function_call":{"arguments":"\"Bern\"}"}`), finish("function_call"), done),
			Want: made(weather("", "Bern")),
		},
		{
			Name: "32 two calls in one chunk, no index", Serve: stream(
				calls(strings.Replace(a, `"index":0,`, "", 1)+","+strings.Replace(b, `"index":1,`, "", 1)), end),
			Want: made(weather("c1", "Bern"), weather("c2", "Rome")),
		},
		{
			Name: "33 arguments an object", Serve: stream(
				calls(`{"index":0,"id":"c1","type":"function","function":{"name":"weather","arguments":{"city":"Bern"}}}`), end),
			Want: made(weather("c1", "Bern")),
		},
	}
}

func openaiStreams() []Script {
	long := strings.Repeat("wide ", 14000)
	return []Script{
		{
			Name: "01 text and usage", Serve: stream(
				delta(`"role":"assistant","content":""`), say("Hello"), say(" there"), finish("stop"),
				`data: {"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}}}`+"\n\n", done),
			Want: Outcome{
				Text: "Hello there", Finish: llm.FinishStop,
				Usage: &llm.Usage{Input: 11, Output: 7, Total: 18, CachedInput: 4, Reasoning: 3},
			},
		},
		{
			Name: "09 error frame after text", Serve: stream(say("Hel"), `data: {"error":{"message":"The server is overloaded","type":"server_error","code":"overloaded"}}`+"\n\n", done),
			Want: Outcome{Text: "Hel", Err: llm.Unavailable, Code: "overloaded", MidStream: true},
		},
		{Name: "10 end without finish_reason and [DONE]", Serve: stream(say("Hel")), Want: Outcome{Text: "Hel", Err: llm.Truncated, MidStream: true}},
		{
			Name: "11 TCP reset", Serve: then(stream(say("Hel")), func(w http.ResponseWriter, r *http.Request) {
				sleep(r.Context(), 50*time.Millisecond) // a reset may overtake what was sent before it
				reset(w)
			}),
			Want: Outcome{Text: "Hel", Err: llm.Truncated, MidStream: true},
		},
		{
			Name: "12 comments, CRLF, event, id and retry lines, no space", Serve: stream(
				": hi\r\n\r\nevent: message\r\nid: 7\r\nretry: 10\r\n",
				strings.ReplaceAll(strings.Replace(say("Hello"), "data: ", "data:", 1), "\n", "\r\n"),
				":\r\n\r\n", strings.ReplaceAll(say(" there")+finish("stop")+done, "\n", "\r\n")),
			Want: helloText,
		},
		{Name: "13 70 kB in one line", Serve: stream(say(long), finish("stop"), done), Want: Outcome{Text: long, Finish: llm.FinishStop}},
		{
			Name: "14 malformed chunk", Serve: stream(say("Hel"), "data: {\"choices\":[{\"delta\":\n\n", say("lo"), finish("stop"), done),
			Want: Outcome{Text: "Hel", Err: llm.Malformed, MidStream: true},
		},
		{
			Name: "15 one event over two data lines", Want: helloText,
			Serve: stream(strings.Replace(say("Hello there"), `"choices"`, "\ndata: \"choices\"", 1), finish("stop"), done),
		},
		{
			Name: "16 cancelled in mid-stream", Serve: then(stream(say("Hel")), hang), Client: Cancels,
			Want: Outcome{Text: "Hel", Cancelled: true, Closed: true},
		},
		{Name: "17 consumer stops", Serve: then(stream(say("Hel")), hang), Client: Stops, Want: Outcome{Text: "Hel", Closed: true}},
		{
			Name: "18 reasoning_content", Serve: stream(
				delta(`"reasoning_content":"Well, "`), delta(`"content":null,"reasoning_content":"so."`), say("Hello there"), finish("stop"), done),
			Want: Outcome{Reasoning: "Well, so.", Text: "Hello there", Finish: llm.FinishStop},
		},
		{
			Name: "19 reasoning", Serve: stream(
				delta(`"content":"","reasoning":"Well, "`), delta(`"reasoning":"so."`), say("Hello there"), finish("stop"), done),
			Want: Outcome{Reasoning: "Well, so.", Text: "Hello there", Finish: llm.FinishStop},
		},
		{
			Name: "20 refusal", Serve: stream(delta(`"refusal":"I can"`), delta(`"refusal":"not."`), finish("stop"), done),
			Want: Outcome{Text: "I cannot.", Finish: llm.FinishRefused},
		},
		{Name: "21 empty chunk after finish_reason", Serve: stream(say("Hello there"), finish("length"), delta(""), done), Want: Outcome{Text: "Hello there", Finish: llm.FinishLength}},
		{
			Name: "23 two choices, [DONE] without finish_reason", Serve: stream(
				`data: {"choices":[{"index":1,"delta":{"content":"Other"}},{"index":0,"delta":{"content":"Hello"}}]}`+"\n\n",
				`data: {"choices":[{"index":1,"delta":{"content":" one"}}]}`+"\n\n", say(" there"), done),
			Want: helloText,
		},
		{
			Name: "31 usage in every chunk, growing", Serve: stream(
				`data: {"choices":[{"index":0,"delta":{"content":"Hello"}}],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}}`+"\n\n",
				`data: {"choices":[{"index":0,"delta":{"content":" there"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}`+"\n\n", done),
			Want: Outcome{Text: "Hello there", Finish: llm.FinishStop, Usage: &llm.Usage{Input: 5, Output: 2, Total: 7}},
		},
	}
}
