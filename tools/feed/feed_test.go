package feed_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"parley/tools"
	"parley/tools/feed"
)

func good() feed.Feed {
	return feed.Feed{Name: "gold", Description: "Price of gold", URL: "wss://prices.example/stream"}
}

func TestWhatIsWrongWithAFeedIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		change func(f *feed.Feed)
		field  string // "" for nothing
	}{
		"nothing":                   {func(*feed.Feed) {}, ""},
		"a name with a space":       {func(f *feed.Feed) { f.Name = "a b" }, "name"},
		"a name for another folder": {func(f *feed.Feed) { f.Name = "../a" }, "name"},
		"no description":            {func(f *feed.Feed) { f.Description = " " }, "description"},
		"an http address":           {func(f *feed.Feed) { f.URL = "https://prices.example/" }, "url"},
		"no host":                   {func(f *feed.Feed) { f.URL = "ws:///a" }, "url"},
		"a password in the address": {func(f *feed.Feed) { f.URL = "ws://me:secret@prices.example/" }, "url"},
		"an expression":             {func(f *feed.Feed) { f.Value = `select(.a) | {b: .c}` }, ""},
		"no jq":                     {func(f *feed.Feed) { f.Value = "][" }, "value"},
		"an unknown function":       {func(f *feed.Feed) { f.Value = "nope(1)" }, "value"},
		"the handshake's header":    {func(f *feed.Feed) { f.Headers = map[string]string{"host": "a"} }, "headers.host"},
		"a header with a line end":  {func(f *feed.Feed) { f.Headers = map[string]string{"A": "b\r\nC: d"} }, "headers.A"},
		"a masked secret":           {func(f *feed.Feed) { f.Login = tools.Mask }, "login"},
		"a negative window":         {func(f *feed.Feed) { f.Window.Last = -1 }, "window"},
	} {
		t.Run(name, func(t *testing.T) {
			f := good()
			c.change(&f)
			err := f.Validate()
			var field *tools.FieldError
			errors.As(err, &field)
			if got := ""; field != nil {
				got = field.Field
				if got != c.field {
					t.Errorf("%s is wrong, not %q", got, c.field)
				}
			} else if err != nil || c.field != "" {
				t.Errorf("error %v, want one of %q", err, c.field)
			}
		})
	}
}

func TestSecretsAreMaskedKeptAndBoundToTheirHost(t *testing.T) {
	old := good()
	old.Headers = map[string]string{"X-Key": "canary-1"}
	old.SecretQuery = map[string]string{"token": "canary-2"}
	old.Login = "login canary-3"
	b, err := json.Marshal(old.Public())
	if err != nil || strings.Contains(string(b), "canary") {
		t.Fatalf("shown: %s, %v", b, err)
	}
	next := old.Public()
	next.Description = "new"
	next.Headers = map[string]string{"x-key": tools.Mask}
	merged, err := feed.Merge(old, next)
	if err != nil {
		t.Fatal(err)
	}
	if merged.Headers["x-key"] != "canary-1" || merged.SecretQuery["token"] != "canary-2" || merged.Login != old.Login {
		t.Errorf("merged: %+v", merged)
	}
	for _, elsewhere := range []string{"wss://other.example/stream", "ws://prices.example/stream", "wss://prices.example:8443/stream"} {
		next.URL = elsewhere
		if m, err := feed.Merge(old, next); err == nil {
			t.Errorf("%s is sent the secrets: %+v", elsewhere, m)
		}
	}
	next.URL = "wss://prices.example:443/other"
	if _, err := feed.Merge(old, next); err != nil {
		t.Errorf("another path of the same host: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"name":"a","description":"b","url":"ws://c/","value":".p","window":{"last":3},"subscribe":["x",{"y":1}]}`))
	f.Add([]byte(`{"name":1}`))
	f.Add([]byte(`{"a":1}{`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := feed.Decode(b)
		if err != nil || got.Validate() != nil {
			return
		}
		shown, err := json.Marshal(got.Public())
		if err != nil {
			t.Fatalf("%s cannot be shown: %v", b, err)
		}
		if _, err := feed.Decode(shown); err != nil {
			t.Errorf("what is shown of %s cannot be read: %v", b, err)
		}
	})
}
