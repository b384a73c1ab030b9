package worker

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core/api"
)

// pollWait is how long the server holds a claim for which it has nothing.
const pollWait = 25 * time.Second

// maxClaim is how many steps the server hands out at once.
const maxClaim = 256

// pollLoop keeps one claim open all the time, with the slots that are free; with none when no work is to be taken.
func (s *session) pollLoop() {
	var delay backoff
	for s.calls.Err() == nil {
		select {
		case <-s.wanted: // these slots are asked for now
		default:
		}
		var changed <-chan struct{}
		if s.Changed != nil {
			changed = s.Changed()
		}
		tags, n := s.tags(), 0
		if s.mayClaim(tags) {
			n = s.slots.take(maxClaim)
		}
		answer, err := s.poll(n, tags, changed)
		s.slots.give(n - len(answer.Steps))
		s.take(answer)
		switch {
		case err == nil:
			delay = backoff{}
		case s.calls.Err() == nil:
			s.Logger.Warn("claim", "error", err)
			_ = delay.wait(s.calls, 100*time.Millisecond, 5*time.Second) // the loop sees the end of calls
		}
	}
}

// mayClaim tells whether work is to be taken that needs these tags.
func (s *session) mayClaim(tags []string) bool {
	return s.claims.Err() == nil && len(tags) > 0 && s.cleared.Load()
}

// errAskAnew interrupts a claim that asks for something else than what is wanted by now.
var errAskAnew = errors.New("another claim is to be made")

// poll claims up to n steps. It ends early, with an empty answer, when there is another claim to be made. As long as
// the answer is not known, the claim is repeated: steps that were given out with it are given out again.
func (s *session) poll(n int, tags []string, changed <-chan struct{}) (api.ClaimResponse, error) {
	wait, now := int(pollWait.Seconds()), 0
	request := api.ClaimRequest{ClaimID: uuid.NewString(), MaxSteps: &n, WaitSecs: &wait, Tags: tags}
	ctx := s.calls
	if n > 0 {
		ctx = s.claims
	}
	var delay backoff
	for {
		answer, err := s.claim(ctx, request, changed)
		if s.note(err) == nil || refused(err) {
			return answer, err
		}
		if ctx.Err() != nil || n == 0 && errors.Is(err, errAskAnew) {
			return api.ClaimResponse{}, nil //nolint:nilerr // steps that it brought are never started, and become ready again
		}
		if n > 0 { // which only asks for what was given out: there is nothing to wait for
			request.Retry, request.WaitSecs, changed = true, &now, nil
		}
		if errors.Is(err, errAskAnew) {
			continue
		}
		s.Logger.Warn("claim, trying again", "error", err)
		_ = delay.wait(ctx, 100*time.Millisecond, 5*time.Second) // the next call sees the end of ctx
	}
}

// claim makes one claim. It is given up, with errAskAnew, when changed is closed, or when it asks for no steps and slots
// are free.
func (s *session) claim(ctx context.Context, request api.ClaimRequest, changed <-chan struct{}) (answer api.ClaimResponse, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		answer, err = s.server.Claim(ctx, request)
	}()
	wanted := s.wanted
	if *request.MaxSteps > 0 {
		wanted = nil
	}
	select {
	case <-answered:
		return answer, err
	case <-wanted:
	case <-changed:
	}
	cancel()
	if <-answered; err != nil {
		return answer, errAskAnew
	}
	return answer, nil
}

// release frees slots, and has the poll ask work for those that are free.
func (s *session) release(n int) {
	if s.slots.give(n) > 0 && s.claims.Err() == nil {
		s.ask()
	}
}

// ask has the poll ask for work.
func (s *session) ask() {
	select {
	case s.wanted <- struct{}{}:
	default:
	}
}
