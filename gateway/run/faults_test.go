package run_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
	"parley/llm"
	"parley/llm/llmtest"
)

func TestModelFailures(t *testing.T) {
	for name, c := range map[string]struct {
		reply llmtest.Reply
		code  string
		kept  string
	}{
		"breaks off":     {llmtest.Reply{Pieces: []string{"half ", "an "}, Cut: true}, "model_truncated", "half an "},
		"wrong key":      {llmtest.Fail(401, "invalid_api_key", "no"), "model_auth", ""},
		"down":           {llmtest.Fail(503, "", "down"), "model_unavailable", ""},
		"too long":       {llmtest.Fail(400, "context_length_exceeded", "long"), "model_context_too_long", ""},
		"error in midst": {llmtest.Reply{Pieces: []string{"half "}, Error: "boom", Code: "server_error"}, "model_unavailable", "half "},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, with(func(r llmtest.Request) llmtest.Reply {
				if r.Last().Content == "one" {
					return c.reply
				}
				return llmtest.Text("fine")
			}), func(t *testing.T, w *world) {
				a := w.Start()
				v := w.watch(a.Hub)
				q := w.say(a.Runner, "conv", "one")
				rec := w.ended(q.Run)
				if rec.Status != chat.RunFailed || rec.Failure.Code != c.code || rec.Failure.Message == "" {
					t.Errorf("%+v", rec.Failure)
				}
				s := w.sees(v, "conv")
				m := s.Messages[1]
				if m.Content != c.kept || m.Metadata.Parley.Failure.Code != c.code || s.Run.Status != chat.RunFailed {
					t.Errorf("shown %q, %+v", m.Content, m.Metadata.Parley)
				}
				if rec := w.ended(w.say(a.Runner, "conv", "two").Run); rec.Status != chat.RunDone {
					t.Errorf("afterwards: %+v", rec)
				}
			})
		})
	}
}

// Half an answer is never called whole, also not by a successor that finds
// its last turn finished.
func TestFinishOutlivesItsReplica(t *testing.T) {
	inWorld(t, with(func(llmtest.Request) llmtest.Reply { return llmtest.Reply{Pieces: []string{"half"}, Finish: "length"} }), func(t *testing.T, w *world) {
		a, b := w.desk(), w.desk()
		b.stop() // not yet
		a.set(func(d *desk) {
			d.archive = func(b chat.Batch) error {
				if b.Run != nil && b.Run.Status.Ended() {
					a.stop() // dies before its last entry
					return errors.New("dead")
				}
				return nil
			}
		})
		q := w.say(a.Runner, "conv", "one")
		time.Sleep(time.Second)
		w.Start()
		w.ended(q.Run)
		ms, _, _ := w.db.History(t.Context(), "conv", "", 10)
		if m := ms[len(ms)-1]; m.Content != "half" || m.Metadata.Parley.Finish != llm.FinishLength {
			t.Errorf("%q is stored as finished by %q", m.Content, m.Metadata.Parley.Finish)
		}
	})
}

func TestStoreAway(t *testing.T) {
	inWorld(t, with(slowly(200)), func(t *testing.T, w *world) {
		a := w.desk()
		v := w.watch(a.Hub)
		q := w.say(a.Runner, "conv", "one")
		time.Sleep(time.Second)
		a.set(func(d *desk) { d.archive = func(chat.Batch) error { return errors.New("the store is away") } })
		time.Sleep(3500 * time.Millisecond)
		gatewaytest.Eventually(t, time.Second, "the answer is shown", func() bool {
			s := v.final()
			return strings.HasSuffix(lines(s.Messages), words("one", 200))
		})
		if rec, _ := w.db.RunRecord(t.Context(), q.Run); rec.Status != chat.RunRunning {
			t.Errorf("the store has it as %s", rec.Status)
		}
		time.Sleep(6 * time.Second)
		a.set(func(d *desk) { d.archive = nil })
		if rec := w.ended(q.Run); rec.Status != chat.RunDone || rec.Try != 1 {
			t.Errorf("%+v", rec)
		}
		w.sees(v, "conv")
		if got := w.stored("conv"); got != "user: one\nassistant: "+words("one", 200) {
			t.Errorf("stored %q", got)
		}
	})
}

func TestStoreFull(t *testing.T) {
	for name, from := range map[string]func(chat.Batch) bool{
		"at the start": func(chat.Batch) bool { return true },
		"later":        func(b chat.Batch) bool { return b.Run == nil || b.Run.Status.Ended() },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, with(slowly(20)), func(t *testing.T, w *world) {
				w.Run.Reconcile = 5 * time.Second
				a := w.desk()
				v := w.watch(a.Hub)
				a.set(func(d *desk) {
					d.archive = func(b chat.Batch) error {
						if from(b) {
							return chat.ErrFull
						}
						return nil
					}
				})
				w.say(a.Runner, "conv", "one")
				var s chat.State
				gatewaytest.Eventually(t, 5*time.Second, "the run ends", func() bool { s = v.final(); return s.Run != nil && !s.Active() })
				m := s.Messages[len(s.Messages)-1]
				if m.Content != words("one", 20) || m.Metadata.Parley.Failure == nil || m.Metadata.Parley.Failure.Code != "storage_full" {
					t.Errorf("shown %q, %+v", m.Content, m.Metadata.Parley)
				}
				try := s.Run.Try
				time.Sleep(20 * time.Second)
				if s := v.final(); s.Run.Try != try || s.Active() {
					t.Errorf("answered again: %+v", s.Run)
				}
				a.set(func(d *desk) { d.archive = nil })
				two := w.say(a.Runner, "conv", "two")
				w.ended(two.Run)
				want := "user: one\nassistant: " + words("one", 20) + "\nuser: two\nassistant: " + words("two", 20)
				if got := w.stored("conv"); got != want {
					t.Errorf("stored %q\nwant %q", got, want)
				}
				w.sees(v, "conv")
			})
		})
	}
}

func TestConversationDeletedMeanwhile(t *testing.T) {
	inWorld(t, with(slowly(50)), func(t *testing.T, w *world) {
		a := w.Start()
		w.say(a.Runner, "conv", "one")
		time.Sleep(500 * time.Millisecond)
		if err := w.db.DeleteConversation(t.Context(), "conv"); err != nil {
			t.Fatal(err)
		}
		gatewaytest.Eventually(t, 5*time.Second, "nobody answers it", func() bool { return !a.Queue.Holds("conv") && a.Runner.Running() == 0 })
		time.Sleep(5 * time.Second)
		if a.Queue.Holds("conv") {
			t.Error("it was claimed again")
		}
		if rec := w.ended(w.say(a.Runner, "other", "two").Run); rec.Status != chat.RunDone {
			t.Errorf("%+v", rec)
		}
	})
}
