package main

import (
	"parley/gateway/run"
	"parley/llm"
	"parley/llm/provider"
)

// gaugeOf returns how much a model reads at once, window tokens if they are
// given, nil for the demo model, which reads anything.
func gaugeOf(m llm.Model, window int) *llm.Gauge {
	r, ok := m.(*provider.Remote)
	switch {
	case window > 0:
		return llm.NewGauge(window)
	case ok:
		return llm.NewGauge(provider.Window(r.Provider(), r.Name()))
	}
	return nil
}

// fitModels has each model sent what it reads, and returns how much the first
// does. The operator's window is the first one's; others go by their names.
func fitModels(s settings, models []llm.Model) (fitted []llm.Model, first *llm.Gauge) {
	first = gaugeOf(models[0], s.ModelWindow)
	for i, m := range models {
		g := first
		if i > 0 {
			g = gaugeOf(m, 0)
		}
		fitted = append(fitted, llm.Fitted(m, g))
	}
	return fitted, first
}

// openTending returns what is done for conversations once they are answered,
// by models of which the first reads as much as answers says: nothing with the
// demo model.
func openTending(s settings, o llm.ChainOptions, models llm.Model, answers *llm.Gauge) (run.Tending, error) {
	if s.Demo() {
		return run.Tending{}, nil
	}
	t := run.Tending{Model: models, Titles: s.Titles == "true", Suggestions: s.Suggestions == "true", Answers: answers, Reads: answers}
	if s.ModelSmall.Model == "" {
		return t, nil
	}
	small, err := openSmall(s)
	if err != nil {
		return t, err
	}
	t.Model, t.Reads = llm.NewChain(o, small), gaugeOf(small, 0) // which knows what it costs
	return t, nil
}

// openSmall opens the model for small things: at the first one's address,
// unless it has its own. How hard the first thinks is not asked of it.
func openSmall(s settings) (llm.Model, error) {
	if f := s.ModelSmall; f.Provider != "" {
		return openFallback(s, f)
	}
	s.Model, s.ModelReasoning = s.ModelSmall.Model, ""
	return openRemote(s)
}
