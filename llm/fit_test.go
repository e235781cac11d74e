package llm_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/llm"
	"parley/llm/llmtest"
	"parley/tools"
)

// talk is a conversation of random turns, with calls and results as model APIs
// want them, and some images, that ends where a model is asked.
func talk(r *rand.Rand, turns int) (msgs []llm.Message) {
	text := func(most int) string { return strings.Repeat("word ", 1+r.IntN(most)) }
	for t := range turns {
		msgs = append(msgs, llm.Message{ID: fmt.Sprint("q", t), Role: llm.User, Content: fmt.Sprint(t, " ", text(60))})
		if q := &msgs[len(msgs)-1]; r.IntN(4) == 0 {
			q.Parts = []llm.Part{{Kind: llm.TextPart, Text: q.Content}, {Kind: llm.ImagePart, Text: "(an image)", Data: []byte("png")}}
		}
		for round := range r.IntN(4) {
			m := llm.Message{ID: fmt.Sprint("c", t, "-", round), Role: llm.Assistant}
			for c := range 1 + r.IntN(3) {
				m.ToolCalls = append(m.ToolCalls, llm.NewToolCall(fmt.Sprint("call", t, "-", round, "-", c), "nap", `{"for":"x"}`))
			}
			msgs = append(msgs, m)
			for _, c := range m.ToolCalls {
				msgs = append(msgs, llm.Message{ID: "r" + c.ID, Role: llm.ToolRole, ToolCallID: c.ID, Content: text(2500)})
			}
		}
		if t < turns-1 {
			msgs = append(msgs, llm.Message{ID: fmt.Sprint("a", t), Role: llm.Assistant, Content: text(200)})
		}
	}
	return msgs
}

func tokensOf(msgs []llm.Message) (n int) {
	for _, m := range msgs {
		n += llm.MessageTokens(m)
	}
	return n
}

// asked returns how many of msgs there were each time that a model was asked.
func asked(msgs []llm.Message) (ends []int) {
	for i, m := range msgs {
		last := i+1 == len(msgs) || msgs[i+1].Role != llm.ToolRole
		if m.Role == llm.User || m.Role == llm.ToolRole && last {
			ends = append(ends, i+1)
		}
	}
	return ends
}

func TestWhateverIsSaidFitsAndStaysPaired(t *testing.T) {
	const limit = 6000
	for seed := range uint64(25) {
		msgs := talk(rand.New(rand.NewPCG(seed, 1)), 12)
		before := slices.Clone(msgs)
		for _, end := range asked(msgs) {
			got := llm.Fit(msgs[:end], limit)
			if n := tokensOf(got); n > limit {
				t.Fatalf("seed %d, %d messages: %d tokens of %d", seed, end, n, limit)
			}
			if again := llm.Fit(msgs[:end], limit); !cmp.Equal(got, again) {
				t.Fatalf("seed %d: not the same twice: %s", seed, cmp.Diff(got, again))
			}
			checkPaired(t, got)
			checkNewest(t, msgs[:end], got)
		}
		if !cmp.Equal(before, msgs) {
			t.Fatalf("seed %d: the messages were changed", seed)
		}
	}
}

func checkPaired(t *testing.T, msgs []llm.Message) {
	t.Helper()
	var open []string
	for _, m := range msgs {
		switch {
		case m.Role == llm.ToolRole && (len(open) == 0 || open[0] != m.ToolCallID):
			t.Fatalf("%s is a result without its call", m.ToolCallID)
		case m.Role == llm.ToolRole:
			open = open[1:]
		case len(open) > 0:
			t.Fatalf("no result of %v before %s", open, m.ID)
		}
		for _, c := range m.ToolCalls {
			open = append(open, c.ID)
		}
	}
}

// checkNewest makes sure that the newest question is whole, and stands with all
// that came of it.
func checkNewest(t *testing.T, all, got []llm.Message) {
	t.Helper()
	at := len(all) - 1
	for all[at].Role != llm.User {
		at--
	}
	tail := len(all) - at
	if len(got) < tail {
		t.Fatalf("%d messages are left, the newest turn has %d", len(got), tail)
	}
	for i, m := range got[len(got)-tail:] {
		if m.ID != all[at+i].ID {
			t.Fatalf("%s stands in the place of %s", m.ID, all[at+i].ID)
		}
	}
	q := got[len(got)-tail]
	if !strings.HasSuffix(q.Content, all[at].Content) {
		t.Fatalf("the question was changed to %.80q", q.Content)
	}
	if n := len(q.Parts) - len(all[at].Parts); n < 0 || !cmp.Equal(q.Parts[n:], all[at].Parts) || n > 0 && q.Parts[0].Text+"\n\n"+all[at].Content != q.Content {
		t.Fatalf("the question's parts were changed to %d", len(q.Parts))
	}
}

func TestWhatARequestBeginsWithChangesInStepsOnly(t *testing.T) {
	const limit = 60_000
	asks, steps := 0, 0
	for seed := range uint64(2) {
		msgs := talk(rand.New(rand.NewPCG(seed, 2)), 60)
		var last []llm.Message
		for _, end := range asked(msgs) {
			got := llm.Fit(msgs[:end], limit)
			asks++
			if len(got) < len(last) || !cmp.Equal(got[:len(last)], last) {
				steps++
			}
			last = got
		}
	}
	if steps == 0 || steps > asks/8 {
		t.Errorf("of %d requests %d begin otherwise than the one before", asks, steps)
	}
}

func TestOldResultsAreShortenedBeforeTurnsAreLeftOut(t *testing.T) {
	long := strings.Repeat("word ", 3000)
	msgs := []llm.Message{
		{ID: "q1", Role: llm.User, Content: "first"},
		{ID: "a1", Role: llm.Assistant, ToolCalls: []llm.ToolCall{llm.NewToolCall("c", "nap", "{}")}},
		{ID: "r1", Role: llm.ToolRole, ToolCallID: "c", Content: long},
		{ID: "a2", Role: llm.Assistant, Content: "done"},
		{ID: "q2", Role: llm.User, Content: "second"},
		{ID: "a3", Role: llm.Assistant, Content: "done"},
		{ID: "q3", Role: llm.User, Content: "third"},
	}
	got := llm.Fit(msgs, 4000)
	if len(got) != len(msgs) || got[0].Content != "first" || len(got[2].Content) > 1500 || !strings.Contains(got[2].Content, "to make room") {
		t.Errorf("got %d messages, the result has %d bytes", len(got), len(got[2].Content))
	}
	msgs[0].Content = long
	got = llm.Fit(msgs, 4000)
	if len(got) != 3 || !strings.Contains(got[0].Content, "left out") || !strings.HasSuffix(got[0].Content, "second") {
		t.Errorf("got %v", got)
	}
}

func TestOldImagesAreLeftOutBeforeTurnsAre(t *testing.T) {
	image := func(q string) llm.Message {
		return llm.Message{ID: q, Role: llm.User, Content: q, Parts: []llm.Part{{Kind: llm.TextPart, Text: q}, {Kind: llm.ImagePart, Text: "an image", Data: []byte("png")}}}
	}
	var msgs []llm.Message
	for _, q := range []string{"first", "second", "third", "fourth"} {
		msgs = append(msgs, image(q), llm.Message{ID: "a" + q, Role: llm.Assistant, Content: "yes"})
	}
	msgs = msgs[:7]
	got := llm.Fit(msgs, 6000)
	if len(got) != len(msgs) {
		t.Fatalf("%d messages are left of %d", len(got), len(msgs))
	}
	shown := ""
	for _, m := range got {
		for _, p := range m.Parts {
			if p.Kind == llm.ImagePart {
				shown += m.ID + " "
			}
		}
	}
	if shown != "third fourth " || msgs[0].Parts[1].Kind != llm.ImagePart {
		t.Errorf("shown are the images of %q", shown)
	}
}

// What is behind the last question is gone from the next request, which is to
// begin alike.
func TestWhatGivesWayDoesNotDependOnDataBehindTheQuestion(t *testing.T) {
	msgs := talk(rand.New(rand.NewPCG(7, 7)), 12)
	data := strings.Repeat(`{"price":1.25}`+"\n", 200)
	for _, end := range asked(msgs) {
		bare := llm.Fit(msgs[:end], 6000)
		with := llm.Fit(llm.WithContext(msgs[:end], data), 6000)
		for i := range with {
			with[i].Content, _ = llm.CutContext(with[i].Content)
			if n := len(with[i].Parts) - 1; n > 0 && len(bare[i].Parts) == n {
				with[i].Parts = with[i].Parts[:n]
			}
		}
		if d := cmp.Diff(bare, with); d != "" {
			t.Fatalf("%d messages: %s", end, d)
		}
	}
}

func TestASummaryStandsInThePlaceOfWhatItCovers(t *testing.T) {
	sum := &llm.Metadata{Parley: llm.Details{Summary: &llm.Summary{Text: "They spoke </summary></summ</summary>ary>< / Summary> of bread."}}}
	msgs := []llm.Message{
		{ID: "q1", Role: llm.User, Content: "bread?"},
		{ID: "a1", Role: llm.Assistant, Content: "yes", Metadata: sum},
		{ID: "q2", Role: llm.User, Content: "and wine?"},
		{ID: "a2", Role: llm.Assistant, Content: "no"},
		{ID: "q3", Role: llm.User, Content: "why?"},
	}
	got := llm.Fit(msgs, 4000)
	if len(got) != 3 || strings.Count(got[0].Content, "</summary>") != 1 || strings.Contains(got[0].Content, "< / Summary>") || !strings.Contains(got[0].Content, "of bread.") || !strings.HasSuffix(got[0].Content, "and wine?") {
		t.Errorf("got %+v", got)
	}
	if got := llm.Fit(msgs[:2], 4000); len(got) != 2 {
		t.Errorf("a summary of the newest turn is used: %+v", got)
	}
}

// reads is a model that refuses requests with more bytes than it reads.
func reads(bytes int) func(llmtest.Request) llmtest.Reply {
	return func(r llmtest.Request) llmtest.Reply {
		if len(r.Body) > bytes {
			return llmtest.Fail(400, "context_length_exceeded", "maximum context length exceeded")
		}
		return llmtest.Text("fine")
	}
}

func TestAModelThatReadsLessThanWasThoughtIsAskedOnceMore(t *testing.T) {
	var msgs []llm.Message
	for i := range 40 {
		msgs = append(msgs, llm.Message{ID: fmt.Sprint("q", i), Role: llm.User, Content: strings.Repeat("word ", 200)},
			llm.Message{ID: fmt.Sprint("a", i), Role: llm.Assistant, Content: "yes"})
	}
	msgs = append(msgs, llm.Message{ID: "last", Role: llm.User, Content: "and now?"})
	srv, m := model(t, reads(30_000))
	g := llm.NewGauge(100_000)
	a := &llm.Agent{Model: llm.Fitted(m, g)}
	if h := listen(t.Context(), a, msgs, tools.NewSet()); h.err != nil || h.text != "fine" {
		t.Fatalf("heard %q, %v", h.text, h.err)
	}
	if n := len(srv.Requests()); n != 2 {
		t.Errorf("asked %d times", n)
	}
	room := g.Room(0)
	if room > 12_500 {
		t.Errorf("room for %d tokens is still believed in", room)
	}
	a = &llm.Agent{Model: llm.Fitted(m, llm.NewGauge(100_000))}
	h := listen(t.Context(), a, question(strings.Repeat("word ", 20_000)), tools.NewSet())
	if h.err == nil || len(srv.Requests()) != 3 { // less of it there is not
		t.Errorf("a question that is too long by itself: %v after %d requests", h.err, len(srv.Requests())-2)
	}
}

func TestAGaugeLearnsHowAModelCounts(t *testing.T) {
	_, m := model(t, func(llmtest.Request) llmtest.Reply { return llmtest.Text("fine") })
	g := llm.NewGauge(40_000)
	a := &llm.Agent{Model: llm.Fitted(m, g)}
	before := g.Room(0)
	dense := strings.Repeat(`"\`, 4000) // escaped, it is twice as long as we think
	for range 20 {
		if h := listen(t.Context(), a, question(dense), tools.NewSet()); h.err != nil {
			t.Fatal(h.err)
		}
	}
	if after := g.Room(0); after > before*2/3 || after < before/4 {
		t.Errorf("room for %d tokens, before for %d", after, before)
	}
}

// A sighted is a model that takes images, and says where it is.
type sighted struct{ llm.Model }

func (sighted) Takes(context.Context) llm.Input { return llm.Input{Image: true} }
func (sighted) Continues(string) bool           { return true }
func (sighted) Provider() string                { return "openai" }
func (sighted) Host() string                    { return "gpu" }

func TestEachModelOfAChainIsSentWhatItReads(t *testing.T) {
	var msgs []llm.Message
	for i := range 40 {
		msgs = append(msgs, llm.Message{ID: fmt.Sprint("q", i), Role: llm.User, Content: strings.Repeat("word ", 200)},
			llm.Message{ID: fmt.Sprint("a", i), Role: llm.Assistant, Content: "yes"})
	}
	msgs = append(msgs, llm.Message{ID: "last", Role: llm.User, Content: "and now?"})
	large, first := model(t, func(llmtest.Request) llmtest.Reply { return llmtest.Fail(401, "invalid_api_key", "no") })
	small, second := model(t, reads(15_000))
	chain := llm.NewChain(llm.ChainOptions{}, llm.Fitted(sighted{first}, llm.NewGauge(100_000)), llm.Fitted(second, llm.NewGauge(4000)))
	if h := listen(t.Context(), &llm.Agent{Model: chain}, msgs, tools.NewSet()); h.err != nil || h.text != "fine" {
		t.Fatalf("heard %q, %v", h.text, h.err)
	}
	if n := len(large.Requests()[0].Messages); n != len(msgs) {
		t.Errorf("the first is sent %d messages of %d", n, len(msgs))
	}
	if all := small.Requests(); len(all) != 1 || len(all[0].Messages) > 20 {
		t.Errorf("the second is sent %d messages in %d requests", len(all[0].Messages), len(all))
	}
	if s := chain.Status()[0]; s.Provider != "openai at gpu" || !chain.Takes(t.Context()).Image || !chain.Continues("scripted") {
		t.Errorf("%+v takes %+v", s, chain.Takes(t.Context()))
	}
}
