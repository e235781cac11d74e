package provider

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"parley/llm"
)

// errStopped says that the consumer wants no more.
var errStopped = errors.New("stopped")

const (
	// tailWait bounds the wait for usage and [DONE] once the model has said
	// why it ended: the answer is whole by then.
	tailWait = 5 * time.Second
	// drainWait and drainBytes bound reading on after [DONE], without which
	// the connection cannot be used again.
	drainWait  = 100 * time.Millisecond
	drainBytes = 4 << 10
)

// An openaiStream is one answer on its way.
type openaiStream struct {
	o         *OpenAIModel
	w         *watch
	yield     func(llm.Chunk, error) bool
	delivered bool // pieces of the answer have been yielded

	calls   callList
	usage   *llm.Usage // the last one sent
	finish  string     // the first one said, in the server's words
	refused bool

	choices []openaiChoice // of the last chunk, its memory used again

	pause func(context.Context) // see [llm.Request]
	text  bool                  // the last event had some
	line  line
	taken int // bytes of events since the last pause
}

// run asks and hands on the answer. It returns nil after the final chunk.
func (s *openaiStream) run(req llm.Request) error {
	s.w.expect(s.o.limits.FirstPiece)
	resp, err := s.o.post(watchLine(s.w.ctx, &s.line), req)
	if err != nil {
		return &brokenError{err: err}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return s.o.refusal(resp, resp.Body)
	}
	r := bufio.NewReader(resp.Body)
	switch firstByte(r) {
	case '<', '[':
		return s.o.refusal(resp, r)
	case '{':
		return s.whole(r)
	}
	if err := s.read(newSSEReader(r, s.o.limits.MaxLine)); err != nil {
		return err
	}
	err = s.end()
	s.drain(r)
	return err
}

// firstByte looks at what begins an answer: an event stream never begins with
// a bracket of any kind.
func firstByte(r *bufio.Reader) byte {
	for {
		b, err := r.ReadByte()
		if err != nil {
			return 0
		}
		if b != ' ' && b != '\r' && b != '\n' && b != '\t' {
			r.UnreadByte()
			return b
		}
	}
}

// read hands on pieces until the answer is whole.
func (s *openaiStream) read(events *sseReader) error {
	for {
		s.breathe(events)
		ev, err := events.next()
		s.w.came()
		if err != nil {
			return s.ended(err)
		}
		s.taken += len(ev.data)
		if string(bytes.TrimSpace(ev.data)) == "[DONE]" {
			s.setDone()
			return nil
		}
		if err := s.take(ev); err != nil {
			return err
		}
		if s.finish != "" {
			s.w.expect(min(tailWait, s.o.limits.Idle))
		} else {
			s.w.expect(s.o.limits.Idle)
		}
	}
}

// maxTaken is how much is taken of a stream without a pause: a pause that
// lets the buffer fill would slow down a fast model.
const maxTaken = 3 << 10

// breathe pauses where the caller wants it.
func (s *openaiStream) breathe(events *sseReader) {
	if s.pause == nil || !s.text || events.r.Buffered() > 0 {
		return
	}
	if s.taken < maxTaken {
		s.line.quietly(func() { s.pause(s.w.ctx) })
	}
	s.taken = 0
}

// ended judges the end of a stream that came without [DONE].
func (s *openaiStream) ended(err error) error {
	switch {
	case s.finish != "" && !errors.Is(err, errTooLong):
		return nil
	case err == io.EOF:
		return &llm.Error{Kind: llm.Truncated, Provider: "openai", Message: "the stream ended before the answer did"}
	}
	return &brokenError{err: err, began: true}
}

// setDone takes [DONE] for the reason if the model gave none.
func (s *openaiStream) setDone() {
	if s.finish == "" {
		s.finish = "stop"
	}
}

// take decodes one event and hands on its piece.
func (s *openaiStream) take(ev sseEvent) error {
	if ev.name == "error" {
		return s.o.failure(ev.data, 0)
	}
	piece, err := s.decode(ev.data)
	s.text = piece.Text != "" || piece.Reasoning != ""
	if err != nil && ev.cut {
		return s.ended(io.EOF)
	}
	if err != nil {
		return err
	}
	return s.hand(piece)
}

// hand yields a piece unless it is empty.
func (s *openaiStream) hand(piece llm.Chunk) error {
	if piece.Text == "" && piece.Reasoning == "" {
		return nil
	}
	return s.give(piece)
}

func (s *openaiStream) give(piece llm.Chunk) error {
	s.delivered = true
	if !s.yield(piece, nil) {
		return errStopped
	}
	return s.w.parent.Err()
}

// end yields the calls and then the final chunk.
func (s *openaiStream) end() error {
	finish := s.reason()
	if finish == llm.FinishTools {
		calls, err := s.calls.whole()
		if err != nil {
			return err
		}
		for i := range calls {
			if err := s.give(llm.Chunk{Call: &calls[i]}); err != nil {
				return err
			}
		}
	}
	if err := s.w.parent.Err(); err != nil {
		return err
	}
	s.yield(llm.Chunk{Usage: s.usage, Finish: finish}, nil)
	return nil
}

// reason maps the server's words. A turn with calls ends for them, whatever
// a server says of a stop; one that was cut off has none, since its last
// arguments may look whole and not be.
func (s *openaiStream) reason() llm.Finish {
	switch s.finish {
	case "length", "max_tokens":
		return llm.FinishLength
	case "content_filter", "refusal", "safety":
		return llm.FinishRefused
	}
	switch {
	case s.calls.len() > 0:
		return llm.FinishTools
	case s.refused:
		return llm.FinishRefused
	}
	return llm.FinishStop
}

// whole reads an answer that came in one JSON piece: an error, or the answer
// of a server that does not stream.
func (s *openaiStream) whole(r io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(r, int64(s.o.limits.MaxLine)+1))
	s.w.came()
	if err != nil {
		return &brokenError{err: err, began: true}
	}
	if len(data) > s.o.limits.MaxLine {
		return &brokenError{err: errTooLong}
	}
	piece, err := s.decode(data)
	if err != nil {
		return err
	}
	if s.finish == "" {
		return s.ended(io.EOF)
	}
	if err := s.hand(piece); err != nil {
		return err
	}
	return s.end()
}

// drain reads on to the end of the body, if it is near.
func (s *openaiStream) drain(r io.Reader) {
	s.w.expect(drainWait)
	io.CopyN(io.Discard, r, drainBytes)
	s.w.came()
}
