package provider

import (
	"bufio"
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
	// tailWait bounds the wait for usage and the like once the model has said
	// why it ended: the answer is whole by then.
	tailWait = 5 * time.Second
	// drainWait and drainBytes bound reading on after the answer, without
	// which the connection cannot be used again.
	drainWait  = 100 * time.Millisecond
	drainBytes = 4 << 10
)

// A stream is one answer on its way.
type stream struct {
	*wire
	w         *watch
	yield     func(llm.Chunk, error) bool
	dec       decoder
	far       progress
	delivered bool // pieces of the answer have been yielded

	pause func(context.Context) // see [llm.Request]
	text  bool                  // the last event had some
	line  line
	taken int // bytes of events since the last pause
}

// events are what a stream is read from.
type events interface {
	next() (event, error)
	buffered() int // bytes that wait to be read
}

// run asks and hands on the answer. It returns nil after the final chunk.
func (s *stream) run(request any) error {
	s.w.expect(s.limits.FirstPiece)
	resp, err := s.post(watchLine(s.w.ctx, &s.line), request)
	if err != nil {
		return &brokenError{err: err}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return s.refusal(resp, resp.Body)
	}
	r := bufio.NewReaderSize(resp.Body, slowBuffer)
	switch b := firstByte(r); {
	case b == '<' || b == '[', b == gzipMagic:
		return s.refusal(resp, r)
	case b == '{' && !s.lines:
		return s.whole(r)
	}
	forget(resp)
	if err := s.read(s.events(r)); err != nil {
		return err
	}
	err = s.end()
	s.drain(r)
	return err
}

// forget lets go of what is not read of a response any more: net/http holds
// the response for as long as its body streams.
func forget(resp *http.Response) { resp.Header, resp.Request = nil, nil }

const (
	// slowBuffer is enough for a model that says a few words at a time, as
	// most of ten thousand streams do.
	slowBuffer = 512
	fastBuffer = 4 << 10
)

// gzipMagic begins a compressed body, which nobody asked for.
const gzipMagic = 0x1f

func (s *stream) events(r *bufio.Reader) events {
	if s.lines {
		return newJSONLines(r, s.limits.MaxLine)
	}
	return newSSEReader(r, s.limits.MaxLine)
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
func (s *stream) read(in events) error {
	for s.far != over {
		s.breathe(in)
		ev, err := in.next()
		s.w.came()
		if err != nil {
			return s.ended(err)
		}
		s.taken += len(ev.data)
		if err := s.take(ev); err != nil {
			return err
		}
		if s.far == said {
			s.w.expect(min(tailWait, s.limits.Idle))
		} else {
			s.w.expect(s.limits.Idle)
		}
	}
	s.w.came()
	return nil
}

// maxTaken is how much is taken of a stream without a pause: a pause that
// lets the buffer fill would slow down a fast model.
const maxTaken = 3 << 10

// breathe pauses where the caller wants it.
func (s *stream) breathe(in events) {
	if s.pause == nil || !s.text || in.buffered() > 0 {
		return
	}
	if s.taken < maxTaken {
		s.line.quietly(func() { s.pause(s.w.ctx) })
	}
	s.taken = 0
}

// ended judges the end of a stream that came before the answer was over.
func (s *stream) ended(err error) error {
	switch {
	case s.far == said && !errors.Is(err, errTooLong):
		return nil
	case err == io.EOF:
		return &llm.Error{Kind: llm.Truncated, Message: "the stream ended before the answer did"}
	}
	return &brokenError{err: err, began: true}
}

// take decodes one event and hands on its piece.
func (s *stream) take(ev event) error {
	piece, far, err := s.dec.take(ev)
	s.text = piece.Text != "" || piece.Reasoning != ""
	var e *llm.Error
	if ev.cut && errors.As(err, &e) && e.Kind == llm.Malformed {
		return s.ended(io.EOF)
	}
	if err != nil {
		return err
	}
	s.far = max(s.far, far)
	return s.hand(piece)
}

// hand yields a piece unless it is empty.
func (s *stream) hand(piece llm.Chunk) error {
	if piece.Text == "" && piece.Reasoning == "" {
		return nil
	}
	return s.give(piece)
}

func (s *stream) give(piece llm.Chunk) error {
	s.delivered = true
	if !s.yield(piece, nil) {
		return errStopped
	}
	return s.w.parent.Err()
}

// end yields the calls and then the final chunk. An answer that was cut off
// has no calls, since its last arguments may look whole and not be.
func (s *stream) end() error {
	a, err := s.dec.end()
	if err != nil {
		return err
	}
	if a.final.Finish == llm.FinishTools {
		calls, err := a.calls.whole()
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
	s.yield(a.final, nil)
	return nil
}

// whole reads an answer that came in one JSON piece: an error, or the answer
// of a server that does not stream.
func (s *stream) whole(r io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(r, int64(s.limits.MaxLine)+1))
	s.w.came()
	if err != nil {
		return &brokenError{err: err, began: true}
	}
	if len(data) > s.limits.MaxLine {
		return &brokenError{err: errTooLong}
	}
	piece, far, err := s.dec.whole(data)
	if err != nil {
		return err
	}
	if far == going {
		return s.ended(io.EOF)
	}
	if err := s.hand(piece); err != nil {
		return err
	}
	return s.end()
}

// drain reads on to the end of the body, if it is near.
func (s *stream) drain(r io.Reader) {
	s.w.expect(drainWait)
	io.CopyN(io.Discard, r, drainBytes)
	s.w.came()
}
