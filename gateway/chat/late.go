package chat

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// A writer that dies leaves its lease to run out. So as not to wait for that,
// every replica looks at the conversations whose lease was not renewed when it
// should have been: if nobody listens any more on the channel that the writer
// listens to while it lives, its conversations are claimed at once.
//
// This makes a takeover faster and never decides anything. A writer that is
// still there is fenced like any other; one that stands still with its
// connection open, and one of which it cannot be known, keeps its lease until
// it runs out.

// maxLate bounds how many conversations are looked at together.
const maxLate = 256

// late reports whether a lease that ends at a time should have been renewed:
// an eighth of a heartbeat is for a writer that is busy.
func (q *Queue) late(end, now time.Time) bool {
	return end.Sub(now) < q.ttl-q.heartbeat*9/8
}

// suspect hands conversations to the one that looks after them, unless it is
// busy with others; then the next scan finds these again.
func (q *Queue) suspect(convs []string) {
	if len(convs) == 0 {
		return
	}
	select {
	case q.suspects <- convs[:min(len(convs), maxLate)]:
	default:
	}
}

// watch looks after suspects until ctx ends.
func (q *Queue) watch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case convs := <-q.suspects:
			for _, conv := range q.orphans(ctx, convs) {
				q.hint(conv)
			}
		}
	}
}

// orphans returns those conversations whose writers are gone, as two looks
// agree, and has them claimed in spite of their leases.
func (q *Queue) orphans(ctx context.Context, convs []string) (gone []string) {
	ctx, cancel := context.WithTimeout(ctx, q.ttl)
	defer cancel()
	owners := q.owners(ctx, convs)
	if !q.deaf(ctx, owners) {
		return nil
	}
	pauseFor(ctx, q.idle()-q.heartbeat*9/8) // a connection that is being made again is back by then
	if !q.deaf(ctx, owners) {
		return nil
	}
	left := map[string]string{}
	for inc, convs := range owners {
		for _, conv := range convs {
			left[conv] = inc
			gone = append(gone, conv)
		}
	}
	q.mu.Lock()
	q.left = left
	q.mu.Unlock()
	return gone
}

// owners returns the conversations by their writers, without this process.
func (q *Queue) owners(ctx context.Context, convs []string) map[string][]string {
	pipe := q.rdb.Pipeline()
	owns := make([]*redis.SliceCmd, len(convs))
	for i, conv := range convs {
		owns[i] = pipe.HMGet(ctx, keysOf(conv).own, "inc", "lease")
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	owners := map[string][]string{}
	for i, conv := range convs {
		if o := owns[i].Val(); len(o) == 2 {
			if inc, _ := o[0].(string); inc != "" && inc != q.inc && o[1] != "0" {
				owners[inc] = append(owners[inc], conv)
			}
		}
	}
	return owners
}

// idle is how long a writer must not have renewed before its conversation may
// be claimed in spite of its lease.
func (q *Queue) idle() time.Duration { return q.heartbeat * 3 / 2 }

// deaf leaves those writers of whom it is known that they do not listen, and
// reports whether there are any.
func (q *Queue) deaf(ctx context.Context, owners map[string][]string) bool {
	if len(owners) == 0 {
		return false
	}
	channels := make([]string, 0, len(owners))
	for inc := range owners {
		channels = append(channels, livePrefix+inc)
	}
	n, err := subscribers(ctx, q.rdb, channels)
	if err != nil {
		return false
	}
	for inc := range owners {
		if subscribers, known := n[livePrefix+inc]; !known || subscribers > 0 {
			delete(owners, inc)
		}
	}
	return len(owners) > 0
}

// leftBy returns the dead writer of a conversation that is to be claimed in
// spite of its lease, or nothing.
func (q *Queue) leftBy(conv string) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	inc := q.left[conv]
	delete(q.left, conv)
	return inc
}
