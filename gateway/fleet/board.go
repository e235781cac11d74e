package fleet

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	boardTTL   = 15 * time.Minute // for which what was shown last can be seen
	boardAlive = 5 * time.Second  // after which one who shows nothing more is taken for dead
	maxShown   = 8 << 20          // bytes of a text, packed
	maxRead    = 64 << 20         // and unpacked
)

// A Board shows all replicas what one of them is doing: a text for each piece
// of work, whether whoever writes it still lives, and whether somebody wants
// it stopped. A text that is not renewed goes after a quarter of an hour. All
// methods may be called concurrently.
type Board struct {
	rdb redis.UniversalClient
}

// NewBoard returns a Board that is kept in rdb.
func NewBoard(rdb redis.UniversalClient) *Board { return &Board{rdb} }

func boardKeys(id string) (text, alive, stop string) {
	at := "parley:board:{" + id + "}:"
	return at + "text", at + "alive", at + "stop"
}

// Show writes the text of a piece of work in place of the last. It is to be
// called every other second while the work goes on, and reports whether
// somebody wants that stopped.
func (b *Board) Show(ctx context.Context, id string, text []byte) (stop bool, err error) {
	packed, err := pack(text)
	if err != nil {
		return false, fmt.Errorf("fleet: show %s: %w", id, err)
	}
	textKey, aliveKey, stopKey := boardKeys(id)
	pipe := b.rdb.Pipeline()
	pipe.Set(ctx, textKey, packed, boardTTL)
	pipe.Set(ctx, aliveKey, 1, boardAlive)
	wanted := pipe.Exists(ctx, stopKey)
	if _, err := pipe.Exec(ctx); err != nil {
		return false, fmt.Errorf("fleet: show %s: %w", id, err)
	}
	return wanted.Val() > 0, nil
}

// Look returns a text, nil if there is none, and whether whoever wrote it has
// shown a sign of life of late.
func (b *Board) Look(ctx context.Context, id string) (text []byte, alive bool, err error) {
	textKey, aliveKey, _ := boardKeys(id)
	pipe := b.rdb.Pipeline()
	packed, lives := pipe.Get(ctx, textKey), pipe.Exists(ctx, aliveKey)
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, false, fmt.Errorf("fleet: look at %s: %w", id, err)
	}
	if errors.Is(packed.Err(), redis.Nil) {
		return nil, false, nil
	}
	if text, err = unpack([]byte(packed.Val())); err != nil {
		return nil, false, fmt.Errorf("fleet: look at %s: %w", id, err)
	}
	return text, lives.Val() > 0, nil
}

// Stop asks whoever does a piece of work to stop: they see it when they show
// it next.
func (b *Board) Stop(ctx context.Context, id string) error {
	_, _, stopKey := boardKeys(id)
	if err := b.rdb.Set(ctx, stopKey, 1, boardTTL).Err(); err != nil {
		return fmt.Errorf("fleet: stop %s: %w", id, err)
	}
	return nil
}

// Forget takes a text away.
func (b *Board) Forget(ctx context.Context, id string) error {
	textKey, aliveKey, stopKey := boardKeys(id)
	if err := b.rdb.Del(ctx, textKey, aliveKey, stopKey).Err(); err != nil {
		return fmt.Errorf("fleet: forget %s: %w", id, err)
	}
	return nil
}

// pack makes a text smaller if that is worth it.
func pack(text []byte) ([]byte, error) {
	if len(text) < 4<<10 {
		return append([]byte{0}, text...), nil
	}
	b := bytes.NewBuffer([]byte{1})
	w := gzip.NewWriter(b)
	_, _ = w.Write(text) // into memory
	_ = w.Close()
	if b.Len() > maxShown {
		return nil, fmt.Errorf("the text is longer than %d bytes", maxShown)
	}
	return b.Bytes(), nil
}

func unpack(b []byte) ([]byte, error) {
	if len(b) == 0 || b[0] == 0 {
		return b[min(len(b), 1):], nil
	}
	r, err := gzip.NewReader(bytes.NewReader(b[1:]))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, maxRead))
}
