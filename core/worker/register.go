package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
)

// prepare makes the directories, and removes what a process before this one left in them.
func (w *Worker) prepare() error {
	if err := removeAll(w.ScratchDir); err != nil {
		return fmt.Errorf("clear the scratch directory: %w", err)
	}
	for _, dir := range []string{w.CacheDir, w.ScratchDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("create %s: %w", dir, err)
		}
	}
	return w.cache.clean()
}

// register introduces the worker, for as long as it takes. Only an answer that no repetition will change is an error.
func (w *Worker) register(ctx context.Context) error {
	request := api.Register{Name: w.Name, Tags: w.tags(), Version: w.Version, Protocol: api.Protocol}
	if w.Plugins != nil {
		request.Plugins = w.Plugins()
	}
	var delay backoff
	for {
		registered, err := w.Client.Register(ctx, request)
		if err == nil {
			w.server = w.Client.WithToken(registered.Token)
			w.heartbeat = max(time.Duration(registered.HeartbeatIntervalSecs*float64(time.Second)), 10*time.Millisecond)
			w.Logger.Info("registered", "worker", registered.WorkerID, "name", w.Name, "tags", request.Tags, "slots", w.Slots)
			return nil
		}
		if answer, ok := errors.AsType[*client.Error](err); ok && answer.Status < 500 {
			return fmt.Errorf("register: %w", err)
		}
		if err := delay.wait(ctx, 2*time.Second, time.Minute); err != nil {
			return err
		}
		w.Logger.Warn("cannot register, trying again", "error", err)
	}
}

// tags are what the worker offers: the tags of its runners and its labels.
func (w *Worker) tags() []string {
	tags := slices.Clone(w.Labels)
	for _, t := range w.Runners.ActionTypes() {
		tags = append(tags, t.Tag)
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}

// heartbeatLoop says that the worker lives when no other call did so lately.
func (w *Worker) heartbeatLoop(ctx context.Context, stopClaims context.CancelCauseFunc) {
	ticker := time.NewTicker(w.heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if time.Since(time.Unix(0, w.lastCall.Load())) < w.heartbeat/2 {
			continue
		}
		err := w.server.Heartbeat(ctx)
		if w.rejected(err) {
			stopClaims(ErrSuperseded)
			return
		}
		if err != nil && ctx.Err() == nil {
			w.Logger.Warn("heartbeat", "error", err)
		}
	}
}

// rejected tells whether the server has given up this worker for good. A successful call is noted.
func (w *Worker) rejected(err error) bool {
	if err == nil {
		w.lastCall.Store(time.Now().UnixNano())
		return false
	}
	return client.IsCode(err, "superseded") || client.IsCode(err, "worker_unknown")
}

// backoff spaces out attempts: doubling from a first delay to a longest one, with jitter.
type backoff struct{ next time.Duration }

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
