package run_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
	"parley/llm/llmtest"
	"parley/tools"
)

// Replicas die at random moments while tools run: an unsafe one runs at most
// once, and if nobody knows whether it ran, the model is told so.
func TestUnsafeToolNeverRunsTwice(t *testing.T) {
	seeds := 100
	if testing.Short() {
		seeds = 20
	}
	unknown, whole := 0, 0
	for seed := range seeds {
		r := rand.New(rand.NewPCG(uint64(seed), 11))
		m := newMachine("charge", tools.Unsafe, time.Duration(r.IntN(400))*time.Millisecond)
		inWorld(t, with(use("charge")), func(t *testing.T, w *world) {
			w.Tools, w.Run.MaxTries, w.Run.Reconcile = toolbox{m}, 100, 2*time.Second
			a := w.Start()
			q := w.say(a.Runner, "conv", "one")
			for range 1 + r.IntN(3) {
				w.holder("conv", a)
				b := w.Start()
				time.Sleep(time.Duration(r.IntN(400)) * time.Millisecond)
				if r.IntN(4) == 0 {
					w.Redis.Wipe()
				}
				a.Kill()
				a = b
				if rec, err := w.db.RunRecord(t.Context(), q.Run); err == nil && rec.Status.Ended() {
					break
				}
			}
			if rec := w.ended(q.Run); rec.Status != chat.RunDone {
				t.Errorf("seed %d: %+v", seed, rec)
			}
			n, _ := m.starts()
			got := w.stored("conv")
			if n > 1 {
				t.Errorf("seed %d: the tool ran %d times:\n%s", seed, n, got)
			}
			switch {
			case strings.Contains(got, "outcome is not known"):
				unknown++
			case strings.Contains(got, "charge done"):
				whole++
				if n != 1 {
					t.Errorf("seed %d: a result of a tool that ran %d times", seed, n)
				}
			default:
				t.Errorf("seed %d: stored\n%s", seed, got)
			}
		})
	}
	t.Logf("%d runs: the result known in %d, unknown in %d", seeds, whole, unknown)
	if unknown == 0 || whole == 0 {
		t.Errorf("of %d runs %d had an unknown outcome and %d a known one: one of both was not tried", seeds, unknown, whole)
	}
}

func TestTakeoverDuringATool(t *testing.T) {
	for _, c := range []struct {
		effect       tools.Effect
		starts, keys int
		says         string
	}{
		{tools.Unsafe, 1, 1, "outcome is not known"},
		{tools.Idempotent, 2, 1, "call done"},
		{tools.Safe, 2, 1, "call done"},
	} {
		t.Run(string(c.effect), func(t *testing.T) {
			m := newMachine("call", c.effect, 5*time.Second)
			inWorld(t, with(use("call")), func(t *testing.T, w *world) {
				w.Tools = toolbox{m}
				a := w.Start()
				q := w.say(a.Runner, "conv", "one")
				gatewaytest.Eventually(t, 5*time.Second, "the tool runs", func() bool { n, _ := m.starts(); return n == 1 })
				b := w.Start()
				v := w.watch(b.Hub)
				synctest.Wait()
				a.Kill()
				if rec := w.ended(q.Run); rec.Status != chat.RunDone || rec.Try != 2 {
					t.Errorf("%+v", rec)
				}
				n, keys := m.starts()
				if got := w.stored("conv"); n != c.starts || keys != c.keys || !strings.Contains(got, c.says) {
					t.Errorf("started %d times with %d keys; stored\n%s", n, keys, got)
				}
				w.sees(v, "conv")
			})
		})
	}
}

// What is in the log of a tool's result is not asked for again, even if the
// turn's other calls are not done.
func TestResultsInTheLogAreUsedAgain(t *testing.T) {
	quick, slow := newMachine("quick", tools.Safe, 10*time.Millisecond), newMachine("slow", tools.Safe, 5*time.Second)
	inWorld(t, with(use("quick", "slow")), func(t *testing.T, w *world) {
		w.Tools = toolbox{quick, slow}
		a := w.Start()
		q := w.say(a.Runner, "conv", "one")
		gatewaytest.Eventually(t, 5*time.Second, "both run", func() bool { n, _ := slow.starts(); return n == 1 })
		time.Sleep(time.Second)
		b := w.Start()
		a.Kill()
		w.ended(q.Run)
		n, _ := quick.starts()
		if m, _ := slow.starts(); n != 1 || m != 2 {
			t.Errorf("the quick one ran %d times, the slow one %d", n, m)
		}
		want := "user: one\nassistant: Let me see.  [quick] [slow]\ntool: quick done\ntool: slow done\nassistant: it says slow done"
		if got := w.stored("conv"); got != want {
			t.Errorf("stored\n%s", got)
		}
		b.Drain()
	})
}

// log returns the entries of a conversation that have a type.
func (w *world) log(conv string, typ chat.Type) (es []chat.Entry) {
	w.t.Helper()
	rdb := w.Redis.Client()
	defer rdb.Close()
	for _, k := range rdb.Keys(w.t.Context(), "*:log:"+conv).Val() {
		for _, m := range rdb.XRange(w.t.Context(), k, "-", "+").Val() {
			e, err := chat.DecodeEntry([]byte(m.Values["e"].(string)))
			if err != nil {
				w.t.Fatal(err)
			}
			if e.Ev.Type == typ {
				es = append(es, e)
			}
		}
	}
	return es
}

func TestPiecesAreGathered(t *testing.T) {
	script := func(r llmtest.Request) llmtest.Reply {
		return llmtest.Reply{Pieces: strings.SplitAfter(words("w", 100), " "), Every: 5 * time.Millisecond}
	}
	inWorld(t, with(script), func(t *testing.T, w *world) {
		a := w.Start()
		one, two := w.say(a.Runner, "one", "?"), w.say(a.Runner, "two", "?")
		w.ended(one.Run)
		w.ended(two.Run)
		ticks := map[int64]bool{}
		for _, conv := range []string{"one", "two"} {
			es := w.log(conv, chat.TextContent)
			if first := es[0].Ev.Delta; first != "w:0 " {
				t.Errorf("the first entry is %q, want the first piece by itself", first)
			}
			if n := len(es); n < 14 || n > 18 { // 500 ms in ticks of 33
				t.Errorf("100 pieces in 500 ms became %d entries", n)
			}
			for i, e := range es[1:] {
				if i > 0 && e.TS-es[i].TS < 32 && i < len(es)-2 {
					t.Errorf("entries %d ms apart", e.TS-es[i].TS)
				}
				ticks[e.TS] = true
			}
		}
		if len(ticks) > 22 {
			t.Errorf("two conversations were sent at %d moments: their ticks are not shared", len(ticks))
		}
		if got := w.stored("one"); got != "user: ?\nassistant: "+words("w", 100) {
			t.Errorf("stored %q", got)
		}
	})
	t.Run("each by itself", func(t *testing.T) {
		inWorld(t, with(script), func(t *testing.T, w *world) {
			w.Run.Gather = -1
			a := w.Start()
			w.ended(w.say(a.Runner, "one", "?").Run)
			if es := w.log("one", chat.TextContent); len(es) < 90 {
				t.Errorf("100 pieces became %d entries", len(es))
			}
		})
	})
}

// With Redis away for a while, pieces wait for each other and nothing is lost.
func TestPiecesWaitWhileRedisIsAway(t *testing.T) {
	inWorld(t, with(slowly(300)), func(t *testing.T, w *world) {
		a, b := w.Start(), w.Start()
		v := w.watch(b.Hub)
		q := w.say(a.Runner, "conv", "one")
		h := w.holder("conv", a, b)
		time.Sleep(500 * time.Millisecond)
		for range 3 {
			h.Link.Cut()
			time.Sleep(900 * time.Millisecond) // not long enough for the lease to lapse
			h.Link.Mend()
			time.Sleep(500 * time.Millisecond)
		}
		if rec := w.ended(q.Run); rec.Status != chat.RunDone {
			t.Errorf("%+v", rec)
		}
		w.sees(v, "conv")
		if got := w.stored("conv"); got != "user: one\nassistant: "+words("one", 300) {
			t.Errorf("stored %q", got)
		}
	})
}
