package fleet

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/tools"
)

// statsBeat is how often a replica writes what it has counted.
const statsBeat = time.Second

// maxTallied bounds the tools that are counted between two beats.
const maxTallied = 4096

// Stats count the calls of tools over all replicas: by minutes for an hour and
// by quarters of an hour for a day. A call is counted in memory, and what was
// counted is written once a second; what Redis does not take then is lost.
// All methods may be called concurrently; Run is called once.
type Stats struct {
	rdb redis.UniversalClient

	mu      sync.Mutex        // guards all below
	tallies map[string]*tally // by tool, since the last beat
}

// A scale is a length of time that uses are counted by, and for how long.
type scale struct {
	name   string
	step   time.Duration
	pieces int
}

var (
	minutes  = scale{"m", time.Minute, 60}
	quarters = scale{"q", 15 * time.Minute, 96}
)

// key is that of the piece of time which at lies in, so many pieces before.
func (s scale) key(at time.Time, before int) string {
	return fmt.Sprintf("parley:stats:%s%d", s.name, at.UnixMilli()/s.step.Milliseconds()-int64(before))
}

// bounds are the upper ends in ms of the classes by which latencies are
// counted; the last class has none.
var bounds = [...]int64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 60_000}

// A tally is one tool's calls: how many, failed, cached, and by class of
// latency.
type tally [3 + len(bounds) + 1]int64

const (
	calls = iota
	failed
	cached
	classes
)

// NewStats returns Stats that are kept in rdb.
func NewStats(rdb redis.UniversalClient) *Stats {
	return &Stats{rdb: rdb, tallies: map[string]*tally{}}
}

var _ tools.Observer = (*Stats)(nil)

// Observe implements [tools.Observer].
func (s *Stats) Observe(tool string, took time.Duration, o tools.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tallies[tool]
	if t == nil {
		if len(s.tallies) >= maxTallied {
			return
		}
		t = &tally{}
		s.tallies[tool] = t
	}
	t[calls]++
	if o.Failed {
		t[failed]++
	}
	if o.Cache != "" {
		t[cached]++
	}
	t[classes+classOf(took)]++
}

func classOf(took time.Duration) int {
	for i, b := range bounds {
		if took < time.Duration(b)*time.Millisecond {
			return i
		}
	}
	return len(bounds)
}

// Run writes what is counted until ctx ends, and then once more.
func (s *Stats) Run(ctx context.Context) error {
	tick := time.NewTicker(statsBeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.write(context.WithoutCancel(ctx))
			return nil
		case <-tick.C:
			s.write(ctx)
		}
	}
}

// write adds everything that was counted since the last time, in one pipeline.
func (s *Stats) write(ctx context.Context) {
	s.mu.Lock()
	counted := s.tallies
	if len(counted) == 0 {
		s.mu.Unlock()
		return
	}
	s.tallies = make(map[string]*tally, len(counted))
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, statsBeat)
	defer cancel()
	now := time.Now()
	pipe := s.rdb.Pipeline()
	for _, sc := range []scale{minutes, quarters} {
		key := sc.key(now, 0)
		for tool, t := range counted {
			for i, n := range t {
				if n > 0 {
					pipe.HIncrBy(ctx, key, field(tool, i), n)
				}
			}
		}
		pipe.Expire(ctx, key, sc.step*time.Duration(sc.pieces+1))
	}
	_, _ = pipe.Exec(ctx) // what fails may have been counted, so it is not counted again
}

func field(tool string, i int) string { return tool + "|" + strconv.Itoa(i) }

// Hour returns how each tool that was called has been used in the last hour.
func (s *Stats) Hour(ctx context.Context) (map[string]tools.Use, error) {
	now := time.Now()
	pipe := s.rdb.Pipeline()
	replies := make([]*redis.MapStringStringCmd, minutes.pieces)
	for i := range replies {
		replies[i] = pipe.HGetAll(ctx, minutes.key(now, i))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("fleet: stats: %w", err)
	}
	sums := map[string]*tally{}
	for _, r := range replies {
		for f, text := range r.Val() {
			addField(sums, f, text)
		}
	}
	uses := make(map[string]tools.Use, len(sums))
	for tool, t := range sums {
		uses[tool] = t.use()
	}
	return uses, nil
}

func addField(sums map[string]*tally, f, text string) {
	at := strings.LastIndexByte(f, '|')
	i, err1 := strconv.Atoi(f[at+1:])
	n, err2 := strconv.ParseInt(text, 10, 64)
	if at < 0 || err1 != nil || err2 != nil || i < 0 || i >= len(tally{}) {
		return // of another version
	}
	t := sums[f[:at]]
	if t == nil {
		t = &tally{}
		sums[f[:at]] = t
	}
	t[i] += n
}

// Series returns how one tool has been used of late.
func (s *Stats) Series(ctx context.Context, tool string) (out tools.UseSeries, err error) {
	now := time.Now()
	fields := make([]string, len(tally{}))
	for i := range fields {
		fields[i] = field(tool, i)
	}
	pipe := s.rdb.Pipeline()
	hour := askPieces(ctx, pipe, minutes, now, fields)
	day := askPieces(ctx, pipe, quarters, now, fields)
	if _, err := pipe.Exec(ctx); err != nil {
		return out, fmt.Errorf("fleet: stats of %s: %w", tool, err)
	}
	return tools.UseSeries{Hour: points(minutes, now, hour), Day: points(quarters, now, day)}, nil
}

// askPieces asks for a tool's fields in each piece of time, the oldest first.
func askPieces(ctx context.Context, pipe redis.Pipeliner, sc scale, now time.Time, fields []string) []*redis.SliceCmd {
	replies := make([]*redis.SliceCmd, sc.pieces)
	for i := range replies {
		replies[i] = pipe.HMGet(ctx, sc.key(now, sc.pieces-1-i), fields...)
	}
	return replies
}

func points(sc scale, now time.Time, replies []*redis.SliceCmd) []tools.UsePoint {
	out := make([]tools.UsePoint, len(replies))
	for i, r := range replies {
		var t tally
		for j, v := range r.Val() {
			text, _ := v.(string)
			t[j], _ = strconv.ParseInt(text, 10, 64)
		}
		begins := now.Truncate(sc.step).Add(-time.Duration(len(replies)-1-i) * sc.step)
		out[i] = tools.UsePoint{At: begins.UTC(), Use: t.use()}
	}
	return out
}

func (t *tally) use() tools.Use {
	return tools.Use{Calls: t[calls], Failed: t[failed], Cached: t[cached], P50Ms: t.quantile(0.5), P95Ms: t.quantile(0.95)}
}

// quantile is the latency in ms below which that share of the calls lies, as
// well as the classes tell: within one they are taken to lie evenly.
func (t *tally) quantile(share float64) int64 {
	var all int64
	for _, n := range t[classes:] {
		all += n
	}
	rank, low := share*float64(all), int64(0)
	for i, n := range t[classes:] {
		if i == len(bounds) {
			break
		}
		if n > 0 && float64(n) >= rank {
			return low + int64(rank/float64(n)*float64(bounds[i]-low))
		}
		rank, low = rank-float64(n), bounds[i]
	}
	return low
}
