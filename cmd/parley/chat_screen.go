package main

import (
	"fmt"
	"io"
	"strings"
)

// A screen prints an answer while it grows. Not safe for concurrent use.
type screen struct {
	out, notes io.Writer // answers; what is said about them
	style      style
	printed    string // of the answer now being printed
	prompted   bool   // the line begins with a prompt
}

// show prints what is new in an answer. After a rollback the answer is
// shorter than what was printed, and may become the same again: nothing is
// printed until it either goes beyond that or differs from it.
func (s *screen) show(text string) {
	if rest, ok := strings.CutPrefix(text, s.printed); ok {
		s.print(rest)
		s.printed = text
		return
	}
	if strings.HasPrefix(s.printed, text) {
		return
	}
	s.again(text)
}

// again prints an answer that is not what was printed before.
func (s *screen) again(text string) {
	s.reset()
	s.print("\n" + s.style.in(dim, "(the answer was begun again)") + "\n" + text)
	s.printed = text
}

// end prints what is left of an answer that grows no more.
func (s *screen) end(text string) {
	if s.show(text); s.printed != text {
		s.again(text)
	}
	s.reset()
	if s.printed != "" && !strings.HasSuffix(s.printed, "\n") {
		s.print("\n")
	}
	s.printed = ""
}

// reset ends a colour that was left on.
func (s *screen) reset() {
	if s.style.colour && strings.LastIndex(s.printed, dim) > strings.LastIndex(s.printed, reset) {
		s.print(reset)
	}
}

func (s *screen) print(text string) {
	if text == "" {
		return
	}
	s.leavePrompt()
	_, _ = io.WriteString(s.out, text)
}

// note says something about the conversation.
func (s *screen) note(format string, args ...any) {
	s.leavePrompt()
	if s.printed != "" && !strings.HasSuffix(s.printed, "\n") && s.style.colour {
		_, _ = io.WriteString(s.out, "\n")
	}
	text := fmt.Sprintf(format, args...)
	fmt.Fprintln(s.notes, s.style.in(dim, text))
}

// fail says what went wrong.
func (s *screen) fail(format string, args ...any) {
	s.leavePrompt()
	fmt.Fprintln(s.notes, s.style.in(red, fmt.Sprintf(format, args...)))
}

func (s *screen) prompt() {
	if !s.prompted {
		_, _ = io.WriteString(s.out, "> ")
		s.prompted = true
	}
}

// entered notes that the person has ended the prompt's line.
func (s *screen) entered() { s.prompted = false }

func (s *screen) leavePrompt() {
	if s.prompted {
		_, _ = io.WriteString(s.out, "\n")
		s.prompted = false
	}
}
