package pdf

import (
	"context"
	"errors"
	"slices"
	"sync"

	"golang.org/x/sync/semaphore"
)

// Options are what a [Shop] is made of. Zero values are the defaults.
type Options struct {
	Command []string // serves one file: see [Serve]; the limits are added to it
	Files   int64    // that are read at a time; others wait: 2
	Kept    int      // files whose words are kept: 32
	Bytes   int      // of the words that are kept: 4 MiB
	Limits  Limits
}

// A Shop has the words taken out of PDFs in processes of their own, since a
// hostile file can exhaust the memory, and keeps some. It is safe for
// concurrent use.
type Shop struct {
	o     Options
	slots *semaphore.Weighted

	mu     sync.Mutex
	kept   []work                   // used last stands last
	flying map[string]chan struct{} // closed when a file was read
}

// A work is what came of a file.
type work struct {
	id    string
	words Words
	err   error
}

// New returns a shop.
func New(o Options) *Shop {
	if o.Files <= 0 {
		o.Files = 2
	}
	if o.Kept <= 0 {
		o.Kept = 32
	}
	if o.Bytes <= 0 {
		o.Bytes = 4 << 20
	}
	o.Limits = o.Limits.withDefaults()
	return &Shop{o: o, slots: semaphore.NewWeighted(o.Files), flying: map[string]chan struct{}{}}
}

// Text returns a PDF's words as [Text] does. What is read has an id of its own
// for ever, by which the words are kept; "" keeps none. It is read when its
// turn has come, and once for all who ask at the same time.
func (s *Shop) Text(ctx context.Context, id string, read func() ([]byte, error)) (Words, error) {
	if id == "" {
		return s.text(ctx, read)
	}
	for {
		w, wait := s.look(id)
		switch {
		case w != nil:
			return w.words, w.err
		case wait == nil:
			return s.lead(ctx, id, read)
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return Words{}, ctx.Err()
		}
	}
}

// look returns what is kept of a file, or what to wait for; if there is
// neither, the caller leads.
func (s *Shop) look(id string) (*work, chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.kept, func(w work) bool { return w.id == id }); i >= 0 {
		w := s.kept[i]
		s.kept = append(slices.Delete(s.kept, i, i+1), w)
		return &w, nil
	}
	if wait := s.flying[id]; wait != nil {
		return nil, wait
	}
	s.flying[id] = make(chan struct{})
	return nil, nil
}

func (s *Shop) lead(ctx context.Context, id string, read func() ([]byte, error)) (Words, error) {
	words, err := s.text(ctx, read)
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.flying[id])
	delete(s.flying, id)
	if err == nil || isOfFile(err) {
		s.keep(work{id, words, err})
	}
	return words, err
}

func (s *Shop) keep(w work) {
	s.kept = append(s.kept, w)
	bytes := 0
	for i := len(s.kept) - 1; i >= 0; i-- {
		bytes += len(s.kept[i].words.Text)
		if bytes > s.o.Bytes || len(s.kept)-i > s.o.Kept {
			s.kept = slices.Delete(s.kept, 0, i+1)
			return
		}
	}
}

// isOfFile says whether another try would come to the same.
func isOfFile(err error) bool {
	for _, e := range []error{ErrEncrypted, ErrNoText, ErrBroken, ErrTooLarge, ErrTooLong} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (s *Shop) text(ctx context.Context, read func() ([]byte, error)) (Words, error) {
	if err := s.slots.Acquire(ctx, 1); err != nil {
		return Words{}, err
	}
	defer s.slots.Release(1)
	data, err := read()
	if err != nil {
		return Words{}, err
	}
	if len(data) > s.o.Limits.Bytes {
		return Words{}, ErrTooLarge
	}
	return s.run(ctx, data)
}
