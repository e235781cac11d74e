package main

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// Where memory runs short, and where there is enough again, as parts of the
// limit; and how often that is looked at. A collector that is left less than
// a tenth or so is busy with nothing else.
const (
	shortAt     = 0.85
	enoughAt    = 0.75
	memoryEvery = 250 * time.Millisecond
)

// A memory knows how much of its memory the process needs, and says when it is
// short of more. All methods may be called concurrently; watch is called once.
type memory struct {
	limit int64        // bytes, 0 for none
	used  func() int64 // bytes that the collector cannot give back
	log   *slog.Logger

	short atomic.Bool
	since time.Time // when memory got short, or the latest collection was asked for; owned by watch
}

// openMemory sets the limit that Go's collector goes by: the one of the
// settings, or GOMEMLIMIT, or nine tenths of what the container has. Without
// any of these there is none, and memory is never short.
func openMemory(s settings, log *slog.Logger) *memory {
	m := &memory{used: usedMemory(), log: log}
	from := "GOMEMLIMIT"
	switch {
	case s.Memory > 0:
		from = "PARLEY_MEMORY"
		debug.SetMemoryLimit(s.Memory)
	case os.Getenv("GOMEMLIMIT") == "":
		limit, err := memlimit.FromCgroup()
		if err != nil || limit == 0 || limit > math.MaxInt64 {
			if err != nil && !errors.Is(err, memlimit.ErrNoLimit) {
				log.Debug("the container's memory limit is not known", "error", err)
			}
			return m
		}
		from = "the container"
		debug.SetMemoryLimit(int64(float64(limit) * 0.9))
	}
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		m.limit = limit
		log.Info("memory limit", "bytes", limit, "from", from)
	}
	return m
}

// Short reports whether there is no memory for more.
func (m *memory) Short() bool { return m.short.Load() }

// Limit returns the limit in bytes, 0 for none.
func (m *memory) Limit() int64 { return m.limit }

// Used returns how many bytes the collector could not give back at its latest
// run.
func (m *memory) Used() int64 { return m.used() }

// watch looks at the memory until ctx ends.
func (m *memory) watch(ctx context.Context) error {
	if m.limit == 0 {
		return nil
	}
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			m.look()
			m.collect()
		}
	}
}

// collectEvery is how long memory may be short without a collection.
const collectEvery = 2 * time.Second

// collect has Go look at what is alive: where nothing new is taken nothing is
// allocated, and it would not do so by itself for minutes.
func (m *memory) collect() {
	if !m.Short() {
		m.since = time.Now()
		return
	}
	if time.Since(m.since) > collectEvery {
		runtime.GC()
		m.since = time.Now()
	}
}

func (m *memory) look() {
	used := m.used()
	part := float64(used) / float64(m.limit)
	switch short := m.short.Load(); {
	case !short && part >= shortAt:
		m.short.Store(true)
		m.log.Warn("memory is short: no new connections, messages and answers", "used", used, "limit", m.limit)
	case short && part < enoughAt:
		m.short.Store(false)
		m.log.Info("there is memory again", "used", used, "limit", m.limit)
	}
}

// usedMemory returns a function that adds up what the limit counts and the
// collector cannot give back: what of the heap was alive at its latest run,
// and stacks and what the runtime keeps for itself. What is garbage by now, or
// free for the next, does not count: near its limit Go collects in time.
func usedMemory() func() int64 {
	const live, total, objects = "/gc/heap/live:bytes", "/memory/classes/total:bytes", "/memory/classes/heap/objects:bytes"
	less := []string{objects, "/memory/classes/heap/free:bytes", "/memory/classes/heap/released:bytes", "/memory/classes/heap/unused:bytes"}
	return func() int64 {
		samples := []runtimemetrics.Sample{{Name: live}, {Name: total}}
		for _, name := range less {
			samples = append(samples, runtimemetrics.Sample{Name: name})
		}
		runtimemetrics.Read(samples)
		used := int64(samples[0].Value.Uint64() + samples[1].Value.Uint64())
		for _, s := range samples[2:] {
			used -= int64(s.Value.Uint64())
		}
		return max(used, 0)
	}
}

func memoryRow() setting {
	return setting{
		name: "memory", arg: "size", shown: "GOMEMLIMIT, or 90 % of the container's",
		help: "Memory that this process is to stay within, such as 512MiB; short of it, nothing new is taken.",
		set: func(s *settings, v string) (err error) {
			if s.Memory = 0; v != "" {
				s.Memory, err = bytesOf(v)
			}
			return err
		},
		get: func(s *settings) string {
			if s.Memory == 0 {
				return ""
			}
			return strconv.FormatInt(s.Memory, 10)
		},
	}
}

// leastMemory is what a Parley needs that does anything.
const leastMemory = 64 << 20

// bytesOf reads a size as GOMEMLIMIT has it.
func bytesOf(v string) (int64, error) {
	wrong := errors.New("is not a size of at least 64MiB, such as 512MiB or 2GiB")
	units := []struct {
		name  string
		bytes int64
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}}
	for _, u := range units {
		number, ok := strings.CutSuffix(v, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.bytes || n*u.bytes < leastMemory {
			return 0, wrong
		}
		return n * u.bytes, nil
	}
	return 0, wrong
}
