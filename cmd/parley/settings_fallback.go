package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"parley/cmd/parley/plain"
	"parley/llm/provider"
)

// A fallback is a model that answers if those before it do not.
type fallback struct {
	Provider string // one of provider.Names
	Model    string
	URL      string // empty for the provider's own
	KeyFrom  string // environment variable or absolute path of a file that has the key; empty: the first model's, if it is the same server's
	Key      secret
}

// maxFallbacks bounds a chain: each model adds its own waiting to a bad day.
const maxFallbacks = 8

// fallbackRow is the list of models behind the first. Each is
// provider:model@url#KEY, of which url and key may be left out.
func fallbackRow() setting {
	return setting{
		name: "model-fallback", arg: "provider:model[@url][#KEY],…",
		hide: hideKeys,
		help: "Models that answer if the first does not, the next best first; KEY names an environment variable, or the path of a file, that holds the model's key.",
		set: func(s *settings, v string) error {
			var fs []fallback
			for _, part := range parts(v) {
				f, err := fallbackText(part)
				if err != nil {
					return fmt.Errorf("has an entry that %w", err)
				}
				fs = append(fs, f)
			}
			if len(fs) > maxFallbacks {
				return fmt.Errorf("names more than %d models", maxFallbacks)
			}
			s.ModelFallback = fs
			return nil
		},
		get: func(s *settings) string {
			var vs []string
			for _, f := range s.ModelFallback {
				vs = append(vs, f.String())
			}
			return strings.Join(vs, ",")
		},
	}
}

// smallRow is the model for small things: a name at the first one's address,
// or an entry like those of the models behind the first.
func smallRow() setting {
	return setting{
		name: "model-small", arg: "model|provider:model[@url][#KEY]",
		hide: hideKeys,
		help: "A cheaper model for summaries, titles and suggestions, at the model's own address or, written as in PARLEY_MODEL_FALLBACK, elsewhere; empty for the model itself.",
		set: func(s *settings, v string) error {
			if p, _, _ := strings.Cut(v, ":"); slices.Contains(provider.Names(), p) {
				f, err := fallbackText(v)
				if err != nil {
					return fmt.Errorf("has an entry that %w", err)
				}
				s.ModelSmall = f
				return nil
			}
			if strings.ContainsFunc(v, plain.IsControl) || strings.Contains(v, "#") || strings.Contains(v, "@http") {
				return fmt.Errorf("has an address or a key and no provider before them; the providers are %s", strings.Join(provider.Names(), ", "))
			}
			s.ModelSmall = fallback{Model: v}
			return nil
		},
		get: func(s *settings) string { return s.ModelSmall.String() },
	}
}

// String is the entry as it was written, which has no secret in it.
func (f fallback) String() string {
	if f.Provider == "" {
		return f.Model
	}
	s := f.Provider + ":" + f.Model
	if f.URL != "" {
		s += "@" + f.URL
	}
	if f.KeyFrom != "" {
		s += "#" + f.KeyFrom
	}
	return s
}

// hideKeys takes out of the entries what may be a key or a password that was
// written where it does not belong.
func hideKeys(v string) string {
	vs := parts(v)
	for i, part := range vs {
		entry, from, named := strings.Cut(part, "#")
		if at := strings.LastIndex(entry, "@http"); at >= 0 {
			entry = entry[:at+1] + redactURL(entry[at+1:])
		}
		if vs[i] = entry; named && (isEnvName(from) || strings.HasPrefix(from, "/")) {
			vs[i] += "#" + from
		} else if named {
			vs[i] += "#" + hidden
		}
	}
	return strings.Join(vs, ",")
}

// fallbackText reads one entry. A model's name may have colons, and @.
func fallbackText(v string) (f fallback, err error) {
	v, f.KeyFrom, _ = strings.Cut(v, "#")
	if f.KeyFrom != "" && !isEnvName(f.KeyFrom) && !strings.HasPrefix(f.KeyFrom, "/") {
		return f, errors.New("has behind # neither the name of an environment variable nor the path of a file; the key itself must not stand here")
	}
	if i := max(strings.LastIndex(v, "@http://"), strings.LastIndex(v, "@https://")); i >= 0 {
		if f.URL, err = modelURL(v[i+1:]); err != nil {
			return f, fmt.Errorf("has behind @ what %w", err)
		}
		v = v[:i]
	}
	f.Provider, f.Model, _ = strings.Cut(v, ":")
	if !slices.Contains(provider.Names(), f.Provider) || f.Model == "" || strings.ContainsFunc(f.Model, plain.IsControl) {
		return f, fmt.Errorf("is not provider:model, such as anthropic:claude-sonnet-4-5; the providers are %s", strings.Join(provider.Names(), ", "))
	}
	return f, nil
}

// isEnvName reports whether v is a name as environment variables have it. It
// keeps keys out of where names belong: those have lower case or dashes.
func isEnvName(v string) bool {
	return v != "" && v[0] > '9' && !strings.ContainsFunc(v, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z')
	})
}

// fallbackKeys reads the keys of the models behind the first, and of the one
// for small things. Who names none has the first model's, if it is the same
// server's.
func (l *loader) fallbackKeys(s *settings) {
	for i := range s.ModelFallback {
		l.fallbackKey(s, "PARLEY_MODEL_FALLBACK", &s.ModelFallback[i])
	}
	l.fallbackKey(s, "PARLEY_MODEL_SMALL", &s.ModelSmall)
}

func (l *loader) fallbackKey(s *settings, of string, f *fallback) {
	key, err := l.keyFrom(f.KeyFrom)
	if err == nil {
		key, err = keyText(key)
	}
	if err != nil {
		l.fail(of, "the key of %s:%s: %s %v", f.Provider, f.Model, f.KeyFrom, err)
		return
	}
	if f.Key = secret(key); f.KeyFrom == "" && s.sameServer(*f) {
		f.Key = s.ModelKey
	}
}

func (l *loader) keyFrom(name string) (string, error) {
	if !strings.HasPrefix(name, "/") {
		if v := l.env[name]; v != "" || name == "" {
			return v, nil
		}
		return "", errors.New("is not set in the environment")
	}
	b, err := readSmall(name, 64<<10)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", reason(err))
	}
	if strings.TrimSpace(string(b)) == "" {
		return "", errors.New("is empty")
	}
	return string(b), nil
}

// sameServer reports whether a model is where the first one is.
func (s *settings) sameServer(f fallback) bool {
	first := s.ModelProvider
	if first == "auto" {
		first = provider.Guess(s.ModelURL)
	}
	return f.Provider == first && strings.TrimRight(f.URL, "/") == strings.TrimRight(s.ModelURL, "/")
}
