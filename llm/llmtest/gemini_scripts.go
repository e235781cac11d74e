package llmtest

import (
	"fmt"
	"time"

	"parley/llm"
)

func geminiChunk(parts, more string) string {
	return fmt.Sprintf(`data: {"candidates":[{"content":{"parts":[%s],"role":"model"}%s,"index":0}],"modelVersion":"m","responseId":"r1"}`, parts, more) + "\n\n"
}

func geminiSay(text string) string { return geminiChunk(fmt.Sprintf(`{"text":%q}`, text), "") }

// geminiEnd is a chunk without parts, as the last one often is.
func geminiEnd(reason string) string {
	return `data: {"candidates":[{"finishReason":"` + reason + `","index":0}],"usageMetadata":{"promptTokenCount":11,"candidatesTokenCount":7,"thoughtsTokenCount":5,"cachedContentTokenCount":4,"totalTokenCount":23}}` + "\n\n"
}

func geminiScripts() []Script {
	stop := geminiEnd("STOP")
	bern := `{"functionCall":{"name":"weather","args":{"city":"Bern"}}}`
	rome := `{"functionCall":{"name":"weather","args":{"city":"Rome"}}}`
	return append(geminiRefusals(), []Script{
		{
			Name: "01 text and usage, thoughts counted", Serve: stream(geminiSay("Hello"), geminiSay(" there"), stop),
			Want: Outcome{Text: "Hello there", Finish: llm.FinishStop, Usage: &llm.Usage{Input: 11, Output: 12, Total: 23, Reasoning: 5, CachedInput: 4}},
		},
		{Name: "02 finishReason with the last text", Serve: stream(geminiSay("Hello"), geminiChunk(`{"text":" there"}`, `,"finishReason":"STOP"`)), Want: helloText},
		{
			Name: "03 usage in every chunk, growing", Want: Outcome{Text: "Hello there", Finish: llm.FinishStop, Usage: &llm.Usage{Input: 5, Output: 2, Total: 7}},
			Serve: stream(`data: {"candidates":[{"content":{"parts":[{"text":"Hello"}]}}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":1,"totalTokenCount":6}}`+"\n\n",
				`data: {"candidates":[{"content":{"parts":[{"text":" there"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2,"totalTokenCount":7}}`+"\n\n"),
		},
		{Name: "04 a call without an id", Serve: stream(geminiChunk(bern, ""), stop), Want: made(weather("", "Bern"))},
		{Name: "05 two calls in one chunk", Serve: stream(geminiChunk(bern+","+rome, ""), stop), Want: made(weather("", "Bern"), weather("", "Rome"))},
		{Name: "06 two calls that are the same", Serve: stream(geminiChunk(bern, ""), geminiChunk(bern, ""), stop), Want: made(weather("", "Bern"), weather("", "Bern"))},
		{Name: "07 a call without args", Serve: stream(geminiChunk(`{"functionCall":{"name":"now"}}`, ""), stop), Want: made(Call{"", "now", "{}"})},
		{Name: "08 a call with an id", Serve: stream(geminiChunk(`{"functionCall":{"id":"c1","name":"weather","args":{"city":"Bern"}}}`, ""), stop), Want: made(weather("c1", "Bern"))},
		{
			Name: "09 a signed call", Serve: stream(geminiChunk(`{"functionCall":{"name":"weather","args":{"city":"Bern"}},"thoughtSignature":"CsIB"}`, ""), stop),
			Want: Outcome{Calls: []Call{weather("", "Bern")}, Finish: llm.FinishTools, Opaque: `"CsIB"`},
		},
		{
			Name: "10 thoughts are no text", Serve: stream(geminiChunk(`{"text":"Well.","thought":true}`, ""), geminiSay("Hello there"), stop),
			Want: Outcome{Reasoning: "Well.", Text: "Hello there", Finish: llm.FinishStop},
		},
		{
			Name: "11 a signature by itself at the end", Serve: stream(geminiSay("Hello there"), geminiChunk(`{"text":"","thoughtSignature":"CsIC"}`, `,"finishReason":"STOP"`)),
			Want: Outcome{Text: "Hello there", Finish: llm.FinishStop, Opaque: `"CsIC"`},
		},
		{Name: "12 only choice 0", Serve: stream(`data: {"candidates":[{"index":1,"content":{"parts":[{"text":"Other"}]},"finishReason":"STOP"}]}`+"\n\n", geminiSay("Hello there"), stop), Want: helloText},
		{Name: "13 MAX_TOKENS before any text", Serve: stream(geminiEnd("MAX_TOKENS")), Want: Outcome{Finish: llm.FinishLength}},
		{Name: "14 a call cut by MAX_TOKENS", Serve: stream(geminiChunk(bern, ""), geminiEnd("MAX_TOKENS")), Want: Outcome{Finish: llm.FinishLength}},
		{Name: "15 FINISH_REASON_UNSPECIFIED is no end", Serve: stream(geminiSay("Hel"), geminiEnd("FINISH_REASON_UNSPECIFIED")), Want: Outcome{Text: "Hel", Err: llm.Truncated, MidStream: true}},
		{
			Name: "16 MALFORMED_FUNCTION_CALL", Want: Outcome{Err: llm.Malformed, Code: "MALFORMED_FUNCTION_CALL", MidStream: true},
			Serve: stream(`data: {"candidates":[{"content":{},"finishReason":"MALFORMED_FUNCTION_CALL","finishMessage":"Malformed function call: print(default_api.weather("}]}` + "\n\n"),
		},
		{Name: "17 OTHER", Serve: stream(geminiSay("Hel"), geminiEnd("OTHER")), Want: Outcome{Text: "Hel", Err: llm.Unavailable, Code: "OTHER", MidStream: true}},
		{Name: "18 a chunk without candidates", Serve: stream(`data: {"usageMetadata":{"promptTokenCount":1}}`+"\n\n", geminiSay("Hello there"), stop), Want: helloText},
		{
			Name: "19 a whole answer, not streamed", Want: helloText,
			Serve: answerWith(200, "", `{"candidates":[{"content":{"parts":[{"text":"Hello there"}]},"finishReason":"STOP"}]}`),
		},
		{Name: "20 a list, which alt=sse prevents", Serve: answerWith(200, "", `[{"candidates":[]}]`), Want: Outcome{Err: llm.Malformed, AnyErr: []llm.Kind{llm.Unavailable}, Status: 200}},
	}...)
}

// geminiRefusals are filters and errors.
func geminiRefusals() []Script {
	limited := `{"error":{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED","details":[
		{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPer%sPerProjectPerModel"}]},
		{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"7s"}]}}`
	return []Script{
		{Name: "30 SAFETY behind text", Serve: stream(geminiSay("Well"), geminiEnd("SAFETY")), Want: Outcome{Text: "Well", Finish: llm.FinishRefused}},
		{Name: "31 PROHIBITED_CONTENT", Serve: stream(geminiEnd("PROHIBITED_CONTENT")), Want: Outcome{Finish: llm.FinishRefused}},
		{Name: "32 RECITATION", Serve: stream(geminiSay("To be"), geminiEnd("RECITATION")), Want: Outcome{Text: "To be", Finish: llm.FinishRefused}},
		{
			Name: "33 the question is blocked", Serve: stream(`data: {"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":4}}` + "\n\n"),
			Want: Outcome{Err: llm.Refused, Code: "SAFETY"},
		},
		{
			Name: "34 429 with RetryInfo", Serve: answerWith(429, "", fmt.Sprintf(limited, "Minute")),
			Want: Outcome{Err: llm.RateLimited, Status: 429, Code: "RESOURCE_EXHAUSTED", RetryAfter: 7 * time.Second},
		},
		{
			Name: "35 429 for today", Serve: answerWith(429, "", fmt.Sprintf(limited, "Day")),
			Want: Outcome{Err: llm.Quota, Status: 429, Code: "RESOURCE_EXHAUSTED", RetryAfter: 7 * time.Second},
		},
		{
			Name:  "36 a wrong key is a 400",
			Serve: answerWith(400, "", `{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}`),
			Want:  Outcome{Err: llm.Auth, Status: 400, Code: "INVALID_ARGUMENT"},
		},
		{
			Name:  "37 too many tokens",
			Serve: answerWith(400, "", `{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}`),
			Want:  Outcome{Err: llm.TooLong, Status: 400, Code: "INVALID_ARGUMENT"},
		},
		{
			Name: "38 503 in mid-stream", Serve: stream(geminiSay("Hel"), `data: {"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}`+"\n\n"),
			Want: Outcome{Text: "Hel", Err: llm.Unavailable, Code: "UNAVAILABLE", MidStream: true},
		},
	}
}
