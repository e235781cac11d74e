package chat

import (
	"context"
	"net"

	"github.com/redis/go-redis/v9"
)

// Once is a hook for a [redis.ClusterClient], which would send again whatever
// it got no reply to, as often as it follows redirections. What was sent may
// have been carried out; with Once it is sent again only if the node that got
// it has refused it: because the slot has moved, for example.
//
// The other clients need MaxRetries -1 and no hook.
type Once struct{}

// once is a command that is not to be sent again.
type once struct{ redis.Cmder }

// NoRetry implements [redis.Cmder].
func (once) NoRetry() bool { return true }

// DialHook implements [redis.Hook].
func (Once) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook implements [redis.Hook].
func (Once) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return next(ctx, once{cmd}) }
}

// ProcessPipelineHook implements [redis.Hook].
func (Once) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		wrapped := make([]redis.Cmder, len(cmds))
		for i, cmd := range cmds {
			wrapped[i] = once{cmd}
		}
		return next(ctx, wrapped)
	}
}
