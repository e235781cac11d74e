package run

import (
	"context"
	"errors"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"parley/gateway/agents"
	"parley/gateway/chat"
	"parley/llm"
	"parley/tools"
)

// An answer is one attempt at a run. It is owned by its session's goroutine.
type answer struct {
	*session
	it      chat.Item
	owner   string // whose conversation it is
	rec     chat.RunRecord
	try     int
	started time.Time
	w       *writer
	chosen  *agents.Chosen // who answers
	begun   chan struct{}  // closed when the beginning is stored, or, with unbegun set, cannot be
	unbegun error
	msgs    []llm.Message // what the model is shown
	partial *llm.Message  // that another writer has left in its midst, to be gone on with
	set     *tools.Set
	usage   llm.Usage
	finish  llm.Finish
	model   string       // that said the last turn
	missed  []llm.Missed // models that should have said something and did not
	unseen  []llm.Unseen // files of the question that the model is not shown
	asks    []chat.Ask   // what the run has asked people before, answered or not
	asking  []llm.Asked  // what it asks them now
	purse   *purse       // what it may spend
}

// answer brings a run to its end, wherever it stands, and settles it: what it
// said is in the store before its last entry is in the log, and that before
// the inbox forgets the question.
func (s *session) answer(ctx context.Context, q chat.Question) error {
	it := itemOf(q)
	rec, err := s.record(ctx, it)
	if errors.Is(err, chat.ErrNotFound) {
		return nil // the conversation or the question was deleted
	}
	if err != nil {
		return err
	}
	if rec.Status.Rests() {
		return nil
	}
	if it.Replaces, err = s.replaced(ctx, it); err != nil {
		return err
	}
	a := &answer{session: s, it: it, owner: q.Owner, rec: rec, started: time.Now()}
	if a.asks, err = s.asks(ctx, rec); err != nil {
		return err
	}
	if err := a.resume(ctx); err != nil {
		return err
	}
	a.measure()
	return s.lease.Flush(ctx)
}

// record returns what the store knows of the run, however long it takes.
func (s *session) record(ctx context.Context, it chat.Item) (rec chat.RunRecord, err error) {
	err = s.patiently(ctx, func(ctx context.Context) (err error) {
		rec, err = s.r.answers.RunRecord(ctx, it.Run)
		if errors.Is(err, chat.ErrNotFound) {
			return nil
		}
		return err
	})
	if err == nil && rec.ID == "" {
		err = chat.ErrNotFound
	}
	return rec, err
}

// resume begins the run, or goes on with what another writer began.
func (a *answer) resume(ctx context.Context) error {
	st := a.lease.State()
	known := st.Run != nil && st.Run.ID == a.it.Run
	if known && st.Run.Status.Ended() {
		return a.settleEnded(ctx, st) // its end was shown, and not stored
	}
	going := known && !st.Waits() // another writer was at it
	a.try = a.rec.Try
	handed := 0 // which says nothing against the run
	if known {
		a.try, handed = max(a.try, st.Run.Try), st.Run.Handed
	}
	if going || !a.resumes() {
		a.try++
	}
	a.try = max(a.try, 1)
	if a.rec.Usage != nil {
		a.usage = *a.rec.Usage
	}
	if err := a.choose(ctx); err != nil {
		return err
	}
	a.w = newWriter(a.lease, a.r.pacer, a.it.Run, a.try)
	if going {
		a.takeUp(st)
	}
	a.announce(known, going)
	cause := a.prepare(ctx)
	if cause == nil && going {
		cause = a.pay(ctx, a.lost(st))
	}
	switch {
	case cause != nil:
	case a.rec.Status == chat.RunAbandoned:
		cause = errCancelled
	case a.try-handed > a.r.o.MaxTries:
		cause = errInterrupted
	default:
		cause = a.converse(ctx)
	}
	if err := a.isBegun(); err != nil {
		return err
	}
	if cause == nil && len(a.asking) > 0 {
		return a.suspend(ctx)
	}
	return a.end(ctx, cause)
}

// resumes reports whether the run goes on after it has waited for people,
// which is no failure of an attempt.
func (a *answer) resumes() bool {
	return a.rec.Status == chat.RunAnswered || a.rec.Status == chat.RunAbandoned
}

// asks returns what a run has asked people: nothing, if it has just begun.
func (s *session) asks(ctx context.Context, rec chat.RunRecord) (asks []chat.Ask, err error) {
	if rec.Status == chat.RunAccepted {
		return nil, nil
	}
	err = s.patiently(ctx, func(ctx context.Context) (err error) {
		asks, err = s.r.answers.Asks(ctx, rec.ID)
		return err
	})
	return asks, err
}

// errInterrupted ends a run whose writers died too often.
var errInterrupted = errors.New("run: tried too often")

func (a *answer) announce(known, going bool) {
	if going {
		how := chat.RunTakenOver
		if a.partial != nil {
			how = chat.RunContinued
		}
		a.w.put(chat.Event{Type: how, RunID: a.it.Run, Try: a.try})
		a.showAnswers(a.it.Run, a.try, a.asks)
		return
	}
	a.showAnswers(a.it.Run, a.try, a.asks)
	if !known && a.it.Kind != chat.Regenerate {
		a.w.put(chat.Event{Type: chat.MessageSaid, Said: a.it.Message})
		if t := a.title(); t != "" {
			a.w.put(chat.Event{Type: chat.Titled, Title: t})
		}
	}
	a.w.put(chat.Event{
		Type: chat.RunStarted, ThreadID: a.lease.Conversation, RunID: a.it.Run,
		Metadata: &llm.Metadata{Parley: llm.Details{Question: a.it.Message.ID, Replaces: a.it.Replaces, Edits: a.it.Edits, Agent: a.chosen.Ref(), Format: a.format()}},
	})
}

// format is what is known of the answer's format at its beginning, nil for
// text.
func (a *answer) format() *llm.Formatted {
	if a.rec.Format == nil {
		return nil
	}
	return &llm.Formatted{Name: a.rec.Format.Name}
}

// takeUp finds out whether what another writer has left in its midst can be
// gone on with. If not, it is rolled back.
func (a *answer) takeUp(st chat.State) {
	m := st.Begun(a.it.Run)
	if m == nil || !llm.Continues(a.chosen.Agent.Model, st.By) {
		return
	}
	a.partial = m
	a.partial.Metadata = &llm.Metadata{Parley: llm.Details{Run: a.it.Run, Model: st.By}}
	a.w.goOn(m.ID)
}

// title returns a title for a conversation that has none. One whose question
// was edited has one, also if the log does not say so.
func (a *answer) title() string {
	if st := a.lease.State(); st.Title != "" || len(st.Messages) > 1 || a.it.Edits != "" {
		return ""
	}
	if m := a.it.Message; strings.TrimSpace(m.Content) == "" && m.Metadata != nil && len(m.Metadata.Parley.Files) > 0 {
		return Title(m.Metadata.Parley.Files[0].Name)
	}
	return Title(a.it.Message.Content)
}

// prepare reads what the agent needs, while the beginning of the run is being
// stored: somebody waits for the first word. An edit takes messages away with
// its beginning, so that comes first.
func (a *answer) prepare(ctx context.Context) error {
	a.begun = make(chan struct{})
	rec := a.startRecord()
	go func() {
		defer close(a.begun)
		a.unbegun = a.archiveSoFar(ctx, rec)
	}()
	if a.it.Edits != "" {
		if err := a.isBegun(); err != nil {
			return err
		}
	}
	return a.patiently(ctx, func(ctx context.Context) (err error) {
		if a.msgs, err = a.messages(ctx); err != nil {
			return err
		}
		a.set, err = a.r.toolbox.Set(ctx)
		a.set = narrowed(a.chosen.Tools(a.set), a.r.o.Offered)
		if err == nil {
			a.purse, err = newPurse(ctx, a)
		}
		return err
	})
}

// pay stores what was lost with another writer, before anything more is spent.
func (a *answer) pay(ctx context.Context, lost llm.Usage) error {
	if err := a.isBegun(); err != nil || lost == (llm.Usage{}) {
		return err
	}
	a.usage = a.usage.Add(lost)
	return a.archiveSoFar(ctx, a.startRecord())
}

// isBegun returns once the beginning of the run is stored, or why it is not.
// Nothing of the answer is shown before, and no tool is called.
func (a *answer) isBegun() error {
	<-a.begun
	return a.unbegun
}

func (a *answer) startRecord() *chat.RunRecord {
	s := chat.RunRunning
	if a.rec.Status == chat.RunAbandoned { // whoever takes over is to know
		s = chat.RunAbandoned
	}
	return a.standing(s)
}

// converse has the agent answer, until it has, somebody stops it, or time is
// up.
func (a *answer) converse(ctx context.Context) error {
	ctx, cancel := a.begin(ctx, a.it.Run)
	defer cancel(nil)
	_ = a.showHeard(ctx) // what cannot be shown to wait is shown when it is answered
	ctx, stop := context.WithTimeoutCause(ctx, a.r.o.MaxRun, errTooLong)
	defer stop()
	err := a.goOn(ctx)
	a.usage = a.usage.Add(a.purse.leftOpen())
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// goOn runs the agent from wherever the conversation stands.
func (a *answer) goOn(ctx context.Context) error {
	msgs, release, err := a.withFiles(ctx, a.msgs)
	defer release()
	if err != nil {
		return err
	}
	a.recall()
	if m := said(a.msgs, a.it.Run); m != nil { // all but its end was written
		return a.formed(*m)
	}
	agent := *a.chosen.Agent
	agent.Pause = a.r.pacer.pause()
	agent.Data, agent.Format, agent.Purse = a.live(ctx), a.rec.Format, a.purse
	if m := a.partial; m != nil {
		agent.Begun = &llm.Begun{Text: m.Content, By: m.Metadata.Parley.Model}
	}
	for step, err := range agent.Run(ctx, msgs, &guarded{a, a.set}) {
		if a.asking = step.Asks; err == nil {
			err = a.step(ctx, step, a.set)
		}
		if err != nil {
			return err
		}
	}
	if cut := a.purse.cut(a.finish); cut != nil {
		return cut
	}
	return ctx.Err()
}

// formed returns what is wrong with an answer by the format that was asked for.
func (a *answer) formed(m llm.Message) error {
	if a.rec.Format == nil {
		return nil
	}
	return a.rec.Format.Check(m.Content, a.finish)
}

// recall notes what the run's turns so far say of who said them.
func (a *answer) recall() {
	for _, m := range a.msgs {
		if m.Role != llm.Assistant || runID(m) != a.it.Run {
			continue
		}
		d := m.Metadata.Parley
		a.finish, a.model = d.Finish, d.Model
		for _, missed := range d.Missed {
			a.miss(missed)
		}
	}
}

// errTooLong ends a run that takes longer than the operator allows.
var errTooLong = errors.New("run: took too long")

// messages returns what the model is shown: earlier messages from the store,
// then what the log has.
func (a *answer) messages(ctx context.Context) ([]llm.Message, error) {
	st := a.lease.State()
	first := ""
	if len(st.Messages) > 0 {
		first = st.Messages[0].ID
	}
	if first == a.it.Message.ID { // the store may not have it yet
		first = ""
	}
	older, _, err := a.r.answers.History(ctx, a.lease.Conversation, first, a.r.o.History)
	if err != nil && !errors.Is(err, chat.ErrNotFound) {
		return nil, err
	}
	if i := slices.IndexFunc(older, func(m llm.Message) bool { return m.ID == a.it.Message.ID }); i >= 0 {
		older = older[:i]
	}
	msgs := upTo(append(older, a.whole(st.Messages)...), a.it)
	at := slices.IndexFunc(msgs, func(m llm.Message) bool { return m.ID == a.it.Message.ID })
	return anchored(msgs, at-a.r.o.History), nil
}

// whole leaves out the message in whose midst the run goes on.
func (a *answer) whole(msgs []llm.Message) []llm.Message {
	if a.partial == nil {
		return msgs
	}
	return slices.DeleteFunc(slices.Clone(msgs), func(m llm.Message) bool { return m.ID == a.partial.ID })
}

// anchored leaves out messages before the one at from, if that is not the
// first, and those up to the next question that is an anchor. Which questions
// are, their ids say: so what is left begins with the same message for many
// questions, whoever reads it and however much.
func anchored(msgs []llm.Message, from int) []llm.Message {
	if from <= 0 || llm.Summarised(msgs) >= 0 { // what is shown begins with the summary
		return msgs
	}
	first := from
	for i := from; i < (from+len(msgs))/2; i++ { // at least half is shown
		if msgs[i].Role != llm.User {
			continue
		}
		if crc32.ChecksumIEEE([]byte(msgs[i].ID))%anchorEvery == 0 {
			return msgs[i:]
		}
		if msgs[first].Role != llm.User {
			first = i
		}
	}
	return msgs[first:]
}

// anchorEvery is of how many questions about one is an anchor.
const anchorEvery = 8

// upTo leaves out what was said after the question that is answered, but for
// the answer so far.
func upTo(msgs []llm.Message, it chat.Item) []llm.Message {
	out := msgs[:0:0]
	after := false
	for _, m := range msgs {
		if after && runID(m) != it.Run {
			continue
		}
		out = append(out, m)
		after = after || m.ID == it.Message.ID
	}
	return out
}

// said returns the run's last turn if it is whole and asks for no tools, or
// nil.
func said(msgs []llm.Message, run string) *llm.Message {
	if len(msgs) == 0 {
		return nil
	}
	m := &msgs[len(msgs)-1]
	if m.Role != llm.Assistant || runID(*m) != run || len(m.ToolCalls) > 0 {
		return nil
	}
	return m
}

func runID(m llm.Message) string {
	if m.Metadata == nil {
		return ""
	}
	return m.Metadata.Parley.Run
}
