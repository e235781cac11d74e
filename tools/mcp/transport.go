package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	methodListen = "subscriptions/listen"
	methodList   = "tools/list"
	methodCall   = "tools/call"

	maxErrorBody = 64 << 10 // bytes read of an answer that is an error or no answer
)

// A wire carries one server's requests. It adds the headers that were given
// for it, ends everything with the link, and bounds what comes back: what is
// too large or no MCP becomes the failure of its own request, where the SDK
// would give up the session and every call in it. All methods may be called
// concurrently.
type wire struct {
	base    http.RoundTripper
	origin  string
	headers map[string]string
	agent   string
	life    context.Context
	most    int           // bytes of an answer, or of one event of a stream
	wait    time.Duration // until a server says whether it will send notices
	silent  func()        // called when the stream of notices has ended
}

// A request is what an answer is matched with.
type request struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
}

func (r request) isCall() bool { return len(r.ID) > 0 && r.Method != "" }

// requestOf reads the message that req carries; none if it carries none.
func requestOf(req *http.Request) (r request) {
	if req.GetBody == nil {
		return r
	}
	body, err := req.GetBody()
	if err != nil {
		return r
	}
	defer func() { _ = body.Close() }()
	_ = json.NewDecoder(body).Decode(&r)
	return r
}

// RoundTrip implements [http.RoundTripper].
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := requestOf(req)
	ctx, cancel := context.WithCancel(req.Context())
	stop := context.AfterFunc(w.life, cancel)
	end := func() { stop(); cancel() }
	if sent.Method == methodListen {
		defer time.AfterFunc(w.wait, cancel).Stop()
		once := end
		end = func() { once(); w.silent() }
	}
	out := req.Clone(ctx)
	out.Header.Set("User-Agent", w.agent)
	if originOf(req.URL) == w.origin {
		for name, value := range w.headers {
			out.Header.Set(name, value)
		}
	}
	res, err := w.base.RoundTrip(out)
	if err != nil {
		end()
		return nil, err
	}
	res.Body = &body{res.Body, end}
	return w.bound(res, sent)
}

func originOf(u *url.URL) string { return origin(u.String()) }

// A body calls end when it is closed.
type body struct {
	io.ReadCloser
	end func()
}

func (b *body) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

// bound returns res with a body that is bounded.
func (w *wire) bound(res *http.Response, sent request) (*http.Response, error) {
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	good := res.StatusCode >= 200 && res.StatusCode < 300
	switch {
	case !sent.isCall() || res.StatusCode >= 300 && res.StatusCode < 400: // a redirect is net/http's
		res.Body = limited(res.Body, maxErrorBody)
		return res, nil
	case media == "text/event-stream" && good:
		res.Body = newEvents(res.Body, w.most, func(why string) []byte { return failed(sent, why) })
		return res, nil
	case media == "application/json":
		return w.boundJSON(res, sent)
	case !good && (sent.Method != methodCall && sent.Method != methodList || res.StatusCode == http.StatusNotFound):
		res.Body = limited(res.Body, maxErrorBody) // the SDK knows what it means
		return res, nil
	case !good:
		return instead(res, sent, fmt.Sprintf("the server answered %d %s", res.StatusCode, http.StatusText(res.StatusCode))), nil
	}
	return instead(res, sent, "the server's answer is "+line(media, 80)+", which is no MCP"), nil
}

func (w *wire) boundJSON(res *http.Response, sent request) (*http.Response, error) {
	b, err := io.ReadAll(io.LimitReader(res.Body, int64(w.most)+1))
	if err != nil {
		_ = res.Body.Close()
		return nil, fmt.Errorf("mcp: read answer: %w", err)
	}
	var message struct {
		JSONRPC string `json:"jsonrpc"`
	}
	switch {
	case len(b) > w.most:
		return instead(res, sent, tooLarge(w.most)), nil
	case json.Unmarshal(b, &message) != nil || message.JSONRPC != "2.0":
		return instead(res, sent, fmt.Sprintf("the server's answer, with status %d, is no JSON-RPC", res.StatusCode)), nil
	}
	_ = res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(b))
	return res, nil
}

func tooLarge(most int) string {
	return fmt.Sprintf("the server's answer is larger than %d bytes and was not read", most)
}

// instead returns res as an answer that says why there is none.
func instead(res *http.Response, sent request, why string) *http.Response {
	_ = res.Body.Close()
	res.StatusCode, res.Status = http.StatusOK, "200 OK"
	res.Header = http.Header{"Content-Type": {"application/json"}}
	res.Body = io.NopCloser(bytes.NewReader(failed(sent, why)))
	return res
}

// codeOurs is the code of errors that are made here and not by the server.
const codeOurs = -32099

func failed(sent request, why string) []byte {
	b, _ := json.Marshal(map[string]any{
		"jsonrpc": "2.0", "id": sent.ID, "error": map[string]any{"code": codeOurs, "message": why},
	})
	return b
}

func limited(b io.ReadCloser, n int64) io.ReadCloser {
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(b, n), b}
}

// secretsOf returns what must not be shown of headers.
func secretsOf(headers map[string]string) (secrets []string) {
	for _, value := range headers {
		secrets = append(secrets, value)
		if _, credentials, ok := strings.Cut(value, " "); ok {
			secrets = append(secrets, strings.TrimSpace(credentials))
		}
	}
	return secrets
}
