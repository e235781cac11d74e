//go:build integration && unix

package main

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/gateway/chat/redistest"
)

// An asked is an answer under way with those who follow it.
type asked struct {
	person   *procPerson
	question string
	procAnswered
	followers []*procFollower
	longest   func() time.Duration // between two entries, until now
}

// procAsk has one person ask and two clients follow.
func procAsk(t *testing.T, fleet *procFleet, question string) *asked {
	t.Helper()
	a := &asked{person: procGuest(t, fleet.url()), question: question}
	var err error
	if a.procAnswered, err = a.person.insist(t.Context(), fleet, "", question, question); err != nil {
		t.Fatal(err)
	}
	for _, sse := range []bool{false, true} {
		a.followers = append(a.followers, procFollow(t, fmt.Sprintf("%s, stream %v", question, sse), sse, fleet, a.person, a.Conversation))
	}
	a.longest = procLongest(t, a.followers[0])
	return a
}

// procLongest watches how long a follower has to wait for anything new.
func procLongest(t *testing.T, f *procFollower) func() time.Duration {
	var mu sync.Mutex
	var longest time.Duration
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		at, since := f.position(), time.Now()
		for {
			select {
			case <-tick.C:
			case <-done:
				return
			}
			if now := f.position(); now != at {
				mu.Lock()
				if !at.IsZero() {
					longest = max(longest, time.Since(since))
				}
				mu.Unlock()
				at, since = now, time.Now()
			}
		}
	}()
	return func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return longest
	}
}

// whole checks that everybody has the whole answer, as the store has it.
func (a *asked) whole(t *testing.T, fleet *procFleet, words int) {
	t.Helper()
	for _, f := range a.followers {
		f.until(t, 30*time.Second, "the answer is whole", func(st *chat.State) bool { return procEnded(st, a.Run) })
	}
	procSame(t, a.person.messages(t, fleet.url(), a.Conversation), []string{a.question}, words, a.followers...)
}

// procOn starts n replicas on a Redis of any form.
func procOn(t *testing.T, n int, redis string, env ...string) *procFleet {
	t.Helper()
	f := &procFleet{rand: procSeeded(t)}
	file := t.TempDir() + "/parley.db"
	for i := range n {
		s := procNew(t, fmt.Sprintf("replica %d", i), append([]string{"PARLEY_REDIS=" + redis, "PARLEY_STORE=" + file}, env...)...)
		s.start()
		f.nodes = append(f.nodes, s)
	}
	return f
}

// A slot moves from one primary to another, a primary hangs, a replica of
// Parley is killed: every answer is whole all the same.
func TestRedisCluster(t *testing.T) {
	t.Parallel()
	const words = 120
	model := procModel(t, words, 25*time.Millisecond)
	cluster := redistest.StartCluster(t, 3)
	fleet := procOn(t, 3, cluster.URL(), procModelEnv(model)...)

	moved := procAsk(t, fleet, "M0")
	moved.followers[0].words(t, moved.question, 10)
	key := "parley:*:log:" + moved.Conversation
	from := cluster.Find(key)
	cluster.Move(cluster.Key(from, key), from, (from+1)%3)
	moved.whole(t, fleet, words)
	t.Logf("a slot moved: longest wait %v", moved.longest().Round(time.Millisecond))
	if w := moved.longest(); w > 3*time.Second {
		t.Errorf("while its slot moved somebody waited %v for an entry", w)
	}

	var as []*asked
	for i := range 5 {
		as = append(as, procAsk(t, fleet, fmt.Sprintf("Q%d", i)))
	}
	for _, a := range as {
		a.followers[0].words(t, a.question, 10)
	}
	victim := cluster.Find("parley:*:log:" + as[0].Conversation)
	cluster.Primaries[victim].Freeze()
	for _, a := range as {
		a.whole(t, fleet, words)
		t.Logf("%s, primary %d hangs: longest wait %v", a.question, victim, a.longest().Round(time.Millisecond))
	}
	if as[0].longest() < time.Second {
		t.Error("nobody has noticed that a primary hung")
	}

	last := procAsk(t, fleet, "L0")
	writer := fleet.writer(t)
	last.followers[0].words(t, last.question, 10)
	fleet.remove(writer)
	writer.kill()
	last.whole(t, fleet, words)
	t.Logf("a replica killed: longest wait %v", last.longest().Round(time.Millisecond))
}

func TestRedisSentinel(t *testing.T) {
	t.Parallel()
	const words = 120
	model := procModel(t, words, 25*time.Millisecond)
	watched := redistest.StartWatched(t, 3)
	fleet := procOn(t, 2, watched.URL(), procModelEnv(model)...)
	var as []*asked
	for i := range 3 {
		as = append(as, procAsk(t, fleet, fmt.Sprintf("Q%d", i)))
	}
	for _, a := range as {
		a.followers[0].words(t, a.question, 20)
	}
	watched.Primary.Kill()
	for _, a := range as {
		a.whole(t, fleet, words)
		t.Logf("%s: longest wait %v", a.question, a.longest().Round(time.Millisecond))
	}
	// What was heard on the old primary is heard on the new one.
	last := procAsk(t, fleet, "L0")
	last.whole(t, fleet, words)
	if w := last.longest(); w > 2*time.Second {
		t.Errorf("after the fail-over somebody waited %v for an entry", w)
	}
}
