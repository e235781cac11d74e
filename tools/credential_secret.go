package tools

import (
	"encoding/base64"
	"iter"
	"slices"
	"strings"
)

// secrets yields the fields that are write-only. A user without a password is
// one of them: some services take a key for it.
func (c *Credential) secrets() iter.Seq2[string, *string] {
	return func(yield func(string, *string) bool) {
		_ = yield("value", &c.Value) && yield("password", &c.Password) && yield("clientSecret", &c.ClientSecret) &&
			(c.Password != "" || yield("user", &c.User))
	}
}

// Public returns the credential as it may be shown, its secrets masked.
func (c Credential) Public() Credential {
	for _, secret := range c.secrets() {
		if *secret != "" {
			*secret = Mask
		}
	}
	return c
}

// MergeCredential returns next with every masked secret replaced by the one
// that old has, for a change by somebody who may not see them. A secret stays
// with those that it was given for: if there are origins that old has not, or
// another kind or tokenUrl, it must be given again. The result is validated.
func MergeCredential(old, next Credential) (Credential, error) {
	// What is masked tells which fields are meant: a user may have been masked
	// whose password is given now.
	had := map[string]string{"value": old.Value, "password": old.Password, "clientSecret": old.ClientSecret, "user": old.User}
	for field, secret := range map[string]*string{"value": &next.Value, "password": &next.Password, "clientSecret": &next.ClientSecret, "user": &next.User} {
		if *secret != Mask {
			continue
		}
		if had[field] == "" {
			return Credential{}, faultf(field, "is masked and nothing is stored for it: give the value")
		}
		if reason := next.strays(old); reason != "" {
			return Credential{}, faultf(field, "must be given again: %s, and a secret stays with those that it was given for", reason)
		}
		*secret = had[field]
	}
	return next, next.Validate()
}

// strays says why a secret of old must not become one of c, "" if it may.
func (c *Credential) strays(old Credential) string {
	switch {
	case c.Kind != old.Kind:
		return "the kind has changed"
	case c.TokenURL != old.TokenURL:
		return "the tokenUrl has changed"
	case slices.ContainsFunc(c.Origins, func(o string) bool { return !old.fits(originOf(o)) }):
		return "there is another origin"
	}
	return ""
}

// told returns the texts of the credential that nobody may be shown.
func (c *Credential) told() []string {
	var all []string
	for _, secret := range c.secrets() {
		if *secret != "" {
			all = append(all, *secret)
		}
	}
	if c.Kind == Basic {
		all = append(all, base64.StdEncoding.EncodeToString([]byte(c.User+":"+c.Password)))
	}
	return all
}

// MapSecrets returns the credential with every secret replaced by what f makes
// of it. The place that f is told identifies the field and those that the
// secret may be sent to. It is for stores, which encrypt them.
func (c Credential) MapSecrets(f func(place, secret string) (string, error)) (Credential, error) {
	origins := slices.Sorted(slices.Values(c.Origins))
	to := strings.Join(append(origins, string(c.Kind), c.TokenURL), "\x00")
	for _, field := range []struct {
		name   string
		secret *string
	}{{"value", &c.Value}, {"user", &c.User}, {"password", &c.Password}, {"clientSecret", &c.ClientSecret}} {
		if *field.secret == "" {
			continue
		}
		mapped, err := f(field.name+"\x00"+to, *field.secret)
		if err != nil {
			return Credential{}, err
		}
		*field.secret = mapped
	}
	return c, nil
}

// MapSecrets returns the endpoint with every header and secret query member
// replaced by what f makes of it. The place that f is told identifies the
// member and the origin that it is sent to. It is for stores, which encrypt
// them.
func (e Endpoint) MapSecrets(f func(place, secret string) (string, error)) (Endpoint, error) {
	e.Steps = slices.Clone(e.Steps)
	for _, r := range e.requests() {
		var err error
		to := "\x00" + e.idOf(r) + "\x00" + originOf(r.URL)
		if r.Headers, err = mapped(r.Headers, "headers"+to, f); err != nil {
			return Endpoint{}, err
		}
		if r.SecretQuery, err = mapped(r.SecretQuery, "secretQuery"+to, f); err != nil {
			return Endpoint{}, err
		}
	}
	return e, nil
}

func mapped(m map[string]string, at string, f func(place, secret string) (string, error)) (map[string]string, error) {
	if m == nil {
		return nil, nil
	}
	out := make(map[string]string, len(m))
	for name, secret := range m {
		var err error
		if out[name], err = f(at+"\x00"+name, secret); err != nil {
			return nil, err
		}
	}
	return out, nil
}
