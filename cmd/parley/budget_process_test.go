//go:build integration && unix

package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/llm"
	"parley/llm/llmtest"
)

// What the turns of procDear's answers cost in tokens, how many of its answers
// hang before they are whole, and after how many words.
const (
	dearCall, dearText, dearAnswer = 2000, 20_000, dearCall + dearText
	dearHangs, dearSaid            = 2, 24
)

// procDear answers as procModel does, behind a call of a tool that there is
// not.
//
// lost is what those that hung have cost, about.
func procDear(t testing.TB, words int) (s *llmtest.Server, lost func() int) {
	var hung, asked atomic.Int32
	said := strings.SplitAfter(procText("Q0", words), " ")[:dearSaid]
	s = llmtest.NewServer(t, func(r llmtest.Request) llmtest.Reply {
		if r.Last().Role != "tool" {
			return llmtest.Reply{Calls: []llmtest.Call{{Name: "nothing"}}, Usage: &llm.Usage{Input: dearCall - 10, Output: 10}}
		}
		question := ""
		for _, m := range r.Messages {
			if m.Role == "user" {
				question = m.Content
			}
		}
		all := strings.SplitAfter(procText(question, words), " ")
		if hung.Add(1) <= dearHangs {
			asked.Add(int32(llm.EstimateTokens(len(r.Body)) + llm.EstimateTokens(len(strings.Join(said, "")))))
			return llmtest.Reply{Pieces: all[:dearSaid], Hang: true}
		}
		return llmtest.Reply{Pieces: all, Usage: &llm.Usage{Input: dearText - 100, Output: 100}}
	})
	return s, func() int { return int(asked.Load()) }
}

// Two replicas die one after the other in the midst of an answer. What it had
// cost before counts once, and so does, about, what was lost with each of
// them; the budget ends where it ends, whichever replica is asked.
func TestBudgetsHoldWhenReplicasAreKilled(t *testing.T) {
	const answers = 3
	for name, setting := range map[string]string{"of a person's day": "PERSON", "of a conversation": "CONVERSATION"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			model, dead := procDear(t, 40)
			fleet := procReplicas(t, 3, procStartRedis(t), append(procModelEnv(model), "PARLEY_PRICES=scripted=1/1",
				fmt.Sprintf("PARLEY_BUDGET_%s=%d,$1000", setting, answers*dearAnswer+20))...) // used up with what is lost
			person := procGuest(t, fleet.url())
			var conv string
			for i := range answers {
				question := fmt.Sprintf("Q%d", i)
				a, err := person.insist(t.Context(), fleet, conv, question, question)
				if err != nil {
					t.Fatal(err)
				}
				conv = a.Conversation
				f := procFollow(t, question, false, fleet, person, conv)
				if i == 0 {
					procKillWriters(t, fleet, f)
				}
				f.until(t, 20*time.Second, "the answer is whole", func(st *chat.State) bool { return procEnded(st, a.Run) })
				f.stop()
				lost := procSpent(t, fleet, person, conv) - (i+1)*dearAnswer
				if want := dead(); lost < want*2/3 || lost > want*4/3 {
					t.Errorf("after %d answers of %d tokens %d are spent besides, want about %d for what was lost", i+1, dearAnswer, lost, want)
				}
			}
			before := procSpent(t, fleet, person, conv)
			for _, s := range fleet.nodes {
				a, status, err := person.say(t.Context(), s.url, conv, "more "+s.name, "And more?", "20s")
				refused := status == http.StatusTooManyRequests && a.Code == "budget" ||
					setting == "CONVERSATION" && a.Status == "failed" && a.Failure != nil && a.Failure.Code == "budget_conversation"
				if err != nil || !refused {
					t.Errorf("%s has spent the budget and answers %d, %v: %+v", s.name, status, err, a)
				}
			}
			if after := procSpent(t, fleet, person, conv); after != before {
				t.Errorf("what was refused has cost %d tokens", after-before)
			}
		})
	}
}

// procKillWriters kills a replica in each attempt that hangs; it is back in
// the next.
func procKillWriters(t *testing.T, fleet *procFleet, f *procFollower) {
	t.Helper()
	for try := 1; try <= dearHangs; try++ {
		f.until(t, 20*time.Second, fmt.Sprintf("attempt %d hangs", try), func(st *chat.State) bool {
			return st.Run != nil && st.Run.Try == try && strings.Count(st.Messages[len(st.Messages)-1].Content, ":") == dearSaid
		})
		writer := fleet.writer(t)
		writer.kill()
		defer writer.start()
	}
}

// procSpent is what a person's only conversation and their day have cost, in
// tokens, each of which costs a millionth of a dollar.
func procSpent(t *testing.T, fleet *procFleet, p *procPerson, conv string) int {
	t.Helper()
	var own struct {
		Today        chat.UsageRow
		Conversation llm.Amount
	}
	for _, s := range fleet.nodes {
		status, err := p.do(t.Context(), "GET", s.url+"/v1/usage?conversation="+conv, nil, &own)
		if err != nil || status != http.StatusOK {
			t.Fatalf("%s: usage: %d, %v", s.name, status, err)
		}
		if own.Today.Tokens != own.Conversation.Tokens || own.Today.Micros != own.Today.Tokens || own.Conversation.Micros != own.Today.Tokens {
			t.Errorf("%s: %+v", s.name, own)
		}
	}
	return int(own.Today.Tokens)
}
