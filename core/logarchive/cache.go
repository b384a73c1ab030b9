package logarchive

import (
	"container/list"
	"sync"
)

// cache keeps what was used last, as far as it fits. What is asked for by several at a time is made once.
type cache[K comparable, V any] struct {
	max int64

	mu      sync.Mutex
	used    int64
	entries map[K]*list.Element // of *entry[K, V]
	recent  *list.List          // least recently used last
}

type entry[K comparable, V any] struct {
	key   K
	ready chan struct{} // closed when the rest is set
	value V
	cost  int64
	err   error
}

func newCache[K comparable, V any](limit int64) *cache[K, V] {
	return &cache[K, V]{max: limit, entries: map[K]*list.Element{}, recent: list.New()}
}

// get returns what is there.
func (c *cache[K, V]) get(key K) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e == nil {
		return value, false
	}
	one := e.Value.(*entry[K, V]) //nolint:forcetypeassert // the list holds nothing else
	select {
	case <-one.ready:
		c.recent.MoveToFront(e)
		return one.value, true
	default:
		return value, false
	}
}

// load returns what is there, or what produce makes; an error is not kept.
func (c *cache[K, V]) load(key K, produce func() (V, int64, error)) (V, error) {
	c.mu.Lock()
	if e := c.entries[key]; e != nil {
		c.recent.MoveToFront(e)
		c.mu.Unlock()
		one := e.Value.(*entry[K, V]) //nolint:forcetypeassert // the list holds nothing else
		<-one.ready
		return one.value, one.err
	}
	one := &entry[K, V]{key: key, ready: make(chan struct{})}
	c.entries[key] = c.recent.PushFront(one)
	c.mu.Unlock()
	one.value, one.cost, one.err = produce()
	c.mu.Lock()
	defer c.mu.Unlock()
	close(one.ready)
	c.used += one.cost
	if one.err != nil {
		c.remove(c.entries[key])
	}
	c.evict()
	return one.value, one.err
}

// put keeps a value in place of what is there.
func (c *cache[K, V]) put(key K, value V, cost int64) {
	ready := make(chan struct{})
	close(ready)
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[key]; e != nil {
		select {
		case <-e.Value.(*entry[K, V]).ready: //nolint:forcetypeassert // the list holds nothing else
			c.remove(e)
		default:
			return // it is about to be there
		}
	}
	c.entries[key] = c.recent.PushFront(&entry[K, V]{key: key, ready: ready, value: value, cost: cost})
	c.used += cost
	c.evict()
}

// evict forgets what was not used for longest; c.mu is held.
func (c *cache[K, V]) evict() {
	for e := c.recent.Back(); e != nil && c.used > c.max; {
		previous := e.Prev()
		select {
		case <-e.Value.(*entry[K, V]).ready: //nolint:forcetypeassert // the list holds nothing else
			c.remove(e)
		default:
		}
		e = previous
	}
}

// remove forgets an entry; c.mu is held.
func (c *cache[K, V]) remove(e *list.Element) {
	one := c.recent.Remove(e).(*entry[K, V]) //nolint:forcetypeassert // the list holds nothing else
	delete(c.entries, one.key)
	c.used -= one.cost
}
