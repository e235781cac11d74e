package llm

import "errors"

var _ Continuer = (*Chain)(nil)

// Continues implements [Continuer].
func (c *Chain) Continues(model string) bool {
	l := c.named(model)
	return l != nil && l.continues()
}

func (c *Chain) named(model string) *link {
	for _, l := range c.links {
		if l.model.Name() == model {
			return l
		}
	}
	return nil
}

func (l *link) continues() bool { return !l.refuses.Load() && Continues(l.model, l.model.Name()) }

func (l *link) echoes() bool {
	e, ok := Bare(l.model).(Echoer)
	return ok && e.Echoes()
}

// continues reports whether a model is asked to go on with this answer: not
// where its provider holds it to a format, which holds what follows to the
// whole of it.
func (t *chainTurn) continues(l *link) bool { return l.continues() && !Forms(l.model, t.req) }

// takeUp notes what the answer has begun with.
func (t *chainTurn) takeUp(b *Begun) {
	if b == nil {
		return
	}
	t.said, t.by = true, t.named(b.By)
	t.text.WriteString(b.Text)
}

// order returns the models in the order in which they are asked: the one that
// has begun the answer first, if it goes on with it.
func (t *chainTurn) order() []*link {
	if t.by == nil || !t.continues(t.by) || t.by == t.links[0] {
		return t.links
	}
	order := []*link{t.by}
	for _, l := range t.links {
		if l != t.by {
			order = append(order, l)
		}
	}
	return order
}

// asked returns what a model is asked: to go on with what it has begun, or for
// all of the answer.
func (t *chainTurn) asked(l *link) Request {
	req := t.req
	req.Begun, t.seam = nil, nil
	if t.by == l && !t.mused && t.continues(l) {
		req.Begun = &Begun{Text: t.text.String(), By: l.model.Name()}
	}
	if req.Begun.Sent() == "" {
		req.Begun = nil
		return req
	}
	t.seam = newSeam(req.Begun, req.Format != nil || l.echoes()) // JSON never begins with its beginning again
	return req
}

// spoke reports whether something that was said is the model's.
func (t *chainTurn) spoke(l *link) bool { return t.begun || t.by == l && t.text.Len() > 0 }

// join makes a chunk fit behind what was said before.
func (t *chainTurn) join(c *Chunk) {
	switch {
	case t.seam == nil:
	case c.Finish != "":
		c.Text = t.seam.take(c.Text) + t.seam.rest()
	case c.Text != "":
		c.Text = t.seam.take(c.Text)
	}
}

// note notes what is said, so that it can be gone on with.
func (t *chainTurn) note(l *link, c Chunk) {
	t.mused = t.mused || c.Reasoning != ""
	if c.Text != "" && t.continues(l) {
		t.by = l
		t.text.WriteString(c.Text)
	}
}

// goesOnWith reports whether a model is asked again at once, after it has
// failed: to go on, if it has said something more, and for all of the answer,
// if it refuses to go on.
func (t *chainTurn) goesOnWith(l *link, err error) bool {
	var e *Error
	if !errors.As(err, &e) || t.ctx.Err() != nil {
		return false
	}
	if e.Kind == BadRequest && t.seam != nil && !t.begun {
		l.refuses.Store(true)
		t.opts.Log.Warn("model does not go on with what it has begun", "model", l.model.Name(), "provider", l.provider, "error", err)
		return true
	}
	if !t.begun || !t.atFault(err) || t.by != l || t.mused || !t.continues(l) || t.resumed >= t.req.Restarts {
		return false
	}
	t.resumed++
	return true
}
