package run

import (
	"context"

	"parley/gateway/chat"
	"parley/llm"
	"parley/tools"
)

// choose finds out who answers. A run that begins gets the newest version of
// the conversation's agent; one that has begun keeps the version that it began
// with, whoever goes on with it.
func (a *answer) choose(ctx context.Context) error {
	ref, begun := a.begunAs()
	err := a.patiently(ctx, func(ctx context.Context) (err error) {
		if begun {
			a.chosen, err = a.r.agents.Version(ctx, ref)
		} else {
			a.chosen, err = a.r.agents.Newest(ctx, a.rec.Agent)
		}
		return err
	})
	if err == nil {
		a.system = tools.Tokens(a.chosen.Agent.System)
	}
	return err
}

// begunAs returns who has begun the run, if somebody has. The log knows it
// first; the store still knows when Redis has lost it.
func (a *answer) begunAs() (ref llm.AgentRef, begun bool) {
	switch st := a.lease.State(); {
	case st.Run != nil && st.Run.ID == a.it.Run && st.Run.Agent != nil:
		return *st.Run.Agent, true
	case st.Run != nil && st.Run.ID == a.it.Run:
		return llm.AgentRef{}, true
	}
	return llm.AgentRef{Name: a.rec.Agent, Version: a.rec.AgentVersion}, a.rec.Status != chat.RunAccepted
}
