package provider_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/llm/provider"
)

// A quietConn is a connection on which a response has begun and nothing more
// comes. It takes no file descriptor.
type quietConn struct {
	net.Conn
	begun  io.Reader
	asked  chan struct{} // closed by the first write
	closed chan struct{}
	ask    sync.Once
	end    sync.Once
}

func (c *quietConn) Read(b []byte) (int, error) {
	select {
	case <-c.asked:
	case <-c.closed:
		return 0, net.ErrClosed
	}
	if n, _ := c.begun.Read(b); n > 0 {
		return n, nil
	}
	<-c.closed
	return 0, net.ErrClosed
}

func (c *quietConn) Write(b []byte) (int, error) {
	c.ask.Do(func() { close(c.asked) })
	return len(b), nil
}

func (c *quietConn) Close() error {
	c.end.Do(func() { close(c.closed) })
	return nil
}

func (c *quietConn) SetDeadline(time.Time) error      { return nil }
func (c *quietConn) SetReadDeadline(time.Time) error  { return nil }
func (c *quietConn) SetWriteDeadline(time.Time) error { return nil }

// What an answer costs whose model is silent, net/http's connection and all.
func BenchmarkIdleStreams(b *testing.B) {
	const streams = 10_000
	for _, a := range longAnswers() {
		b.Run(string(a.dialect), func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(idleStreams(b, a, streams), "B/stream")
			}
		})
	}
}

// idleStreams opens n streams, waits for the first piece of each and returns
// how many bytes of memory one takes.
func idleStreams(b *testing.B, a longAnswer, n int) float64 {
	piece := a.begin + a.text
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(piece), piece)
	m := openDialect(b, a.dialect, provider.Options{BaseURL: "http://quiet.test" + a.dialect.Base(), Client: &http.Client{Transport: &http.Transport{
		ReadBufferSize: 512, WriteBufferSize: 256, DisableCompression: true, // as a client of the provider's own has them
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return &quietConn{begun: strings.NewReader(head), asked: make(chan struct{}), closed: make(chan struct{})}, nil
		},
	}}, Limits: provider.Limits{Idle: time.Hour}})
	before := memory()
	ctx, stop := context.WithCancel(b.Context())
	var begun, done sync.WaitGroup
	begun.Add(n)
	for range n {
		done.Go(func() {
			first := true
			for range m.Stream(ctx, asked) {
				if first {
					begun.Done()
				}
				first = false
			}
		})
	}
	begun.Wait()
	taken := memory() - before
	stop()
	done.Wait()
	return float64(taken) / float64(n)
}

// memory is what the process holds in heap and stacks.
func memory() uint64 {
	for range 4 { // each may halve a stack that has become too large
		runtime.GC()
	}
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc + s.StackInuse
}
