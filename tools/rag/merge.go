package rag

import (
	"context"
	"errors"
	"time"
)

const (
	scanned   = 2000      // postings read at once
	sweeps    = 10        // batches of rows that one change deletes
	abandoned = time.Hour // a segment reserved so long ago will not be committed
)

// tidy does a share of the index's housekeeping: some sweeping, one merge at
// most. What others do at the same time is left to them.
func (s *Service) tidy(ctx context.Context) error {
	for range sweeps {
		n, err := s.tables.Sweep(ctx, s.o.Now().Add(-abandoned), batchPostings)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
	}
	cat, err := s.catalogue(ctx)
	if err == nil {
		err = s.merge(ctx, cat.mergeable(s.o.MergeFactor, s.o.MaxMergeChunks))
	}
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrStale) {
		return nil
	}
	return err
}

// mergeable returns the segments to merge next, if any: one that is half dead,
// or else as many as factor of the smallest size that has so many. Sizes are
// powers of factor, so a chunk is merged log(n) times.
func (c *catalogue) mergeable(factor, most int) []*live {
	tiers := make(map[int][]*live)
	for _, g := range c.segments {
		if 2*g.alive < len(g.lengths) {
			return []*live{g}
		}
		if len(g.lengths) <= most {
			tier := 0
			for n := len(g.lengths); n >= factor; n /= factor {
				tier++
			}
			tiers[tier] = append(tiers[tier], g)
		}
	}
	for tier := range 64 {
		if g := tiers[tier]; len(g) >= factor {
			return g[:factor]
		}
	}
	return nil
}

// merge replaces segments by one that holds their chunks alive. Documents
// deleted meanwhile stay dead: the new segment holds their edition too.
func (s *Service) merge(ctx context.Context, parts []*live) error {
	if len(parts) == 0 {
		return nil
	}
	out := newBuilder()
	change := Change{Collection: s.o.Collection}
	for _, g := range parts {
		if err := s.take(ctx, out, g); err != nil {
			return err
		}
		change.Drop = append(change.Drop, g.id)
		change.Forget = append(change.Forget, g.gone...)
	}
	if len(out.lengths) > 0 {
		id, err := s.tables.Reserve(ctx, s.o.Collection, s.o.Now())
		if err != nil {
			return err
		}
		change.Add, out.id = id, id
		if err := s.writePostings(ctx, id, out.postings()); err != nil {
			return err
		}
	}
	return s.tables.Commit(ctx, change)
}

// take appends what is alive of a segment to a new one.
func (s *Service) take(ctx context.Context, out *builder, g *live) error {
	moved := make([]int, len(g.lengths)) // to ordinals of the new segment, -1 for the dead
	for ordinal, n := range g.lengths {
		moved[ordinal] = -1
		if g.dead == nil || !g.dead[ordinal] {
			moved[ordinal] = len(out.lengths)
			out.lengths = append(out.lengths, n)
		}
	}
	for i, r := range g.runs {
		if g.dead == nil || !g.dead[g.firsts[i]] {
			out.runs = append(out.runs, r)
		}
	}
	for after := contents; ; {
		rows, err := s.tables.Scan(ctx, g.id, after, scanned)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := out.move(row, moved); err != nil {
				return err
			}
			after = row.Term
		}
		if len(rows) < scanned {
			return nil
		}
	}
}

func (b *builder) move(row Posting, moved []int) error {
	p, err := decodePosting(row.DF, row.Data, len(moved))
	if err != nil {
		return err
	}
	for i, ordinal := range p.ordinals {
		if to := moved[ordinal]; to >= 0 {
			b.put(row.Term, uint32(to), p.tfs[i])
		}
	}
	return nil
}
