package main

import (
	"log/slog"
	"runtime"
	"testing"
)

func TestMemoryIsShortUntilThereIsEnough(t *testing.T) {
	used := int64(0)
	m := &memory{limit: 1000, used: func() int64 { return used }, log: slog.New(slog.DiscardHandler)}
	for _, c := range []struct {
		used int64
		want bool
	}{{500, false}, {849, false}, {850, true}, {800, true}, {750, true}, {749, false}, {849, false}, {2000, true}} {
		used = c.used
		if m.look(); m.Short() != c.want {
			t.Errorf("with %d of 1000 in use memory is short: %v", c.used, m.Short())
		}
	}
}

// Where nothing new is taken nothing has Go look at what is alive.
func TestMemoryIsFoundAgainWithoutWork(t *testing.T) {
	m := &memory{used: usedMemory(), log: slog.New(slog.DiscardHandler)}
	held := make([]byte, 64<<20)
	runtime.GC()
	m.limit = m.Used() * 10 / 9
	if m.look(); !m.Short() {
		t.Fatalf("with %d of %d in use memory is not short", m.Used(), m.Limit())
	}
	runtime.KeepAlive(held)
	held = nil
	m.collect()
	if m.look(); m.Short() {
		t.Errorf("with %d of %d in use memory is still short", m.Used(), m.Limit())
	}
}

// Garbage does not count, what is held does.
func TestUsedMemory(t *testing.T) {
	used := usedMemory()
	runtime.GC()
	before := used()
	held := make([]byte, 64<<20)
	runtime.GC()
	if grown := used() - before; grown < 60<<20 || grown > 70<<20 {
		t.Errorf("64 MiB more are held, and %d bytes more used", grown)
	}
	runtime.KeepAlive(held)
	held = nil
	runtime.GC()
	after := used()
	for range 64 {
		sink(make([]byte, 1<<20))
	}
	if grown := after - before; grown > 8<<20 {
		t.Errorf("64 MiB are no longer held, and %d bytes more used than before", grown)
	}
}

//go:noinline
func sink([]byte) {}

func TestSizes(t *testing.T) {
	for v, want := range map[string]int64{"512MiB": 512 << 20, "2GiB": 2 << 30, "1073741824": 1 << 30, "1048576KiB": 1 << 30, "100000000B": 100_000_000} {
		if n, err := bytesOf(v); n != want || err != nil {
			t.Errorf("%s is %d bytes, %v", v, n, err)
		}
	}
	for _, v := range []string{"1MiB", "12", "-512MiB", "512MB", "half", "9999999999999GiB", "1.5GiB"} {
		if n, err := bytesOf(v); err == nil {
			t.Errorf("%s is %d bytes", v, n)
		}
	}
}
