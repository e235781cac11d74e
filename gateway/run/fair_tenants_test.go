package run_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"parley/gateway/gatewaytest"
	"parley/gateway/run"
)

// However many people a tenant has, another's wait no longer for it.
func TestATenantsCrowdDelaysNoOtherTenant(t *testing.T) {
	for name, c := range map[string]struct{ replicas, slots, most int }{
		"one slot":       {1, 1, 3},
		"one replica":    {1, 4, 9},
		"three replicas": {3, 2, 12},
	} {
		t.Run(name, func(t *testing.T) {
			e := &endings{}
			inWorld(t, with(e.answers(time.Second)), func(t *testing.T, w *world) {
				w.Run.Answers = c.slots
				var rs []*gatewaytest.Replica
				for range c.replicas {
					rs = append(rs, w.Start())
				}
				for i := range 80 {
					w.asks(rs[i%c.replicas].Runner, fmt.Sprintf("acme:p%d", i), fmt.Sprintf("p%d-0", i))
				}
				time.Sleep(2 * time.Second)
				earlier := len(e.sofar())
				bob := w.asks(rs[0].Runner, "beta:bob", "bob-0")
				guest := w.asks(rs[0].Runner, "guest", "guest-0")
				w.ended(bob)
				w.ended(guest)
				for _, conv := range []string{"bob-0", "guest-0"} {
					if n := e.before(conv) - earlier; n > c.most {
						t.Errorf("%s is answered after %d others that ended meanwhile, want at most %d", conv, n, c.most)
					}
				}
			})
		})
	}
}

// Within a tenant people take turns as they do without one.
func TestPeopleOfOneTenantTakeTurns(t *testing.T) {
	e := &endings{}
	inWorld(t, with(e.answers(time.Second)), func(t *testing.T, w *world) {
		w.Run.Answers, w.Run.PerPerson = 1, -1
		a := w.Start()
		for i := range 40 {
			w.asks(a.Runner, "acme:ann", fmt.Sprintf("ann-%d", i))
		}
		time.Sleep(2 * time.Second)
		earlier := len(e.sofar())
		w.ended(w.asks(a.Runner, "acme:bob", "bob-0"))
		if n := e.before("bob-0") - earlier; n > 3 {
			t.Errorf("bob is answered after %d others", n)
		}
	})
}

// A tenant's bound holds over all its people and all replicas, however these
// die; and what is kept back by it is answered in the end.
func TestATenantsBoundHoldsOverReplicas(t *testing.T) {
	e := &endings{}
	inWorld(t, with(e.answers(3*time.Second)), func(t *testing.T, w *world) {
		w.Run.Answers, w.Run.PerPerson, w.Run.PerTenant = 8, 2, 3
		rs := []*gatewaytest.Replica{w.Start(), w.Start(), w.Start()}
		convs := map[string]string{}
		for i := range 24 {
			conv := fmt.Sprintf("p%d-%d", i%6, i)
			convs[conv] = fmt.Sprintf("acme:p%d", i%6)
			w.asks(rs[i%3].Runner, convs[conv], conv)
		}
		for step := range 100 {
			time.Sleep(100 * time.Millisecond)
			people := map[string]int{}
			n := 0
			for conv, person := range convs {
				for _, r := range rs {
					if r.Queue.Holds(conv) {
						people[person]++
						n++
					}
				}
			}
			if n > 3 {
				t.Errorf("after %d ms the tenant's conversations are written by %d", 100*step, n)
			}
			for person, n := range people {
				if n > 2 {
					t.Errorf("after %d ms %s has %d answers at once", 100*step, person, n)
				}
			}
			if step == 30 {
				rs[0].Kill()
				rs = rs[1:]
			}
		}
		db := w.Store()
		defer db.Close()
		gatewaytest.Eventually(t, 3*time.Minute, "all are answered", func() bool {
			qs, err := db.Due(context.Background(), time.Now().Add(time.Hour), 1000)
			return err == nil && len(qs) == 0
		})
	})
}

// Whoever belongs to no tenant has no tenant's bound.
func TestGuestsShareNoBound(t *testing.T) {
	e := &endings{}
	inWorld(t, with(e.answers(time.Second)), func(t *testing.T, w *world) {
		w.Run.Answers, w.Run.PerTenant = 16, 1
		a := w.Start()
		var runs []string
		for i := range 5 {
			runs = append(runs, w.asks(a.Runner, fmt.Sprintf("guest%d", i), fmt.Sprintf("guest%d-0", i)))
		}
		began := time.Now()
		for _, r := range runs {
			w.ended(r)
		}
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("five guests' answers, of a second each, took %v", d)
		}
	})
}

func TestTenantOf(t *testing.T) {
	for person, want := range map[string]string{"acme:ann": "acme", "acme:a:b": "acme", "guest.g1": "", "admin": "", "": "", "acme:": "acme"} {
		if got := run.TenantOf(person); got != want {
			t.Errorf("%q is of %q, want %q", person, got, want)
		}
	}
}
