package run_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
	"parley/gateway/run"
	"parley/tools"
)

// A tool that changes something is called at most once, and only if somebody
// said so, whatever happens meanwhile; and every run ends.
func TestAsksUnderFire(t *testing.T) {
	seeds := *fireSeeds
	if testing.Short() {
		seeds = min(seeds, 8)
	}
	sum := map[string]int{}
	for seed := *fireFrom; seed < *fireFrom+seeds; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { asksUnderFire(t, uint64(seed), sum) })
		})
	}
	t.Logf("what happened: %v", sum)
}

func asksUnderFire(t *testing.T, seed uint64, sum map[string]int) {
	f := &fire{t: t, r: rand.New(rand.NewPCG(seed, 11)), c: gatewaytest.NewCluster(t, agent(t, fired)), sum: sum}
	f.charge = newMachine("charge", tools.Unsafe, time.Duration(f.r.IntN(2500))*time.Millisecond)
	f.charge.approval = tools.ApprovalAsk
	if f.r.IntN(2) == 0 {
		f.charge.asks = &tools.Ask{Reason: tools.AskInput, Message: "Which card?", State: "canary-state", Schema: json.RawMessage(`{"type":"object","required":["card"]}`)}
	}
	f.c.Tools = toolbox{f.charge, newMachine("look", tools.Safe, time.Duration(f.r.IntN(300))*time.Millisecond)}
	f.c.Run.Reconcile = 3 * time.Second
	f.c.Run.MaxTries = 1000
	f.c.Run.Approval = []time.Duration{time.Hour, time.Hour, 3 * time.Second}[f.r.IntN(3)]
	for range 2 {
		f.replicas = append(f.replicas, f.c.Start())
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var ws []*watcher
	for i := range 4 {
		w := &watcher{t: t, name: fmt.Sprintf("watcher %d", i)}
		if i == 3 {
			w.slow = 300 * time.Millisecond
		}
		ws = append(ws, w)
		wg.Go(func() { f.watch(ctx, w, rand.New(rand.NewPCG(seed, uint64(100+i)))) })
	}
	people := []*decider{}
	for i := range 2 {
		p := &decider{f: f, w: ws[i], r: rand.New(rand.NewPCG(seed, uint64(200+i))), won: map[string]chat.Decision{}}
		people = append(people, p)
		wg.Go(func() { p.decide(ctx) })
	}
	for i := range 4 {
		f.say(fmt.Sprintf("%c%d", "qtt"[f.r.IntN(3)], i))
		for range 1 + f.r.IntN(3) {
			time.Sleep(time.Duration(f.r.IntN(1500)) * time.Millisecond)
			f.happen()
		}
	}
	f.settle(ws)
	stop()
	wg.Wait()
	f.check(ws)
	f.checkAsks(people)
	for _, r := range f.replicas {
		r.Drain()
	}
	f.c.Wait()
}

// A decider is a person who answers what a watcher shows, at any replica.
type decider struct {
	f   *fire
	w   *watcher
	r   *rand.Rand
	won map[string]chat.Decision // what was acknowledged
}

func (p *decider) decide(ctx context.Context) {
	for ctx.Err() == nil {
		time.Sleep(time.Duration(p.r.IntN(400)) * time.Millisecond)
		s := p.w.final()
		if len(s.Interrupts) == 0 || p.r.IntN(3) == 0 {
			continue
		}
		i := s.Interrupts[p.r.IntN(len(s.Interrupts))]
		d := chat.Decision{Interrupt: i.ID, Status: tools.AnswerResolved, By: "owner", Payload: json.RawMessage(`{"card":"1"}`)}
		if i.Reason == tools.AskApproval {
			d.Payload = json.RawMessage([]string{
				`{"approved":true}`, `{"approved":true}`, `{"approved":true,"editedArgs":{"edited":true}}`, `{"approved":false,"reason":"no"}`,
			}[p.r.IntN(4)])
		}
		if p.r.IntN(6) == 0 {
			d.Status, d.Payload = tools.AnswerCancelled, nil
		}
		for range 1 + p.r.IntN(2) { // the reply was lost: sent again, elsewhere
			p.answer(ctx, d)
		}
	}
}

// answer sends a decision until it is accepted or refused.
func (p *decider) answer(ctx context.Context, d chat.Decision) {
	for ctx.Err() == nil {
		p.f.mu.Lock()
		at := p.f.replicas[p.r.IntN(len(p.f.replicas))]
		p.f.mu.Unlock()
		_, err := at.Runner.Answer(ctx, "conv", []chat.Decision{d})
		switch {
		case err == nil, errors.Is(err, run.ErrUnheard): // it is in the store
			p.won[d.Interrupt] = d
			return
		case errors.Is(err, chat.ErrAnswered), errors.Is(err, chat.ErrExpired):
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// checkAsks makes sure that what was acknowledged is what counted, and that
// nothing was called that nobody allowed.
func (f *fire) checkAsks(people []*decider) {
	db := f.c.Store()
	defer db.Close()
	for _, p := range people {
		for id, d := range p.won {
			a, err := db.Ask(context.Background(), "conv", id)
			if err != nil || a.Status != d.Status || string(a.Payload) != string(d.Payload) {
				f.t.Errorf("%+v was acknowledged, and is stored as %s %s, %v", d, a.Status, a.Payload, err)
			}
		}
	}
	f.charge.mu.Lock()
	defer f.charge.mu.Unlock()
	for key, n := range f.charge.keys {
		run, call, _ := cutKey(key)
		if n > 1 {
			f.t.Errorf("%s was made %d times", key, n)
		}
		asks, err := db.Asks(context.Background(), run)
		if err != nil {
			f.t.Fatal(err)
		}
		args := ""
		for _, a := range asks {
			if a.ToolCallID != call || a.Reason != tools.AskApproval {
				continue
			}
			var v struct {
				Approved   bool
				EditedArgs json.RawMessage
			}
			_ = json.Unmarshal(a.Payload, &v)
			if a.Status == tools.AnswerResolved && v.Approved {
				args = "{}"
				if v.EditedArgs != nil {
					args = string(v.EditedArgs)
				}
			}
		}
		if args == "" {
			f.t.Errorf("%s was made, and nobody allowed it: %+v", key, asks)
		} else if got := f.charge.args[key]; got != args && got != "" {
			f.t.Errorf("%s was made with %s, allowed was %s", key, got, args)
		}
		f.sum["calls made"]++
	}
	f.sum["decisions"] += len(people[0].won) + len(people[1].won)
}

// cutKey splits an Idempotency-Key into run and call.
func cutKey(key string) (run, call string, ok bool) { return strings.Cut(key, ".") }
