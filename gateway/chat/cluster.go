package chat

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

// What differs in a Redis Cluster is here and in [Bus].

// sharded reports whether the channels of a partition belong to a shard, as
// its keys do.
func sharded(rdb redis.UniversalClient) bool {
	_, ok := rdb.(*redis.ClusterClient)
	return ok
}

// ring publishes on the channel of a conversation, as part of a pipeline.
func ring(ctx context.Context, rdb redis.UniversalClient, pipe redis.Pipeliner, channel, payload string) {
	if sharded(rdb) {
		pipe.SPublish(ctx, channel, payload)
	} else {
		pipe.Publish(ctx, channel, payload)
	}
}

// A node is a Redis and the partitions that it has.
type node struct {
	rdb        redis.UniversalClient
	partitions []int
}

// nodes returns who has which partitions. The clocks of a cluster's nodes may
// differ: what a node says of time is compared with its own.
func nodes(ctx context.Context, rdb redis.UniversalClient) ([]node, error) {
	c, ok := rdb.(*redis.ClusterClient)
	if !ok {
		all := make([]int, Partitions)
		for p := range all {
			all[p] = p
		}
		return []node{{rdb, all}}, nil
	}
	var ns []node
	at := map[*redis.Client]int{}
	for p := range Partitions {
		m, err := c.MasterForKey(ctx, tag(p))
		if err != nil {
			return nil, err
		}
		i, known := at[m]
		if !known {
			i = len(ns)
			at[m] = i
			ns = append(ns, node{rdb: m})
		}
		ns[i].partitions = append(ns[i].partitions, p)
	}
	return ns, nil
}

// subscribers counts who listens to channels of no partition. In a cluster
// they may listen at any node, and each node tells only of its own: if one of
// them cannot be asked, nothing is known.
func subscribers(ctx context.Context, rdb redis.UniversalClient, channels []string) (map[string]int64, error) {
	c, ok := rdb.(*redis.ClusterClient)
	if !ok {
		return rdb.PubSubNumSub(ctx, channels...).Result()
	}
	var mu sync.Mutex
	sum := map[string]int64{}
	err := c.ForEachShard(ctx, func(ctx context.Context, node *redis.Client) error {
		n, err := node.PubSubNumSub(ctx, channels...).Result()
		mu.Lock()
		defer mu.Unlock()
		for channel, subscribers := range n {
			sum[channel] += subscribers
		}
		return err
	})
	return sum, err
}
