package provider_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/provider"
)

// canned answers every request with one body, without a network.
type canned string

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(c))), Request: r,
	}, nil
}

func openCanned(t testing.TB, d llmtest.Dialect, body string) llm.Model {
	return openDialect(t, d, provider.Options{Client: &http.Client{Transport: canned(body)}})
}

// Whatever a server sends, an answer ends with one final chunk or one error,
// and its calls have a name and an id of their own.
func fuzz(f *testing.F, d llmtest.Dialect) {
	for _, body := range llmtest.Seeds(d) {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		ends := 0
		ids := map[string]bool{}
		for c, err := range openCanned(t, d, body).Stream(t.Context(), asked) {
			if ends > 0 {
				t.Fatal("something came after the end")
			}
			var e *llm.Error
			if err != nil && (!errors.As(err, &e) || e.Kind == "" || len(e.Message) > 500 || e.Provider != string(d)) {
				t.Fatalf("error %#v", err)
			}
			if c.Call != nil {
				if c.Call.Function.Arguments == "" || c.Call.ID == "" || ids[c.Call.ID] || c.Call.Function.Name == "" {
					t.Fatalf("call %+v", c.Call)
				}
				ids[c.Call.ID] = true
			}
			if err != nil || c.Finish != "" {
				ends++
			}
		}
		if ends != 1 {
			t.Fatal("the stream ended without an end")
		}
	})
}

func FuzzOpenAIStream(f *testing.F)    { fuzz(f, llmtest.OpenAI) }
func FuzzResponsesStream(f *testing.F) { fuzz(f, llmtest.Responses) }
func FuzzAnthropicStream(f *testing.F) { fuzz(f, llmtest.Anthropic) }
func FuzzOllamaStream(f *testing.F)    { fuzz(f, llmtest.Ollama) }
func FuzzGeminiStream(f *testing.F)    { fuzz(f, llmtest.Gemini) }

// result is all that came of an answer.
func result(t testing.TB, d llmtest.Dialect, body string) (said string, err error) {
	for c, e := range openCanned(t, d, body).Stream(t.Context(), asked) {
		if e != nil {
			return said, e
		}
		said += c.Text
		if c.Call != nil {
			said += c.Call.Function.Name + c.Call.Function.Arguments
		}
	}
	return said, nil
}

// However far a stream got before it was cut, it is either no answer or the
// whole one.
func TestNoPartOfAStreamIsAnAnswer(t *testing.T) {
	for _, d := range llmtest.Dialects() {
		t.Run(string(d), func(t *testing.T) {
			body := llmtest.Seeds(d)[0] // text and usage
			for _, seed := range llmtest.Seeds(d) {
				if strings.Contains(seed, "Looking. ") && strings.Contains(seed, "weather") {
					body = seed // and a call
					break
				}
			}
			whole, err := result(t, d, body)
			if err != nil || !strings.Contains(whole, "Looking. weather") {
				t.Fatalf("%q, %v", whole, err)
			}
			cuts, refused := 0, 0
			for n := 0; n < len(body); n += 3 {
				cuts++
				said, err := result(t, d, body[:n])
				switch {
				case err == nil && said != whole:
					t.Fatalf("after %d of %d bytes %q is taken for the answer", n, len(body), said)
				case err != nil && failure(t, err).Kind != llm.Truncated:
					t.Fatalf("after %d of %d bytes: %v", n, len(body), err)
				case err != nil:
					refused++
				}
			}
			if refused < cuts/2 {
				t.Errorf("only %d of %d cuts were noticed", refused, cuts)
			}
		})
	}
}

// A long answer is a dialect's: its beginning, one piece n times, its end.
type longAnswer struct {
	dialect          llmtest.Dialect
	begin, text, end string
}

func longAnswers() []longAnswer {
	return []longAnswer{
		{
			llmtest.OpenAI, "",
			`data: {"id":"chatcmpl-8XyZ0000000000000000000","object":"chat.completion.chunk","created":1760000000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_0123456789","choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}],"usage":null}` + "\n\n",
			"data: [DONE]\n\n",
		},
		{
			llmtest.Responses, `data: {"type":"response.created","response":{"status":"in_progress"}}` + "\n\n",
			"event: response.output_text.delta\n" + `data: {"type":"response.output_text.delta","sequence_number":123,"item_id":"msg_68c0000000000000000000000000000000","output_index":0,"content_index":0,"delta":" word","logprobs":[],"obfuscation":"0123456789"}` + "\n\n",
			`data: {"type":"response.completed","response":{"status":"completed"}}` + "\n\n",
		},
		{
			llmtest.Anthropic,
			`data: {"type":"message_start","message":{"usage":{"input_tokens":1}}}` + "\n\n" + `data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}` + "\n\n",
			"event: content_block_delta\n" + `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" word"}}` + "\n\n",
			`data: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}` + "\n\n" + `data: {"type":"message_stop"}` + "\n\n",
		},
		{
			llmtest.Ollama, "",
			`{"model":"qwen3:4b","created_at":"2026-01-02T03:04:05.123456789Z","message":{"role":"assistant","content":" word"},"done":false}` + "\n",
			`{"model":"qwen3:4b","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop"}` + "\n",
		},
		{
			llmtest.Gemini, "",
			`data: {"candidates":[{"content":{"parts":[{"text":" word"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":11,"candidatesTokenCount":7,"totalTokenCount":18,"promptTokensDetails":[{"modality":"TEXT","tokenCount":11}]},"modelVersion":"gemini-2.5-flash","responseId":"0123456789abcdef"}` + "\n\n",
			`data: {"candidates":[{"finishReason":"STOP"}]}` + "\n\n",
		},
	}
}

// The cost of a piece must not grow with the length of the answer.
func BenchmarkChunk(b *testing.B) {
	for _, a := range longAnswers() {
		for _, n := range []int{200, 10_000, 100_000} {
			b.Run(fmt.Sprintf("%s/%d", a.dialect, n), func(b *testing.B) { benchmarkChunks(b, a.dialect, a.begin+strings.Repeat(a.text, n)+a.end, n) })
		}
	}
	call := `data: {"id":"chatcmpl-8XyZ0000000000000000000","object":"chat.completion.chunk","created":1760000000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"aaaa"}}]},"logprobs":null,"finish_reason":null}]}` + "\n\n"
	first := `data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"n","arguments":"{\"a\":\""}}]}}]}` + "\n\n"
	last := `data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"}"}}]}}]}` + "\n\ndata: [DONE]\n\n"
	for _, n := range []int{200, 10_000} {
		b.Run(fmt.Sprintf("openai-call/%d", n), func(b *testing.B) { benchmarkChunks(b, llmtest.OpenAI, first+strings.Repeat(call, n)+last, n) })
	}
}

func benchmarkChunks(b *testing.B, d llmtest.Dialect, body string, n int) {
	m := openCanned(b, d, body)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := collect(b.Context(), m, asked); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/chunk")
}
