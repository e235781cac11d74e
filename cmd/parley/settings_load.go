package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"parley/llm/price"
)

// A wrongSettings error lists everything that is wrong, so that one start is
// enough to know it.
type wrongSettings []string

func (w wrongSettings) Error() string {
	if len(w) == 1 {
		return w[0]
	}
	return fmt.Sprintf("%d settings are wrong:\n  %s", len(w), strings.Join(w, "\n  "))
}

// given is a value as somebody wrote it, and where.
type given struct {
	text string
	form string // the setting's name in the form in which it was given
}

// A loader gathers settings from the flags, the environment, the YAML file
// and the defaults, in this order of precedence.
type loader struct {
	rows  []setting
	only  []string // names of rows that matter, all if empty
	env   map[string]string
	flags map[string]string // by setting's name
	wrong wrongSettings
}

// newLoader returns a loader for an environment of NAME=value strings. If
// names are given, all other settings are neither checked nor set.
func newLoader(environ []string, only ...string) *loader {
	l := &loader{rows: settingsTable(), only: only, env: map[string]string{}, flags: map[string]string{}}
	for _, kv := range environ {
		k, v, _ := strings.Cut(kv, "=")
		l.env[k] = v
	}
	return l
}

// register adds the settings' flags to fs. Values are only noted, so that all
// wrong ones can be reported together.
func (l *loader) register(fs *flagSet) {
	for _, r := range l.rows {
		if l.matters(r) {
			fs.Func(r.name, r.help, func(v string) error { l.flags[r.name] = v; return nil })
		}
	}
}

func (l *loader) matters(r setting) bool { return len(l.only) == 0 || slices.Contains(l.only, r.name) }

// load returns the settings, or an error of type [wrongSettings].
func (l *loader) load() (settings, error) {
	var s settings
	have := l.gather()
	for _, r := range l.rows {
		if !l.matters(r) {
			continue
		}
		if r.def != "" {
			_ = r.set(&s, r.def)
		}
		if g, ok := have[r.name]; ok {
			l.apply(&s, r, g)
		}
	}
	l.complete(&s)
	l.fallbackKeys(&s)
	if len(l.only) == 0 && len(l.wrong) == 0 {
		l.together(s, have)
	}
	if len(l.wrong) > 0 {
		return settings{}, l.wrong
	}
	return s, nil
}

func (l *loader) fail(form, format string, args ...any) {
	l.wrong = append(l.wrong, form+": "+fmt.Sprintf(format, args...))
}

// apply sets one value.
func (l *loader) apply(s *settings, r setting, g given) {
	text, of := g.text, r
	if r.fileOf != "" {
		b, err := readSmall(g.text, 64<<10)
		if err == nil && strings.TrimSpace(string(b)) == "" {
			err = errors.New("it is empty")
		}
		if err != nil {
			l.fail(g.form, "%q cannot be read: %v", g.text, reason(err))
			return
		}
		text, of = strings.TrimSpace(string(b)), l.row(r.fileOf)
	}
	if err := r.set(s, text); err != nil {
		l.fail(g.form, "%s %v", quoted(of, text), err)
	}
}

// quoted is a value as an error may show it.
func quoted(r setting, text string) string {
	const longest = 120
	if text = r.redact(text); text == hidden {
		return "the value"
	}
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return fmt.Sprintf("%q", text)
}

func (l *loader) row(name string) setting {
	i := slices.IndexFunc(l.rows, func(r setting) bool { return r.name == name })
	if i < 0 {
		return setting{}
	}
	return l.rows[i]
}

// gather returns what was given for each setting, the stronger source over
// the weaker.
func (l *loader) gather() map[string]given {
	flags, env := l.fromFlags(), l.fromEnv()
	have := map[string]given{}
	for _, source := range []map[string]given{l.fromYAML(flags, env), env, flags} {
		l.exclusive(source)
		for name, g := range source {
			delete(have, l.row(name).fileOf)
			delete(have, name+"-file")
			have[name] = g
		}
	}
	return have
}

// exclusive refuses a secret and its file from the same source.
func (l *loader) exclusive(source map[string]given) {
	for _, r := range l.rows {
		f, ok := source[r.name]
		if v, both := source[r.fileOf]; ok && both && l.matters(r) {
			l.fail(f.form, "stands beside %s; give one of them", v.form)
			delete(source, r.name)
		}
	}
}

func (l *loader) fromFlags() map[string]given {
	m := map[string]given{}
	for name, v := range l.flags {
		m[name] = given{v, "--" + name}
	}
	return m
}

// clientEnv are environment variables of Parley's that are no settings of
// the server.
func clientEnv() []string { return []string{"PARLEY_SERVER", "PARLEY_TOKEN"} }

// fromEnv takes the settings' variables; an empty one counts as absent, as
// Compose files write it. A variable that is nearly the name of a setting is
// an error; others are left alone, because Kubernetes gives every container
// PARLEY_SERVICE_HOST and the like if a service is called parley.
func (l *loader) fromEnv() map[string]given {
	m := map[string]given{}
	var names []string
	for _, r := range l.rows {
		names = append(names, strings.TrimPrefix(r.env(), envPrefix))
		if v := l.env[r.env()]; v != "" {
			m[r.name] = given{v, r.env()}
		}
	}
	if len(l.only) > 0 {
		return m
	}
	for _, k := range slices.Sorted(maps.Keys(l.env)) {
		name, ours := strings.CutPrefix(k, envPrefix)
		if !ours || slices.Contains(names, name) || slices.Contains(clientEnv(), k) {
			continue
		}
		if n := within(name, names, max(1, len(name)/5)); n != "" {
			l.fail(k, "there is no such setting; did you mean %s%s?", envPrefix, n)
		}
	}
	return m
}

// complete fills in the defaults that follow from others.
func (l *loader) complete(s *settings) {
	if s.Prices == nil {
		s.Prices = price.Default()
	}
	if s.Data == "" {
		s.Data = dataFolder(l.env)
	}
	if !l.matters(l.row("data")) {
		return
	}
	if s.Data == "" {
		l.fail("PARLEY_DATA", "is needed, because this user has no home folder: name a folder, such as /var/lib/parley")
		return
	}
	if s.Store == "" {
		s.Store = filepath.Join(s.Data, "parley.db")
	}
}

// together checks what only shows when all settings are known.
func (l *loader) together(s settings, have map[string]given) {
	form := func(name string) string {
		if g, ok := have[name]; ok {
			return g.form
		}
		return l.row(name).env()
	}
	if s.MaxFrame < s.MaxMessage+1024 {
		l.fail(form("max-frame"), "\"%d\" has no room for a message of %d bytes; it needs %d or more", s.MaxFrame, s.MaxMessage, s.MaxMessage+1024)
	}
	if s.CommandsBurst < s.CommandsPerSecond {
		l.fail(form("commands-burst"), "\"%d\" is less than the %d commands allowed each second", s.CommandsBurst, s.CommandsPerSecond)
	}
	if s.Model == "" && s.ModelProvider != "auto" && s.ModelProvider != "demo" {
		l.fail(form("model"), "is needed with %s: name a model of %s", form("model-provider"), s.ModelProvider)
	} else if s.Model == "" && s.ModelURL != "" {
		l.fail(form("model"), "is needed with %s: name a model of that server", form("model-url"))
	} else if s.Model == "" && s.ModelKey != "" {
		l.fail(form("model"), "is needed with a model key: name the model that it is for")
	} else if s.Demo() && len(s.ModelFallback) > 0 {
		l.fail(form("model"), "is needed with %s: name the model that is asked first", form("model-fallback"))
	} else if s.Demo() && s.ModelSmall.Model != "" {
		l.fail(form("model"), "is needed with %s: name the model that answers", form("model-small"))
	}
}

// dataFolder is where this platform keeps a user's data, empty if it cannot
// be told.
func dataFolder(env map[string]string) string {
	home := env["HOME"]
	switch runtime.GOOS {
	case "windows":
		return under(env["LOCALAPPDATA"], "Parley")
	case "darwin", "ios":
		return under(home, "Library", "Application Support", "Parley")
	}
	if x := env["XDG_DATA_HOME"]; filepath.IsAbs(x) { // the specification ignores others
		return filepath.Join(x, "parley")
	}
	return under(home, ".local", "share", "parley")
}

// under joins a path, unless there is nothing to be under.
func under(root string, names ...string) string {
	if !filepath.IsAbs(root) {
		return ""
	}
	return filepath.Join(append([]string{root}, names...)...)
}

// readSmall reads a file that must not be larger than most bytes.
func readSmall(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("it is larger than %d bytes", most)
	}
	return b, err
}

// reason is an error without the path that its message repeats.
func reason(err error) error {
	if p := (*os.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}
