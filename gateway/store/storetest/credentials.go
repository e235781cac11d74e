package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/tools"
)

func credentials() map[string]func(*testing.T, Store) {
	return map[string]func(*testing.T, Store){
		"are kept whole":                  credentialWhole,
		"are replaced and deleted":        credentialReplace,
		"that are absent are not found":   credentialAbsent,
		"departures are taken once":       departureOnce,
		"departures that expired are not": departureExpired,
	}
}

func credential(name string) tools.Credential {
	return tools.Credential{
		Name: name, Description: "the shop & its état", Kind: tools.OAuth2, Origins: []string{"https://shop.example", "https://api.example"},
		Grant: tools.PersonGrant, TokenURL: "https://id.example/token", AuthorizeURL: "https://id.example/authorize", ClientID: "parley", ClientSecret: "s3cret\x00ü",
		Scopes: []string{"read", "write"},
	}
}

func credentialWhole(t *testing.T, s Store) {
	all := []tools.Credential{
		{Name: "basic", Kind: tools.Basic, Origins: []string{"https://a.example"}, User: "u", Password: "p"},
		{Name: "key", Kind: tools.APIKey, Origins: []string{"https://a.example"}, In: "query", Parameter: "k", Value: "v"},
		credential("oauth"),
	}
	for _, c := range all {
		ok(t, s.PutCredential(t.Context(), c))
		got, err := s.Credential(t.Context(), c.Name)
		ok(t, err)
		equal(t, c.Name, got, c)
	}
	got, err := s.Credentials(t.Context())
	ok(t, err)
	equal(t, "credentials", got, all)
}

func credentialReplace(t *testing.T, s Store) {
	c, k := credential("a"), tools.TokenKey{Credential: "a", Person: "ann"}
	ok(t, s.PutCredential(t.Context(), c))
	mustPut(t, s, k, tools.Token{Access: "t"}, 0)
	c.ClientSecret = "other"
	ok(t, s.PutCredential(t.Context(), c))
	got, err := s.Credential(t.Context(), "a")
	ok(t, err)
	equal(t, "credential", got, c)
	_, err = s.Token(t.Context(), k)
	ok(t, err) // tokens are judged by their revision
	ok(t, s.DeleteCredential(t.Context(), "a"))
	credentialAbsent(t, s)
	_, err = s.Token(t.Context(), k)
	fails(t, err, chat.ErrNotFound)
}

func credentialAbsent(t *testing.T, s Store) {
	_, err := s.Credential(t.Context(), "a")
	fails(t, err, chat.ErrNotFound)
	fails(t, s.DeleteCredential(t.Context(), "a"), chat.ErrNotFound)
}

func departureOnce(t *testing.T, s Store) {
	d := tools.Departure{Credential: "a", Person: "ann", Verifier: "v", Redirect: "https://parley.example/back", Expires: time.Now().Add(time.Minute).UTC().Truncate(time.Millisecond)}
	ok(t, s.PutDeparture(t.Context(), "state", d))
	var taken atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			got, err := s.TakeDeparture(t.Context(), "state")
			if err == nil {
				taken.Add(1)
				if got != d {
					t.Errorf("taken %+v", got)
				}
			}
		})
	}
	wg.Wait()
	equal(t, "taken", taken.Load(), 1)
	_, err := s.TakeDeparture(t.Context(), "state")
	fails(t, err, chat.ErrNotFound)
}

func departureExpired(t *testing.T, s Store) {
	ok(t, s.PutDeparture(t.Context(), "state", tools.Departure{Expires: time.Now().Add(-time.Second)}))
	_, err := s.TakeDeparture(t.Context(), "state")
	fails(t, err, chat.ErrNotFound)
}

func tokens() map[string]func(*testing.T, Store) {
	return map[string]func(*testing.T, Store){
		"are kept whole, each person's apart":                tokenWhole,
		"are replaced only by who knows what is stored":      tokenVersions,
		"that were deleted and are there again are others":   tokenAgain,
		"need their credential":                              tokenOrphan,
		"may be replaced by one holder at a time":            tokenLease,
		"may be replaced by one of many who want it at once": tokenRace,
	}
}

func mustPut(t *testing.T, s Store, k tools.TokenKey, token tools.Token, version int64) tools.Token {
	t.Helper()
	stored, err := s.PutToken(t.Context(), k, token, version)
	ok(t, err)
	equal(t, "stored", stored, true)
	got, err := s.Token(t.Context(), k)
	ok(t, err)
	if got.Version <= version {
		t.Fatalf("version %d after %d", got.Version, version)
	}
	return got
}

func tokenWhole(t *testing.T, s Store) {
	ok(t, s.PutCredential(t.Context(), credential("a")))
	ok(t, s.PutCredential(t.Context(), credential("b")))
	for _, person := range []string{"", "ann", "bob"} {
		k := tools.TokenKey{Credential: "a", Person: person}
		_, err := s.Token(t.Context(), k)
		fails(t, err, chat.ErrNotFound)
		want := tools.Token{Access: "a of " + person, Refresh: "r", Type: "Bearer", Expires: start.Add(time.Hour), Renew: start, Since: start, Revision: "x"}
		got := mustPut(t, s, k, want, 0)
		want.Version = got.Version
		equal(t, "token", got, want)
	}
	mustPut(t, s, tools.TokenKey{Credential: "b", Person: "ann"}, tools.Token{Since: start, Revision: "y"}, 0)
	cs, err := s.Connections(t.Context(), "ann")
	ok(t, err)
	equal(t, "connections", cs, []tools.Connection{{Credential: "a", Since: start, Revision: "x"}, {Credential: "b", Since: start, Revision: "y"}})
	cs, err = s.Connections(t.Context(), "eve")
	ok(t, err)
	equal(t, "connections of nobody", cs, nil)
}

func tokenVersions(t *testing.T, s Store) {
	ok(t, s.PutCredential(t.Context(), credential("a")))
	k := tools.TokenKey{Credential: "a", Person: "ann"}
	one := mustPut(t, s, k, tools.Token{Access: "1"}, 0)
	two := mustPut(t, s, k, tools.Token{Access: "2"}, one.Version)
	for _, version := range []int64{0, one.Version, two.Version + 1} {
		stored, err := s.PutToken(t.Context(), k, tools.Token{Access: "late"}, version)
		ok(t, err)
		equal(t, "stored", stored, false)
		gone, err := s.DeleteToken(t.Context(), k, version)
		ok(t, err)
		equal(t, "deleted", gone, false)
	}
	three := mustPut(t, s, k, tools.Token{Access: "3"}, tools.AnyVersion)
	equal(t, "token", three.Access, "3")
	gone, err := s.DeleteToken(t.Context(), k, three.Version)
	ok(t, err)
	equal(t, "deleted", gone, true)
	gone, err = s.DeleteToken(t.Context(), k, tools.AnyVersion)
	ok(t, err)
	equal(t, "deleted twice", gone, false)
}

func tokenAgain(t *testing.T, s Store) {
	ok(t, s.PutCredential(t.Context(), credential("a")))
	k := tools.TokenKey{Credential: "a", Person: "ann"}
	seen := map[int64]bool{}
	for range 5 {
		v := mustPut(t, s, k, tools.Token{Access: "1"}, tools.AnyVersion).Version
		if seen[v] {
			t.Fatalf("version %d is there twice", v)
		}
		seen[v] = true
		_, err := s.DeleteToken(t.Context(), k, v)
		ok(t, err)
		time.Sleep(time.Millisecond) // versions are times
	}
}

func tokenOrphan(t *testing.T, s Store) {
	k := tools.TokenKey{Credential: "none", Person: "ann"}
	_, err := s.PutToken(t.Context(), k, tools.Token{}, tools.AnyVersion)
	fails(t, err, chat.ErrNotFound)
	_, err = s.LeaseToken(t.Context(), k, 0, "me", time.Now().Add(time.Minute))
	fails(t, err, chat.ErrNotFound)
}

func tokenLease(t *testing.T, s Store) {
	ok(t, s.PutCredential(t.Context(), credential("a")))
	k := tools.TokenKey{Credential: "a"}
	lease := func(what string, version int64, holder string, until time.Time, want bool) {
		t.Helper()
		held, err := s.LeaseToken(t.Context(), k, version, holder, until)
		ok(t, err)
		equal(t, what, held, want)
	}
	later, past := time.Now().Add(time.Minute), time.Now().Add(-time.Second)
	lease("a token that is not there", 0, "me", later, true)
	_, err := s.Token(t.Context(), k)
	fails(t, err, chat.ErrNotFound)
	lease("held", 0, "you", later, false)
	lease("given back", 0, "me", time.Time{}, true)
	lease("free", 0, "you", later, true)
	first := mustPut(t, s, k, tools.Token{Access: "1"}, 0)
	lease("another version", 0, "me", later, false)
	lease("free again after it was stored", first.Version, "me", past, true)
	lease("lapsed", first.Version, "you", later, true)
	lease("who was too late gives nothing back", first.Version, "me", time.Time{}, false)
	lease("still held", first.Version, "me", later, false)
}

func tokenRace(t *testing.T, s Store) {
	ok(t, s.PutCredential(t.Context(), credential("a")))
	k := tools.TokenKey{Credential: "a"}
	var version int64
	for round := range 10 {
		var held atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				mine, err := s.LeaseToken(t.Context(), k, version, fmt.Sprint(i), time.Now().Add(time.Minute))
				if err != nil {
					t.Error(err)
				}
				if mine {
					held.Add(1)
				}
			})
		}
		wg.Wait()
		equal(t, "holders", held.Load(), 1)
		version = mustPut(t, s, k, tools.Token{Access: fmt.Sprint(round)}, version).Version
	}
}
