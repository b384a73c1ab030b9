package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/engine"
	"github.com/stroem/stroem/core/postgres"
)

// modelChecks is how many random runs there are when -rapid.checks does not say.
const modelChecks = "15"

// TestModel lets random workers, people and clocks do random things to two replicas, one after the other and at the same
// time, and holds what is in the database against what has to be true at any time. In the end everything that can run is
// run, and every job has to end. More runs: -rapid.checks=2000.
func TestModel(t *testing.T) {
	t.Parallel()
	store, url := coretest.Store(t)
	db, err := pgxpool.New(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(context.WithoutCancel(t.Context()), rt, store, db)
		defer m.close()
		actions := m.actions()
		names := slices.Sorted(maps.Keys(actions))
		repeat := map[string]func(*rapid.T){
			"": m.check,
			"together": func(rt *rapid.T) {
				var group sync.WaitGroup
				var runs []func()
				for range rapid.IntRange(2, 5).Draw(rt, "at the same time") {
					runs = append(runs, actions[rapid.SampledFrom(names).Draw(rt, "one")](rt))
				}
				for _, run := range runs {
					group.Go(run)
				}
				group.Wait()
			},
		}
		for name, draw := range actions {
			repeat[name] = func(rt *rapid.T) { draw(rt)() }
		}
		repeat["together once more"] = repeat["together"]
		rt.Repeat(repeat)
		m.drain(rt)
		m.close()
		m.check(rt)
		m.checkEnd(rt)
	})
}

// action draws what is random about something that can happen, and returns what makes it happen. Several may happen at the
// same time.
type action = func(*rapid.T) func()

// model knows what has been done and answered.
type model struct {
	ctx       context.Context
	store     *postgres.Store
	db        *pgxpool.Pool
	workspace *core.Workspace
	broken    map[string]bool // hooks that cannot be fired, by their marks
	said      *eventLog

	restarting sync.Mutex

	mu        sync.Mutex
	replicas  [2]*replica
	problems  []string
	clock     int // counts what happens, to tell before from after
	workers   []*modelWorker
	runs      []*run
	jobs      map[uuid.UUID]bool      // that were created by Execute
	cancelled map[uuid.UUID]int       // when it was answered that a job is being cancelled
	started   map[int64]string        // the lease whose start was accepted
	accepted  map[int64][]result      // reports that were accepted
	fires     map[time.Time]uuid.UUID // instants that fired
	keys      map[string]uuid.UUID    // jobs by idempotency key
}

type replica struct {
	*engine.Engine
	cancel context.CancelFunc
	done   chan struct{}
}

// modelWorker is a worker process; that it was lost or superseded does not keep it from calling.
type modelWorker struct {
	id       uuid.UUID
	name     string
	revoked  int  // when it was answered that it is; 0: it was not
	restored bool // it may be let in again
}

// run is a claim that a worker has got.
type run struct {
	worker *modelWorker
	claim  api.Claim
}

type result struct {
	success bool
	output  string
	at      int
}

const modelTables = "job, job_step, step_attempt, worker, schedule_fire, schedule, webhook_delivery, task_definition"

func newModel(ctx context.Context, rt *rapid.T, store *postgres.Store, db *pgxpool.Pool) *model {
	m := &model{
		ctx: ctx, store: store, db: db, said: &eventLog{}, broken: map[string]bool{},
		jobs: map[uuid.UUID]bool{}, cancelled: map[uuid.UUID]int{}, started: map[int64]string{}, accepted: map[int64][]result{},
		fires: map[time.Time]uuid.UUID{}, keys: map[string]uuid.UUID{},
	}
	m.drawWorkspace(rt)
	require.NoError(rt, m.clear())
	for i := range m.replicas {
		m.replicas[i] = m.start()
	}
	for i, name := range []string{"first", "second"} {
		m.register(name, i == 0, 0)
		m.execute(i, anyNumber.Draw(rt, "job"))
	}
	return m
}

// Workspace satisfies [engine.Workspaces].
func (m *model) Workspace(string) (*core.Workspace, string, error) { return m.workspace, "r1", nil }

func (m *model) start() *replica {
	r := &replica{done: make(chan struct{})}
	r.Engine = engine.New(m.store, m, slog.New(complaints{m}), engine.Config{
		SweepInterval: 10 * time.Millisecond, PollInterval: 20 * time.Millisecond, Event: m.said.add,
	})
	ctx, cancel := context.WithCancel(m.ctx)
	r.cancel = cancel
	go func() {
		defer close(r.done)
		r.Run(ctx)
	}()
	return r
}

func (r *replica) stop() {
	r.cancel()
	<-r.done
}

// restart replaces one replica; there is always another one.
func (m *model) restart(i int) {
	m.restarting.Lock()
	defer m.restarting.Unlock()
	m.replica(i).stop()
	fresh := m.start()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.replicas[i] = fresh
}

func (m *model) replica(i int) *replica {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.replicas[i%len(m.replicas)]
}

func (m *model) close() {
	for _, r := range m.replicas {
		r.stop()
	}
}

// complaints takes what engines log as warnings for problems: nothing here is to go wrong.
type complaints struct{ m *model }

func (c complaints) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }
func (c complaints) WithAttrs([]slog.Attr) slog.Handler               { return c }
func (c complaints) WithGroup(string) slog.Handler                    { return c }

func (c complaints) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += " " + a.String()
		return true
	})
	if !strings.Contains(text, "server is stopping") { // which a sweep may learn before it is told
		c.m.problem("logged: %s", text)
	}
	return nil
}

func (m *model) problem(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.problems = append(m.problems, fmt.Sprintf(format, args...))
}

// tick returns a time that is later than all before it.
func (m *model) tick() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clock++
	return m.clock
}

// exec changes the database as no engine would: clocks run, and processes fall silent.
func (m *model) exec(sql string, args ...any) {
	if _, err := m.db.Exec(m.ctx, sql, args...); err != nil {
		m.problem("%s: %s", sql, err)
	}
}

// ask calls an engine until it answers, as clients do: one that is being stopped has not said no.
func (m *model) ask(what string, at int, call func(*engine.Engine) error) error {
	for i := 0; ; i++ {
		err := call(m.replica(at + i).Engine)
		switch core.ErrorCode(err) {
		case core.CodeUnavailable:
			if i < 100 { // the other one is there
				continue
			}
		case core.CodeInternal:
			if err != nil {
				pgErr, _ := errors.AsType[*pgconn.PgError](err)
				m.problem("%s: %s %+v", what, err, pgErr)
			}
		}
		return err
	}
}

// clear removes all jobs. Statements of engines that are gone may still be under way, in which case it can meet a deadlock.
func (m *model) clear() (err error) {
	for range 5 {
		if _, err = m.db.Exec(m.ctx, "truncate "+modelTables+" cascade"); err == nil {
			break
		}
	}
	return err
}

// pick returns one of a list, or the zero value of an empty one.
func pick[T any](list []T, n int) (one T) {
	if len(list) == 0 {
		return one
	}
	return list[n%len(list)]
}

var anyNumber = rapid.IntRange(0, 1<<16)
