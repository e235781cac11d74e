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

// How much of a beginning a model may say again before it goes on with it.
// Less than the least may be what it means to say twice.
const (
	leastEcho = 16
	mostEcho  = 256
)

// A seam is between the beginning of an answer and what follows: it takes away
// what the model says again of the beginning. It belongs to one stream.
type seam struct {
	sent  string // the end of what the model was given
	space string // that followed it, which the model was not given
	held  string // may yet be an echo
	past  bool   // of the beginning's words
	done  bool
}

func newSeam(b *Begun) *seam {
	sent := b.Sent()
	return &seam{sent: sent[max(0, len(sent)-mostEcho):], space: b.Text[len(sent):]}
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
	for n := len(s.sent); n >= leastEcho; n-- {
		end := s.sent[len(s.sent)-n:]
		if len(s.held) < n && strings.HasPrefix(end, s.held) {
			return true
		}
		if rest, ok := strings.CutPrefix(s.held, end); ok {
			s.held = rest
			break
		}
	}
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
