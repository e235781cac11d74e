package provider_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/llm"
	"parley/llm/provider"
	"parley/tools"
)

func TestDemoCallsInParallelWithIDsOfTheirOwn(t *testing.T) {
	said := demoAskIt(t, "What is the weather in Lisbon and in Oslo tomorrow?")
	if len(said.calls) != 2 || said.finish != llm.FinishTools || said.text != "" {
		t.Fatalf("got %+v", said)
	}
	if a, b := said.calls[0].ID, said.calls[1].ID; a == b || a == "" || b == "" {
		t.Errorf("ids %q and %q", a, b)
	}
	again := demoAskIt(t, "What is the weather in Lisbon and in Oslo tomorrow?")
	if !slices.Equal(said.calls, again.calls) {
		t.Errorf("asked again, it calls\n%v, before\n%v", again.calls, said.calls)
	}
	other := demoRun(t, demoModel(), llm.Request{Tools: demoSpecs(), Messages: []llm.Message{
		{ID: "another conversation", Role: llm.User, Content: "What is the weather in Lisbon and in Oslo tomorrow?"},
	}})
	if other.calls[0].ID == said.calls[0].ID {
		t.Error("two conversations share a call id")
	}
}

func TestDemoAsksForWhatIsMissing(t *testing.T) {
	for question, want := range map[string]string{
		"What is the weather?":                 "**place** (City or place, e.g. Lisbon or Portland, Oregon)",
		"Refund an order":                      "**order id**",
		"Translate \"good morning\"":           "**target language** (one of en, de, fr, es, it, pt)",
		"Find flights from Berlin to Madrid":   "**departure date**",
		"Convert 100 USD to another currency.": "**to**",
	} {
		said := demoAskIt(t, question)
		if len(said.calls) > 0 || said.finish != llm.FinishStop || !strings.Contains(said.text, want) {
			t.Errorf("%q: calls %s, says %q; want no call and %q", question, demoCalls(said.calls), said.text, want)
		}
	}
}

func TestDemoUnderstandsWhatFollows(t *testing.T) {
	for _, row := range []struct{ first, answer, next, calls string }{
		{"What is the weather tomorrow?", "I still need to know the place.", "Lisbon", `weather {"day":"tomorrow","place":"Lisbon"}`},
		{"What is the weather tomorrow?", "I still need to know the place.", "in stoke on trent", `weather {"day":"tomorrow","place":"stoke on trent"}`},
		{"What is the weather in Lisbon tomorrow?", "Rain.", "And in Oslo?", `weather {"day":"tomorrow","place":"Oslo"}`},
		{"What is the weather in Lisbon tomorrow?", "Rain.", "what about Friday?", `weather {"day":"friday","place":"Lisbon"}`},
		{"Find flights from Berlin to Madrid", "I still need to know the date.", "on 3 March", `search_flights {"departure_date":"2027-03-03","from_city":"Berlin","to_city":"Madrid"}`},
		{"What is the weather?", "I still need to know the place.", "Where is order 1042?", `get_order {"order_id":"1042"}`},
	} {
		said := demoRun(t, demoModel(), llm.Request{Tools: demoSpecs(), Messages: []llm.Message{
			demoUser(row.first), {Role: llm.Assistant, Content: row.answer}, demoUser(row.next),
		}})
		if got := demoCalls(said.calls); got != row.calls {
			t.Errorf("%q, then %q: calls %s (says %q), want %s", row.first, row.next, got, said.text, row.calls)
		}
	}
}

func TestDemoSaysWhatItIs(t *testing.T) {
	for _, question := range []string{"Hello!", "What can you do?", "Are you a language model?", "Write me a poem"} {
		said := demoAskIt(t, question)
		for _, want := range []string{
			"not a language model", "`weather`", "What is the weather in Lisbon and in Oslo tomorrow?",
			"PARLEY_MODEL_URL", "PARLEY_MODEL_KEY", "PARLEY_MODEL`",
		} {
			if !strings.Contains(said.text, want) {
				t.Errorf("%q: %q lacks %q", question, said.text, want)
			}
		}
	}
	bare := demoRun(t, demoModel(), llm.Request{Messages: []llm.Message{demoUser("What is the weather in Rome?")}})
	if !strings.Contains(bare.text, "no tools") || strings.Contains(bare.text, "Try:") {
		t.Errorf("without tools it says %q", bare.text)
	}
}

func TestDemoCallsNothingWhereItMayNot(t *testing.T) {
	said := demoRun(t, demoModel(), llm.Request{
		Tools: demoSpecs(), NoTools: true, Messages: []llm.Message{demoUser("What is the weather in Lisbon?")},
	})
	if len(said.calls) > 0 || said.finish != llm.FinishStop || !strings.Contains(said.text, "may not call tools") {
		t.Errorf("got %+v", said)
	}
}

func TestDemoReadsSchemasInOtherForms(t *testing.T) {
	for _, row := range []struct{ name, schema, question, want string }{
		{
			"references, alternatives and null", `{"type":"object","required":["city"],"$defs":{"c":{"type":["null","string"],"description":"A city"}},
			"properties":{"city":{"$ref":"#/$defs/c"},"day":{"anyOf":[{"type":"null"},{"type":"string","format":"date"}]}}}`,
			"weather in Lisbon tomorrow", `{"city":"Lisbon","day":"2026-11-23"}`,
		},
		{
			"an array takes all places in one call", `{"type":"object","required":["cities"],
			"properties":{"cities":{"type":"array","items":{"type":"string"}}}}`,
			"weather in Lisbon, Oslo and Rome", `{"cities":["Lisbon","Oslo","Rome"]}`,
		},
		{
			"an object within", `{"type":"object","required":["where"],
			"properties":{"where":{"type":"object","required":["city"],"properties":{"city":{"type":"string"},"country":{"type":"string"}}}}}`,
			"weather in Lisbon", `{"where":{"city":"Lisbon"}}`,
		},
		{
			"constants and defaults of what is required", `{"type":"object","required":["place","units","days"],
			"properties":{"place":{"type":"string"},"units":{"const":"metric"},"days":{"type":"integer","default":3}}}`,
			"weather in Lisbon", `{"days":3,"place":"Lisbon","units":"metric"}`,
		},
		{
			"a date and time", `{"type":"object","required":["place","at"],
			"properties":{"place":{"type":"string"},"at":{"type":"string","format":"date-time"}}}`,
			"weather in Lisbon tomorrow at 3pm", `{"at":"2026-11-23T15:00:00Z","place":"Lisbon"}`,
		},
		{
			"alternatives beside its own properties", `{"properties":{"place":{"type":"string"},"zip":{"type":"string"}},"required":["place"],
			"anyOf":[{"required":["place"]},{"required":["zip"]}]}`,
			"weather in Lisbon", `{"place":"Lisbon"}`,
		},
		{"no parameters", `{"type":"object"}`, "weather in Lisbon", `{}`},
		{"no schema", ``, "weather in Lisbon", `{}`},
	} {
		spec := tools.Spec{Name: "weather", Description: "The weather forecast.", Parameters: json.RawMessage(row.schema)}
		said := demoRun(t, demoModel(), llm.Request{Tools: []tools.Spec{spec}, Messages: []llm.Message{demoUser(row.question)}})
		if got := demoCalls(said.calls); got != "weather "+row.want {
			t.Errorf("%s: calls %s (says %q), want %s", row.name, got, said.text, row.want)
		}
	}
}

func TestDemoStreamsWordByWordAtItsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := provider.Demo(provider.DemoOptions{Pace: 20 * time.Millisecond, Seed: 7})
		run := func() (pieces int, took time.Duration) {
			start := time.Now()
			for c, err := range m.Stream(t.Context(), llm.Request{Messages: []llm.Message{demoUser("Hello")}}) {
				if err != nil {
					t.Fatal(err)
				}
				if words := strings.Fields(c.Text); len(words) > 1 {
					t.Fatalf("a piece of several words: %q", c.Text)
				}
				pieces++
			}
			return pieces, time.Since(start)
		}
		n, took := run()
		if mean := took / time.Duration(n); n < 20 || mean < 15*time.Millisecond || mean > 25*time.Millisecond {
			t.Errorf("%d pieces, one every %v; want one about every 20ms", n, mean)
		}
		if n2, again := run(); n2 != n || again != took {
			t.Errorf("again it took %v for %d pieces, before %v for %d", again, n2, took, n)
		}
	})
}

func TestDemoStopsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var last error
		words := 0
		for c, err := range provider.Demo(provider.DemoOptions{Pace: time.Hour}).Stream(ctx, llm.Request{Messages: []llm.Message{demoUser("Hello")}}) {
			last = err
			if words++; words == 3 {
				start := time.Now()
				cancel()
				defer func() {
					if waited := time.Since(start); waited > 0 {
						t.Errorf("it went on for %v", waited)
					}
				}()
			}
			if c.Finish != "" {
				t.Error("it ended as if the answer were whole")
			}
		}
		if !errors.Is(last, context.Canceled) || words != 4 {
			t.Errorf("after %d pieces: %v", words, last)
		}
	})
}

func TestDemoEndsWithUsageAndKeepsToItsLimit(t *testing.T) {
	req := llm.Request{System: "Be kind.", Messages: []llm.Message{demoUser("Hello there")}}
	said := demoRun(t, demoModel(), req)
	if n := len(strings.Fields(said.text)); said.finish != llm.FinishStop || said.usage.Output != n ||
		said.usage.Input != 4 || said.usage.Total != n+4 || said.usage.Model != "demo" {
		t.Errorf("finish %q, usage %+v for %d words", said.finish, said.usage, n)
	}
	req.MaxTokens = 5
	cut := demoRun(t, demoModel(), req)
	if len(strings.Fields(cut.text)) != 5 || cut.finish != llm.FinishLength || !strings.HasPrefix(said.text, cut.text) {
		t.Errorf("at most 5 words: %q, %q", cut.text, cut.finish)
	}
}
