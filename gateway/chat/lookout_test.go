package chat_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat"
)

// However many wait, each is seen after some looks, and those that have waited
// longest are seen each time.
func TestEverybodyWhoWaitsIsSeen(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		const all, oldest = 20_000, 500
		pipe := w.rdb.Pipeline()
		now := w.rdb.Time(w.ctx()).Val().UnixMilli()
		for i := range all {
			conv := fmt.Sprintf("c%d", i)
			_, _, _, due := chat.KeysOf(conv)
			pipe.ZAdd(w.ctx(), due, redis.Z{Score: float64(now - all + int64(i)), Member: conv})
		}
		if _, err := pipe.Exec(w.ctx()); err != nil {
			t.Fatal(err)
		}
		l := w.start(nil).queue.Lookout()
		seen := map[string]bool{}
		for range 5 {
			first, further, err := l.Look(w.ctx())
			if err != nil {
				t.Fatal(err)
			}
			firsts := map[string]bool{}
			for _, x := range first {
				firsts[x.Conversation] = true
			}
			for i := range oldest {
				if !firsts[fmt.Sprintf("c%d", i)] {
					t.Fatalf("c%d of the oldest is not among the %d first", i, len(first))
				}
			}
			if n := len(first) + len(further); n > 2*128*chat.Partitions {
				t.Errorf("one look brought %d", n)
			}
			for _, x := range append(first, further...) {
				seen[x.Conversation] = true
			}
		}
		if len(seen) != all {
			t.Errorf("after 5 looks %d of %d were seen", len(seen), all)
		}
	})
}

func TestALookTellsSinceWhenAConversationWaits(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		q := w.start(nil).queue
		if _, err := w.inbox.Post(w.ctx(), "conv", chat.Item{ID: "i1", Kind: chat.Say}); err != nil {
			t.Fatal(err)
		}
		since := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
		_, _, _, due := chat.KeysOf("conv")
		w.rdb.ZAdd(w.ctx(), due, redis.Z{Score: float64(since.UnixMilli()), Member: "conv"})
		looking := time.Now()
		first, further, err := q.Lookout().Look(w.ctx())
		if err != nil || len(first) != 1 || len(further) != 0 || first[0].Conversation != "conv" {
			t.Fatalf("%v, %v, %v", first, further, err)
		}
		unsure := time.Since(looking) + 2*time.Millisecond // what Redis's clock says is that old when it is heard
		if d := first[0].Since.Sub(since).Abs(); d > unsure {
			t.Errorf("it waits since %v, want %v", first[0].Since, since)
		}
	})
}
