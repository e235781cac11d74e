//go:build integration

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A benchModel is a model whose every piece says when it was sent. It speaks
// the OpenAI protocol.
type benchModel struct {
	ahead  int           // pieces sent as fast as it goes, before those that are paced
	pieces int           // pieces of an answer that are paced
	every  time.Duration // between two of them

	asked   atomic.Int64 // requests so far
	arrived atomic.Int64 // when the last request came, µs since 1970
	srv     *httptest.Server
}

func benchServeModel(b *testing.B, m *benchModel) *benchModel {
	m.srv = httptest.NewServer(m)
	b.Cleanup(m.srv.Close)
	return m
}

func (m *benchModel) url() string { return m.srv.URL + "/v1" }

// ServeHTTP answers a question.
func (m *benchModel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.arrived.Store(time.Now().UnixMicro())
	m.asked.Add(1)
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	for i := range m.ahead {
		m.say(w, benchPiece(time.Now()))
		if i%100 == 99 {
			_ = out.Flush()
			time.Sleep(5 * time.Millisecond) // 20,000 a second
		}
	}
	begin := time.Now()
	for i := range m.pieces {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * m.every)))
		m.say(w, benchPiece(time.Now()))
		if out.Flush() != nil {
			return
		}
	}
	fmt.Fprint(w, `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1795347242,"model":"bench","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
}

func (m *benchModel) say(w io.Writer, piece string) {
	fmt.Fprintf(w, `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1795347242,"model":"bench","choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":null}]}`+"\n\n", piece)
}

// pieceLen is the length of every piece: a word or two.
const pieceLen = 11

// benchPiece is a piece that says when it was sent, in µs since 1970.
func benchPiece(t time.Time) string { return strconv.FormatInt(t.UnixMicro(), 36) + " " }

// benchSent returns when a piece was sent.
func benchSent(piece string) (time.Time, bool) {
	us, err := strconv.ParseInt(strings.TrimSuffix(piece, " "), 36, 64)
	return time.UnixMicro(us), err == nil
}
