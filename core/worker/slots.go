package worker

import "sync"

// slots count the steps that a worker may have: those that run, those whose result is not reported, and those that a
// claim under way may bring. Steps that are resumed may be more than that.
type slots struct {
	mu    sync.Mutex
	total int
	taken int
	empty chan struct{} // closed when nothing is taken; nil if nobody waits
}

func newSlots(total int) *slots { return &slots{total: total} }

// take reserves all free slots, at most limit, and returns how many these are.
func (s *slots) take(limit int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := max(min(s.total-s.taken, limit), 0)
	s.taken += n
	return n
}

// occupy takes a slot whether one is free or not.
func (s *slots) occupy() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken++
}

// reuse returns how many of n taken slots may be kept for other steps; the rest stays taken until it is given.
func (s *slots) reuse(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(min(s.total-s.taken+n, n), 0)
}

// give returns slots, and tells how many are free then.
func (s *slots) give(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken -= n
	if s.taken == 0 && s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
	return s.total - s.taken
}

func (s *slots) used() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

// allFree returns a channel that is closed once no slot is taken.
func (s *slots) allFree() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.empty == nil {
		s.empty = make(chan struct{})
	}
	empty := s.empty
	if s.taken == 0 {
		close(s.empty)
		s.empty = nil
	}
	return empty
}
