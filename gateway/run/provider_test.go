package run_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/provider"
	"parley/tools"
)

// thinker is an agent whose model signs its thoughts and wants them back.
func thinker(seen func(llmtest.Request)) func(testing.TB) *llm.Agent {
	return func(t testing.TB) *llm.Agent {
		srv := llmtest.NewPipeServer(t, func(r llmtest.Request) llmtest.Reply {
			seen(r)
			switch r.Last().Role {
			case "tool":
				return llmtest.Text("it says " + r.Last().Content)
			}
			return llmtest.Reply{
				Reasoning: []string{"Well."}, Opaque: "c2lnbmF0dXJl", Pieces: []string{"Let ", "me see. "}, Every: 100 * time.Millisecond,
				Calls: []llmtest.Call{{ID: "call_0", Name: "call"}},
			}
		})
		m, err := provider.Anthropic(provider.Options{BaseURL: srv.URL, Model: "scripted", Client: srv.Client})
		if err != nil {
			t.Fatal(err)
		}
		return &llm.Agent{Model: m}
	}
}

// What a provider wants back survives the replica that heard it, and nobody
// who follows the conversation sees it.
func TestSignedThoughtsSurviveATakeover(t *testing.T) {
	requests := make(chan llmtest.Request, 100)
	inWorld(t, thinker(func(r llmtest.Request) { requests <- r }), func(t *testing.T, w *world) {
		m := newMachine("call", tools.Safe, 3*time.Second)
		w.Tools = toolbox{m}
		a := w.Start()
		q := w.say(a.Runner, "conv", "one")
		b := w.Start()
		early := w.watch(b.Hub)
		gatewaytest.Eventually(t, 5*time.Second, "the tool runs", func() bool { n, _ := m.starts(); return n == 1 })
		late := w.watch(b.Hub)
		synctest.Wait()
		w.hasNoState(early.final())
		w.hasNoState(late.final())
		a.Kill()
		if rec := w.ended(q.Run); rec.Status != chat.RunDone || rec.Try != 2 {
			t.Fatalf("%+v", rec)
		}
		<-requests
		var back []string
		for _, m := range (<-requests).Messages {
			back = append(back, m.Opaque...)
		}
		if strings.Join(back, ",") != "c2lnbmF0dXJl" {
			t.Errorf("the successor sent back %q", back)
		}
		w.hasNoState(w.sees(early, "conv"))
		w.hasNoState(w.sees(late, "conv"))
		for _, e := range w.log("conv", chat.TextEnd) {
			if e.Ev.Metadata != nil && e.Ev.Metadata.Parley.Provider != nil {
				back = append(back, "logged")
			}
		}
		if len(back) != 2 {
			t.Errorf("the log has it %d times, want once", len(back)-1)
		}
		b.Drain()
	})
}

func (w *world) hasNoState(s chat.State) {
	w.t.Helper()
	called := false
	for _, m := range s.Messages {
		called = called || len(m.ToolCalls) > 0
		if m.Metadata != nil && m.Metadata.Parley.Provider != nil {
			w.t.Errorf("a follower sees %s", m.Metadata.Parley.Provider.Blocks)
		}
	}
	if !called {
		w.t.Error("the follower has not seen the turn")
	}
}
