package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// load reads settings as `parley serve` does.
func load(t *testing.T, env, args []string) (settings, error) {
	t.Helper()
	l := newLoader(append([]string{"HOME=/home/ada"}, env...))
	fs := (&app{stdout: os.Stdout}).flags("serve", "")
	l.register(fs)
	if _, err := parse(fs, args); err != nil {
		t.Fatal(err)
	}
	return l.load()
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsAreThoseOfTheTable(t *testing.T) {
	s, err := load(t, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Addr, "127.0.0.1:8080"; got != want {
		t.Errorf("address %q, want %q", got, want)
	}
	if s.Data != dataFolder(map[string]string{"HOME": "/home/ada"}) || s.Store != filepath.Join(s.Data, "parley.db") {
		t.Errorf("data %q, store %q", s.Data, s.Store)
	}
	if !s.Demo() || s.Redis != "" || s.AdminToken != "" || s.LogFormat != "text" || s.SecureCookies != "auto" {
		t.Errorf("not the defaults of a try: %v", s)
	}
	if s.Lease != 2*time.Second || s.Gather != 33*time.Millisecond || s.MaxDocument != 16<<20 || s.WaitMax != 2*time.Minute {
		t.Errorf("not the documented limits: %v", s)
	}
}

func TestFlagIsStrongerThanEnvironmentThanFileThanDefault(t *testing.T) {
	file := writeFile(t, "p.yaml", "max-turns: 3\nanswers: 3\nqueued: 3\norigins: [https://a.example, https://B.example:8443]\nsystem-prompt: |\n  Be kind.\n  Be brief.\ntrusted-proxies:\n  - 10.1.2.3/8\n  - ::1\nredis:\nlog: debug,json\n")
	s, err := load(t, []string{"PARLEY_CONFIG=" + file, "PARLEY_ANSWERS=4", "PARLEY_QUEUED=4", "PARLEY_MODEL="}, []string{"--queued", "5"})
	if err != nil {
		t.Fatal(err)
	}
	if s.MaxTurns != 3 || s.Answers != 4 || s.Queued != 5 || s.ParallelTools != 8 {
		t.Errorf("max-turns %d, answers %d, queued %d, parallel-tools %d; want 3 4 5 8", s.MaxTurns, s.Answers, s.Queued, s.ParallelTools)
	}
	if d := cmp.Diff([]string{"https://a.example", "https://b.example:8443"}, s.Origins); d != "" {
		t.Error(d)
	}
	if s.SystemPrompt != "Be kind.\nBe brief.\n" {
		t.Errorf("system prompt %q", s.SystemPrompt)
	}
	if want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}; fmt.Sprint(s.TrustedProxies) != fmt.Sprint(want) {
		t.Errorf("proxies %v, want %v", s.TrustedProxies, want)
	}
	if s.LogLevel != slog.LevelDebug || s.LogFormat != "json" {
		t.Errorf("log %v %v", s.LogLevel, s.LogFormat)
	}
}

func TestSecretsFromFiles(t *testing.T) {
	key := writeFile(t, "key", "sk-from-file\n")
	s, err := load(t, []string{"PARLEY_MODEL=m", "PARLEY_MODEL_KEY_FILE=" + key}, nil)
	if err != nil || string(s.ModelKey) != "sk-from-file" {
		t.Fatalf("key %q, %v", string(s.ModelKey), err)
	}
	// A stronger source wins in whichever of the two forms it comes.
	s, err = load(t, []string{"PARLEY_MODEL=m", "PARLEY_MODEL_KEY_FILE=" + key}, []string{"--model-key", "sk-flag"})
	if err != nil || string(s.ModelKey) != "sk-flag" {
		t.Fatalf("key %q, %v", string(s.ModelKey), err)
	}
	s, err = load(t, []string{"PARLEY_MODEL=m", "PARLEY_MODEL_KEY=sk-env"}, []string{"--model-key-file", key})
	if err != nil || string(s.ModelKey) != "sk-from-file" {
		t.Fatalf("key %q, %v", string(s.ModelKey), err)
	}
}

func TestWrongSettingsSayWhatWasExpected(t *testing.T) {
	empty := writeFile(t, "empty", "\n")
	const h = "PARLEY_MODEL=m"
	tests := []struct {
		name string
		env  []string
		args []string
		yaml string
		want string // FILE is the file's path
	}{
		{name: "address", env: []string{"PARLEY_ADDR=8080"}, want: `PARLEY_ADDR: "8080" is not host:port, such as 127.0.0.1:8080`},
		{name: "address in a flag", args: []string{"--addr=nowhere"}, want: `--addr: "nowhere" is not host:port, such as 127.0.0.1:8080`},
		{name: "address in the file", yaml: "\naddr: here", want: `addr (p.yaml, line 2): "here" is not host:port, such as 127.0.0.1:8080`},
		{name: "port", env: []string{"PARLEY_OPS_ADDR=127.0.0.1:70000"}, want: `PARLEY_OPS_ADDR: "127.0.0.1:70000" is not host:port, such as 127.0.0.1:8080`},
		{name: "store", env: []string{"PARLEY_STORE=mysql://u:topsecret@db/p"}, want: `PARLEY_STORE: "mysql://u:xxxxx@db/p" is not the path of a SQLite file, :memory: or a postgres:// URL`},
		{name: "redis", env: []string{"PARLEY_REDIS=localhost:6379"}, want: `PARLEY_REDIS: "localhost:6379" is not a Redis URL, such as redis://localhost:6379/0`},
		{name: "redis that no URL is", env: []string{"PARLEY_REDIS=redis://:topsecret@h:x"}, want: `PARLEY_REDIS: the value is not a Redis URL, such as redis://localhost:6379/0`},
		{name: "redis database", env: []string{"PARLEY_REDIS=redis://:topsecret@h:1/x"}, want: `PARLEY_REDIS: "redis://:xxxxx@h:1/x" is not a Redis URL, such as redis://localhost:6379/0`},
		{name: "model URL", env: []string{h, "PARLEY_MODEL_URL=ollama:11434"}, want: `PARLEY_MODEL_URL: "ollama:11434" is not the base URL of a model server, such as http://localhost:11434/v1`},
		{name: "model missing", env: []string{"PARLEY_MODEL_URL=http://ollama:11434"}, want: `PARLEY_MODEL: is needed with PARLEY_MODEL_URL: name a model of that server`},
		{name: "model missing beside a key", env: []string{"PARLEY_MODEL_KEY=topsecret"}, want: `PARLEY_MODEL: is needed with a model key: name the model that it is for`},
		{name: "model of two lines", env: []string{"PARLEY_MODEL=a\nb"}, want: `PARLEY_MODEL: "a\nb" has a line break or another control character`},
		{name: "key", env: []string{h, "PARLEY_MODEL_KEY=topsecret and more"}, want: `PARLEY_MODEL_KEY: the value has characters that no key has; was something else pasted with it?`},
		{name: "token", args: []string{"--admin-token", "topsecret"}, want: "--admin-token: the value is not 16 or more letters, digits and signs without spaces, such as `openssl rand -hex 24` prints"},
		{name: "token's file", env: []string{"PARLEY_ADMIN_TOKEN_FILE=/nowhere"}, want: `PARLEY_ADMIN_TOKEN_FILE: "/nowhere" cannot be read: no such file or directory`},
		{name: "token's file empty", env: []string{"PARLEY_ADMIN_TOKEN_FILE=" + empty}, want: `PARLEY_ADMIN_TOKEN_FILE: "` + empty + `" cannot be read: it is empty`},
		{name: "token and its file", env: []string{"PARLEY_ADMIN_TOKEN=0123456789abcdef", "PARLEY_ADMIN_TOKEN_FILE=/x"}, want: "PARLEY_ADMIN_TOKEN_FILE: stands beside PARLEY_ADMIN_TOKEN; give one of them"},
		{name: "egress", env: []string{"PARLEY_EGRESS_ALLOW=crm:443, 10.0.0.1"}, want: `PARLEY_EGRESS_ALLOW: "crm:443, 10.0.0.1" has the entry "10.0.0.1", which is not host:port, such as localhost:8081`},
		{name: "origin", env: []string{"PARLEY_ORIGINS=shop.example"}, want: `PARLEY_ORIGINS: "shop.example" has the entry "shop.example", which is not an origin, such as https://chat.example`},
		{name: "host", env: []string{"PARLEY_HOSTS=https://chat.example"}, want: `PARLEY_HOSTS: "https://chat.example" has the entry "https://chat.example", which is not a host name, such as chat.example`},
		{name: "proxy", env: []string{"PARLEY_TRUSTED_PROXIES=10.0.0.0/33"}, want: `PARLEY_TRUSTED_PROXIES: "10.0.0.0/33" has the entry "10.0.0.0/33", which is not a network, such as 10.0.0.0/8`},
		{name: "choice", env: []string{"PARLEY_SECURE_COOKIES=maybe"}, want: `PARLEY_SECURE_COOKIES: "maybe" is not auto, true or false`},
		{name: "log", env: []string{"PARLEY_LOG=loud"}, want: `PARLEY_LOG: "loud" is not debug, info, warn or error, with text or json behind it, such as info,json`},
		{name: "number", env: []string{"PARLEY_MAX_MESSAGE=32k"}, want: `PARLEY_MAX_MESSAGE: "32k" is not a whole number from 1 to 1048576, such as 32768`},
		{name: "number too large", yaml: "queued: 1000000", want: `queued (p.yaml, line 1): "1000000" is not a whole number from 1 to 1000, such as 16`},
		{name: "duration", args: []string{"--lease", "2"}, want: `--lease: "2" is not a duration from 500ms to 1m, such as 2s`},
		{name: "duration too short", args: []string{"--lease", "10ms"}, want: `--lease: "10ms" is not a duration from 500ms to 1m, such as 2s`},
		{name: "frame smaller than a message", env: []string{"PARLEY_MAX_MESSAGE=65536"}, want: `PARLEY_MAX_FRAME: "65536" has no room for a message of 65536 bytes; it needs 66560 or more`},
		{name: "burst smaller than the rate", args: []string{"--commands-burst", "5"}, want: `--commands-burst: "5" is less than the 20 commands allowed each second`},
		{name: "misspelt variable", env: []string{"PARLEY_MAX_MESAGE=1"}, want: `PARLEY_MAX_MESAGE: there is no such setting; did you mean PARLEY_MAX_MESSAGE?`},
		{name: "misspelt key", yaml: "addr: 127.0.0.1:1\nmax_mesage: 1", want: `max_mesage (p.yaml, line 2): there is no such setting; did you mean max-message?`},
		{name: "unknown key", yaml: "kubernetes: true", want: "kubernetes (p.yaml, line 1): there is no such setting; `parley serve --help` lists them"},
		{name: "key twice", yaml: "queued: 1\nqueued: 2", want: `queued (p.yaml, line 2): stands in the file twice`},
		{name: "mapping as value", yaml: "queued: {a: b}", want: `queued (p.yaml, line 1): must be a single value or a list of them`},
		{name: "file that names another", yaml: "config: other.yaml", want: `config (p.yaml, line 1): a settings file cannot name another`},
		{name: "file that is a list", yaml: "- queued", want: `PARLEY_CONFIG: "FILE" is not a YAML file of settings: it must be lines of the form name: value`},
		{name: "file of two documents", yaml: "queued: 1\n---\nqueued: 2", want: `PARLEY_CONFIG: "FILE" is not a YAML file of settings: it holds more than one document`},
		{name: "no file", args: []string{"--config", "/nowhere.yaml"}, want: `--config: "/nowhere.yaml" cannot be read: no such file or directory`},
		{name: "all at once", env: []string{"PARLEY_ADDR=x"}, args: []string{"--lease=y"}, yaml: "queued: z", want: "3 settings are wrong:\n  PARLEY_ADDR: \"x\" is not host:port, such as 127.0.0.1:8080\n  queued (p.yaml, line 1): \"z\" is not a whole number from 1 to 1000, such as 16\n  --lease: \"y\" is not a duration from 500ms to 1m, such as 2s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := ""
			if tt.yaml != "" {
				path = writeFile(t, "p.yaml", tt.yaml)
				tt.env = append(tt.env, "PARLEY_CONFIG="+path)
			}
			_, err := load(t, tt.env, tt.args)
			if err == nil {
				t.Fatal("no error")
			}
			if d := cmp.Diff(strings.ReplaceAll(tt.want, "FILE\"", path+"\""), err.Error()); d != "" {
				t.Error(d)
			}
			if strings.Contains(err.Error(), "topsecret") {
				t.Error("the error shows a secret")
			}
			if w := wrongSettings(nil); !errors.As(err, &w) {
				t.Errorf("the error is a %T", err)
			}
		})
	}
}

func TestOrchestratorsVariablesAreLeftAlone(t *testing.T) {
	// Kubernetes gives these to every container where a service is called
	// parley, parley-redis and so on.
	var env []string
	for _, service := range []string{"PARLEY", "PARLEY_REDIS", "PARLEY_POSTGRES", "PARLEY_WEB", "PARLEY_OPS"} {
		for _, v := range []string{"SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_8080_TCP", "PORT_8080_TCP_PROTO", "PORT_8080_TCP_PORT", "PORT_8080_TCP_ADDR"} {
			env = append(env, service+"_"+v+"=tcp://10.0.0.1:80")
		}
	}
	if _, err := load(t, env, nil); err != nil {
		t.Fatal(err)
	}
}

func TestNoHomeNeedsADataFolder(t *testing.T) {
	_, err := newLoader(nil).load()
	if err == nil || !strings.HasPrefix(err.Error(), "PARLEY_DATA: is needed") {
		t.Errorf("error %v", err)
	}
	if _, err := newLoader(nil, "addr").load(); err != nil {
		t.Errorf("a command that needs no folder: %v", err)
	}
}

func TestSettingsNeverShowSecrets(t *testing.T) {
	s, err := load(t, []string{
		"PARLEY_MODEL=m", "PARLEY_MODEL_KEY=topsecret-key", "PARLEY_ADMIN_TOKEN=topsecret-0123456789",
		"PARLEY_REDIS=rediss://u:topsecret@redis:6379/1", "PARLEY_STORE=postgres://u:topsecret@db/p?sslpassword=topsecret",
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	slog.New(slog.NewJSONHandler(&b, nil)).Info("start", "settings", s, "key", s.ModelKey)
	fmt.Fprintf(&b, "%v %+v %#v %s %v %#v", s, s, s, s, s.ModelKey, s.ModelKey)
	if strings.Contains(b.String(), "topsecret") {
		t.Errorf("a secret shows: %s", b.String())
	}
	for _, want := range []string{`"redis":"rediss://u:xxxxx@redis:6379/1"`, `"model-key":"(hidden)"`, `"lease":"2s"`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s is missing in %s", want, b.String())
		}
	}
	if string(s.ModelKey) != "topsecret-key" {
		t.Error("the key itself is lost")
	}
}

func TestEverySettingHasOneNameAndADescription(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range settingsTable() {
		if seen[r.name] || r.name == "" || r.group == "" || r.arg == "" || !strings.HasSuffix(r.help, ".") || r.set == nil {
			t.Errorf("row %q is incomplete or doubled", r.name)
		}
		seen[r.name] = true
		if r.def != "" {
			if err := r.set(&settings{}, r.def); err != nil {
				t.Errorf("%s: its default %q %v", r.name, r.def, err)
			}
		}
	}
}

func TestReadmeShowsTheTableOfSettings(t *testing.T) {
	table := settingsMarkdown(settingsTable())
	heading, _, _ := strings.Cut(table, "\n")
	b, err := os.ReadFile("../../README.md")
	if err != nil || !strings.Contains(string(b), heading) {
		return // there is no table to be out of date
	}
	if !strings.Contains(string(b), table) {
		t.Error("README.md has another table of settings: paste what `parley settings` prints")
	}
}

// Not a fuzz target: instrumented for coverage, this binary with its SQLite is
// too slow to run at all.
func TestNoFileBreaksTheLoader(t *testing.T) {
	seeds := []string{
		"a: b", "queued: 1\n", "- x", "a: &x [1]\nb: *x", "a: &x [*x]", "origins: [a, {b: c}]", "? [a]\n: b",
		"---\n...", "queued: !!int 3", "null", "<<: {queued: 1}", "log: |\n  x", "\xef\xbb\xbfaddr: x", "addr: 'x\"",
	}
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 20_000 {
		b := []byte(seeds[n%len(seeds)] + "\n" + seeds[r.IntN(len(seeds))])
		for range r.IntN(4) {
			b[r.IntN(len(b))] = "\x00\n\t :-[]{}*&!|>'\"%a1\xff"[r.IntN(21)]
		}
		pairs, err := yamlPairs(b)
		if err != nil {
			continue
		}
		l := newLoader([]string{"HOME=/h"})
		for name, g := range l.yamlGiven("f.yaml", pairs) {
			if l.row(name).name != name || g.text == "" {
				t.Errorf("%q: %q was taken for setting %q", b, g.text, name)
			}
		}
	}
}
