package main

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

// A chaosDice is a source of randomness under a seed that many may use
// concurrently.
type chaosDice struct {
	mu   sync.Mutex
	rand *rand.Rand
}

func newChaosDice(seed, stream uint64) *chaosDice {
	return &chaosDice{rand: rand.New(rand.NewPCG(seed, stream))}
}

// intn returns a number from 0 up to n, n left out.
func (d *chaosDice) intn(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rand.IntN(n)
}

// one reports true in one of n cases.
func (d *chaosDice) one(n int) bool { return d.intn(n) == 0 }

// span returns a duration from least up to most.
func (d *chaosDice) span(least, most time.Duration) time.Duration {
	return least + time.Duration(d.intn(int(most-least)+1))
}

// A chaosPerson talks to a deployment through any of its doors: addresses
// that all lead to the same conversations. All methods may be called
// concurrently.
type chaosPerson struct {
	doors []*client.Client
	dice  *chaosDice
}

// chaosTry bounds one request: beyond it another door is tried.
const chaosTry = 4 * time.Second

// newChaosPerson returns somebody with a token or, without one, a new guest.
func newChaosPerson(ctx context.Context, doors []*url.URL, token string, d *chaosDice) (*chaosPerson, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	p := &chaosPerson{dice: d}
	over := &http.Client{Jar: jar}
	for _, u := range doors {
		p.doors = append(p.doors, &client.Client{Target: client.Target{URL: u, Token: token}, HTTP: over})
	}
	err = p.insist(ctx, func(ctx context.Context, a *client.Client) error {
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
func (p *chaosPerson) door() *client.Client { return p.doors[p.dice.intn(len(p.doors))] }

// insist does something through one door after the other until it succeeds or
// is refused for good.
func (p *chaosPerson) insist(ctx context.Context, do func(context.Context, *client.Client) error) error {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		try, cancel := context.WithTimeout(ctx, chaosTry)
		door := p.door()
		err := do(try, door)
		cancel()
		if err == nil {
			return nil
		}
		if refusedForGood(err) {
			return fmt.Errorf("%s at %s: %w", door.Target.URL.Host, time.Now().Format("15:04:05.000"), err)
		}
		if !chaosPause(ctx, wait) {
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

// A chaosAsked is a question that was acknowledged, and what became of it.
type chaosAsked struct {
	Text      string `json:"-"`
	ClientID  string `json:"-"`
	Stopped   bool   `json:"-"` // somebody has asked to stop its answer
	Replaced  bool   `json:"-"` // and to answer it anew
	Conv      string `json:"conversation"`
	MessageID string `json:"messageId"`
	Run       string `json:"run"`
}

// ask says something, with the same client id until a replica has
// acknowledged it. No conversation means a new one.
func (p *chaosPerson) ask(ctx context.Context, conv, text string) (*chaosAsked, error) {
	q := &chaosAsked{Text: text, ClientID: chat.NewID("k")}
	return q, p.insist(ctx, func(ctx context.Context, a *client.Client) error { return q.say(ctx, a, conv) })
}

func (q *chaosAsked) say(ctx context.Context, a *client.Client, conv string) error {
	if conv == "" {
		conv = "new"
	}
	return a.SendJSON(ctx, http.MethodPost, "/v1/conversations/"+conv+"/messages", client.Said{ClientID: q.ClientID, Content: q.Text}, q)
}

// twice says something through two doors at the same time, and returns what
// both have made of it.
func (p *chaosPerson) twice(ctx context.Context, conv, text string) (first, second *chaosAsked, err error) {
	first = &chaosAsked{Text: text, ClientID: chat.NewID("k")}
	second = &chaosAsked{Text: text, ClientID: first.ClientID}
	var errs [2]error
	var both sync.WaitGroup
	for i, q := range []*chaosAsked{first, second} {
		both.Go(func() {
			errs[i] = p.insist(ctx, func(ctx context.Context, a *client.Client) error { return q.say(ctx, a, conv) })
		})
	}
	both.Wait()
	return first, second, errors.Join(errs[:]...)
}

// command sends a command of the WebSocket's over HTTP.
func (p *chaosPerson) command(ctx context.Context, conv string, in, out any) error {
	return p.insist(ctx, func(ctx context.Context, a *client.Client) error {
		return a.SendJSON(ctx, http.MethodPost, "/v1/conversations/"+conv+"/commands", in, out)
	})
}

// cancel asks any replica to stop an answer.
func (p *chaosPerson) cancel(ctx context.Context, q *chaosAsked) error {
	return p.command(ctx, q.Conv, client.Order{Type: "cancel", ID: "1", Run: q.Run}, nil)
}

// again has a question answered anew.
func (p *chaosPerson) again(ctx context.Context, q *chaosAsked) (run string, err error) {
	in := map[string]string{"type": "regenerate", "id": "1", "messageId": q.MessageID, "clientId": chat.NewID("k")}
	var out struct{ Run string }
	err = p.command(ctx, q.Conv, in, &out)
	return out.Run, err
}

// run returns what the store knows of a run.
func (p *chaosPerson) run(ctx context.Context, id string) (rec chat.RunRecord, err error) {
	err = p.insist(ctx, func(ctx context.Context, a *client.Client) error { return a.Get(ctx, "/v1/runs/"+id, nil, &rec) })
	return rec, err
}

// messages returns what the store has of a conversation.
func (p *chaosPerson) messages(ctx context.Context, conv string) (all []llm.Message, err error) {
	for before := ""; ; {
		var page struct {
			Messages []llm.Message
			Next     string
		}
		err := p.insist(ctx, func(ctx context.Context, a *client.Client) error {
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
func (p *chaosPerson) forget(ctx context.Context, conv string) error {
	return p.insist(ctx, func(ctx context.Context, a *client.Client) error {
		return a.Do(ctx, client.Request{Method: http.MethodDelete, Path: "/v1/conversations/" + conv}, nil)
	})
}

// chaosPause reports false if ctx has ended before.
func chaosPause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
