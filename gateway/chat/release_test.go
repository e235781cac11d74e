package chat_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

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

// Nor does one that whoever asked for it has given up: it may be on its way
// still.
func TestARenewalThatIsGivenUpStaysBeforeTheRelease(t *testing.T) {
	inBubble(t, func(t *testing.T, client func() redis.UniversalClient) {
		for name, client := range map[string]func() redis.UniversalClient{"alone": client, "cluster": func() redis.UniversalClient { return oneNode(t, client()) }} {
			w := newWorld(t, client)
			w.queue.TTL = time.Minute
			a := w.start(nil)
			w.ask(name, "r"+name)
			l := a.claim(name)
			items, err := l.Inbox(w.ctx())
			if err != nil || len(items) != 1 || l.Remove(w.ctx(), items[0]) != nil {
				t.Fatalf("in the inbox are %v, %v", items, err)
			}
			if err := l.Renew(w.ctx()); err != nil { // Redis knows the script from here on
				t.Fatal(err)
			}
			ctx, giveUp := context.WithTimeout(w.ctx(), time.Millisecond)
			_ = l.Renew(ctx)
			giveUp()
			if released, err := l.Release(w.ctx()); err != nil || !released {
				t.Fatalf("released: %v, %v", released, err)
			}
			time.Sleep(time.Second) // all that was on its way has come
			_, _, own, _ := chat.KeysOf(name)
			if lease := w.rdb.HGet(w.ctx(), own, "lease").Val(); lease != "0" {
				t.Errorf("%s: the lease is held until %s", name, lease)
			}
		}
	})
}

// oneNode returns a client of a cluster of one node, to which renewals are on
// their way for longer than the rest.
func oneNode(t *testing.T, node redis.UniversalClient) redis.UniversalClient {
	dial := node.(*redis.Client).Options().Dialer
	c := redis.NewClusterClient(&redis.ClusterOptions{
		ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
			return []redis.ClusterSlot{{Start: 0, End: 16383, Nodes: []redis.ClusterNode{{Addr: "127.0.0.1:1"}}}}, nil
		},
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			return &longWay{Conn: conn}, err
		},
		ContextTimeoutEnabled:    true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	c.AddHook(chat.Once{})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// longWay is a connection on which a renewal takes a while to arrive, even if
// its sender hangs up.
type longWay struct {
	net.Conn
	late sync.WaitGroup
}

func (c *longWay) Write(b []byte) (int, error) {
	if !bytes.Contains(b, []byte(chat.RenewHash())) {
		_, err := c.Conn.Write(bytes.ReplaceAll(b, []byte("$8\r\nspublish"), []byte("$7\r\npublish"))) // it knows no other
		return len(b), err
	}
	sent := bytes.Clone(b)
	c.late.Go(func() {
		time.Sleep(20 * time.Millisecond)
		_, _ = c.Conn.Write(sent)
	})
	return len(b), nil
}

func (c *longWay) Close() error {
	go func() {
		c.late.Wait()
		time.Sleep(time.Millisecond) // what is written is read
		_ = c.Conn.Close()
	}()
	return nil
}
