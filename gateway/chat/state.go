package chat

import (
	"slices"
	"strings"

	"parley/llm"
)

// A State is what a log's entries add up to: the latest messages of a
// conversation and the run that goes on. It is folded entry by entry by
// whoever follows a log, and every follower's State is the same.
//
// A State is not safe for concurrent use. It covers a window: older messages
// are in the store alone.
type State struct {
	Messages []llm.Message `json:"messages"`
	Queued   []llm.Message `json:"queued,omitempty"` // heard, not yet answered
	Run      *Run          `json:"run,omitempty"`    // the latest
	Open     []string      `json:"open,omitempty"`   // messages that are being written
	By       string        `json:"by,omitempty"`     // the model that writes the open text, if it can go on with what it has begun
	Title    string        `json:"title,omitempty"`
	Pins     []string      `json:"pins,omitempty"` // feeds, by name

	Interrupts []Interrupt `json:"interrupts,omitempty"` // what the run waits for

	Suggestions []string `json:"suggestions,omitempty"` // what could be asked next; until something is

	Deleted bool `json:"deleted,omitempty"` // there is nothing more, and nothing comes

	writing map[string]*strings.Builder // content of open messages; Content holds it once closed
}

// A Run is one attempt of an agent to answer a question.
type Run struct {
	ID       string    `json:"id"`
	Question string    `json:"question,omitempty"` // id of the message that it answers
	Status   RunStatus `json:"status"`
	Try      int       `json:"try"`
	Handed   int       `json:"handed,omitempty"`  // attempts that ended since their writer gave the run up in good order
	Started  int64     `json:"started,omitempty"` // ms since 1970

	Agent  *llm.AgentRef `json:"agent,omitempty"`  // nil for the one that the settings describe
	Format string        `json:"format,omitempty"` // name of the one that the answer is to have; empty for text
}

// A RunStatus says how far a run is.
type RunStatus string

// The statuses of a run. Accepted is one that no log knows yet. One that waits
// for people is answered once they have, and abandoned once they went on
// without; from then on it is due again, and a log has it as waiting still.
const (
	RunAccepted  RunStatus = "accepted"
	RunRunning   RunStatus = "running"
	RunWaiting   RunStatus = "waiting"
	RunAnswered  RunStatus = "answered"
	RunAbandoned RunStatus = "abandoned"
	RunDone      RunStatus = "finished"
	RunCancelled RunStatus = "cancelled"
	RunFailed    RunStatus = "failed"
)

// Ended reports whether nothing more will come of the run.
func (s RunStatus) Ended() bool { return s == RunDone || s == RunCancelled || s == RunFailed }

// Rests reports whether nothing is to be done for the run: it has ended, or
// waits for people.
func (s RunStatus) Rests() bool { return s.Ended() || s == RunWaiting }

// Active reports whether a run goes on.
func (s *State) Active() bool { return s.Run != nil && !s.Run.Status.Rests() }

// Waits reports whether the latest run waits for people.
func (s *State) Waits() bool { return s.Run != nil && s.Run.Status == RunWaiting }

// Apply folds one entry into s.
func (s *State) Apply(e Entry) {
	ev := &e.Ev
	switch ev.Type {
	case GenerationBegan:
		if ev.Snapshot != nil {
			*s = ev.Snapshot.Clone()
		}
	case MessageQueued:
		if ev.Said != nil && !has(s.Messages, ev.Said.ID) && !has(s.Queued, ev.Said.ID) {
			s.Queued = append(s.Queued, *ev.Said)
		}
	case MessageSaid:
		s.said(ev.Said)
	case Titled:
		s.Title = ev.Title
	case Pinned:
		s.Pins = ev.Pins
	case Summarised:
		if m := s.find(ev.MessageID); m != nil {
			details(&m.Metadata).Summary = ev.Summary
		}
	case Suggested:
		s.Suggestions = slices.Clone(ev.Suggestions)
	case RunStarted, RunHandedOver, RunTakenOver, RunContinued, RunFinished, RunError:
		s.applyRun(e)
	case TextStart, ReasoningStart:
		s.open(e)
	case TextContent, ReasoningContent:
		if b := s.writing[ev.MessageID]; b != nil {
			b.WriteString(ev.Delta)
		}
	case TextEnd, ReasoningEnd:
		s.finish(ev)
		s.close(ev.MessageID)
	case ToolCallStart, ToolCallArgs, ToolCallResult, AskAnswered:
		s.applyTool(e)
	}
}

func (s *State) said(m *llm.Message) {
	if m == nil {
		return
	}
	s.Queued = slices.DeleteFunc(s.Queued, func(q llm.Message) bool { return q.ID == m.ID })
	if has(s.Messages, m.ID) {
		return
	}
	if m.Metadata != nil && m.Metadata.Parley.Edits != "" {
		s.cut(m.Metadata.Parley.Edits)
	}
	s.Messages = append(s.Messages, *m)
}

// cut takes away a message that was edited and everything behind it. One that
// is not here lies before the window, and all that is here behind it.
func (s *State) cut(edited string) {
	from := slices.IndexFunc(s.Messages, func(m llm.Message) bool { return m.ID == edited })
	gone := map[string]bool{}
	for _, m := range s.Messages[max(from, 0):] {
		gone[m.ID] = true
	}
	s.drop(func(m llm.Message) bool { return gone[m.ID] })
}

func (s *State) applyRun(e Entry) {
	ev := &e.Ev
	switch ev.Type {
	case RunStarted:
		s.start(e)
	case RunTakenOver, RunContinued:
		if s.Run != nil {
			s.Run.Try = ev.Try
		}
		if ev.Type == RunTakenOver {
			s.rollBack()
		}
	case RunHandedOver:
		if s.Run != nil {
			s.Run.Handed++
		}
	case RunFinished:
		s.finished(e)
	case RunError:
		s.end(e, RunFailed)
	}
}

func (s *State) finished(e Entry) {
	switch o := e.Ev.Outcome; {
	case o != nil && o.Type == Interrupted:
		s.interrupt(e)
	case o != nil && o.Type == "cancelled":
		s.end(e, RunCancelled)
	default:
		s.end(e, RunDone)
	}
}

// interrupt has the run wait.
func (s *State) interrupt(e Entry) {
	s.closeAll()
	s.ensureRun(e)
	s.Run.Status = RunWaiting
	s.Interrupts = slices.Clone(e.Ev.Outcome.Interrupts)
}

// start begins a run, or has one go on that waited. The answer that it
// replaces disappears.
func (s *State) start(e Entry) {
	s.Interrupts, s.Suggestions = nil, nil
	handed := 0
	if s.Run != nil && s.Run.ID == e.Ev.RunID {
		handed = s.Run.Handed
	}
	s.Run = &Run{ID: e.Ev.RunID, Status: RunRunning, Try: max(e.Try, 1), Handed: handed, Started: e.TS}
	m := e.Ev.Metadata
	if m == nil {
		return
	}
	s.Run.Question, s.Run.Agent = m.Parley.Question, m.Parley.Agent
	if f := m.Parley.Format; f != nil {
		s.Run.Format = f.Name
	}
	if old := m.Parley.Replaces; old != "" {
		s.drop(func(m llm.Message) bool { return answers(m, old) })
	}
}

// answers reports whether m is part of a run's answer.
func answers(m llm.Message, run string) bool { return m.Role != llm.User && runOf(m) == run }

// drop takes messages away, also those that are being written.
func (s *State) drop(gone func(llm.Message) bool) {
	s.Messages = slices.DeleteFunc(s.Messages, func(m llm.Message) bool {
		if !gone(m) {
			return false
		}
		s.Open = slices.DeleteFunc(s.Open, func(o string) bool { return o == m.ID })
		delete(s.writing, m.ID)
		return true
	})
}

// rollBack takes away the turn that was left unfinished: what is open, and
// the thoughts behind the last whole turn.
func (s *State) rollBack() {
	gone := map[string]bool{}
	for _, id := range s.Open {
		gone[id] = true
	}
	for _, m := range slices.Backward(s.Messages) {
		if s.Run == nil || runOf(m) != s.Run.ID || m.Role != llm.Reasoning && !gone[m.ID] {
			break
		}
		gone[m.ID] = true
	}
	s.drop(func(m llm.Message) bool { return gone[m.ID] })
	s.Open, s.By, s.writing = nil, "", nil
}

// end closes the run and notes on its last message how it ended.
func (s *State) end(e Entry, status RunStatus) {
	s.closeAll()
	s.ensureRun(e)
	s.Run.Status, s.Interrupts = status, nil
	m := s.last(s.Run.ID, e.TS)
	d := details(&m.Metadata)
	d.Status = string(status)
	if f := s.Run.Format; f != "" && d.Format == nil && m.Content != "" && len(m.ToolCalls) == 0 {
		d.Format = &llm.Formatted{Name: f} // it broke off
	}
	if end := e.Ev.Metadata; end != nil {
		d.Model, d.TookMs, d.Finish = end.Parley.Model, end.Parley.TookMs, end.Parley.Finish
		d.Missed, d.Unseen, d.Agent = end.Parley.Missed, end.Parley.Unseen, end.Parley.Agent
	}
	if len(e.Ev.Usage) > 0 {
		d.Usage = &e.Ev.Usage[len(e.Ev.Usage)-1]
	}
	if status == RunFailed {
		d.Failure = &llm.Failure{Code: e.Ev.Code, Message: e.Ev.Message}
	}
}

func (s *State) closeAll() {
	for _, id := range slices.Clone(s.Open) {
		s.close(id)
	}
}

// ensureRun makes sure that the latest run is the one that an entry ends.
func (s *State) ensureRun(e Entry) {
	if s.Run == nil || s.Run.ID != e.Ev.RunID && e.Ev.RunID != "" {
		s.Run = &Run{ID: e.Run, Try: max(e.Try, 1)}
	}
}

// last returns the last thing that the assistant said in a run. A run that
// ended without a word gets an empty message, so that its end is seen.
func (s *State) last(run string, ts int64) *llm.Message {
	for i := len(s.Messages) - 1; i >= 0; i-- {
		if m := &s.Messages[i]; m.Role == llm.Assistant && runOf(*m) == run {
			return m
		}
	}
	return s.add(llm.Message{ID: run + ".end", Role: llm.Assistant}, run, ts)
}

func (s *State) add(m llm.Message, run string, ts int64) *llm.Message {
	d := details(&m.Metadata)
	d.Run, d.At = run, ts
	s.Messages = append(s.Messages, m)
	return &s.Messages[len(s.Messages)-1]
}

func (s *State) open(e Entry) {
	id := e.Ev.MessageID
	if slices.Contains(s.Open, id) {
		return
	}
	role := llm.Assistant
	if e.Ev.Type == ReasoningStart {
		role = llm.Reasoning
	}
	if s.find(id) == nil {
		s.add(llm.Message{ID: id, Role: role}, e.Run, e.TS)
	}
	s.Open = append(s.Open, id)
	s.By = ""
	if m := e.Ev.Metadata; m != nil && role == llm.Assistant {
		s.By = m.Parley.Model
	}
	if s.writing == nil {
		s.writing = map[string]*strings.Builder{}
	}
	s.writing[id] = &strings.Builder{}
	s.writing[id].WriteString(s.find(id).Content)
}

// finish notes why the model ended a message, if not because it was done, and
// what its provider wants back with it.
func (s *State) finish(ev *Event) {
	if s.writing[ev.MessageID] != nil && ev.Metadata != nil {
		d := details(&s.find(ev.MessageID).Metadata)
		end := ev.Metadata.Parley
		d.Finish, d.Provider, d.Model, d.Missed, d.Format = end.Finish, end.Provider, end.Model, end.Missed, end.Format
		d.Usage = end.Usage
	}
}

func (s *State) close(id string) {
	if b := s.writing[id]; b != nil {
		s.find(id).Content = b.String()
		delete(s.writing, id)
	}
	s.Open = slices.DeleteFunc(s.Open, func(o string) bool { return o == id })
	if len(s.Open) == 0 {
		s.Open, s.By = nil, ""
	}
}

func (s *State) find(id string) *llm.Message {
	for i := len(s.Messages) - 1; i >= 0; i-- {
		if s.Messages[i].ID == id {
			return &s.Messages[i]
		}
	}
	return nil
}

// Clone returns a State that shares nothing with s that either may change,
// its open messages as far as they are written.
func (s *State) Clone() State {
	c := *s
	c.Messages = slices.Clone(s.Messages)
	for i := range c.Messages {
		m := &c.Messages[i]
		m.ToolCalls = slices.Clone(m.ToolCalls)
		m.Metadata = cloneMetadata(m.Metadata)
		if b := s.writing[m.ID]; b != nil {
			m.Content = b.String()
		}
	}
	c.Queued, c.Open, c.Interrupts = slices.Clone(s.Queued), slices.Clone(s.Open), slices.Clone(s.Interrupts)
	c.Pins = slices.Clone(s.Pins)
	c.Suggestions = slices.Clone(s.Suggestions)
	if s.Run != nil {
		r := *s.Run
		c.Run = &r
	}
	c.reopen()
	return c
}

// reopen makes the builders of open messages from their content so far.
func (s *State) reopen() {
	s.writing = nil
	for _, id := range s.Open {
		m := s.find(id)
		if m == nil {
			continue
		}
		if s.writing == nil {
			s.writing = map[string]*strings.Builder{}
		}
		s.writing[id] = &strings.Builder{}
		s.writing[id].WriteString(m.Content)
	}
}

func cloneMetadata(m *llm.Metadata) *llm.Metadata {
	if m == nil {
		return nil
	}
	c := *m
	return &c
}

func details(m **llm.Metadata) *llm.Details {
	if *m == nil {
		*m = &llm.Metadata{}
	}
	return &(*m).Parley
}

func runOf(m llm.Message) string {
	if m.Metadata == nil {
		return ""
	}
	return m.Metadata.Parley.Run
}

func has(ms []llm.Message, id string) bool {
	return slices.ContainsFunc(ms, func(m llm.Message) bool { return m.ID == id })
}

// Begun returns the message that a run's writer was in the midst of, as far as
// it is written, if its model can go on with it; nil if not.
func (s *State) Begun(run string) *llm.Message {
	if s.By == "" || len(s.Open) != 1 || len(s.Messages) == 0 {
		return nil
	}
	m := s.Messages[len(s.Messages)-1]
	if m.ID != s.Open[0] || runOf(m) != run || m.Role != llm.Assistant || len(m.ToolCalls) > 0 {
		return nil
	}
	if b := s.writing[m.ID]; b != nil {
		m.Content = b.String()
	}
	return &m
}

// RunMessages returns what a run has said so far, its open messages left out.
func (s *State) RunMessages(run string) (ms []llm.Message) {
	for _, m := range s.Messages {
		if m.Role != llm.User && runOf(m) == run && !slices.Contains(s.Open, m.ID) {
			ms = append(ms, m)
		}
	}
	return ms
}

// first returns the id of the first message, if there is one.
func (s *State) first() string {
	if len(s.Messages) == 0 {
		return ""
	}
	return s.Messages[0].ID
}
