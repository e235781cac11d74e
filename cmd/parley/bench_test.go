//go:build integration

package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The answers of a load, as models give them.
const (
	benchAnswers = 100
	benchEvery   = 20 * time.Millisecond // 50 pieces a second
	benchWindow  = 6 * time.Second       // of measuring
)

// BenchmarkPieces follows pieces from the model to the followers: what one
// costs the gateway and Redis, beside what merely writing the frames costs,
// and how old it is when it arrives.
func BenchmarkPieces(b *testing.B) {
	binary := benchBuild(b)
	var plain float64
	b.Run("followers=1", func(b *testing.B) { plain = benchPieces(b, binary, benchLoad{followers: 1, floor: true}) })
	b.Run("followers=5", func(b *testing.B) { benchPieces(b, binary, benchLoad{followers: 5, floor: true}) })
	compared := func(l benchLoad) func(*testing.B) {
		return func(b *testing.B) {
			if s := benchPieces(b, binary, l); plain > 0 { // it may have been left out
				b.ReportMetric(s/plain, "x-of-followers=1")
			}
		}
	}
	b.Run("answers=10x", compared(benchLoad{followers: 1, ahead: 9 * int(benchWindow/benchEvery)}))
	b.Run("idle=1000", compared(benchLoad{followers: 1, idle: 1000}))
	b.Run("redis=inprocess", func(b *testing.B) { benchPieces(b, binary, benchLoad{followers: 1, inProcess: true}) })
}

// A benchLoad is answers at 50 pieces a second.
type benchLoad struct {
	followers int  // of each answer
	ahead     int  // pieces said before measuring begins
	idle      int  // conversations that are followed and have nothing to say
	floor     bool // measure that too
	inProcess bool // the Redis
}

// benchPieces returns the gateway's CPU seconds for a million pieces
// delivered.
func benchPieces(b *testing.B, binary string, l benchLoad) float64 {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	m := benchServeModel(b, &benchModel{ahead: l.ahead, pieces: int((benchWindow + 3*time.Second) / benchEvery), every: benchEvery})
	h := benchServe(b, binary, m, l.inProcess)
	h.crowd(ctx, l.idle, 1, &benchTally{})
	t := &benchTally{}
	fs := h.crowd(ctx, benchAnswers, l.followers, t)
	b.ResetTimer()
	for i := 0; i < len(fs); i += l.followers {
		if err := fs[i].ask(ctx); err != nil {
			b.Fatal(err)
		}
	}
	benchWait(b, "all answers have begun", func() bool { return t.pieces.Load() > int64(len(fs)*(l.ahead+20)) && int(t.begun.Load()) == len(fs) })
	w := h.measure(t, benchWindow)
	benchWait(b, "all answers have ended", func() bool { return int(t.ended.Load()) == len(fs) })
	b.StopTimer()
	if want := int64(len(fs) * (m.ahead + m.pieces)); t.pieces.Load() != want {
		b.Errorf("%d pieces were heard, %d were sent", t.pieces.Load(), want)
	}
	gateway := w.report(b, h)
	benchReportAges(b, fs)
	if l.floor {
		each := time.Duration(int64(benchWindow) * int64(len(fs)) / w.frames)
		floor := perMillion(benchFloor(b, benchAnswers, l.followers, int(w.bytes/w.frames), each, benchWindow)*time.Duration(w.frames), w.pieces)
		b.ReportMetric(floor, "floor-s/Mpiece")
		b.ReportMetric(gateway/floor, "gateway/floor")
		b.ReportMetric(perMillion(w.redis, w.pieces)/floor, "redis/floor")
		single := perMillion(benchFloor(b, benchAnswers, l.followers, int(w.bytes/w.frames), benchEvery, benchWindow), 1)
		b.ReportMetric(gateway/single, "gateway/floor-of-pieces") // a frame for each piece, as a server without gathering writes them
		b.ReportMetric(perMillion(w.redis, w.pieces)/single, "redis/floor-of-pieces")
	}
	return gateway
}

// A benchWork is what was done in some time.
type benchWork struct {
	gateway, redis        time.Duration // CPU
	frames, bytes, pieces int64
}

func (h *benchHouse) work(t *benchTally) benchWork {
	w := benchWork{gateway: h.cpu(), frames: t.frames.Load(), bytes: t.bytes.Load(), pieces: t.pieces.Load()}
	if h.redis != nil {
		w.redis = h.redis.cpu()
	}
	return w
}

// measure returns what is done during a time from now on.
func (h *benchHouse) measure(t *benchTally, window time.Duration) benchWork {
	t.open.Store(true)
	defer t.open.Store(false)
	before := h.work(t)
	time.Sleep(window)
	w := h.work(t)
	return benchWork{
		gateway: w.gateway - before.gateway, redis: w.redis - before.redis,
		frames: w.frames - before.frames, bytes: w.bytes - before.bytes, pieces: w.pieces - before.pieces,
	}
}

func (w benchWork) report(b *testing.B, h *benchHouse) float64 {
	gateway := perMillion(w.gateway, w.pieces)
	b.ReportMetric(gateway, "gateway-s/Mpiece")
	if h.redis != nil {
		b.ReportMetric(perMillion(w.redis, w.pieces), "redis-s/Mpiece")
	}
	b.ReportMetric(float64(w.pieces)/float64(w.frames), "pieces/frame")
	b.ReportMetric(0, "ns/op") // means nothing here
	return gateway
}

// perMillion returns CPU seconds for a million of n.
func perMillion(cpu time.Duration, n int64) float64 { return cpu.Seconds() * 1e6 / float64(max(1, n)) }

// BenchmarkFirstPiece asks one question after the other and measures what
// lies between asking and the first piece, but for what the model takes.
func BenchmarkFirstPiece(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	m := benchServeModel(b, &benchModel{pieces: 1})
	h := benchServe(b, benchBuild(b), m, false)
	var added []time.Duration
	for b.Loop() {
		b.StopTimer()
		fs := h.crowd(ctx, 1, 1, &benchTally{})
		b.StartTimer()
		asked := time.Now()
		if err := fs[0].ask(ctx); err != nil {
			b.Fatal(err)
		}
		first := <-fs[0].first
		model := first.sent.Sub(time.UnixMicro(m.arrived.Load()))
		added = append(added, first.heard.Sub(asked)-model)
	}
	b.ReportMetric(benchPercentile(added, .5), "added-p50-ms")
	b.ReportMetric(benchPercentile(added, .99), "added-p99-ms")
}

// BenchmarkIdleConnections measures the memory of connections that follow a
// conversation each, in which nothing happens.
func BenchmarkIdleConnections(b *testing.B) {
	const connections = 5000
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	m := benchServeModel(b, &benchModel{pieces: 10})
	h := benchServe(b, benchBuild(b), m, false)
	h.crowd(ctx, 50, 1, &benchTally{}) // what the first connections bring is no part of the rest
	h.collect()
	before := h.resident()
	h.crowd(ctx, connections, 1, &benchTally{})
	h.collect()
	b.ReportMetric((h.resident()-before)/connections, "KiB/conn")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkColdStart measures how long it takes from nothing, with an empty
// data folder, until a request is answered.
func BenchmarkColdStart(b *testing.B) {
	binary := benchBuild(b)
	for b.Loop() {
		cmd := benchCommand(b, binary)
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		line, _ := bufio.NewReader(out).ReadString('\n')
		_, url, _ := strings.Cut(strings.TrimSpace(line), "listens on ")
		resp, err := http.Get(url + "/healthz")
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "start-ms")
	b.ReportMetric(0, "ns/op")
}
