package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

func TestRedisURLs(t *testing.T) {
	type want struct {
		Form, Socket, Name               string
		Addrs                            []string
		DB, Pool                         int
		User, Password, SUser, SPassword string
		TLS, Insecure                    bool
		ServerName                       string
	}
	for v, w := range map[string]want{
		"redis://":                         {Addrs: []string{"localhost:6379"}},
		"redis://h":                        {Addrs: []string{"h:6379"}},
		"redis://h:1/3":                    {Addrs: []string{"h:1"}, DB: 3},
		"redis://[::1]:1":                  {Addrs: []string{"[::1]:1"}},
		"redis://:p%40ss@h":                {Addrs: []string{"h:6379"}, Password: "p@ss"},
		"redis://u:p@h?pool_size=7":        {Addrs: []string{"h:6379"}, User: "u", Password: "p", Pool: 7},
		"rediss://h?insecure=true":         {Addrs: []string{"h:6379"}, TLS: true, Insecure: true},
		"rediss://h?server_name=cache":     {Addrs: []string{"h:6379"}, TLS: true, ServerName: "cache"},
		"unix:///run/redis.sock?db=2":      {Socket: "/run/redis.sock", DB: 2},
		"unix://u:p@/run/redis.sock":       {Socket: "/run/redis.sock", User: "u", Password: "p"},
		"redis+sentinel://a,b:7,[::1]:8/m": {Form: "sentinel", Addrs: []string{"a:26379", "b:7", "[::1]:8"}, Name: "m"},
		"rediss+sentinel://u:p@a:1/m/4":    {Form: "sentinel", Addrs: []string{"a:1"}, Name: "m", DB: 4, User: "u", Password: "p", TLS: true},
		"redis+cluster://a:1,b:2,c":        {Form: "cluster", Addrs: []string{"a:1", "b:2", "c:6379"}},
		"rediss+cluster://u:p@a:1,b:2/0":   {Form: "cluster", Addrs: []string{"a:1", "b:2"}, User: "u", Password: "p", TLS: true},
		"redis+sentinel://a/m?sentinel_username=su&sentinel_password=sp": {Form: "sentinel", Addrs: []string{"a:26379"}, Name: "m", SUser: "su", SPassword: "sp"},
	} {
		t.Run(v, func(t *testing.T) {
			a, err := parseRedis(v)
			if err != nil {
				t.Fatal(err)
			}
			got := want{
				Form: a.form, Socket: a.socket, Name: a.o.MasterName, Addrs: a.o.Addrs, DB: a.o.DB, Pool: a.o.PoolSize,
				User: a.o.Username, Password: a.o.Password, SUser: a.o.SentinelUsername, SPassword: a.o.SentinelPassword, TLS: a.o.TLSConfig != nil,
			}
			if got.TLS {
				got.Insecure, got.ServerName = a.o.TLSConfig.InsecureSkipVerify, a.o.TLSConfig.ServerName
			}
			if w.Pool == 0 {
				w.Pool = 64
			}
			if d := cmp.Diff(w, got); d != "" {
				t.Error(d)
			}
			c := a.client()
			defer func() { _ = c.Close() }()
			switch c := c.(type) {
			case *redis.ClusterClient:
				if o := c.Options(); o.MaxRedirects != 3 || w.Form != "cluster" {
					t.Errorf("a cluster's client: %+v", o)
				}
			case *redis.Client:
				if o := c.Options(); o.MaxRetries != 0 || w.Form == "cluster" || w.Socket != "" && (o.Network != "unix" || o.Addr != w.Socket) {
					t.Errorf("a client: %+v", o)
				}
			}
		})
	}
}

func TestWrongRedisURLs(t *testing.T) {
	junk := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(junk, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for v, want := range map[string]string{
		"localhost:6379":                     "is not a Redis URL, such as redis://localhost:6379/0",
		"http://h":                           "is not a Redis URL, such as redis://localhost:6379/0",
		"redis://h:1/x":                      "is not a Redis URL",
		"redis://h:1/-1":                     "is not a Redis URL",
		"redis://h:x":                        "is not a Redis URL",
		"redis://a b":                        "is not a Redis URL",
		"unix://h/run/redis.sock":            "is not a Redis URL",
		"redis+rings://h":                    "redis+sentinel://host1:26379,host2:26379/NAME or redis+cluster://host1:6379,host2:6379",
		"redis://a,b":                        "names several hosts",
		"redis+sentinel://a,b":               "does not say what the Sentinels call the primary",
		"redis+sentinel://a/m/x":             "is not a Redis URL",
		"redis+cluster://a/1":                "names a database",
		"redis+cluster://a,b c":              "is not a Redis URL",
		"redis://h?max_retries=3":            `the parameter "max_retries", where only one each of dial_timeout, pool_size, timeout may stand`,
		"redis://h?pool_size=1&pool_size=2":  `the parameter "pool_size", where only one each`,
		"redis://h?ca=/ca.pem":               `the parameter "ca"`,
		"redis://h?pool_size=none":           "the parameter pool_size, which is wrong: it is no number of 1 or more",
		"redis://h?timeout=3":                "the parameter timeout, which is wrong: time: missing unit in duration",
		"rediss://h?ca=/nowhere.pem":         "the parameter ca, which is wrong: no such file or directory",
		"rediss://h?ca=" + junk:              "the parameter ca, which is wrong: the file holds no certificate in PEM form",
		"rediss://h?cert=/nowhere&key=/none": "the parameter cert, which is wrong: no such file or directory",
	} {
		if _, err := redisURL(v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", v, err, want)
		}
	}
}

func TestRedisURLsShowNoSecret(t *testing.T) {
	for v, want := range map[string]string{
		"redis+cluster://u:topsecret@a:1,b:2":                             "redis+cluster://u:xxxxx@a:1,b:2",
		"redis+sentinel://:topsecret@a,b/m?sentinel_password=topsecret":   "redis+sentinel://:xxxxx@a,b/m?sentinel_password=xxxxx",
		"redis+sentinel://u:top%2Csecret@a,[::1]:2/m?sentinel_username=u": "redis+sentinel://u:xxxxx@a,[::1]:2/m?sentinel_username=u",
		"unix://u:topsecret@/run/redis.sock":                              "unix://u:xxxxx@/run/redis.sock",
		"redis+cluster://u:topsecret@a:x,b:2":                             "(hidden)",
	} {
		if got := redactURL(v); got != want {
			t.Errorf("%s is shown as %s, want %s", v, got, want)
		}
	}
}
