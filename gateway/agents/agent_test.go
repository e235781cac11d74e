package agents_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/gateway/agents"
	"parley/gateway/store"
	"parley/llm"
	"parley/llm/provider"
	"parley/tools"
)

// What is taken can be kept and read again, and says the same; what is not is
// said with its field.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"name":"a"}`, `{"name":"a","tools":[]}`, `{"name":"a","tools":["x","y_*","tag:z","*","tag:*"],"temperature":0,"questions":["?"]}`,
		`{"name":"A"}`, `{"name":"a","models":[""]}`, `{"name":"a"} {}`, `null`, `[]`, `{"name":"a","maxTurns":1e9}`, "{\"name\":\"a\",\"title\":\"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := agents.Decode(b)
		if field := (*tools.FieldError)(nil); err != nil && (!errors.As(err, &field) || field.Reason == "") {
			t.Fatalf("%v is no fault of a field", err)
		}
		if err != nil {
			return
		}
		kept, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		again, err := agents.Decode(kept)
		if d := cmp.Diff(a, again); err != nil || d != "" {
			t.Errorf("%v: %s", err, d)
		}
	})
}

func open(t *testing.T) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), ":memory:", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// The operator has taken away the models that an agent names: it goes on with
// those that there are.
func TestAnAgentOutlivesItsModels(t *testing.T) {
	db := open(t)
	chain := llm.NewChain(llm.ChainOptions{}, provider.Demo(provider.DemoOptions{}))
	warm := 0.5
	for name, models := range map[string][]string{"all-gone": {"x:gone"}, "one-gone": {"x:gone", "demo"}} {
		if _, _, err := db.PutAgent(t.Context(), agents.Agent{Name: name, Models: models, Temperature: &warm, MaxTurns: 3}, "", -1); err != nil {
			t.Fatal(err)
		}
		b := &agents.Book{Builtin: &llm.Agent{Model: chain, System: "settings", MaxCalls: 7}, Chain: chain, Store: db}
		c, err := b.Newest(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if a := c.Agent; a.Model.Name() != "demo" || a.System != "settings" || a.MaxCalls != 7 || a.MaxTurns != 3 || *a.Temperature != warm {
			t.Errorf("%s is %+v", name, a)
		}
	}
}

// away is a store that does not answer.
type away struct{ agents.Store }

var errAway = errors.New("the store is away")

func (away) Agents(context.Context) ([]agents.Version, error) { return nil, errAway }

// counted counts how often a store was asked.
type counted struct {
	agents.Store
	n int
}

func (c *counted) Agents(ctx context.Context) ([]agents.Version, error) {
	c.n++
	return c.Store.Agents(ctx)
}

// same says that nothing ever changes.
type same struct{}

func (same) Version(context.Context) (string, error) { return "1", nil }
func (same) Changed(context.Context) error           { return nil }

func TestTheStoreIsReadAgainOnlyAfterAChange(t *testing.T) {
	kept := &counted{Store: open(t)}
	b := &agents.Book{Builtin: &llm.Agent{}, Store: kept, Versions: same{}}
	newest := func() int {
		t.Helper()
		for range 5 {
			if _, err := b.Newest(t.Context(), ""); err != nil {
				t.Fatal(err)
			}
		}
		return kept.n
	}
	if n := newest(); n != 1 {
		t.Errorf("for five runs the store was asked %d times", n)
	}
	if _, _, err := b.Put(t.Context(), agents.Agent{Name: "a"}, "", -1); err != nil {
		t.Fatal(err)
	}
	if n := newest(); n != 2 {
		t.Errorf("after a change it was asked %d times", n)
	}
}

func TestWithoutTheStoreARunWaits(t *testing.T) {
	b := &agents.Book{Builtin: &llm.Agent{}, Store: away{}, Versions: same{}}
	if _, err := b.Newest(t.Context(), ""); !errors.Is(err, errAway) {
		t.Errorf("who answers is known from a store that is away: %v", err)
	}
	if _, err := b.Get(t.Context(), "a"); errors.Is(err, fs.ErrNotExist) {
		t.Error("what cannot be read is said not to be there")
	}
}
