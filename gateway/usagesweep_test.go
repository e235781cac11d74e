package gateway_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"parley/gateway"
	"parley/gateway/chat"
	"parley/gateway/store"
	"parley/llm"
)

func TestSpendingIsForgottenAfterSoManyDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, err := store.Open(t.Context(), ":memory:", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		q := chat.Question{Conversation: "c1", Owner: "ann", Run: "r1", Message: llm.Message{ID: "m1", Role: llm.User, Content: "Hi?"}}
		if _, _, err := db.Accept(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		if err := db.Claimed(t.Context(), "c1", 5, "nonce"); err != nil {
			t.Fatal(err)
		}
		spent := chat.Batch{Run: &chat.RunRecord{ID: "r1", Status: chat.RunDone, Try: 1, Model: "m", Usage: &llm.Usage{Input: 90, Output: 10}}}
		if err := db.Archive(t.Context(), "c1", 5, spent); err != nil {
			t.Fatal(err)
		}
		day := chat.Day(time.Now())
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- gateway.SweepUsage(ctx, db, 3, func(err error) { t.Error(err) }) }()
		for i, want := range []int64{100, 100, 100, 100, 0} {
			time.Sleep(time.Minute)
			synctest.Wait()
			if got, err := db.DaySpent(t.Context(), day, "ann", ""); err != nil || got.Tokens != want {
				t.Errorf("after %d days: %+v, %v, want %d tokens", i, got, err, want)
			}
			time.Sleep(24*time.Hour - time.Minute)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
