package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"parley/cmd/parley/plain"
	"parley/gateway/store"
	"parley/gateway/store/vault"
	"parley/tools"
)

// The parsers of single values. Each returns the value in its proper form; an
// error continues the sentence `NAME: "value" …`.

func anyText(v string) (string, error) { return v, nil }

// optional lets an empty value through.
func optional(parse func(string) (string, error)) func(string) (string, error) {
	return func(v string) (string, error) {
		if v == "" {
			return "", nil
		}
		return parse(v)
	}
}

func oneOf(choices ...string) func(string) (string, error) {
	return func(v string) (string, error) {
		for _, c := range choices {
			if strings.EqualFold(v, c) {
				return c, nil
			}
		}
		last := len(choices) - 1
		return "", fmt.Errorf("is not %s or %s", strings.Join(choices[:last], ", "), choices[last])
	}
}

func oneLine(v string) (string, error) {
	if strings.ContainsFunc(v, plain.IsControl) {
		return "", errors.New("has a line break or another control character")
	}
	return strings.TrimSpace(v), nil
}

func hostPort(v string) (string, error) {
	wrong := errors.New("is not host:port, such as 127.0.0.1:8080")
	host, port, err := net.SplitHostPort(v)
	if err != nil || !isHost(host) && host != "" {
		return "", wrong
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return "", wrong
	}
	return v, nil
}

// isHost reports whether v looks like a host name or an address.
func isHost(v string) bool {
	if v == "" || len(v) > 253 {
		return false
	}
	return !strings.ContainsFunc(v, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`/\@?#*,"'<>`, r)
	})
}

// hostName takes a port off, because a request may come by any.
func hostName(v string) (string, error) {
	name := v
	if host, port, err := net.SplitHostPort(v); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			name = ""
		} else {
			name = host
		}
	} else if strings.Contains(v, ":") && net.ParseIP(strings.Trim(v, "[]")) == nil {
		name = ""
	}
	if !isHost(name) {
		return "", errors.New("is not a host name, such as chat.example")
	}
	return strings.ToLower(strings.Trim(name, "[]")), nil
}

func origin(v string) (string, error) {
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !isHost(u.Hostname()) ||
		u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("is not an origin, such as https://chat.example")
	}
	return u.Scheme + "://" + strings.ToLower(u.Host), nil
}

func allowance(v string) (string, error) {
	if err := tools.CheckAllow([]string{v}); err != nil {
		return "", errors.New("is not host:port, such as localhost:8081")
	}
	return v, nil
}

func absolute(v string) (string, error) {
	if v == "" {
		return "", nil
	}
	p, err := filepath.Abs(v)
	if err != nil {
		return "", errors.New("is not the path of a folder")
	}
	return p, nil
}

func storePath(v string) (string, error) {
	if strings.Contains(v, "://") && !store.IsPostgres(v) {
		return "", errors.New("is not the path of a SQLite file, :memory: or a postgres:// URL")
	}
	if strings.ContainsRune(v, 0) {
		return "", errors.New("is not a path")
	}
	return v, nil
}

func modelURL(v string) (string, error) {
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !isHost(u.Hostname()) || u.User != nil || !isVersion(u.Query()) || u.Fragment != "" {
		return "", errors.New("is not the base URL of a model server, such as http://localhost:11434/v1")
	}
	return v, nil
}

// isVersion reports whether a query is none, or that of Azure's addresses.
func isVersion(q url.Values) bool {
	return len(q) == 0 || len(q) == 1 && q.Has("api-version")
}

func keyText(v string) (string, error) {
	v = strings.TrimSpace(v)
	if !isVisible(v) {
		return "", errors.New("has characters that no key has; was something else pasted with it?")
	}
	return v, nil
}

// leastToken is how many characters an administrator's token must have.
const leastToken = 16

func tokenText(v string) (string, error) {
	v = strings.TrimSpace(v)
	if v != "" && (len(v) < leastToken || !isVisible(v)) {
		return "", fmt.Errorf("is not %d or more letters, digits and signs without spaces, such as `openssl rand -hex 24` prints", leastToken)
	}
	return v, nil
}

func isVisible(v string) bool {
	return !strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' })
}

// redactURL returns a URL, or path, without anything secret in it.
func redactURL(v string) string {
	if !strings.Contains(v, "://") {
		return v
	}
	one, hosts := splitHosts(v)
	u, err := url.Parse(one)
	if err != nil {
		return hidden
	}
	if u.User != nil {
		if _, ok := u.User.Password(); ok {
			u.User = url.UserPassword(u.User.Username(), "xxxxx")
		}
	}
	if u.RawQuery != "" {
		u.RawQuery = redactQuery(u.Query())
	}
	if len(hosts) > 1 {
		u.Host = strings.Join(hosts, ",")
	}
	return u.String()
}

func redactQuery(q url.Values) string {
	for k := range q {
		name := strings.ToLower(k)
		for _, word := range []string{"pass", "secret", "token", "key", "auth"} {
			if strings.Contains(name, word) {
				q.Set(k, "xxxxx")
			}
		}
	}
	return q.Encode()
}

// secretKeys checks a list of keys and leaves it as it is.
func secretKeys(v string) (string, error) {
	v = strings.TrimSpace(v)
	if v == "" {
		return "", nil
	}
	_, err := vault.ParseKeys(v)
	return v, err
}
