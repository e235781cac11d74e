package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"

	"parley/llm"
)

// A Remote is a model behind an HTTP interface, whichever its protocol. All
// methods may be called concurrently.
type Remote struct {
	wire
	proto protocol
	input *inputs
}

var _ llm.Model = (*Remote)(nil)

// A wire is the way to one model. It never changes.
type wire struct {
	provider string // in errors and usage
	url      string
	target   *url.URL // the same
	host     string
	header   http.Header // the key in it
	key      string
	model    string
	lines    bool // JSON lines come, and no server-sent events
	opts     Options
	client   *http.Client
	limits   Limits
}

// A protocol is how one kind of server is spoken to.
type protocol interface {
	request(w *wire, req llm.Request) any // what is posted, as JSON
	decoder(w *wire) decoder
}

// A decoder makes pieces of what a server sends for one request.
type decoder interface {
	// take takes in one event and returns what there is to hand on of it, and
	// how far the answer is.
	take(ev event) (llm.Chunk, progress, error)
	// whole takes in an answer that came as one piece of JSON.
	whole(data []byte) (llm.Chunk, progress, error)
	// end is called once, when take has said that the model ended.
	end() (answer, error)
}

// A counter is a decoder that knows what an answer has cost before its end;
// nil if nothing was told.
type counter interface{ cost() *llm.Usage }

func spent(d decoder) *llm.Usage {
	if c, ok := d.(counter); ok {
		return c.cost()
	}
	return nil
}

// An event is one message of a stream. Its data is valid until the next one
// is read.
type event struct {
	name string // of the event: field, "" for the default
	data []byte
	cut  bool // the stream ended inside this event: data may be a part of it
}

// progress is how far an answer is.
type progress int

const (
	going progress = iota
	said           // the model has said why it ended; the server may add something
	over           // nothing more is needed
)

// An answer is what is known once a model has ended.
type answer struct {
	calls *callList
	final llm.Chunk // with Finish
}

// Name returns the model's name as the server knows it.
func (r *Remote) Name() string { return r.model }

// Provider returns the name of the protocol that is spoken, such as
// "anthropic".
func (r *Remote) Provider() string { return r.provider }

// Host returns the host that is asked, with its port if it has one.
func (r *Remote) Host() string { return r.host }

// CloseIdleConnections closes the connections that no stream uses.
func (r *Remote) CloseIdleConnections() { r.client.CloseIdleConnections() }

// at sets the address that requests go to.
func (r *Remote) at(u *url.URL) {
	r.url, r.host = u.String(), u.Host
	r.target, _ = url.Parse(r.url) // for what cannot be parsed no request is made
}

// Stream asks the model, see [llm.Model]. Errors are of type [*llm.Error],
// but for ctx's own.
func (r *Remote) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Chunk, error] {
	return func(yield func(llm.Chunk, error) bool) {
		w := newWatch(ctx, r.limits.Total)
		defer w.stop()
		s := &stream{wire: &r.wire, w: w, yield: yield, pause: req.Pause, dec: r.proto.decoder(&r.wire)}
		err := s.run(r.proto.request(&r.wire, begun(r.told(r.fitted(ctx, req)))))
		if err == nil || errors.Is(err, errStopped) {
			return
		}
		if ctx.Err() != nil {
			yield(llm.Chunk{}, ctx.Err())
			return
		}
		yield(llm.Chunk{Usage: spent(s.dec)}, s.describe(err))
	}
}

// post sends a request.
func (w *wire) post(ctx context.Context, request any) (*http.Response, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, &llm.Error{Kind: llm.BadRequest, Message: "the request is not JSON", Err: err}
	}
	p := &payload{data: body}
	defer p.drop()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, p.open())
	if err != nil {
		return nil, fmt.Errorf("provider: %s: %w", w.provider, err)
	}
	r.ContentLength = int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return p.open(), nil }
	r.URL, r.Header = w.target, w.header // which a transport only reads, and holds for as long as an answer streams
	return w.client.Do(r)
}

// chunkError is an error about an event that is not the protocol.
func chunkError(err error) error {
	return &llm.Error{Kind: llm.Malformed, Message: "a chunk of the stream is not the protocol", Err: err}
}
