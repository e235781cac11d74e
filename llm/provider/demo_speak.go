package provider

import (
	"context"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"

	"parley/llm"
)

// demoPiece is a word with the space before it, so that the pieces of a text
// add up to it.
var demoPiece = regexp.MustCompile(`\s*\S+|\s+$`)

// A demoSpeaker streams one turn. It belongs to one stream.
type demoSpeaker struct {
	ctx   context.Context
	yield func(llm.Chunk, error) bool
	rand  func() time.Duration
	left  int // words still allowed; 0 or less at the start: any number
	words int // said so far
}

// demoPauses returns a source of pauses between half and one and a half of
// pace, the same for the same seed.
func demoPauses(seed uint64, pace time.Duration) func() time.Duration {
	r := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	return func() time.Duration {
		if pace <= 0 {
			return 0
		}
		return pace/2 + time.Duration(r.Int64N(int64(pace)+1))
	}
}

// speak yields the turn, its usage and its end.
func (s *demoSpeaker) speak(turn demoTurn, input int) {
	limit := s.left
	if !s.say(turn.reasoning, 0, func(w string) llm.Chunk { return llm.Chunk{Reasoning: w} }) ||
		!s.say(turn.text, limit, func(w string) llm.Chunk { return llm.Chunk{Text: w} }) {
		return
	}
	finish := llm.FinishStop
	if limit > 0 && len(demoPiece.FindAllString(turn.text, limit+1)) > limit {
		finish = llm.FinishLength
	}
	for i := range turn.calls {
		finish = llm.FinishTools
		s.words += len(strings.Fields(turn.calls[i].Function.Arguments)) + 1
		if !s.put(llm.Chunk{Call: &turn.calls[i]}) {
			return
		}
	}
	usage := llm.Usage{Provider: "demo", Model: "demo", Input: input, Output: s.words, Total: input + s.words}
	s.put(llm.Chunk{Usage: &usage, Finish: finish})
}

// say yields a text word by word, at most limit words if that is not 0. It
// reports whether to go on.
func (s *demoSpeaker) say(text string, limit int, chunk func(string) llm.Chunk) bool {
	if limit <= 0 {
		limit = -1
	}
	for _, word := range demoPiece.FindAllString(text, limit) {
		if !s.put(chunk(word)) {
			return false
		}
		s.words++
	}
	return true
}

// put pauses, then yields one chunk; or yields why the context ended.
func (s *demoSpeaker) put(c llm.Chunk) bool {
	if err := s.pause(s.rand()); err != nil {
		s.yield(llm.Chunk{}, err)
		return false
	}
	return s.yield(c, nil)
}

func (s *demoSpeaker) pause(d time.Duration) error {
	if d <= 0 {
		return s.ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return s.ctx.Err()
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// demoInputWords counts the words that the model was given: it has no tokens.
func demoInputWords(req llm.Request) int {
	n := len(strings.Fields(req.System))
	for _, m := range req.Messages {
		if m.Role != llm.Reasoning {
			n += len(strings.Fields(m.Content))
		}
	}
	for _, t := range req.Tools {
		n += len(strings.Fields(t.Description)) + 1
	}
	return n
}
