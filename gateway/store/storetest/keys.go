package storetest

import (
	"testing"
	"time"

	"parley/gateway/access"
	"parley/gateway/chat"
)

func keys() map[string]func(*testing.T, Store) {
	return map[string]func(*testing.T, Store){
		"are kept whole":                keyWhole,
		"are listed by name":            keyList,
		"have names of their own":       keyNames,
		"that are absent are not found": keyAbsent,
	}
}

func key(id, name string) access.Key {
	return access.Key{
		ID: id, Name: name, Tenant: "acme", Scopes: []access.Scope{access.Tools, access.Chat}, Hash: []byte{0, 1, 0xff},
		Created: start, Expires: start.Add(time.Hour),
	}
}

func keyWhole(t *testing.T, s Store) {
	ok(t, s.AddKey(t.Context(), key("k1", "a")))
	k, err := s.Key(t.Context(), "k1")
	ok(t, err)
	equal(t, "key", k, key("k1", "a"))
	never := key("k2", "b")
	never.Expires = time.Time{}
	ok(t, s.AddKey(t.Context(), never))
	k, err = s.Key(t.Context(), "k2")
	ok(t, err)
	equal(t, "key", k, never)
}

func keyList(t *testing.T, s Store) {
	ks, err := s.Keys(t.Context())
	ok(t, err)
	equal(t, "none", ks, nil)
	ok(t, s.AddKey(t.Context(), key("k1", "b")))
	ok(t, s.AddKey(t.Context(), key("k2", "a")))
	ks, err = s.Keys(t.Context())
	ok(t, err)
	equal(t, "keys", ks, []access.Key{key("k2", "a"), key("k1", "b")})
}

func keyNames(t *testing.T, s Store) {
	ok(t, s.AddKey(t.Context(), key("k1", "a")))
	fails(t, s.AddKey(t.Context(), key("k2", "a")), access.ErrTaken)
	ok(t, s.DeleteKey(t.Context(), "k1"))
	ok(t, s.AddKey(t.Context(), key("k2", "a")))
}

func keyAbsent(t *testing.T, s Store) {
	_, err := s.Key(t.Context(), "k1")
	fails(t, err, chat.ErrNotFound)
	fails(t, s.DeleteKey(t.Context(), "k1"), chat.ErrNotFound)
}
