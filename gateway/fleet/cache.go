package fleet

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// CacheOptions are the limits of a [Cache]. Zero values are the defaults.
type CacheOptions struct {
	MaxBytes int           // of all values together: 64 MiB
	Patience time.Duration // with Redis, for one command: 50 ms
	Away     time.Duration // for which Redis is not asked after it was too slow five times in a row: 1 s
}

// A Cache keeps bytes in Redis for all replicas, within a bound: for what is
// too much those go that would end first. A Redis that is away or slow is a
// cache that knows nothing. It lends locks too, which are as good as Redis is:
// they save work and protect nothing.
//
// It lies in so many parts, each with keys in one slot of a Cluster, and each
// with its part of the bound. All methods may be called concurrently.
type Cache struct {
	rdb  redis.UniversalClient
	o    CacheOptions
	slow atomic.Int32 // commands in a row that failed
	back atomic.Int64 // until when Redis is not asked, in Unix nanoseconds
}

const (
	cacheParts = 16
	tooSlow    = 5 // in a row; one may be slow by accident
)

// NewCache returns a Cache that is kept in rdb.
func NewCache(rdb redis.UniversalClient, o CacheOptions) *Cache {
	o.MaxBytes = cmp.Or(o.MaxBytes, 64<<20)
	o.Patience = cmp.Or(o.Patience, 50*time.Millisecond)
	o.Away = cmp.Or(o.Away, time.Second)
	return &Cache{rdb: rdb, o: o}
}

// cachePart is the beginning of the keys that lie with this one.
func cachePart(key string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return fmt.Sprintf("parley:{c%d}:", h.Sum32()%cacheParts)
}

// setScript keeps a value, and forgets others until all are within the bound.
// KEYS value ends sizes; ARGV name value ttl bound prefix. In sizes the empty
// name is that of the sum. A name counts 256 bytes besides its value.
var setScript = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function forget(name)
  local size = redis.call('HGET', KEYS[3], name)
  if size then
    redis.call('HDEL', KEYS[3], name)
    redis.call('HINCRBY', KEYS[3], '', -size)
  end
  redis.call('ZREM', KEYS[2], name)
  redis.call('DEL', ARGV[5] .. name)
end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now), 'LIMIT', 0, 64)) do forget(name) end
forget(ARGV[1])
local size = #ARGV[2] + 256
local bound = tonumber(ARGV[4])
if size > bound then return 0 end
local sum = redis.call('HINCRBY', KEYS[3], '', size)
while sum > bound do
  local first = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
  if not first then break end
  forget(first)
  sum = tonumber(redis.call('HGET', KEYS[3], ''))
end
redis.call('HSET', KEYS[3], ARGV[1], size)
redis.call('ZADD', KEYS[2], string.format('%.0f', now + tonumber(ARGV[3])), ARGV[1])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('PEXPIRE', KEYS[2], 172800000)
redis.call('PEXPIRE', KEYS[3], 172800000)
return 1`)

// dropScript forgets a value. KEYS value ends sizes; ARGV name.
var dropScript = redis.NewScript(`
local size = redis.call('HGET', KEYS[3], ARGV[1])
if size then
  redis.call('HDEL', KEYS[3], ARGV[1])
  redis.call('HINCRBY', KEYS[3], '', -size)
end
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('DEL', KEYS[1])`)

// unlockScript gives a lock back that is still one's own. KEYS lock; ARGV
// token.
var unlockScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`)

func cacheKeys(key string) []string {
	part := cachePart(key)
	return []string{part + "v:" + key, part + "ends", part + "sizes"}
}

var errAway = errors.New("fleet: cache: Redis is too slow to be asked")

// soon runs a command that may take no longer than the Cache's patience, and
// none at all while Redis is away.
func (c *Cache) soon(ctx context.Context, what string, f func(ctx context.Context) error) error {
	if time.Now().UnixNano() < c.back.Load() {
		return errAway
	}
	short, cancel := context.WithTimeout(ctx, c.o.Patience)
	defer cancel()
	err := f(short)
	if err == nil || errors.Is(err, redis.Nil) {
		c.slow.Store(0)
		return nil
	}
	if ctx.Err() == nil && c.slow.Add(1) >= tooSlow {
		c.back.Store(time.Now().Add(c.o.Away).UnixNano())
	}
	return fmt.Errorf("fleet: cache: %s: %w", what, err)
}

// Get returns a value for each key, nil where there is none.
func (c *Cache) Get(ctx context.Context, keys ...string) ([][]byte, error) {
	values := make([][]byte, len(keys))
	err := c.soon(ctx, "get", func(ctx context.Context) error {
		pipe := c.rdb.Pipeline()
		replies := make([]*redis.StringCmd, len(keys))
		for i, key := range keys {
			replies[i] = pipe.Get(ctx, cacheKeys(key)[0])
		}
		_, err := pipe.Exec(ctx)
		for i, r := range replies {
			if b, err := r.Bytes(); err == nil {
				values[i] = b
			} else if !errors.Is(err, redis.Nil) {
				return err
			}
		}
		return err
	})
	return values, err
}

// Set keeps a value for ttl at most. One that is larger than a part's bound
// is not kept.
func (c *Cache) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return c.soon(ctx, "set", func(ctx context.Context) error {
		return setScript.Run(ctx, c.rdb, cacheKeys(key), key, value, max(ttl.Milliseconds(), 1), c.o.MaxBytes/cacheParts, cachePart(key)+"v:").Err()
	})
}

// Delete forgets a value.
func (c *Cache) Delete(ctx context.Context, key string) error {
	return c.soon(ctx, "delete", func(ctx context.Context) error {
		return dropScript.Run(ctx, c.rdb, cacheKeys(key), key).Err()
	})
}

// TryLock takes the lock of that name for at most ttl, if nobody has it.
func (c *Cache) TryLock(ctx context.Context, name string, ttl time.Duration) (unlock func(), ok bool, err error) {
	key, token := cachePart(name)+"lock:"+name, rand.Text()
	err = c.soon(ctx, "lock", func(ctx context.Context) error {
		var err error
		ok, err = c.rdb.SetNX(ctx, key, token, ttl).Result()
		return err
	})
	if err != nil || !ok {
		return nil, false, err
	}
	return func() {
		_ = c.soon(context.WithoutCancel(ctx), "unlock", func(ctx context.Context) error {
			return unlockScript.Run(ctx, c.rdb, []string{key}, token).Err()
		}) // it lapses
	}, true, nil
}
