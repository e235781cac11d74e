package llm

import "strings"

// Begun is the beginning of an answer, which its model is to go on with.
type Begun struct {
	Text string
	By   string // the model that said it
}

// A Continuer is a [Model] that may go on with an answer, see [Request.Begun].
type Continuer interface {
	// Continues reports whether the model of that name does.
	Continues(model string) bool
}

// Continues reports whether m goes on with answers that the model of that name
// has begun.
func Continues(m Model, name string) bool {
	c, ok := Bare(m).(Continuer)
	return ok && c.Continues(name)
}

// An Echoer is a [Continuer] that says what it was given again, before it goes
// on.
type Echoer interface{ Echoes() bool }

// space is what models are not given at the end of a beginning: some refuse
// it, and others go on badly behind it.
const space = " \t\r\n"

// Sent returns the beginning as a model is given it: without the space at its
// end. It may be empty; then there is nothing to go on with.
func (b *Begun) Sent() string {
	if b == nil {
		return ""
	}
	return strings.TrimRight(b.Text, space)
}

// leastEcho is how long a beginning is at least that a model says again for no
// other reason than that it was given it: a shorter one it may mean to say
// twice, as "ha ha".
const leastEcho = 16

// A seam is between the beginning of an answer and what follows: it takes away
// the beginning if the model says all of it again. A part of it that comes
// again is meant: tables and numbers repeat themselves. It belongs to one
// stream.
type seam struct {
	sent  string // what the model was given; empty if it is no echo
	space string // that followed it, which the model was not given
	held  string // may yet be an echo
	past  bool   // of the beginning's words
	done  bool
}

// newSeam returns the seam behind b; echoed says that the model says any
// beginning again.
func newSeam(b *Begun, echoed bool) *seam {
	sent := b.Sent()
	s := &seam{space: b.Text[len(sent):]}
	if echoed || len(sent) >= leastEcho {
		s.sent = sent
	}
	return s
}

// take takes a piece and returns what goes out.
func (s *seam) take(piece string) string {
	if s.done {
		return piece
	}
	s.held += piece
	if !s.past && s.echoes() || s.spaced() {
		return ""
	}
	s.done = true
	return s.rest()
}

// echoes takes an echo of the beginning away, and reports whether what is held
// may become one.
func (s *seam) echoes() bool {
	if len(s.held) < len(s.sent) && strings.HasPrefix(s.sent, s.held) {
		return true
	}
	s.held = strings.TrimPrefix(s.held, s.sent)
	s.past = true
	return false
}

// spaced takes away the space that is there already, and reports whether more
// of it may come.
func (s *seam) spaced() bool {
	n := 0
	for n < len(s.held) && n < len(s.space) && s.held[n] == s.space[n] {
		n++
	}
	s.held, s.space = s.held[n:], s.space[n:]
	return s.held == ""
}

// rest returns what was held back to the end.
func (s *seam) rest() string {
	out := s.held
	s.held = ""
	return out
}
