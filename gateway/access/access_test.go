package access

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// shelf keeps keys as a store does.
type shelf struct {
	keys  map[string]Key
	away  error
	asked int
}

func (s *shelf) Key(_ context.Context, id string) (Key, error) {
	s.asked++
	k, ok := s.keys[id]
	if s.away != nil {
		return Key{}, s.away
	}
	if !ok {
		return Key{}, fs.ErrNotExist
	}
	return k, nil
}

func (s *shelf) mint(k Key) (token string, id string) {
	token = Mint(&k)
	s.keys[k.ID] = k
	return token, k.ID
}

func TestATokenOpensItsKeyAlone(t *testing.T) {
	s := &shelf{keys: map[string]Key{}}
	a, _ := s.mint(Key{Name: "a", Tenant: "acme", Scopes: []Scope{Chat}})
	b, _ := s.mint(Key{Name: "b", Tenant: "beta", Scopes: []Scope{Tools}})
	r := NewRing(s)
	if k, err := r.Of(t.Context(), a); err != nil || k.Tenant != "acme" || !k.Has(Chat) || k.Has(Tools) {
		t.Errorf("a is %+v, %v", k, err)
	}
	for _, wrong := range []string{
		"", "parley_", a[:len(a)-1], a + "A", a[:len(a)-26] + b[len(b)-26:], b[:len(b)-26] + a[len(a)-26:],
		strings.ToUpper(a), strings.Replace(a, "parley_", "parley-", 1), "parley_nobodynobody_" + a[len(a)-26:],
	} {
		if k, err := r.Of(t.Context(), wrong); !errors.Is(err, ErrUnknown) || k.ID != "" {
			t.Errorf("%q is %+v, %v", wrong, k, err)
		}
	}
}

func TestAKeyThatIsTakenBackOpensNothingWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{keys: map[string]Key{}}
		token, id := s.mint(Key{Name: "a", Tenant: "acme", Scopes: []Scope{Chat}})
		r := NewRing(s)
		for range 100 {
			if _, err := r.Of(t.Context(), token); err != nil {
				t.Fatal(err)
			}
		}
		if s.asked != 1 {
			t.Errorf("the store was asked %d times for a hundred requests", s.asked)
		}
		delete(s.keys, id)
		time.Sleep(time.Second)
		if _, err := r.Of(t.Context(), token); !errors.Is(err, ErrUnknown) || r.Good(t.Context(), id) {
			t.Errorf("a second later: %v", err)
		}
	})
}

func TestAKeyExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{keys: map[string]Key{}}
		token, id := s.mint(Key{Name: "a", Tenant: "acme", Scopes: []Scope{Chat}, Expires: time.Now().Add(time.Hour)})
		r := NewRing(s)
		time.Sleep(time.Hour - time.Millisecond)
		if _, err := r.Of(t.Context(), token); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Millisecond)
		if _, err := r.Of(t.Context(), token); !errors.Is(err, ErrUnknown) || r.Good(t.Context(), id) {
			t.Errorf("expired: %v", err)
		}
	})
}

func TestKeysThatAreKnownGoOnWhileTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{keys: map[string]Key{}}
		token, id := s.mint(Key{Name: "a", Tenant: "acme", Scopes: []Scope{Chat}})
		other, _ := s.mint(Key{Name: "b", Tenant: "acme", Scopes: []Scope{Chat}})
		r := NewRing(s)
		_, _ = r.Of(t.Context(), token)
		s.away = errors.New("the store is away")
		time.Sleep(30 * time.Second)
		if _, err := r.Of(t.Context(), token); err != nil {
			t.Errorf("known: %v", err)
		}
		if _, err := r.Of(t.Context(), other); err == nil || errors.Is(err, ErrUnknown) {
			t.Errorf("not known: %v", err)
		}
		time.Sleep(time.Minute)
		if _, err := r.Of(t.Context(), token); !errors.Is(err, s.away) {
			t.Errorf("too long: %v", err)
		}
		if !r.Good(t.Context(), id) {
			t.Error("connections were ended because the store is away")
		}
	})
}

func TestOwner(t *testing.T) {
	k := Key{Tenant: "acme"}
	for person, want := range map[string]string{"": "acme:", "ann": "acme:ann", "a.b@c.example+x": "acme:a.b@c.example+x"} {
		if got, err := k.Owner(person); got != want || err != nil {
			t.Errorf("%q is %q, %v", person, got, err)
		}
	}
	for _, person := range []string{":", "a:b", "a b", "é", "..", "a\n", strings.Repeat("a", 65), "{x}", "a/b"} {
		if got, err := k.Owner(person); !errors.Is(err, ErrPerson) {
			t.Errorf("%q is %q, %v", person, got, err)
		}
	}
}

func TestCheck(t *testing.T) {
	now := time.Now()
	good := Key{Name: "Ann's shop, v2", Tenant: "acme", Scopes: []Scope{Chat}}
	for name, c := range map[string]struct {
		change func(*Key)
		want   error
	}{
		"good":          {func(*Key) {}, nil},
		"both scopes":   {func(k *Key) { k.Scopes = []Scope{Tools, Chat} }, nil},
		"no name":       {func(k *Key) { k.Name = "" }, ErrName},
		"two lines":     {func(k *Key) { k.Name = "a\nb" }, ErrName},
		"colon":         {func(k *Key) { k.Tenant = "a:b" }, ErrTenant},
		"no tenant":     {func(k *Key) { k.Tenant = "" }, ErrTenant},
		"capitals":      {func(k *Key) { k.Tenant = "Acme" }, ErrTenant},
		"no scope":      {func(k *Key) { k.Scopes = nil }, ErrScope},
		"unknown scope": {func(k *Key) { k.Scopes = []Scope{Chat, "admin"} }, ErrScope},
		"has expired":   {func(k *Key) { k.Expires = now }, ErrExpiry},
	} {
		k := good
		c.change(&k)
		if err := k.Check(now); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
