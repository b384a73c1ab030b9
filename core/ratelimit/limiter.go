package ratelimit

import (
	"container/list"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// Limiter has a bucket of tokens for each key, full at first and refilled evenly. It is safe for concurrent use. It remembers so
// many keys as it was told to: beyond that it forgets those that were not used for the longest time, and their buckets are full
// when they come again. A nil Limiter limits nothing.
type Limiter struct {
	each  time.Duration // until there is one more token
	burst int
	keys  int
	seed  maphash.Seed

	mu      sync.Mutex
	buckets map[uint64]*list.Element
	used    list.List // of *bucket, the one that was used last in front
}

type bucket struct {
	key  uint64
	full time.Time // when it is full; in the past if it is
}

// New makes a limiter that lets through so many requests a minute for each key, and so many of them at once. It is nil if
// perMinute is 0.
func New(perMinute, burst, maxKeys int) *Limiter {
	if perMinute <= 0 {
		return nil
	}
	return &Limiter{
		each: time.Minute / time.Duration(perMinute), burst: max(burst, 1), keys: max(maxKeys, 1), seed: maphash.MakeSeed(),
		buckets: map[uint64]*list.Element{},
	}
}

// Take takes a token, or tells after what time there is one. A refusal costs nothing.
func (l *Limiter) Take(key string) (retryAfter time.Duration, ok bool) {
	if l == nil {
		return 0, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b, now := l.bucket(key), time.Now()
	if b.full.Before(now) {
		b.full = now
	}
	// A bucket that is full in burst × each is empty.
	if wait := b.full.Add(l.each).Sub(now) - time.Duration(l.burst)*l.each; wait > 0 {
		return wait, false
	}
	b.full = b.full.Add(l.each)
	return 0, true
}

// Return gives a token back that was taken.
func (l *Limiter) Return(key string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(key)
	b.full = b.full.Add(-l.each)
}

// Forget fills the key's bucket.
func (l *Limiter) Forget(key string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bucket(key).full = time.Time{}
}

// bucket returns the bucket of a key, and makes it the one that was used last. Keys may be long, and are chosen by whoever asks:
// what is kept of them is a number that nobody can guess.
func (l *Limiter) bucket(key string) *bucket {
	hash := maphash.String(l.seed, key)
	element := l.buckets[hash]
	if element != nil {
		l.used.MoveToFront(element)
		return element.Value.(*bucket) //nolint:forcetypeassert // there is nothing else in the list
	}
	if len(l.buckets) >= l.keys {
		idle := l.used.Remove(l.used.Back()).(*bucket) //nolint:forcetypeassert // as above
		delete(l.buckets, idle.key)
	}
	b := &bucket{key: hash}
	l.buckets[hash] = l.used.PushFront(b)
	return b
}

// AddressKey is what an address is counted as: itself, or its network of 64 bits, in which whoever has it has any number of
// addresses.
func AddressKey(address netip.Addr) string {
	address = address.Unmap().WithZone("")
	if address.Is6() {
		if network, err := address.Prefix(64); err == nil {
			return network.String()
		}
	}
	return address.String()
}
