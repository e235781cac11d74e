package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"
)

const serveUsage = `Usage: parley serve [flags]

Runs the server: the chat page, its WebSocket and its REST interface on one address. Without
any setting it keeps its Redis inside the process, its store in a file and answers with the
built-in demo model, so that it can be tried as it is.

A setting is taken from its flag, else from its environment variable, else from the YAML file
of --config, where its key is the flag's name without dashes before it. Lists have commas
between their entries, durations are like 33ms, 2s and 10m. Wrong settings are all reported
at once, and nothing starts.`

// serveCommand reads the settings and runs the server.
func (a *app) serveCommand(ctx context.Context, args []string) error {
	l := newLoader(a.env)
	fs := a.flags("serve", "")
	fs.help = func() {
		fmt.Fprintln(a.stdout, serveUsage)
		writeSettingsHelp(a.stdout, l.rows)
	}
	l.register(fs)
	rest, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usagef("serve takes flags only, not %q", rest[0])
	}
	s, err := l.load()
	if err != nil {
		return err
	}
	return a.serve(ctx, s, a.stdout, a.stderr)
}

func (a *app) settingsCommand(_ context.Context, args []string) error {
	fs := a.flags("settings", "Usage: parley settings\n\nPrints every setting of the server as a Markdown table.")
	if _, err := parse(fs, args); err != nil {
		return err
	}
	_, err := fmt.Fprint(a.stdout, settingsMarkdown(settingsTable()))
	return err
}

func (a *app) versionCommand(_ context.Context, args []string) error {
	if _, err := parse(a.flags("version", "Usage: parley version"), args); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "parley %s\n", versionText())
	return err
}

// versionText is the version, commit and Go version of this binary.
func versionText() string {
	version, commit := buildVersion()
	return fmt.Sprintf("%s (%s, %s, %s/%s)", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// buildVersion returns the module's version and the commit that the binary
// was built from, as far as the go command knew them.
func buildVersion() (v, commit string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return cmp.Or(version, "dev"), "unknown commit"
	}
	v = cmp.Or(version, info.Main.Version)
	if v == "(devel)" {
		v = "dev"
	}
	changed := ""
	for _, kv := range info.Settings {
		switch {
		case kv.Key == "vcs.revision":
			commit = kv.Value[:min(12, len(kv.Value))]
		case kv.Key == "vcs.modified" && kv.Value == "true":
			changed = ", changed since"
		}
	}
	if commit != "" {
		commit = "commit " + commit + changed
	}
	return cmp.Or(v, "dev"), cmp.Or(commit, "unknown commit")
}

const healthTimeout = 3 * time.Second

// healthCommand succeeds if the server of these settings says that it is
// alive.
func (a *app) healthCommand(ctx context.Context, args []string) error {
	l := newLoader(a.env, "addr", "config")
	fs := a.flags("health", "Usage: parley health [flags]\n\nAsks the server at PARLEY_ADDR whether it is alive, and fails if it does not say so within 3 s.")
	l.register(fs)
	if _, err := parse(fs, args); err != nil {
		return err
	}
	s, err := l.load()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	return a.health(ctx, localURL(s.Addr)+"/healthz")
}

func (a *app) health(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // and no proxy: it is this machine
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("health: %s answered %s", url, res.Status)
	}
	_, err = fmt.Fprintln(a.stdout, "ok")
	return err
}

// localURL is where a server that listens on addr is reached from the same
// machine.
func localURL(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "http://" + addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	return "http://" + net.JoinHostPort(host, port)
}
