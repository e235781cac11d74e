package rag

import (
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"slices"
)

// A segment is an immutable part of the index. Its chunks have ordinals from
// 0; those of one edition are neighbours.
type segment struct {
	id      int64
	runs    []run
	lengths []uint16 // in terms, by ordinal
	firsts  []int    // ordinal of each run's first chunk
}

// A run is the chunks of one edition in a segment.
type run struct {
	edition int64
	count   int
}

// contents is the term whose row holds a segment's runs and lengths.
const contents = ""

var errDamaged = errors.New("rag: the index is damaged; add the documents again")

// encode writes a segment as the data of its contents row: the number of
// runs, the runs, two bytes a chunk.
func (g *segment) encode() []byte {
	out := binary.AppendUvarint(nil, uint64(len(g.runs)))
	for _, r := range g.runs {
		out = binary.AppendUvarint(out, uint64(r.edition))
		out = binary.AppendUvarint(out, uint64(r.count))
	}
	for _, n := range g.lengths {
		out = binary.LittleEndian.AppendUint16(out, n)
	}
	return out
}

func decodeSegment(id int64, data []byte) (*segment, error) {
	d := decoder{data: data}
	g := &segment{id: id}
	total := uint64(0)
	for range d.uvarint() {
		if d.bad {
			break
		}
		r := run{int64(d.uvarint()), int(d.uvarint())}
		if r.count < 1 || r.count > len(data) {
			return nil, errDamaged
		}
		g.runs = append(g.runs, r)
		g.firsts = append(g.firsts, int(total))
		total += uint64(r.count)
	}
	if d.bad || total*2 != uint64(len(d.data)) {
		return nil, errDamaged
	}
	g.lengths = make([]uint16, total)
	for i := range g.lengths {
		g.lengths[i] = binary.LittleEndian.Uint16(d.data[2*i:])
	}
	return g, nil
}

// key returns the name of the chunk with an ordinal.
func (g *segment) key(ordinal int) Key {
	i, begins := slices.BinarySearch(g.firsts, ordinal)
	if !begins {
		i--
	}
	return Key{g.runs[i].edition, ordinal - g.firsts[i] + 1}
}

// A posting says in which chunks a term stands, and how often.
type posting struct {
	ordinals []uint32 // ascending
	tfs      []uint8  // capped at 255
}

func decodePosting(df int, data []byte, chunks int) (posting, error) {
	if df < 0 || df > len(data) {
		return posting{}, errDamaged
	}
	p := posting{make([]uint32, df), make([]uint8, df)}
	d := decoder{data: data}
	at := uint64(0)
	for i := range df {
		at += d.uvarint()
		p.ordinals[i], p.tfs[i] = uint32(at), d.byte()
		if d.bad || at >= uint64(chunks) {
			return posting{}, errDamaged
		}
		at++
	}
	return p, nil
}

type decoder struct {
	data []byte
	bad  bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *decoder) byte() byte {
	if len(d.data) == 0 {
		d.bad = true
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return b
}

// A builder gathers the postings of a new segment.
type builder struct {
	segment
	terms map[string]*rows
}

// rows is the data of a term under way.
type rows struct {
	next uint32 // the ordinal that a delta of 0 stands for
	df   int
	data []byte
}

func newBuilder() *builder { return &builder{terms: make(map[string]*rows)} }

// add appends a chunk: its terms and how often each stands in it.
func (b *builder) add(tfs map[string]int) {
	ordinal, length := uint32(len(b.lengths)), 0
	for term, tf := range tfs {
		b.put(term, ordinal, uint8(min(tf, math.MaxUint8)))
		length += tf
	}
	b.lengths = append(b.lengths, uint16(min(length, math.MaxUint16)))
}

func (b *builder) put(term string, ordinal uint32, tf uint8) {
	l := b.terms[term]
	if l == nil {
		l = &rows{}
		b.terms[term] = l
	}
	l.data = binary.AppendUvarint(l.data, uint64(ordinal-l.next))
	l.data = append(l.data, tf)
	l.next = ordinal + 1
	l.df++
}

// postings returns the rows of the segment, by term.
func (b *builder) postings() []Posting {
	out := make([]Posting, 0, len(b.terms)+1)
	out = append(out, Posting{b.id, contents, len(b.lengths), b.encode()})
	for _, term := range slices.Sorted(maps.Keys(b.terms)) {
		l := b.terms[term]
		out = append(out, Posting{b.id, term, l.df, l.data})
	}
	return out
}
