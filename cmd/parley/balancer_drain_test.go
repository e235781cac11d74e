//go:build integration && unix

package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"parley/gateway/chat"
)

// procHideDrains has people ask while replicas are stopped and started again,
// one after the other: every request is answered by one of the others.
func procHideDrains(t *testing.T, replicas *procFleet, balancers []*procBalancer) {
	const rounds, clients = 4, 3
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var asking sync.WaitGroup
	var asked atomic.Int64
	for _, b := range balancers {
		for i := range clients {
			person := procGuest(t, b.url)
			asking.Go(func() {
				pause := time.NewTicker(5 * time.Millisecond)
				defer pause.Stop()
				for n := 0; ctx.Err() == nil; n++ {
					<-pause.C
					if err := b.ask(person, fmt.Sprintf("A%d.%d", i, n)); err != nil {
						t.Errorf("%s: %v", b.name, err)
						return
					}
					asked.Add(1)
				}
			})
		}
	}
	progress := func() {
		before := asked.Load()
		procUntil(t, 20*time.Second, "people go on asking", func() bool { return asked.Load() > before+4*clients })
	}
	for round := range rounds {
		s := replicas.nodes[round%len(replicas.nodes)]
		progress()
		s.signal(syscall.SIGTERM)
		if code := s.wait(20 * time.Second); code != 0 {
			t.Errorf("%s: exit code %d", s.name, code)
		}
		progress()
		s.start()
		for _, b := range balancers { // until they have found it again: the next to stop must not be the last one they know
			n := b.log.answers(round % len(replicas.nodes))
			procUntil(t, 20*time.Second, b.name+" sends people to "+s.name+" again", func() bool { return b.log.answers(round%len(replicas.nodes)) > n })
		}
	}
	stop()
	asking.Wait()
	t.Logf("%d questions, %d replicas stopped", asked.Load(), rounds)
}

// ask is one question of a person who does not try twice, and a look at what
// there is.
func (b *procBalancer) ask(person *procPerson, question string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	a, status, err := person.say(ctx, b.url, "", question, question, "")
	if err != nil || status != http.StatusAccepted && status != http.StatusOK {
		return fmt.Errorf("POST: %d, %+v, %v", status, a, err)
	}
	status, err = person.do(ctx, "GET", b.url+"/v1/conversations/"+a.Conversation+"/messages", nil, nil)
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("GET: %d, %v", status, err)
	}
	return nil
}

// leadsAway has the replica killed that writes an answer. Whoever follows
// through the balancer dials again there, and ends with the whole answer.
func (b *procBalancer) leadsAway(t *testing.T, replicas *procFleet) {
	const words = 60
	fleet := b.fleet(t)
	person := procGuest(t, b.url)
	a, err := person.insist(t.Context(), fleet, "", "k1", "K0")
	if err != nil {
		t.Fatal(err)
	}
	var fs []*procFollower
	for i := range 6 { // so that some are on the replica that dies
		fs = append(fs, procFollow(t, fmt.Sprint(b.name, i), i%2 == 1, fleet, person, a.Conversation))
	}
	fs[0].words(t, "K0", 10)
	fs[1].words(t, "K0", 10)
	writer, since := replicas.writer(t), time.Now()
	writer.kill()
	second, err := person.insist(t.Context(), fleet, a.Conversation, "k2", "K1")
	if err != nil {
		t.Fatal(err)
	}
	took, dials := time.Since(since), 0
	for _, f := range fs {
		f.until(t, 30*time.Second, "both answers are whole", func(st *chat.State) bool { return procEnded(st, a.Run) && procEnded(st, second.Run) })
		f.mu.Lock()
		dials += f.dials
		f.mu.Unlock()
	}
	t.Logf("a question after the kill was taken after %v; %d followers dialled %d times; all whole after %v", took.Round(time.Millisecond), len(fs), dials, time.Since(since).Round(time.Millisecond))
	procSame(t, person.messages(t, b.url, a.Conversation), []string{"K0", "K1"}, words, fs...)
	writer.start()
}

// keepsWaiting has the replica killed that was given a message with a wait.
// Another one is given it, even if the client gave it no key, and it is said
// once.
func (b *procBalancer) keepsWaiting(t *testing.T, replicas *procFleet) {
	const words = 60
	person := procGuest(t, b.url)
	made, err := person.insist(t.Context(), b.fleet(t), "", "k1", "K0")
	if err != nil {
		t.Fatal(err)
	}
	f := procFollow(t, b.name, false, b.fleet(t), person, made.Conversation)
	f.until(t, 20*time.Second, "the first answer is whole", func(st *chat.State) bool { return procEnded(st, made.Run) })

	type result struct {
		procAnswered
		status int
		err    error
	}
	waited := make(chan result, 1)
	go func() {
		a, status, err := person.say(t.Context(), b.url, made.Conversation, "", "K1", "40s")
		waited <- result{a, status, err}
	}()
	f.words(t, "K1", 5)
	writer := replicas.writer(t)
	writer.kill()
	if got := <-waited; got.err != nil || got.status != http.StatusOK || got.Status != "finished" || got.Answer == nil || got.Answer.Content != procText("K1", words) {
		t.Errorf("%d, %v, %+v", got.status, got.err, got.procAnswered)
	}
	f.until(t, 20*time.Second, "both answers are whole", func(st *chat.State) bool { return len(st.Messages) == 4 && len(st.Open) == 0 })
	procSame(t, person.messages(t, b.url, made.Conversation), []string{"K0", "K1"}, words, f)
	writer.start()
}
