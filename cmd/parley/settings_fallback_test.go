package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley/llm/llmtest"
)

func TestModelFallback(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("from-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		value, url string
		want       string // what is read of it, and the keys
		wrong      string
	}{
		"the same server":          {"openai:small", "", "openai:small key=first", ""},
		"another server":           {"openai:small@http://gpu:8000/v1", "", "openai:small@http://gpu:8000/v1 key=", ""},
		"another provider":         {"anthropic:claude#ANTHROPIC_API_KEY", "", "anthropic:claude#ANTHROPIC_API_KEY key=from-env", ""},
		"a key in a file":          {"gemini:flash#" + file, "", "gemini:flash#" + file + " key=from-a-file", ""},
		"names with colons and @":  {"ollama:qwen3:8b@http://gpu:11434,openai:claude@2024#ANTHROPIC_API_KEY", "", "ollama:qwen3:8b@http://gpu:11434 key= openai:claude@2024#ANTHROPIC_API_KEY key=from-env", ""},
		"not the first's address":  {"openai:small", "http://gpu:8000/v1", "openai:small key=", ""},
		"no such provider":         {"opnai:small", "", "", "is not provider:model"},
		"no model":                 {"openai", "", "", "is not provider:model"},
		"an address that is none":  {"openai:x@http://user:sesame@gpu", "", "", "is not the base URL"},
		"a key in the wrong place": {"openai:x#sk-sesame", "", "", "the key itself must not stand here"},
		"a variable that is empty": {"openai:x#NOT_SET", "", "", "NOT_SET is not set"},
		"a file that is not there": {"openai:x#/no/such/file", "", "", "/no/such/file cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			env := []string{"HOME=/h", "PARLEY_MODEL=m", "PARLEY_MODEL_KEY=first", "ANTHROPIC_API_KEY=from-env", "PARLEY_MODEL_FALLBACK=" + c.value}
			if c.url != "" {
				env = append(env, "PARLEY_MODEL_URL="+c.url)
			}
			s, err := newLoader(env).load()
			if err != nil || c.wrong != "" {
				if err == nil || c.wrong == "" || !strings.Contains(err.Error(), c.wrong) || strings.Contains(err.Error(), "sesame") {
					t.Errorf("%v, want %q and no secret", err, c.wrong)
				}
				return
			}
			var got []string
			for _, f := range s.ModelFallback {
				got = append(got, fmt.Sprintf("%v key=%s", f, string(f.Key)))
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("read as %q, want %q", got, c.want)
			}
			if shown := fmt.Sprintf("%v %+v %#v", s, s.ModelFallback, s); strings.Contains(shown, "from-") {
				t.Errorf("a key is shown: %s", shown)
			}
		})
	}
	if _, err := newLoader([]string{"HOME=/h", "PARLEY_MODEL_FALLBACK=openai:x"}).load(); err == nil || !strings.Contains(err.Error(), "PARLEY_MODEL: is needed with PARLEY_MODEL_FALLBACK") {
		t.Errorf("without a first model: %v", err)
	}
}

func TestModelSmall(t *testing.T) {
	for name, c := range map[string]struct {
		value string
		want  string // what is read of it, and the key
		wrong string
	}{
		"a name, at the first one's address":  {"tiny", "tiny key=", ""},
		"a name with a colon":                 {"qwen3:4b", "qwen3:4b key=", ""},
		"the same server":                     {"openai:tiny", "openai:tiny key=first", ""},
		"another server has no key of others": {"openai:tiny@http://gpu:8000/v1", "openai:tiny@http://gpu:8000/v1 key=", ""},
		"another provider":                    {"anthropic:haiku#ANTHROPIC_API_KEY", "anthropic:haiku#ANTHROPIC_API_KEY key=from-env", ""},
		"no such provider":                    {"opnai:tiny@http://gpu:8000/v1", "", "no provider before them"},
		"a key in the wrong place":            {"openai:tiny#sk-sesame", "", "the key itself must not stand here"},
		"a key behind a name":                 {"tiny#sk-sesame", "", "no provider before them"},
		"a variable that is empty":            {"openai:tiny#NOT_SET", "", "NOT_SET is not set"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := newLoader([]string{"HOME=/h", "PARLEY_MODEL=m", "PARLEY_MODEL_KEY=first", "ANTHROPIC_API_KEY=from-env", "PARLEY_MODEL_SMALL=" + c.value}).load()
			if err != nil || c.wrong != "" {
				if err == nil || c.wrong == "" || !strings.Contains(err.Error(), c.wrong) || strings.Contains(err.Error(), "sesame") {
					t.Errorf("%v, want %q and no secret", err, c.wrong)
				}
				return
			}
			if got := fmt.Sprintf("%v key=%s", s.ModelSmall, string(s.ModelSmall.Key)); got != c.want {
				t.Errorf("read as %q, want %q", got, c.want)
			}
		})
	}
	if _, err := newLoader([]string{"HOME=/h", "PARLEY_MODEL_SMALL=tiny"}).load(); err == nil || !strings.Contains(err.Error(), "PARLEY_MODEL: is needed with PARLEY_MODEL_SMALL") {
		t.Errorf("without a model: %v", err)
	}
}

// Each model of the chain is tried, and one that is wrong does not hide the others.
func TestModelsCheckOfAChain(t *testing.T) {
	dead := llmtest.NewServer(t, func(llmtest.Request) llmtest.Reply { return llmtest.Fail(401, "invalid_api_key", "no") })
	good := llmtest.NewServer(t, func(llmtest.Request) llmtest.Reply { return llmtest.Reply{Pieces: []string{"Be", "rn"}} })
	got := program(t, []string{
		"PARLEY_MODEL=first", "PARLEY_MODEL_URL=" + dead.URL, "SECOND_KEY=sk-sesame",
		"PARLEY_MODEL_FALLBACK=anthropic:second@" + good.URL + "#SECOND_KEY",
	}, "", "models", "--check")
	first, second := strings.Index(got.out, "first"), strings.Index(got.out, "second")
	if got.code != exitFailed || first < 0 || second < first || !strings.Contains(got.out[:second], "auth") || !strings.Contains(got.out[second:], `"Bern"`) {
		t.Errorf("exit %d\n%s%s", got.code, got.out, got.errOut)
	}
	if strings.Contains(got.out+got.errOut, "sesame") {
		t.Error("the key is shown")
	}
}
