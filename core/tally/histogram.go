package tally

import (
	"slices"
	"sync"
	"time"
)

// bounds of the buckets in seconds, from a statement in the database to a server that was away.
var bounds = [...]float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600}

// Histogram counts durations. Its zero value is ready; it is safe for concurrent use.
type Histogram struct {
	mu      sync.Mutex
	buckets [len(bounds)]uint64
	count   uint64
	sum     float64
}

// Observe counts a duration; one below zero, of a clock that was set, counts as zero.
func (h *Histogram) Observe(d time.Duration) {
	seconds := max(0, d.Seconds())
	bucket, _ := slices.BinarySearch(bounds[:], seconds)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count++
	h.sum += seconds
	if bucket < len(bounds) {
		h.buckets[bucket]++
	}
}

// Since counts the time since begin.
func (h *Histogram) Since(begin time.Time) { h.Observe(time.Since(begin)) }

// Read returns how many durations there were, their sum in seconds, and by upper bound how many were not above it.
func (h *Histogram) Read() (count uint64, sum float64, upTo map[float64]uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	upTo = make(map[float64]uint64, len(bounds))
	var below uint64
	for i, bound := range bounds {
		below += h.buckets[i]
		upTo[bound] = below
	}
	return h.count, h.sum, upTo
}
