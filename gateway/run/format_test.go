package run_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/llm"
	"parley/llm/llmtest"
)

// The format is known to whoever takes over, also when the answer was void
// once, and never are two answers shown as one.
func TestAFormatOutlivesItsReplica(t *testing.T) {
	good := `{"n":[` + strings.Repeat("1, ", 40) + `2]}`
	script := func(r llmtest.Request) llmtest.Reply {
		text := `{"m": ` + strings.Repeat("[ ", 20) + strings.Repeat("] ", 20) + `}`
		if strings.Contains(r.Last().Content, "Say the whole answer again") {
			text = good
		}
		return llmtest.Reply{Pieces: strings.SplitAfter(text, " "), Every: 20 * time.Millisecond}
	}
	for _, after := range []time.Duration{200 * time.Millisecond, 1200 * time.Millisecond} {
		inWorld(t, with(script), func(t *testing.T, w *world) {
			a := w.Start()
			q := ask("conv", "one")
			q.Format = llm.NewFormat("list", json.RawMessage(`{"type":"object","properties":{"n":{"type":"array"}},"required":["n"]}`), false)
			if _, err := a.Runner.Say(t.Context(), q); err != nil {
				t.Fatal(err)
			}
			w.holder("conv", a)
			b := w.Start()
			v := w.watch(b.Hub)
			time.Sleep(after)
			a.Kill()
			rec := w.ended(q.Run)
			if rec.Status != chat.RunDone || rec.Try != 2 || rec.Format == nil {
				t.Errorf("after %v: %+v", after, rec)
			}
			s := w.sees(v, "conv")
			last := s.Messages[len(s.Messages)-1]
			if len(s.Messages) != 2 || last.Content != good || last.Metadata.Parley.Format == nil || !last.Metadata.Parley.Format.Valid {
				t.Errorf("after %v it is\n%s", after, lines(s.Messages))
			}
		})
	}
}
