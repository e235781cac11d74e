package main

import (
	"log/slog"

	"github.com/redis/go-redis/v9"

	"parley/gateway/fleet"
	"parley/gateway/store"
	"parley/tools"
	"parley/tools/feed"
)

// openFeeds returns what keeps feeds connected and what they are read from,
// and has the registry offer them.
func openFeeds(s settings, db *store.DB, rdb redis.UniversalClient, inc string, r *tools.Registry, log *slog.Logger) (*fleet.Feeds, *feed.Book) {
	limits := feed.Limits{Values: s.FeedValues, Bytes: s.FeedBytes, Message: s.FeedMessage, Rate: s.FeedRate}
	feeds := fleet.NewFeeds(rdb, inc, db, r.Client.HTTP(), fleet.FeedOptions{TTL: s.Lease, Limits: limits, Log: log})
	book := &feed.Book{Store: db, Windows: feeds, Limits: limits, Max: s.Feeds}
	r.Suppliers = append(r.Suppliers, book)
	return feeds, book
}
