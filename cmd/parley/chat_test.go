package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/cmd/parley/client"
	"parley/gateway/chat"
	"parley/llm"
	"parley/tools"
)

// A watched writer lets a test wait for what is printed. Safe for concurrent
// use.
type watched struct {
	mu      sync.Mutex
	b       bytes.Buffer
	written *sync.Cond
}

func newWatched() *watched {
	w := &watched{}
	w.written = sync.NewCond(&w.mu)
	return w
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.written.Broadcast()
	return w.b.Write(b)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

func (w *watched) await(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !strings.Contains(w.b.String(), text) {
		w.written.Wait()
	}
}

// A terminal is what a test does with parley chat.
type terminal struct {
	out, errOut *watched
	signals     chan os.Signal
	env         []string
}

func newTerminal(t *testing.T) *terminal {
	return &terminal{newWatched(), newWatched(), make(chan os.Signal, 2), []string{"HOME=" + t.TempDir()}}
}

func (tm *terminal) chat(t *testing.T, s *fakeServer, stdin string, args ...string) int {
	a := &app{stdin: strings.NewReader(stdin), stdout: tm.out, stderr: tm.errOut, env: tm.env, signals: tm.signals, pause: 2 * time.Millisecond}
	return a.run(t.Context(), append([]string{"chat", "--server", s.url}, args...))
}

func (tm *terminal) check(t *testing.T, code, wantCode int, want string) {
	t.Helper()
	if code != wantCode || tm.out.String() != want {
		t.Errorf("exit %d, want %d\n got %q\nwant %q\nstderr %s", code, wantCode, tm.out.String(), want, tm.errOut.String())
	}
}

const weatherAnswer = "Let me see.\n→ weather {\"place\":\"Lisbon\"}  … 200 · 412 ms\n→ air {}  … the host does not answer · 3000 ms\nIt is sunny in Lisbon [guide:2].\n[guide:2] Guide › Sun\n"

// weather is an answer with two tool calls, whose results come in the other
// order, and a cited passage. between is called after each of its entries.
func weather(between func(s *fakeServer, i int)) func(s *fakeServer, run string) {
	return func(s *fakeServer, run string) {
		i := 0
		next := func() { between(s, i); i++ }
		steps := []func(){
			func() { s.put(run, chat.Event{Type: chat.TextStart, MessageID: "a1", Role: llm.Assistant}) },
			func() { s.words(run, "a1", "Let me ") },
			func() { s.words(run, "a1", "see.") },
			func() { s.put(run, chat.Event{Type: chat.TextEnd, MessageID: "a1"}) },
			func() { s.callTool(run, "a1", "t1", "weather", `{"pla`, `ce": "Lisbon"}`) },
			func() { s.callTool(run, "a1", "t2", "air", `{}`) },
			func() {
				s.toolAnswers(run, "t2", tools.Outcome{Failed: true, Reason: "the host does not answer", LatencyMs: 3000})
			},
			func() {
				s.toolAnswers(run, "t1", tools.Outcome{Status: 200, LatencyMs: 412}, tools.Source{Ref: "guide:2", Title: "Guide", Headings: []string{"Guide", "Sun"}}, tools.Source{Ref: "guide:3", Title: "Not cited"})
			},
			func() { s.put(run, chat.Event{Type: chat.TextStart, MessageID: "a2", Role: llm.Assistant}) },
			func() { s.words(run, "a2", "It is sunny") },
			func() { s.words(run, "a2", " in Lisbon", " [guide:2].") },
			func() { s.put(run, chat.Event{Type: chat.TextEnd, MessageID: "a2"}) },
			func() { s.finish(run) },
		}
		for _, step := range steps {
			step()
			next()
		}
	}
}

func TestChatPrintsAnAnswerOnceWhateverHappensToTheConnection(t *testing.T) {
	cutAll := func(s *fakeServer, _ int) { s.cut() }
	for name, between := range map[string]func(s *fakeServer, i int){
		"nothing":                      func(*fakeServer, int) {},
		"a cut after every entry":      cutAll,
		"a cut, and back before more":  func(s *fakeServer, i int) { s.cut(); s.awaitSub(i + 2) },
		"entries sent twice":           func(s *fakeServer, _ int) { s.repeat(3) },
		"a snapshot after every entry": func(s *fakeServer, _ int) { s.rollback(s.snapshot()) },
		"a cut, and nothing to recover": func(s *fakeServer, i int) {
			s.mu.Lock()
			s.trimmed = true
			s.mu.Unlock()
			s.cut()
			s.awaitSub(i + 2)
		},
		"bye": func(s *fakeServer, i int) { s.bye(time.Millisecond); s.awaitSub(i + 2) },
	} {
		t.Run(name, func(t *testing.T) {
			s, tm := newFake(t, weather(between)), newTerminal(t)
			code := tm.chat(t, s, "", "--once", "How is the weather?")
			tm.check(t, code, exitOK, weatherAnswer)
			if want := "parley chat --server " + s.url + " --conversation c1"; !strings.Contains(tm.errOut.String(), want) {
				t.Errorf("%q is missing in %q", want, tm.errOut.String())
			}
		})
	}
}

func TestChatQuietPrintsAnswersOnly(t *testing.T) {
	s, tm := newFake(t, weather(func(*fakeServer, int) {})), newTerminal(t)
	code := tm.chat(t, s, "", "--quiet", "--once", "How is the weather?")
	tm.check(t, code, exitOK, "Let me see.\nIt is sunny in Lisbon [guide:2].\n")
}

func TestChatAfterARollback(t *testing.T) {
	takeover := func(second ...string) func(s *fakeServer, run string) {
		return func(s *fakeServer, run string) {
			s.put(run, chat.Event{Type: chat.TextStart, MessageID: "a1", Role: llm.Assistant})
			s.words(run, "a1", "One two ", "three ")
			s.put(run, chat.Event{Type: chat.RunTakenOver, RunID: run, Try: 2})
			s.say(run, "a2", second...)
			s.finish(run)
		}
	}
	snap := func(s *fakeServer, run string) {
		before := s.snapshot()
		s.put(run, chat.Event{Type: chat.TextStart, MessageID: "a1", Role: llm.Assistant})
		s.words(run, "a1", "One two ", "three ")
		s.rollback(before)
		s.say(run, "a2", "One ", "too many.")
		s.finish(run)
	}
	const again = "One two three \n(the answer was begun again)\n"
	for name, tt := range map[string]struct {
		script func(s *fakeServer, run string)
		want   string
	}{
		"the same words come again":         {takeover("One ", "two three ", "four."), "One two three four.\n"},
		"other words come":                  {takeover("One ", "too many."), again + "One too many.\n"},
		"other words come after a snapshot": {snap, again + "One too many.\n"},
		"fewer words come":                  {takeover("One "), again + "One \n"},
	} {
		t.Run(name, func(t *testing.T) {
			s, tm := newFake(t, tt.script), newTerminal(t)
			code := tm.chat(t, s, "", "--once", "Count.")
			tm.check(t, code, exitOK, tt.want)
		})
	}
}

func TestChatSendsAgainWhatWasNotAcknowledged(t *testing.T) {
	s, tm := newFake(t, func(s *fakeServer, run string) { s.say(run, "a"+run, "Once."); s.finish(run) }), newTerminal(t)
	s.deaf = 3
	s.refusals = []client.Problem{{Title: "Too Many Requests", Status: 429, Code: "rate_limited", RetryMs: 1}, {Title: "Service Unavailable", Status: 503, Code: "unavailable"}}
	code := tm.chat(t, s, "", "--once", "Say it once.")
	tm.check(t, code, exitOK, "Once.\n")
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sent) != 1 {
		t.Errorf("%d questions were asked", len(s.sent))
	}
}

func TestChatObeysBye(t *testing.T) {
	const wait = 120 * time.Millisecond
	s, tm := newFake(t, func(s *fakeServer, run string) {
		s.bye(wait)
		s.say(run, "a1", "Still here.")
		s.finish(run)
	}), newTerminal(t)
	code := tm.chat(t, s, "", "--once", "Are you there?")
	tm.check(t, code, exitOK, "Still here.\n")
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.dials) != 2 || s.dials[1].Sub(s.dials[0]) < wait {
		t.Errorf("dialled at %v", s.dials)
	}
	if s.resumed != 1 {
		t.Errorf("%d of %d subscriptions went on behind a position", s.resumed, s.subs)
	}
}

func TestChatAnswersEveryLineOfItsInput(t *testing.T) {
	s, tm := newFake(t, func(s *fakeServer, run string) {
		if run == "r2" {
			s.put(run, chat.Event{Type: chat.RunError, RunID: run, Code: "model_unavailable", Message: "The model does not answer. Try again later."})
			return
		}
		s.say(run, "a"+run, "Answer "+run, "\x1b[31m\u009b.")
		s.finish(run)
	}), newTerminal(t)
	code := tm.chat(t, s, "one\n\n two \n/three\n"+strings.Repeat("x", 2000)+"\n")
	tm.check(t, code, exitFailed, "Answer r1[31m.\nAnswer r3[31m.\n")
	for _, want := range []string{"The answer failed: The model does not answer. Try again later.\n", "The question has 2000 bytes; the server takes 1000.\n"} {
		if !strings.Contains(tm.errOut.String(), want) {
			t.Errorf("%q is missing in %q", want, tm.errOut.String())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sent) != 3 {
		t.Errorf("%d questions were asked", len(s.sent))
	}
}

func TestChatInterruptStopsTheAnswer(t *testing.T) {
	s, tm := newFake(t, func(s *fakeServer, run string) {
		s.put(run, chat.Event{Type: chat.TextStart, MessageID: "a1", Role: llm.Assistant})
		s.words(run, "a1", "An endless ")
		s.await(func() bool { return len(s.cancels) > 0 })
		s.put(run, chat.Event{Type: chat.RunFinished, RunID: run, Outcome: &chat.Outcome{Type: "cancelled"}})
	}), newTerminal(t)
	done := make(chan int)
	go func() { done <- tm.chat(t, s, "Tell me a story.\nAnd another.\n") }()
	tm.out.await("endless")
	tm.signals <- os.Interrupt
	tm.check(t, <-done, exitInterrupted, "An endless \n")
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.cancels) != 1 || s.cancels[0] != "r1" {
		t.Errorf("cancelled %v", s.cancels)
	}
}

func TestChatSecondInterruptLeaves(t *testing.T) {
	s, tm := newFake(t, func(s *fakeServer, run string) {
		s.put(run, chat.Event{Type: chat.TextStart, MessageID: "a1", Role: llm.Assistant})
		s.words(run, "a1", "An endless ")
	}), newTerminal(t)
	done := make(chan int)
	go func() { done <- tm.chat(t, s, "", "--once", "Tell me a story.") }()
	tm.out.await("endless")
	tm.signals <- os.Interrupt
	tm.signals <- os.Interrupt
	if code := <-done; code != exitInterrupted {
		t.Errorf("exit %d", code)
	}
}

func TestChatKeepsTheGuestsCookie(t *testing.T) {
	s, tm := newFake(t, func(s *fakeServer, run string) { s.say(run, "a"+run, "Hello "+run+"."); s.finish(run) }), newTerminal(t)
	tm.chat(t, s, "", "--once", "Hello.")
	code := tm.chat(t, s, "", "--conversation", fakeConv, "--once", "Hello again.")
	tm.check(t, code, exitOK, "Hello r1.\nHello r2.\n")
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := strings.Join(s.cookies, " "); got != "guest-1 guest-1" {
		t.Errorf("cookies %s", got)
	}
	path := cookieFile((&app{env: tm.env}).getenv)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("%s has mode %v", path, info.Mode())
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".new-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestChatSaysWhyItCannotBegin(t *testing.T) {
	s := newFake(t, nil)
	tm := newTerminal(t)
	if code := tm.chat(t, s, "", "--conversation", "c404", "--once", "Hello?"); code != exitFailed || !strings.Contains(tm.errOut.String(), "conversation c404: Not Found: There is no such conversation, or it is not yours.") {
		t.Errorf("exit %d, %q", code, tm.errOut.String())
	}
	r := program(t, nil, "", "chat", "--server", "http://127.0.0.1:1", "--once", "Hello?")
	if r.code != exitFailed || !strings.Contains(r.errOut, "no server answers at http://127.0.0.1:1; start one with `parley serve`") {
		t.Errorf("exit %d, %q", r.code, r.errOut)
	}
}

// Nothing comes of a question whose conversation is deleted meanwhile.
func TestChatOfADeletedConversation(t *testing.T) {
	s, tm := newFake(t, func(s *fakeServer, run string) {
		s.put(run, chat.Event{Type: chat.TextStart, MessageID: "a1", Role: llm.Assistant})
		s.words(run, "a1", "Half ", "an ")
		s.rollback(chat.State{Deleted: true})
	}), newTerminal(t)
	code := tm.chat(t, s, "", "--once", "Will you answer?")
	if want := "conversation " + fakeConv + ": it was deleted"; code != exitFailed || !strings.Contains(tm.errOut.String(), want) {
		t.Errorf("exit %d, %q, want %q", code, tm.errOut.String(), want)
	}
}

func TestChatInATerminal(t *testing.T) {
	s, tm := newFake(t, func(s *fakeServer, run string) { s.say(run, "a"+run, "Hello "+run+"."); s.finish(run) }), newTerminal(t)
	a := &app{
		stdin: strings.NewReader("/help\nHi\n/list\n/new\n/open c404\nHi\n/nonsense\n/quit\n"), stdout: tm.out, stderr: tm.errOut, env: tm.env,
		signals: tm.signals, pause: 2 * time.Millisecond, terminal: func(any) bool { return true },
	}
	if code := a.run(t.Context(), []string{"chat", "--server", s.url}); code != exitOK {
		t.Errorf("exit %d", code)
	}
	out := tm.out.String()
	for _, want := range []string{"> ", "Hello r1.\n", "c1  ", "Weather[2J in Lisbon\n", "Hello r2.\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in %q", want, out)
		}
	}
	for _, want := range []string{"Parley at " + s.url + ", model demo.", "/new begins a conversation", "There is no command /nonsense", "Conversation c404: Not Found"} {
		if !strings.Contains(tm.errOut.String(), want) {
			t.Errorf("%q is missing in %q", want, tm.errOut.String())
		}
	}
}

func TestChatAsksTheLastQuestionAnew(t *testing.T) {
	s, tm := newFake(t, func(s *fakeServer, run string) { s.say(run, "a"+run, "Hello "+run+"."); s.finish(run) }), newTerminal(t)
	a := &app{
		stdin: strings.NewReader("/retry\n/edit\nHi\n/edit Hey, you\n/retry\n/edit " + strings.Repeat("x", 1001) + "\n/quit\n"), stdout: tm.out, stderr: tm.errOut, env: tm.env,
		signals: tm.signals, pause: 2 * time.Millisecond, terminal: func(any) bool { return true },
	}
	if code := a.run(t.Context(), []string{"chat", "--server", s.url}); code != exitOK {
		t.Errorf("exit %d", code)
	}
	out := tm.out.String()
	for _, run := range []string{"r1", "r2", "r3"} {
		if strings.Count(out, "Hello "+run+".") != 1 {
			t.Errorf("the answer %s is not there once in %q", run, out)
		}
	}
	for _, want := range []string{"There is no question yet.", "/edit needs the new words", "The question has 1001 bytes"} {
		if !strings.Contains(tm.errOut.String(), want) {
			t.Errorf("%q is missing in %q", want, tm.errOut.String())
		}
	}
	st := s.snapshot()
	var left []string
	for _, m := range st.Messages {
		left = append(left, m.Content)
	}
	if got := strings.Join(left, " | "); got != "Hey, you | Hello r3." {
		t.Errorf("the conversation is %q", got)
	}
}
