package worker

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/stroem/stroem/core/client"
)

// backoff spaces out attempts: doubling from a first delay to a longest one, with jitter.
type backoff struct{ next time.Duration }

// wait waits for the next attempt's time, or returns why ctx ended before.
func (b *backoff) wait(ctx context.Context, first, longest time.Duration) error {
	b.next = min(max(2*b.next, first), longest)
	timer := time.NewTimer(b.next/2 + rand.N(b.next/2+1)) //nolint:gosec // no secret
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// refused tells whether err is the server's refusal, which a repetition of the call would not change. What a proxy
// answers in its place while it is away has no code.
func refused(err error) bool {
	answer, ok := errors.AsType[*client.Error](err)
	switch {
	case !ok, answer.Status >= http.StatusInternalServerError:
		return false
	case answer.Status == http.StatusRequestEntityTooLarge:
		return true
	case answer.Code == "worker_token_changed": // servers that do not agree, for a moment
		return false
	default:
		return answer.Code != "" && answer.Status != http.StatusRequestTimeout && answer.Status != http.StatusTooManyRequests
	}
}
