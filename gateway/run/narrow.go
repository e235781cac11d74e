package run

import (
	"cmp"
	"slices"

	"parley/llm"
	"parley/tools"
)

// Of the messages before a question, so many decide which tools are offered.
// They are fewer than any writer reads, so that all writers offer the same.
const offerWindow = 40

// narrowed returns the set with the tool that finds tools if it has more than
// most; negative means any number.
func narrowed(set *tools.Set, most int) *tools.Set {
	if most < 0 || len(set.Specs()) <= most {
		return set
	}
	return set.WithFind()
}

// Offer implements [llm.Chooser].
func (g *guarded) Offer(msgs []llm.Message) []tools.Spec {
	return offer(g.set, msgs, g.a.r.o.Offered)
}

// offer returns the tools of a narrowed set that a model is offered: those that
// come with the server, those that the conversation used, and those that fit
// the question best, most of them together and by name. Behind them, in the
// order in which that happened, stand those that were found or called since the
// question. So what a model was offered in one turn begins what it is offered
// in the next, and whoever takes up a run offers the same.
func offer(set *tools.Set, msgs []llm.Message, most int) []tools.Spec {
	if !set.Pinned(tools.FindName) {
		return set.Specs()
	}
	o := offering{set: set, has: map[string]bool{}}
	for _, s := range set.Specs() {
		if set.Pinned(s.Name) {
			o.add(s.Name, len(set.Specs()))
		}
	}
	before, since := aroundQuestion(msgs)
	o.addUsed(before, len(o.specs)+max(most-len(o.specs), 0)/2)
	for _, s := range set.Find(most, questions(before)...) {
		o.add(s.Name, most)
	}
	slices.SortFunc(o.specs, func(a, b tools.Spec) int { return cmp.Compare(a.Name, b.Name) })
	o.addLater(since, 2*max(most, len(o.specs)))
	return o.specs
}

// aroundQuestion parts msgs behind the last question. Of what is before, only
// the window is returned.
func aroundQuestion(msgs []llm.Message) (before, since []llm.Message) {
	for i := len(msgs) - 1; i >= 0; i-- {
		if msgs[i].Role == llm.User {
			return msgs[max(0, i+1-offerWindow) : i+1], msgs[i+1:]
		}
	}
	return nil, msgs
}

// questions returns the last few questions, the latest first.
func questions(msgs []llm.Message) (texts []string) {
	for i := len(msgs) - 1; i >= 0 && len(texts) < 3; i-- {
		if msgs[i].Role == llm.User {
			texts = append(texts, msgs[i].Content)
		}
	}
	return texts
}

// An offering is the tools that a model is offered, being put together.
type offering struct {
	set   *tools.Set
	specs []tools.Spec
	has   map[string]bool
}

// add offers a tool unless there are most, or there is none of that name.
func (o *offering) add(name string, most int) {
	s, ok := o.set.Spec(name)
	if !ok || o.has[name] || len(o.specs) >= most {
		return
	}
	o.has[name] = true
	o.specs = append(o.specs, s)
}

// addUsed offers what was called, the latest first.
func (o *offering) addUsed(msgs []llm.Message, most int) {
	for _, m := range slices.Backward(msgs) {
		for _, c := range m.ToolCalls {
			o.add(c.Function.Name, most)
		}
	}
}

// addLater offers what was called or found.
func (o *offering) addLater(msgs []llm.Message, most int) {
	for _, m := range msgs {
		for _, c := range m.ToolCalls {
			o.add(c.Function.Name, most)
			if c.Function.Name != tools.FindName {
				continue
			}
			for _, s := range o.set.Found(c.Raw()) {
				o.add(s.Name, most)
			}
		}
	}
}
