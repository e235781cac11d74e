package run_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
	"parley/gateway/run"
	"parley/gateway/store"
	"parley/llm"
	"parley/llm/llmtest"
	"parley/tools"
)

func TestCancel(t *testing.T) {
	for name, c := range map[string]struct {
		after time.Duration
		want  string // begins so
		keeps bool
	}{
		"before it begins": {0, "user: one\nassistant: ", false},
		"in its midst":     {500 * time.Millisecond, "user: one\nassistant: one:0 one:1 ", true},
	} {
		t.Run(name, func(t *testing.T) {
			hesitating := func(r llmtest.Request) llmtest.Reply {
				reply := slowly(100)(r)
				reply.Delay = 100 * time.Millisecond
				return reply
			}
			inWorld(t, with(hesitating), func(t *testing.T, w *world) {
				a, b := w.Start(), w.Start()
				v := w.watch(b.Hub)
				synctest.Wait()
				q := w.say(a.Runner, "conv", "one")
				time.Sleep(c.after)
				if err := b.Runner.Cancel(t.Context(), "conv", q.Run); err != nil { // any replica takes it
					t.Fatal(err)
				}
				asked := time.Now()
				if rec := w.ended(q.Run); rec.Status != chat.RunCancelled || rec.Failure != nil {
					t.Errorf("%+v", rec)
				}
				if took := time.Since(asked); took > 500*time.Millisecond {
					t.Errorf("ended after %v", took)
				}
				s := w.sees(v, "conv")
				got := lines(s.Messages)
				if !strings.HasPrefix(got, c.want) || strings.Contains(got, "one:99") || strings.Contains(got, "one:") != c.keeps {
					t.Errorf("left is %q", got)
				}
				if d := s.Messages[1].Metadata.Parley; d.Status != "cancelled" {
					t.Errorf("shown as %q", d.Status)
				}
				q = w.say(a.Runner, "conv", "two")
				if rec := w.ended(q.Run); rec.Status != chat.RunDone {
					t.Errorf("afterwards: %+v", rec)
				}
			})
		})
	}
}

func TestCancelOfWhatWaits(t *testing.T) {
	inWorld(t, with(slowly(50)), func(t *testing.T, w *world) {
		a := w.Start()
		v := w.watch(a.Hub)
		one := w.say(a.Runner, "conv", "one")
		time.Sleep(300 * time.Millisecond)
		two := w.say(a.Runner, "conv", "two")
		three := w.say(a.Runner, "conv", "three")
		if err := a.Runner.Cancel(t.Context(), "conv", two.Run); err != nil {
			t.Fatal(err)
		}
		if s := w.ended(one.Run).Status; s != chat.RunDone {
			t.Errorf("the first is %s", s)
		}
		if s := w.ended(two.Run).Status; s != chat.RunCancelled {
			t.Errorf("the second is %s", s)
		}
		if s := w.ended(three.Run).Status; s != chat.RunDone {
			t.Errorf("the third is %s", s)
		}
		w.sees(v, "conv")
		want := "user: one\nassistant: " + words("one", 50) + "\nuser: two\nassistant: \nuser: three\nassistant: " + words("three", 50)
		if got := w.stored("conv"); got != want {
			t.Errorf("stored %q\nwant %q", got, want)
		}
	})
}

func TestCancelDuringATool(t *testing.T) {
	m := newMachine("charge", tools.Unsafe, time.Hour)
	inWorld(t, with(use("charge")), func(t *testing.T, w *world) {
		w.Tools = toolbox{m}
		a := w.Start()
		q := w.say(a.Runner, "conv", "one")
		gatewaytest.Eventually(t, 5*time.Second, "the tool runs", func() bool { n, _ := m.starts(); return n == 1 })
		if err := a.Runner.Cancel(t.Context(), "conv", q.Run); err != nil {
			t.Fatal(err)
		}
		if rec := w.ended(q.Run); rec.Status != chat.RunCancelled {
			t.Errorf("%+v", rec)
		}
		if got := w.stored("conv"); got != "user: one\nassistant: Let me see.  [charge]\ntool: Error: stopped by the person" {
			t.Errorf("stored %q", got)
		}
	})
}

func TestSecondQuestionIsQueuedAndAnswered(t *testing.T) {
	inWorld(t, with(slowly(30)), func(t *testing.T, w *world) {
		a, b := w.Start(), w.Start()
		v := w.watch(b.Hub)
		one := w.say(a.Runner, "conv", "one")
		time.Sleep(200 * time.Millisecond)
		two := w.say(b.Runner, "conv", "two")
		gatewaytest.Eventually(t, 100*time.Millisecond, "everybody sees it wait", func() bool {
			s := v.final()
			return len(s.Queued) == 1 && s.Queued[0].Content == "two" && s.Run.ID == one.Run
		})
		w.ended(two.Run)
		if s := w.sees(v, "conv"); len(s.Queued) != 0 {
			t.Errorf("still queued: %v", s.Queued)
		}
		if got, want := w.stored("conv"), "user: one\nassistant: "+words("one", 30)+"\nuser: two\nassistant: "+words("two", 30); got != want {
			t.Errorf("stored %q", got)
		}
	})
}

// Two questions may wait when a replica claims the conversation.
func TestBothOfTwoWaitingQuestionsAreShown(t *testing.T) {
	inWorld(t, with(slowly(50)), func(t *testing.T, w *world) {
		a := w.Start()
		w.say(a.Runner, "conv", "one")
		time.Sleep(100 * time.Millisecond)
		w.say(a.Runner, "conv", "two")
		a.Kill()
		w.Redis.Wipe()
		b := w.Start()
		v := w.watch(b.Hub)
		w.holder("conv", b)
		gatewaytest.Eventually(t, 500*time.Millisecond, "the second one is seen to wait", func() bool { return len(v.final().Queued) == 1 })
		w.sees(v, "conv")
	})
}

// A question that comes in the moment in which a replica finds that nothing
// is left to do is answered at once, and not when the store is next compared
// with Redis.
func TestQuestionAtTheLastMoment(t *testing.T) {
	inWorld(t, with(slowly(5)), func(t *testing.T, w *world) {
		w.Run.Reconcile, w.Run.Scan = time.Hour, time.Hour // or the other replica may come first
		a, b := w.desk(), w.Start()
		synctest.Wait()
		var two chat.Question
		a.set(func(d *desk) {
			d.pending = func() {
				a.set(func(d *desk) { d.pending = nil })
				two = w.say(b.Runner, "conv", "two")
				synctest.Wait() // until the holder has heard of it
			}
		})
		one := w.say(a.Runner, "conv", "one")
		w.ended(one.Run)
		time.Sleep(5 * time.Second)
		if two.Run == "" {
			t.Fatal("the moment did not come")
		}
		rec, err := w.db.RunRecord(t.Context(), two.Run)
		if err != nil || rec.Status != chat.RunDone {
			t.Errorf("5 s later: %s, %v", rec.Status, err)
		}
	})
}

func TestSayTwice(t *testing.T) {
	inWorld(t, with(slowly(5)), func(t *testing.T, w *world) {
		a, b := w.Start(), w.Start()
		first := w.say(a.Runner, "conv", "one")
		q := ask("conv", "one") // new ids, the same client id
		again, err := b.Runner.Say(t.Context(), q)
		if err != nil || again.Run != first.Run {
			t.Errorf("run %s, want %s; %v", again.Run, first.Run, err)
		}
		w.ended(first.Run)
		again, err = b.Runner.Say(t.Context(), ask("conv", "one"))
		time.Sleep(2 * time.Second)
		if err != nil || again.Run != first.Run || w.stored("conv") != "user: one\nassistant: "+words("one", 5) {
			t.Errorf("%v, stored %q", err, w.stored("conv"))
		}
	})
}

// numbered says which request it answers.
func numbered(r llmtest.Request) llmtest.Reply {
	return llmtest.Reply{Pieces: []string{"answer ", string(rune('0' + r.N)), " ", "to ", r.Last().Content}, Every: 50 * time.Millisecond}
}

func TestRegenerate(t *testing.T) {
	inWorld(t, with(numbered), func(t *testing.T, w *world) {
		a, b := w.Start(), w.Start()
		v := w.watch(b.Hub)
		one := w.say(a.Runner, "conv", "one")
		if _, err := b.Runner.Regenerate(t.Context(), "owner", "conv", one.Message.ID, "again"); !errors.Is(err, run.ErrBusy) && !errors.Is(err, run.ErrNotLast) {
			t.Errorf("while it is answered: %v", err)
		}
		w.ended(one.Run)
		w.sees(v, "conv")
		q, err := b.Runner.Regenerate(t.Context(), "owner", "conv", one.Message.ID, "again")
		if err != nil {
			t.Fatal(err)
		}
		same, err := a.Runner.Regenerate(t.Context(), "owner", "conv", one.Message.ID, "again")
		if err != nil || same.Run != q.Run {
			t.Errorf("the same client id starts %s, %v", same.Run, err)
		}
		w.ended(q.Run)
		w.sees(v, "conv")
		if got := w.stored("conv"); got != "user: one\nassistant: answer 2 to one" {
			t.Errorf("stored %q", got)
		}
		ms, _, _ := w.db.History(t.Context(), "conv", "", 10)
		q, err = a.Runner.Regenerate(t.Context(), "owner", "conv", ms[1].ID, "once more") // by a message of the answer
		if err != nil {
			t.Fatal(err)
		}
		w.ended(q.Run)
		two := w.say(a.Runner, "conv", "two")
		w.ended(two.Run)
		if _, err := a.Runner.Regenerate(t.Context(), "owner", "conv", one.Message.ID, "too late"); !errors.Is(err, run.ErrNotLast) {
			t.Errorf("an old answer: %v", err)
		}
		if _, err := a.Runner.Regenerate(t.Context(), "somebody else", "conv", two.Message.ID, "not mine"); !errors.Is(err, chat.ErrNotFound) {
			t.Errorf("another's answer: %v", err)
		}
		w.sees(v, "conv")
		if got := w.stored("conv"); got != "user: one\nassistant: answer 3 to one\nuser: two\nassistant: answer 4 to two" {
			t.Errorf("stored %q", got)
		}
	})
}

// Two people at two replicas may ask for another answer at the same time.
func TestRegenerateTwice(t *testing.T) {
	inWorld(t, with(numbered), func(t *testing.T, w *world) {
		a, b := w.Start(), w.Start()
		v := w.watch(b.Hub)
		one := w.say(a.Runner, "conv", "one")
		w.ended(one.Run)
		first, err := a.Runner.Regenerate(t.Context(), "owner", "conv", one.Message.ID, "again")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Runner.Regenerate(t.Context(), "owner", "conv", one.Message.ID, "and again"); !errors.Is(err, run.ErrBusy) {
			t.Errorf("the second one: %v", err)
		}
		second := chat.Question{Conversation: "conv", Owner: "owner", Run: chat.NewID("r"), Replaces: one.Run, Message: one.Message}
		second.Message.Metadata = &llm.Metadata{Parley: llm.Details{ClientID: "at the same moment"}}
		if _, err := b.Runner.Say(t.Context(), second); !errors.Is(err, store.ErrRunning) {
			t.Errorf("one at the same moment: %v", err)
		}
		w.ended(first.Run)
		if second, err = b.Runner.Say(t.Context(), second); err != nil { // decided on before the first
			t.Fatal(err)
		}
		w.ended(second.Run)
		w.sees(v, "conv")
		if got := w.stored("conv"); got != "user: one\nassistant: answer 3 to one" {
			t.Errorf("stored %q", got)
		}
	})
}

func TestWaitsForRoomOrGoesElsewhere(t *testing.T) {
	inWorld(t, with(slowly(100)), func(t *testing.T, w *world) {
		w.Run.Answers = 1
		a := w.Start()
		w.say(a.Runner, "one", "one")
		w.holder("one", a)
		two := w.say(a.Runner, "two", "two")
		time.Sleep(time.Second)
		if a.Queue.Holds("two") || a.Runner.Running() != 1 {
			t.Error("a full replica takes more")
		}
		b := w.Start()
		began := time.Now()
		gatewaytest.Eventually(t, time.Second, "another takes it", func() bool { return b.Queue.Holds("two") })
		t.Logf("taken by another after %v", time.Since(began))
		w.ended(two.Run)
		three := w.say(b.Runner, "three", "three") // the one is free, wherever it was asked
		w.ended(three.Run)
	})
	t.Run("alone", func(t *testing.T) {
		inWorld(t, with(slowly(20)), func(t *testing.T, w *world) {
			w.Run.Answers = 1
			a := w.Start()
			one := w.say(a.Runner, "one", "one")
			w.holder("one", a)
			two := w.say(a.Runner, "two", "two")
			w.ended(one.Run)
			began := time.Now()
			w.ended(two.Run)
			if took := time.Since(began); took > time.Second {
				t.Errorf("the second took %v", took)
			}
		})
	})
}

// pass has one replica after the other end while it answers a question, of
// which it has said something. It returns the last, which answers now, and who
// watches it.
func (w *world) pass(q chat.Question, a *gatewaytest.Replica, times int, end func(*gatewaytest.Replica)) (*gatewaytest.Replica, *watcher) {
	w.t.Helper()
	v := w.watch(a.Hub)
	for i := range times {
		gatewaytest.Eventually(w.t, 10*time.Second, "it says something", func() bool {
			s := v.final()
			return s.Run != nil && s.Run.ID == q.Run && s.Run.Try == i+1 && len(s.Open) > 0 && s.Messages[len(s.Messages)-1].Content != ""
		})
		b := w.Start() // not before: it is to take over from this one
		end(a)
		a, v = b, w.watch(b.Hub)
	}
	return a, v
}

func TestTriesAreBounded(t *testing.T) {
	inWorld(t, with(slowly(1000)), func(t *testing.T, w *world) {
		w.Run.MaxTries = 2
		a := w.Start()
		q := w.say(a.Runner, "conv", "one")
		w.pass(q, a, 2, (*gatewaytest.Replica).Kill)
		rec := w.ended(q.Run)
		if rec.Status != chat.RunFailed || rec.Failure.Code != "interrupted" || rec.Try != 3 {
			t.Errorf("%+v", rec)
		}
	})
}

// However many replicas are restarted during an answer, that is no failure of
// it.
func TestDrainsAreNoFailedTries(t *testing.T) {
	inWorld(t, with(slowly(100)), func(t *testing.T, w *world) {
		w.Run.MaxTries = 2
		a := w.Start()
		q := w.say(a.Runner, "conv", "one")
		a, v := w.pass(q, a, 4, (*gatewaytest.Replica).Drain)
		if rec := w.ended(q.Run); rec.Status != chat.RunDone || rec.Try != 5 {
			t.Errorf("%+v", rec)
		}
		w.sees(v, "conv")
		two := w.say(a.Runner, "conv", "two")
		w.pass(two, a, 2, (*gatewaytest.Replica).Kill)
		if rec := w.ended(two.Run); rec.Status != chat.RunFailed || rec.Try != 3 {
			t.Errorf("two deaths: %+v", rec)
		}
	})
}

func TestRunsAreBounded(t *testing.T) {
	inWorld(t, with(slowly(1000)), func(t *testing.T, w *world) {
		w.Run.MaxRun = 2 * time.Second
		a := w.Start()
		q := w.say(a.Runner, "conv", "one")
		began := time.Now()
		rec := w.ended(q.Run)
		if rec.Failure == nil || rec.Failure.Code != "too_long" || time.Since(began) > 2100*time.Millisecond {
			t.Errorf("%+v after %v", rec, time.Since(began))
		}
		if got := w.stored("conv"); !strings.HasPrefix(got, "user: one\nassistant: one:0 one:1 ") {
			t.Errorf("stored %q", got)
		}
	})
}

func TestDrainHandsOverAtOnce(t *testing.T) {
	inWorld(t, with(slowly(50)), func(t *testing.T, w *world) {
		a := w.Start()
		q := w.say(a.Runner, "conv", "one")
		time.Sleep(400 * time.Millisecond)
		b := w.Start()
		v := w.watch(b.Hub)
		synctest.Wait()
		began := time.Now()
		go a.Drain()
		gatewaytest.Eventually(t, 100*time.Millisecond, "taken over", func() bool { return b.Queue.Holds("conv") })
		t.Logf("taken over after %v", time.Since(began))
		if rec := w.ended(q.Run); rec.Status != chat.RunDone || rec.Try != 2 {
			t.Errorf("%+v", rec)
		}
		w.sees(v, "conv")
		if got := w.stored("conv"); got != "user: one\nassistant: "+words("one", 50) {
			t.Errorf("stored %q", got)
		}
	})
}

// A replica may be told to end while it claims: what it has claimed is not
// left to lapse.
func TestDrainDuringAClaim(t *testing.T) {
	inWorld(t, with(slowly(5)), func(t *testing.T, w *world) {
		a := w.desk()
		a.set(func(d *desk) { d.claimed = func() { a.drain(); synctest.Wait() } })
		w.say(a.Runner, "conv", "one")
		<-a.done
		b := w.Start()
		began := time.Now()
		w.holder("conv", b)
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("taken over after %v", took)
		}
	})
}

func TestTitle(t *testing.T) {
	for question, want := range map[string]string{
		"": "", "?": "", "   \n": "",
		"What is the weather in Bern?":                 "Weather in Bern",
		"Can you tell me about the French Revolution?": "French Revolution",
		"hello":                         "Hello",
		"Hi, please explain monads.":    "Monads",
		"One. Two.":                     "One",
		"v1.2 is out":                   "V1.2 is out",
		"line one\nline two":            "Line one",
		"élan vital":                    "Élan vital",
		"a  b\t c":                      "A b c",
		strings.Repeat("word ", 30):     "Word word word word word word word word word…",
		strings.Repeat("ä", 100):        "Ä" + strings.Repeat("ä", 47) + "…",
		"the":                           "The",
		"How do I reset my password?!!": "Reset my password",
	} {
		if got := run.Title(question); got != want {
			t.Errorf("%q gets the title %q, want %q", question, got, want)
		}
	}
}
