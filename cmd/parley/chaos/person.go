package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"sync"
	"time"

	"parley/cmd/parley/client"
	"parley/gateway/chat"
	"parley/llm"
)

// A Dice is a source of randomness under a seed that many may use
// concurrently.
type Dice struct {
	mu   sync.Mutex
	rand *rand.Rand
}

// NewDice returns dice that fall alike for the same seed and stream.
func NewDice(seed, stream uint64) *Dice {
	return &Dice{rand: rand.New(rand.NewPCG(seed, stream))}
}

// Intn returns a number from 0 up to n, n left out.
func (d *Dice) Intn(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rand.IntN(n)
}

// One reports true in one of n cases.
func (d *Dice) One(n int) bool { return d.Intn(n) == 0 }

// Span returns a duration from least up to most.
func (d *Dice) Span(least, most time.Duration) time.Duration {
	return least + time.Duration(d.Intn(int(most-least)+1))
}

// A Person talks to a deployment through any of its doors: addresses
// that all lead to the same conversations. All methods may be called
// concurrently.
type Person struct {
	Doors []*client.Client
	Dice  *Dice
}

// tryTime bounds one request: beyond it another door is tried.
const tryTime = 4 * time.Second

// NewPerson returns somebody with a token or, without one, a new guest.
func NewPerson(ctx context.Context, doors []*url.URL, token string, d *Dice) (*Person, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	p := &Person{Dice: d}
	over := &http.Client{Jar: jar}
	for _, u := range doors {
		p.Doors = append(p.Doors, &client.Client{Target: client.Target{URL: u, Token: token}, HTTP: over})
	}
	err = p.Insist(ctx, func(ctx context.Context, a *client.Client) error {
		if err := a.Get(ctx, "/v1/info", nil, nil); err != nil {
			return err
		}
		for _, u := range doors { // the same guest everywhere
			jar.SetCookies(u, jar.Cookies(a.Target.URL))
		}
		return nil
	})
	return p, err
}

// door returns any.
func (p *Person) door() *client.Client { return p.Doors[p.Dice.Intn(len(p.Doors))] }

// Insist does something through one door after the other until it succeeds or
// is refused for good.
func (p *Person) Insist(ctx context.Context, do func(context.Context, *client.Client) error) error {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		try, cancel := context.WithTimeout(ctx, tryTime)
		door := p.door()
		err := do(try, door)
		cancel()
		if err == nil {
			return nil
		}
		if refusedForGood(err) {
			return fmt.Errorf("%s at %s: %w", door.Target.URL.Host, time.Now().Format("15:04:05.000"), err)
		}
		if !client.Pause(ctx, wait) {
			return errors.Join(ctx.Err(), err)
		}
	}
}

// refusedForGood tells what asking again does not change from what it may.
func refusedForGood(err error) bool {
	var p *client.Problem
	if !errors.As(err, &p) {
		return false
	}
	return p.Status < 500 && p.Status != http.StatusTooManyRequests || p.Status == http.StatusNotImplemented
}

// An Asked is a question that was acknowledged, and what became of it.
type Asked struct {
	Text      string `json:"-"`
	ClientID  string `json:"-"`
	Stopped   bool   `json:"-"` // somebody has asked to stop its answer
	Replaced  bool   `json:"-"` // and to answer it anew
	Conv      string `json:"conversation"`
	MessageID string `json:"messageId"`
	Run       string `json:"run"`
}

// Ask says something, with the same client id until a replica has
// acknowledged it. No conversation means a new one.
func (p *Person) Ask(ctx context.Context, conv, text string) (*Asked, error) {
	q := &Asked{Text: text, ClientID: chat.NewID("k")}
	return q, p.Insist(ctx, func(ctx context.Context, a *client.Client) error { return q.Say(ctx, a, conv) })
}

// Say asks the question once, at one door; what the server acknowledges goes
// into q. No conversation means a new one.
func (q *Asked) Say(ctx context.Context, a *client.Client, conv string) error {
	if conv == "" {
		conv = "new"
	}
	return a.SendJSON(ctx, http.MethodPost, "/v1/conversations/"+conv+"/messages", client.Said{ClientID: q.ClientID, Content: q.Text}, q)
}

// twice says something through two doors at the same time, and returns what
// both have made of it.
func (p *Person) twice(ctx context.Context, conv, text string) (first, second *Asked, err error) {
	first = &Asked{Text: text, ClientID: chat.NewID("k")}
	second = &Asked{Text: text, ClientID: first.ClientID}
	var errs [2]error
	var both sync.WaitGroup
	for i, q := range []*Asked{first, second} {
		both.Go(func() {
			errs[i] = p.Insist(ctx, func(ctx context.Context, a *client.Client) error { return q.Say(ctx, a, conv) })
		})
	}
	both.Wait()
	return first, second, errors.Join(errs[:]...)
}

// command sends a command of the WebSocket's over HTTP.
func (p *Person) command(ctx context.Context, conv string, in, out any) error {
	return p.Insist(ctx, func(ctx context.Context, a *client.Client) error {
		return a.SendJSON(ctx, http.MethodPost, "/v1/conversations/"+conv+"/commands", in, out)
	})
}

// cancel asks any replica to stop an answer.
func (p *Person) cancel(ctx context.Context, q *Asked) error {
	return p.command(ctx, q.Conv, client.Order{Type: "cancel", ID: "1", Run: q.Run}, nil)
}

// again has a question answered anew.
func (p *Person) again(ctx context.Context, q *Asked) (run string, err error) {
	in := map[string]string{"type": "regenerate", "id": "1", "messageId": q.MessageID, "clientId": chat.NewID("k")}
	var out struct{ Run string }
	err = p.command(ctx, q.Conv, in, &out)
	return out.Run, err
}

// Run returns what the store knows of a run.
func (p *Person) Run(ctx context.Context, id string) (rec chat.RunRecord, err error) {
	err = p.Insist(ctx, func(ctx context.Context, a *client.Client) error { return a.Get(ctx, "/v1/runs/"+id, nil, &rec) })
	return rec, err
}

// Messages returns what the store has of a conversation.
func (p *Person) Messages(ctx context.Context, conv string) (all []llm.Message, err error) {
	for before := ""; ; {
		var page struct {
			Messages []llm.Message
			Next     string
		}
		err := p.Insist(ctx, func(ctx context.Context, a *client.Client) error {
			return a.Get(ctx, "/v1/conversations/"+conv+"/messages", url.Values{"limit": {"200"}, "before": {before}}, &page)
		})
		if err != nil {
			return nil, err
		}
		all = slices.Concat(page.Messages, all)
		if before = page.Next; before == "" {
			return all, nil
		}
	}
}

// forget deletes a conversation.
func (p *Person) forget(ctx context.Context, conv string) error {
	return p.Insist(ctx, func(ctx context.Context, a *client.Client) error {
		return a.Do(ctx, client.Request{Method: http.MethodDelete, Path: "/v1/conversations/" + conv}, nil)
	})
}
