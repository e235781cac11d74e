package storetest

import (
	"sync"
	"testing"

	"parley/gateway/agents"
	"parley/gateway/chat"
	"parley/llm"
)

func agentTests() map[string]func(*testing.T, Store) {
	return map[string]func(*testing.T, Store){
		"are kept whole, by name":                        agentsWhole,
		"have a version for each change":                 agentsVersions,
		"are changed by those who know the newest":       agentsExpected,
		"changed at the same time have each its version": agentsAtOnce,
		"leave their versions and number on":             agentsDeleted,
		"that are absent are not found":                  agentsAbsent,
		"are chosen for a conversation":                  agentsChosen,
		"are kept with a run":                            agentsOfRuns,
	}
}

func agentOf(name, says string) agents.Agent {
	warm := 0.5
	return agents.Agent{
		Name: name, Title: "Ä", Description: "d", Questions: []string{"q"}, Instructions: says, Models: []string{"a:b"},
		Tools: []string{}, Temperature: &warm, MaxTokens: 1, MaxTurns: 2, MaxCalls: 3,
	}
}

func putAgent(t *testing.T, s Store, a agents.Agent) agents.Version {
	t.Helper()
	v, _, err := s.PutAgent(t.Context(), a, "ann", -1)
	ok(t, err)
	return v
}

func agentsWhole(t *testing.T, s Store) {
	all, err := s.Agents(t.Context())
	ok(t, err)
	equal(t, "none", all, nil)
	var want []agents.Version
	for _, name := range []string{"b-2", "a", "b"} {
		want = append(want, putAgent(t, s, agentOf(name, "x")))
	}
	all, err = s.Agents(t.Context())
	ok(t, err)
	equal(t, "agents", all, []agents.Version{want[1], want[2], want[0]})
	if all[0].Tools == nil || all[0].At.IsZero() || all[0].By != "ann" {
		t.Errorf("%+v", all[0])
	}
}

func agentsVersions(t *testing.T, s Store) {
	one := putAgent(t, s, agentOf("a", "one"))
	two, fresh, err := s.PutAgent(t.Context(), agentOf("a", "two"), "bob", -1)
	ok(t, err)
	equal(t, "fresh", fresh, true)
	same, fresh, err := s.PutAgent(t.Context(), agentOf("a", "two"), "eve", -1)
	ok(t, err)
	equal(t, "fresh", fresh, false)
	equal(t, "the same again", same, two)
	back := putAgent(t, s, agentOf("a", "one"))
	equal(t, "version", back.Version, 3)
	vs, err := s.AgentVersions(t.Context(), "a", 0, 10)
	ok(t, err)
	equal(t, "versions", vs, []agents.Version{back, two, one})
	vs, err = s.AgentVersions(t.Context(), "a", 3, 1)
	ok(t, err)
	equal(t, "a page", vs, []agents.Version{two})
	got, err := s.AgentVersion(t.Context(), "a", 1)
	ok(t, err)
	equal(t, "the first", got, one)
	all, err := s.Agents(t.Context())
	ok(t, err)
	equal(t, "the newest", all, []agents.Version{back})
}

func agentsExpected(t *testing.T, s Store) {
	_, _, err := s.PutAgent(t.Context(), agentOf("a", "one"), "", 1)
	fails(t, err, agents.ErrChanged)
	_, err = s.AgentVersion(t.Context(), "a", 1)
	fails(t, err, chat.ErrNotFound)
	all, err := s.Agents(t.Context())
	ok(t, err)
	equal(t, "agents", all, nil)
	_, _, err = s.PutAgent(t.Context(), agentOf("a", "one"), "", 0)
	ok(t, err)
	_, _, err = s.PutAgent(t.Context(), agentOf("a", "two"), "", 0)
	fails(t, err, agents.ErrChanged)
	v, _, err := s.PutAgent(t.Context(), agentOf("a", "two"), "", 1)
	ok(t, err)
	equal(t, "version", v.Version, 2)
}

func agentsAtOnce(t *testing.T, s Store) {
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		all.Go(func() { _, _, errs[i] = s.PutAgent(t.Context(), agentOf("a", string(rune('a'+i))), "", -1) })
	}
	all.Wait()
	for _, err := range errs {
		ok(t, err)
	}
	vs, err := s.AgentVersions(t.Context(), "a", 0, 100)
	ok(t, err)
	equal(t, "versions", len(vs), len(errs))
	newest, err := s.Agents(t.Context())
	ok(t, err)
	equal(t, "the newest", newest, vs[:1])
}

func agentsDeleted(t *testing.T, s Store) {
	one := putAgent(t, s, agentOf("a", "one"))
	ok(t, s.DeleteAgent(t.Context(), "a"))
	all, err := s.Agents(t.Context())
	ok(t, err)
	equal(t, "agents", all, nil)
	got, err := s.AgentVersion(t.Context(), "a", 1)
	ok(t, err)
	equal(t, "of a run", got, one)
	fails(t, s.DeleteAgent(t.Context(), "a"), chat.ErrNotFound)
	again, _, err := s.PutAgent(t.Context(), agentOf("a", "one"), "", 0)
	ok(t, err)
	equal(t, "version", again.Version, 2)
}

func agentsAbsent(t *testing.T, s Store) {
	_, err := s.AgentVersion(t.Context(), "a", 1)
	fails(t, err, chat.ErrNotFound)
	vs, err := s.AgentVersions(t.Context(), "a", 0, 1)
	ok(t, err)
	equal(t, "versions", vs, nil)
	fails(t, s.ChooseAgent(t.Context(), "c1", "a"), chat.ErrNotFound)
}

func agentsChosen(t *testing.T, s Store) {
	chosen := func(conv, want string) {
		t.Helper()
		c, err := s.Conversation(t.Context(), conv)
		ok(t, err)
		equal(t, "agent", c.Agent, want)
	}
	ok(t, s.CreateConversation(t.Context(), chat.Conversation{ID: "c1", Owner: "ann", Agent: "a"}))
	chosen("c1", "a")
	ok(t, s.ChooseAgent(t.Context(), "c1", "b"))
	mustAccept(t, s, question("c1", "1"))
	chosen("c1", "b")
	q := question("c1", "2")
	q.Agent = "c"
	mustAccept(t, s, q)
	q.Agent = "d" // said again, it is not heard again
	_, _, err := s.Accept(t.Context(), q)
	ok(t, err)
	chosen("c1", "c")
	for run, want := range map[string]string{"r1": "b", "r2": "c"} {
		rec, err := s.RunRecord(t.Context(), run)
		ok(t, err)
		equal(t, "agent of "+run, rec.Agent, want)
	}
}

func agentsOfRuns(t *testing.T, s Store) {
	conv := claimed(t, s)
	record := func(rec chat.RunRecord) (string, int) {
		t.Helper()
		rec.ID = "r1"
		ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{Messages: []llm.Message{question(conv, "1").Message}, Run: &rec}))
		got, err := s.RunRecord(t.Context(), "r1")
		ok(t, err)
		return got.Agent, got.AgentVersion
	}
	for _, tt := range []struct {
		rec     chat.RunRecord
		agent   string
		version int
	}{
		{chat.RunRecord{Status: chat.RunRunning, Agent: "a", AgentVersion: 3}, "a", 3},
		{chat.RunRecord{Status: chat.RunRunning, Agent: "default"}, "default", 0},
		{chat.RunRecord{Status: chat.RunRunning, Agent: "a", AgentVersion: 4}, "a", 4},
		{chat.RunRecord{Status: chat.RunDone, Try: 1}, "a", 4}, // who only knows the log leaves it
	} {
		if agent, version := record(tt.rec); agent != tt.agent || version != tt.version {
			t.Errorf("after %+v it is %s, %d", tt.rec, agent, version)
		}
	}
}
