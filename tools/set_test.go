package tools_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"parley/tools"
)

func TestAResultThatIsTooLongIsCutWhateverTheTool(t *testing.T) {
	list := `{"items":[` + strings.Repeat(`{"name":"a thing","size":12},`, 2999) + `{}],"total":3000}`
	source := strings.Repeat("words of a passage ", 5000)
	tool := func(name, params string, res tools.Result) tools.Tool {
		return tools.Func(tools.Spec{Name: name, Description: "x", Parameters: json.RawMessage(params)}, func(context.Context, map[string]any) (tools.Result, error) { return res, nil })
	}
	r := &tools.Registry{MaxTokens: 500, Builtins: []tools.Tool{
		tool("listing", `{"type":"object","properties":{"limit":{"type":"integer"},"x":{}}}`, tools.Result{Content: list}),
		tool("prose", "", tools.Result{Content: strings.Repeat("line of text\n", 5000)}),
		tool("failing", "", tools.Failure("%s", strings.Repeat("no ", 5000))),
		tool("short", "", tools.Result{Content: "[1,2,3]"}),
		tool("citing", "", tools.Result{Content: source, Sources: []tools.Source{{Ref: "a:1", Text: source}}}),
	}}
	set, err := r.Set(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	call := func(name string) tools.Result {
		return set.Call(t.Context(), tools.Call{Name: name, Arguments: json.RawMessage("{}")})
	}
	for _, name := range []string{"listing", "prose", "failing"} {
		if res := call(name); tools.Tokens(res.Content) > 500 || !res.Outcome.Cut {
			t.Errorf("%s has %d tokens, cut %t", name, tools.Tokens(res.Content), res.Outcome.Cut)
		}
	}
	text, note, _ := strings.Cut(call("listing").Content, "\n\n")
	var whole struct {
		Items []any
		Total int
	}
	if err := json.Unmarshal([]byte(text), &whole); err != nil || whole.Total != 3000 || !strings.HasSuffix(whole.Items[len(whole.Items)-1].(string), "more of 3000") || !strings.Contains(note, "with limit.") {
		t.Errorf("a list is cut to %.300s … (%v) %s", text, err, note)
	}
	if res := call("short"); res.Content != "[1,2,3]" || res.Outcome.Cut {
		t.Errorf("a short one is %+v", res)
	}
	if res := call("citing"); res.Content != source || res.Outcome.Cut {
		t.Errorf("passages are cut to %d bytes", len(res.Content))
	}
}
