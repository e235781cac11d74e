package rag

import (
	"container/list"
	"sync"
)

// A cache keeps decoded postings, those used last, within a number of bytes.
// Segments never change, so what it holds is never stale. All methods may be
// called concurrently.
type cache struct {
	mu    sync.Mutex
	max   int
	bytes int
	items map[cacheKey]*list.Element
	order *list.List // of *cacheItem, the last used in front
}

type cacheKey struct {
	segment int64
	term    string
}

type cacheItem struct {
	cacheKey
	posting
}

// size is what an item takes, maps and lists included.
func (i *cacheItem) size() int { return 200 + len(i.term) + 5*len(i.ordinals) }

func newCache(maxBytes int) *cache {
	return &cache{max: maxBytes, items: make(map[cacheKey]*list.Element), order: list.New()}
}

// get returns a posting, which may be empty: that the segment does not have
// the term is worth remembering too.
func (c *cache) get(segment int64, term string) (posting, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.items[cacheKey{segment, term}]
	if e == nil {
		return posting{}, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cacheItem).posting, true
}

func (c *cache) put(segment int64, term string, p posting) {
	c.mu.Lock()
	defer c.mu.Unlock()
	item := &cacheItem{cacheKey{segment, term}, p}
	if c.items[item.cacheKey] != nil || item.size() > c.max {
		return
	}
	c.items[item.cacheKey] = c.order.PushFront(item)
	for c.bytes += item.size(); c.bytes > c.max; {
		last := c.order.Remove(c.order.Back()).(*cacheItem)
		delete(c.items, last.cacheKey)
		c.bytes -= last.size()
	}
}
