package chaos

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/llm"
)

// What the followers of chaos must notice, they do.
func TestFollowerNotices(t *testing.T) {
	piece := func(n uint64, text string) chat.Entry {
		return chat.Entry{At: chat.Position{Generation: 1, N: n}, Run: "r", Ev: chat.Event{Type: chat.TextContent, MessageID: "m", Delta: text}}
	}
	begin := []chat.Entry{
		{At: chat.Position{Generation: 1}, Ev: chat.Event{Type: chat.GenerationBegan, Snapshot: &chat.State{}}},
		{At: chat.Position{Generation: 1, N: 1}, Ev: chat.Event{Type: chat.MessageSaid, Said: &llm.Message{ID: "q", Role: llm.User, Content: "hi"}}},
		{At: chat.Position{Generation: 1, N: 2}, Run: "r", Ev: chat.Event{Type: chat.RunStarted, RunID: "r"}},
		{At: chat.Position{Generation: 1, N: 3}, Run: "r", Ev: chat.Event{Type: chat.TextStart, MessageID: "m"}},
	}
	end := []chat.Entry{
		{At: chat.Position{Generation: 1, N: 6}, Run: "r", Ev: chat.Event{Type: chat.TextEnd, MessageID: "m"}},
		{At: chat.Position{Generation: 1, N: 7}, Run: "r", Ev: chat.Event{Type: chat.RunFinished, RunID: "r"}},
	}
	stored := []llm.Message{
		{ID: "q", Role: llm.User, Content: "hi"},
		{ID: "m", Role: llm.Assistant, Content: "one two", Metadata: &llm.Metadata{Parley: llm.Details{Run: "r", Status: "finished"}}},
	}
	other := chat.Position{Generation: 1, N: 9}
	tests := map[string]struct {
		middle []chat.Entry
		says   string
	}{
		"nothing":                {[]chat.Entry{piece(4, "one "), piece(5, "two")}, ""},
		"nothing in what is one": {[]chat.Entry{piece(5, "one two")}, ""},
		"a doubled entry":        {[]chat.Entry{piece(4, "one "), piece(4, "one "), piece(5, "two")}, "follows 1-4"},
		"a step back":            {[]chat.Entry{piece(5, "one two"), piece(4, "two")}, "follows 1-5"},
		"a lost text":            {[]chat.Entry{piece(4, ""), piece(5, "two")}, "the store has"},
		"a generation from elsewhere": {[]chat.Entry{{
			At: chat.Position{Generation: 2}, Ev: chat.Event{Type: chat.GenerationBegan, Prev: &other, Snapshot: &chat.State{}},
		}}, "2-0 follows 1-3"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := &Follower{}
			for _, es := range [][]chat.Entry{begin, tt.middle, end} {
				for _, e := range es {
					b, err := json.Marshal(e)
					if err != nil {
						t.Fatal(err)
					}
					f.entries(b)
				}
			}
			err := f.agrees(stored)
			if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("it says %v, want %q", err, tt.says)
			}
		})
	}
}

func TestVerdictOnQuestions(t *testing.T) {
	q := &Asked{Text: "hi", MessageID: "q", Run: "r"}
	user := llm.Message{ID: "q", Role: llm.User, Content: "hi"}
	answer := func(run string) llm.Message {
		return llm.Message{ID: run + "m", Role: llm.Assistant, Content: "ho", Metadata: &llm.Metadata{Parley: llm.Details{Run: run}}}
	}
	tests := map[string]struct {
		stored        []llm.Message
		lost, doubled int
		runs          string
	}{
		"answered once":        {[]llm.Message{user, answer("r")}, 0, 0, "[r]"},
		"lost":                 {nil, 1, 0, "[]"},
		"asked twice":          {[]llm.Message{user, {ID: "p", Role: llm.User, Content: "hi"}}, 0, 1, "[]"},
		"answered by two runs": {[]llm.Message{user, answer("r"), answer("s")}, 0, 0, "[r s]"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var v Verdict
			(&Talk{Conv: "c"}).examineQuestions(tt.stored, []*Asked{q}, &v)
			_, runs := answerOf(tt.stored, q)
			if v.Lost != tt.lost || v.Doubled != tt.doubled || fmt.Sprint(runs) != tt.runs {
				t.Errorf("%d lost, %d doubled, answered by %v", v.Lost, v.Doubled, runs)
			}
		})
	}
}

func TestTable(t *testing.T) {
	table := &Table{}
	for i := range 20 {
		table.Row("kill").Add(&Row{Rounds: 1, Talks: 2, Takeovers: []time.Duration{time.Duration(i+1) * time.Millisecond}})
	}
	if !table.total().Well() {
		t.Error("nothing was wrong")
	}
	table.Row("cut").Add(&Row{Rounds: 1, Bad: 1})
	if table.total().Well() {
		t.Error("a bad follower is nothing")
	}
	var b strings.Builder
	if err := table.Write(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 4 || !strings.Contains(lines[1], "10/19/20 (20)") || !strings.HasPrefix(lines[3], "in all  21 ") {
		t.Errorf("%s", b.String())
	}
}
