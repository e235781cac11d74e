package run_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
	"parley/gateway/store"
	"parley/llm"
	"parley/llm/llmtest"
	"parley/tools"
)

// Seeds beyond the default ones: go test -run UnderFire -fire 1000 -fire.from 20
var (
	fireSeeds = flag.Int("fire", 20, "how many seeds TestClusterUnderFire tries")
	fireFrom  = flag.Int("fire.from", 0, "the first of them")
)

func TestClusterUnderFire(t *testing.T) {
	seeds := *fireSeeds
	if testing.Short() {
		seeds = min(seeds, 8)
	}
	sum := map[string]int{}
	for seed := *fireFrom; seed < *fireFrom+seeds; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { underFire(t, uint64(seed), sum) })
		})
	}
	t.Logf("what happened: %v", sum)
}

// fired answers a question by words, and one that begins with t after calling
// two tools.
func fired(r llmtest.Request) llmtest.Reply {
	r, begun := goesOn(r)
	question := ""
	for _, m := range r.Messages {
		if m.Role == "user" {
			question = m.Content
		}
	}
	if strings.HasPrefix(question, "t") && r.Last().Role != "tool" {
		return llmtest.Reply{
			Reasoning: []string{"hm ", "so "}, Pieces: []string{"Let ", "me ", "see."}, Every: 20 * time.Millisecond,
			Calls: []llmtest.Call{{ID: "call_0", Name: "look"}, {ID: "call_1", Name: "charge"}},
		}
	}
	return llmtest.Reply{Pieces: strings.SplitAfter(behind(begun, words(question, 40)), " "), Every: 20 * time.Millisecond}
}

// A fire is one cluster and all that happens to it under a seed.
type fire struct {
	t        *testing.T
	r        *rand.Rand
	c        *gatewaytest.Cluster
	mu       sync.Mutex
	replicas []*gatewaytest.Replica
	asked    []chat.Question // as they were accepted
	charge   *machine
	saved    func(context.Context) error // brings back an older state of Redis
	sum      map[string]int
}

func (f *fire) any() *gatewaytest.Replica {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.replicas[f.r.IntN(len(f.replicas))]
}

// fireAgent has a model that goes on with what it has begun under every other
// seed.
func fireAgent(t *testing.T, seed uint64) *llm.Agent {
	if seed%2 == 0 {
		return agent(t, fired)
	}
	return continuing(fired)(t)
}

func underFire(t *testing.T, seed uint64, sum map[string]int) {
	f := &fire{t: t, r: rand.New(rand.NewPCG(seed, 7)), c: gatewaytest.NewCluster(t, fireAgent(t, seed)), sum: sum}
	f.charge = newMachine("charge", tools.Unsafe, time.Duration(f.r.IntN(300))*time.Millisecond)
	f.c.Tools = toolbox{f.charge, newMachine("look", tools.Safe, time.Duration(f.r.IntN(300))*time.Millisecond)}
	f.c.Run.Reconcile = 3 * time.Second
	f.c.Run.MaxTries = 1000
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
	for i := range 4 {
		f.say(fmt.Sprintf("%c%d", "qqt"[f.r.IntN(3)], i))
		for range 1 + f.r.IntN(3) {
			time.Sleep(time.Duration(f.r.IntN(700)) * time.Millisecond)
			f.happen()
		}
	}
	f.settle(ws)
	stop()
	wg.Wait()
	f.check(ws)
	for _, r := range f.replicas {
		r.Drain()
	}
	f.c.Wait()
}

// watch follows on one replica after the other.
func (f *fire) watch(ctx context.Context, w *watcher, r *rand.Rand) {
	for ctx.Err() == nil {
		f.mu.Lock()
		on := f.replicas[r.IntN(len(f.replicas))]
		f.mu.Unlock()
		some, cancel := context.WithTimeout(ctx, time.Duration(300+r.IntN(3000))*time.Millisecond)
		w.follow(some, on.Hub, "conv")
		cancel()
	}
}

// say asks as a client does: again, until it is acknowledged.
func (f *fire) say(text string) {
	q := ask("conv", text)
	for {
		if stored, err := f.any().Runner.Say(f.t.Context(), q); err == nil {
			f.asked = append(f.asked, stored)
			if f.r.IntN(3) == 0 {
				q.Run, q.Message.ID = chat.NewID("r"), chat.NewID("m")
				_, _ = f.any().Runner.Say(f.t.Context(), q) // the reply was lost: sent again, elsewhere
			}
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (f *fire) happen() {
	what := f.r.IntN(13)
	f.sum[[]string{"killed", "cut off", "flickered", "wiped", "drained", "nothing", "cancelled", "regenerated", "saved", "rolled back", "nothing", "edits", "edits"}[what]]++
	switch what {
	case 0: // a replica dies, another one starts
		fresh := f.c.Start()
		f.mu.Lock()
		i := f.r.IntN(len(f.replicas))
		old := f.replicas[i]
		f.replicas[i] = fresh
		f.mu.Unlock()
		old.Kill()
	case 1: // a replica is cut off for a while and comes back as a zombie
		r := f.any()
		r.Link.Cut()
		time.Sleep(time.Duration(f.r.IntN(4000)) * time.Millisecond)
		r.Link.Mend()
	case 2: // connections break, bells are lost
		f.any().Link.Flicker(f.r)
	case 3:
		f.c.Redis.Wipe()
	case 4: // a rolling restart
		fresh := f.c.Start()
		f.mu.Lock()
		i := f.r.IntN(len(f.replicas))
		old := f.replicas[i]
		f.replicas[i] = fresh
		f.mu.Unlock()
		old.Drain()
	case 6:
		q := f.asked[f.r.IntN(len(f.asked))]
		_ = f.any().Runner.Cancel(f.t.Context(), "conv", q.Run)
	case 7:
		q := f.asked[len(f.asked)-1]
		_, _ = f.any().Runner.Regenerate(f.t.Context(), "owner", "conv", q.Message.ID, chat.NewID("again"))
	case 8:
		f.saved = f.save()
	case 9:
		if f.saved != nil {
			if err := f.saved(f.t.Context()); err != nil {
				f.t.Error(err)
			}
		}
	case 11, 12:
		f.edit()
	}
}

// edit has somebody edit a question, or two people at two replicas the same
// one at the same moment, of whom one wins at the most. They wait, some of the
// time, until they may. What was asked behind the question is no longer asked.
func (f *fire) edit() {
	if f.r.IntN(3) > 0 {
		time.Sleep(time.Duration(f.r.IntN(3000)) * time.Millisecond)
	}
	i := f.r.IntN(len(f.asked))
	old := f.asked[i].Message
	people := make([]chat.Question, 1+f.r.IntN(2))
	var wg sync.WaitGroup
	for j := range people {
		at := []*gatewaytest.Replica{f.any(), f.any(), f.any()} // if one does not answer
		wg.Go(func() { people[j] = f.editAt(at, old, fmt.Sprintf("%ce%d", old.Content[0], j)) })
	}
	wg.Wait()
	won := slices.DeleteFunc(people, func(q chat.Question) bool { return q.Run == "" })
	if len(won) > 1 {
		f.t.Errorf("%s is edited by %s and by %s", old.Content, won[0].Message.Content, won[1].Message.Content)
	}
	if len(won) > 0 {
		f.sum["edited"]++
		f.sum[fmt.Sprintf("edited %d before the last", len(f.asked)-1-i)]++
		f.asked = append(f.asked[:i], won[0])
		if f.r.IntN(2) == 0 { // something happens while it begins
			time.Sleep(time.Duration(f.r.IntN(60)) * time.Millisecond)
			f.happen()
		}
	}
}

// editAt edits a question as a client does: again, until it is accepted or
// refused.
func (f *fire) editAt(at []*gatewaytest.Replica, old llm.Message, content string) chat.Question {
	client := chat.NewID("edit")
	for i := 0; ; i++ {
		q, err := at[i%len(at)].Runner.Edit(f.t.Context(), "owner", "conv", old.ID, client, content)
		if err == nil {
			return q
		}
		if errors.Is(err, store.ErrRunning) || errors.Is(err, store.ErrEdited) {
			return chat.Question{}
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// shown is what a person sees of messages. The results of calls made at the
// same time stand in the order of the calls in a log, and in the store in that
// in which they came.
func shown(ms []llm.Message) string {
	ms = slices.Clone(ms)
	for i := range ms {
		for j := i; j > 0 && ms[j].Role == llm.ToolRole && ms[j-1].Role == llm.ToolRole && ms[j].ToolCallID < ms[j-1].ToolCallID; j-- {
			ms[j], ms[j-1] = ms[j-1], ms[j]
		}
	}
	return strings.Join(text(ms), "\n")
}

// save returns what brings Redis back to how it is now.
func (f *fire) save() func(context.Context) error {
	rdb := f.c.Redis.Client()
	defer rdb.Close()
	ctx := f.t.Context()
	var puts []func(redis.Pipeliner)
	for _, k := range rdb.Keys(ctx, "*").Val() {
		ttl := rdb.PTTL(ctx, k).Val()
		switch rdb.Type(ctx, k).Val() {
		case "string":
			v := rdb.Get(ctx, k).Val()
			puts = append(puts, func(p redis.Pipeliner) { p.Set(ctx, k, v, 0) })
		case "list":
			v := rdb.LRange(ctx, k, 0, -1).Val()
			puts = append(puts, func(p redis.Pipeliner) { p.RPush(ctx, k, anys(v)...) })
		case "hash":
			v := rdb.HGetAll(ctx, k).Val()
			puts = append(puts, func(p redis.Pipeliner) { p.HSet(ctx, k, v) })
		case "zset":
			v := rdb.ZRangeWithScores(ctx, k, 0, -1).Val()
			puts = append(puts, func(p redis.Pipeliner) { p.ZAdd(ctx, k, v...) })
		case "stream":
			for _, m := range rdb.XRange(ctx, k, "-", "+").Val() {
				puts = append(puts, func(p redis.Pipeliner) { p.XAdd(ctx, &redis.XAddArgs{Stream: k, ID: m.ID, Values: m.Values}) })
			}
		}
		if ttl > 0 {
			puts = append(puts, func(p redis.Pipeliner) { p.PExpire(ctx, k, ttl) })
		}
	}
	return func(ctx context.Context) error {
		rdb := f.c.Redis.Client()
		defer rdb.Close()
		_, err := rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.FlushAll(ctx)
			for _, put := range puts {
				put(p)
			}
			return nil
		})
		return err
	}
}

func anys(ss []string) (out []any) {
	for _, s := range ss {
		out = append(out, s)
	}
	return out
}

func (f *fire) settle(ws []*watcher) {
	db := f.c.Store()
	defer db.Close()
	defer func() {
		if f.t.Failed() {
			f.report(db, ws)
		}
	}()
	settled := func() bool {
		due, err := db.Pending(f.t.Context(), "conv")
		if err != nil || len(due) > 0 {
			return false
		}
		if _, _, err := db.Waiting(f.t.Context(), "conv"); !errors.Is(err, chat.ErrNotFound) {
			return false
		}
		stored, _, err := db.History(f.t.Context(), "conv", "", 100)
		if err != nil {
			return false
		}
		for _, w := range ws {
			s := w.final()
			if s.Active() || s.Waits() || len(s.Queued) > 0 || shown(s.Messages) != shown(stored) {
				return false
			}
		}
		return true
	}
	for end := time.Now().Add(3 * time.Minute); !settled(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			f.t.Error("after 3 min not every question is answered and every watcher there")
			return
		}
	}
}

// report says where everybody stands.
func (f *fire) report(db *store.DB, ws []*watcher) {
	due, err := db.Pending(context.Background(), "conv")
	f.t.Logf("pending %v %v", len(due), err)
	rdb := f.c.Redis.Client()
	defer rdb.Close()
	s, at, err := chat.NewLog(rdb).Fold(context.Background(), "conv")
	f.t.Logf("log at %v: %d messages, run %+v, %v", at, len(s.Messages), s.Run, err)
	for _, w := range ws {
		s := w.final()
		f.t.Logf("%s at %v: %d messages, %d queued, run %+v", w.name, w.position(), len(s.Messages), len(s.Queued), s.Run)
	}
}

// check looks at what is left: every question is answered once, in order, to
// its end or, if somebody stopped it, up to there; nobody was charged twice;
// and every watcher sees what the store has.
func (f *fire) check(ws []*watcher) {
	db := f.c.Store()
	defer db.Close()
	stored, _, err := db.History(context.Background(), "conv", "", 100)
	if err != nil {
		f.t.Fatal(err)
	}
	var asked, got []string
	for _, q := range f.asked {
		asked = append(asked, q.Message.Content)
	}
	runs := map[string][]llm.Message{} // by question
	for _, m := range stored {
		if m.Role == llm.User {
			got = append(got, m.Content)
			continue
		}
		rec, err := db.RunRecord(context.Background(), m.Metadata.Parley.Run)
		if err != nil {
			f.t.Fatal(err)
		}
		runs[rec.Question] = append(runs[rec.Question], m)
	}
	if strings.Join(got, " ") != strings.Join(asked, " ") {
		f.t.Errorf("the store has the questions %q, want %q", got, asked)
	}
	for _, q := range f.asked {
		f.checkAnswer(db, q.Message.Content, runs[q.Message.ID])
	}
	perRun := map[string]int{}
	for key, n := range f.charge.keys {
		run, _, _ := strings.Cut(key, ".")
		if perRun[run] += n; perRun[run] > 1 {
			f.t.Errorf("run %s was charged %d times", run, perRun[run])
		}
	}
	for _, w := range ws {
		s := w.final()
		if a, b := shown(s.Messages), shown(stored); a != b {
			f.t.Errorf("%s sees\n%s\nthe store has\n%s", w.name, a, b)
		}
	}
}

// checkAnswer looks at the messages that answer one question.
func (f *fire) checkAnswer(db *store.DB, question string, ms []llm.Message) {
	if len(ms) == 0 {
		f.t.Errorf("%s has no answer", question)
		return
	}
	run := ms[0].Metadata.Parley.Run
	rec, err := db.RunRecord(context.Background(), run)
	if err != nil {
		f.t.Fatal(err)
	}
	want := words(question, 40)
	if strings.HasPrefix(question, "t") {
		want = "hm so Let me see." + want
	}
	said, results := "", 0
	for _, m := range ms {
		if m.Metadata.Parley.Run != run {
			f.t.Errorf("%s is answered by the runs %s and %s", question, run, m.Metadata.Parley.Run)
		}
		if m.Role == llm.ToolRole {
			results++
		} else {
			said += m.Content
		}
	}
	switch rec.Status {
	case chat.RunDone:
		if said != want || strings.HasPrefix(question, "t") && results != 2 {
			f.t.Errorf("%s is answered with %q and %d results", question, said, results)
		}
	case chat.RunCancelled:
		f.sum["stopped answers"]++
		if !strings.HasPrefix(want, said) {
			f.t.Errorf("%s was stopped, and answered with %q", question, said)
		}
	default:
		f.t.Errorf("%s ended as %s: %+v", question, rec.Status, rec.Failure)
	}
}
