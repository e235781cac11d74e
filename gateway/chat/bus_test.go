package chat

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"parley/gateway/chat/inprocess"
)

func TestBusSaysThatASubscriptionStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inprocess.New()
		defer r.Close()
		rdb := r.Client()
		defer rdb.Close()
		b := NewBus(rdb, "me")
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = b.Run(ctx) })
		joined, heard := make(chan struct{}, 4), make(chan string, 4)
		l := &listener{message: func(p string) { heard <- p }, joined: func() { joined <- struct{}{} }}
		if err := b.listen(ctx, "channel", l); err != nil {
			t.Fatal(err)
		}
		<-joined
		rdb.Publish(ctx, "channel", "hello")
		if p := <-heard; p != "hello" {
			t.Errorf("heard %q", p)
		}
		stop()
		wg.Wait()
	})
}
