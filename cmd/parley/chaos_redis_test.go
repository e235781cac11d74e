//go:build integration && unix

package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"parley/cmd/parley/chaos"
	"parley/gateway/chat/redistest"
)

// A chaosPair is a primary and its replica, whichever of both is which.
type chaosPair [2]*redistest.Server

// chaosWatched starts a Redis that Sentinels fail over.
func chaosWatched(t *testing.T) chaosSetup {
	w := redistest.StartWatched(t, 3, "--appendonly", "yes")
	var hosts []string
	for _, s := range w.Sentinels {
		hosts = append(hosts, s.Addr)
	}
	return chaosSetup{
		replicas: 3, balance: true, redisURL: "redis+sentinel://" + strings.Join(hosts, ",") + "/mymaster",
		pairs: []chaosPair{{w.Primary, w.Replica}},
	}
}

// chaosCluster starts a cluster of three shards.
func chaosCluster(t *testing.T) chaosSetup {
	c := redistest.StartCluster(t, 3, "--appendonly", "yes")
	s := chaosSetup{replicas: 3, balance: true, redisURL: c.URL()}
	for i, p := range c.Primaries {
		s.pairs = append(s.pairs, chaosPair{p, c.Replicas[i]})
	}
	return s
}

// info returns a line of what a server says of its replication.
func (p chaosPair) info(i int, name string) string {
	c := p[i].Client()
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for line := range strings.Lines(c.Info(ctx, "replication").Val()) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// primary returns the place of the primary.
func (p chaosPair) primary() int {
	if p.info(0, "role") == "master" {
		return 0
	}
	return 1
}

// follows reports whether a server has all that the other one, the primary, has.
func (p chaosPair) follows(i int) bool {
	return p.info(1-i, "role") == "master" && p.info(i, "role") == "slave" && p.info(i, "master_link_status") == "up"
}

func isWatched(w *chaosWorld) bool { return len(w.pairs) > 0 }

// failOver has a primary die or freeze, so that its replica takes its place.
func failOver(fall, rise func(*redistest.Server)) func(*chaosWorld, *chaos.Dice) func() {
	return func(w *chaosWorld, d *chaos.Dice) func() {
		pair := w.pairs[d.Intn(len(w.pairs))]
		old := pair.primary()
		fall(pair[old])
		return func() {
			procUntil(w.t, time.Minute, "the replica takes the primary's place", func() bool { return pair.info(1-old, "role") == "master" })
			rise(pair[old])
			// One comes back so early now and then that the Sentinels leave it in its
			// place: what was written meanwhile is lost then.
			procUntil(w.t, 2*time.Minute, "one follows the other", func() bool { return pair.follows(old) || pair.follows(1-old) })
		}
	}
}
