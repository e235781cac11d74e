//go:build integration && unix

package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"parley/gateway/chat"
)

// Whoever follows an answer whose writer is killed waits no longer than a
// second or so, though the writer's lease is good for two.
// PARLEY_TEST_ROUNDS has more of them killed.
func TestKilledWriterIsReplacedBeforeItsLeaseEnds(t *testing.T) {
	rounds, words := 6, 60
	if n, err := strconv.Atoi(os.Getenv("PARLEY_TEST_ROUNDS")); err == nil {
		rounds = n
	}
	model := procModel(t, words, 15*time.Millisecond)
	fleet := procReplicas(t, 3, procStartRedis(t), procModelEnv(model)...)
	var took []time.Duration
	for round := range rounds {
		procUntil(t, 10*time.Second, "nobody writes", func() bool {
			return !slices.ContainsFunc(fleet.nodes, (*procServer).writes)
		})
		question := fmt.Sprintf("Q%d", round)
		person := procGuest(t, fleet.url())
		a, err := person.insist(t.Context(), fleet, "", question, question)
		if err != nil {
			t.Fatal(err)
		}
		fs := []*procFollower{
			procFollow(t, "socket", false, fleet, person, a.Conversation),
			procFollow(t, "stream", true, fleet, person, a.Conversation),
		}
		fs[0].words(t, question, 1+fleet.intn(words/2))
		writer := fleet.writer(t)
		gen, since := fs[0].position().Generation, time.Now()
		writer.kill()
		var first time.Time
		procUntil(t, 10*time.Second, "another replica goes on", func() bool {
			for _, f := range fs {
				if at := f.after(gen); !at.IsZero() && (first.IsZero() || at.Before(first)) {
					first = at
				}
			}
			return !first.IsZero()
		})
		took = append(took, first.Sub(since))
		writer.start()
		for _, f := range fs {
			f.until(t, 20*time.Second, "the answer is whole", func(st *chat.State) bool { return procEnded(st, a.Run) })
		}
		procSame(t, person.messages(t, fleet.url(), a.Conversation), []string{question}, words, fs...)
		for _, f := range fs {
			f.stop()
		}
	}
	slices.Sort(took)
	p50, p95, most := took[rounds/2], took[rounds*95/100], took[rounds-1]
	t.Logf("%d kills, to the first sign of the new writer: p50 %v, p95 %v, max %v", rounds, p50.Round(time.Millisecond), p95.Round(time.Millisecond), most.Round(time.Millisecond))
	if p50 > 1500*time.Millisecond { // the lease alone takes 1.5 to 2.3 s
		t.Errorf("half of the takeovers took more than %v", p50)
	}
}
