package price_test

import (
	"strings"
	"testing"

	"parley/llm"
	"parley/llm/price"
)

func TestTheTableKnowsModelsByNameAndEdition(t *testing.T) {
	table := price.Default()
	for _, c := range []struct {
		provider, model string
		input           int64 // millionths of a dollar; -1: not known
	}{
		{"openai", "gpt-4o", 2_500_000},
		{"openai", "gpt-4o-2024-08-06", 2_500_000},
		{"openai-responses", "gpt-4o-mini-2024-07-18", 150_000},
		{"openai", "GPT-5-mini", 250_000},
		{"openai", "gpt-5-pro", -1},
		{"openai", "gpt-5.9", -1},
		{"anthropic", "claude-opus-4-20250514", 15_000_000},
		{"anthropic", "claude-opus-4-5-20251101", 5_000_000},
		{"anthropic", "claude-opus-4-9", -1},
		{"anthropic", "claude-3-5-haiku-latest", 800_000},
		{"gemini", "models/gemini-2.5-flash-001", 300_000},
		{"ollama", "llama3:8b", 0},
		{"demo", "demo", 0},
		{"openai", "llama3", -1},
		{"openai", "", -1},
	} {
		p, ok := table.Price(c.provider, c.model)
		if ok != (c.input >= 0) || ok && p.Input != c.input {
			t.Errorf("%s %s costs %d, %v, want %d", c.provider, c.model, p.Input, ok, c.input)
		}
	}
}

func TestOperatorsAddAndReplacePrices(t *testing.T) {
	table, err := price.Default().Parse("gpt-4o=9/1/3/4, openai:gpt-4o-mini=1/2,llama3:8b=0.1/0.2\nvllm*=5/6/7")
	if err != nil {
		t.Fatal(err)
	}
	for model, want := range map[string]llm.Price{
		"gpt-4o":      {Input: 2_500_000, CachedInput: 1_250_000, Output: 10_000_000}, // one with a provider counts before one without
		"gpt-4o-mini": {Input: 1_000_000, CachedInput: 1_000_000, CacheWritten: 1_000_000, Output: 2_000_000},
		"llama3:8b":   {Input: 100_000, CachedInput: 100_000, CacheWritten: 100_000, Output: 200_000},
		"vllm-big":    {Input: 5_000_000, CachedInput: 6_000_000, CacheWritten: 5_000_000, Output: 7_000_000},
	} {
		if got, ok := table.Price("openai", model); !ok || got != want {
			t.Errorf("%s costs %+v, %v", model, got, ok)
		}
	}
	file, err := table.ParseFile([]byte("openai:gpt-4o: {input: 0.1, output: 2, cached: 0}\nmine: 1/2\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := file.Price("openai", "gpt-4o"); got != (llm.Price{Input: 100_000, CacheWritten: 100_000, Output: 2_000_000}) {
		t.Errorf("from a file: %+v", got)
	}
	if got, ok := file.Price("anything", "mine"); !ok || got.Output != 2_000_000 {
		t.Errorf("from a file: %+v", got)
	}
}

func TestWrongPricesSayWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"gpt-4o":           "no price",
		"gpt-4o=1":         "input/output",
		"gpt-4o=1/2/3/4/5": "input/output",
		"gpt-4o=1/two":     `"two"`,
		"gpt-4o=-1/2":      `"-1"`,
		"gpt-4o=1/1e9":     "six decimals",
		"=1/2":             "names no model",
		"a*b=1/2":          "names no model",
	} {
		if _, err := price.Default().Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"[1]":                              "mapping of models",
		"m: {input: 1}":                    "no output",
		"m: {input: 1, output: 2, out: 3}": `"out"`,
		"m: [1, 2]":                        "neither a price",
	} {
		if _, err := price.Default().ParseFile([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestCostCountsCachedTokensOnce(t *testing.T) {
	p := llm.Price{Input: 3_000_000, CachedInput: 300_000, CacheWritten: 3_750_000, Output: 15_000_000}
	for name, c := range map[string]struct {
		usage llm.Usage
		want  int64
	}{
		"input holds what is cached":   {llm.Usage{Input: 1000, CachedInput: 800, Output: 100, Total: 1100}, 200*3 + 240 + 1500},
		"input leaves out what is":     {llm.Usage{Input: 200, CachedInput: 800, CacheWritten: 400, Output: 100, Total: 1500}, 200*3 + 240 + 1500 + 1500},
		"no total":                     {llm.Usage{Input: 1000, CachedInput: 800, Output: 100}, 200*3 + 240 + 1500},
		"a part of a millionth is one": {llm.Usage{CachedInput: 1, Total: 1}, 1},
		"nothing":                      {llm.Usage{}, 0},
	} {
		if got := p.Cost(c.usage); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	huge := llm.Price{Output: 1 << 60}
	if got := huge.Cost(llm.Usage{Output: 1 << 60, Total: 1 << 60}); got != 1<<63-1 {
		t.Errorf("what cannot be told is %d", got)
	}
}

func TestBudgets(t *testing.T) {
	for text, want := range map[string]llm.Amount{
		"": {}, "0": {}, "200000": {Tokens: 200_000}, "$0.50": {Micros: 500_000}, "200000,$1": {Tokens: 200_000, Micros: 1_000_000},
		" $2.000001 , 7": {Tokens: 7, Micros: 2_000_001},
	} {
		if got, err := price.Budget(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"-1", "1,2", "$1,$2", "1.5", "$", "$x", "1,", "+1", "9999999999999999"} {
		if got, err := price.Budget(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
	for micros, want := range map[int64]string{0: "$0.00", 1: "$0.000001", 1_500: "$0.0015", 500_000: "$0.50", 12_345_678: "$12.34"} {
		if got := price.FormatDollars(micros); got != want {
			t.Errorf("%d is shown as %s", micros, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"gpt-4o=1/2", "openai:x*=0.1/0.2/0.3/0.4,y=1/1", "llama3:8b=0/0", "=,=", "a=$1/$2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		table, err := price.Default().Parse(s)
		if err != nil {
			return
		}
		for _, e := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == '\n' }) {
			at := strings.LastIndexByte(e, '=')
			if at < 0 {
				continue
			}
			name := strings.TrimSpace(e[:at])
			provider, model, ok := strings.Cut(name, ":")
			if !ok {
				provider, model = "any", name
			}
			p, _ := table.Price(provider, model)
			if p.Input < 0 || p.Output < 0 || p.CachedInput < 0 || p.CacheWritten < 0 {
				t.Errorf("%q: %+v", e, p)
			}
		}
	})
}

func FuzzBudget(f *testing.F) {
	for _, s := range []string{"200000", "$0.50", "200000,$0.50", ",", "$"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := price.Budget(s)
		if err == nil && (a.Tokens < 0 || a.Micros < 0) {
			t.Errorf("%q is %+v", s, a)
		}
	})
}
