package gateway

import (
	"context"
	"time"

	"parley/gateway/chat"
)

// UsageSweeper forgets what was spent on days before one, most rows at a time.
type UsageSweeper interface {
	SweepUsage(ctx context.Context, before string, most int) (n int64, err error)
}

// What is forgotten at once, and how often it is looked for.
const (
	sweptUsage = 1000 // rows
	sweepUsage = 12 * time.Hour
)

// SweepUsage forgets what was spent more than so many days ago, now and then,
// until ctx ends. Any number of replicas may do it at the same time.
func SweepUsage(ctx context.Context, store UsageSweeper, days int, failed func(error)) error {
	tick := time.NewTicker(sweepUsage)
	defer tick.Stop()
	for {
		before := chat.Day(time.Now().AddDate(0, 0, -days))
		for n := int64(sweptUsage); n == sweptUsage && ctx.Err() == nil; {
			var err error
			if n, err = store.SweepUsage(ctx, before, sweptUsage); err != nil && ctx.Err() == nil {
				failed(err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
