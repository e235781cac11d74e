package fleet_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/gateway/fleet"
)

func TestBoard(t *testing.T) {
	inRedis(t, func(t *testing.T, client func() *redis.Client) {
		here, there := fleet.NewBoard(client()), fleet.NewBoard(client())
		look := func(want []byte, wantAlive bool) {
			t.Helper()
			text, alive, err := there.Look(t.Context(), "i1")
			if err != nil || !bytes.Equal(text, want) || (text == nil) != (want == nil) || alive != wantAlive {
				t.Errorf("it sees %d bytes, alive %t, %v; want %d, %t", len(text), alive, err, len(want), wantAlive)
			}
		}
		show := func(text []byte) bool {
			t.Helper()
			stop, err := here.Show(t.Context(), "i1", text)
			if err != nil {
				t.Fatal(err)
			}
			return stop
		}
		look(nil, false)
		long := bytes.Repeat([]byte("a report "), 200_000)
		for _, text := range [][]byte{{}, []byte("short"), long} {
			if show(text) {
				t.Error("nobody wants it stopped")
			}
			look(text, true)
		}
		time.Sleep(6 * time.Second)
		look(long, false)
		if err := there.Stop(t.Context(), "i1"); err != nil || !show([]byte("x")) {
			t.Errorf("it is not told to stop: %v", err)
		}
		if err := there.Forget(t.Context(), "i1"); err != nil {
			t.Error(err)
		}
		look(nil, false)
		if show([]byte("again")) {
			t.Error("it is still told to stop")
		}
		time.Sleep(16 * time.Minute)
		look(nil, false)

		noise := make([]byte, 9<<20)
		for i := range noise {
			noise[i] = byte(rand.Uint32())
		}
		if _, err := here.Show(t.Context(), "i1", noise); err == nil {
			t.Error("a text of 9 MiB that cannot be made smaller is taken")
		}
	})
}
