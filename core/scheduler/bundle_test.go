package scheduler_test

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/engine"
	"github.com/stroem/stroem/core/postgres"
	"github.com/stroem/stroem/core/scheduler"
	"github.com/stroem/stroem/core/tally"
)

// clock is set by the test. It knows when a scheduler has done everything that is due: then it waits for the clock.
type clock struct {
	mu      sync.Mutex
	now     time.Time
	longest time.Duration // that somebody wanted to wait
	waiters map[*waiter]bool
	waiting chan struct{} // gets a value whenever somebody begins to wait
}

type waiter struct{ passed chan time.Time }

func newClock(t testing.TB, now string) *clock {
	return &clock{now: at(t, now), waiters: map[*waiter]bool{}, waiting: make(chan struct{}, 1000)}
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return parsed
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) After(d time.Duration) (<-chan time.Time, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.longest = max(c.longest, d)
	w := &waiter{make(chan time.Time, 1)}
	c.waiters[w] = true
	c.waiting <- struct{}{}
	return w.passed, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.waiters, w)
	}
}

// set moves the clock in either direction, and wakes everybody: as much time passes as it takes to notice.
func (c *clock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
	for len(c.waiting) > 0 {
		<-c.waiting
	}
	for w := range c.waiters {
		delete(c.waiters, w)
		w.passed <- now
	}
}

// bundle is a database with an engine and two workspaces, one of which may be missing.
type bundle struct {
	t      *testing.T
	store  *postgres.Store
	engine *engine.Engine
	clock  *clock

	counted tally.Schedules

	mu       sync.Mutex
	contents map[string]*core.Workspace
	changed  chan struct{}
}

func newBundle(t *testing.T, now string, triggers map[string]*core.Trigger) *bundle {
	t.Helper()
	b := &bundle{t: t, clock: newClock(t, now), contents: map[string]*core.Workspace{"ws": content(triggers)}, changed: make(chan struct{})}
	b.store, _ = coretest.Store(t)
	b.engine = engine.New(b.store, b, slog.New(slog.NewTextHandler(t.Output(), nil)), engine.Config{})
	background(t, func(ctx context.Context) { b.engine.Run(ctx) })
	return b
}

// background runs f until stop is called, at the latest when the test ends.
func background(t *testing.T, f func(context.Context)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

// content is a workspace whose task needs a number if it is given one.
func content(triggers map[string]*core.Trigger) *core.Workspace {
	for _, trigger := range triggers {
		trigger.Type, trigger.Enabled = "scheduler", true
		if trigger.Task == "" {
			trigger.Task = "task"
		}
	}
	return &core.Workspace{
		Actions: map[string]*core.Action{"act": {Type: "shell", Spec: map[string]any{"cmd": "true"}}},
		Tasks: map[string]*core.Task{"task": {
			Input: map[string]core.InputField{"n": {Type: "number"}},
			Flow:  map[string]core.FlowStep{"step": {Action: "act"}},
		}},
		Triggers: triggers,
	}
}

func (b *bundle) Names() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.contents))
}

func (b *bundle) Workspace(name string) (*core.Workspace, string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	content, ok := b.contents[name]
	switch {
	case !ok:
		return nil, "", core.Errorf(core.CodeNotFound, "", "Workspace '%s' not found", name)
	case content == nil:
		return nil, "", core.Errorf(core.CodeUnavailable, "", "it is being loaded")
	}
	return content, "r1", nil
}

func (b *bundle) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

// load changes a workspace.
func (b *bundle) load(name string, content *core.Workspace) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.contents[name] = content
	close(b.changed)
	b.changed = make(chan struct{})
}

// start starts a scheduler and waits until it has done what is due.
func (b *bundle) start() (stop func()) {
	b.t.Helper()
	s := scheduler.New(scheduler.Options{
		Store: b.store, Jobs: b.engine, Workspaces: b, Clock: b.clock, Tally: &b.counted, Logger: slog.New(slog.NewTextHandler(b.t.Output(), nil)),
	})
	stop = background(b.t, s.Run)
	b.settle()
	return stop
}

// settle waits until the scheduler waits.
func (b *bundle) settle() {
	b.t.Helper()
	select {
	case <-b.clock.waiting:
	case <-time.After(30 * time.Second):
		b.t.Fatal("the scheduler does not come to rest")
	}
}

// pass sets the clock, and waits until what is then due is done.
func (b *bundle) pass(now time.Time) {
	b.t.Helper()
	b.clock.set(now)
	b.settle()
}

// fires are the instants that a trigger has fired for, oldest first.
func (b *bundle) fires(workspace, trigger string) []core.Fire {
	b.t.Helper()
	fires, err := b.store.Fires(b.t.Context(), workspace, trigger, 1000)
	require.NoError(b.t, err)
	slices.Reverse(fires)
	return fires
}

func (b *bundle) instants(trigger string) []string {
	b.t.Helper()
	list := []string{}
	for _, fire := range b.fires("ws", trigger) {
		list = append(list, fire.At.UTC().Format(time.RFC3339))
	}
	return list
}

// jobs are those of all triggers, by id.
func (b *bundle) jobs() map[string]core.Job {
	b.t.Helper()
	list, _, err := b.store.ListJobs(b.t.Context(), core.JobFilter{Limit: 500})
	require.NoError(b.t, err)
	jobs := map[string]core.Job{}
	for i := range list {
		jobs[list[i].ID.String()] = list[i]
	}
	return jobs
}
