package provider_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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

func openCanned(t testing.TB, body string) llm.Model {
	return openWith(t, provider.OpenAIOptions{Client: &http.Client{Transport: canned(body)}})
}

// Whatever a server sends, an answer ends with one final chunk or one error,
// and its calls can be run.
func FuzzOpenAIStream(f *testing.F) {
	for _, s := range llmtest.Scripts(llmtest.OpenAI) {
		if s.Client != "" || s.Want.Closed || strings.Contains(s.Name, "reset") || strings.Contains(s.Name, "cut inside") {
			continue // needs a connection
		}
		w := httptest.NewRecorder()
		s.Serve(w, httptest.NewRequest("POST", "/", nil))
		if w.Body.Len() < 10_000 {
			f.Add(w.Body.String())
		}
	}
	f.Fuzz(func(t *testing.T, body string) {
		ends := 0
		ids := map[string]bool{}
		for c, err := range openCanned(t, body).Stream(t.Context(), asked) {
			if ends > 0 {
				t.Fatal("something came after the end")
			}
			var e *llm.Error
			if err != nil && (!errors.As(err, &e) || e.Kind == "" || len(e.Message) > 500) {
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

// The cost of a piece must not grow with the length of the answer.
func BenchmarkOpenAIChunk(b *testing.B) {
	chunk := `data: {"id":"chatcmpl-8XyZ0000000000000000000","object":"chat.completion.chunk","created":1760000000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_0123456789","choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}],"usage":null}` + "\n\n"
	call := `data: {"id":"chatcmpl-8XyZ0000000000000000000","object":"chat.completion.chunk","created":1760000000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"aaaa"}}]},"logprobs":null,"finish_reason":null}]}` + "\n\n"
	first := `data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"n","arguments":"{\"a\":\""}}]}}]}` + "\n\n"
	last := `data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"}"}}]}}]}` + "\n\ndata: [DONE]\n\n"
	for _, n := range []int{200, 10_000} {
		for name, body := range map[string]string{
			"text": strings.Repeat(chunk, n) + "data: [DONE]\n\n",
			"call": first + strings.Repeat(call, n) + last,
		} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				m := openCanned(b, body)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := collect(b.Context(), m, asked); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/chunk")
			})
		}
	}
}
