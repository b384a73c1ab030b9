package plugintest

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// session is the TB of one case that [Check] runs.
type session struct {
	ctx    context.Context //nolint:containedctx // as a testing.T has one
	cancel context.CancelFunc
	rule   Rule // of failures that name no other

	mu       sync.Mutex
	failed   bool
	failures []Failure
	logged   []string
	cleanups []func()
}

// hopeless is how long a case may take to return when its time is over and its plugin was ended.
const hopeless = 30 * time.Second

func newSession(ctx context.Context, limit time.Duration, rule Rule) *session {
	ctx, cancel := context.WithTimeout(ctx, limit)
	return &session{ctx: ctx, cancel: cancel, rule: rule}
}

// run runs f and the cleanups. A case that does not return when its time is over is cleaned up under its feet, which ends
// its plugin; one that does not return even then is left behind.
func (s *session) run(f func(t TB)) {
	returned := s.isolated(func() { f(s) })
	select {
	case <-returned:
	case <-s.ctx.Done():
		if !closed(returned, hopeless/2) {
			s.Errorf("the case did not return when its time was over")
		}
	}
	if s.ctx.Err() != nil {
		s.Errorf("given up: %v", s.ctx.Err())
	}
	s.cancel()
	for {
		s.mu.Lock()
		last := len(s.cleanups) - 1
		if last < 0 {
			s.mu.Unlock()
			break
		}
		cleanup := s.cleanups[last]
		s.cleanups = s.cleanups[:last]
		s.mu.Unlock()
		closed(s.isolated(cleanup), hopeless)
	}
	closed(returned, hopeless)
}

// result returns what has become of the case so far; one that was left behind may still fail.
func (s *session) result() (failures []Failure, logged []string, failed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.failures), slices.Clone(s.logged), s.failed
}

// isolated calls f where it may give up or panic. The channel is closed when it has ended.
func (s *session) isolated(f func()) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() {
			if fault := recover(); fault != nil {
				s.Errorf("the case panicked: %v\n%s", fault, debug.Stack())
			}
		}()
		f()
	}()
	return ended
}

func (s *session) broken(rule Rule, message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = true
	s.failures = append(s.failures, Failure{rule, message})
}

func (*session) Helper() {}

func (s *session) Logf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logged = append(s.logged, fmt.Sprintf(format, args...))
}

func (s *session) Errorf(format string, args ...any) { s.broken(s.rule, fmt.Sprintf(format, args...)) }

func (s *session) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	s.FailNow()
}

func (s *session) FailNow() {
	s.mu.Lock()
	s.failed = true
	s.mu.Unlock()
	runtime.Goexit()
}

func (s *session) Failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

func (s *session) Context() context.Context { return s.ctx }

func (s *session) Cleanup(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanups = append(s.cleanups, f)
}

func (s *session) TempDir() string {
	dir, err := os.MkdirTemp("", "stroem-check-")
	if err != nil {
		s.Fatalf("make a directory: %v", err)
	}
	s.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			s.Errorf("remove a directory: %v", err)
		}
	})
	return dir
}
