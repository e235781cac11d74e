package provider

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// Limits bound how long a model may take and how much it may send at once.
// The zero value is the default.
//
// Comments that a server sends to keep a connection open are not pieces.
type Limits struct {
	FirstPiece time.Duration // from the request to the first piece; 60 s
	Idle       time.Duration // between two pieces; 30 s
	Total      time.Duration // of one whole answer; 10 min
	MaxLine    int           // bytes of one event, and of all arguments of an answer's calls; 32 MB
}

func (l Limits) withDefaults() Limits {
	return Limits{
		FirstPiece: cmp.Or(l.FirstPiece, 60*time.Second),
		Idle:       cmp.Or(l.Idle, 30*time.Second),
		Total:      cmp.Or(l.Total, 10*time.Minute),
		MaxLine:    cmp.Or(l.MaxLine, 32<<20),
	}
}

// A lateError says what did not come in time.
type lateError struct{ what string }

func (l *lateError) Error() string { return l.what }

// A watch ends its context when something expected did not come in time. Only
// waiting for the model counts towards FirstPiece and Idle: the clock stands
// still while a consumer looks at a piece. It is for one goroutine.
type watch struct {
	parent context.Context
	ctx    context.Context
	cancel context.CancelCauseFunc
	total  time.Duration
	end    time.Time   // of the whole answer
	timer  *time.Timer // for the end, or before it for what is expected
}

// newWatch derives a watched context from ctx. The caller must call stop.
func newWatch(ctx context.Context, total time.Duration) *watch {
	w := &watch{parent: ctx, total: total, end: time.Now().Add(total)}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(total, w.late)
	return w
}

func (w *watch) late() {
	if time.Now().Before(w.end) {
		w.cancel(&lateError{"no piece of an answer came in time"})
		return
	}
	w.cancel(&lateError{fmt.Sprintf("the answer took longer than %v", w.total)})
}

// expect ends the context unless came is called within d.
func (w *watch) expect(d time.Duration) { w.timer.Reset(min(d, time.Until(w.end))) }

func (w *watch) came() { w.timer.Reset(time.Until(w.end)) }

func (w *watch) stop() {
	w.timer.Stop()
	w.cancel(nil)
}
