package auth

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
)

const (
	// cacheTime is how long what another replica has changed may go unnoticed.
	cacheTime = 5 * time.Second
	// cacheSize bounds users, and keys; when it is reached all are forgotten.
	cacheSize = 10_000
	// usedInterval is how often the use of keys is noted in the store.
	usedInterval = time.Minute
)

// cache remembers users and keys for a moment, so that a request costs no question to the database.
type cache struct {
	mu      sync.Mutex
	users   map[uuid.UUID]cached[core.User]
	keys    map[string]cached[core.APIKey] // by hash
	usedAt  map[string]time.Time           // keys, since that was noted last
	changed int                            // how often something was forgotten: what was being read meanwhile may be old
}

type cached[T any] struct {
	value  T
	loaded time.Time
}

func (c *cache) init() {
	c.users, c.keys, c.usedAt = map[uuid.UUID]cached[core.User]{}, map[string]cached[core.APIKey]{}, map[string]time.Time{}
}

func (c *cache) user(id uuid.UUID, now time.Time) (core.User, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fresh(c.users, id, now)
}

func (c *cache) key(hash string, now time.Time) (core.APIKey, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fresh(c.keys, hash, now)
}

func fresh[K comparable, T any](entries map[K]cached[T], key K, now time.Time) (value T, ok bool) {
	entry, ok := entries[key]
	if age := now.Sub(entry.loaded); !ok || age < 0 || age >= cacheTime {
		return value, false
	}
	return entry.value, true
}

// changes is a number that changes when something is forgotten.
func (c *cache) changes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// putUser remembers a user who was read after changes was asked for.
func (c *cache) putUser(u core.User, now time.Time, changes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed == changes {
		put(c.users, u.ID, u, now)
	}
}

func (c *cache) putKey(hash string, k core.APIKey, now time.Time, changes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed == changes {
		put(c.keys, hash, k, now)
	}
}

func put[K comparable, T any](entries map[K]cached[T], key K, value T, now time.Time) {
	if len(entries) >= cacheSize {
		clear(entries)
	}
	entries[key] = cached[T]{value, now}
}

// forgetUser has a user and their keys read again.
func (c *cache) forgetUser(id uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed++
	delete(c.users, id)
	for hash, key := range c.keys {
		if key.value.User == id {
			delete(c.keys, hash)
		}
	}
}

func (c *cache) used(hash string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.usedAt[hash] = now
}

func (c *cache) takeUsed() map[string]time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	used := c.usedAt
	c.usedAt = map[string]time.Time{}
	return used
}

// Run notes now and then when API keys were used, until ctx ends, and once more then.
func (a *Authenticator) Run(ctx context.Context) {
	ticker := time.NewTicker(usedInterval)
	defer ticker.Stop()
	for running := true; running; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			running = false
		}
		a.noteUsed(context.WithoutCancel(ctx))
	}
}

func (a *Authenticator) noteUsed(ctx context.Context) {
	used := a.known.takeUsed()
	if len(used) == 0 {
		return
	}
	if err := a.store.NoteKeysUsed(ctx, used); err != nil {
		a.logger.WarnContext(ctx, "the last use of API keys was not noted", "keys", len(used), "error", err)
	}
}
