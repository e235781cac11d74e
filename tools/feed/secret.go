package feed

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"parley/tools"
)

// MapSecrets returns f with each of its secrets replaced by what change makes
// of it. member names it, such as "headers.Authorization".
func (f Feed) MapSecrets(change func(member, value string) (string, error)) (Feed, error) {
	f.Headers, f.SecretQuery = maps.Clone(f.Headers), maps.Clone(f.SecretQuery)
	for _, m := range []struct {
		at     string
		values map[string]string
	}{{"headers.", f.Headers}, {"secretQuery.", f.SecretQuery}} {
		for _, name := range slices.Sorted(maps.Keys(m.values)) {
			v, err := change(m.at+name, m.values[name])
			if err != nil {
				return f, err
			}
			m.values[name] = v
		}
	}
	if f.Login == "" {
		return f, nil
	}
	var err error
	f.Login, err = change("login", f.Login)
	return f, err
}

// Public returns the feed as it may be shown: with [tools.Mask] in the place
// of every secret.
func (f Feed) Public() Feed {
	f, _ = f.MapSecrets(func(string, string) (string, error) { return tools.Mask, nil })
	return f
}

// Merge returns next with every masked secret replaced by the one that old
// has. A secret belongs to the origin that it was given for: if scheme, host
// or port have changed, it must be given again. The result is validated.
func Merge(old, next Feed) (Feed, error) {
	had := map[string]string{}
	_, _ = old.MapSecrets(func(member, value string) (string, error) {
		had[canonical(member)] = value
		return value, nil
	})
	was, is := origin(old.URL), origin(next.URL)
	next, err := next.MapSecrets(func(member, value string) (string, error) {
		stored := had[canonical(member)]
		switch {
		case value != tools.Mask:
			return value, nil
		case stored == "" || stored == tools.Mask:
			return "", faultf(member, "is masked and nothing is stored for it: give the value")
		case was == "" || was != is:
			return "", faultf(member, "must be given again: the URL's scheme, host or port has changed, and a secret stays with the host that it was given for")
		}
		return stored, nil
	})
	if err != nil {
		return Feed{}, err
	}
	return next, next.Validate()
}

// canonical writes the names of headers in one form.
func canonical(member string) string {
	if name, ok := strings.CutPrefix(member, "headers."); ok {
		return "headers." + http.CanonicalHeaderKey(name)
	}
	return member
}

// origin returns scheme, host and port of an address, the port always written.
func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"ws": "80", "wss": "443"}[strings.ToLower(u.Scheme)]
	}
	return strings.ToLower(u.Scheme) + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

const shortestSecret = 4 // shorter values would blank out ordinary text

// redacted returns text without the feed's secrets, which a server may echo.
func (f Feed) redacted(text string) string {
	var pairs []string
	_, _ = f.MapSecrets(func(_, value string) (string, error) {
		forms := []string{value, url.QueryEscape(value)}
		if _, credentials, ok := strings.Cut(value, " "); ok {
			forms = append(forms, credentials)
		}
		for _, s := range forms {
			if len(s) >= shortestSecret {
				pairs = append(pairs, s, tools.Mask)
			}
		}
		return value, nil
	})
	if len(pairs) == 0 {
		return text
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
