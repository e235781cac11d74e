package provider_test

import (
	"net/http"
	"testing"
	"time"

	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/provider"
)

// remotes open the providers by the dialect that they speak.
var remotes = map[llmtest.Dialect]func(provider.Options) (*provider.Remote, error){
	llmtest.OpenAI: provider.OpenAI, llmtest.Responses: provider.Responses, llmtest.Anthropic: provider.Anthropic,
	llmtest.Ollama: provider.Ollama, llmtest.Gemini: provider.Gemini,
}

func openDialect(t testing.TB, d llmtest.Dialect, opts provider.Options) *provider.Remote {
	t.Helper()
	if opts.Model == "" {
		opts.Model = "m"
	}
	m, err := remotes[d](opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.CloseIdleConnections)
	return m
}

// With -v it prints what became of which case at which provider.
func TestConformance(t *testing.T) {
	var reports []llmtest.Report
	for _, d := range llmtest.Dialects() {
		t.Run(string(d), func(t *testing.T) {
			reports = append(reports, llmtest.Conformance(t, d, func(t testing.TB, url string, client *http.Client) llm.Model {
				return openDialect(t, d, provider.Options{BaseURL: url, Key: testKey, Client: client, Continues: true, Limits: provider.Limits{Idle: 25 * time.Second}})
			}))
		})
	}
	t.Log("\n" + llmtest.Table(reports...))
}
