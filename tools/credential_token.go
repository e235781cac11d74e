package tools

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// leaseBeyond is how much longer the right to ask for a token lasts than a
// request for one: whoever asks has stored it by then, or is gone.
const leaseBeyond = 15 * time.Second

// Pauses between two looks whether another replica has got a new token.
const (
	leastPause = 20 * time.Millisecond
	mostPause  = 500 * time.Millisecond
)

// A want is the wish for a token that can be sent.
type want struct {
	cs      *Credentials
	c       Credential
	key     TokenKey
	refused int64 // version of a token that the service did not accept, 0 for none
}

func (cs *Credentials) want(c Credential, person string) want {
	return want{cs: cs, c: c, key: TokenKey{Credential: c.Name, Person: person}}
}

// good reports whether a token can be sent, and fresh whether it can be
// without a thought of a new one.
func (w want) good(t Token) bool {
	return t.Access != "" && t.Revision == w.c.revision() && t.Version != w.refused && (t.Expires.IsZero() || time.Now().Before(t.Expires))
}

func (w want) fresh(t Token) bool {
	return w.good(t) && (t.Renew.IsZero() || time.Now().Before(t.Renew))
}

// token returns a token that can be sent. If it must be renewed, one of all
// replicas does so and the others wait, unless what there is still serves.
// Its error is errNotConnected, a [*tokenError] or the store's.
func (w want) token(ctx context.Context) (Token, error) {
	for pause := leastPause; ; pause = min(2*pause, mostPause) {
		t, err := w.stored(ctx)
		if err != nil || w.fresh(t) {
			return t, err
		}
		holder := rand.Text()
		held, err := w.cs.Tokens.LeaseToken(ctx, w.key, t.Version, holder, time.Now().Add(w.cs.askTimeout()+leaseBeyond))
		switch {
		case err != nil:
			return Token{}, w.failed(err)
		case held:
			return w.renew(ctx, t, holder)
		case w.good(t):
			return t, nil // somebody is at it
		}
		select {
		case <-ctx.Done():
			return Token{}, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// stored returns the token that there is, the zero one if there is none and
// the service can be asked for it.
func (w want) stored(ctx context.Context) (Token, error) {
	t, err := w.cs.Tokens.Token(ctx, w.key)
	if errors.Is(err, fs.ErrNotExist) {
		t, err = Token{}, nil
	}
	if err != nil {
		return Token{}, w.failed(err)
	}
	switch {
	case !w.c.Personal() || w.good(t):
	case t.Revision != w.c.revision():
		return Token{}, errNotConnected
	case t.Refresh == "": // it is of no use any more
		_, err := w.cs.Tokens.DeleteToken(ctx, w.key, t.Version)
		return Token{}, cmp.Or(err, errNotConnected)
	}
	return t, nil
}

// renew asks for a new token, to the end even if ctx ends meanwhile: a
// refresh token is often used up by asking.
func (w want) renew(ctx context.Context, old Token, holder string) (Token, error) {
	type outcome struct {
		t   Token
		err error
	}
	done := make(chan outcome, 1)
	apart := context.WithoutCancel(ctx)
	w.cs.asking.Go(func() {
		t, err := w.replace(apart, old, holder)
		done <- outcome{t, err}
	})
	select {
	case <-ctx.Done():
		return Token{}, ctx.Err()
	case o := <-done:
		return o.t, o.err
	}
}

// replace asks for a token in the place of old and stores it before anybody
// uses it.
func (w want) replace(ctx context.Context, old Token, holder string) (Token, error) {
	giveBack := func() error {
		_, err := w.cs.Tokens.LeaseToken(ctx, w.key, old.Version, holder, time.Time{})
		return err
	}
	if w.c.Personal() && old.Refresh == "" { // it is good for a little while yet, and there is no other
		return old, giveBack()
	}
	asking, cancel := context.WithTimeout(ctx, w.cs.askTimeout())
	defer cancel()
	t, err := w.cs.ask(asking, w.c, old)
	var refused *tokenError
	if errors.As(err, &refused) && refused.refused && w.c.Personal() {
		return w.ended(ctx, old)
	}
	if err == nil {
		return w.keep(ctx, t, old.Version)
	}
	w.cs.log().WarnContext(ctx, "no token for a credential", "credential", w.c.Name, "err", err)
	if w.good(old) {
		return old, giveBack()
	}
	return Token{}, errors.Join(err, giveBack())
}

// ended forgets a connection that the service has ended, unless somebody has
// renewed it in the meantime.
func (w want) ended(ctx context.Context, old Token) (Token, error) {
	gone, err := w.cs.Tokens.DeleteToken(ctx, w.key, old.Version)
	if err != nil {
		return Token{}, w.failed(err)
	}
	if now, err := w.stored(ctx); !gone && err == nil && w.good(now) {
		return now, nil
	}
	w.cs.log().InfoContext(ctx, "a connection was ended by the service", "credential", w.c.Name)
	return Token{}, errNotConnected
}

// keepTries is how often a token is tried to be stored: it cannot be had again.
const keepTries = 5

func (w want) keep(ctx context.Context, t Token, version int64) (Token, error) {
	var err error
	for try := range keepTries {
		var stored bool
		stored, err = w.cs.Tokens.PutToken(ctx, w.key, t, version)
		switch {
		case err == nil && stored:
			return w.stored(ctx)
		case err == nil, errors.Is(err, fs.ErrNotExist): // somebody has connected anew, or disconnected
			return w.changed(ctx)
		}
		time.Sleep(leastPause << (2 * try))
	}
	return Token{}, w.failed(err)
}

// changed returns the token that has come in the place of the one that was to
// be replaced.
func (w want) changed(ctx context.Context) (Token, error) {
	now, err := w.stored(ctx)
	if err == nil && !w.good(now) {
		err = &tokenError{Reason: "its token was changed at this moment"}
	}
	return now, err
}

func (w want) failed(err error) error {
	return fmt.Errorf("tools: token of %s: %w", w.c.Name, err)
}

func (cs *Credentials) askTimeout() time.Duration { return cmp.Or(cs.AskTimeout, 15*time.Second) }
