package chat

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// CheckRedis looks at a Redis before anything is kept in it. An error says
// that conversations would be damaged; warnings say what could be better.
// What a Redis does not tell, because CONFIG is forbidden, is not held against
// it.
func CheckRedis(ctx context.Context, rdb redis.UniversalClient) (warnings []string, err error) {
	if err := rdb.Ping(ctx).Err(); err != nil {
		return nil, fmt.Errorf("PARLEY_REDIS: no Redis answers there; start one, correct the address, or leave it empty for one inside the process: %w", err)
	}
	policy := rdb.ConfigGet(ctx, "maxmemory-policy").Val()["maxmemory-policy"]
	if policy != "" && policy != "noeviction" {
		return nil, fmt.Errorf("PARLEY_REDIS: maxmemory-policy is %s, with which Redis throws parts of conversations away: set it to noeviction", policy)
	}
	if v := version(rdb.Info(ctx, "server").Val()); v != "" && olderThan7(v) {
		return nil, fmt.Errorf("PARLEY_REDIS: Redis %s is too old: 7.0 or later is needed", v)
	}
	if rdb.ConfigGet(ctx, "appendonly").Val()["appendonly"] == "no" {
		warnings = append(warnings, "appendonly is off: running answers begin again after a restart of Redis")
	}
	return warnings, nil
}

func version(info string) string {
	_, rest, ok := strings.Cut(info, "redis_version:")
	if !ok {
		return ""
	}
	v, _, _ := strings.Cut(rest, "\r\n")
	return strings.TrimSpace(v)
}

func olderThan7(v string) bool {
	major, _, _ := strings.Cut(v, ".")
	return len(major) == 1 && major < "7"
}
