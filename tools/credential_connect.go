package tools

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/oauth2"
)

// DepartureLife is how long a person may take to agree.
const DepartureLife = 10 * time.Minute

// A Departure is a person on the way to a service, to agree that Parley acts
// for them there.
type Departure struct {
	Credential string    `json:"credential"`
	Revision   string    `json:"revision"`
	Person     string    `json:"person"`
	Verifier   string    `json:"verifier"` // of PKCE
	Redirect   string    `json:"redirect"` // where they come back
	Expires    time.Time `json:"expires"`
}

// A Connection is the access that a person has granted.
type Connection struct {
	Credential  string    `json:"credential"`
	Description string    `json:"description,omitempty"`
	Since       time.Time `json:"since"`
	Revision    string    `json:"-"` // of the credential
}

// A DepartureStore keeps departures until they are taken, once, and what came
// of them. All methods must be safe for concurrent use.
type DepartureStore interface {
	PutDeparture(ctx context.Context, state string, d Departure) error
	TakeDeparture(ctx context.Context, state string) (Departure, error) // [fs.ErrNotExist] if it was taken or has expired
	Connections(ctx context.Context, person string) ([]Connection, error)
}

// ErrDeparture means that nobody departed with that state: it was used, has
// expired or is somebody else's.
var ErrDeparture = errors.New("this way back was used already, has expired, or belongs to another browser")

// A ConnectError says why a person was not connected, in words for them.
type ConnectError struct{ Reason string }

func (e *ConnectError) Error() string { return e.Reason }

// Depart returns where a person must go to connect, with a state that the
// service sends back to redirect. The error is [fs.ErrNotExist] if there is no
// such credential that each person connects for themselves.
func (cs *Credentials) Depart(ctx context.Context, name, person, state, redirect string) (string, error) {
	c, err := cs.Get(ctx, name)
	if err != nil {
		return "", err
	}
	if !c.Personal() {
		return "", fmt.Errorf("tools: credential %q is nobody's own: %w", name, fs.ErrNotExist)
	}
	d := Departure{Credential: name, Revision: c.revision(), Person: person, Verifier: oauth2.GenerateVerifier(), Redirect: redirect, Expires: time.Now().Add(DepartureLife)}
	if err := cs.Departures.PutDeparture(ctx, hashed(state), d); err != nil {
		return "", fmt.Errorf("tools: connect %s: %w", name, err)
	}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(d.Verifier)}
	if c.Audience != "" {
		options = append(options, oauth2.SetAuthURLParam("audience", c.Audience))
	}
	return c.config(redirect).AuthCodeURL(state, options...), nil
}

// hashed is how a state is stored: who reads the store cannot come back with it.
func hashed(state string) string {
	sum := sha256.Sum256([]byte(state))
	return hex.EncodeToString(sum[:])
}

// Arrive connects a person who comes back with a state and a code, or with
// the reason why there is none. It returns the credential's name as soon as it
// is known. Its error is [ErrDeparture], a [*ConnectError] or the store's.
func (cs *Credentials) Arrive(ctx context.Context, person, state, code, refusal string) (name string, err error) {
	d, err := cs.Departures.TakeDeparture(ctx, hashed(state))
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && d.Person != person:
		return "", ErrDeparture
	case err != nil:
		return "", fmt.Errorf("tools: connect: %w", err)
	}
	c, err := cs.Get(ctx, d.Credential)
	if err != nil || c.revision() != d.Revision || !c.Personal() {
		return d.Credential, &ConnectError{"The service was set up anew in the meantime. Begin again."}
	}
	switch {
	case refusal == "access_denied":
		return c.Name, &ConnectError{"You did not agree, so nothing was connected."}
	case refusal != "" || code == "":
		return c.Name, &ConnectError{"The service refused: " + oneLine(cmp.Or(knownRefusal(refusal), "it gave no reason that is known"), 100) + "."}
	}
	return c.Name, cs.connect(ctx, c, d, code)
}

// knownRefusal returns a code of RFC 6749 §4.1.2.1 and nothing else that
// somebody has put into the address.
func knownRefusal(code string) string {
	if slices.Contains([]string{"invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope", "server_error", "temporarily_unavailable"}, code) {
		return code
	}
	return ""
}

// connect exchanges a code, to the end even if the browser goes away.
func (cs *Credentials) connect(ctx context.Context, c Credential, d Departure, code string) error {
	done := make(chan error, 1)
	apart, cancel := context.WithTimeout(context.WithoutCancel(ctx), cs.askTimeout())
	cs.asking.Go(func() {
		defer cancel()
		t, err := cs.exchange(apart, c, code, d.Verifier, d.Redirect)
		if err == nil {
			_, err = cs.Tokens.PutToken(context.WithoutCancel(ctx), TokenKey{c.Name, d.Person}, t, AnyVersion)
		}
		done <- err
	})
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-done:
		var none *tokenError
		if errors.As(err, &none) {
			cs.log().WarnContext(ctx, "nobody could be connected", "credential", c.Name, "err", err)
			return &ConnectError{"The service gave no access: " + none.Reason + "."}
		}
		return err
	}
}

// Connections returns what a person is connected to, by credential.
func (cs *Credentials) Connections(ctx context.Context, person string) ([]Connection, error) {
	all, err := cs.Departures.Connections(ctx, person)
	if err != nil {
		return nil, fmt.Errorf("tools: connections: %w", err)
	}
	var is []Connection
	for _, n := range all {
		c, err := cs.Store.Credential(ctx, n.Credential)
		switch {
		case errors.Is(err, fs.ErrNotExist) || err == nil && c.revision() != n.Revision:
			continue // it is of no use any more
		case err != nil:
			return nil, fmt.Errorf("tools: connections: %w", err)
		}
		n.Description = c.Description
		is = append(is, n)
	}
	return is, nil
}

// Disconnect forgets a person's tokens, or returns [fs.ErrNotExist]. At the
// service the access may stay granted.
func (cs *Credentials) Disconnect(ctx context.Context, name, person string) error {
	gone, err := cs.Tokens.DeleteToken(ctx, TokenKey{name, person}, AnyVersion)
	if err != nil {
		return fmt.Errorf("tools: disconnect %s: %w", name, err)
	}
	if !gone {
		return fmt.Errorf("tools: disconnect %s: %w", name, fs.ErrNotExist)
	}
	return nil
}
