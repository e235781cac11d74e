package store

import (
	"context"
	"database/sql"
	"encoding/json"

	"parley/gateway/chat"
	"parley/tools"
	"parley/tools/feed"
)

// Feeds returns all declared feeds, by name. A secret that cannot be decrypted
// is [tools.Mask], with which a feed cannot be connected.
func (db *DB) Feeds(ctx context.Context) ([]feed.Feed, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT body FROM feeds ORDER BY name`)
	fs, err := collect(rows, err, db.scanFeed)
	return fs, wrap("feeds", err)
}

// Feed returns the feed of that name, as Feeds does.
func (db *DB) Feed(ctx context.Context, name string) (feed.Feed, error) {
	f, err := db.scanFeed(db.read.QueryRowContext(ctx, `SELECT body FROM feeds WHERE name = $1`, name))
	return f, wrap("feed "+name, err)
}

// PutFeed stores f in the place of the feed of the same name, if there is one.
// Its secrets are encrypted.
func (db *DB) PutFeed(ctx context.Context, f feed.Feed) error {
	body, err := db.closeFeed(f)
	if err != nil {
		return wrap("put feed "+f.Name, err)
	}
	_, err = db.exec(ctx, `
		INSERT INTO feeds (name, body) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET body = excluded.body`, f.Name, body)
	return wrap("put feed "+f.Name, err)
}

// DeleteFeed removes the feed of that name. Where it is pinned it stays so.
func (db *DB) DeleteFeed(ctx context.Context, name string) error {
	res, err := db.exec(ctx, `DELETE FROM feeds WHERE name = $1`, name)
	return wrap("delete feed "+name, oneRow(res, err, chat.ErrNotFound))
}

func (db *DB) scanFeed(row interface{ Scan(...any) error }) (f feed.Feed, err error) {
	var body []byte
	if err := row.Scan(&body); err != nil {
		return f, err
	}
	if f, err = decodeFeed(body); err != nil || db.vault == nil {
		return f, err
	}
	return f.MapSecrets(func(member, value string) (string, error) {
		plain, err := db.unseal([]byte(value), feedPlace(f.Name, member))
		if err != nil {
			return tools.Mask, nil
		}
		return string(plain), nil
	})
}

func decodeFeed(body []byte) (f feed.Feed, err error) { return f, json.Unmarshal(body, &f) }

// openFeed fails if a secret cannot be decrypted.
func (db *DB) openFeed(body []byte) (feed.Feed, error) {
	f, err := decodeFeed(body)
	if err != nil {
		return f, err
	}
	return f.MapSecrets(db.unsealing(func(member string) string { return feedPlace(f.Name, member) }))
}

func (db *DB) closeFeed(f feed.Feed) (string, error) {
	name := f.Name
	f, err := f.MapSecrets(db.sealing(func(member string) string { return feedPlace(name, member) }))
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(f)
	return string(b), err
}

// Pin pins a feed to a conversation, behind those that are, of which there may
// be most, else the error is [chat.ErrPinned]. One that is pinned stays where it is.
func (db *DB) Pin(ctx context.Context, conv, feed string, most int) error {
	err := db.tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE conversations SET owner = owner WHERE id = $1`, conv) // for its lock
		if err := oneRow(res, err, chat.ErrNotFound); err != nil {
			return err
		}
		var pinned, place, had int
		if err := tx.QueryRowContext(ctx, `
			SELECT COUNT(*), COALESCE(MAX(place), 0), COALESCE(SUM(CASE WHEN feed = $2 THEN 1 ELSE 0 END), 0)
			FROM pins WHERE conversation = $1`, conv, feed).Scan(&pinned, &place, &had); err != nil {
			return err
		}
		switch {
		case had > 0:
			return nil
		case pinned >= most:
			return chat.ErrPinned
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO pins (conversation, feed, place) VALUES ($1, $2, $3)`, conv, feed, place+1)
		return err
	})
	return wrap("pin "+feed+" to "+conv, err)
}

// Unpin takes a pin away, if it is there.
func (db *DB) Unpin(ctx context.Context, conv, feed string) error {
	_, err := db.exec(ctx, `DELETE FROM pins WHERE conversation = $1 AND feed = $2`, conv, feed)
	return wrap("unpin "+feed+" from "+conv, err)
}

// Pins returns the feeds that a conversation has pinned, in the order in which
// they were.
func (db *DB) Pins(ctx context.Context, conv string) ([]string, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT feed FROM pins WHERE conversation = $1 ORDER BY place`, conv)
	names, err := collect(rows, err, func(row interface{ Scan(...any) error }) (name string, err error) {
		return name, row.Scan(&name)
	})
	return names, wrap("pins of "+conv, err)
}
