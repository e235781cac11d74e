package chat

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// A renewer brings the renewals of a replica's leases to Redis, those of one
// moment in one pipeline. One pipeline is under way at a time: what comes
// meanwhile goes with the next. In a cluster each renewal goes by itself, so
// that a node that does not answer holds up nobody whose lease is on another
// one. All methods may be called concurrently.
type renewer struct {
	rdb     redis.UniversalClient
	limit   time.Duration // of one pipeline, well below the leases' ttl
	sharded bool

	mu      sync.Mutex
	waiting []*renewal
	sending bool // somebody sends what waits
}

// A renewal is one run of the script.
type renewal struct {
	keys []string
	args []any
	cmd  *redis.Cmd
	done chan struct{}
}

// renew runs the script and returns what it says. It returns when the script
// can no longer be on its way, whatever becomes of ctx.
func (r *renewer) renew(ctx context.Context, keys []string, args ...any) ([]int64, error) {
	if r.sharded {
		return r.alone(ctx, keys, args)
	}
	one := &renewal{keys: keys, args: args, done: make(chan struct{})}
	r.mu.Lock()
	r.waiting = append(r.waiting, one)
	lead := !r.sending
	r.sending = true
	r.mu.Unlock()
	if lead {
		go r.send()
	}
	<-one.done
	if redis.HasErrorPrefix(one.cmd.Err(), "NOSCRIPT") {
		return r.alone(ctx, keys, args)
	}
	return one.cmd.Int64Slice()
}

// alone renews one lease. A renewal that was given up would still be on its
// way, past a release behind it.
func (r *renewer) alone(ctx context.Context, keys []string, args []any) ([]int64, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.limit)
	defer cancel()
	return renewScript.Run(ctx, r.rdb, keys, args...).Int64Slice()
}

// send sends until nothing waits. Whoever waits for a renewal waits for it.
func (r *renewer) send() {
	for {
		r.mu.Lock()
		batch := r.waiting
		r.waiting = nil
		r.sending = len(batch) > 0
		r.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		r.pipe(batch)
	}
}

func (r *renewer) pipe(batch []*renewal) {
	ctx, cancel := context.WithTimeout(context.Background(), r.limit)
	defer cancel()
	p := r.rdb.Pipeline()
	for _, one := range batch {
		one.cmd = p.EvalSha(ctx, renewScript.Hash(), one.keys, one.args...)
	}
	_, _ = p.Exec(ctx) // each command has its own error
	for _, one := range batch {
		close(one.done)
	}
}
