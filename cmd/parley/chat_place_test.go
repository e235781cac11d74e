package main

import (
	"strings"
	"testing"
)

func TestChatSaysHowManyAreAhead(t *testing.T) {
	script := func(s *fakeServer, run string) {
		for _, n := range []int{12, 11, 7, 6, 5, 8, 3, 1, 0} {
			s.place(n)
		}
		s.say(run, "a1", "At last.")
		s.finish(run)
	}
	s, tm := newFake(t, script), newTerminal(t)
	code := tm.chat(t, s, "", "--once", "Is it my turn?")
	tm.check(t, code, exitOK, "At last.\n")
	var told []string
	for line := range strings.Lines(tm.errOut.String()) {
		if strings.HasPrefix(line, "Waiting") {
			told = append(told, strings.TrimSpace(line))
		}
	}
	const want = "Waiting for a free place: 12 ahead of you.|Waiting for a free place: 6 ahead of you.|Waiting for a free place: 3 ahead of you.|Waiting for a free place: 1 ahead of you.|Waiting for a free place: you are next."
	if got := strings.Join(told, "|"); got != want {
		t.Errorf("it said %q", told)
	}

	s, tm = newFake(t, script), newTerminal(t)
	tm.check(t, tm.chat(t, s, "", "--quiet", "--once", "Is it my turn?"), exitOK, "At last.\n")
	if strings.Contains(tm.errOut.String(), "Waiting") {
		t.Errorf("it was to be quiet, and said %q", tm.errOut.String())
	}
}
