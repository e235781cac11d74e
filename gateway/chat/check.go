package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// CheckRedis looks at a Redis before anything is kept in it, at each primary
// if it is a cluster. An error says that Parley could not work with it, or
// that conversations would be damaged, and what to do; warnings say what could
// be better. What a Redis does not tell is not held against it.
func CheckRedis(ctx context.Context, rdb redis.UniversalClient) (warnings []string, err error) {
	ns, err := nodes(ctx, rdb)
	if err != nil {
		return nil, explain(err)
	}
	for _, n := range ns {
		told, err := n.check(ctx, rdb)
		if err != nil {
			return nil, n.errorf(rdb, err)
		}
		for _, w := range told { // most likely the same of all
			if !slices.Contains(warnings, w) {
				warnings = append(warnings, w)
			}
		}
	}
	return warnings, mayListen(ctx, rdb)
}

// Check reports why nothing can be kept in Redis at the moment, nil if
// something can: in a cluster, at one of its primaries at least.
func Check(ctx context.Context, rdb redis.UniversalClient) error {
	ns, err := nodes(ctx, rdb)
	if err != nil {
		return explain(err)
	}
	var errs []error
	for _, n := range ns {
		err := n.rdb.Set(ctx, tag(n.partitions[0])+":check", "", time.Minute).Err()
		if err == nil {
			return nil
		}
		errs = append(errs, n.errorf(rdb, explain(err)))
	}
	return errors.Join(errs...)
}

// errorf names the node that an error is about, if it is one of several.
func (n node) errorf(rdb redis.UniversalClient, err error) error {
	if c, ok := n.rdb.(*redis.Client); ok && n.rdb != rdb {
		return fmt.Errorf("%s: %w", c.Options().Addr, err)
	}
	return err
}

func (n node) check(ctx context.Context, rdb redis.UniversalClient) (warnings []string, err error) {
	if err := n.rdb.Ping(ctx).Err(); err != nil {
		return nil, explain(err)
	}
	info := infoOf(n.rdb.Info(ctx).Val())
	mode := info["redis_mode"]
	switch policy := info["maxmemory_policy"]; {
	case mode == "sentinel":
		return nil, errors.New("that is a Sentinel: write redis+sentinel://HOST:26379/NAME, NAME being what it calls the primary")
	case mode == "cluster" && !sharded(rdb):
		return nil, errors.New("that is a node of a Redis Cluster: write redis+cluster://HOST:6379")
	case olderThan7(info["redis_version"]):
		return nil, fmt.Errorf("version %s is too old: 7.0 or later is needed", info["redis_version"])
	case info["role"] == "slave":
		return nil, errReplica
	case policy != "" && policy != "noeviction":
		return nil, fmt.Errorf("maxmemory-policy is %s, with which Redis throws parts of conversations away: set it to noeviction", policy)
	}
	if info["aof_enabled"] == "0" {
		warnings = append(warnings, "appendonly is off: running answers begin again after a restart of Redis")
	}
	if replicas := info["connected_slaves"]; replicas != "" && replicas != "0" && info["min_slaves_good_slaves"] == "" {
		warnings = append(warnings, "min-replicas-to-write is 0: a fail-over may lose the last moments, and running answers step back then")
	}
	return warnings, n.mayWrite(ctx, rdb)
}

// tryLua does once whatever Parley does with keys.
const tryLua = `
redis.call('SET', KEYS[1], redis.call('TIME')[1], 'PX', 1000)
redis.call('DEL', KEYS[1])
redis.call('RPUSH', KEYS[1], 'x') redis.call('LRANGE', KEYS[1], 0, -1) redis.call('LREM', KEYS[1], 0, 'x')
redis.call('HSET', KEYS[1], 'x', 1) redis.call('HMGET', KEYS[1], 'x') redis.call('DEL', KEYS[1])
redis.call('ZADD', KEYS[1], 1, 'x') redis.call('ZRANGE', KEYS[1], 0, -1) redis.call('ZREM', KEYS[1], 'x')
redis.call('XADD', KEYS[1], '1-0', 'x', 'x') redis.call('XRANGE', KEYS[1], '-', '+') redis.call('XLEN', KEYS[1])
redis.call('PUBLISH', ARGV[1], 'x') redis.call('PEXPIRE', KEYS[1], 1)
return 1`

// mayWrite reports why a node refuses what Parley is going to do.
func (n node) mayWrite(ctx context.Context, rdb redis.UniversalClient) error {
	k := tag(n.partitions[0])
	if err := n.rdb.Eval(ctx, tryLua, []string{k + ":check"}, livePrefix+"check").Err(); err != nil {
		return explain(err)
	}
	pipe := n.rdb.TxPipeline()
	ring(ctx, rdb, pipe, k+":bell:check", "")
	_, err := pipe.Exec(ctx)
	return explain(err)
}

// mayListen reports why Redis refuses a subscription.
func mayListen(ctx context.Context, rdb redis.UniversalClient) error {
	ps := rdb.Subscribe(ctx, livePrefix+"check")
	if sharded(rdb) {
		_ = ps.Close()
		ps = rdb.SSubscribe(ctx, tag(0)+":bell:check")
	}
	defer func() { _ = ps.Close() }()
	_, err := ps.ReceiveTimeout(ctx, 5*time.Second)
	return explain(err)
}

var errReplica = errors.New("that is a read-only replica: name its primary, or the Sentinels that know it")

// explain says what an error of Redis means for whoever runs Parley.
func explain(err error) error {
	if err == nil {
		return nil
	}
	said := err.Error()
	says := func(prefixes ...string) bool {
		for _, p := range prefixes {
			if strings.Contains(said, p+" ") { // go-redis may say more before it
				return true
			}
		}
		return false
	}
	switch {
	case says("NOAUTH"):
		return errors.New("it wants a password: put it into the URL, as in redis://:PASSWORD@HOST:6379")
	case says("WRONGPASS", "ERR AUTH"):
		return errors.New("it does not accept the user and password in the URL")
	case says("NOPERM", "The user executing the script can't"):
		return fmt.Errorf("the user in the URL lacks a permission; +@all -@dangerous +info ~parley:* &parley:* is enough: %w", err)
	case says("READONLY"):
		return errReplica
	case says("OOM"):
		return errors.New("it is full and takes nothing more: raise its maxmemory")
	case says("MISCONF"):
		return errors.New("it takes nothing because it cannot save to its disk: its log says why")
	case says("NOREPLICAS"):
		return errors.New("it takes nothing because fewer replicas are there than min-replicas-to-write demands")
	case says("CLUSTERDOWN"):
		return errors.New("the cluster is down: a part of its slots has no primary")
	case says("LOADING", "MASTERDOWN"):
		return errors.New("it is not ready yet: it reads what it kept, or waits for its primary")
	case says("MOVED"):
		return errors.New("that is a node of a Redis Cluster: write redis+cluster://HOST:6379")
	case strings.Contains(said, "cluster support disabled"):
		return errors.New("that is no Redis Cluster: write redis://HOST:6379")
	}
	return fmt.Errorf("no Redis answers there; start one, correct the address, or leave the setting empty for one inside the process: %w", err)
}

// infoOf reads what INFO says.
func infoOf(text string) map[string]string {
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info
}

func olderThan7(v string) bool {
	major, _, _ := strings.Cut(v, ".")
	return len(major) == 1 && major < "7"
}
