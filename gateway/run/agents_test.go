package run_test

import (
	"strings"
	"testing"
	"time"

	"parley/gateway/agents"
	"parley/gateway/gatewaytest"
	"parley/llm"
	"parley/llm/llmtest"
)

// obeying says slowly what it was instructed.
func obeying(r llmtest.Request) llmtest.Reply {
	said := "nothing"
	for _, m := range r.Messages {
		if m.Role == "system" || m.Role == "developer" {
			said = m.Content
		}
	}
	return llmtest.Reply{Pieces: strings.SplitAfter(words(said, 40), " "), Every: 20 * time.Millisecond}
}

func (w *world) put(r *gatewaytest.Replica, name, instructions string) {
	w.t.Helper()
	if _, _, err := r.Agents.Put(w.t.Context(), agents.Agent{Name: name, Instructions: instructions}, "ann", -1); err != nil {
		w.t.Fatal(err)
	}
}

// answeredBy checks what a run's end says of who answered, in the store's
// record, in its last message and in what its instructions were.
func (w *world) answeredBy(run string, want llm.AgentRef, instructions string) {
	w.t.Helper()
	rec := w.ended(run)
	if rec.Agent != want.Name || rec.AgentVersion != want.Version {
		w.t.Errorf("the record of %s names %s, version %d", run, rec.Agent, rec.AgentVersion)
	}
	ms, _, err := w.db.History(w.t.Context(), "conv", "", 100)
	if err != nil {
		w.t.Fatal(err)
	}
	last := ms[len(ms)-1]
	ref := last.Metadata.Parley.Agent
	if want.Version == 0 && want.Instead == "" {
		if ref != nil {
			w.t.Errorf("the last message names %+v", *ref)
		}
	} else if ref == nil || *ref != want {
		w.t.Errorf("the last message names %+v, want %+v", ref, want)
	}
	if last.Content != words(instructions, 40) {
		w.t.Errorf("%s answered after the instructions %q", run, strings.SplitN(last.Content, " ", 2)[0])
	}
}

// An agent is edited while it answers, and the replica dies: the successor
// answers as the agent was when the run began. The next run is the edited one's.
func TestASuccessorKeepsTheVersionThatTheRunBeganWith(t *testing.T) {
	for what, name := range map[string]string{"an agent": "sales", "the default, of which nothing was stored": ""} {
		t.Run(what, func(t *testing.T) {
			inWorld(t, with(obeying), func(t *testing.T, w *world) {
				w.Agent.System = "settings"
				a := w.Start()
				began, first := llm.AgentRef{Name: "default"}, "settings"
				if name != "" {
					w.put(a, name, "one")
					began, first = llm.AgentRef{Name: name, Version: 1}, "one"
				}
				question := ask("conv", "go")
				question.Agent = name
				q, err := a.Runner.Say(t.Context(), question)
				if err != nil {
					t.Fatal(err)
				}
				w.holder("conv", a)
				b := w.Start()
				v := w.watch(b.Hub)
				gatewaytest.Eventually(t, 5*time.Second, "some of it is seen", func() bool { return strings.Contains(lines(v.final().Messages), first+":3 ") })
				edited := began
				edited.Version++
				w.put(b, began.Name, "two")
				a.Kill()
				w.answeredBy(q.Run, began, first)
				if s := w.sees(v, "conv"); s.Run.Try != 2 {
					t.Errorf("nobody took over: attempt %d", s.Run.Try)
				}
				w.answeredBy(w.say(b.Runner, "conv", "again").Run, edited, "two")
			})
		})
	}
}

// What is changed at one replica holds for the next run of any other.
func TestEveryReplicaUsesAnAgentAsItIsNow(t *testing.T) {
	inWorld(t, with(obeying), func(t *testing.T, w *world) {
		a := w.Start()
		w.put(a, "sales", "one")
		question := ask("conv", "go")
		question.Agent = "sales"
		q, err := a.Runner.Say(t.Context(), question)
		if err != nil {
			t.Fatal(err)
		}
		w.answeredBy(q.Run, llm.AgentRef{Name: "sales", Version: 1}, "one")
		b := w.Start()
		for version, instructions := range []string{2: "two", 3: "three"} {
			if instructions == "" {
				continue
			}
			w.put(b, "sales", instructions)
			w.answeredBy(w.say(a.Runner, "conv", instructions).Run, llm.AgentRef{Name: "sales", Version: version}, instructions)
		}
	})
}

func TestConversationsOfADeletedAgentGoOnWithTheDefault(t *testing.T) {
	inWorld(t, with(obeying), func(t *testing.T, w *world) {
		a, b := w.Start(), w.Start()
		w.Agent.System = "settings"
		w.put(a, "sales", "one")
		question := ask("conv", "go")
		question.Agent = "sales"
		q, err := a.Runner.Say(t.Context(), question)
		if err != nil {
			t.Fatal(err)
		}
		w.answeredBy(q.Run, llm.AgentRef{Name: "sales", Version: 1}, "one")
		if err := b.Agents.Delete(t.Context(), "sales"); err != nil {
			t.Fatal(err)
		}
		w.answeredBy(w.say(a.Runner, "conv", "go on 1").Run, llm.AgentRef{Name: "default", Instead: "sales"}, "settings")
		w.put(b, "default", "stored")
		w.answeredBy(w.say(a.Runner, "conv", "go on 2").Run, llm.AgentRef{Name: "default", Version: 1, Instead: "sales"}, "stored")
		w.put(b, "sales", "one")
		w.answeredBy(w.say(a.Runner, "conv", "go on 3").Run, llm.AgentRef{Name: "sales", Version: 2}, "one")
	})
}
