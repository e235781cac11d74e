package fleet

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// How long a seat is kept after its taker was last heard of, and how often a
// taker is heard of.
const (
	seatTTL  = 5 * time.Second
	seatBeat = time.Second
)

// Seats bounds how much of something one person has at the same time on all
// replicas. Whoever takes a seat keeps it until it leaves; a taker that dies
// loses it within seconds. When Redis has been wiped the takers put their
// seats back within a second, and until then more than the limit may be taken.
//
// A seat belongs to what is done on it, not to a replica: whoever goes on with
// that takes the seat over, and nobody is in the way of a takeover.
//
// All methods may be called concurrently; Run is called once.
type Seats struct {
	rdb redis.UniversalClient

	keeping sync.RWMutex // held while seats are kept: none that is given back meanwhile is put in again

	mu   sync.Mutex     // guards all below
	kept map[seat]int64 // until when, in ms of Redis's clock; 0 if it was not counted
	skew time.Duration  // of Redis's clock against this process's
}

type seat struct{ who, what string }

// NewSeats returns Seats that are kept in rdb.
func NewSeats(rdb redis.UniversalClient) *Seats { return &Seats{rdb: rdb, kept: map[seat]int64{}} }

// takeScript counts who sits, the dead left out. KEYS seats; ARGV what limit
// ttl. It returns {taken, until, now}; taken is 0 for no, 1 for a free seat and
// 2 for the one that what has.
var takeScript = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local taken, ttl = 1, now + tonumber(ARGV[3])
local had = redis.call('ZSCORE', KEYS[1], ARGV[1])
if had then
  taken, ttl = 2, math.max(ttl, tonumber(had) + 1) -- by which whoever had it sees that it is theirs no more
elseif redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then
  return {0, 0, now}
end
redis.call('ZADD', KEYS[1], string.format('%.0f', ttl), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {taken, ttl, now}`)

// leaveScript frees a seat, unless somebody has taken it over since. KEYS
// seats; ARGV what until.
var leaveScript = redis.NewScript(`
local s = redis.call('ZSCORE', KEYS[1], ARGV[1])
if s and tonumber(s) <= tonumber(ARGV[2]) then redis.call('ZREM', KEYS[1], ARGV[1]) end
return 1`)

func seatsKey(who string) string { return "parley:seats:" + who }

// Take takes a seat of who's for what, if what has none, and reports whether
// it has one now. With less than limit seats taken it gets one. An error means
// that it could not be counted: the seat is had, and put in when it can be.
//
// give gives the seat back; if it was what's before, give leaves it to whoever
// took it first, unless ours is true: whatever was to be done is done here.
func (s *Seats) Take(ctx context.Context, who, what string, limit int) (give func(ctx context.Context, ours bool), ok bool, err error) {
	v, err := takeScript.Run(ctx, s.rdb, []string{seatsKey(who)}, what, limit, seatTTL.Milliseconds()).Int64Slice()
	if err == nil && v[0] == 0 {
		return nil, false, nil
	}
	taken, until := int64(2), int64(0)
	if err == nil {
		taken, until = v[0], v[1]
	} else {
		err = fmt.Errorf("fleet: seat of %s: %w", who, err)
	}
	one := seat{who, what}
	s.mu.Lock()
	if until > 0 {
		s.skew = time.Until(time.UnixMilli(v[2]))
	}
	s.kept[one] = until
	s.mu.Unlock()
	return func(ctx context.Context, ours bool) { s.give(ctx, one, ours || taken == 1) }, true, err
}

func (s *Seats) give(ctx context.Context, one seat, free bool) {
	s.keeping.RLock()
	defer s.keeping.RUnlock()
	s.mu.Lock()
	until := s.kept[one]
	delete(s.kept, one)
	s.mu.Unlock()
	if free && until > 0 {
		_ = leaveScript.Run(ctx, s.rdb, []string{seatsKey(one.who)}, one.what, until).Err() // it lapses
	}
}

// Run keeps what is taken until ctx ends.
func (s *Seats) Run(ctx context.Context) error {
	tick := time.NewTicker(seatBeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.keep(ctx)
		}
	}
}

// keep renews all seats in one pipeline.
func (s *Seats) keep(ctx context.Context) {
	s.keeping.Lock()
	defer s.keeping.Unlock()
	s.mu.Lock()
	until := time.Now().Add(s.skew + seatTTL).UnixMilli()
	seats := map[string][]redis.Z{}
	for one, before := range s.kept {
		s.kept[one] = max(before, until)
		seats[one.who] = append(seats[one.who], redis.Z{Score: float64(until), Member: one.what})
	}
	s.mu.Unlock()
	if len(seats) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, seatBeat)
	defer cancel()
	pipe := s.rdb.Pipeline()
	for who, zs := range seats {
		pipe.ZAddGT(ctx, seatsKey(who), zs...)
		pipe.PExpire(ctx, seatsKey(who), seatTTL)
	}
	_, _ = pipe.Exec(ctx) // what fails is done again in a second
}
