package llmtest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf16"

	"parley/llm"
)

// Common returns the cases that every dialect has, in its words. Those that a
// dialect cannot have are left out, see [Inapplicable].
func Common(d Dialect) []Script {
	var all []Script
	for _, part := range [][]Script{commonAnswers(d), commonCalls(d), commonBytes(d), commonBreaks(d), commonErrors(d), commonPages(d), commonFormats(d), commonFormed(d), commonBegun(d)} {
		for _, s := range part {
			if Inapplicable(d)[s.Name] == "" {
				all = append(all, s)
			}
		}
	}
	return all
}

// Inapplicable returns the common cases that a dialect cannot have, and why.
func Inapplicable(d Dialect) map[string]string {
	out := map[string]string{}
	switch d {
	case Anthropic:
		const words = "the Messages API has no stable way to hold an answer to a format: the model is told of it"
		out[heldTo], out[heldLoosely], out[heldToAny] = words, words, words
	case Responses, Gemini:
		for _, name := range goesOnCases() {
			out[name] = "the API has no way to go on with an answer"
		}
	}
	if d != Responses && d != Gemini {
		out[saidAnew] = "the API goes on with answers"
	}
	switch d {
	case Ollama:
		out["a refusal in place of JSON"] = "Ollama has no filter"
		out["refused by a filter"] = "Ollama has no filter"
		out["the account is used up"] = "a local server has no accounts"
		out["hundreds of events that say nothing"] = "JSON lines have no comments; empty lines are tried by CRLF"
		fallthrough
	case Gemini:
		out["arguments that are not JSON"] = "arguments are JSON in JSON"
		out["arguments cut by the limit of length"] = "calls come whole"
	}
	return out
}

// tell serves an answer: its parts are said by the dialect's voice, each
// flushed.
func tell(d Dialect, parts func(v voice) []string) http.HandlerFunc {
	return streamAs(d, func() []string {
		return parts(d.voice(speaker{n: 1, model: "m"}))
	})
}

func streamAs(d Dialect, parts func() []string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", d.contentType())
		for _, p := range parts() {
			fmt.Fprint(w, p)
			http.NewResponseController(w).Flush()
		}
	}
}

var someUsage = llm.Usage{Input: 11, Output: 7, Total: 18}

func commonAnswers(d Dialect) []Script {
	return []Script{
		{
			Name: "text and usage", Want: Outcome{Text: "Hello there", Finish: llm.FinishStop, Usage: &someUsage},
			Serve: tell(d, func(v voice) []string {
				return []string{v.begin(), v.text("Hello"), v.text(" there"), v.end("stop", someUsage)}
			}),
		},
		{
			Name: "reasoning, then text", Want: Outcome{Reasoning: "Well, so.", Text: "Hello there", Finish: llm.FinishStop},
			Serve: tell(d, func(v voice) []string {
				return []string{v.begin(), v.thought("Well, "), v.thought("so."), v.text("Hello there"), v.end("stop", someUsage)}
			}),
		},
		{
			Name: "an empty answer", Want: Outcome{Finish: llm.FinishStop},
			Serve: tell(d, func(v voice) []string { return []string{v.begin(), v.end("stop", someUsage)} }),
		},
		{
			Name: "text cut by the limit of length", Want: Outcome{Text: "Hel", Finish: llm.FinishLength},
			Serve: tell(d, func(v voice) []string { return []string{v.begin(), v.text("Hel"), v.end("length", someUsage)} }),
		},
		{
			Name: "refused by a filter", Want: Outcome{Finish: llm.FinishRefused},
			Serve: tell(d, func(v voice) []string { return []string{v.begin(), v.end("content_filter", someUsage)} }),
		},
		{
			Name: "silence behind the end", Bubble: true, Want: Outcome{Text: "Hello there", Finish: llm.FinishStop, Closed: true},
			Serve: then(tell(d, func(v voice) []string { return []string{v.begin(), v.text("Hello there"), v.end("stop", someUsage)} }), hang),
		},
		{
			Name: "hundreds of events that say nothing", Want: helloText,
			Serve: tell(d, func(v voice) []string {
				pings := strings.Repeat(v.ping(), 500)
				return []string{v.begin(), pings, v.text("Hello there"), pings, v.end("stop", someUsage)}
			}),
		},
		{
			Name: "a base address without a path", Bare: true, Want: helloText,
			Serve: tell(d, func(v voice) []string { return []string{v.begin(), v.text("Hello there"), v.end("stop", someUsage)} }),
		},
	}
}

func commonCalls(d Dialect) []Script {
	calls := func(finish llm.Finish, calls ...Call) http.HandlerFunc {
		return tell(d, func(v voice) []string {
			parts := []string{v.begin()}
			for _, c := range calls {
				parts = append(parts, v.call(c, piecesOf(c.Arguments)))
			}
			return append(parts, v.end(finish, someUsage))
		})
	}
	long := Call{"c1", "write", `{"text":"` + strings.Repeat("lorem ipsum ", 25_000) + `"}`}
	bern, rome := weather("c1", "Bern"), weather("c2", "Rome")
	return []Script{
		{Name: "a call, its arguments in pieces", Serve: calls("tool_calls", bern), Want: made(bern)},
		{Name: "two calls", Serve: calls("tool_calls", bern, rome), Want: made(bern, rome)},
		{Name: "two calls with one id", Serve: calls("tool_calls", bern, weather("c1", "Rome")), Want: made(bern, weather("", "Rome"))},
		{Name: "calls without ids", Serve: calls("tool_calls", weather("", "Bern"), weather("", "Rome")), Want: made(weather("", "Bern"), weather("", "Rome"))},
		{Name: "a call without arguments", Serve: calls("tool_calls", Call{"c1", "now", "{}"}), Want: made(Call{"c1", "now", "{}"})},
		{Name: "a call with 300 kB of arguments", Serve: calls("tool_calls", long), Want: made(long)},
		{Name: "arguments that are not JSON", Serve: calls("tool_calls", Call{"c1", "weather", `{"city":Bern}`}), Want: made(Call{"c1", "weather", `{"city":Bern}`})},
		{Name: "arguments that are no object", Serve: calls("tool_calls", Call{"c1", "weather", `["Bern"]`}), Want: made(Call{"c1", "weather", `["Bern"]`})},
		{Name: "arguments cut by the limit of length", Serve: calls("length", Call{"c1", "weather", `{"city":"Be`}), Want: Outcome{Finish: llm.FinishLength}},
		{Name: "a call that looks whole, cut by the limit of length", Serve: calls("length", bern), Want: Outcome{Finish: llm.FinishLength}},
		{
			Name: "text, then a call", Want: Outcome{Text: "Looking. ", Calls: []Call{bern}, Finish: llm.FinishTools},
			Serve: tell(d, func(v voice) []string {
				return []string{v.begin(), v.text("Looking. "), v.call(bern, piecesOf(bern.Arguments)), v.end("tool_calls", someUsage)}
			}),
		},
		{
			Name: "a whole call, then the stream ends", Want: Outcome{Err: llm.Truncated},
			Serve: tell(d, func(v voice) []string { return []string{v.begin(), v.call(bern, piecesOf(bern.Arguments))} }),
		},
	}
}

// piecesOf cuts arguments into pieces of a few bytes, or of 1 kB if there are
// many.
func piecesOf(args string) (out []string) {
	size := max(3, min(1024, len(args)/10))
	for len(args) > size {
		out, args = append(out, args[:size]), args[size:]
	}
	return append(out, args)
}

// commonBytes are answers that are right, in bytes that are unusual.
func commonBytes(d Dialect) []Script {
	pieces := []string{"Ze", "\u0301", "bu 👩", "\u200d", "🔬 ", "e\u0301te\u0301 日", "本語"}
	text := strings.Join(pieces, "")
	all := func(v voice) []string {
		out := []string{v.begin()}
		for _, p := range pieces {
			out = append(out, v.text(p))
		}
		return append(out, v.end("stop", someUsage))
	}
	whole := func() string { return strings.Join(all(d.voice(speaker{n: 1, model: "m"})), "") }
	long := func(n int) Script {
		text := strings.Repeat("0123456789abcde ", n>>4)
		return Script{
			Want:  Outcome{Text: text, Finish: llm.FinishStop},
			Serve: tell(d, func(v voice) []string { return []string{v.begin(), v.text(text), v.end("stop", someUsage)} }),
		}
	}
	mid, huge := long(70<<10), long(10<<20)
	mid.Name, huge.Name = "a line of 70 kB", "a line of 10 MB"
	uni := Outcome{Text: text, Finish: llm.FinishStop}
	return []Script{
		{Name: "combining characters in pieces of their own", Serve: tell(d, all), Want: uni},
		{Name: "every byte by itself", Want: uni, Serve: streamAs(d, func() []string { return strings.Split(bytewise(whole()), "\x00") })},
		{Name: "characters as escapes", Want: uni, Serve: streamAs(d, func() []string { return []string{escaped(whole())} })},
		{Name: "CRLF, comments and empty lines", Want: uni, Serve: streamAs(d, func() []string {
			return []string{strings.ReplaceAll("\n"+whole(), "\n", "\r\n")}
		})},
		{Name: "the last line without an end", Want: uni, Serve: streamAs(d, func() []string { return []string{strings.TrimRight(whole(), "\n")} })},
		mid, huge,
		{
			Name: "says that it is compressed, and is not", Want: uni,
			Serve: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", "gzip")
				tell(d, all)(w, r)
			},
		},
	}
}

// bytewise puts a NUL between all bytes.
func bytewise(s string) string {
	b := make([]byte, 0, 2*len(s))
	for i := range len(s) {
		b = append(b, s[i], 0)
	}
	return string(b)
}

// escaped writes what is not ASCII as JSON escapes, in surrogates if need be.
func escaped(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < 0x80 {
			b.WriteRune(r)
			continue
		}
		for _, u := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&b, `\u%04x`, u)
		}
	}
	return b.String()
}

func commonBreaks(d Dialect) []Script {
	hel := func(v voice) []string { return []string{v.begin(), v.text("Hel")} }
	half := func(v voice) []string {
		first, next := hel(v), v.text("lo there")
		return append(first, next[:len(next)/2])
	}
	cut := Outcome{Text: "Hel", Err: llm.Truncated, MidStream: true}
	return []Script{
		{Name: "the stream ends before the answer", Serve: tell(d, func(v voice) []string { return hel(v) }), Want: cut},
		{Name: "the stream ends before its first piece", Serve: tell(d, func(v voice) []string { return []string{v.begin()} }), Want: Outcome{Err: llm.Truncated}},
		{Name: "the stream ends inside an event", Serve: tell(d, half), Want: cut},
		{Name: "the connection is cut", Serve: then(tell(d, hel), func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), Want: cut},
		{
			Name: "the connection is reset", Want: cut,
			Serve: then(tell(d, hel), func(w http.ResponseWriter, r *http.Request) {
				sleep(r.Context(), 50*time.Millisecond) // a reset may overtake what was sent before it
				reset(w)
			}),
		},
		{
			Name: "a malformed event", Want: Outcome{Text: "Hel", Err: llm.Malformed, MidStream: true},
			Serve: tell(d, func(v voice) []string {
				first, next := hel(v), v.text("lo")
				return append(first, strings.Replace(next, "}", "", 1), v.end("stop", someUsage))
			}),
		},
		{
			Name: "an error in mid-stream, and more behind it", Want: Outcome{Text: "Hel", Err: llm.Unavailable, MidStream: true, AnyCode: true},
			Serve: tell(d, func(v voice) []string {
				return append(hel(v), v.failure("overloaded_error", "Overloaded"), v.text("leak"), v.end("stop", someUsage))
			}),
		},
		{
			Name: "an error as the first event", Want: Outcome{Err: llm.Unavailable, AnyCode: true},
			Serve: tell(d, func(v voice) []string { return []string{v.failure("overloaded_error", "Overloaded")} }),
		},
		{Name: "cancelled in mid-stream", Serve: then(tell(d, hel), hang), Client: Cancels, Want: Outcome{Text: "Hel", Cancelled: true, Closed: true}},
		{
			Name: "cancelled with a piece waiting", Client: Cancels, Want: Outcome{Text: "Hel", Cancelled: true, Closed: true},
			Serve: then(tell(d, func(v voice) []string { return append(hel(v), v.text("lo")) }), hang),
		},
		{Name: "the consumer stops", Serve: then(tell(d, hel), hang), Client: Stops, Want: Outcome{Text: "Hel", Closed: true}},
		{Name: "silence in mid-stream", Serve: then(tell(d, hel), hang), Bubble: true, Want: Outcome{Text: "Hel", Err: llm.Timeout, MidStream: true, Closed: true}},
		{Name: "silence from the beginning", Serve: hang, Bubble: true, Want: Outcome{Err: llm.Timeout, Closed: true}},
		{
			Name: "drips: nothing but what says nothing", Bubble: true, Want: Outcome{Text: "Hel", Err: llm.Timeout, MidStream: true, Closed: true},
			Serve: then(tell(d, hel), func(w http.ResponseWriter, r *http.Request) {
				for sleep(r.Context(), 10*time.Second) {
					fmt.Fprint(w, "\n")
					http.NewResponseController(w).Flush()
				}
			}),
		},
	}
}

// commonErrors are refusals in the words of the dialect's servers.
func commonErrors(d Dialect) []Script {
	words := map[Dialect][]string{ // wrong key, no model, rate limited, used up, too long, another, overloaded
		OpenAI:    {"invalid_api_key", "model_not_found", "rate_limit_exceeded", "insufficient_quota", "context_length_exceeded", "invalid_request_error", "server_error"},
		Responses: {"invalid_api_key", "model_not_found", "rate_limit_exceeded", "insufficient_quota", "context_length_exceeded", "invalid_request_error", "server_error"},
		Anthropic: {"authentication_error", "not_found_error", "rate_limit_error", "billing_error", "invalid_request_error", "invalid_request_error", "overloaded_error"},
		Ollama:    {"", "", "", "", "", "", ""},
		Gemini:    {"UNAUTHENTICATED", "NOT_FOUND", "RESOURCE_EXHAUSTED", "BILLING", "INVALID_ARGUMENT", "INVALID_ARGUMENT", "UNAVAILABLE"},
	}[d]
	overloaded := 503
	if d == Anthropic {
		overloaded = 529
	}
	one := func(name string, status, word int, header, message string, want Outcome) Script {
		want.Status, want.Code = status, words[word]
		return Script{Name: name, Serve: answerWith(status, header, d.errorJSON(status, words[word], message)), Want: want}
	}
	return []Script{
		one("a wrong key", 401, 0, "", "Incorrect API key provided: sk-proj-abcd1234*****wxyz.", Outcome{Err: llm.Auth}),
		one("a key without the right", 403, 0, "", "Not allowed", Outcome{Err: llm.Auth}),
		one("no such model", 404, 1, "", "model 'm' not found", Outcome{Err: llm.NotFound}),
		one("asked too often", 429, 2, "Retry-After: 7", "Slow down", Outcome{Err: llm.RateLimited, RetryAfter: 7 * time.Second}),
		one("asked too often, in milliseconds", 429, 2, "Retry-After-Ms: 1500\nRetry-After: 9", "Slow down", Outcome{Err: llm.RateLimited, RetryAfter: 1500 * time.Millisecond}),
		one("the account is used up", 429, 3, "", "No credit", Outcome{Err: llm.Quota}),
		one("too long", 400, 4, "", "prompt is too long: 210000 tokens > 200000 maximum", Outcome{Err: llm.TooLong}),
		one("a bad request", 400, 5, "", "temperature must be positive", Outcome{Err: llm.BadRequest}),
		one("overloaded", overloaded, 6, "", "Overloaded", Outcome{Err: llm.Unavailable}),
		one("a failure of the server", 500, 6, "", "Oops", Outcome{Err: llm.Unavailable}),
		{Name: "200 with an error", Serve: answerWith(200, "", d.errorJSON(503, words[6], "Overloaded")), Want: Outcome{Err: llm.Unavailable, Code: words[6], AnyCode: true}},
	}
}

// commonPages are answers of something that is no model server.
func commonPages(d Dialect) []Script {
	return []Script{
		{Name: "502 with HTML", Serve: answerWith(502, "Content-Type: text/html", "<html><body><h1>502 Bad Gateway</h1>nginx</body></html>"), Want: Outcome{Err: llm.Unavailable, Status: 502}},
		{Name: "404 with HTML", Serve: answerWith(404, "Content-Type: text/html", "<html>Not here</html>"), Want: Outcome{Err: llm.NotFound, Status: 404}},
		{Name: "200 with HTML", Serve: answerWith(200, "Content-Type: text/html", "<html>Sign in</html>"), Want: Outcome{Err: llm.Malformed, Status: 200}},
		{Name: "200 with other JSON", Serve: answerWith(200, "", `{"status":"ok"}`), Want: Outcome{Err: llm.Malformed, AnyErr: []llm.Kind{llm.Truncated}}},
		{Name: "200 with nothing", Serve: answerWith(200, "", ""), Want: Outcome{Err: llm.Truncated}},
		{Name: "a redirect", Serve: answerWith(302, "Location: /elsewhere", ""), Want: Outcome{Err: llm.NotFound, Status: 302}},
		{
			Name: "compressed, which nobody asked for", Want: Outcome{Err: llm.Malformed, Status: 200},
			Serve: func(w http.ResponseWriter, _ *http.Request) {
				v := d.voice(speaker{n: 1, model: "m"})
				var b bytes.Buffer
				z := gzip.NewWriter(&b)
				fmt.Fprint(z, v.begin(), v.text("Hello there"), v.end("stop", someUsage))
				z.Close()
				w.Header().Set("Content-Encoding", "gzip")
				w.Write(b.Bytes())
			},
		},
	}
}
