package tools_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/tools"
)

// TestWatchShowsNoCredential has a service that sends some back in every place.
func TestWatchShowsNoCredential(t *testing.T) {
	const canary = "canary-of-a-service"
	fails := 1
	base, client := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if fails > 0 {
			fails--
			h.Set("WWW-Authenticate", `Bearer realm="x", nonce="`+canary+`"`)
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		h.Set("Set-Cookie", "sid="+canary+"; Path=/")
		h.Set("X-Auth-Token", canary)
		h.Set("X-Session-Id", canary)
		h.Set("X-Echo", r.Header.Get("X-Key"))
		h.Set("X-Basic", "Basic "+canary)
		h.Set("X-Link", "https://user:"+canary+"@a.example/x")
		h.Set("X-Jwt", "eyJhbGciOi."+canary+".sig")
		h.Set("Content-Location", "/x?page=2&access_token="+canary+"&X-Amz-Signature="+canary+"#code="+canary)
		h.Set("Link", `<https://a.example/x?page=3&api_key=`+canary+`>; rel="next"`)
		h.Set("X-Kept", "id=7; key=\""+canary+" x\"")
		h.Set("X-Ratelimit-Remaining", "41")
		_, _ = w.Write([]byte("{}"))
	}))
	e := tools.Endpoint{Name: "x", Description: "x", Request: tools.Request{URL: base + "/x", Headers: map[string]string{"X-Key": "canary-own-key"}}}
	tool, err := e.Tool(client)
	if err != nil {
		t.Fatal(err)
	}
	var seen []tools.Attempt
	if _, err := tool.Call(t.Context(), tools.Call{Name: "x", Arguments: json.RawMessage("{}"), Watch: func(a tools.Attempt) { seen = append(seen, a) }}); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 2 || seen[0].Status != 503 || seen[1].Status != 200 || seen[1].Method != "GET" || "http://"+seen[1].Host != base {
		t.Fatalf("it sees %+v", seen)
	}
	if text := fmt.Sprint(seen); strings.Contains(text, "canary") {
		t.Errorf("a credential is shown: %s", text)
	}
	got := map[string]string{}
	for _, h := range seen[1].Headers {
		got[h.Name] = h.Value
	}
	delete(got, "Date")
	want := map[string]string{
		"Content-Length": "2", "Content-Location": "/x?page=2&access_token=•••&X-Amz-Signature=•••#code=•••", "Content-Type": "text/plain; charset=utf-8",
		"Link": `<https://a.example/x?page=3&api_key=•••>; rel="next"`, "Set-Cookie": "•••", "X-Auth-Token": "•••", "X-Basic": "•••", "X-Echo": "•••",
		"X-Jwt": "•••", "X-Kept": "id=7; key=•••", "X-Link": "https•••a.example/x", "X-Ratelimit-Remaining": "41", "X-Session-Id": "•••",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestWatchIsBounded(t *testing.T) {
	many := true
	base, client := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := range 100 {
			if many {
				w.Header().Set(fmt.Sprintf("X-%02d", i), "v")
			} else if i < 12 {
				w.Header().Set(fmt.Sprintf("X-%02d", i), strings.Repeat("v ", 900))
			}
		}
	}))
	tool, err := tools.Endpoint{Name: "x", Description: "x", Request: tools.Request{URL: base}}.Tool(client)
	if err != nil {
		t.Fatal(err)
	}
	for _, many = range []bool{true, false} {
		var seen tools.Attempt
		_, err = tool.Call(t.Context(), tools.Call{Name: "x", Arguments: json.RawMessage("{}"), Watch: func(a tools.Attempt) { seen = a }})
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, h := range seen.Headers {
			size += len(h.Name) + len(h.Value)
		}
		if len(seen.Headers) > 64 || size > 8<<10 || seen.LeftOut == 0 || len(seen.Headers) < 5 {
			t.Errorf("%d headers with %d bytes, and %d left out", len(seen.Headers), size, seen.LeftOut)
		}
	}
}
