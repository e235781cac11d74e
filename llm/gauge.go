package llm

import (
	"math"
	"sync"

	"parley/tools"
)

// A Gauge knows how much a model reads at once: the size of its window, and
// how its own count of tokens compares to [tools.Tokens]. Both are learned
// from what the model reports, within bounds, and change in coarse steps, so
// that what requests begin with stays the same. All methods may be called
// concurrently.
type Gauge struct {
	most int // tokens, as configured

	mu     sync.Mutex // guards all below
	window int        // tokens; lower than most once the model has refused
	ratio  float64    // its tokens for each one of ours, a running mean; 0 for not known
	step   float64    // the same as it is used
}

// NewGauge returns the gauge of a model whose window has so many tokens.
func NewGauge(window int) *Gauge { return &Gauge{most: window, window: window, step: 1} }

// Bounds of what a gauge learns.
const (
	ratioLeast, ratioMost = 0.5, 4.0
	ratioStep             = 0.25
	learnFrom             = 500 // tokens: of less, what the provider adds is too great a part
	answerRoom            = 8192
)

// Room returns how many tokens, by our estimate, messages may have beside
// what else is in a request. Of that it counts eighths of the window only.
func (g *Gauge) Room(beside int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	room := int(float64(g.window-min(g.window/4, answerRoom)) / g.step)
	eighth := max(room/8, 1)
	return max(room-(beside+eighth-1)/eighth*eighth, room/8)
}

// learn compares what a request was estimated at with what the model read.
func (g *Gauge) learn(estimated int, u *Usage) {
	if u == nil || estimated < learnFrom {
		return
	}
	read := u.Input
	if u.Total > u.Output { // Input leaves out what was cached, for some
		read = max(read, u.Total-u.Output-u.Reasoning)
	}
	if read == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	r := min(max(float64(read)/float64(estimated), ratioLeast), ratioMost)
	if g.ratio == 0 {
		g.ratio = r
	}
	g.ratio += (r - g.ratio) / 8
	if g.ratio > g.step || g.ratio < g.step-1.5*ratioStep {
		g.step = math.Ceil(g.ratio/ratioStep) * ratioStep
	}
	g.window = min(max(g.window, read), g.most)
}

// refused notes that a request was too long for the model. What it says of the
// window is not believed below an eighth of what was configured.
func (g *Gauge) refused(estimated int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.window = max(min(g.window, int(float64(estimated)*g.step))*3/4, g.most/8)
}

// specTokens estimates what tools are in a request.
func specTokens(specs []tools.Spec) (n int) {
	for _, s := range specs {
		n += 12 + tools.Tokens(s.Name) + tools.Tokens(s.Description) + len(s.Parameters)/4
	}
	return n
}

func messagesTokens(msgs []Message) (n int) {
	for _, m := range msgs {
		n += MessageTokens(m)
	}
	return n
}
