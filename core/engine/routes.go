package engine

import (
	"context"
	"slices"
	"strings"
	"sync"
)

// routeTable knows the sets of tags that steps require and the numbers under which claims look them up.
type routeTable struct {
	mu     sync.RWMutex
	byID   map[int][]string
	byTags map[string]int
}

// reload adds what other replicas have stored. Nothing is dropped: routes are for ever, and one that was stored here while
// they were read may not be among them.
func (r *routeTable) reload(ctx context.Context, store Store) error {
	routes, err := store.Routes(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, tags := range routes {
		r.add(id, tags)
	}
	return nil
}

// add is called with r.mu held.
func (r *routeTable) add(id int, tags []string) {
	if r.byID == nil {
		r.byID, r.byTags = map[int][]string{}, map[string]int{}
	}
	r.byID[id], r.byTags[routeKey(tags)] = tags, id
}

// id returns the number of a set of tags, in any order, and stores the set if it is new.
func (r *routeTable) id(ctx context.Context, store Store, tags []string) (int, error) {
	tags = slices.Sorted(slices.Values(tags))
	key := routeKey(tags)
	r.mu.RLock()
	id, known := r.byTags[key]
	r.mu.RUnlock()
	if known {
		return id, nil
	}
	id, err := store.Route(ctx, tags)
	if err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(id, tags)
	return id, nil
}

// covered returns the routes that a worker with these sorted tags can serve.
func (r *routeTable) covered(tags []string) []int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var ids []int
	for id, required := range r.byID {
		if covers(tags, required) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (r *routeTable) tags(id int) []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byID[id]
}

func routeKey(tags []string) string { return strings.Join(tags, "\x00") }
