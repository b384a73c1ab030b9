package scheduler

import "time"

// Clock tells the time, which may jump.
type Clock interface {
	Now() time.Time
	// After returns a channel that gets a value when d has passed; stop must be called in the end.
	After(d time.Duration) (passed <-chan time.Time, stop func())
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) After(d time.Duration) (<-chan time.Time, func()) {
	timer := time.NewTimer(d)
	return timer.C, func() { timer.Stop() }
}
