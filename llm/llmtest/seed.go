package llmtest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
)

// Seeds returns the bodies that the scripts of a dialect send, as far as they
// are short and need no connection: a beginning for fuzzing a provider.
func Seeds(d Dialect) (bodies []string) {
	for _, s := range Scripts(d) {
		if b := s.body(); b != "" && len(b) < 10_000 && !slices.Contains(bodies, b) {
			bodies = append(bodies, b)
		}
	}
	return bodies
}

// body returns what is sent, "" if that needs a connection. Whoever waits for
// the client to go finds it gone.
func (s Script) body() (body string) {
	defer func() {
		if recover() != nil {
			body = ""
		}
	}()
	ctx, gone := context.WithCancel(context.Background())
	gone()
	w := httptest.NewRecorder()
	s.Serve(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/", nil))
	return w.Body.String()
}
