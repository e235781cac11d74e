package run_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
	"parley/gateway/run"
	"parley/tools"
)

// asking is a cluster whose model wants to charge, which people decide.
func asking(t *testing.T, m *machine, test func(t *testing.T, w *world)) {
	inWorld(t, with(use("charge")), func(t *testing.T, w *world) {
		w.Tools = toolbox{m}
		test(t, w)
	})
}

func charging() *machine {
	m := newMachine("charge", tools.Unsafe, 10*time.Millisecond)
	m.approval = tools.ApprovalAsk
	return m
}

// waits waits until a conversation's run waits for people, and returns what it
// asks.
func (w *world) waits(conv string) []chat.Ask {
	w.t.Helper()
	var asks []chat.Ask
	gatewaytest.Eventually(w.t, 30*time.Second, "the run waits for somebody", func() bool {
		var err error
		_, asks, err = w.db.Waiting(w.t.Context(), conv)
		return err == nil
	})
	return asks
}

func resolve(a chat.Ask, payload string) chat.Decision {
	return chat.Decision{Interrupt: a.ID, Status: tools.AnswerResolved, Payload: json.RawMessage(payload), By: "owner"}
}

func (w *world) decide(r *run.Runner, ds ...chat.Decision) {
	w.t.Helper()
	if _, err := r.Answer(w.t.Context(), "conv", ds); err != nil {
		w.t.Fatal(err)
	}
}

func TestDecisionsReachTheModel(t *testing.T) {
	for _, c := range []struct {
		name     string
		decision tools.AnswerStatus
		payload  string
		made     int
		said     []string
	}{
		{"approved", tools.AnswerResolved, `{"approved":true}`, 1, []string{"it says charge done"}},
		{"refused", tools.AnswerResolved, `{"approved":false}`, 0, []string{"the person refused it"}},
		{"refused with a reason", tools.AnswerResolved, `{"approved":false,"reason":"too dear"}`, 0, []string{"saying: too dear"}},
		{"with other arguments", tools.AnswerResolved, `{"approved":true,"editedArgs":{"sum":3}}`, 1, []string{"changed the arguments", `{"sum":3}`, "charge done"}},
		{"dismissed", tools.AnswerCancelled, ``, 0, []string{"did not decide"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := charging()
			asking(t, m, func(t *testing.T, w *world) {
				a := w.Start()
				v := w.watch(a.Hub)
				q := w.say(a.Runner, "conv", "pay")
				asks := w.waits("conv")
				if n, _ := m.starts(); n != 0 || len(asks) != 1 || asks[0].ToolCallID == "" || len(asks[0].Schema) == 0 {
					t.Fatalf("made %d times, asked %+v", n, asks)
				}
				gatewaytest.Eventually(t, time.Second, "it is shown", func() bool { s := v.final(); return s.Waits() && len(s.Interrupts) == 1 })
				w.decide(a.Runner, chat.Decision{Interrupt: asks[0].ID, Status: c.decision, Payload: json.RawMessage(c.payload)})
				if rec := w.ended(q.Run); rec.Status != chat.RunDone || rec.Try != 1 {
					t.Errorf("ended as %s in attempt %d", rec.Status, rec.Try)
				}
				s := w.sees(v, "conv")
				if n, _ := m.starts(); n != c.made {
					t.Errorf("made %d times, want %d", n, c.made)
				}
				for _, want := range c.said {
					if all := lines(s.Messages); !strings.Contains(all, want) {
						t.Errorf("%q is not in\n%s", want, all)
					}
				}
				answers := s.Messages[1].ToolCalls[0].Metadata.Parley.Answers
				if len(answers) != 1 || answers[0].Status != c.decision || string(answers[0].Payload) != c.payload || len(s.Interrupts) > 0 {
					t.Errorf("the call shows %+v, open is %+v", answers, s.Interrupts)
				}
			})
		})
	}
}

// What waits needs no process and no Redis: all are started anew, and another
// replica goes on with the run.
func TestAnswerSurvivesEverything(t *testing.T) {
	m := charging()
	asking(t, m, func(t *testing.T, w *world) {
		a := w.Cluster.Start()
		q := w.say(a.Runner, "conv", "pay")
		ask := w.waits("conv")[0]
		gatewaytest.Eventually(t, 5*time.Second, "nobody holds it", func() bool { return !a.Queue.Holds("conv") && a.Runner.Running() == 0 })
		a.Drain()
		w.Redis.Wipe()
		time.Sleep(time.Hour)
		b, c := w.Start(), w.Start()
		v := w.watch(c.Hub)
		gatewaytest.Eventually(t, 5*time.Second, "who comes later sees what is asked", func() bool {
			s := v.final()
			return s.Waits() && s.Run.ID == q.Run && len(s.Interrupts) == 1 && s.Interrupts[0].ID == ask.ID
		})
		if due, err := w.db.Due(t.Context(), time.Now(), 10); err != nil || len(due) > 0 {
			t.Errorf("due is %+v, %v", due, err)
		}
		w.decide(b.Runner, resolve(ask, `{"approved":true}`))
		if rec := w.ended(q.Run); rec.Status != chat.RunDone || rec.Try != 1 {
			t.Errorf("ended as %s in attempt %d", rec.Status, rec.Try)
		}
		w.sees(v, "conv")
		if n, _ := m.starts(); n != 1 {
			t.Errorf("made %d times", n)
		}
	})
}

// An answer that nobody could be told of is found in the store.
func TestAnswerWhileRedisIsAway(t *testing.T) {
	m := charging()
	asking(t, m, func(t *testing.T, w *world) {
		w.Run.Reconcile = 3 * time.Second
		a := w.Start()
		q := w.say(a.Runner, "conv", "pay")
		ask := w.waits("conv")[0]
		gatewaytest.Eventually(t, 5*time.Second, "nobody holds it", func() bool { return !a.Queue.Holds("conv") })
		a.Link.Cut()
		_, err := a.Runner.Answer(t.Context(), "conv", []chat.Decision{resolve(ask, `{"approved":true}`)})
		if !errors.Is(err, run.ErrUnheard) {
			t.Fatal(err)
		}
		a.Link.Mend()
		w.ended(q.Run)
		if n, _ := m.starts(); n != 1 {
			t.Errorf("made %d times", n)
		}
	})
}

func TestFirstAnswerCounts(t *testing.T) {
	m := charging()
	asking(t, m, func(t *testing.T, w *world) {
		a, b := w.Start(), w.Start()
		q := w.say(a.Runner, "conv", "pay")
		ask := w.waits("conv")[0]
		yes, no := resolve(ask, `{"approved":true}`), resolve(ask, `{"approved":false}`)
		w.decide(a.Runner, no)
		if _, err := b.Runner.Answer(t.Context(), "conv", []chat.Decision{yes}); !errors.Is(err, chat.ErrAnswered) {
			t.Errorf("another answer: %v", err)
		}
		w.ended(q.Run)
		w.decide(b.Runner, resolve(ask, ` {"approved" : false}`)) // the same again, in other words
		if n, _ := m.starts(); n != 0 {
			t.Errorf("made %d times", n)
		}
		if _, err := b.Runner.Answer(t.Context(), "conv", []chat.Decision{{Interrupt: "inone", Status: tools.AnswerResolved}}); !errors.Is(err, chat.ErrNotFound) {
			t.Errorf("an interrupt that is not there: %v", err)
		}
		if _, err := b.Runner.Answer(t.Context(), "other", []chat.Decision{no}); !errors.Is(err, chat.ErrNotFound) {
			t.Errorf("an interrupt of another conversation: %v", err)
		}
	})
}

// Whoever goes on without deciding gets an answer, and what waited ends.
func TestGoingOnWithoutDeciding(t *testing.T) {
	for _, c := range []struct {
		name string
		goOn func(w *world, r *run.Runner, q chat.Question) chat.Question
	}{
		{"with a new question", func(w *world, r *run.Runner, q chat.Question) chat.Question { return w.say(r, "conv", "hello") }},
		{"by asking in other words", func(w *world, r *run.Runner, q chat.Question) chat.Question {
			e, err := r.Edit(w.t.Context(), "owner", "conv", q.Message.ID, "k", "pay less")
			if err != nil {
				w.t.Fatal(err)
			}
			return e
		}},
		{"by asking anew", func(w *world, r *run.Runner, q chat.Question) chat.Question {
			e, err := r.Regenerate(w.t.Context(), "owner", "conv", q.Message.ID, "k")
			if err != nil {
				w.t.Fatal(err)
			}
			return e
		}},
		{"by stopping it", func(w *world, r *run.Runner, q chat.Question) chat.Question {
			if err := r.Cancel(w.t.Context(), "conv", q.Run); err != nil {
				w.t.Fatal(err)
			}
			return q
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := charging()
			asking(t, m, func(t *testing.T, w *world) {
				a, b := w.Start(), w.Start()
				v := w.watch(b.Hub)
				q := w.say(a.Runner, "conv", "pay")
				ask := w.waits("conv")[0]
				next := c.goOn(w, b.Runner, q)
				if rec := w.ended(q.Run); rec.Status != chat.RunCancelled {
					t.Errorf("ended as %s", rec.Status)
				}
				if _, err := b.Runner.Answer(t.Context(), "conv", []chat.Decision{resolve(ask, `{"approved":true}`)}); !errors.Is(err, chat.ErrAnswered) {
					t.Errorf("an answer after that: %v", err)
				}
				if next.Run != q.Run {
					again := w.waits("conv")[0] // the model wants to charge again
					w.decide(a.Runner, resolve(again, `{"approved":false}`))
					w.ended(next.Run)
				}
				w.sees(v, "conv")
				if n, _ := m.starts(); n != 0 {
					t.Errorf("made %d times", n)
				}
			})
		})
	}
}

// A question that came while the run was busy is answered, too: nobody is
// kept waiting by what nobody decides.
func TestQuestionBeforeTheAsk(t *testing.T) {
	m := charging()
	asking(t, m, func(t *testing.T, w *world) {
		a := w.Start()
		one := w.say(a.Runner, "conv", "pay")
		two := w.say(a.Runner, "conv", "pay more")
		if rec := w.ended(one.Run); rec.Status != chat.RunCancelled {
			t.Errorf("ended as %s", rec.Status)
		}
		asks := w.waits("conv")
		if asks[0].Run != two.Run {
			t.Errorf("%s asks, want %s", asks[0].Run, two.Run)
		}
	})
}

func TestNobodyDecidesInTime(t *testing.T) {
	m := charging()
	asking(t, m, func(t *testing.T, w *world) {
		w.Run.Approval = time.Minute
		a := w.Start()
		q := w.say(a.Runner, "conv", "pay")
		ask := w.waits("conv")[0]
		time.Sleep(time.Minute)
		if _, err := a.Runner.Answer(t.Context(), "conv", []chat.Decision{resolve(ask, `{"approved":true}`)}); !errors.Is(err, chat.ErrExpired) && !errors.Is(err, chat.ErrAnswered) {
			t.Errorf("a late answer: %v", err)
		}
		if rec := w.ended(q.Run); rec.Status != chat.RunDone {
			t.Errorf("ended as %s", rec.Status)
		}
		if s := w.stored("conv"); !strings.Contains(s, "nobody decided in time") {
			t.Error(s)
		}
	})
}

func TestAlwaysHere(t *testing.T) {
	m := charging()
	asking(t, m, func(t *testing.T, w *world) {
		a := w.Start()
		q := w.say(a.Runner, "conv", "pay")
		w.decide(a.Runner, resolve(w.waits("conv")[0], `{"approved":true,"always":true}`))
		w.ended(q.Run)
		w.ended(w.say(a.Runner, "conv", "again").Run)
		if n, _ := m.starts(); n != 2 {
			t.Errorf("made %d times, want twice", n)
		}
		w.say(a.Runner, "other", "pay")
		w.waits("other")
	})
}

func TestPolicies(t *testing.T) {
	for _, c := range []struct {
		policy tools.Approval
		effect tools.Effect
		made   int
		asks   bool
	}{
		{"", tools.Safe, 1, false},
		{"", tools.Idempotent, 0, true},
		{"", tools.Unsafe, 0, true},
		{tools.ApprovalAsk, tools.Safe, 0, true},
		{tools.ApprovalAuto, tools.Unsafe, 1, false},
		{tools.ApprovalNever, tools.Safe, 0, false},
	} {
		t.Run(string(c.policy+"/")+string(c.effect), func(t *testing.T) {
			m := newMachine("charge", c.effect, 0)
			m.approval = c.policy
			asking(t, m, func(t *testing.T, w *world) {
				a := w.Start()
				q := w.say(a.Runner, "conv", "pay")
				if c.asks {
					w.waits("conv")
				} else {
					w.ended(q.Run)
				}
				if n, _ := m.starts(); n != c.made {
					t.Errorf("made %d times, want %d", n, c.made)
				}
			})
		})
	}
}

// Of several calls those are made that need nobody; the others wait until all
// is decided, and what is decided so far is shown.
func TestSomeCallsAsk(t *testing.T) {
	inWorld(t, with(use("look", "charge", "charge")), func(t *testing.T, w *world) {
		look, m := newMachine("look", tools.Safe, 0), charging()
		w.Tools = toolbox{look, m}
		a, b := w.Start(), w.Start()
		v := w.watch(b.Hub)
		q := w.say(a.Runner, "conv", "pay")
		asks := w.waits("conv")
		if n, _ := look.starts(); n != 1 || len(asks) != 2 {
			t.Fatalf("looked %d times, asks %d", n, len(asks))
		}
		w.decide(b.Runner, resolve(asks[1], `{"approved":false}`))
		gatewaytest.Eventually(t, 5*time.Second, "one answer is shown", func() bool {
			s := v.final()
			return s.Waits() && len(s.Interrupts) == 1 && s.Interrupts[0].ID == asks[0].ID
		})
		w.decide(a.Runner, resolve(asks[0], `{"approved":true}`))
		w.ended(q.Run)
		gatewaytest.Eventually(t, 5*time.Second, "its end is shown", func() bool { s := v.final(); return s.Run.Status == chat.RunDone && len(s.Interrupts) == 0 })
		n, _ := m.starts()
		if l, _ := look.starts(); n != 1 || l != 1 {
			t.Errorf("looked %d times, charged %d times", l, n)
		}
	})
}

// A tool asks by itself, and is called again with the answer; what it kept is
// shown to nobody.
func TestToolAsks(t *testing.T) {
	m := charging()
	m.asks = &tools.Ask{Reason: tools.AskInput, Message: "Which card?", State: "canary-state", Schema: json.RawMessage(`{"type":"object","required":["card"]}`)}
	asking(t, m, func(t *testing.T, w *world) {
		a := w.Start()
		v := w.watch(a.Hub)
		q := w.say(a.Runner, "conv", "pay")
		w.decide(a.Runner, resolve(w.waits("conv")[0], `{"approved":true}`))
		var asks []chat.Ask
		gatewaytest.Eventually(t, 5*time.Second, "the tool asks", func() bool {
			_, asks, _ = w.db.Waiting(t.Context(), "conv")
			return len(asks) == 2
		})
		_, err := a.Runner.Answer(t.Context(), "conv", []chat.Decision{resolve(asks[1], `{"car":1}`)})
		var wrong *run.PayloadError
		if !errors.As(err, &wrong) || wrong.Index != 0 {
			t.Errorf("a payload that does not fit: %v", err)
		}
		w.decide(a.Runner, resolve(asks[1], `{"card":"1"}`))
		if rec := w.ended(q.Run); rec.Status != chat.RunDone {
			t.Errorf("ended as %s", rec.Status)
		}
		w.sees(v, "conv")
		if n, _ := m.starts(); n != 1 {
			t.Errorf("made %d times", n)
		}
	})
}

// A replica dies between an approval and the result: the call is not made
// twice.
func TestApprovedCallCutOff(t *testing.T) {
	m := charging()
	m.takes = 5 * time.Second
	asking(t, m, func(t *testing.T, w *world) {
		a := w.Cluster.Start()
		q := w.say(a.Runner, "conv", "pay")
		w.decide(a.Runner, resolve(w.waits("conv")[0], `{"approved":true}`))
		gatewaytest.Eventually(t, 5*time.Second, "the call is made", func() bool { n, _ := m.starts(); return n == 1 })
		b := w.Start()
		a.Kill()
		rec := w.ended(q.Run)
		if n, _ := m.starts(); n != 1 || rec.Try != 2 {
			t.Errorf("made %d times, ended in attempt %d", n, rec.Try)
		}
		if s := w.stored("conv"); !strings.Contains(s, "outcome is not known") {
			t.Error(s)
		}
		_ = b
	})
}

// The end of waiting is stored, and the entry is lost with the replica: who
// comes next says so.
func TestSuspensionThatNobodyShowed(t *testing.T) {
	m := charging()
	asking(t, m, func(t *testing.T, w *world) {
		d := w.desk()
		b := w.Start()
		v := w.watch(b.Hub)
		d.set(func(d *desk) {
			d.archive = func(batch chat.Batch) error {
				if len(batch.Asks) == 0 {
					return nil
				}
				if err := d.DB.Archive(context.Background(), "conv", mustGeneration(t, d), batch); err != nil {
					return err
				}
				d.set(func(d *desk) { d.archive = func(chat.Batch) error { return errors.New("the reply is lost") } })
				return errors.New("the reply is lost")
			}
		})
		w.say(d.Runner, "conv", "pay")
		ask := w.waits("conv")[0]
		d.stop() // dead, before the log has it
		gatewaytest.Eventually(t, 10*time.Second, "it is shown all the same", func() bool {
			s := v.final()
			return s.Waits() && len(s.Interrupts) == 1
		})
		w.decide(b.Runner, resolve(ask, `{"approved":true}`))
		gatewaytest.Eventually(t, 10*time.Second, "it goes on", func() bool { n, _ := m.starts(); return n == 1 })
		w.sees(v, "conv")
	})
}

func mustGeneration(t *testing.T, d *desk) uint64 {
	g, err := d.DB.Generation(context.Background(), "conv")
	if err != nil {
		t.Error(err)
	}
	return g
}

// What does not fit is not asked about, and not called: a tool may take what
// its declaration does not.
func TestArgumentsThatDoNotFitAskNobody(t *testing.T) {
	m := charging()
	m.parameters = `{"type":"object","required":["sum"],"properties":{"sum":{"type":"number"}}}`
	asking(t, m, func(t *testing.T, w *world) {
		a := w.Start()
		w.ended(w.say(a.Runner, "conv", "pay").Run)
		if n, _ := m.starts(); n != 0 {
			t.Errorf("made %d times", n)
		}
		if s := w.stored("conv"); !strings.Contains(s, "do not fit") {
			t.Error(s)
		}
	})
}
