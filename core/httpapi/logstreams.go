package httpapi

import (
	"context"
	"sync"

	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"github.com/stroem/stroem/core/tally"
)

// logStreams knows the open log streams, which nobody else waits for: fasthttp forgets connections that are not HTTP any more.
type logStreams struct {
	limits Streams
	pace   *rate.Limiter  // of the bytes that they are sent
	count  *tally.Counter // as open is

	mu      sync.Mutex
	open    int
	of      map[uuid.UUID]int // by user, if there are any
	stopped bool
	empty   chan struct{} // closed when none is open, once stopped
}

func newLogStreams(limits Streams, count *tally.Counter) *logStreams {
	return &logStreams{
		limits: limits, count: count, of: map[uuid.UUID]int{},
		pace: rate.NewLimiter(rate.Limit(limits.Rate), int(limits.Rate/8)),
	}
}

// refuse says how another one would have to end now, if it were opened.
func (l *logStreams) refuse(user uuid.UUID) end {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refusal(user)
}

// refusal is refuse with l.mu held.
func (l *logStreams) refusal(user uuid.UUID) end {
	switch {
	case l.stopped:
		return endOfServer
	case l.open >= l.limits.Max:
		return endOfRoom
	case user != uuid.Nil && l.of[user] >= l.limits.MaxPerUser:
		return endOfShare
	}
	return end{}
}

// enter counts one more, for whom leave has to be called, or says how it has to end.
func (l *logStreams) enter(user uuid.UUID) end {
	l.mu.Lock()
	defer l.mu.Unlock()
	if refused := l.refusal(user); refused != (end{}) {
		return refused
	}
	l.open++
	l.of[user]++
	l.count.Add(1)
	return end{}
}

func (l *logStreams) leave(user uuid.UUID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count.Add(-1)
	if l.of[user]--; l.of[user] == 0 {
		delete(l.of, user)
	}
	if l.open--; l.stopped && l.open == 0 {
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
