//go:build integration && unix

package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/gateway/chat"
)

// A single server with its Redis inside is killed while it answers; what it
// kept in its file is enough.
func TestKilledServerFinishesItsAnswers(t *testing.T) {
	t.Parallel()
	const rounds, words = 5, 40
	model := procModel(t, words, 10*time.Millisecond)
	s := procServe(t, procModelEnv(model)...)
	fleet := &procFleet{rand: procSeeded(t), nodes: []*procServer{s}}
	person := procGuest(t, s.url)
	var conv string
	var questions []string
	var steady []*procFollower
	for round := range rounds {
		first, second := fmt.Sprintf("Q%da", round), fmt.Sprintf("Q%db", round)
		a, err := person.insist(t.Context(), fleet, conv, first, first)
		if err != nil {
			t.Fatal(err)
		}
		if conv == "" {
			conv = a.Conversation
			steady = append(steady, procFollow(t, "steady over WebSocket", false, fleet, person, conv), procFollow(t, "steady over SSE", true, fleet, person, conv))
		}
		k := fleet.intn(words)
		t.Logf("round %d: kill -9 at word %d", round, k)
		steady[0].words(t, first, k)

		// A second question is on its way while the server dies.
		var sent sync.WaitGroup
		var b procAnswered
		sent.Go(func() { b, err = person.insist(t.Context(), fleet, conv, second, second) })
		s.kill()
		s.start()
		sent.Wait()
		if err != nil {
			t.Fatal(err)
		}
		fresh := procFollow(t, "fresh", false, fleet, person, conv)
		for _, f := range append(slices.Clone(steady), fresh) {
			f.until(t, 20*time.Second, "both questions are answered", func(st *chat.State) bool { return procEnded(st, a.Run) && procEnded(st, b.Run) })
		}
		questions = append(questions, first, second)
		procSame(t, person.messages(t, s.url, conv), questions, words, append(slices.Clone(steady), fresh)...)
	}
}

// procReplicas starts n servers on one Redis and one file.
func procReplicas(t *testing.T, n int, redis *procRedis, env ...string) *procFleet {
	t.Helper()
	f := &procFleet{rand: procSeeded(t)}
	file := t.TempDir() + "/parley.db"
	for i := range n {
		s := procNew(t, fmt.Sprintf("replica %d", i), append([]string{"PARLEY_REDIS=" + redis.url(), "PARLEY_STORE=" + file}, env...)...)
		s.start()
		f.nodes = append(f.nodes, s)
	}
	return f
}

func TestReplicasTakeOver(t *testing.T) {
	const rounds, words = 10, 40
	model := procModel(t, words, 15*time.Millisecond)
	fleet := procReplicas(t, 3, procStartRedis(t), procModelEnv(model)...)
	var took []time.Duration
	for round := range rounds {
		took = append(took, procTakeOver(t, fleet, round, words))
	}
	slices.Sort(took)
	t.Logf("from the fault to the first sign of the new writer: p50 %v, max %v", took[rounds/2].Round(time.Millisecond), took[rounds-1].Round(time.Millisecond))
	if most := took[rounds-1]; most > 10*time.Second {
		t.Errorf("a takeover took %v", most)
	}
}

// procTakeOver lets one replica fall out while it answers, and returns how
// long it took until another one went on.
func procTakeOver(t *testing.T, fleet *procFleet, round, words int) time.Duration {
	t.Helper()
	question, second := fmt.Sprintf("Q%d", round), fmt.Sprintf("P%d", round)
	person := procGuest(t, fleet.url())
	a, err := person.insist(t.Context(), fleet, "", question, question)
	if err != nil {
		t.Fatal(err)
	}
	var fs []*procFollower
	for i := range 4 {
		fs = append(fs, procFollow(t, fmt.Sprintf("%d.%d", round, i), i%2 == 1, fleet, person, a.Conversation))
	}
	k := 1 + fleet.intn(words/2)
	fs[0].words(t, question, k)
	fault := []string{"kill -9", "SIGSTOP", "SIGTERM"}[round%3]
	writer := fleet.writer(t)
	gen, since := fs[0].position().Generation, time.Now()
	t.Logf("round %d: %s of %s at word %d", round, fault, writer.name, k)
	switch fault {
	case "kill -9":
		writer.kill()
	case "SIGSTOP":
		writer.signal(syscall.SIGSTOP)
		// It may hold the lock of the file that all share: nothing is accepted
		// then before it wakes, in the midst of an answer that is another's.
		time.AfterFunc(5*time.Second, func() { writer.signal(syscall.SIGCONT) })
	case "SIGTERM":
		writer.signal(syscall.SIGTERM)
	}
	b, err := person.insist(t.Context(), fleet, a.Conversation, second, second)
	if err != nil {
		t.Fatal(err)
	}
	var first time.Time
	procUntil(t, 15*time.Second, "another replica goes on", func() bool {
		for _, f := range fs {
			if at := f.after(gen); !at.IsZero() && (first.IsZero() || at.Before(first)) {
				first = at
			}
		}
		return !first.IsZero()
	})
	switch fault {
	case "SIGSTOP":
		writer.signal(syscall.SIGCONT)
	case "SIGTERM":
		if code := writer.wait(15 * time.Second); code != 0 {
			t.Errorf("SIGTERM: exit code %d", code)
		}
		writer.start()
	default:
		writer.start()
	}
	for _, f := range fs {
		f.until(t, 20*time.Second, "both questions are answered", func(st *chat.State) bool { return procEnded(st, a.Run) && procEnded(st, b.Run) })
	}
	procSame(t, person.messages(t, fleet.url(), a.Conversation), []string{question, second}, words, fs...)
	for _, f := range fs {
		f.stop()
	}
	return first.Sub(since)
}

func TestRedisIsKilledDuringAnAnswer(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{
		"and remembers":        {"--appendonly", "yes", "--appendfsync", "always"},
		"and forgets a second": {"--appendonly", "yes"},
		"and forgets it all":   {"--appendonly", "no"},
	}
	for name, args := range tests {
		t.Run(name, func(t *testing.T) {
			const words = 60
			model := procModel(t, words, 20*time.Millisecond)
			redis := procStartRedis(t, args...)
			fleet := procReplicas(t, 2, redis, procModelEnv(model)...)
			person := procGuest(t, fleet.url())
			a, err := person.insist(t.Context(), fleet, "", "Q0", "Q0")
			if err != nil {
				t.Fatal(err)
			}
			var fs []*procFollower
			for i := range 4 {
				fs = append(fs, procFollow(t, fmt.Sprint(i), i%2 == 1, fleet, person, a.Conversation))
			}
			fs[0].words(t, "Q0", 5+fleet.intn(words/2))
			since := time.Now()
			redis.kill()
			redis.start()
			b, err := person.insist(t.Context(), fleet, a.Conversation, "Q1", "Q1")
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range fs {
				f.until(t, 30*time.Second, "both questions are answered", func(st *chat.State) bool { return procEnded(st, a.Run) && procEnded(st, b.Run) })
			}
			t.Logf("both answers were whole %v after the kill", time.Since(since).Round(time.Millisecond))
			procSame(t, person.messages(t, fleet.url(), a.Conversation), []string{"Q0", "Q1"}, words, fs...)
		})
	}
}

func TestStoppedServerSendsEverybodyAway(t *testing.T) {
	const sockets, words = 100, 80
	model := procModel(t, words, 20*time.Millisecond)
	fleet := procReplicas(t, 2, procStartRedis(t), append(procModelEnv(model), "PARLEY_DRAIN=20s")...)
	leaving := fleet.nodes[0]
	person := procGuest(t, leaving.url)
	a, _, err := person.say(t.Context(), leaving.url, "", "Q0", "Q0", "") // the one asked writes
	if err != nil {
		t.Fatal(err)
	}
	steady := procFollow(t, "steady", false, fleet, person, a.Conversation)
	stream := procFollow(t, "stream", true, fleet, person, a.Conversation)
	steady.words(t, "Q0", 5)

	byes := make(chan error, sockets)
	for range sockets {
		ws, err := procDial(t.Context(), person, leaving.url)
		if err == nil {
			err = procSend(t.Context(), ws, map[string]any{"type": "sub", "id": "1", "c": a.Conversation})
		}
		if err != nil {
			t.Fatal(err)
		}
		go func() { byes <- procSentAway(t.Context(), ws) }()
	}
	since := time.Now()
	leaving.signal(syscall.SIGTERM)
	code := leaving.wait(20 * time.Second)
	t.Logf("with %d WebSockets and a running answer it ended after %v", sockets, time.Since(since).Round(time.Millisecond))
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	for range sockets {
		if err := <-byes; err != nil {
			t.Error(err)
		}
	}
	fleet.remove(leaving)
	for _, f := range []*procFollower{steady, stream} {
		f.until(t, 20*time.Second, "the answer is whole", func(st *chat.State) bool { return procEnded(st, a.Run) })
	}
	procSame(t, person.messages(t, fleet.url(), a.Conversation), []string{"Q0"}, words, steady, stream)
}

// procSentAway reads until the server says goodbye, and reports how it did
// that wrongly.
func procSentAway(ctx context.Context, ws *websocket.Conn) error {
	var bye *procFrame
	for {
		fr, err := procRead(ctx, ws)
		switch {
		case err != nil && websocket.CloseStatus(err) != websocket.StatusServiceRestart:
			return fmt.Errorf("closed with %w", err)
		case err != nil && bye == nil:
			return fmt.Errorf("closed without bye")
		case err != nil:
			return nil
		case fr.Type == "bye":
			bye = &fr
			if fr.Reason != "drain" || fr.RetryMs == nil || *fr.RetryMs < 0 || *fr.RetryMs > 5000 {
				return fmt.Errorf("bye: %+v", fr)
			}
		}
	}
}
