package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/gateway"
	"parley/tools"
)

func TestPartOfAToolIsChanged(t *testing.T) {
	inBubble(t, useShop, func(w *world) {
		w.shop()
		g := w.gate()
		admin, p := w.admin(g), w.guest(g)
		admin.do("PUT", "/v1/tools/get_order", shopTool()).into(http.StatusOK, nil)
		patch := func(body any) *answer {
			return admin.do("PATCH", "/v1/tools/get_order", body, "Content-Type", "application/merge-patch+json")
		}
		var e tools.Endpoint
		patch(object{"disabled": true, "description": "Looks up one order.", "timeoutMs": 900}).into(http.StatusOK, &e)
		if !e.Disabled || e.Description != "Looks up one order." || e.TimeoutMs != 900 || e.Headers["X-Api-Key"] != tools.Mask || !strings.Contains(string(e.Parameters), `"order"`) {
			t.Errorf("changed to %+v", e)
		}
		if a := p.say("new", "order?"); a.Answer.Content != "I have no tools." {
			t.Errorf("with its tool disabled, the model says %q", a.Answer.Content)
		}
		call := func() *answer {
			return admin.do("POST", "/v1/tools/get_order/call", object{"arguments": object{"order": "5"}})
		}
		call().problem(http.StatusConflict, "conflict", "disabled")
		patch(object{"disabled": false, "timeoutMs": nil}).into(http.StatusOK, &e)
		var called struct{ Content string }
		call().into(http.StatusOK, &called)
		if !strings.Contains(called.Content, "shipped") {
			t.Errorf("with the secret that it had, the call got %q", called.Content)
		}
		patch(object{"headers": object{"X-Api-Key": nil}}).into(http.StatusOK, nil)
		if call().into(http.StatusOK, &called); strings.Contains(called.Content, "shipped") {
			t.Errorf("with its secret taken away, the call got %q", called.Content)
		}
		for _, tt := range []struct {
			name   string
			body   any
			status int
			field  string
		}{
			{"another name", object{"name": "x"}, 400, "name"},
			{"an unknown field", object{"enabled": true}, 422, "enabled"},
			{"a wrong value", object{"effect": "none"}, 422, "effect"},
			{"a wrong type", object{"disabled": "yes"}, 422, "disabled"},
			{"no description", object{"description": nil}, 422, "description"},
			{"null", "null", 400, ""},
			{"a list", "[]", 400, ""},
			{"nothing", "", 400, ""},
		} {
			a := patch(tt.body)
			a.what = tt.name
			a.problem(tt.status, "bad_request", tt.field)
		}
		admin.do("PATCH", "/v1/tools/none", object{"disabled": true}).problem(http.StatusNotFound, "not_found", "")
	})
}

func TestToolsAreListedSearchedAndPaged(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		admin := w.admin(w.gate())
		for i := range 5 {
			admin.do("PUT", fmt.Sprintf("/v1/tools/shelf_%d", i), object{"description": "Reads a shelf.", "url": "http://" + toolHost + "/s"}).into(http.StatusOK, nil)
		}
		with := shopTool()
		with["disabled"], with["tags"] = true, []string{"parcels"}
		admin.do("PUT", "/v1/tools/get_order", with).into(http.StatusOK, nil)
		list := func(query string) (names []string, next string, all []tools.Listing) {
			var page struct {
				Tools []tools.Listing
				Next  string
				Total int
			}
			admin.get("/v1/tools"+query).into(http.StatusOK, &page)
			for _, l := range page.Tools {
				names = append(names, l.Name)
			}
			return names, page.Next, page.Tools
		}
		names, next, all := list("")
		if d := cmp.Diff([]string{"get_order", "shelf_0", "shelf_1", "shelf_2", "shelf_3", "shelf_4"}, names); d != "" || next != "" {
			t.Errorf("next %q, %s", next, d)
		}
		if l := all[0]; !l.Disabled || l.Effect != tools.Safe || l.Method != "GET" || l.Host != toolHost || !cmp.Equal(l.Secrets, []string{"X-Api-Key"}) {
			t.Errorf("the disabled one is listed as %+v", l)
		}
		var paged []string
		for query := "?limit=4"; ; query = "?limit=4&after=" + next {
			names, next, _ = list(query)
			paged = append(paged, names...)
			if next == "" {
				break
			}
		}
		if len(paged) != 6 || paged[5] != "shelf_4" {
			t.Errorf("in pages: %v", paged)
		}
		for query, want := range map[string]string{"?q=look+up+orders": "get_order", "?q=parcel": "get_order", "?q=zebra": "", "?q=shelf&limit=2": "shelf_0 shelf_1", "?after=zzz": ""} {
			if names, _, _ := list(query); strings.Join(names, " ") != want {
				t.Errorf("%s: %v", query, names)
			}
		}
		for _, limit := range []string{"0", "-1", "x", "100000"} {
			admin.get("/v1/tools?limit="+limit).problem(http.StatusBadRequest, "bad_request", "limit")
		}
	})
}

func TestADraftOfACurlCommandIsNotStored(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		admin := w.admin(w.gate())
		var draft struct {
			Tool     tools.Endpoint
			Warnings []string
		}
		admin.do("POST", "/v1/tools/draft", object{"curl": "curl -k https://shop.example/orders/7 -H 'X-Api-Key: k'"}).into(http.StatusOK, &draft)
		if draft.Tool.Name != "get_order" || draft.Tool.URL != "https://shop.example/orders/{order_id}" || len(draft.Warnings) != 1 {
			t.Errorf("%+v", draft)
		}
		admin.get("/v1/tools/get_order").problem(http.StatusNotFound, "not_found", "")
		admin.do("PUT", "/v1/tools/get_order", draft.Tool).into(http.StatusOK, nil)
		admin.do("POST", "/v1/tools/draft", object{"curl": "wget x"}).problem(http.StatusUnprocessableEntity, "bad_request", "curl")
		admin.do("POST", "/v1/tools/draft", object{"command": "x"}).problem(http.StatusBadRequest, "bad_request", "command")
	})
}

func TestMergePatch(t *testing.T) {
	for _, tt := range []struct{ target, patch, want string }{ // those of RFC 7396, appendix A, whose patch is an object
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`{"e":null}`, `{"a":1}`, `{"a":1,"e":null}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{`{"n":12345678901234567890}`, `{"m":98765432109876543210}`, `{"m":98765432109876543210,"n":12345678901234567890}`},
	} {
		if got := gateway.MergePatch(tt.target, tt.patch); got != tt.want {
			t.Errorf("%s with %s becomes %s, not %s", tt.target, tt.patch, got, tt.want)
		}
	}
}
