package chat

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Waiting conversation is due and nobody writes it.
type Waiting struct {
	Conversation string
	Since        time.Time // by this process's clock; long ago for one that was handed over
}

// lookMost is how many conversations of a partition one look sees: 8,192 of
// all partitions, more than a fleet answers at once.
const lookMost = 128

// A Lookout looks at what waits. It must not be used concurrently.
type Lookout struct {
	q       *Queue
	skew    [Partitions]time.Duration // of the clock there against this process's
	further [Partitions]int           // where the next look behind the first ones begins, 0 for nowhere
}

// Lookout returns a look-out over what is due.
func (q *Queue) Lookout() *Lookout { return &Lookout{q: q} }

// A sight is what one sees of a partition.
type sight struct {
	first, further *redis.ZSliceCmd // nil for not looked at
}

// Look returns the conversations that have waited longest in each partition,
// oldest first within it, and, where there are more than it can return, some
// of those behind them, others each time: however many wait, each is seen
// after some looks. With an error it returns what it saw in spite of it.
//
// On the way it notices writers that are late with renewing their leases; if
// they turn out to be gone, what they left comes from [Queue.Due].
func (l *Lookout) Look(ctx context.Context) (first, further []Waiting, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.q.ttl/2)
	defer cancel()
	ns, err := nodes(ctx, l.q.rdb)
	if err != nil {
		l.q.unsettle()
		return nil, nil, fmt.Errorf("chat: look: %w", err)
	}
	var mu sync.Mutex
	var late []string
	var all sync.WaitGroup
	for _, n := range ns {
		all.Go(func() {
			f, m, behind, failed := l.node(ctx, n)
			mu.Lock()
			defer mu.Unlock()
			first, further, late = append(first, f...), append(further, m...), append(late, behind...)
			if failed != nil {
				l.q.unsettle(n.partitions...)
				err = fmt.Errorf("chat: look: %w", failed)
			}
		})
	}
	all.Wait()
	l.q.suspect(late)
	return first, further, err
}

// node looks at the partitions of one node.
func (l *Lookout) node(ctx context.Context, n node) (first, further []Waiting, late []string, err error) {
	pipe := n.rdb.Pipeline()
	clock := pipe.Time(ctx)
	sights := map[int]sight{}
	for _, p := range n.partitions {
		if !l.q.isSettled(p) {
			continue
		}
		s := sight{first: l.read(ctx, pipe, p, 0)}
		if l.further[p] > 0 {
			s.further = l.read(ctx, pipe, p, l.further[p])
		}
		sights[p] = s
	}
	if len(sights) == 0 {
		return nil, nil, nil, nil
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	now, err := clock.Result()
	if err != nil {
		return nil, nil, nil, err
	}
	for p, s := range sights {
		l.skew[p] = time.Until(now)
		if s.first.Err() != nil { // a slot on its way to another node: where it is only the cluster's client finds out
			s.first = l.read(ctx, l.q.rdb, p, 0)
		}
		if s.first.Err() != nil {
			err = s.first.Err()
			continue
		}
		ws, behind := l.sort(p, s.first.Val(), now)
		first, late = append(first, ws...), append(late, behind...)
		if s.further != nil {
			ws, _ = l.sort(p, s.further.Val(), now)
			further = append(further, ws...)
		}
		l.next(p, s)
	}
	return first, further, late, err
}

// read reads what waits and behind that the leases that should have been
// renewed; those that were are not read.
func (l *Lookout) read(ctx context.Context, rdb redis.Cmdable, p, from int) *redis.ZSliceCmd {
	until := time.Now().Add(l.skew[p] + l.q.ttl - l.q.heartbeat*9/8).UnixMilli()
	return rdb.ZRangeArgsWithScores(ctx, redis.ZRangeArgs{
		Key: tag(p) + ":due", ByScore: true, Start: "-inf", Stop: strconv.FormatInt(until, 10), Offset: int64(from), Count: lookMost,
	})
}

// sort tells those that wait from those whose writer is late.
func (l *Lookout) sort(p int, zs []redis.Z, now time.Time) (ws []Waiting, late []string) {
	for _, z := range zs {
		conv, ok := z.Member.(string)
		if !ok || l.q.Holds(conv) {
			continue
		}
		switch end := time.UnixMilli(int64(z.Score)); {
		case !end.After(now):
			ws = append(ws, Waiting{conv, end.Add(-l.skew[p])})
		case l.q.late(end, now):
			late = append(late, conv)
		}
	}
	return ws, late
}

// next says where to look further the next time.
func (l *Lookout) next(p int, s sight) {
	switch {
	case len(s.first.Val()) < lookMost:
		l.further[p] = 0
	case s.further == nil || len(s.further.Val()) < lookMost:
		l.further[p] = lookMost
	default:
		l.further[p] += lookMost
	}
}
