package fleet_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat"
	"parley/gateway/chat/inprocess"
	"parley/gateway/fleet"
	"parley/llm"
)

// A book is what the store knows was spent.
type book struct {
	mu    sync.Mutex
	spent llm.Amount
	asked int
}

func (b *book) truth(context.Context, string, string, string) (llm.Amount, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	return b.spent, nil
}

func (b *book) spend(a llm.Amount) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spent = b.spent.Add(a)
}

func (b *book) sum() llm.Amount {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spent
}

func inLedger(t *testing.T, test func(t *testing.T, r *inprocess.Redis, rdb redis.UniversalClient, b *book)) {
	synctest.Test(t, func(t *testing.T) {
		r := inprocess.New()
		rdb := r.Client()
		defer func() {
			_ = rdb.Close()
			r.Close()
			time.Sleep(2 * time.Second)
		}()
		test(t, r, rdb, &book{})
	})
}

func accounts(limits ...llm.Amount) (as []chat.Account) {
	names := []chat.Account{{Person: "ann"}, {Tenant: "acme"}, {}}
	for i, limit := range limits {
		a := names[i]
		a.Day, a.Limit = "2000-01-01", limit
		as = append(as, a)
	}
	return as
}

func tokens(n int64) llm.Amount { return llm.Amount{Tokens: n} }

// taken takes and checks what is left, -1 for too little.
func taken(t *testing.T, l *fleet.Ledger, run string, spent, need llm.Amount, want int64, as []chat.Account) {
	t.Helper()
	left, short, err := l.Take(t.Context(), run, spent, need, as)
	if err != nil {
		t.Fatal(err)
	}
	if short >= 0 {
		left.Tokens = -1
	}
	if left.Tokens != want {
		t.Errorf("%s needs %d, and left is %d, want %d", run, need.Tokens, left.Tokens, want)
	}
}

func TestLedgerHoldsWhatIsNeeded(t *testing.T) {
	inLedger(t, func(t *testing.T, r *inprocess.Redis, rdb redis.UniversalClient, b *book) {
		ledgerHolds(t, rdb, b)
		r.Wipe()
		l := fleet.NewLedger(rdb, b.truth, fleet.LedgerOptions{})
		taken(t, l, "after a wipe", tokens(0), tokens(1), 500, accounts(tokens(1000)))
	})
}

// ledgerHolds leaves 500 tokens spent, as the store knows.
func ledgerHolds(t *testing.T, rdb redis.UniversalClient, b *book) {
	as := accounts(tokens(1000), tokens(5000))
	l := fleet.NewLedger(rdb, b.truth, fleet.LedgerOptions{})
	taken(t, l, "one", tokens(0), tokens(400), 1000, as)
	taken(t, l, "two", tokens(0), tokens(400), 600, as)
	taken(t, l, "three", tokens(0), tokens(400), -1, as)
	b.spend(tokens(300))
	taken(t, l, "one", tokens(300), tokens(100), 300, as) // it settles and holds less
	taken(t, l, "three", tokens(0), tokens(200), 200, as)
	taken(t, l, "four", tokens(0), tokens(1), -1, as)
	b.spend(tokens(200))
	for run, spent := range map[string]int64{"one": 0, "two": 200, "three": 0} {
		if err := l.Settle(t.Context(), run, tokens(spent), as); err != nil {
			t.Fatal(err)
		}
	}
	if _, short, err := l.TakeRest(t.Context(), "rest", tokens(0), tokens(10), as); short >= 0 || err != nil {
		t.Errorf("%d, %v", short, err)
	}
	if short, err := l.Look(t.Context(), as); short != 0 || err != nil {
		t.Errorf("all is held, and short is %d, %v", short, err)
	}
	if err := l.Settle(t.Context(), "rest", tokens(0), as); err != nil {
		t.Fatal(err)
	}
	taken(t, l, "last", tokens(0), tokens(500), 500, as)
	if err := l.Settle(t.Context(), "last", tokens(0), as); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsHeldForTheDeadIsFreeAgain(t *testing.T) {
	inLedger(t, func(t *testing.T, _ *inprocess.Redis, rdb redis.UniversalClient, b *book) {
		as := accounts(tokens(1000))
		l := fleet.NewLedger(rdb, b.truth, fleet.LedgerOptions{Hold: time.Minute})
		taken(t, l, "dead", tokens(0), tokens(900), 1000, as)
		taken(t, l, "other", tokens(0), tokens(200), -1, as)
		taken(t, l, "dead", tokens(0), tokens(500), 1000, as) // its successor
		time.Sleep(61 * time.Second)
		taken(t, l, "other", tokens(0), tokens(1000), 1000, as)
	})
}

func TestTheStoreIsRightAboutWhatWasNotSettled(t *testing.T) {
	inLedger(t, func(t *testing.T, _ *inprocess.Redis, rdb redis.UniversalClient, b *book) {
		as := accounts(tokens(1000))
		l := fleet.NewLedger(rdb, b.truth, fleet.LedgerOptions{})
		taken(t, l, "one", tokens(0), tokens(1), 1000, as)
		b.spend(tokens(700)) // of a writer that died before it settled
		time.Sleep(31 * time.Second)
		taken(t, l, "one", tokens(0), tokens(1), 300, as)
		asked := b.asked
		for range 10 {
			taken(t, l, "one", tokens(0), tokens(1), 300, as)
		}
		if b.asked != asked {
			t.Errorf("the store was asked %d times more", b.asked-asked)
		}
	})
}

// Many replicas spend what they have held, no more: all that is ever held and
// spent is within the limit, and in the end the store and Redis agree.
func TestLedgerIsNotOverspent(t *testing.T) {
	inLedger(t, func(t *testing.T, r *inprocess.Redis, _ redis.UniversalClient, b *book) {
		const limit = 20_000
		as := accounts(tokens(limit), tokens(0), tokens(2*limit))[:1]
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				rdb := r.Client()
				defer func() { _ = rdb.Close() }()
				l := fleet.NewLedger(rdb, b.truth, fleet.LedgerOptions{Fresh: time.Hour})
				rnd := rand.New(rand.NewPCG(1, uint64(i)))
				for n := range 100 {
					run, spent := string(rune('a'+i))+string(rune('0'+n)), llm.Amount{}
					for range 1 + rnd.IntN(3) {
						need := tokens(1 + rnd.Int64N(200))
						_, short, err := l.Take(t.Context(), run, spent, need, as)
						if err != nil {
							t.Error(err)
							return
						}
						if spent = (llm.Amount{}); short >= 0 {
							break
						}
						time.Sleep(time.Duration(rnd.IntN(50)) * time.Millisecond)
						if rnd.IntN(10) > 0 {
							spent = tokens(rnd.Int64N(need.Tokens + 1))
							b.spend(spent)
						}
					}
					if err := l.Settle(t.Context(), run, spent, as); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		sum := b.sum()
		if sum.Tokens > limit || sum.Tokens < limit-1000 {
			t.Errorf("%d tokens were spent of %d", sum.Tokens, limit)
		}
		rdb := r.Client()
		defer func() { _ = rdb.Close() }()
		l := fleet.NewLedger(rdb, b.truth, fleet.LedgerOptions{Fresh: time.Hour})
		taken(t, l, "last", tokens(0), tokens(0), limit-sum.Tokens, as)
	})
}

func BenchmarkTake(b *testing.B) {
	r := inprocess.New()
	defer r.Close()
	rdb := r.Client()
	defer func() { _ = rdb.Close() }()
	benchmarkTake(b, rdb)
}

func benchmarkTake(b *testing.B, rdb redis.UniversalClient) {
	l := fleet.NewLedger(rdb, new(book).truth, fleet.LedgerOptions{})
	as := accounts(tokens(1<<40), tokens(1<<40), tokens(1<<40))
	b.ReportAllocs()
	for b.Loop() {
		if _, short, err := l.Take(context.Background(), "run", llm.Amount{}, tokens(10), as); err != nil || short >= 0 {
			b.Fatal(short, err)
		}
	}
}
