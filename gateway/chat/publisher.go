package chat

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// A publisher sends what all conversations of a replica have to append. In a
// cluster each partition has a lane of its own, so that a node that does not
// answer holds up nobody whose log is on another one.
type publisher struct {
	lanes []*lane
}

func newPublisher(rdb redis.UniversalClient, linger time.Duration) *publisher {
	p := &publisher{lanes: make([]*lane, 1)}
	if sharded(rdb) {
		p.lanes = make([]*lane, Partitions)
	}
	for i := range p.lanes {
		p.lanes[i] = &lane{rdb: rdb, linger: linger, kick: make(chan struct{}, 1)}
	}
	return p
}

// offer says that l has something to send.
func (p *publisher) offer(l *Lease) {
	p.lanes[partition(l.Conversation)%len(p.lanes)].offer(l)
}

// together has all that is put during f go out in one pipeline of each lane.
func (p *publisher) together(f func()) {
	for _, l := range p.lanes {
		l.hold(true)
	}
	f()
	for _, l := range p.lanes {
		l.hold(false)
	}
}

func (p *publisher) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, l := range p.lanes {
		all.Go(func() { l.run(ctx) })
	}
	all.Wait()
}

// A lane sends shared pipelines of XADD and PUBLISH. One is under way at a
// time: what is put meanwhile goes with the next, so that load makes pipelines
// longer and never a queue.
type lane struct {
	rdb    redis.UniversalClient
	linger time.Duration // how long a pipeline waits for others right behind another

	mu    sync.Mutex
	ready []*Lease      // have something queued; owned by mu
	held  bool          // more is about to come; owned by mu
	kick  chan struct{} // 1 slot
}

// A parcel is what one lease sends in one pipeline.
type parcel struct {
	lease   *Lease
	gen     uint64
	records []record
	adds    []*redis.StringCmd
}

// offer says that l has something to send. l is in ready at most once.
func (p *lane) offer(l *Lease) {
	p.mu.Lock()
	p.ready = append(p.ready, l)
	held := p.held
	p.mu.Unlock()
	if !held {
		signal(p.kick)
	}
}

// hold keeps back what is offered until it is called again.
func (p *lane) hold(held bool) {
	p.mu.Lock()
	p.held = held
	waiting := len(p.ready) > 0
	p.mu.Unlock()
	if !held && waiting {
		signal(p.kick)
	}
}

func (p *lane) run(ctx context.Context) {
	var sent [3]time.Time // the last pipelines, in turn
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-p.kick:
		}
		// A question, the first piece of its answer and the end of the one
		// before are pipelines that nobody wants to wait; a fourth so soon is
		// a load.
		if p.linger > 0 && time.Since(sent[i%3]) < 4*p.linger {
			pauseFor(ctx, p.linger)
		}
		p.send()
		sent[i%3] = time.Now()
	}
}

// send brings everything that is queued to Redis.
func (p *lane) send() {
	p.mu.Lock()
	ready := p.ready
	p.ready = nil
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	pipe := p.rdb.Pipeline()
	parcels := make([]parcel, 0, len(ready))
	for _, l := range ready {
		if pc := l.take(); len(pc.records) > 0 {
			pc.write(ctx, p.rdb, pipe)
			parcels = append(parcels, pc)
		}
	}
	if len(parcels) == 0 {
		return
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for _, pc := range parcels {
		pc.lease.sent(pc)
	}
}

func (pc *parcel) write(ctx context.Context, rdb redis.UniversalClient, pipe redis.Pipeliner) {
	k := pc.lease.keys
	for _, r := range pc.records {
		pc.adds = append(pc.adds, pipe.XAdd(ctx, &redis.XAddArgs{Stream: k.log, ID: r.at.String(), Values: []any{field, r.raw}}))
		ring(ctx, rdb, pipe, k.bell, r.bell())
	}
}

// err returns the first error of an append. It never means that nothing was
// appended.
func (pc *parcel) err() error {
	for _, a := range pc.adds {
		if a.Err() != nil {
			return a.Err()
		}
	}
	return nil
}

// maxBell is the size above which an entry is rung as its bare id, and read.
const maxBell = 8 << 10

func (r record) bell() string {
	if len(r.raw) > maxBell {
		return `{"at":"` + r.at.String() + `"}`
	}
	return r.raw
}

func pauseFor(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
