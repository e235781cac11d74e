package run

import (
	"strings"
	"sync"

	"parley/gateway/chat"
	"parley/llm"
)

// A writer turns what a run says into entries. The first piece of a message
// goes out at once; later ones gather until the pacer's next tick. Whatever
// else is put flushes them first, so that the log has everything in order.
type writer struct {
	lease *chat.Lease
	pacer *pacer
	run   string
	try   int

	mu      sync.Mutex // guards all below
	open    string     // id of the text message that is being written
	thought string     // id of the reasoning message that is being written
	into    string     // which of both buf belongs to
	kind    chat.Type
	buf     strings.Builder
}

func newWriter(l *chat.Lease, p *pacer, run string, try int) *writer {
	return &writer{lease: l, pacer: p, run: run, try: try}
}

// put writes an event behind everything that was gathered.
func (w *writer) put(ev chat.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushLocked()
	w.lease.Put(w.run, w.try, ev)
}

// text writes a piece of the answer. by is the model that begins a message
// with it, if it can go on with what it has begun.
func (w *writer) text(piece, by string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.thought != "" {
		w.flushLocked()
		w.closeThought()
	}
	first := w.open == ""
	if first {
		w.openText(by)
	}
	w.piece(w.open, chat.TextContent, piece, first)
}

// reasoning writes a piece of the model's thoughts.
func (w *writer) reasoning(piece string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := w.thought == ""
	if first {
		w.flushLocked()
		w.thought = chat.NewID("m")
		w.lease.Put(w.run, w.try, chat.Event{Type: chat.ReasoningStart, MessageID: w.thought, Role: llm.Reasoning})
	}
	w.piece(w.thought, chat.ReasoningContent, piece, first)
}

// piece requires w.mu.
func (w *writer) piece(id string, kind chat.Type, piece string, now bool) {
	if w.into != id {
		w.flushLocked()
		w.into, w.kind = id, kind
	}
	w.buf.WriteString(piece)
	if now || w.pacer.every < 0 {
		w.flushLocked()
		return
	}
	if w.buf.Len() == len(piece) {
		w.pacer.add(w)
	}
}

// tick flushes what was gathered, unless what went before is still on its
// way: then it reports false, and more gathers.
func (w *writer) tick() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.buf.Len() > 0 && w.lease.Busy() && w.lease.Context().Err() == nil {
		return false
	}
	w.flushLocked()
	return true
}

func (w *writer) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushLocked()
}

func (w *writer) flushLocked() {
	if w.buf.Len() == 0 {
		return
	}
	w.lease.Put(w.run, w.try, chat.Event{Type: w.kind, MessageID: w.into, Delta: w.buf.String()})
	w.buf = strings.Builder{}
}

// message returns the id of the message that is being written, opening one if
// there is none.
func (w *writer) message() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushLocked()
	w.closeThought()
	if w.open == "" {
		w.openText("")
	}
	return w.open
}

// openText requires w.mu.
func (w *writer) openText(by string) {
	w.open = chat.NewID("m")
	ev := chat.Event{Type: chat.TextStart, MessageID: w.open, Role: llm.Assistant}
	if by != "" {
		ev.Metadata = &llm.Metadata{Parley: llm.Details{Model: by}}
	}
	w.lease.Put(w.run, w.try, ev)
}

// goOn goes on with a message that another writer has begun.
func (w *writer) goOn(message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = message
}

// closeThought requires w.mu.
func (w *writer) closeThought() {
	if w.thought != "" {
		w.lease.Put(w.run, w.try, chat.Event{Type: chat.ReasoningEnd, MessageID: w.thought})
		w.thought = ""
	}
}

// rollBack writes ev, which takes back the messages that are being written.
// What was gathered of them nobody sees.
func (w *writer) rollBack(ev chat.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = strings.Builder{}
	w.open, w.thought, w.into = "", "", ""
	w.lease.Put(w.run, w.try, ev)
}

// closeAll ends the messages that are being written. said is what is to be
// known of the text: why the model ended it, if not because it was done, what
// its provider wants back with it, and who said it, if not the first model.
func (w *writer) closeAll(said llm.Details) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushLocked()
	w.closeThought()
	if w.open == "" {
		return
	}
	ev := chat.Event{Type: chat.TextEnd, MessageID: w.open}
	if said.Finish != "" || said.Format != nil || said.Provider != nil || said.Model != "" {
		ev.Metadata = &llm.Metadata{Parley: said}
	}
	w.lease.Put(w.run, w.try, ev)
	w.open = ""
}
