package chat_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat"
)

// waitFor looks for what is due until a process has claimed a conversation,
// and returns how long that took.
func (p *process) waitFor(conv string, most time.Duration) (*chat.Lease, time.Duration) {
	p.w.t.Helper()
	look := p.queue.Lookout()
	for begin := time.Now(); time.Since(begin) < most; {
		waiting, _, err := look.Look(p.w.ctx())
		if err != nil {
			p.w.t.Fatal(err)
		}
		due := ""
		select {
		case due = <-p.queue.Due():
		case <-time.After(50 * time.Millisecond):
		}
		for _, w := range waiting {
			due = w.Conversation
		}
		if due == "" {
			continue
		}
		l, err := p.queue.Claim(p.w.ctx(), due)
		if err != nil {
			p.w.t.Fatal(err)
		}
		if l != nil {
			p.w.t.Cleanup(l.Stop)
			return l, time.Since(begin)
		}
	}
	p.w.t.Fatalf("%s was not claimed within %v", conv, most)
	return nil, 0
}

func TestTheLeaseOfADeadProcessIsNotWaitedFor(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		w.queue.TTL = 8 * time.Second
		a, b := w.start(nil), w.start(nil)
		l := w.talk(a, "conv")
		say(l, "r1", "m", "half", false, false)
		w.flush(l)
		l.Stop()
		a.stop()
		_ = a.rdb.Close()
		m, took := b.waitFor("conv", 30*time.Second)
		if took > 7500*time.Millisecond {
			t.Errorf("claimed after %v; the lease was good for %v", took, w.queue.TTL)
		}
		if s := m.State(); m.Generation() <= l.Generation() || contents(s.Messages) != "user:question r1 assistant:half" {
			t.Errorf("generation %d behind %d, %s", m.Generation(), l.Generation(), contents(s.Messages))
		}
	})
}

// A process that hangs is there as far as Redis knows: its lease runs out.
func TestTheLeaseOfAHangingProcessIsWaitedFor(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a, b := w.start(nil), w.start(nil)
		l := w.talk(a, "conv")
		l.Stop()
		if _, took := b.waitFor("conv", 10*time.Second); took < w.queue.TTL*3/5 {
			t.Errorf("claimed after %v from a process that lives", took)
		}
	})
}

// What was claimed meanwhile by somebody who lives is not taken again.
func TestADeadProcessIsReplacedOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		w.queue.TTL = 3 * time.Second
		a, b, c := w.start(nil), w.start(nil), w.start(nil)
		l := w.talk(a, "conv")
		l.Stop()
		a.stop()
		_ = a.rdb.Close()
		m, _ := b.waitFor("conv", 10*time.Second)
		eventually(t, "the other one has noticed, too, or not at all", func() bool {
			if _, _, err := c.queue.Lookout().Look(w.ctx()); err != nil {
				t.Fatal(err)
			}
			select {
			case conv := <-c.queue.Due():
				if n, err := c.queue.Claim(w.ctx(), conv); n != nil || err != nil {
					t.Fatalf("%s was claimed from a process that lives: %v", conv, err)
				}
			case <-time.After(20 * time.Millisecond):
			}
			return time.Since(time.UnixMilli(int64(m.Generation()))) > w.queue.TTL
		})
		if err := m.Renew(w.ctx()); err != nil {
			t.Errorf("the successor's lease: %v", err)
		}
	})
}
