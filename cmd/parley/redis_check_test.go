//go:build integration && unix

package main

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat"
	"parley/gateway/chat/redistest"
)

func TestStartSaysWhatIsWrongWithRedis(t *testing.T) {
	t.Parallel()
	aof := []string{"--appendonly", "yes"}
	acl := t.TempDir() + "/users.acl"
	if err := os.WriteFile(acl, []byte("user default on nopass ~* &* +@all\n"+
		"user whole on >topsecret ~parley:* &parley:* +@all -@dangerous +info\n"+
		"user reader on >topsecret ~parley:* &parley:* +@all -@write\n"+
		"user deaf on >topsecret ~parley:* resetchannels +@all\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	users := redistest.Start(t, append(aof, "--aclfile", acl)...)
	locked := redistest.Start(t, append(aof, "--requirepass", "topsecret")...)
	open := redistest.Start(t, aof...)
	full := redistest.Start(t, append(aof, "--maxmemory", "1")...)
	lonely := redistest.Start(t, append(aof, "--min-replicas-to-write", "1")...)
	evicting := redistest.Start(t, append(aof, "--maxmemory-policy", "volatile-lru")...)
	forgetful := redistest.Start(t)
	watched := redistest.StartWatched(t, 1, aof...)
	cluster := redistest.StartCluster(t, 3, aof...)
	in := func(s *redistest.Server, who string) string { return "redis://" + who + "@" + s.Addr }
	for name, tt := range map[string]struct{ url, want, warns string }{
		"a good one":                   {url: open.URL()},
		"a good one with users":        {url: in(users, "whole:topsecret")},
		"a good one with a password":   {url: in(locked, ":topsecret")},
		"a good one, of a user":        {url: in(locked, "default:topsecret")},
		"without AOF":                  {url: forgetful.URL(), warns: "appendonly is off"},
		"a primary with a replica":     {url: watched.Primary.URL(), warns: "min-replicas-to-write is 0"},
		"Sentinels":                    {url: watched.URL(), warns: "min-replicas-to-write is 0"},
		"a cluster":                    {url: cluster.URL(), warns: "min-replicas-to-write is 0"},
		"no password":                  {url: locked.URL(), want: "wants a password"},
		"a wrong password":             {url: in(locked, ":topsecret2"), want: "does not accept the user and password"},
		"a wrong user":                 {url: in(users, "topsecret:topsecret"), want: "does not accept the user and password"},
		"a user who may not write":     {url: in(users, "reader:topsecret"), want: "lacks a permission"},
		"a user who may not listen":    {url: in(users, "deaf:topsecret"), want: "lacks a permission"},
		"a replica":                    {url: watched.Replica.URL(), want: "read-only replica"},
		"a full one":                   {url: full.URL(), want: "is full"},
		"one that misses its replicas": {url: lonely.URL(), want: "min-replicas-to-write"},
		"one that throws away":         {url: evicting.URL(), want: "maxmemory-policy is volatile-lru"},
		"a Sentinel":                   {url: watched.Sentinels[0].URL(), want: "that is a Sentinel: write redis+sentinel://"},
		"a cluster's node":             {url: cluster.Primaries[0].URL(), want: "that is a node of a Redis Cluster: write redis+cluster://"},
		"no cluster":                   {url: "redis+cluster://" + open.Addr, want: "that is no Redis Cluster: write redis://"},
		"another name":                 {url: strings.Replace(watched.URL(), "mymaster", "other", 1), want: "no Redis answers there"},
		"nothing":                      {url: "redis://:topsecret@127.0.0.1:1", want: "no Redis answers there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log strings.Builder
			_, closed, err := openRedis(context.Background(), settings{Redis: tt.url}, slog.New(slog.NewTextHandler(&log, nil)))
			if err == nil {
				closed()
			}
			switch {
			case tt.want == "" && err != nil, tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), "PARLEY_REDIS: ") || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%v, want %q", err, tt.want)
			case tt.warns != "" && !strings.Contains(log.String(), tt.warns), tt.want+tt.warns == "" && log.Len() > 0:
				t.Errorf("it warns of %q, want %q", log.String(), tt.warns)
			case err != nil && strings.Contains(err.Error(), "topsecret"), strings.Contains(log.String(), "topsecret"):
				t.Errorf("a secret shows: %v %s", err, log.String())
			}
		})
	}
}

// What goes wrong with Redis later is a state that ends by itself.
func TestReadinessFollowsRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a, err := parseRedis(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := a.client()
	defer func() { _ = c.Close() }()
	operator := s.Client()
	defer func() { _ = operator.Close() }()
	set := func(name, value string) {
		t.Helper()
		if err := operator.ConfigSet(t.Context(), name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want string) {
		t.Helper()
		if err := chat.Check(t.Context(), c); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	check("")
	for _, fault := range []struct{ name, bad, good, want string }{
		{"maxmemory", "1", "0", "is full"},
		{"min-replicas-to-write", "1", "0", "min-replicas-to-write"},
	} {
		set(fault.name, fault.bad)
		check(fault.want)
		set(fault.name, fault.good)
		check("")
	}
	s.Kill()
	check("no Redis answers")
	s.Start()
	procUntil(t, 5e9, "it is ready again", func() bool { return chat.Check(t.Context(), c) == nil })
	if err := operator.Do(context.Background(), "replicaof", "127.0.0.1", "1").Err(); err != nil && err != redis.Nil {
		t.Fatal(err)
	}
	check("read-only replica")
}
