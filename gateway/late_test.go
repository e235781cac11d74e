package gateway_test

import (
	"testing"
	"time"

	"parley/gateway/chat"
)

// While a replica is cut off from Redis its clients are told that what they see
// is late, and nobody else's; afterwards that it is not, and nothing is
// missing.
func TestClientsAreToldThatWhatTheySeeIsLate(t *testing.T) {
	inBubble(t, always(words(60, 250*time.Millisecond)), func(w *world) {
		g, h := w.gate(), w.gate()
		p := w.guest(g)
		there := p.at(h).open()
		said := there.say("", "k1", "hello")
		there.sub(said.C, "")
		here, idle := p.open(), p.open()
		here.sub(said.C, "")
		here.until(said.C, "has begun", func(s *chat.State) bool { return len(s.Open) > 0 })
		cut := time.Now()
		g.Replica.Link.Cut()
		late := here.first("a late beat", func(f frame) bool { return f.Type == "beat" && f.Late })
		if d := late.when.Sub(cut); d < time.Second || d > 4*time.Second {
			t.Errorf("told after %v", d)
		}
		time.Sleep(4 * time.Second)
		g.Replica.Link.Mend()
		mended := time.Now()
		back := here.first("a beat afterwards", func(f frame) bool { return f.Type == "beat" && !f.Late && f.when.After(cut) })
		if d := back.when.Sub(mended); d < 0 || d > 4*time.Second {
			t.Errorf("told %v after the link was mended", d)
		}
		a, b := here.answered(said.C, said.Run), there.answered(said.C, said.Run)
		if got, want := a.Messages[len(a.Messages)-1].Content, b.Messages[len(b.Messages)-1].Content; got != want {
			t.Errorf("one has %q, the other %q", got, want)
		}
		for name, tb := range map[string]*tab{"on another replica": there, "that follows nothing": idle} {
			for _, f := range tb.all() {
				if f.Late {
					t.Errorf("a client %s is told %s", name, f.raw)
				}
			}
		}
	})
}
