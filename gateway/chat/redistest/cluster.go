package redistest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// slots is how many a cluster has.
const slots = 16384

// A Cluster is several primaries that share all slots evenly, with a replica
// each. A primary that dies is replaced after about a second.
type Cluster struct {
	Primaries []*Server
	Replicas  []*Server // of the primary at the same place

	tb  testing.TB
	ids []string // of Primaries
}

// StartCluster starts a cluster and returns when it is whole.
func StartCluster(tb testing.TB, primaries int, args ...string) *Cluster {
	tb.Helper()
	c := &Cluster{tb: tb}
	for i := range 2 * primaries {
		s := Start(tb, append([]string{
			"--cluster-enabled", "yes", "--cluster-port", port(freeAddr(tb)), "--cluster-node-timeout", "1000",
			"--cluster-replica-validity-factor", "0", "--cluster-require-full-coverage", "no",
		}, args...)...)
		s.do("cluster", "set-config-epoch", i+1)
		if i < primaries {
			c.Primaries = append(c.Primaries, s)
			c.ids = append(c.ids, s.do("cluster", "myid").Val().(string))
			s.do("cluster", "addslotsrange", i*slots/primaries, (i+1)*slots/primaries-1)
		} else {
			c.Replicas = append(c.Replicas, s)
		}
	}
	c.join()
	return c
}

func (c *Cluster) all() []*Server {
	return append(append([]*Server(nil), c.Primaries...), c.Replicas...)
}

func (c *Cluster) join() {
	c.tb.Helper()
	first := c.Primaries[0]
	for _, s := range c.all()[1:] {
		first.do("cluster", "meet", "127.0.0.1", port(s.Addr), s.clusterPort())
	}
	c.everybody("knows all the others", func(s *Server) bool {
		return s.clusterInfo("cluster_known_nodes") == strconv.Itoa(len(c.all()))
	})
	for i, s := range c.Replicas {
		s.do("cluster", "replicate", c.ids[i])
	}
	for _, s := range c.Replicas {
		until(c.tb, "the replicas have their primaries' data", func() bool { return s.info("replication", "master_link_status") == "up" })
	}
	c.everybody("finds the cluster whole", func(s *Server) bool {
		nodes := fmt.Sprint(s.do("cluster", "nodes").Val())
		return s.clusterInfo("cluster_state") == "ok" && s.clusterInfo("cluster_slots_ok") == strconv.Itoa(slots) && strings.Count(nodes, " slave ")+strings.Count(nodes, "myself,slave") == len(c.Replicas)
	})
}

func (c *Cluster) everybody(what string, ok func(s *Server) bool) {
	c.tb.Helper()
	for _, s := range c.all() {
		until(c.tb, s.Addr+" "+what, func() bool { return ok(s) })
	}
}

func (s *Server) clusterPort() string {
	for i, a := range s.args {
		if a == "--cluster-port" {
			return s.args[i+1]
		}
	}
	return ""
}

// clusterInfo returns a line of what CLUSTER INFO says.
func (s *Server) clusterInfo(name string) string {
	for line := range strings.Lines(fmt.Sprint(s.do("cluster", "info").Val())) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// Addrs are the primaries' addresses.
func (c *Cluster) Addrs() (addrs []string) {
	for _, s := range c.Primaries {
		addrs = append(addrs, s.Addr)
	}
	return addrs
}

// URL is the cluster as PARLEY_REDIS.
func (c *Cluster) URL() string { return "redis+cluster://" + strings.Join(c.Addrs(), ",") }

// Owner returns the place of the primary that a key belonged to at the
// beginning.
func (c *Cluster) Owner(key string) int {
	return int(c.slot(key)) * len(c.Primaries) / slots
}

func (c *Cluster) slot(key string) int64 {
	return c.Primaries[0].do("cluster", "keyslot", key).Val().(int64)
}

// Move moves a key's slot from one primary to another, with all that is in
// it, as redis-cli does.
func (c *Cluster) Move(key string, from, to int) {
	c.tb.Helper()
	slot, src, dst := c.slot(key), c.Primaries[from], c.Primaries[to]
	dst.do("cluster", "setslot", slot, "importing", c.ids[from])
	src.do("cluster", "setslot", slot, "migrating", c.ids[to])
	client := src.Client()
	defer func() { _ = client.Close() }()
	for {
		keys, err := client.ClusterGetKeysInSlot(context.Background(), int(slot), 100).Result()
		if err != nil {
			c.tb.Fatal(err)
		}
		if len(keys) == 0 {
			break
		}
		args := []any{"migrate", "127.0.0.1", port(dst.Addr), "", 0, 1000, "keys"}
		for _, k := range keys {
			args = append(args, k)
		}
		if err := client.Do(context.Background(), args...).Err(); err != nil && err != redis.Nil {
			c.tb.Fatal(err)
		}
	}
	for _, s := range []*Server{dst, src} {
		s.do("cluster", "setslot", slot, "node", c.ids[to])
	}
	for i, s := range c.Primaries {
		if i != from && i != to {
			s.do("cluster", "setslot", slot, "node", c.ids[to])
		}
	}
}

// Find returns the place of the primary that has a key like the pattern.
func (c *Cluster) Find(pattern string) int {
	c.tb.Helper()
	for i := range c.Primaries {
		if c.Key(i, pattern) != "" {
			return i
		}
	}
	c.tb.Fatalf("no primary has %s", pattern)
	return 0
}

// Key returns a key like the pattern that a primary has, if it has one.
func (c *Cluster) Key(primary int, pattern string) string {
	client := c.Primaries[primary].Client()
	defer func() { _ = client.Close() }()
	keys, _ := client.Keys(context.Background(), pattern).Result()
	if len(keys) == 0 {
		return ""
	}
	return keys[0]
}
