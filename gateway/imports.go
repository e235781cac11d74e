package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"parley/gateway/chat"
)

// A Board shows all replicas what one of them is doing.
type Board interface {
	// Show is called again and again while something goes on, and reports
	// whether somebody wants that stopped.
	Show(ctx context.Context, id string, text []byte) (stop bool, err error)
	// Look returns what was shown last, nil for nothing, and whether whoever
	// showed it still lives.
	Look(ctx context.Context, id string) (text []byte, alive bool, err error)
	Stop(ctx context.Context, id string) error
	Forget(ctx context.Context, id string) error
}

// An importState says how far an import is.
type importState string

// The states of an import, in their order; the last four are ends.
const (
	importQueued      importState = "queued"
	importFetching    importState = "fetching"    // counted in bytes
	importReading     importState = "reading"     // not counted
	importBuilding    importState = "building"    // counted in operations
	importRegistering importState = "registering" // counted in operations
	importDone        importState = "done"
	importFailed      importState = "failed"
	importCancelled   importState = "cancelled"
	importLost        importState = "lost" // with its replica
)

func (s importState) ended() bool {
	return s == importDone || s == importFailed || s == importCancelled || s == importLost
}

// An importView is what people are shown of an import.
type importView struct {
	ID      string          `json:"id"`
	State   importState     `json:"state"`
	Ahead   int             `json:"ahead,omitempty"` // while it is queued: imports before it
	Count   int64           `json:"count,omitempty"` // bytes or operations that this state is through with
	Of      int64           `json:"of,omitempty"`    // of how many, 0 if that is not known
	From    string          `json:"from,omitempty"`  // the document's address
	Created time.Time       `json:"created"`
	Ended   *time.Time      `json:"ended,omitempty"`
	Report  json.RawMessage `json:"report,omitempty"`  // of one that is done
	Problem *Problem        `json:"problem,omitempty"` // of one that ended otherwise
}

// An importJob is an import from when it is accepted until nobody waits for it
// any more. All methods may be called concurrently.
type importJob struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	ended  chan struct{} // closed at its end

	mu   sync.Mutex // guards all below
	view importView
	err  error // at the end, if it is not done
}

// at says how far it is.
func (j *importJob) at(state importState, count, of int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.view.State, j.view.Count, j.view.Of = state, count, of
}

// result returns the report, or why there is none, of one that has ended.
func (j *importJob) result() ([]byte, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.view.Report, j.err
}

// What ends an import from outside.
var (
	errImportCancelled = errors.New("gateway: import: cancelled")
	errImportDrained   = errors.New("gateway: import: the replica shuts down")
	errImportTime      = errors.New("gateway: import: its time is up")
)

// An importDesk carries out a replica's imports one after the other, since a
// document takes many times its size of memory for a moment. Those that
// somebody was told of it shows on a board, so that every replica can be asked
// about them. All methods may be called concurrently.
type importDesk struct {
	board Board
	log   *slog.Logger
	most  int           // imports at the desk, the one under way included
	time  time.Duration // of one
	turn  chan struct{} // held by the import that is under way

	mu     sync.Mutex // guards all below
	places int        // taken
	jobs   []*importJob
	shown  []string // on the board, the oldest first
	closed bool

	wg sync.WaitGroup // goroutines of jobs
}

const (
	importBeat  = 500 * time.Millisecond // between two looks at the board
	shownMost   = 16                     // imports of a replica that can be asked about after their end
	shownWithin = 5 * time.Second        // for telling the board
	shownTries  = 3                      // of telling it an end
)

func newImportDesk(b Board, l Limits, log *slog.Logger) *importDesk {
	return &importDesk{board: b, log: log, most: 1 + l.Imports, time: l.ImportTime, turn: make(chan struct{}, 1)}
}

// enter takes a place at the desk, which leave gives back: a document that
// waits takes memory too.
func (d *importDesk) enter() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return errImportDrained
	case d.places >= d.most:
		return problem(http.StatusServiceUnavailable, codeBusy, "As many imports as may be are under way. Try again in a moment.").after(2 * time.Second)
	}
	d.places++
	return nil
}

func (d *importDesk) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.places--
}

// run runs f in a goroutine that close waits for.
func (d *importDesk) run(f func()) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.wg.Go(f)
	}
	return !d.closed
}

// begin has work done when its turn comes, by whoever has entered. The job
// gives the place back.
func (d *importDesk) begin(from string, explain func(error) *Problem, work func(j *importJob) ([]byte, error)) *importJob {
	j := &importJob{ended: make(chan struct{}), view: importView{ID: chat.NewID("i"), State: importQueued, From: from, Created: time.Now().UTC()}}
	j.ctx, j.cancel = context.WithCancelCause(context.Background())
	d.mu.Lock()
	d.jobs = append(d.jobs, j)
	d.mu.Unlock()
	carryOut := func() {
		defer d.leave()
		report, err := d.inTurn(j, work)
		d.end(j, report, err, explain)
	}
	if !d.run(carryOut) {
		d.leave()
		d.end(j, nil, errImportDrained, explain)
	}
	return j
}

// inTurn does the work when it is its turn, and frees what it took.
func (d *importDesk) inTurn(j *importJob, work func(j *importJob) ([]byte, error)) ([]byte, error) {
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-j.ctx.Done():
		return nil, context.Cause(j.ctx)
	}
	defer time.AfterFunc(d.time, func() { j.cancel(errImportTime) }).Stop()
	report, err := work(j)
	if cause := context.Cause(j.ctx); err != nil && cause != nil {
		err = cause
	}
	return report, err
}

// end says what came of it.
func (d *importDesk) end(j *importJob, report []byte, err error, explain func(error) *Problem) {
	now := time.Now().UTC()
	j.mu.Lock()
	j.view.Ended, j.view.Report, j.err = &now, report, err
	switch j.view.State = importFailed; {
	case err == nil:
		j.view.State, j.view.Count, j.view.Of = importDone, 0, 0
	case errors.Is(err, errImportCancelled):
		j.view.State = importCancelled
	}
	if err != nil {
		j.view.Problem = explain(err)
	}
	j.mu.Unlock()
	j.cancel(nil)
	close(j.ended)
}

// forget takes a job off the desk: its result has been told.
func (d *importDesk) forget(j *importJob) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.jobs = slices.DeleteFunc(d.jobs, func(other *importJob) bool { return other == j })
}

// show puts a job on the board and keeps it there up to date, until its end.
// It returns when the board has it, or does not answer.
func (d *importDesk) show(j *importJob) {
	d.tell(j)
	if !d.run(func() { d.keepShown(j) }) {
		d.forget(j)
	}
}

func (d *importDesk) keepShown(j *importJob) {
	tick := time.NewTicker(importBeat)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			d.tell(j)
		case <-j.ended:
			for range shownTries {
				if d.tell(j) {
					break
				}
			}
			d.forget(j)
			d.makeRoom(j.view.ID)
			return
		}
	}
}

// tell shows the board how far a job is, and cancels it if somebody wants that.
func (d *importDesk) tell(j *importJob) bool {
	text, err := json.Marshal(d.viewOf(j))
	if err != nil { // it holds JSON only
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), shownWithin)
	defer cancel()
	stop, err := d.board.Show(ctx, j.view.ID, text)
	if err != nil {
		d.log.Warn("an import could not be shown to other replicas", "import", j.view.ID, "error", err)
	}
	if stop {
		j.cancel(errImportCancelled)
	}
	return err == nil
}

// makeRoom forgets the oldest imports when there are many on the board.
func (d *importDesk) makeRoom(id string) {
	d.mu.Lock()
	var old []string
	d.shown = append(d.shown, id)
	if n := len(d.shown) - shownMost; n > 0 {
		old, d.shown = d.shown[:n], slices.Clone(d.shown[n:])
	}
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), shownWithin)
	defer cancel()
	for _, id := range old {
		_ = d.board.Forget(ctx, id) // it goes by itself
	}
}

// viewOf returns what there is to see of a job.
func (d *importDesk) viewOf(j *importJob) importView {
	ahead := 0
	d.mu.Lock()
	for _, other := range d.jobs {
		if other == j {
			break
		}
		select {
		case <-other.ended:
		default:
			ahead++
		}
	}
	d.mu.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	v := j.view
	if v.State == importQueued {
		v.Ahead = ahead
	}
	return v
}

// here returns the job of that name if this replica has it.
func (d *importDesk) here(id string) *importJob {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, j := range d.jobs {
		if j.view.ID == id { // an id does not change
			return j
		}
	}
	return nil
}

// look returns what there is to see of an import, wherever it is.
func (d *importDesk) look(ctx context.Context, id string) (v importView, err error) {
	if j := d.here(id); j != nil {
		return d.viewOf(j), nil
	}
	text, alive, err := d.board.Look(ctx, id)
	if err != nil {
		return v, err
	}
	if text == nil || json.Unmarshal(text, &v) != nil {
		return v, problem(http.StatusNotFound, codeNotFound, "There is no such import any more: what came of one is kept for a quarter of an hour.")
	}
	if !alive && !v.State.ended() {
		v.State, v.Problem = importLost, problem(http.StatusServiceUnavailable, codeUnavailable, "The replica that imported has died or is cut off. "+importAgain)
	}
	return v, nil
}

// cancel ends an import that is under way, and forgets one that has ended.
func (d *importDesk) cancel(ctx context.Context, id string) (importView, error) {
	if j := d.here(id); j != nil {
		j.cancel(errImportCancelled)
	}
	v, err := d.look(ctx, id)
	switch {
	case err != nil:
		return v, err
	case v.State.ended():
		return v, d.board.Forget(ctx, id)
	}
	return v, d.board.Stop(ctx, id)
}

// close ends all imports and returns when that is told.
func (d *importDesk) close() {
	d.mu.Lock()
	d.closed = true
	for _, j := range d.jobs {
		j.cancel(errImportDrained)
	}
	d.mu.Unlock()
	d.wg.Wait()
}

// freeMemory gives back what a large document took.
func freeMemory(document int) {
	if document > 1<<20 {
		debug.FreeOSMemory()
	}
}
