package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/cmd/parley/client"
	"parley/gateway/chat"
)

// evFrame is a frame of entries, each given as position, then event.
func evFrame(entries ...string) []byte {
	var items []string
	for i := 0; i < len(entries); i += 2 {
		items = append(items, `{"at":"`+entries[i]+`","run":"r1","try":1,"ts":1795347242264,"ev":`+entries[i+1]+`}`)
	}
	return []byte(`{"type":"ev","c":"c1","items":[` + strings.Join(items, ",") + `]}`)
}

func evText(delta string) string {
	return `{"type":"TEXT_MESSAGE_CONTENT","messageId":"m2","delta":"` + delta + `"}`
}

const (
	evBegin  = `{"type":"RUN_STARTED","threadId":"c1","runId":"r1","metadata":{"parley":{"question":"m1"}}}`
	evStart  = `{"type":"TEXT_MESSAGE_START","messageId":"m2","role":"assistant"}`
	evEnd    = `{"type":"TEXT_MESSAGE_END","messageId":"m2"}`
	evDone   = `{"type":"RUN_FINISHED","threadId":"c1","runId":"r1","outcome":{"type":"success"}}`
	evClaim  = `{"type":"conversation.generation","by":"p1","kind":"claim","same":true}`
	evTaken  = `{"type":"conversation.takeover","try":2}`
	evFailed = `{"type":"RUN_ERROR","message":"the model is away"}`
)

// evSaid is the question, with what a page's question may have that trips up
// who reads JSON by looking for brackets.
var evSaid = `{"type":"conversation.message","said":{"id":"m1","role":"user","content":"}]\\\" ` + (&answer{key: "k"}).question() + `"}}`

// seen is what a follower has found.
type seen struct {
	Pieces, Holes, Doubles, Garbled, Rollbacks int64
	Ended                                      string
}

func TestFollowerChecksWhatItHears(t *testing.T) {
	begin := evFrame("7-0", evClaim, "7-1", evSaid, "7-2", evBegin, "7-3", evStart)
	end := func(n int) []byte {
		return evFrame(fmt.Sprintf("7-%d", n), evEnd, fmt.Sprintf("7-%d", n+1), evDone)
	}
	tests := map[string]struct {
		frames [][]byte
		want   seen
	}{
		"a whole answer": {
			[][]byte{begin, evFrame("7-4", evText("000 001 ")), evFrame("7-5", evText("002 "), "7-6", evText("003 ")), end(7)},
			seen{Pieces: 4, Ended: "finished"},
		},
		"pieces merged for a slow client": {
			[][]byte{begin, evFrame("7-4", evText("000 ")), evFrame("7-6", evText("001 002 ")), evFrame("7-7", evText("003 ")), end(8)},
			seen{Pieces: 4, Ended: "finished"},
		},
		"a text cut in the middle of a piece": {
			[][]byte{begin, evFrame("7-4", evText("000 0")), evFrame("7-5", evText("01 002 003")), evFrame("7-6", evText(" ")), end(7)},
			seen{Pieces: 4, Ended: "finished"},
		},
		"a lost entry with two pieces": {
			[][]byte{begin, evFrame("7-4", evText("000 ")), evFrame("7-6", evText("003 ")), end(7)},
			seen{Pieces: 2, Holes: 2, Ended: "finished"},
		},
		"a lost entry without text": {
			[][]byte{begin, evFrame("7-4", evText("000 001 002 003 ")), evFrame("7-6", evDone)},
			seen{Pieces: 4, Holes: 1, Ended: "finished"},
		},
		"an end too early": {
			[][]byte{begin, evFrame("7-4", evText("000 001 ")), end(5)},
			seen{Pieces: 2, Holes: 2, Ended: "finished"},
		},
		"an entry twice": {
			[][]byte{begin, evFrame("7-4", evText("000 001 ")), evFrame("7-4", evText("000 001 ")), evFrame("7-5", evText("002 003 ")), end(6)},
			seen{Pieces: 6, Doubles: 3, Ended: "finished"}, // the entry, and its two pieces
		},
		"a piece said again": {
			[][]byte{begin, evFrame("7-4", evText("000 001 ")), evFrame("7-5", evText("001 002 003 ")), end(6)},
			seen{Pieces: 5, Doubles: 1, Ended: "finished"},
		},
		"a text that the model has not said": {
			[][]byte{begin, evFrame("7-4", evText("000 0O1 002 003 ")), end(5)},
			seen{Pieces: 1, Garbled: 1, Ended: "finished"},
		},
		"another replica goes on": {
			[][]byte{begin, evFrame("7-4", evText("000 ")), evFrame("9-0", `{"type":"conversation.generation","prev":"7-4","same":true}`, "9-1", evTaken, "9-2", evStart, "9-3", evText("000 001 002 003 "), "9-4", evDone)},
			seen{Pieces: 5, Rollbacks: 1, Ended: "finished"},
		},
		"another replica finishes what was said": {
			[][]byte{begin, evFrame("7-4", evText("000 001 002 003 "), "7-5", evEnd), evFrame("9-0", `{"type":"conversation.generation","prev":"7-5","same":true}`, "9-1", evTaken, "9-2", evDone)},
			seen{Pieces: 4, Ended: "finished"},
		},
		"another replica goes on from elsewhere": {
			[][]byte{begin, evFrame("7-4", evText("000 001 002 ")), evFrame("9-0", `{"type":"conversation.generation","prev":"7-3","same":true}`, "9-1", evText("003 "), "9-2", evDone)},
			seen{Pieces: 4, Holes: 1, Ended: "finished"},
		},
		"a generation whose beginning is missing": {
			[][]byte{begin, evFrame("7-4", evText("000 001 002 ")), evFrame("9-1", evText("003 "), "9-2", evDone)},
			seen{Pieces: 4, Holes: 1, Ended: "finished"},
		},
		"an answer that fails": {
			[][]byte{begin, evFrame("7-4", evText("000 ")), evFrame("7-5", evFailed)},
			seen{Pieces: 1, Ended: "failed"},
		},
		"an answer that is stopped": {
			[][]byte{begin, evFrame("7-4", strings.Replace(evDone, "success", "cancelled", 1))},
			seen{Ended: "failed"},
		},
		"a frame that is cut off": {
			[][]byte{begin, evFrame("7-4", evText("000 "))[:120]},
			seen{Garbled: 1},
		},
		"an entry that is none": {
			[][]byte{begin, []byte(`{"type":"ev","c":"c1","items":[{"at":7}]}`)},
			seen{Garbled: 1},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f, got := followerOf(newAnswer("k", 4, 1))
			for _, b := range tt.frames {
				f.events(b, int64(time.Second))
			}
			if d := cmp.Diff(tt.want, got()); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

// followerOf returns a follower of one answer, and what it has found.
func followerOf(a *answer) (*follower, func() seen) {
	tally, ended := &tally{}, ""
	tally.open.Store(true)
	f := &follower{
		tally: tally, text: text{4},
		find: func(q []byte) *answer {
			if keyIn(q) == a.key {
				return a
			}
			return nil
		},
		over: func(_ *answer, failed bool) { ended += map[bool]string{false: "finished", true: "failed"}[failed] },
	}
	return f, func() seen {
		return seen{tally.pieces.Load(), tally.holes.Load(), tally.doubles.Load(), tally.garbled.Load(), tally.rollbacks.Load(), ended}
	}
}

func TestFollowerGoesOnBehindASnapshot(t *testing.T) {
	state := func(status, content string) string {
		return `{"messages":[{"id":"m1","role":"user","content":"` + (&answer{key: "k"}).question() + `"},` +
			`{"id":"m2","role":"assistant","content":"` + content + `","metadata":{"parley":{"run":"r1"}}}],"run":{"id":"r1","question":"m1","status":"` + status + `","try":1}}`
	}
	tests := map[string]struct {
		before   []byte
		snapshot string
		behind   []byte
		want     seen
	}{
		"in the middle of an answer": {nil, state("running", "000 001 "), evFrame("9-6", evText("002 003 "), "9-7", evDone), seen{Pieces: 2, Ended: "finished"}},
		"the answer has ended meanwhile": {
			evFrame("7-1", evSaid, "7-2", evBegin, "7-3", evText("000 ")), state("finished", "000 001 002 003 "), nil,
			seen{Pieces: 1, Holes: 1, Ended: "finished"}, // the hole is 7-0
		},
		"and was not whole": {
			evFrame("7-1", evSaid, "7-2", evBegin, "7-3", evText("000 ")), state("finished", "000 001 003 "), nil,
			seen{Pieces: 1, Holes: 2, Ended: "finished"},
		},
		"from before the answer began": {
			evFrame("7-1", evSaid, "7-2", evBegin, "7-3", evText("000 ")), `{"messages":[]}`, evFrame("9-6", evBegin, "9-7", evText("000 001 002 003 "), "9-8", evDone),
			seen{Pieces: 5, Holes: 1, Rollbacks: 1, Ended: "finished"},
		},
		"with a text that the model has not said": {nil, state("running", "000 002 "), nil, seen{Garbled: 1}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f, got := followerOf(newAnswer("k", 4, 1))
			if tt.before != nil {
				f.events(tt.before, 1)
			}
			frame, err := client.DecodeFrame([]byte(`{"type":"snap","c":"c1","at":"9-5","snapshot":` + tt.snapshot + `}`))
			if err != nil {
				t.Fatal(err)
			}
			f.replace(frame.Snapshot, frame.At)
			if tt.behind != nil {
				f.events(tt.behind, 1)
			}
			if d := cmp.Diff(tt.want, got()); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func TestFollowerTellsAges(t *testing.T) {
	a := newAnswer("k", 4, 1)
	f, _ := followerOf(a)
	ms := int64(time.Millisecond)
	a.asked.Store(100 * ms)
	a.arrived.Store(110 * ms)
	for i := range a.sent { // the model took 40 ms to begin
		a.sent[i].Store((150 + 20*int64(i)) * ms)
	}
	f.events(evFrame("7-0", evClaim, "7-1", evSaid, "7-2", evBegin, "7-3", evStart, "7-4", evText("000 ")), 155*ms)
	f.events(evFrame("7-5", evText("001 002 ")), 200*ms)
	if got := f.tally.age.longest(); got != 30*time.Millisecond {
		t.Errorf("the oldest piece was %v old, want 30ms", got)
	}
	if got := f.tally.added.longest(); got != 15*time.Millisecond || f.tally.added.count() != 1 {
		t.Errorf("%v were added to the first piece, want 15ms", got)
	}
}

// FuzzFollower takes whatever a server may send.
func FuzzFollower(f *testing.F) {
	f.Add(evFrame("7-0", evClaim, "7-1", evSaid, "7-2", evBegin, "7-3", evStart, "7-4", evText("000 ")))
	f.Add(evFrame("7-0", evClaim, "7-1", evSaid, "7-2", evBegin, "7-9", evText("zzz 001 ")))
	f.Add(evFrame("7-0", evText(`\u0030`), "18446744073709551616-0", evText("")))
	f.Add([]byte(`{"type":"ev","items":[{"at":"7-1","ev":{"type":"TEXT_MESSAGE_CONTENT","delta":"`))
	f.Fuzz(func(t *testing.T, b []byte) {
		fo, got := followerOf(newAnswer("k", 4, 1))
		fo.events(b, 1)
		if n := got().Pieces; n > int64(len(b)) {
			t.Errorf("%d pieces in %d bytes", n, len(b))
		}
	})
}

func TestPiecesTellTheirNumber(t *testing.T) {
	for _, size := range []int{1, 2, 4, 9, 64, 1024} {
		text := text{size}
		for _, n := range []int{0, 1, 35, 36, 1295, 46_655, 46_656, 1_000_000} {
			p := text.append(nil, n)
			near := min(size, 3) * 5
			for _, expected := range []int{n, n - near, n + near} {
				if got, ok := text.number(p, expected); len(p) != size || !ok || got != n {
					t.Errorf("size %d: piece %d is %q, and read as %d where %d was expected", size, n, p, got, expected)
				}
			}
		}
	}
}

func TestSpansTellPercentiles(t *testing.T) {
	var s spans
	for i := range 1000 {
		s.add(time.Duration(i+1) * time.Millisecond)
	}
	for p, want := range map[float64]time.Duration{0: time.Millisecond, .5: 500 * time.Millisecond, .99: 990 * time.Millisecond, 1: time.Second} {
		if got := s.at(p); got < want*98/100 || got > want*102/100 {
			t.Errorf("p%v is %v, want %v", 100*p, got, want)
		}
	}
	s.add(3 * time.Hour)
	if got := s.at(1); got < 2*time.Hour || s.longest() != 3*time.Hour {
		t.Errorf("the longest of all is %v, %v", got, s.longest())
	}
}

func TestPieceIsReadAsItLies(t *testing.T) {
	b := evFrame("1795347242260-17", evText("00a 00b "))
	at, delta, ok := pieceOf(b[strings.Index(string(b), `{"at"`):])
	if want := (chat.Position{Generation: 1795347242260, N: 17}); !ok || at != want || string(delta) != "00a 00b " {
		t.Errorf("%v %q %v", at, delta, ok)
	}
}
