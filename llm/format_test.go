package llm_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"parley/llm"
	"parley/llm/llmtest"
	"parley/tools"
)

// told is a model that is only told of the format.
type told struct{ llm.Model }

const citySchema = `{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}`

func TestFormattedAnswers(t *testing.T) {
	bad, good := `{"town":"Bern"}`, `{"city":"Bern"}`
	for name, c := range map[string]struct {
		replies []llmtest.Reply
		answer  string
		valid   bool
		asked   int
		wrong   string // in what people are told
	}{
		"valid at once":   {[]llmtest.Reply{llmtest.Text(good)}, good, true, 1, ""},
		"in a code fence": {[]llmtest.Reply{llmtest.Text("Here it is:\n```json\n" + good + "\n```")}, good, true, 1, ""},
		"repaired":        {[]llmtest.Reply{llmtest.Text(bad), llmtest.Text(good)}, good, true, 2, ""},
		"never valid":     {[]llmtest.Reply{llmtest.Text(bad), llmtest.Text(`{"city":5}`)}, `{"city":5}`, false, 2, `at "/city"`},
		"cut":             {[]llmtest.Reply{{Pieces: []string{good}, Finish: "length"}}, good, false, 1, "broke off"},
		"behind a tool":   {[]llmtest.Reply{llmtest.Use(napCall("a", 0)), llmtest.Text(good)}, good, true, 2, ""},
	} {
		for held, hold := range map[string]func(llm.Model) llm.Model{
			"native": func(m llm.Model) llm.Model { return m },
			"told":   func(m llm.Model) llm.Model { return told{m} },
		} {
			t.Run(name+", "+held, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					srv, m := model(t, llmtest.Sequence(c.replies...))
					a := &llm.Agent{Model: hold(m), Format: llm.NewFormat("place", json.RawMessage(citySchema), true)}
					shown, pieces := "", 0
					var turn llm.Step
					var fault error
					for s, err := range a.Run(t.Context(), question("where?"), tools.NewSet(nap(nil))) {
						fault = err
						switch {
						case s.Anew:
							shown = ""
						case s.Text != "":
							shown, pieces = shown+s.Text, pieces+1
						case s.Turn != nil:
							turn = s
						}
					}
					if shown != c.answer || turn.Turn == nil || turn.Turn.Content != c.answer {
						t.Errorf("shown is %q, the turn %+v, want %q", shown, turn.Turn, c.answer)
					}
					if turn.Format == nil || turn.Format.Name != "place" || turn.Format.Valid != c.valid || srv.Count() != c.asked {
						t.Errorf("the format is %+v after %d requests", turn.Format, srv.Count())
					}
					if held == "told" && pieces > 1 {
						t.Errorf("what was held back came in %d pieces", pieces)
					}
					var e *llm.FormatError
					if got := llm.Describe(fault); errors.As(fault, &e) == c.valid || !c.valid && (got.Code != "format" || !strings.Contains(got.Message, c.wrong)) {
						t.Errorf("the run ended with %v: %+v", fault, got)
					}
				})
			})
		}
	}
}

func TestTheModelIsToldWhatIsWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, m := model(t, llmtest.Sequence(llmtest.Text(`{"city":5}`), llmtest.Text(`{"city":"Bern"}`)))
		a := &llm.Agent{Model: m, Format: llm.NewFormat("place", json.RawMessage(citySchema), true)}
		listen(t.Context(), a, question("where?"), tools.NewSet(nap(nil)))
		last := srv.Requests()[1]
		if !strings.Contains(last.Last().Content, `"/city"`) || last.ToolChoice != "none" {
			t.Errorf("the second request says %q, with tools %q", last.Last().Content, last.ToolChoice)
		}
	})
}

func TestFormatsThatAreRefused(t *testing.T) {
	schema := func(s string) string {
		return `{"type":"json_schema","json_schema":{"name":"x","schema":` + s + `}}`
	}
	for name, c := range map[string]struct{ raw, field string }{
		"no type":              {`{}`, "response_format.type"},
		"no object":            {`7`, "response_format"},
		"unknown type":         {`{"type":"xml"}`, "response_format.type"},
		"no schema":            {`{"type":"json_schema","json_schema":{"name":"x"}}`, "response_format.json_schema.schema"},
		"no name":              {`{"type":"json_schema","json_schema":{"schema":{}}}`, "response_format.json_schema.name"},
		"too large":            {schema(`{"description":"` + strings.Repeat("x", 70<<10) + `"}`), "response_format"},
		"too deep":             {schema(strings.Repeat(`{"items":`, 40) + "{}" + strings.Repeat("}", 40)), "response_format.json_schema.schema"},
		"a wrong word":         {schema(`{"properties":{"a":{"type":"strin"}}}`), "response_format.json_schema.schema/properties/a/type"},
		"elsewhere":            {schema(`{"$ref":"https://example.com/schema"}`), "response_format.json_schema.schema"},
		"a file":               {schema(`{"$ref":"file:///etc/passwd"}`), "response_format.json_schema.schema"},
		"round and round":      {schema(`{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"}`), "response_format.json_schema.schema"},
		"doubling":             {schema(doubling(30)), "response_format.json_schema.schema"},
		"a number of a mile":   {schema(`{"minimum":1e999999999}`), "response_format.json_schema.schema/minimum"},
		"the schema no object": {schema(`[]`), "response_format.json_schema.schema"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := llm.ReadFormat(json.RawMessage(c.raw))
			var f *tools.FieldError
			if !errors.As(err, &f) || f.Field != c.field || f.Reason == "" {
				t.Errorf("got %v", err)
			}
		})
	}
}

// doubling is a schema that takes 2^n steps.
func doubling(n int) string {
	var b strings.Builder
	b.WriteString(`{"$ref":"#/$defs/d0","$defs":{`)
	for i := range n {
		ref := `{"$ref":"#/$defs/d` + string(rune('0'+i+1)) + `"}`
		b.WriteString(`"d` + string(rune('0'+i)) + `":{"allOf":[` + ref + `,` + ref + `]},`)
	}
	return b.String() + `"d` + string(rune('0'+n)) + `":{}}}`
}

// A schema that is harmless by itself can double with each level of a value.
func TestAValueThatTakesForeverIsNotChecked(t *testing.T) {
	f := llm.NewFormat("x", json.RawMessage(`{"properties":{"a":{"allOf":[{"$ref":"#"},{"$ref":"#"}]}}}`), false)
	if err := f.Check(strings.Repeat(`{"a":`, 60)+"{}"+strings.Repeat("}", 60), llm.FinishStop); err == nil {
		t.Error("it was checked")
	}
	if err := f.Check(`{"a":{"a":1}}`, llm.FinishStop); err != nil {
		t.Error(err)
	}
}

func FuzzReadFormat(f *testing.F) {
	f.Add([]byte(`{"type":"json_schema","json_schema":{"name":"x","schema":`+citySchema+`}}`), []byte(`{"city":"Bern"}`))
	f.Add([]byte(`{"type":"json_schema","json_schema":{"name":"x","schema":`+doubling(25)+`}}`), []byte(`1`))
	f.Add([]byte(`{"type":"json_schema","json_schema":{"name":"x","schema":{"$ref":"#"}}}`), []byte(`[]`))
	f.Add([]byte(`{"type":"json_schema","json_schema":{"name":"x","schema":{"$dynamicRef":"#n","$dynamicAnchor":"n"}}}`), []byte(`[]`))
	f.Add([]byte(`{"type":"json_schema","json_schema":{"name":"x","schema":{"items":{"$ref":"#"},"uniqueItems":true}}}`), []byte(`[[],[[]]]`))
	f.Add([]byte(`{"type":"json_object"}`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, raw, value []byte) {
		read, err := llm.ReadFormat(raw)
		if err != nil || read == nil {
			return
		}
		fault := read.Check(string(value), llm.FinishStop)
		b, err := json.Marshal(read)
		if err != nil {
			t.Fatal(err)
		}
		again, err := llm.ReadFormat(b)
		if err != nil {
			t.Fatalf("%s was read, %s is not: %v", raw, b, err)
		}
		if (fault == nil) != (again.Check(string(value), llm.FinishStop) == nil) {
			t.Errorf("%s is judged otherwise than %s", b, raw)
		}
	})
}
