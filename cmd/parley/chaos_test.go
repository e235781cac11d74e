//go:build integration && unix

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/cmd/parley/chaos"
	"parley/cmd/parley/client"
	"parley/cmd/parley/plain"
	"parley/gateway/chat"
	"parley/llm"
)

// make chaos sets these; without, a short run with a new seed is part of all
// tests.
var (
	chaosRounds = flag.Int("chaos.rounds", 0, "how many rounds TestChaos plays; 0 for as many as fit into -chaos.time")
	chaosTime   = flag.Duration("chaos.time", 25*time.Second, "how long TestChaos begins new rounds")
	chaosSeed   = flag.Uint64("chaos.seed", 0, "what a run is repeated by; 0 for a new one")
	chaosLong   = flag.Bool("chaos.long", false, "also what takes long: outages, Sentinel, Cluster")
	chaosFrom   = flag.Int("chaos.from", 0, "the first round")
	chaosTalks  = flag.Int("chaos.talks", 6, "conversations of a round")
	chaosOnly   = flag.String("chaos.fault", "", "the only fault that happens; several at once with + between")
)

// A chaosRound is what happens between two moments of rest.
type chaosRound struct {
	w      *chaosWorld
	n      int
	dice   *chaos.Dice
	row    *chaos.Row
	struck time.Time
	what   string // the faults

	mu    sync.Mutex
	talks []*chaos.Talk
	wrong []string

	evidence string
}

func TestChaos(t *testing.T) {
	seed := *chaosSeed
	if seed == 0 {
		seed = rand.Uint64N(1_000_000)
	}
	t.Logf("repeat with -chaos.seed %d", seed)
	table := &chaos.Table{}
	defer func() {
		var text strings.Builder
		_ = table.Write(&text)
		t.Logf("seed %d\n%s", seed, text.String())
	}()
	aof := []string{"everysec", "everysec", "always", "no"}[chaos.NewDice(seed, 1<<40).Intn(4)]
	kinds := []struct {
		name  string
		setup func(*testing.T) chaosSetup
		share int // of the rounds, one in so many
	}{
		{"Redis with appendfsync " + aof, func(*testing.T) chaosSetup { return chaosSetup{replicas: 3, aof: aof, balance: true} }, 1},
		{"Redis with Sentinels", chaosWatched, 3},
		{"Redis Cluster", chaosCluster, 3},
	}
	if !*chaosLong {
		kinds = kinds[:1]
	}
	for _, k := range kinds {
		rounds := (*chaosRounds + k.share - 1) / k.share
		t.Run(k.name, func(t *testing.T) { newChaosWorld(t, k.setup(t)).play(seed, rounds, table) })
	}
	if *chaosLong {
		t.Run("Redis away for long", chaosRedisAway)
		t.Run("PostgreSQL away for long", chaosStoreAway)
	}
}

// play plays so many rounds, or without a number as many as there is time for.
func (w *chaosWorld) play(seed uint64, rounds int, table *chaos.Table) {
	end := time.Now().Add(*chaosTime)
	for n := *chaosFrom; ; n++ {
		if done := n - *chaosFrom; *chaosRounds > 0 && done >= rounds || *chaosRounds == 0 && time.Now().After(end) {
			return
		}
		r := &chaosRound{w: w, n: n, dice: chaos.NewDice(seed, uint64(n))}
		began := time.Now()
		r.play(seed)
		table.Row(r.row.Fault).Add(r.row)
		w.t.Logf("round %d, %s %d conversations, %v", n, r.what, r.row.Talks, time.Since(began).Round(100*time.Millisecond))
		if !r.row.Well() {
			r.report(seed)
		}
	}
}

// pick returns the faults of the round and their name.
func (r *chaosRound) pick() (fs []chaosFault, name string) {
	all := chaosFaults(r.w)
	if *chaosOnly != "" {
		for name := range strings.SplitSeq(*chaosOnly, "+") {
			i := slices.IndexFunc(all, func(f chaosFault) bool { return f.name == name })
			if i < 0 {
				r.w.t.Fatalf("there is no fault %q", name)
			}
			fs = append(fs, all[i])
		}
		return fs, *chaosOnly
	}
	first := all[r.dice.Intn(len(all))]
	if !r.dice.One(5) {
		return []chaosFault{first}, first.name
	}
	second := all[r.dice.Intn(len(all))]
	if strings.HasPrefix(first.name, chaosFailOver) && strings.HasPrefix(second.name, chaosFailOver) {
		return []chaosFault{first}, first.name // of three shards two must stand, or there is no majority
	}
	return []chaosFault{first, second}, "two at once"
}

func (r *chaosRound) play(seed uint64) {
	faults, name := r.pick()
	r.row = &chaos.Row{Fault: name, Rounds: 1}
	ctx, cancel := context.WithTimeout(r.w.t.Context(), 3*time.Minute)
	defer cancel()
	rest := make(chan struct{}) // closed when the world is whole again
	var all sync.WaitGroup
	for i := range *chaosTalks {
		d := chaos.NewDice(seed, uint64(r.n+1)<<20+uint64(i))
		all.Go(func() { r.converse(ctx, d, fmt.Sprintf("%d.%d", r.n, i), rest) })
	}
	client.Pause(ctx, r.dice.Span(300*time.Millisecond, 2500*time.Millisecond))
	r.strike(ctx, faults)
	close(rest)
	all.Wait()
	r.measure()
}

// strike does all faults, and mends what they broke.
func (r *chaosRound) strike(ctx context.Context, faults []chaosFault) {
	var soon, late []func()
	r.struck = time.Now()
	hold := time.Duration(0)
	for _, f := range faults {
		r.what += f.name + "; "
		mend := f.strike(r.w, r.dice)
		hold = max(hold, r.dice.Span(f.least, f.most))
		if f.late {
			late = append(late, mend)
		} else {
			soon = append(soon, mend)
		}
	}
	client.Pause(ctx, hold)
	for _, mend := range slices.Concat(soon, late) {
		mend()
	}
}

// chaosPatience is how long everything may take to come to rest in a world
// that is whole: the store is asked every 30 s what Redis has forgotten.
const chaosPatience = 60 * time.Second

// converse holds one conversation.
func (r *chaosRound) converse(ctx context.Context, d *chaos.Dice, name string, rest <-chan struct{}) {
	t := &chaos.Talk{}
	err := r.say(ctx, t, d, name)
	select {
	case <-rest:
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(ctx, chaosPatience)
	defer cancel()
	var v chaos.Verdict
	if t.Conv != "" {
		v = t.Settle(limit, chaosExpect)
	}
	if err != nil {
		v.Add("%s: %v", name, err)
	}
	t.End()
	evidence := ""
	if len(v.Wrong) > 0 {
		evidence = t.Tell() + r.w.dump(t)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.talks = append(r.talks, t)
	r.wrong = append(r.wrong, v.Wrong...)
	r.evidence += evidence
	r.row.Take(t, v)
	if len(v.Wrong) > 0 && v.BadFollowers+v.Lost+v.Doubled == 0 {
		r.row.Strange++
	}
}

// say says what people say.
func (r *chaosRound) say(ctx context.Context, t *chaos.Talk, d *chaos.Dice, name string) (err error) {
	client.Pause(ctx, d.Span(0, 500*time.Millisecond))
	if t.Person, err = chaos.NewPerson(ctx, r.w.doors, "", d); err != nil {
		return err
	}
	kinds := []string{chaosPlain, chaosPlain, chaosPlain, chaosUnsafe, chaosUnsafe, chaosSafe, chaosCut, chaosBroken}
	q, err := t.Ask(ctx, kinds[d.Intn(len(kinds))]+name+"a")
	if err != nil {
		return err
	}
	r.follow(t, d)
	return errors.Join(r.more(ctx, t, d, q, name)...)
}

func (r *chaosRound) more(ctx context.Context, t *chaos.Talk, d *chaos.Dice, q *chaos.Asked, name string) (errs []error) {
	last := q
	if d.One(3) {
		client.Pause(ctx, d.Span(0, 2*time.Second))
		ask := t.Ask
		if d.One(2) {
			ask = t.AskTwice
		}
		second, err := ask(ctx, chaosPlain+name+"b")
		if err != nil {
			return []error{err}
		}
		last = second
	}
	if d.One(6) {
		client.Pause(ctx, d.Span(0, 2*time.Second))
		errs = append(errs, t.StopAnswer(ctx, q))
	}
	if d.One(8) {
		for !t.SeenEnded(last.Run) && client.Pause(ctx, 20*time.Millisecond) {
		}
		errs = append(errs, t.AnswerAnew(ctx, last))
	}
	return errs
}

// follow has a conversation followed in every way, through every kind of
// door.
func (r *chaosRound) follow(t *chaos.Talk, d *chaos.Dice) {
	n := len(r.w.replicas)
	doors := t.Person.Doors
	fs := []*chaos.Follower{
		{Name: "WebSocket to replicas", Way: (*chaos.Follower).ByWebSocket, Doors: doors[:n]},
		{Name: "SSE to replicas", Way: (*chaos.Follower).ByStream, Doors: doors[:n]},
		{Name: "restless WebSocket", Way: (*chaos.Follower).ByWebSocket, Flips: 700 * time.Millisecond},
		{Name: "long poll", Way: (*chaos.Follower).ByPoll},
	}
	for _, door := range doors[n:] {
		fs = append(fs,
			&chaos.Follower{Name: "WebSocket through " + door.Target.URL.Host, Way: (*chaos.Follower).ByWebSocket, Doors: []*client.Client{door}},
			&chaos.Follower{Name: "SSE through " + door.Target.URL.Host, Way: (*chaos.Follower).ByStream, Doors: []*client.Client{door}})
	}
	fs[d.Intn(len(fs))].Stalls = true
	for _, f := range fs {
		f.Judge = chaosJudge
		t.Follow(f)
	}
}

// chaosJudge says what is wrong with a text that is shown.
func chaosJudge(m llm.Message) error {
	if strings.HasPrefix(chaosLead, m.Content) {
		return nil
	}
	return procPrefix(m.Content)
}

// chaosExpect is what chaosModel's answers must be.
func chaosExpect(q *chaos.Asked, rec chat.RunRecord, said string) error {
	want := procText(q.Text, chaosWords)
	switch q.Text[:1] {
	case chaosUnsafe, chaosSafe:
		want = chaosLead + want
	case chaosCut, chaosBroken:
		half := strings.Join(strings.SplitAfter(want, " ")[:chaosWords/2], "")
		if rec.Status == chat.RunFailed && said == half && (rec.Failure.Code == "model_truncated" || rec.Failure.Code == "model_unavailable") {
			return nil
		}
		want = half
	}
	if rec.Status == chat.RunCancelled && q.Stopped && strings.HasPrefix(want, said) || rec.Status == chat.RunDone && said == want {
		return nil
	}
	return fmt.Errorf("it ended with %+v and says %q", rec.Failure, said)
}

// measure adds what the whole round shows.
func (r *chaosRound) measure() {
	if r.row.Fault != "nothing" && r.row.Fault != "rolling restart" { // there each replica has its own moment
		for _, t := range r.talks {
			if took, ok := t.TakenOver(r.struck); ok {
				r.row.Takeovers = append(r.row.Takeovers, took)
			}
		}
	}
	r.row.Unsafe = r.w.till.twice()
}

// report writes what everybody went through into a file, and fails the test.
func (r *chaosRound) report(seed uint64) {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, round %d: %s (%s) at %s\n\n%s\n\n", seed, r.n, r.row.Fault, r.what, r.struck.Format("15:04:05.000"), strings.Join(r.wrong, "\n"))
	b.WriteString(r.evidence)
	file := filepath.Join(r.w.dir, fmt.Sprintf("round-%d.txt", r.n))
	r.w.must(os.WriteFile(file, []byte(b.String()), 0o600))
	r.w.t.Errorf("%s: round %d (%s; -chaos.seed %d -chaos.from %d -chaos.rounds 1 -chaos.talks %d): %d bad followers, %d lost, %d doubled, %d unsafe twice; see %s\n%s",
		r.w.t.Name(), r.n, r.row.Fault, seed, r.n, *chaosTalks, r.row.Bad, r.row.Lost, r.row.Doubled, r.row.Unsafe, file, plain.Cut(strings.Join(r.wrong, "\n"), 4000))
}
