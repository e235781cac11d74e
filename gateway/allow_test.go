package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"parley/llm/llmtest"
)

// Whoever does something too often is told of what.
func TestARefusalNamesWhatItLimits(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		w.o.Limits.MessagesPerMinute, w.o.Files.Minute = 1, 1
		g := w.gate()
		p := w.guest(g)
		for _, tt := range []struct {
			path, says string
			body       any
		}{
			{"/v1/ws-ticket", "1 tickets a minute", nil},
			{"/v1/files?name=x.txt", "1 uploads a minute", "hello"},
			{"/v1/conversations/new/messages", "1 messages a minute", object{"content": "hello"}},
		} {
			p.do("POST", tt.path, tt.body)
			got := p.do("POST", tt.path, tt.body).problem(http.StatusTooManyRequests, "rate_limited", "")
			if !strings.Contains(got.Detail, tt.says) {
				t.Errorf("%s: %q", tt.path, got.Detail)
			}
		}
	})
}
