package store

import (
	"net/url"
	"strings"
	"testing"
)

func TestPostgresURLIsRead(t *testing.T) {
	for _, password := range []string{"", "hunter2", "a?b", url.QueryEscape("p@s/s:w?r#d%")} {
		cfg, err := postgresConfig("postgres://ann:" + password + "@db:5433/parley?sslmode=disable&pool_max_conns=7&pool_max_conn_idle_time=3s")
		if err != nil {
			t.Errorf("%s: %v", password, err)
			continue
		}
		c := cfg.ConnConfig
		if want, _ := url.PathUnescape(password); c.Password != want || c.Host != "db" || c.Port != 5433 || c.Database != "parley" || c.User != "ann" {
			t.Errorf("%s: password %q of %s at %s:%d/%s", password, c.Password, c.User, c.Host, c.Port, c.Database)
		}
		if cfg.MaxConns != 7 || cfg.MaxConnIdleTime.Seconds() != 3 {
			t.Errorf("the pool has %d connections, idle for %v", cfg.MaxConns, cfg.MaxConnIdleTime)
		}
		for name := range c.RuntimeParams {
			if strings.HasPrefix(name, "pool_") {
				t.Errorf("the server is sent %s", name)
			}
		}
	}
}

// Wherever a sign in a password makes another URL of it, the error shows none
// of its pieces.
func TestPostgresURLsErrorsShowNoPassword(t *testing.T) {
	for _, sign := range []string{"@", "/", "#", "%", ":", "?", " ", "%zz", "[", "\\", "`: ", "@x/", "/@", "?/", "/?", "#@", "12/"} {
		for _, query := range []string{"", "?sslmode=wrong", "?pool_max_conns=many", "?application_name=a@b"} {
			password := "HUNT" + sign + "ER99"
			cfg, err := postgresConfig("postgres://ann:" + password + "@db:5432/parley" + query)
			if err == nil {
				if cfg.ConnConfig.Host != "db" {
					t.Errorf("%s: the host is %s", password, cfg.ConnConfig.Host)
				}
				continue
			}
			if s := err.Error(); strings.Contains(s, "HUNT") || strings.Contains(s, "ER99") {
				t.Errorf("%s: %v", password, err)
			}
		}
	}
}

func TestPostgresURLsErrorsNameTheParameter(t *testing.T) {
	for query, want := range map[string]string{
		"sslmode=wrong": "sslmode", "pool_max_conns=many": "pool_max_conns", "pool_max_conns=0": "pool_max_conns",
		"pool_max_conn_lifetime=5": "pool_max_conn_lifetime", "connect_timeout=x": "connect_timeout",
	} {
		_, err := postgresConfig("postgres://ann:hunter2@db/parley?" + query)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", query, err)
		}
	}
}

func TestHoldable(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "Grüße 🧑‍🚀": "Grüße 🧑‍🚀", "a\x00b": "a\uFFFDb", "\x00": "\uFFFD", "\xff\xfea": "\uFFFDa", "\xc3": "\uFFFD", "\x01\x1f": "\x01\x1f",
	} {
		if got := holdable(text); got != want {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}
