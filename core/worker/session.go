package worker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
)

// session is the time between a registration and its end: what the worker does under one identity.
type session struct {
	*Worker
	server    *client.Client // with the worker's own token
	heartbeat time.Duration
	maxBytes  int64        // of one step's log; 0: no limit
	lastCall  atomic.Int64 // when the server last answered, in Unix nanoseconds

	// calls ends when nothing is to be said to the server any more: all is reported, or it has given up this worker.
	calls context.Context //nolint:containedctx // as long as the session
	end   context.CancelCauseFunc
	// claims ends when no more work is to be taken, with calls at the latest.
	claims     context.Context //nolint:containedctx // as long as the session
	stopClaims context.CancelFunc
	// work ends when the running steps are to be stopped, with calls at the latest.
	work     context.Context //nolint:containedctx // as long as the session
	stopWork context.CancelCauseFunc

	identity api.Registered
	renewing sync.Mutex
	cleared  atomic.Bool // what workers before this one left behind is gone: work may be taken
	slots    *slots
	steps    running
	ended    chan finished  // results on their way to the server
	wanted   chan struct{}  // tells the poll that slots became free that nobody asks work for
	group    sync.WaitGroup // claims being started, and steps
}

func newSession(ctx context.Context, w *Worker, identity api.Registered) *session {
	s := &session{
		Worker: w, heartbeat: heartbeatInterval(identity), maxBytes: identity.MaxStepBytes,
		identity: identity, slots: newSlots(w.Slots), ended: make(chan finished, w.Slots), wanted: make(chan struct{}, 1),
	}
	s.server = w.Client.WithSource(ownToken{s})
	s.calls, s.end = context.WithCancelCause(context.WithoutCancel(ctx))
	s.claims, s.stopClaims = context.WithCancel(s.calls)
	s.work, s.stopWork = context.WithCancelCause(s.calls)
	return s
}

// serve works until ctx or abort ends, as Worker.Run says. It returns ErrSuperseded, ErrRevoked, errUnknown or why the server does
// not let this worker go on when it has given it up; what was running has then been stopped.
func (s *session) serve(ctx, abort context.Context) error {
	var loops sync.WaitGroup
	finish := s.clear()         //nolint:contextcheck // it ends with the session
	s.resume(s.identity.Resume) //nolint:contextcheck // as do steps
	if finish != nil {
		loops.Go(finish)
	}
	loops.Go(s.pollLoop)
	loops.Go(s.completeLoop)
	loops.Go(s.heartbeatLoop)
	loops.Go(s.reportPlugins)
	select {
	case <-ctx.Done():
		s.drain(abort)
	case <-abort.Done():
		s.drain(abort)
	case <-s.calls.Done():
	}
	s.end(context.Canceled)
	loops.Wait()
	s.group.Wait()                                                  // runners return within the stop grace and a little more
	if cause := context.Cause(s.calls); cause != context.Canceled { //nolint:contextcheck,errorlint // the one set right here
		return cause
	}
	return nil
}

// abortLimit is how long results are offered to a server that does not answer when the worker is to end at once.
const abortLimit = 5 * time.Second

// drain waits until the running steps have ended and are reported, and stops them when their time is over.
func (s *session) drain(abort context.Context) {
	s.stopClaims()
	idle := s.slots.allFree() // which they are for good then: nothing is taken any more
	if n := s.steps.count(); n > 0 {
		s.Logger.InfoContext(abort, "draining", "steps", n, "limit", s.Drain)
	}
	if s.settled(abort, idle, s.Drain) {
		return
	}
	s.stopWork(errShutDown)
	if s.settled(abort, idle, s.StopGrace+s.ReportLimit) ||
		abort.Err() != nil && s.settled(context.WithoutCancel(abort), idle, s.StopGrace+min(s.ReportLimit, abortLimit)) {
		return
	}
	s.Logger.ErrorContext(abort, "results could not be reported; the server will find the steps lost", "steps", s.slots.used())
}

// settled waits until there is nothing left to do, and returns false when the limit or abort comes before.
func (s *session) settled(abort context.Context, idle <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-idle:
		return true
	case <-s.calls.Done():
		return true
	case <-timer.C:
		return false
	case <-abort.Done():
		return false
	}
}

// note takes notice of how a call ended, and returns err. An answer that gives up this worker ends the session.
func (s *session) note(err error) error {
	switch {
	case err == nil:
		s.lastCall.Store(time.Now().UnixNano())
	case client.IsCode(err, "superseded"):
		s.end(ErrSuperseded)
	case client.IsCode(err, "worker_revoked"):
		s.end(ErrRevoked)
	case client.IsCode(err, "worker_unknown"):
		s.end(errUnknown)
	}
	return err
}

// heartbeatLoop says that the worker lives when no other call did so lately.
func (s *session) heartbeatLoop() {
	ticker := time.NewTicker(s.heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-s.calls.Done():
			return
		case <-ticker.C:
		}
		if time.Since(time.Unix(0, s.lastCall.Load())) < s.heartbeat/2 {
			continue
		}
		if err := s.note(s.server.Heartbeat(s.calls, api.Heartbeat{})); err != nil && s.calls.Err() == nil {
			s.Logger.Warn("heartbeat", "error", err)
		}
	}
}
