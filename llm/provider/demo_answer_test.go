package provider_test

import (
	"strings"
	"testing"

	"parley/llm"
	"parley/tools"
)

// demoResults lets the model ask, gives each call the next of the contents
// and returns what it answers.
func demoResults(t *testing.T, question string, results ...llm.Message) string {
	t.Helper()
	req := llm.Request{Tools: demoSpecs(), Messages: []llm.Message{demoUser(question)}}
	first := demoRun(t, demoModel(), req)
	if len(first.calls) != len(results) {
		t.Fatalf("%q makes the calls %s, want %d", question, demoCalls(first.calls), len(results))
	}
	req.Messages = append(req.Messages, llm.Message{Role: llm.Assistant, ToolCalls: first.calls})
	for i, r := range results {
		r.Role, r.ToolCallID = llm.ToolRole, first.calls[i].ID
		req.Messages = append(req.Messages, r)
	}
	said := demoRun(t, demoModel(), req)
	if len(said.calls) > 0 || said.finish != llm.FinishStop {
		t.Fatalf("after results it said %+v", said)
	}
	req.NoTools = true
	if again := demoRun(t, demoModel(), req); again.text != said.text {
		t.Errorf("where it may not call tools it answers %q, else %q", again.text, said.text)
	}
	return strings.TrimSuffix(said.text, "\n\n*Demo model, not a language model: it picks tools by matching words.*")
}

func demoContent(text string) llm.Message { return llm.Message{Content: text} }

func TestDemoAnswersFromResults(t *testing.T) {
	for _, row := range []struct {
		name, question string
		results        []string
		want           string
	}{
		{
			"one forecast in a sentence", "What is the weather in Lisbon tomorrow?",
			[]string{`{"place":"Lisbon, Portugal","date":"2026-11-23","condition":"light rain","temperature_min":12.1,"temperature_max":18,"precipitation_mm":3.2,"precipitation_probability":70,"wind_speed":14,"units":{"temperature":"°C","precipitation_probability":"%","wind_speed":"km/h"},"attribution":"Weather data by [Open-Meteo.com](https://open-meteo.com/)"}`},
			"**Lisbon, Portugal**, Monday 23 November: light rain, 12.1 °C to 18 °C, rain 3.2 mm, chance of rain 70 %, wind 14 km/h.\n\n" +
				"Take an umbrella in Lisbon, Portugal.\n\nWeather data by [Open-Meteo.com](https://open-meteo.com/)",
		},
		{
			"two forecasts in a table", "What is the weather in Lisbon and in Oslo tomorrow?",
			[]string{
				`{"place":"Lisbon","day":"tomorrow","condition":"clear","temp_max_c":19,"temp_min_c":12}`,
				`{"place":"Oslo","day":"tomorrow","condition":"snow","temp_max_c":-2.5,"temp_min_c":-8}`,
			},
			"| Place | Day | Sky | Low | High |\n|---|---|---|---:|---:|\n" +
				"| Lisbon | tomorrow | clear | 12 °C | 19 °C |\n| Oslo | tomorrow | snow | -8 °C | -2.5 °C |\n\n" +
				"Lisbon is warmer by 21.5 degrees.",
		},
		{
			"Open-Meteo's own form", "What is the weather in Lisbon?",
			[]string{`{"latitude":38.7,"longitude":-9.1,"daily_units":{"time":"iso8601","temperature_2m_max":"°C","temperature_2m_min":"°C"},"daily":{"time":["2026-11-22","2026-11-23"],"weather_code":[61,null],"temperature_2m_max":[18.2,19],"temperature_2m_min":[11,12]}}`},
			"| Place | Day | Sky | Low | High |\n|---|---|---|---:|---:|\n| Lisbon | Sunday 22 November | light rain | 11 °C | 18.2 °C |\n| Lisbon | Monday 23 November | | 12 °C | 19 °C |",
		},
		{
			"few facts in a line", "Where is order 1042?",
			[]string{`{"order_id":"1042","status":"shipped","carrier":null}`},
			"Order id: **1042** · Status: **shipped**",
		},
		{
			"many facts in a list", "Where is order 1042?",
			[]string{`{"id":1042,"status":"shipped","total":{"amount":49.90,"currency":"EUR"},"paid":true,"note":"a|b *c*"}`},
			"- Id: 1042\n- Status: shipped\n- Total amount: 49.90\n- Total currency: EUR\n- Paid: yes\n- Note: a\\|b \\*c\\*",
		},
		{
			"a list in a table", "What events are in my calendar today?",
			[]string{`{"events":[{"title":"Stand-up","time":"09:00"},{"title":"Lunch","time":"12:30"}]}`},
			"Events:\n\n| Title | Time |\n|---|---:|\n| Stand-up | 09:00 |\n| Lunch | 12:30 |",
		},
		{"nothing", "What events are in my calendar today?", []string{`[]`}, "Nothing was found."},
		{
			"several calls of a tool in one table", "Convert 100 USD to EUR and to GBP",
			[]string{`{"result":92.1}`, `{"result":78.4}`},
			"| Amount | From | To | Result |\n|---:|---|---|---:|\n| 100 | USD | EUR | 92.1 |\n| 100 | USD | GBP | 78.4 |",
		},
		{"plain text", "What is 12 * 7?", []string{"84"}, "`calculate` says:\n\n> 84"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var msgs []llm.Message
			for _, r := range row.results {
				msgs = append(msgs, demoContent(r))
			}
			got := demoResults(t, row.question, msgs...)
			if !strings.HasPrefix(got, row.want) {
				t.Errorf("got\n%s\nwant\n%s", got, row.want)
			}
		})
	}
}

func TestDemoSaysPlainlyWhatFailed(t *testing.T) {
	down := llm.Message{
		Content: "Error: the weather service could not be reached", Error: "the weather service could not be reached",
	}
	got := demoResults(t, "What is the weather in Lisbon and in Oslo tomorrow?",
		demoContent(`{"place":"Lisbon","condition":"clear","temperature":19}`), down)
	for _, want := range []string{"`weather` failed for Oslo, tomorrow", "the weather service could not be reached", "none up", "**Lisbon**", "clear"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
	outcome := llm.Message{Content: "busy", Metadata: &llm.Metadata{Parley: llm.Details{Outcome: &tools.Outcome{Failed: true, Reason: "503"}}}}
	if got := demoResults(t, "Where is order 1042?", outcome); !strings.Contains(got, "`get_order` failed for 1042:** 503.") {
		t.Errorf("got %q", got)
	}
}

const demoPassagesFound = `[architecture:12] Architecture › Takeover
A replica that answers holds a lease and renews it every five seconds. When the replica dies, its lease lapses and another replica claims the conversation. The new owner folds the log, so an answer survives the death of the replica that began it [architecture:99].

[guide:3] Guide › Colours
The page has a light and a dark theme. Both pass the contrast check.

[architecture:14] Architecture › Log
` + "```go\nreplica.Die()\n```" + `
Every event of a conversation has a position, and no two replicas may write the same position.
`

func TestDemoQuotesPassagesWithTheirSources(t *testing.T) {
	got := demoResults(t, "How does Parley survive a replica's death?", demoContent(demoPassagesFound))
	for _, want := range []string{
		"another replica claims the conversation. [architecture:12]",
		"the replica that began it. [architecture:12]",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
	for _, no := range []string{"theme", "contrast", "Die()", "[architecture:99]", "[guide:3]"} {
		if strings.Contains(got, no) {
			t.Errorf("%q has %q", got, no)
		}
	}
	if n := strings.Count(got, "[architecture:"); n < 2 || n > 4 {
		t.Errorf("%d sentences cited in %q", n, got)
	}
}

func TestDemoSaysThatNoPassageFits(t *testing.T) {
	got := demoResults(t, "What is the capital of Mongolia?", demoContent(demoPassagesFound))
	if !strings.Contains(got, "nothing in them answers this") || strings.Contains(got, "[architecture:") {
		t.Errorf("got %q", got)
	}
}

func TestDemoQuotesSourcesWhereTheContentListsNone(t *testing.T) {
	msg := demoContent("2 passages")
	msg.Metadata = &llm.Metadata{Parley: llm.Details{Sources: []tools.Source{
		{Ref: "log:1", Title: "Log", Text: "The log has one writer at a time, so no entry is lost."},
	}}}
	got := demoResults(t, "Why does the log have one writer?", msg)
	if !strings.Contains(got, "no entry is lost. [log:1]") {
		t.Errorf("got %q", got)
	}
}

func TestDemoGivesItsNoteOnceInAConversation(t *testing.T) {
	req := llm.Request{Tools: demoSpecs(), Messages: []llm.Message{
		demoUser("What is 12 * 7?"),
		{Role: llm.Assistant, ToolCalls: []llm.ToolCall{llm.NewToolCall("1", "calculate", `{}`)}},
		{Role: llm.ToolRole, ToolCallID: "1", Content: "84"},
	}}
	first := demoRun(t, demoModel(), req)
	req.Messages = append(req.Messages, llm.Message{Role: llm.Assistant, Content: first.text})
	req.Messages = append(req.Messages, req.Messages[:3]...)
	second := demoRun(t, demoModel(), req)
	if strings.Count(first.text, "Demo model") != 1 || strings.Contains(second.text, "Demo model") {
		t.Errorf("first %q, then %q", first.text, second.text)
	}
}
