package main

import (
	"cmp"
	"net"
	"net/url"
	"path/filepath"
	"strings"

	"parley/cmd/parley/client"
)

// clientFlags are the flags that say which server, and who asks.
type clientFlags struct {
	server, token string
}

// register adds the flags to fs. admin says that the administrator's token is
// meant, which a server on this machine has left in its data folder.
func (c *clientFlags) register(fs *flagSet, admin bool) {
	fs.StringVar(&c.server, "server", "", "`url` of the server. Default: $PARLEY_SERVER, else where a server with this PARLEY_ADDR is, http://127.0.0.1:8080.")
	help := "bearer `token` to sign in with. Default: $PARLEY_TOKEN, else a guest's cookie, kept for the next time."
	if admin {
		help = "administrator's `token`. Default: $PARLEY_ADMIN_TOKEN, else what a server on this machine has written into its data folder."
	}
	fs.StringVar(&c.token, "token", "", help)
}

// target settles which server is meant. An admin gets the administrator's
// token, everybody else what PARLEY_TOKEN says.
func (a *app) target(c clientFlags, admin bool) (client.Target, error) {
	only := []string{"addr", "config"}
	if admin {
		only = append(only, "data", "admin-token", "admin-token-file")
	}
	s, err := newLoader(a.env, only...).load()
	if err != nil {
		return client.Target{}, err
	}
	text := cmp.Or(c.server, a.getenv("PARLEY_SERVER"), localURL(s.Addr))
	u, err := serverURL(text)
	if err != nil {
		return client.Target{}, err
	}
	t := client.Target{URL: u, Admin: admin, Token: cmp.Or(c.token, a.getenv("PARLEY_TOKEN"))}
	if admin {
		t.Token = cmp.Or(c.token, string(s.AdminToken))
	}
	if admin && t.Token == "" && isLoopback(u.Hostname()) {
		t.Token = tokenFile(s.Data)
	}
	if !isVisible(t.Token) {
		return client.Target{}, usagef("--token: the value has characters that no token has; was something else pasted with it?")
	}
	return t, nil
}

// isLoopback reports whether a host is this machine: only there the token
// from its own data folder is sent.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// adminTokenFile is where serve leaves the token that it has made.
func adminTokenFile(data string) string { return filepath.Join(data, "admin-token") }

func tokenFile(data string) string {
	b, err := readSmall(adminTokenFile(data), 4<<10)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func serverURL(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !isHost(u.Hostname()) || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, usagef("--server: %q is not the URL of a server, such as http://127.0.0.1:8080", redactURL(text))
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u, nil
}
