package main

import (
	"strings"
	"testing"

	"parley/llm/llmtest"
)

func TestModelsCheck(t *testing.T) {
	helpful := func(r llmtest.Request) llmtest.Reply {
		if len(r.Tools) > 0 {
			return llmtest.Use(llmtest.Call{Name: r.Tools[0], Arguments: `{"room":"kitchen","state":"on"}`})
		}
		return llmtest.Reply{Pieces: []string{"Be", "rn"}}
	}
	for _, d := range llmtest.Dialects() {
		t.Run(string(d), func(t *testing.T) {
			s := llmtest.NewServer(t, helpful)
			got := program(t, []string{
				"PARLEY_MODEL=m", "PARLEY_MODEL_PROVIDER=" + string(d),
				"PARLEY_MODEL_URL=" + strings.TrimSuffix(s.URL, "/v1") + d.Base(), "PARLEY_MODEL_KEY=sk-topsecret",
			}, "", "models", "--check")
			for _, want := range []string{string(d) + " at 127.0.0.1", `"Bern"`, "yes, 2 pieces", "tokens in, 2 out", "tools         yes"} {
				if !strings.Contains(got.out, want) {
					t.Errorf("%q is missing in\n%s", want, got.out)
				}
			}
			if got.code != exitOK || strings.Contains(got.out+got.errOut, "topsecret") {
				t.Errorf("exit %d, %s", got.code, got.errOut)
			}
		})
	}
}

func TestModelsCheckSaysWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		reply llmtest.Reply
		want  []string
	}{
		"a wrong key":     {llmtest.Fail(401, "invalid_api_key", "no"), []string{"PARLEY_MODEL_KEY", "auth, status 401, code invalid_api_key"}},
		"no such model":   {llmtest.Fail(404, "model_not_found", "no"), []string{"PARLEY_MODEL_URL", "not_found"}},
		"cut off":         {llmtest.Reply{Pieces: []string{"Be"}, Cut: true}, []string{"broke off", "truncated"}},
		"asked too often": {llmtest.Reply{Status: 429, Code: "slow", RetryAfter: 7e9}, []string{"in a little while", "again after 7s"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := llmtest.NewServer(t, llmtest.Sequence(c.reply))
			got := program(t, []string{"PARLEY_MODEL=m", "PARLEY_MODEL_URL=" + s.URL}, "", "models", "--check")
			for _, want := range c.want {
				if !strings.Contains(got.out, want) {
					t.Errorf("%q is missing in\n%s", want, got.out)
				}
			}
			if got.code != exitFailed {
				t.Errorf("exit %d, %s", got.code, got.errOut)
			}
		})
	}
}

func TestModelsShowsTheSettings(t *testing.T) {
	for name, c := range map[string]struct {
		env  []string
		want string
	}{
		"demo":              {nil, "demo: built in"},
		"demo, asked for":   {[]string{"PARLEY_MODEL_PROVIDER=demo", "PARLEY_MODEL=m"}, "demo: built in"},
		"no address":        {[]string{"PARLEY_MODEL=m"}, "openai at api.openai.com"},
		"by the name":       {[]string{"PARLEY_MODEL=m", "PARLEY_MODEL_PROVIDER=anthropic"}, "anthropic at api.anthropic.com"},
		"by the address":    {[]string{"PARLEY_MODEL=m", "PARLEY_MODEL_URL=https://generativelanguage.googleapis.com"}, "gemini at generativelanguage"},
		"compatible Gemini": {[]string{"PARLEY_MODEL=m", "PARLEY_MODEL_URL=https://generativelanguage.googleapis.com/v1beta/openai"}, "openai at generativelanguage"},
		"Azure":             {[]string{"PARLEY_MODEL=m", "PARLEY_MODEL_URL=https://x.openai.azure.com/openai/deployments/d?api-version=2025-01-01"}, "openai at x.openai.azure.com"},
		"a provider alone":  {[]string{"PARLEY_MODEL_PROVIDER=ollama", "PARLEY_MODEL=qwen3"}, "ollama at localhost:11434"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := program(t, c.env, "", "models"); got.code != exitOK || !strings.Contains(got.out, c.want) {
				t.Errorf("exit %d, %s%s", got.code, got.out, got.errOut)
			}
		})
	}
	if got := program(t, []string{"PARLEY_MODEL_PROVIDER=gemini"}, "", "serve"); got.code == exitOK || !strings.Contains(got.errOut, "PARLEY_MODEL: is needed with PARLEY_MODEL_PROVIDER") {
		t.Errorf("a provider without a model: exit %d, %s", got.code, got.errOut)
	}
}
