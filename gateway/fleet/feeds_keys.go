package fleet

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/tools/feed"
)

var (
	//go:embed lua/feed_claim.lua
	feedClaimLua string
	//go:embed lua/feed_beat.lua
	feedBeatLua string
	//go:embed lua/feed_release.lua
	feedReleaseLua string
	//go:embed lua/feed_read.lua
	feedReadLua string
)

var (
	feedClaimScript   = redis.NewScript(feedClaimLua)
	feedBeatScript    = redis.NewScript(feedBeatLua)
	feedReleaseScript = redis.NewScript(feedReleaseLua)
	feedReadScript    = redis.NewScript(feedReadLua)
)

// feedKeep is how long what is kept of a feed outlives its last writer.
const feedKeep = time.Hour

// feedKeys are a feed's keys: who writes, the lease, the window. They share a
// Cluster slot.
func feedKeys(name string) []string {
	tag := "parley:{feed:" + name + "}"
	return []string{tag + ":own", tag + ":lease", tag + ":win"}
}

// revision identifies a feed as it is declared: the values of another
// declaration mean something else.
func revision(f feed.Feed) string {
	b, err := json.Marshal(f)
	if err != nil { // a member holds bytes that are no JSON
		b = []byte(f.Name)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:12])
}

// Read returns what is in the window of f and how its connection is, by the
// clock of Redis, as every replica sees it.
func (s *Feeds) Read(ctx context.Context, f feed.Feed) (feed.Reading, error) {
	v, err := feedReadScript.Run(ctx, s.rdb, feedKeys(f.Name), revision(f)).StringSlice()
	if err == nil && len(v) < 9 {
		err = fmt.Errorf("%d values", len(v))
	}
	if err != nil {
		return feed.Reading{}, fmt.Errorf("fleet: read feed %s: %w", f.Name, err)
	}
	r := feed.Reading{Now: fromMillis(v[0])}
	r.State = feed.State{Replica: v[1], Connected: fromMillis(v[3]), Down: fromMillis(v[4]), Error: v[8]}
	r.State.PerMinute, _ = strconv.Atoi(v[6])
	r.State.Dropped, _ = strconv.ParseInt(v[7], 10, 64)
	if v[1] == "" || v[2] != revision(f) { // nobody connects, or somebody with what was declared before
		since := r.State.Down
		if since.IsZero() {
			since = fromMillis(v[5])
		}
		r.State = feed.State{Down: since, Error: r.State.Error}
	}
	for _, entry := range v[9:] {
		at, value, _ := strings.Cut(entry, " ")
		r.Values = append(r.Values, feed.Value{At: fromMillis(at), JSON: json.RawMessage(value)})
	}
	return r, nil
}

// fromMillis reads ms since 1970; nothing and 0 are no time.
func fromMillis(s string) time.Time {
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil || ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
