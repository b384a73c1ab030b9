package httpapi

import (
	"context"
	"sync"
)

// logStreams counts the open log streams, which nobody else waits for: fasthttp forgets connections that are not HTTP any more.
type logStreams struct {
	mu      sync.Mutex
	open    int
	stopped bool
	empty   chan struct{} // closed when none is open, once stopped
}

// full tells whether another one would be refused now.
func (l *logStreams) full(most int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open >= most
}

// enter counts one more, for whom leave has to be called, or says how it has to end.
func (l *logStreams) enter(most int) end {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.stopped:
		return endOfServer
	case l.open >= most:
		return endOfRoom
	}
	l.open++
	return end{}
}

func (l *logStreams) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.stopped && l.open == 0 {
		close(l.empty)
	}
}

// stop lets nobody in any more, and waits until all have left or ctx ends.
func (l *logStreams) stop(ctx context.Context) error {
	l.mu.Lock()
	if !l.stopped {
		l.stopped, l.empty = true, make(chan struct{})
		if l.open == 0 {
			close(l.empty)
		}
	}
	l.mu.Unlock()
	select {
	case <-l.empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
