package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// A redisAddress is what PARLEY_REDIS says: where Redis is, in which of its
// forms, and how to get in.
type redisAddress struct {
	form   string // after the scheme's + : "", "sentinel" or "cluster"
	socket string // path, if it is one
	o      redis.UniversalOptions
}

const (
	redisExample    = "redis://localhost:6379/0"
	sentinelExample = "redis+sentinel://host1:26379,host2:26379/NAME"
	clusterExample  = "redis+cluster://host1:6379,host2:6379"
)

// redisPatience is how long a Redis is waited for that does not answer: about
// as long as a lease lasts, since whoever waits longer has lost it.
const redisPatience = 2 * time.Second

// redisURL checks PARLEY_REDIS. Its errors continue the sentence
// `NAME: "value" …`.
func redisURL(v string) (string, error) {
	_, err := parseRedis(v)
	return v, err
}

func parseRedis(v string) (redisAddress, error) {
	one, hosts := splitHosts(v)
	u, err := url.Parse(one)
	if err != nil || u.Opaque != "" || u.Fragment != "" {
		return redisAddress{}, errors.New("is not a Redis URL, such as " + redisExample)
	}
	a := redisAddress{o: redis.UniversalOptions{
		Username: u.User.Username(), MaxRetries: -1, // an error never means that nothing was written
		ContextTimeoutEnabled: true, PoolSize: 64, DialTimeout: redisPatience, ReadTimeout: redisPatience,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}}
	a.o.Password, _ = u.User.Password()
	scheme, form, _ := strings.Cut(u.Scheme, "+")
	a.form = form
	switch {
	case u.Scheme == "unix" && u.Host == "" && u.Path != "":
		a.socket = u.Path
	case scheme != "redis" && scheme != "rediss":
		return a, errors.New("is not a Redis URL, such as " + redisExample)
	case form == "sentinel":
		err = a.sentinel(u.Path, hosts)
	case form == "cluster":
		err = a.cluster(u.Path, hosts)
	case form != "":
		err = errors.New("is not a Redis URL, such as " + redisExample + ", " + sentinelExample + " or " + clusterExample)
	default:
		err = a.single(u.Path, hosts)
	}
	if err == nil && scheme == "rediss" {
		a.o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12} // the name is that of the host that is dialled
	}
	if err == nil {
		err = a.parameters(u.Query())
	}
	return a, err
}

// splitHosts returns a URL with the first of its hosts alone, and all of them.
func splitHosts(v string) (one string, hosts []string) {
	scheme, rest, _ := strings.Cut(v, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	begin := strings.LastIndexByte(rest[:end], '@') + 1
	hosts = strings.Split(rest[begin:end], ",")
	if len(hosts) == 1 {
		return v, hosts
	}
	return scheme + "://" + rest[:begin] + hosts[0] + rest[end:], hosts
}

func (a *redisAddress) single(path string, hosts []string) error {
	if len(hosts) > 1 {
		return errors.New("names several hosts, as only " + sentinelExample + " and " + clusterExample + " do")
	}
	if err := a.hosts(hosts, "6379"); err != nil {
		return err
	}
	return a.database(path)
}

func (a *redisAddress) sentinel(path string, hosts []string) error {
	name, db, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if a.o.MasterName = name; name == "" {
		return errors.New("does not say what the Sentinels call the primary, as in " + sentinelExample)
	}
	if err := a.hosts(hosts, "26379"); err != nil {
		return err
	}
	return a.database(db)
}

func (a *redisAddress) cluster(path string, hosts []string) error {
	if db := strings.Trim(path, "/"); db != "" && db != "0" {
		return errors.New("names a database, of which a cluster has only 0; it is like " + clusterExample)
	}
	return a.hosts(hosts, "6379")
}

func (a *redisAddress) hosts(hosts []string, port string) error {
	for _, h := range hosts {
		u, err := url.Parse("//" + h)
		if err != nil || !isHost(strings.Trim(u.Hostname(), "[]")) && h != "" {
			return errors.New("is not a Redis URL, such as " + redisExample)
		}
		host, p := u.Hostname(), u.Port()
		if host == "" {
			host = "localhost"
		}
		if p == "" {
			p = port
		}
		a.o.Addrs = append(a.o.Addrs, net.JoinHostPort(host, p))
	}
	return nil
}

func (a *redisAddress) database(v string) (err error) {
	if v = strings.Trim(v, "/"); v == "" {
		return nil
	}
	if a.o.DB, err = strconv.Atoi(v); err != nil || a.o.DB < 0 {
		return errors.New("is not a Redis URL, such as " + redisExample)
	}
	return nil
}

// parameters reads what stands behind the question mark.
func (a *redisAddress) parameters(q url.Values) error {
	known := map[string]func(string) error{
		"pool_size":    func(v string) (err error) { a.o.PoolSize, err = positiveNumber(v); return err },
		"timeout":      func(v string) (err error) { a.o.ReadTimeout, err = time.ParseDuration(v); return err },
		"dial_timeout": func(v string) (err error) { a.o.DialTimeout, err = time.ParseDuration(v); return err },
	}
	if a.socket != "" {
		known["db"] = a.database
	}
	if a.form == "sentinel" {
		known["sentinel_username"] = func(v string) error { a.o.SentinelUsername = v; return nil }
		known["sentinel_password"] = func(v string) error { a.o.SentinelPassword = v; return nil }
	}
	if a.o.TLSConfig != nil {
		known["ca"] = a.ca
		known["cert"] = func(v string) error { return a.certificate(v, q.Get("key")) }
		known["key"] = func(string) error { return nil }
		known["server_name"] = func(v string) error { a.o.TLSConfig.ServerName = v; return nil }
		known["insecure"] = func(v string) (err error) { a.o.TLSConfig.InsecureSkipVerify, err = strconv.ParseBool(v); return err }
	}
	for name, vs := range q {
		set := known[name]
		if set == nil || len(vs) != 1 {
			names := make([]string, 0, len(known))
			for n := range known {
				names = append(names, n)
			}
			slices.Sort(names)
			return fmt.Errorf("has the parameter %q, where only one each of %s may stand", name, strings.Join(names, ", "))
		}
		if err := set(vs[0]); err != nil {
			return fmt.Errorf("has the parameter %s, which is wrong: %w", name, reason(err))
		}
	}
	return nil
}

func positiveNumber(v string) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		return 0, errors.New("it is no number of 1 or more")
	}
	return n, nil
}

func (a *redisAddress) ca(file string) error {
	pem, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	a.o.TLSConfig.RootCAs = x509.NewCertPool()
	if !a.o.TLSConfig.RootCAs.AppendCertsFromPEM(pem) {
		return errors.New("the file holds no certificate in PEM form")
	}
	return nil
}

func (a *redisAddress) certificate(cert, key string) error {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return err
	}
	a.o.TLSConfig.Certificates = []tls.Certificate{pair}
	return nil
}
