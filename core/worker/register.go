package worker

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
)

// prepare makes the directories. What a process before this one left among the steps' own stays until it is known which
// steps go on.
func (w *Worker) prepare() error {
	for _, dir := range []string{w.CacheDir, w.ScratchDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("create %s: %w", dir, err)
		}
	}
	return w.cache.open()
}

// register introduces the worker, for as long as it takes. Only an answer that no repetition will change is an error.
func (w *Worker) register(ctx context.Context) (api.Registered, error) {
	var delay backoff
	for {
		request := w.introduction()
		registered, err := w.Client.Register(ctx, request)
		if err == nil {
			w.told = request.Plugins
			w.Logger.InfoContext(ctx, "registered", "worker", registered.WorkerID, "name", w.Name, "tags", request.Tags, "slots", w.Slots)
			return registered, nil
		}
		if refused(err) {
			return registered, fmt.Errorf("register: %w", err)
		}
		w.Logger.WarnContext(ctx, "cannot register, trying again", "error", err)
		if err := delay.wait(ctx, 2*time.Second, time.Minute); err != nil {
			return registered, err
		}
	}
}

func (w *Worker) introduction() api.Register {
	return api.Register{Name: w.Name, Tags: w.tags(), Version: w.Version, Protocol: api.Protocol, Plugins: w.plugins()}
}

// ownToken is the token that a session's worker was given.
type ownToken struct{ s *session }

func (t ownToken) Token(context.Context) (string, error) { return t.s.identity.Token, nil }

// Renew makes the token good again.
func (t ownToken) Renew(ctx context.Context, refused string) (string, error) {
	return refused, t.s.renew(ctx)
}

// renew introduces the worker once more, as the one that it is, because the server's configuration has changed: what runs goes
// on. A refusal ends the session.
func (s *session) renew(ctx context.Context) error {
	s.renewing.Lock()
	defer s.renewing.Unlock()
	request := s.introduction()
	request.WorkerToken = s.identity.Token
	_, err := s.Client.Register(ctx, request)
	if s.note(err) == nil {
		s.Logger.InfoContext(ctx, "the server's worker tokens have changed; this worker goes on", "worker", s.identity.WorkerID)
		return nil
	}
	if refused(err) {
		s.end(fmt.Errorf("register: %w", err))
	}
	return err
}

// heartbeatInterval is what the server asks for, within reason.
func heartbeatInterval(r api.Registered) time.Duration {
	const standard, shortest = 10 * time.Second, 10 * time.Millisecond
	if r.HeartbeatIntervalSecs <= 0 {
		return standard
	}
	return max(time.Duration(r.HeartbeatIntervalSecs*float64(time.Second)), shortest)
}

// tags are what the worker offers now: the tags of its runners, the names of third parties' action types, which steps of
// these types require and, as long as there are any, its labels.
func (w *Worker) tags() []string {
	var tags []string
	for _, t := range w.Runners.ActionTypes() {
		tags = append(tags, t.Tag)
		if core.IsVendorType(t.Name) {
			tags = append(tags, t.Name)
		}
	}
	if len(tags) > 0 {
		tags = append(tags, w.Labels...)
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}
