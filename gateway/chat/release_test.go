package chat_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat"
)

// A renewal that is on its way when the lease is released does not bring it
// back: the next question would wait for it to run out. Nor does its failing
// look as if Redis were away, for which this process would claim nothing for a
// while.
func TestReleasedIsReleased(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		w.queue.TTL = time.Minute
		a := w.start(nil)
		for i := range 40 {
			conv := fmt.Sprint("conv", i)
			w.ask(conv, fmt.Sprint("r", i))
			l := a.claim(conv)
			items, err := l.Inbox(w.ctx())
			if err != nil || len(items) != 1 {
				t.Fatalf("in the inbox are %v, %v", items, err)
			}
			var renewals sync.WaitGroup
			for range 4 {
				renewals.Go(func() {
					for l.Context().Err() == nil {
						_ = l.Renew(l.Context())
					}
				})
			}
			if err := l.Remove(w.ctx(), items[0]); err != nil {
				t.Fatal(err)
			}
			if released, err := l.Release(w.ctx()); err != nil || !released {
				t.Fatalf("released: %v, %v", released, err)
			}
			renewals.Wait()
			_, _, own, due := chat.KeysOf(conv)
			if lease := w.rdb.HGet(w.ctx(), own, "lease").Val(); lease != "0" {
				t.Fatalf("the lease of %s is held until %s", conv, lease)
			}
			if n := w.rdb.ZCard(w.ctx(), due).Val(); n != 0 {
				t.Fatalf("%s is due", conv)
			}
			if !a.queue.Settled(conv) {
				t.Fatalf("after the release of %s nothing is claimed", conv)
			}
		}
	})
}
