package chat_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"parley/gateway/chat"
	"parley/gateway/chat/inprocess"
)

// A forgetful connection loses the reply to whatever appends, after the
// server has carried it out.
type forgetful struct {
	net.Conn
	lost, ended atomic.Bool
}

func (c *forgetful) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("XADD")) || bytes.Contains(b, []byte("xadd")) {
		c.lost.Store(true)
	}
	return c.Conn.Write(b)
}

func (c *forgetful) Read(b []byte) (int, error) {
	if c.ended.Load() {
		return 0, io.EOF
	}
	n, err := c.Conn.Read(b)
	if c.lost.Load() {
		c.ended.Store(true)
		return 0, io.EOF
	}
	return n, err
}

// A cluster's client of its own accord sends four times what it has no reply
// to.
func TestNothingIsSentAgainWithoutAReply(t *testing.T) {
	add := &redis.XAddArgs{Stream: "log", Values: []any{"e", "x"}}
	for name, send := range map[string]func(ctx context.Context, c *redis.ClusterClient) error{
		"a command": func(ctx context.Context, c *redis.ClusterClient) error { return c.XAdd(ctx, add).Err() },
		"a script": func(ctx context.Context, c *redis.ClusterClient) error {
			return c.Eval(ctx, `return redis.call('XADD', KEYS[1], '*', 'e', 'x')`, []string{"log"}).Err()
		},
		"a pipeline": func(ctx context.Context, c *redis.ClusterClient) error {
			_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error { p.XAdd(ctx, add); return nil })
			return err
		},
		"a transaction": func(ctx context.Context, c *redis.ClusterClient) error {
			_, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error { p.XAdd(ctx, add); return nil })
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := inprocess.New()
			defer r.Close()
			direct := r.Client()
			defer func() { _ = direct.Close() }()
			c := redis.NewClusterClient(&redis.ClusterOptions{
				ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
					return []redis.ClusterSlot{{Start: 0, End: 16383, Nodes: []redis.ClusterNode{{Addr: "127.0.0.1:1"}}}}, nil
				},
				Dialer: func(context.Context, string, string) (net.Conn, error) {
					conn, err := r.Dial()
					return &forgetful{Conn: conn}, err
				},
				MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
			})
			c.AddHook(chat.Once{})
			defer func() { _ = c.Close() }()
			if err := send(t.Context(), c); err == nil {
				t.Error("a lost reply is no error")
			}
			eventually(t, "it is carried out", func() bool { return direct.XLen(t.Context(), "log").Val() > 0 })
			if n := direct.XLen(t.Context(), "log").Val(); n != 1 {
				t.Errorf("it was carried out %d times", n)
			}
		})
	}
}
