package llm

import (
	"errors"
	"slices"
	"strings"
)

// Text that the provider holds to a format goes out as it comes: it is hardly
// ever void, and whoever follows sees that something happens. Else it is held
// back until it is known to fit: a model that was only told writes words and
// fences around its JSON, and what a reader of JSON has read cannot be taken
// back from it.

// fit returns what is wrong with a turn by the format, if it is the answer.
// JSON in a code fence is taken out of it: that needs no second request.
func (t *turn) fit() error {
	f := t.run.Format
	if f == nil || len(t.calls) > 0 {
		return nil
	}
	text := t.text.String()
	fault := f.Check(text, t.finish)
	inner := unfenced(text)
	if fault == nil || inner == text || f.Check(inner, t.finish) != nil {
		return fault
	}
	if !t.held && !t.run.yield(Step{Anew: true}, nil) {
		return errStopped
	}
	t.held, t.state = true, nil // which says where in the text something stood
	t.text = strings.Builder{}
	t.text.WriteString(inner)
	return nil
}

// again has the model say once more, without tools, what does not fit: so it
// is held to the format by all providers that can. What it said before is void.
func (r *agentRun) again(t *turn, req Request, fault *FormatError) (*turn, error) {
	if t.said && !r.yield(Step{Anew: true}, nil) {
		return t, errStopped
	}
	if err := r.spent(t, nil); err != nil {
		return t, err
	}
	said := Message{Role: Assistant, Content: t.text.String()}
	told := Message{Role: User, Content: "Your answer does not have the form that was asked for. At " + quoted(fault.Pointer) + ": " + fault.Reason +
		". Say the whole answer again, mended, as JSON and nothing else."}
	req.Messages = slices.Concat(req.Messages, []Message{said, told})
	req.NoTools = true
	if _, err := r.allow(&req); err != nil {
		return t, err
	}
	next, err := r.ask(req)
	if err == nil && len(next.calls) > 0 {
		err = ErrTurns
	}
	return next, err
}

func quoted(pointer string) string {
	if pointer == "" {
		return "its top"
	}
	return `"` + pointer + `"`
}

// letGo passes on text that was held back.
func (t *turn) letGo() bool {
	if !t.held || t.text.Len() == 0 {
		return true
	}
	return t.run.yield(Step{Text: t.text.String()}, nil)
}

// formatted says whether the answer has the format: nothing, of a turn that
// is no answer.
func (t *turn) formatted(fault error) *Formatted {
	if t.run.Format == nil || len(t.calls) > 0 || errors.Is(fault, errStopped) {
		return nil
	}
	return &Formatted{Name: t.run.Format.Name, Valid: fault == nil}
}
