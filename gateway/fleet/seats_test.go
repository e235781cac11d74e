package fleet_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"parley/gateway/chat/inprocess"
	"parley/gateway/fleet"
	"parley/gateway/gatewaytest"
)

// A hall is seats that several replicas share.
type hall struct {
	t     *testing.T
	redis *inprocess.Redis
	stops []func()
}

func inHall(t *testing.T, test func(t *testing.T, h *hall)) {
	synctest.Test(t, func(t *testing.T) {
		h := &hall{t: t, redis: inprocess.New()}
		defer h.redis.Close()
		defer func() {
			for _, stop := range h.stops {
				stop()
			}
			time.Sleep(2 * time.Second) // go-redis tries a pool's address again each second
		}()
		test(t, h)
	})
}

// replica returns the seats of one more replica, and what kills it.
func (h *hall) replica() (s *fleet.Seats, kill func()) {
	link := gatewaytest.NewLink(h.redis)
	rdb := link.Client()
	s = fleet.NewSeats(rdb)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	kill = func() { cancel(); wg.Wait() }
	h.stops = append(h.stops, func() { kill(); _ = rdb.Close() })
	return s, kill
}

func (h *hall) take(s *fleet.Seats, what string, want bool) (give func(ours bool)) {
	h.t.Helper()
	f, ok, err := s.Take(h.t.Context(), "ann", what, 3)
	if err != nil || ok != want {
		h.t.Errorf("a seat for %s: %v, %v, want %v", what, ok, err, want)
	}
	return func(ours bool) {
		if f != nil {
			f(h.t.Context(), ours)
		}
	}
}

func TestSeatsAreBoundedOverReplicas(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		var taken atomic.Int64
		var wg sync.WaitGroup
		for i := range 4 {
			s, _ := h.replica()
			for j := range 8 {
				wg.Go(func() {
					if _, ok, err := s.Take(t.Context(), "ann", string(rune('a'+8*i+j)), 3); ok && err == nil {
						taken.Add(1)
					}
				})
			}
		}
		wg.Wait()
		if n := taken.Load(); n != 3 {
			t.Errorf("%d of 32 have a seat, want 3", n)
		}
	})
}

func TestASeatIsKeptUntilItIsGivenBack(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		a, _ := h.replica()
		b, _ := h.replica()
		give := h.take(a, "c1", true)
		h.take(a, "c2", true)
		h.take(b, "c3", true)
		time.Sleep(time.Minute)
		h.take(b, "c4", false)
		give(true)
		h.take(b, "c4", true)
		h.take(a, "c5", false)
	})
}

func TestTheSeatsOfTheDeadAreFreeSoon(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		a, kill := h.replica()
		b, _ := h.replica()
		for _, c := range []string{"c1", "c2", "c3"} {
			h.take(a, c, true)
		}
		kill()
		h.take(b, "c1", true) // taken over at once
		h.take(b, "c4", false)
		time.Sleep(6 * time.Second)
		h.take(b, "c4", true)
		h.take(b, "c5", true)
		h.take(b, "c6", false)
	})
}

func TestSeatsComeBackWhenRedisWasWiped(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		a, _ := h.replica()
		b, _ := h.replica()
		for _, c := range []string{"c1", "c2", "c3"} {
			h.take(a, c, true)
		}
		h.redis.Wipe()
		time.Sleep(1500 * time.Millisecond)
		h.take(b, "c4", false)
	})
}

// Whoever tries in vain to take over what another does takes nothing from it.
func TestASeatThatIsAnothersIsNotGivenBack(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		a, _ := h.replica()
		b, _ := h.replica()
		h.take(a, "c1", true)
		h.take(a, "c2", true)
		h.take(a, "c3", true)
		inVain := h.take(b, "c1", true)
		inVain(false)
		h.take(b, "c4", false)

		first := h.take(b, "c2", true) // taken over, and done
		first(true)
		h.take(b, "c4", true)
	})
}

func TestASeatThatWasTakenOverIsNotGivenBackByItsFirst(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		a, _ := h.replica()
		b, _ := h.replica()
		first := h.take(a, "c1", true)
		h.take(a, "c2", true)
		h.take(a, "c3", true)
		h.take(b, "c1", true) // in the same millisecond
		first(true)
		h.take(b, "c4", false)
	})
}

func TestWithoutRedisEverybodyHasASeat(t *testing.T) {
	r := inprocess.New()
	defer r.Close()
	link := gatewaytest.NewLink(r)
	rdb := link.Client()
	defer rdb.Close()
	s := fleet.NewSeats(rdb)
	link.Cut()
	for range 5 {
		if give, ok, err := s.Take(t.Context(), "ann", "c1", 1); !ok || err == nil {
			t.Errorf("a seat %v, error %v; want one, and the error to log", ok, err)
		} else {
			give(t.Context(), true)
		}
	}
}
