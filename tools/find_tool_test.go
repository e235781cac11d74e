package tools_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"parley/tools"
)

func TestFindTools(t *testing.T) {
	set := setOf(imported(t)).WithFind()
	call := func(arguments string) tools.Result {
		return set.Call(t.Context(), tools.Call{ID: "1", Name: tools.FindName, Arguments: json.RawMessage(arguments)})
	}
	for _, tt := range []struct {
		name, arguments string
		failed          bool
		says            string
	}{
		{"names what can be called", `{"query":"restart a container"}`, false, `"docker_ContainerRestart"`},
		{"as many as are wanted", `{"query":"restart a container","limit":1}`, false, `{"tools":[{"name":"docker_ContainerRestart","description":"Restart a container"}]}`},
		{"says that there is none", `{"query":"xyzzy"}`, false, "No tool has any of these words"},
		{"says that only empty words were given", `{"query":"is it the"}`, false, "No tool has any of these words"},
		{"wants a query", `{}`, true, "query"},
		{"not thousands", `{"query":"x","limit":5000}`, true, "limit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if r := call(tt.arguments); r.Failed != tt.failed || !strings.Contains(r.Content, tt.says) {
				t.Errorf("%+v", r)
			}
		})
	}
	for _, s := range set.Found(json.RawMessage(`{"query":"restart a container"}`)) {
		if !strings.Contains(call(`{"query":"restart a container"}`).Content, fmt.Sprintf("%q", s.Name)) {
			t.Errorf("the model is not told of %s, which is found", s.Name)
		}
	}
	if _, ok := set.Spec(tools.FindName); !ok || !set.Pinned(tools.FindName) {
		t.Error("the set does not have it")
	}
}

// Words are found in other forms, parts of names, and other scripts.
func TestWordsByWhichToolsAreFound(t *testing.T) {
	named := func(name, description string) tools.Spec {
		return tools.Spec{Name: name, Description: description}
	}
	set := setOf([]tools.Spec{
		named("listOpenOrders", "x"), named("HTTPServerStatus", "x"), named("a_todo-list", "x"),
		named("wetter", "Zeigt die Wettervorhersage für München."), named("tenki", "天気予報を表示します"),
		named("who", "Names the contributors."), named("long", strings.Repeat("longword", 30)),
	})
	for asked, want := range map[string]string{
		"an order": "listOpenOrders", "OPENING": "listOpenOrders", "server": "HTTPServerStatus", "http": "HTTPServerStatus", "my to-do's": "a_todo-list",
		"münchen": "wetter", "予報": "tenki", "Who contributed?": "who", "": "", "  ?! ": "", strings.Repeat("longword", 30): "",
		strings.Repeat("nothing ", 20_000): "", "\xff\xfe server": "HTTPServerStatus",
	} {
		found := set.Find(1, asked)
		if got := append(found, tools.Spec{})[0].Name; got != want {
			t.Errorf("%.40q finds %q, not %q", asked, got, want)
		}
	}
	if n := len(set.Find(0, "order")) + len(set.Find(-1, "order")) + len((*tools.Set)(nil).Find(3, "order")); n != 0 {
		t.Errorf("%d found where none are wanted", n)
	}
}

// What was asked before counts, but less.
func TestEarlierQuestionsCountLess(t *testing.T) {
	set := setOf([]tools.Spec{{Name: "get_order"}, {Name: "get_parcel"}})
	if got := set.Find(5, "the parcel", "the order"); len(got) != 2 || got[0].Name != "get_parcel" {
		t.Errorf("found %v", got)
	}
}

func FuzzFind(f *testing.F) {
	set := setOf(imported(f)[:100])
	for _, s := range []string{"Open an issue", "aBCd-eF_9", "天気 b", "\xff", "é́a", "A"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, asked string) {
		if n := len(set.Find(7, asked)); n > 7 {
			t.Errorf("found %d", n)
		}
	})
}
