package bench

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"parley/cmd/parley/client"
	"parley/cmd/parley/plain"
	"parley/gateway/chat"
	"parley/llm"
)

// A follower checks what a client hears of one conversation: that its
// entries follow each other by the log's rules, and that the answers are,
// byte for byte, what the model said. It is used by one goroutine at a time.
type follower struct {
	tally *tally
	text  text
	find  func(question []byte) *answer
	over  func(a *answer, failed bool) // the answer has been heard to its end
	began func()                       // nil, or called at each answer's first piece

	at     chat.Position
	next   *answer // to the question that was said last
	answer *answer // that is being written, nil for none
	run    string  // it is written by
	open   bool    // its text has begun and not ended
	again  bool    // its text began anew
	heard  int     // bytes of it
	piece  []byte  // scratch
}

// events takes a frame of entries, heard at a time by the load's clock.
func (f *follower) events(b []byte, now int64) {
	pieces := 0
	_, items, _ := bytes.Cut(b, []byte(`"items":[`))
	for len(items) > 0 && items[0] == '{' {
		n := objectLen(items)
		if n == 0 {
			break
		}
		pieces += f.entry(items[:n], now)
		items = bytes.TrimPrefix(items[n:], []byte(","))
	}
	if string(items) != "]}" {
		f.garbled("a frame of events cannot be read")
	}
	if pieces > 0 && f.tally.open.Load() {
		f.tally.frames.Add(1)
		f.tally.pieces.Add(int64(pieces))
	}
}

// objectLen returns how long the JSON object at the beginning of b is, 0 if
// it does not end.
func objectLen(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i + 1
			}
		case '"':
			n := stringLen(b[i+1:])
			if n < 0 {
				return 0
			}
			i += n + 1
		}
	}
	return 0
}

// stringLen returns how many bytes of b come before the quote that ends a
// JSON string.
func stringLen(b []byte) int {
	for i := 0; ; i++ {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return -1
		}
		i += n
		escapes := 0
		for escapes < i && b[i-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return i
		}
	}
}

// entry takes one entry and returns how many pieces of text it brought. The
// pieces of texts are read as they lie in the frame; all other entries are few
// and are decoded.
func (f *follower) entry(b []byte, now int64) (pieces int) {
	at, delta, ok := pieceOf(b)
	if ok {
		f.follow(chat.Entry{At: at}, true)
		return f.delta(delta, now)
	}
	e, err := chat.DecodeEntry(b)
	if err != nil {
		f.garbled("an entry cannot be read")
		return 0
	}
	isText := e.Ev.Type == chat.TextContent
	f.follow(e, isText)
	if isText {
		return f.delta([]byte(e.Ev.Delta), now)
	}
	f.event(e)
	return 0
}

// pieceOf returns the text of an entry that is a piece of one.
func pieceOf(b []byte) (at chat.Position, delta []byte, ok bool) {
	rest, ok := bytes.CutPrefix(b, []byte(`{"at":"`))
	i := bytes.Index(rest, []byte(`"ev":{"type":"TEXT_MESSAGE_CONTENT"`))
	if !ok || i < 0 {
		return at, nil, false
	}
	gen, after := digitsOf(rest)
	if len(after) == 0 || after[0] != '-' {
		return at, nil, false
	}
	n, after := digitsOf(after[1:])
	if len(after) == 0 || after[0] != '"' {
		return at, nil, false
	}
	_, text, ok := bytes.Cut(rest[i:], []byte(`"delta":"`))
	end := bytes.IndexByte(text, '"')
	if !ok || end < 0 || bytes.IndexByte(text[:end], '\\') >= 0 {
		return at, nil, false
	}
	return chat.Position{Generation: gen, N: n}, text[:end], true
}

func digitsOf(b []byte) (n uint64, rest []byte) {
	for len(b) > 0 && b[0] >= '0' && b[0] <= '9' {
		n, b = 10*n+uint64(b[0]-'0'), b[1:]
	}
	return n, b
}

// follow moves the follower to an entry, which must come next: the next of
// its generation, or the first of a later one that says that it goes on from
// here. For a client that reads slowly pieces are merged into the last of
// them, so that there may be a step before one; its text shows what is missed.
func (f *follower) follow(e chat.Entry, piece bool) {
	was := f.at
	f.at = e.At
	switch {
	case !was.Before(e.At):
		f.double(1, fmt.Sprintf("entry %s came behind %s", e.At, was))
	case e.At.N == 0:
		prev := chat.Position{}
		if e.Ev.Prev != nil {
			prev = *e.Ev.Prev
		}
		if prev != was || !e.Ev.Same {
			f.hole(1, fmt.Sprintf("entry %s follows %q, and came behind %q", e.At, prev, was))
		}
	case e.At.Generation != was.Generation, e.At.N > was.N+1 && !piece:
		f.hole(1, fmt.Sprintf("entry %s came behind %q", e.At, was))
	}
}

func (f *follower) hole(n int, reason string) {
	f.tally.holes.Add(int64(n))
	f.tally.blame("missed: " + reason)
}

func (f *follower) double(n int, reason string) {
	f.tally.doubles.Add(int64(n))
	f.tally.blame("doubled: " + reason)
}

func (f *follower) garbled(reason string) {
	f.tally.garbled.Add(1)
	f.tally.blame(reason)
}

// delta takes text of the answer and returns how many pieces it ends.
func (f *follower) delta(b []byte, now int64) (pieces int) {
	if f.answer == nil {
		f.garbled("text came that is no answer's")
		return 0
	}
	open := f.tally.open.Load()
	for len(b) > 0 {
		n, begun := f.heard/f.text.size, f.heard%f.text.size
		f.piece = f.text.append(f.piece[:0], n)
		take := min(len(b), f.text.size-begun)
		if !bytes.Equal(b[:take], f.piece[begun:begun+take]) {
			if !f.stumble(b, n, begun) {
				return pieces
			}
			continue
		}
		b = b[take:]
		if n == 0 && f.began != nil {
			f.began()
		}
		if f.heard += take; begun+take == f.text.size {
			pieces++
			f.timed(n, now, open)
		}
	}
	return pieces
}

// stumble goes on with a text that is not what is expected, where it can be
// told what it is: b begins with another piece than n. It reports false for
// what the model has not said at all.
func (f *follower) stumble(b []byte, n, begun int) bool {
	got, ok := 0, false
	if begun == 0 && len(b) >= f.text.size {
		got, ok = f.text.number(b[:f.text.size], n)
	}
	if !ok || got == n || got < 0 || got >= f.answer.pieces {
		f.garbled(fmt.Sprintf("%.20q came in the place of piece %d of answer %s", b, n, f.answer.key))
		f.heard += len(b)
		return false
	}
	if got > n {
		f.hole(got-n, fmt.Sprintf("piece %d of answer %s came behind piece %d", got, f.answer.key, n-1))
	} else {
		f.double(n-got, fmt.Sprintf("piece %d of answer %s came behind piece %d", got, f.answer.key, n-1))
	}
	f.heard = got * f.text.size
	return true
}

// timed notes how old a piece is.
func (f *follower) timed(n int, now int64, open bool) {
	a := f.answer
	if !open || n >= a.pieces {
		return
	}
	f.tally.age.add(time.Duration(now - a.sent[n].Load()))
	if n == 0 && !f.again {
		model := a.sent[0].Load() - a.arrived.Load()
		f.tally.added.add(time.Duration(now - a.asked.Load() - model))
	}
}

// event takes an entry that is no piece of a text.
func (f *follower) event(e chat.Entry) {
	switch e.Ev.Type {
	case chat.MessageSaid:
		if e.Ev.Said != nil {
			f.next = f.find([]byte(e.Ev.Said.Content))
		}
	case chat.RunStarted:
		f.answer, f.run, f.heard, f.open, f.again = f.next, e.Ev.RunID, 0, false, false
	case chat.TextStart:
		f.anew(f.heard > 0)
		f.open = true
	case chat.TextEnd:
		f.open = false
	case chat.RunTakenOver:
		if f.open { // what had ended stays
			f.anew(true)
		}
	case chat.RunFinished:
		f.finished(e.Ev.Outcome != nil && e.Ev.Outcome.Type == "cancelled")
	case chat.RunError:
		f.fail(e.Ev.Message)
	}
}

// anew begins the answer's text from the beginning; again says that it is not
// for the first time.
func (f *follower) anew(again bool) {
	if again {
		f.tally.rollbacks.Add(1)
	}
	f.again = f.again || again
	f.heard, f.open = 0, false
}

func (f *follower) finished(cancelled bool) {
	switch a := f.answer; {
	case a == nil:
	case cancelled:
		f.fail("it was cancelled")
	default:
		if missing := a.pieces - f.heard/f.text.size; missing > 0 {
			f.hole(missing, fmt.Sprintf("answer %s ended %d pieces early", a.key, missing))
		}
		f.ended(false)
	}
}

func (f *follower) fail(reason string) {
	if f.answer != nil {
		f.tally.blame("answer " + f.answer.key + " failed: " + plain.Text(reason))
		f.ended(true)
	}
}

func (f *follower) ended(failed bool) {
	a := f.answer
	f.answer, f.run, f.heard = nil, "", 0
	f.over(a, failed)
}

// replace takes a snapshot in the place of what was heard. An answer that has
// ended meanwhile is looked for in it.
func (f *follower) replace(s *chat.State, at chat.Position) {
	f.at = at
	switch going := s.Run != nil && s.Run.ID == f.run; {
	case f.answer == nil || going && !s.Run.Status.Ended():
	case going || writtenBy(s, f.run) != "":
		f.endedIn(s)
	default: // the run begins anew; if not, its end is never heard
		f.anew(true)
		f.answer, f.run = nil, ""
	}
	if s.Run == nil || s.Run.Status.Ended() || s.Run.ID == f.run && f.answer == nil {
		return
	}
	if f.answer == nil {
		f.answer, f.run = f.questionIn(s), s.Run.ID
	}
	if f.answer != nil {
		f.again = true
		f.compare(s)
	}
}

// questionIn returns the answer to the question that is being answered.
func (f *follower) questionIn(s *chat.State) *answer {
	for _, m := range s.Messages {
		if m.ID == s.Run.Question {
			return f.find([]byte(m.Content))
		}
	}
	return nil
}

// compare goes on behind what the snapshot has of the answer.
func (f *follower) compare(s *chat.State) {
	said := writtenBy(s, f.run)
	if want := f.whole(len(said) / f.text.size); !strings.HasPrefix(want, said) {
		f.garbled(fmt.Sprintf("a snapshot has what is not answer %s", f.answer.key))
	}
	f.heard, f.open = len(said), len(s.Open) > 0
}

// endedIn looks for the answer in a snapshot from behind its end.
func (f *follower) endedIn(s *chat.State) {
	said := writtenBy(s, f.run)
	if said != f.whole(f.answer.pieces) {
		f.hole(1, "a snapshot has "+strconv.Itoa(len(said))+" bytes of answer "+f.answer.key+", which has ended")
	}
	f.ended(false)
}

func (f *follower) whole(pieces int) string {
	var b []byte
	for n := range pieces {
		b = f.text.append(b, n)
	}
	return string(b)
}

// writtenBy returns the text of a run.
func writtenBy(s *chat.State, run string) (text string) {
	for _, m := range s.Messages {
		if m.Role == llm.Assistant && client.RunOf(&m) == run {
			text += m.Content
		}
	}
	return text
}
