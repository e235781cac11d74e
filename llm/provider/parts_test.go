package provider_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/provider"
)

const (
	somePNG = "\x89PNG\r\n\x1a\n some pixels"
	someWAV = "RIFF\x04\x00\x00\x00WAVE sound"
	somePDF = "%PDF-1.7 pages"
)

// mixed is a question with everything among its words.
func mixed() llm.Request {
	return llm.Request{Messages: []llm.Message{{Role: llm.User, Content: "in words", Parts: []llm.Part{
		{Kind: llm.TextPart, Text: "What is this?"},
		{Kind: llm.ImagePart, Text: "(no image)", Media: "image/png", Name: "a.png", Data: []byte(somePNG)},
		{Kind: llm.TextPart, Text: "And this?"},
		{Kind: llm.AudioPart, Text: "(no sound)", Media: "audio/wav", Name: "a.wav", Data: []byte(someWAV)},
		{Kind: llm.PDFPart, Text: "(no PDF)", Media: "application/pdf", Name: "a.pdf", Data: []byte(somePDF)},
		{Kind: llm.TextPart, Text: "That was all."},
	}}}}
}

// received returns the parts of the one message that a server got.
func received(t *testing.T, d llmtest.Dialect, opts provider.Options, req llm.Request) llmtest.Message {
	t.Helper()
	s := llmtest.NewServer(t, llmtest.Sequence(llmtest.Text("ok")))
	opts.BaseURL = strings.TrimSuffix(s.URL, "/v1")
	if _, err := collect(t.Context(), openDialect(t, d, opts), req); err != nil {
		t.Fatal(err)
	}
	return s.Requests()[0].Last()
}

func TestPartsArriveInTheirPlaces(t *testing.T) {
	text := func(s string) llmtest.Part { return llmtest.Part{Kind: llm.TextPart, Text: s} }
	image := llmtest.Part{Kind: llm.ImagePart, Media: "image/png", Data: []byte(somePNG)}
	sound := llmtest.Part{Kind: llm.AudioPart, Media: "audio/wav", Data: []byte(someWAV)}
	pdf := llmtest.Part{Kind: llm.PDFPart, Media: "application/pdf", Data: []byte(somePDF), Name: "a.pdf"}
	unnamed := pdf
	unnamed.Name = ""
	all := &llm.Input{Image: true, Audio: true, PDF: true}
	for d, want := range map[llmtest.Dialect][]llmtest.Part{
		llmtest.OpenAI:    {text("What is this?"), image, text("And this?"), sound, pdf, text("That was all.")},
		llmtest.Responses: {text("What is this?"), image, text("And this?"), sound, pdf, text("That was all.")},
		llmtest.Anthropic: {text("What is this?"), image, text("And this?"), text("(no sound)"), pdf, text("That was all.")},
		llmtest.Gemini:    {text("What is this?"), image, text("And this?"), sound, unnamed, text("That was all.")},
		llmtest.Ollama:    {text("What is this?\n\nAnd this?\n\n(no sound)\n\n(no PDF)\n\nThat was all."), image},
	} {
		t.Run(string(d), func(t *testing.T) {
			got := received(t, d, provider.Options{Input: all}, mixed())
			if d := cmp.Diff(want, got.Parts); d != "" {
				t.Errorf("parts (-want +got):\n%s", d)
			}
		})
		t.Run(string(d)+" that takes text only", func(t *testing.T) {
			got := received(t, d, provider.Options{Input: &llm.Input{}}, mixed())
			if got.Parts != nil || !strings.Contains(got.Content, "(no image)") || !strings.Contains(got.Content, "That was all.") {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestWhatModelsTakeByTheirNames(t *testing.T) {
	for _, c := range []struct {
		provider, url, model string
		want                 llm.Input
	}{
		{"openai", "", "gpt-4o", llm.Input{Image: true, PDF: true}},
		{"openai", "", "gpt-4o-audio-preview", llm.Input{Audio: true}},
		{"openai", "", "gpt-3.5-turbo", llm.Input{}},
		{"openai", "", "o3-mini", llm.Input{}},
		{"openai-responses", "", "gpt-5-mini", llm.Input{Image: true, PDF: true}},
		{"openai", "https://openrouter.ai/api/v1", "anthropic/claude-sonnet-4.5", llm.Input{Image: true}},
		{"openai", "http://localhost:8000/v1", "Qwen/Qwen2.5-VL-7B-Instruct", llm.Input{Image: true}},
		{"openai", "http://localhost:8000/v1", "meta-llama/Llama-3.1-8B", llm.Input{}},
		{"anthropic", "", "claude-sonnet-4-5", llm.Input{Image: true, PDF: true}},
		{"anthropic", "", "claude-2.1", llm.Input{}},
		{"gemini", "", "gemini-2.5-flash", llm.Input{Image: true, Audio: true, PDF: true}},
	} {
		m, err := provider.Open(c.provider, provider.Options{BaseURL: c.url, Model: c.model})
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Takes(t.Context()); got != c.want {
			t.Errorf("%s of %s takes %+v, want %+v", c.model, c.provider, got, c.want)
		}
	}
	if got := llm.InputOf(t.Context(), provider.Demo(provider.DemoOptions{})); got != (llm.Input{}) {
		t.Errorf("the demo model takes %+v", got)
	}
}

func TestOllamaIsAskedOnceWhatItsModelTakes(t *testing.T) {
	var asked atomic.Int32
	answer := `{"capabilities":["completion","vision"]}`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1); r.URL.Path != "/api/show" {
			t.Errorf("asked %s", r.URL.Path)
		}
		fmt.Fprint(w, answer)
	}))
	defer s.Close()
	m := openDialect(t, llmtest.Ollama, provider.Options{BaseURL: s.URL, Model: "something-new"})
	for range 3 {
		if got := m.Takes(t.Context()); got != (llm.Input{Image: true}) {
			t.Errorf("takes %+v", got)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
	answer = `{"error":"not found"}`
	old := openDialect(t, llmtest.Ollama, provider.Options{BaseURL: s.URL, Model: "llava:7b"})
	if got := old.Takes(t.Context()); got != (llm.Input{Image: true}) {
		t.Errorf("a server that does not say: %+v", got)
	}
}

func TestTheDemoSaysThatItCannotSee(t *testing.T) {
	note := "[attached: my, chart.png, image/png, 28 bytes]\n(You cannot see it: you take no images. Say so if it matters.)"
	for question, want := range map[string]string{"What is this?\n\n" + note: "my, chart.png", note: "my, chart.png"} {
		m := provider.Demo(provider.DemoOptions{Pace: -1})
		got, err := collect(context.Background(), m, llm.Request{Messages: []llm.Message{{Role: llm.User, Content: question}}})
		if err != nil || !strings.Contains(got, "cannot look at") || !strings.Contains(got, want) {
			t.Errorf("%q, %v", got, err)
		}
	}
}
