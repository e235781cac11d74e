package storetest

import (
	"encoding/json"
	"testing"

	"parley/gateway/chat"
	"parley/tools"
)

func endpoints() map[string]func(*testing.T, Store) {
	return map[string]func(*testing.T, Store){
		"are kept whole":                endpointWhole,
		"are listed by name":            endpointList,
		"are replaced and deleted":      endpointReplace,
		"that are absent are not found": endpointAbsent,
	}
}

func endpoint(name string) tools.Endpoint {
	return tools.Endpoint{
		Name: name, Description: "Looks up one order & its état.", Effect: tools.Safe,
		Parameters: json.RawMessage(`{"type":"object","properties":{"z":{},"a":{}}}`),
	}
}

func endpointWhole(t *testing.T, s Store) {
	ok(t, s.PutEndpoint(t.Context(), endpoint("get_order")))
	e, err := s.Endpoint(t.Context(), "get_order")
	ok(t, err)
	equal(t, "endpoint", e, endpoint("get_order"))
}

func endpointList(t *testing.T, s Store) {
	es, err := s.Endpoints(t.Context())
	ok(t, err)
	equal(t, "none", es, nil)
	for _, name := range []string{"b", "C", "a"} { // by bytes, in no language's order
		ok(t, s.PutEndpoint(t.Context(), endpoint(name)))
	}
	es, err = s.Endpoints(t.Context())
	ok(t, err)
	equal(t, "endpoints", es, []tools.Endpoint{endpoint("C"), endpoint("a"), endpoint("b")})
}

func endpointReplace(t *testing.T, s Store) {
	ok(t, s.PutEndpoint(t.Context(), endpoint("a")))
	e := endpoint("a")
	e.Description, e.Effect = "new", ""
	ok(t, s.PutEndpoint(t.Context(), e))
	got, err := s.Endpoint(t.Context(), "a")
	ok(t, err)
	equal(t, "endpoint", got, e)
	ok(t, s.DeleteEndpoint(t.Context(), "a"))
	endpointAbsent(t, s)
}

func endpointAbsent(t *testing.T, s Store) {
	_, err := s.Endpoint(t.Context(), "a")
	fails(t, err, chat.ErrNotFound)
	fails(t, s.DeleteEndpoint(t.Context(), "a"), chat.ErrNotFound)
}
