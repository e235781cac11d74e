package chat

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"parley/gateway/chat/inprocess"
)

// Whoever leaves a conversation and joins it again at once must hear of it,
// in whatever order the subscriptions of both are carried out.
func TestJoiningAgainAtOnceIsHeard(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			r := inprocess.New()
			defer r.Close()
			rdb := r.Client()
			defer rdb.Close()
			bus := NewBus(rdb, "me")
			hub := NewHub(rdb, bus, HubOptions{})
			ctx, stop := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { _ = bus.Run(ctx) })
			wg.Go(func() { _ = hub.Run(ctx) })
			hub.Join("conv", Position{}, func() {}).Leave()
			f := hub.Join("conv", Position{}, func() {})
			synctest.Wait()
			if _, ready, err := f.Take(ctx, 1); !ready || err != nil {
				t.Errorf("ready %v, %v", ready, err)
			}
			f.Leave()
			synctest.Wait()
			if n := rdb.PubSubNumSub(ctx, keysOf("conv").bell).Val()[keysOf("conv").bell]; n != 0 {
				t.Errorf("%d subscriptions are left", n)
			}
			stop()
			wg.Wait()
		})
	}
}
