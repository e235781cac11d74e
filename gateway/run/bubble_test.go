package run_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/provider"
)

// words is the answer to a question, the same for every attempt.
func words(question string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s:%d ", question, i)
	}
	return b.String()
}

func scripted(t testing.TB, n int) *llm.Agent {
	srv := llmtest.NewPipeServer(t, func(r llmtest.Request) llmtest.Reply {
		return llmtest.Reply{Pieces: strings.SplitAfter(words(r.Last().Content, n), " "), Every: 20 * time.Millisecond}
	})
	m, err := provider.OpenAI(provider.OpenAIOptions{BaseURL: srv.URL, Model: "scripted", Client: srv.Client})
	if err != nil {
		t.Fatal(err)
	}
	return &llm.Agent{Model: m}
}

func ask(conv, text string) chat.Question {
	m := llm.Message{
		ID: chat.NewID("m"), Role: llm.User, Content: text,
		Metadata: &llm.Metadata{Parley: llm.Details{ClientID: "client-" + text}},
	}
	return chat.Question{Conversation: conv, Owner: "owner", Run: chat.NewID("r"), Message: m}
}

// A watcher follows a conversation, on whatever replica it is given, and
// checks every step.
type watcher struct {
	t     *testing.T
	name  string
	slow  time.Duration
	mu    sync.Mutex
	at    chat.Position
	state chat.State
	snaps int
	grows bool   // nothing that was shown may be taken back
	shown string // if grows
}

func (w *watcher) follow(ctx context.Context, h *chat.Hub, conv string) {
	for d, err := range h.Follow(ctx, conv, w.position()) {
		if err != nil {
			if errors.Is(err, context.Canceled) || ctx.Err() != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
			return
		}
		w.take(d)
		if w.slow > 0 {
			time.Sleep(w.slow)
		}
	}
}

func (w *watcher) position() chat.Position {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *watcher) take(d chat.Delivery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d.Snapshot != nil {
		w.snaps++
		w.checkSecret(d.Snapshot)
		if err := w.state.UnmarshalJSON(d.Snapshot); err != nil {
			w.t.Errorf("%s: %v", w.name, err)
		}
		w.at = d.At
		w.checkEdits()
		w.checkGrows()
		return
	}
	for _, e := range d.Entries {
		w.checkSecret(e.Raw)
		entry, err := chat.DecodeEntry(e.Raw)
		if err != nil {
			w.t.Errorf("%s: %v", w.name, err)
			return
		}
		prev := chat.Position{}
		if entry.Ev.Prev != nil {
			prev = *entry.Ev.Prev
		}
		if entry.At != e.At || entry.At != w.at.Next() && !(entry.At.N == 0 && prev == w.at) {
			w.t.Errorf("%s: %v came behind %v", w.name, e.At, w.at)
		}
		w.state.Apply(entry)
		w.at = e.At
		w.checkEdits()
		w.checkGrows()
	}
}

// checkSecret makes sure that what a tool keeps with its question is not shown.
func (w *watcher) checkSecret(raw []byte) {
	if bytes.Contains(raw, []byte("canary-state")) {
		w.t.Errorf("%s is shown %s", w.name, raw)
	}
}

// checkEdits makes sure that no question is shown besides the one in its place.
func (w *watcher) checkEdits() {
	for _, m := range w.state.Messages {
		if m.Metadata == nil || m.Metadata.Parley.Edits == "" {
			continue
		}
		if slices.ContainsFunc(w.state.Messages, func(old llm.Message) bool { return old.ID == m.Metadata.Parley.Edits }) {
			w.t.Errorf("%s: %s is shown, and %q, which it edits", w.name, m.Content, m.Metadata.Parley.Edits)
		}
	}
}

// checkGrows makes sure that what is shown goes on behind what was, if it must.
func (w *watcher) checkGrows() {
	if !w.grows {
		return
	}
	now := strings.TrimSpace(lines(w.state.Clone().Messages))
	if !strings.HasPrefix(now, w.shown) {
		w.t.Errorf("%s: %q was shown, then %q", w.name, w.shown, now)
	}
	w.shown = now
}

func (w *watcher) final() chat.State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state.Clone()
}

// text is what a person sees: questions and answers in order.
func text(ms []llm.Message) (out []string) {
	for _, m := range ms {
		out = append(out, fmt.Sprintf("%s %s %s", m.Role, m.ID, m.Content))
	}
	return out
}

func TestAnswerOutlivesItsReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := gatewaytest.NewCluster(t, scripted(t, 50))
		a := c.Start()
		w := &watcher{t: t, name: "w"}
		b := c.Start()
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { w.follow(ctx, b.Hub, "conv") })
		synctest.Wait()
		q := ask("conv", "one")
		if _, err := a.Runner.Say(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond)
		if !a.Queue.Holds("conv") {
			t.Fatal("the replica that took the question does not answer it")
		}
		killed := time.Now()
		a.Kill()
		gatewaytest.Eventually(t, 10*time.Second, "taken over", func() bool { return b.Queue.Holds("conv") })
		t.Logf("taken over after %v", time.Since(killed))
		gatewaytest.Eventually(t, 10*time.Second, "answered", func() bool { s := w.final(); return s.Run != nil && s.Run.Status == chat.RunDone })
		s := w.final()
		if got := s.Messages[len(s.Messages)-1].Content; got != words("one", 50) {
			t.Errorf("the answer is %q", got)
		}
		if s.Run.Try != 2 {
			t.Errorf("answered in attempt %d, want 2", s.Run.Try)
		}
		stop()
		wg.Wait()
		b.Drain()
		c.Wait()
	})
}
