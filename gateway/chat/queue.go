package chat

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/llm"
)

// An Archive is what a claim needs of the store. The store defines it by its
// own suite of tests.
type Archive interface {
	// Claimed remembers a generation. It returns [ErrFenced] if the
	// conversation has this or a later one by another nonce.
	Claimed(ctx context.Context, conv string, generation uint64, nonce string) error
	Generation(ctx context.Context, conv string) (uint64, error)
	History(ctx context.Context, conv, before string, limit int) (msgs []llm.Message, next string, err error)
	RunRecord(ctx context.Context, run string) (RunRecord, error)
	// Waiting returns the run of a conversation that waits for people, and all
	// that it has asked, or [ErrNotFound].
	Waiting(ctx context.Context, conv string) (RunRecord, []Ask, error)
}

// QueueOptions are the settings of a [Queue]. Zero values are the defaults.
type QueueOptions struct {
	TTL    time.Duration // of a lease, unless it is renewed: 2 s
	Linger time.Duration // of a pipeline right behind another: 1 ms; negative for none
	LogTTL time.Duration // how far back a log reaches once nobody writes it: 10 min

	MaxQueued  int // bytes put and not yet in Redis; at it, [Lease.Room] waits: 1 MiB
	MaxEntries int // that one holder writes before it begins a new generation and trims the log to it: 4,096
	MaxBytes   int // of those entries: 1 MiB
}

// A Queue holds the conversations that are due.
//
// Whether a conversation was just asked or its replica just died makes no
// difference: it is due, and whoever claims it goes on from what its log has.
// There is no recovery apart from the way every answer is begun.
//
// All methods may be called concurrently.
type Queue struct {
	rdb       redis.UniversalClient
	archive   Archive
	bus       *Bus
	log       *Log
	inbox     *Inbox
	pub       *publisher
	renewals  *renewer
	inc       string
	ttl       time.Duration
	heartbeat time.Duration
	logTTL    time.Duration

	maxQueued, maxEntries, maxBytes int

	due      chan string   // conversations that somebody says are due
	suspects chan []string // conversations whose writer is late; 1 slot

	mu      sync.Mutex
	leases  map[string]*Lease     // held by this process
	left    map[string]string     // conversations whose writers are gone, and these
	settled [Partitions]time.Time // no claim of another's conversation before: leases could not be renewed
}

// NewQueue returns the queue of the conversations in rdb.
func NewQueue(rdb redis.UniversalClient, bus *Bus, archive Archive, o QueueOptions) *Queue {
	q := &Queue{
		rdb: rdb, archive: archive, bus: bus, log: NewLog(rdb), inbox: NewInbox(rdb), inc: bus.Incarnation(),
		ttl: positive(o.TTL, 2*time.Second), logTTL: positive(o.LogTTL, logTTL),
		maxQueued: positive(o.MaxQueued, 1<<20), maxEntries: positive(o.MaxEntries, 4096), maxBytes: positive(o.MaxBytes, 1<<20),
		due: make(chan string, 256), suspects: make(chan []string, 1), leases: map[string]*Lease{},
	}
	q.heartbeat = q.ttl / 4
	linger := o.Linger
	if linger == 0 {
		linger = time.Millisecond
	}
	q.pub = newPublisher(rdb, linger)
	q.renewals = &renewer{rdb: rdb, limit: q.ttl / 2, sharded: sharded(rdb)}
	return q
}

// errStopped is the cause of the end of leases that outlive their queue.
var errStopped = errors.New("chat: this process ends")

// Run serves the leases of this process until ctx ends, and then ends those
// that are left: nothing more that is put reaches a log. They are handed over
// to nobody, and lapse.
func (q *Queue) Run(ctx context.Context) error {
	for channel, f := range map[string]func(string){livePrefix + q.inc: q.poke, wakeChannel: q.hint} {
		if err := q.bus.listen(ctx, channel, &listener{message: f}); err != nil && ctx.Err() == nil {
			q.unsettle() // the bus subscribes again as soon as it has a connection
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { q.watch(ctx) })
	q.pub.run(ctx)
	wg.Wait()
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range q.leases {
		l.stop(errStopped)
	}
	return nil
}

// Together has all that is put into logs during f reach Redis in one
// pipeline. It must not be called concurrently with itself.
func (q *Queue) Together(f func()) { q.pub.together(f) }

// Incarnation returns the name of this process.
func (q *Queue) Incarnation() string { return q.inc }

// Due yields conversations that may be due: hints, which may be lost.
func (q *Queue) Due() <-chan string { return q.due }

// hint must not block: it runs on the bus's reader.
func (q *Queue) hint(conv string) {
	select {
	case q.due <- conv:
	default: // the next scan finds it
	}
}

func (q *Queue) poke(conv string) {
	q.mu.Lock()
	l := q.leases[conv]
	q.mu.Unlock()
	if l != nil {
		signal(l.poked)
	} else if conv != "" {
		q.hint(conv)
	}
}

// Wake tells all replicas that a conversation is due, when this one does not
// claim it.
func (q *Queue) Wake(ctx context.Context, conv string) {
	_ = q.rdb.Publish(ctx, wakeChannel, conv).Err() // a hint
}

// trouble notes that Redis failed for a conversation: for one ttl nothing that
// may be another's is claimed, since nobody could renew. In a cluster that
// holds for its partition; what else its node has, the next scan notices.
func (q *Queue) trouble(conv string) { q.unsettle(partition(conv)) }

func (q *Queue) unsettle(partitions ...int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	until := time.Now().Add(q.ttl)
	if c, ok := q.rdb.(*redis.ClusterClient); ok {
		c.ReloadState(context.Background()) // which returns at once
	} else {
		for p := range q.settled {
			q.settled[p] = until
		}
	}
	for _, p := range partitions {
		q.settled[p] = until
	}
}

// isSettled reports whether what seems to be due in a partition is.
func (q *Queue) isSettled(p int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !time.Now().Before(q.settled[p])
}

func (q *Queue) forget(l *Lease) {
	q.mu.Lock()
	if q.leases[l.Conversation] == l {
		delete(q.leases, l.Conversation)
	}
	q.mu.Unlock()
}

// Holds reports whether this process holds a conversation's lease.
func (q *Queue) Holds(conv string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.leases[conv] != nil
}

// Claim returns the lease of a conversation, or nil if it is not due or has a
// writer.
func (q *Queue) Claim(ctx context.Context, conv string) (*Lease, error) {
	if q.Holds(conv) {
		return nil, nil
	}
	sent := time.Now()
	gen, err := q.claim(ctx, conv, rand.Text())
	if errors.Is(err, ErrFenced) || errors.Is(err, errNotDue) {
		return nil, nil
	}
	if errors.Is(err, ErrNotFound) {
		return nil, q.drop(ctx, conv)
	}
	if err != nil {
		return nil, err
	}
	l := q.lease(ctx, conv, gen)
	same, err := l.load(ctx)
	if err == nil {
		err = l.open(gen, "claim", sent, same)
	}
	if err != nil {
		l.stop(err)
		return nil, err
	}
	q.mu.Lock()
	q.leases[conv] = l
	q.mu.Unlock()
	go l.keep()
	return l, nil
}

func (q *Queue) lease(ctx context.Context, conv string, gen uint64) *Lease {
	l := &Lease{
		Conversation: conv, q: q, keys: keysOf(conv), gen: gen,
		done: make(chan struct{}), asking: make(chan struct{}, 1), poked: make(chan struct{}, 1), doubt: make(chan struct{}, 1),
		changed: make(chan struct{}), spaced: make(chan struct{}),
	}
	l.ctx, l.stop = context.WithCancelCause(context.WithoutCancel(ctx))
	return l
}

// drop forgets what waits for a conversation that was deleted.
func (q *Queue) drop(ctx context.Context, conv string) error {
	k := keysOf(conv)
	pipe := q.rdb.TxPipeline()
	pipe.Del(ctx, k.in, k.own)
	pipe.ZRem(ctx, k.due, conv)
	_, err := pipe.Exec(ctx)
	return err
}

// errNotDue says that there is nothing to claim.
var errNotDue = errors.New("chat: not due")

// claim begins a generation in Redis and has the store remember it, in this
// order.
func (q *Queue) claim(ctx context.Context, conv, nonce string) (uint64, error) {
	gen, err := q.claimRedis(ctx, conv, nonce, 0, 0, q.leftBy(conv))
	if err != nil {
		return 0, err
	}
	err = q.archive.Claimed(ctx, conv, gen, nonce)
	if !errors.Is(err, ErrFenced) {
		return gen, err
	}
	// The store knows a later generation: Redis was wiped or rolled back, or
	// its clock was set back. Or another writer came in between.
	stored, err := q.archive.Generation(ctx, conv)
	if err != nil {
		return 0, err
	}
	if gen, err = q.claimRedis(ctx, conv, nonce+"'", gen, stored, ""); err != nil {
		return 0, err
	}
	return gen, q.archive.Claimed(ctx, conv, gen, nonce+"'")
}

// reclaim begins another generation for a writer in doubt, whose generations
// were ours, the last of which Redis may have and the store not. The store
// says whether another writer came in between: Redis may have forgotten it.
func (q *Queue) reclaim(ctx context.Context, conv, nonce string, ours []uint64) (uint64, error) {
	stored, err := q.archive.Generation(ctx, conv)
	if err != nil {
		return 0, err
	}
	if !slices.Contains(ours, stored) {
		return 0, ErrFenced
	}
	return q.claimRedis(ctx, conv, nonce, ours[len(ours)-1], stored, "")
}

// claimRedis begins a generation in Redis. dead names a writer that is gone,
// whose lease need not be waited for.
func (q *Queue) claimRedis(ctx context.Context, conv, nonce string, held, stored uint64, dead string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, q.ttl/2) // it may be asked again, at a Redis that has taken over
	defer cancel()
	k := keysOf(conv)
	heldArg := ""
	if held > 0 {
		heldArg = strconv.FormatUint(held, 10)
	}
	v, err := claimScript.Run(ctx, q.rdb, []string{k.own, k.in, k.due},
		conv, q.inc, q.ttl.Milliseconds(), dead, q.idle().Milliseconds(), nonce, heldArg, stored, ownTTL.Milliseconds()).Slice()
	if err != nil {
		q.trouble(conv)
		return 0, fmt.Errorf("chat: claim %s: %w", conv, err)
	}
	switch code, _ := v[0].(int64); code {
	case 1:
		s, _ := v[1].(string)
		return strconv.ParseUint(s, 10, 64)
	case -1:
		return 0, ErrFenced
	default:
		return 0, errNotDue
	}
}

func positive[T int | time.Duration](d, def T) T {
	if d > 0 {
		return d
	}
	return def
}
