package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// A answer is what the model says to one question: so many pieces, each
// of which can be told from every other near it, and when each was said. All
// fields but the atomic ones are set before the question is asked.
type answer struct {
	key    string
	pieces int
	due    int // followers that are to hear it

	asked   atomic.Int64   // when the question was sent, by the load's clock
	arrived atomic.Int64   // when the model was asked
	sent    []atomic.Int64 // when each piece was said
	ended   atomic.Int64   // followers that have heard its end
}

func newAnswer(key string, pieces, due int) *answer {
	return &answer{key: key, pieces: pieces, due: due, sent: make([]atomic.Int64, pieces)}
}

// A text is what all answers say: piece after piece of one size, each the
// number of the piece in base 36 and, if there is room, a space. Nothing else
// has to be sent along for a follower to know whether it has missed one, and
// when it was said.
type text struct{ size int }

const digits36 = "0123456789abcdefghijklmnopqrstuvwxyz"

// append writes the piece of a number.
func (t text) append(b []byte, n int) []byte {
	from := len(b)
	for range t.size {
		b = append(b, ' ')
	}
	for i := from + t.digits() - 1; i >= from; i-- {
		b[i] = digits36[n%36]
		n /= 36
	}
	return b
}

// digits is how many of a piece's bytes tell its number.
func (t text) digits() int { return max(1, t.size-1) }

// number returns the number that a piece tells, of those that look alike the
// one nearest to what is expected.
func (t text) number(piece []byte, expected int) (int, bool) {
	digits := piece[:min(t.digits(), 10)]
	if len(piece) > 10 { // no answer has so many pieces: what comes before are zeros
		digits = piece[t.digits()-10 : t.digits()]
	}
	n, err := strconv.ParseInt(string(digits), 36, 64)
	if err != nil || n < 0 {
		return 0, false
	}
	around := 1
	for range len(digits) {
		around *= 36
	}
	up := (int(n) - expected%around + around) % around
	if up > around/2 {
		up -= around
	}
	return expected + up, true
}

// mark stands before the key of a question.
const mark = "Benchmark question "

// question is what is asked to get an answer.
func (a *answer) question() string { return mark + a.key + "." }

// keyIn returns the key of the last question in a text.
func keyIn(text []byte) string {
	i := bytes.LastIndex(text, []byte(mark))
	if i < 0 {
		return ""
	}
	rest := text[i+len(mark):]
	end := bytes.IndexByte(rest, '.')
	return string(rest[:max(end, 0)])
}

// A model is a model with an OpenAI-compatible API that says the pieces
// of answers, one every so often. All methods may be called concurrently.
type model struct {
	text  text
	every time.Duration // between two pieces
	now   func() int64  // the load's clock

	asked atomic.Int64 // requests so far

	mu      sync.Mutex
	answers map[string]*answer

	srv *http.Server
	ln  net.Listener
}

// listen begins to serve, until close.
func (m *model) listen(ctx context.Context, addr string) (err error) {
	if m.ln, err = new(net.ListenConfig).Listen(ctx, "tcp", addr); err != nil {
		return fmt.Errorf("--model-addr: %w", err)
	}
	m.srv = &http.Server{Handler: m, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = m.srv.Serve(m.ln) }() // ends with close
	return nil
}

func (m *model) close() {
	if m.srv != nil {
		_ = m.srv.Close()
	}
}

// url is the base URL of the model's API.
func (m *model) url() string { return "http://" + m.ln.Addr().String() + "/v1" }

func (m *model) add(a *answer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answers[a.key] = a
}

func (m *model) remove(a *answer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.answers, a.key)
}

// find returns the answer to a question, nil for one that is none of this
// run's.
func (m *model) find(text []byte) *answer {
	key := keyIn(text)
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.answers[key]
}

// maxPrompt is how much is read of a request to the model.
const maxPrompt = 16 << 20

// ServeHTTP answers a question.
func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arrived := m.now()
	m.asked.Add(1)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPrompt))
	if err != nil {
		return
	}
	a := m.find(body)
	if a == nil {
		http.Error(w, `{"error":{"message":"not a question of this benchmark","type":"invalid_request_error"}}`, http.StatusBadRequest)
		return
	}
	a.arrived.Store(arrived)
	w.Header().Set("Content-Type", "text/event-stream")
	if m.say(r.Context(), w, a) == nil {
		_, _ = io.WriteString(w, streamEnd)
	}
}

// The parts of a stream around what is said.
const (
	beforePiece = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1795347242,"model":"bench","choices":[{"index":0,"delta":{"content":"`
	behindPiece = `"},"finish_reason":null}]}` + "\n\n"
	streamEnd   = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1795347242,"model":"bench","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"
)

// say streams an answer at the model's pace: a piece that comes late does not
// make those behind it late.
func (m *model) say(ctx context.Context, w http.ResponseWriter, a *answer) error {
	out := http.NewResponseController(w)
	begin := time.Now()
	pace := time.NewTimer(0)
	defer pace.Stop()
	var b []byte
	for i := range a.pieces {
		pace.Reset(time.Until(begin.Add(time.Duration(i) * m.every)))
		select {
		case <-pace.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		b = append(m.text.append(append(b[:0], beforePiece...), i), behindPiece...)
		a.sent[i].Store(m.now())
		if _, err := w.Write(b); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return errors.Join(err, ctx.Err())
		}
	}
	return nil
}
