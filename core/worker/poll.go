package worker

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core/api"
)

// pollWait is how long the server holds a poll for which it has nothing.
const pollWait = 25 * time.Second

// pollLoop keeps one claim open all the time, with the slots that are free, even if there are none: it is also how the
// worker hears of stops. It ends with ctx.
//
// Slots that become free while a poll without any is open are asked for in the completions that free them. Only if
// those bring nothing is the poll given up for one with slots (wanted).
func (w *Worker) pollLoop(ctx, work context.Context, stopClaims context.CancelCauseFunc) {
	var delay backoff
	for ctx.Err() == nil {
		n := w.slots.take(w.Slots)
		answer, err := w.poll(ctx, n)
		if err != nil {
			w.slots.give(n)
			if w.rejected(err) {
				stopClaims(ErrSuperseded)
				return
			}
			if ctx.Err() == nil {
				w.Logger.Warn("claim", "error", err)
				_ = delay.wait(ctx, 100*time.Millisecond, 5*time.Second) // the loop sees the end of ctx
			}
			continue
		}
		delay = backoff{}
		w.slots.give(n - len(answer.Steps))
		w.take(work, answer.Steps, answer.Stop)
	}
}

// poll asks for n steps. If the answer is lost, the same claim is repeated, so that steps given out with it are not. A
// poll for no steps ends early, with an empty answer, when slots are free.
func (w *Worker) poll(ctx context.Context, n int) (api.ClaimResponse, error) {
	wait := int(pollWait.Seconds())
	request := api.ClaimRequest{ClaimID: uuid.NewString(), MaxSteps: &n, WaitSecs: &wait, Tags: w.tags()}
	var delay backoff
	for {
		answer, interrupted, err := w.pollOnce(ctx, n, request)
		switch {
		case interrupted:
			return api.ClaimResponse{}, nil
		case err == nil:
			w.rejected(nil)
			return answer, nil
		case w.rejected(err):
			return answer, err
		}
		request.Retry = n > 0
		if ctx.Err() != nil {
			return answer, err // steps given out with a lost answer become ready again: they are never started
		}
		w.Logger.Warn("claim, trying again", "error", err)
		if waitErr := delay.wait(ctx, 100*time.Millisecond, 5*time.Second); waitErr != nil {
			return answer, err
		}
	}
}

func (w *Worker) pollOnce(ctx context.Context, n int, request api.ClaimRequest) (answer api.ClaimResponse, interrupted bool, err error) {
	if n > 0 {
		answer, err = w.server.Claim(ctx, request)
		return answer, false, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		answer api.ClaimResponse
		err    error
	}
	results := make(chan result, 1)
	go func() {
		answer, err := w.server.Claim(ctx, request)
		results <- result{answer, err}
	}()
	select {
	case r := <-results:
		return r.answer, false, r.err
	case <-w.wanted:
		cancel()
		r := <-results
		if r.err == nil {
			return r.answer, false, nil
		}
		return api.ClaimResponse{}, true, nil
	}
}

// want makes the poll ask for the slots that are free.
func (w *Worker) want() {
	select {
	case w.wanted <- struct{}{}:
	default:
	}
}
