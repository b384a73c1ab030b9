package engine_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/engine"
)

func (m *model) actions() map[string]action {
	// with is an action that needs one or two random numbers.
	with := func(run func(at, n int)) action {
		return func(rt *rapid.T) func() {
			at, n := anyNumber.Draw(rt, "replica"), anyNumber.Draw(rt, "n")
			return func() { run(at, n) }
		}
	}
	return map[string]action{
		"execute": with(m.execute),
		"fire":    with(func(at, n int) { m.fire(at, time.Unix(int64(n%4)*60, 0)) }),
		"claim": func(rt *rapid.T) func() {
			at, n, steps := anyNumber.Draw(rt, "replica"), anyNumber.Draw(rt, "worker"), rapid.IntRange(1, 4).Draw(rt, "steps")
			return func() { m.claim(at, m.worker(n), steps) }
		},
		"take up": func(rt *rapid.T) func() {
			at, n, steps := anyNumber.Draw(rt, "replica"), anyNumber.Draw(rt, "worker"), rapid.IntRange(1, 4).Draw(rt, "steps")
			return func() { m.startRuns(at+1, m.claim(at, m.worker(n), steps)) }
		},
		"start": func(rt *rapid.T) func() {
			at, picks := anyNumber.Draw(rt, "replica"), rapid.SliceOfN(anyNumber, 1, 3).Draw(rt, "runs")
			return func() { m.startRuns(at, m.pickRuns(picks)) }
		},
		"report": func(rt *rapid.T) func() {
			at, picks, reports := m.drawReports(rt)
			return func() { m.report(at, m.pickRuns(picks), reports) }
		},
		"work": func(rt *rapid.T) func() {
			at, picks, reports := m.drawReports(rt)
			return func() {
				runs := m.claim(at, m.worker(picks[0]), len(reports))
				m.startRuns(at+1, runs)
				m.report(at, runs, reports)
			}
		},
		"race": func(rt *rapid.T) func() {
			at, picks, reports := m.drawReports(rt)
			rivals := rapid.SliceOfNDistinct(rapid.IntRange(0, 7), 1, 4, rapid.ID).Draw(rt, "rivals")
			return func() { m.race(at, m.pickRuns(picks[:1]), reports, rivals) }
		},
		"report with another lease": with(m.forge),
		"save state":                with(m.saveState),
		"cancel":                    with(func(at, n int) { m.cancel(at, m.job(n)) }),
		"register":                  with(func(at, n int) { m.register(pick([]string{"first", "second", "third"}, n), n%2 == 0, at) }),
		"revoke":                    with(func(at, n int) { m.revoke(at, m.worker(n)) }),
		"restore":                   with(func(at, n int) { m.restore(at, m.worker(n)) }),
		"heartbeat":                 with(m.heartbeat),
		"fall silent":               with(m.fallSilent),
		"restart":                   with(func(at, _ int) { m.restart(at % len(m.replicas)) }),
		"a start is overdue":        with(m.late("claimed_at = now() - interval '1 hour'", "started_at is null")),
		"a step is overdue":         with(m.late("deadline_at = now() - interval '1 hour'", "deadline_at is not null")),
		"a stop is overdue":         with(m.late("stop_requested_at = now() - interval '1 hour'", "stop_requested_at is not null")),
		"a job is overdue": with(func(_, n int) {
			m.exec("update job set deadline_at = now() - interval '1 hour' where job_id = $1 and deadline_at is not null", m.job(n))
		}),
	}
}

// race has a step reported while others do what ends it as well.
func (m *model) race(at int, runs []*run, reports []api.Completion, rivals []int) {
	if len(runs) == 0 {
		return
	}
	m.startRuns(at, runs)
	r, job := runs[0], uuid.MustParse(runs[0].claim.JobID)
	all := []func(){
		func() { m.cancel(at+1, job) },
		func() { m.cancel(at, m.above(job)) },
		func() {
			m.exec("update job set deadline_at = now() where job_id = any($1) and deadline_at is not null", []uuid.UUID{job, m.above(job)})
		},
		func() {
			m.exec("update job_step set deadline_at = now() where job_id = $1 and deadline_at is not null", m.above(job))
		},
		func() { m.silence(r.worker) },
		func() { m.register(r.worker.name, at%2 == 0, at+1) },
		func() { m.report(at+1, runs, reports[len(reports)-1:]) },
		func() { m.revoke(at+1, r.worker) },
	}
	var group sync.WaitGroup
	for _, i := range rivals {
		group.Go(all[i])
	}
	group.Go(func() { m.report(at, runs, reports) })
	group.Wait()
}

// above returns the job above a job, or the job itself.
func (m *model) above(job uuid.UUID) uuid.UUID {
	for _, id := range m.query("select parent_job_id::text from job where job_id = $1 and parent_job_id is not null", job) {
		if parent, err := uuid.Parse(id); err == nil {
			return parent
		}
	}
	return job
}

func (m *model) execute(at, n int) {
	x := engine.Execute{
		Workspace: "ws", Task: fmt.Sprint("task", n%modelTasks), Input: map[string]any{"n": n % 7},
		Source: pick([]core.SourceType{core.SourceAPI, core.SourceUser, core.SourceWebhook}, n),
	}
	if n%5 == 0 {
		x.IdempotencyKey = fmt.Sprint("key ", n%3)
		x.Task, x.Input = "task0", nil
	}
	var id uuid.UUID
	err := m.ask("execute", at, func(e *engine.Engine) (err error) {
		id, err = e.Execute(m.ctx, x)
		return err
	})
	if err != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.jobs[id] = true
	if x.IdempotencyKey != "" {
		if first, used := m.keys[x.IdempotencyKey]; used && first != id {
			m.problems = append(m.problems, fmt.Sprintf("%s is for job %s and for %s", x.IdempotencyKey, first, id))
		}
		m.keys[x.IdempotencyKey] = id
	}
}

// fire is what the scheduler does, perhaps on two replicas that both take themselves for the leader.
func (m *model) fire(at int, instant time.Time) {
	fire := &core.Fire{Workspace: "ws", Trigger: "t", At: instant, Next: instant.Add(time.Minute)}
	var id uuid.UUID
	err := m.ask("fire", at, func(e *engine.Engine) (err error) {
		id, err = e.Execute(m.ctx, engine.Execute{Workspace: "ws", Task: "task0", Source: core.SourceTrigger, SourceID: "ws/t", Fire: fire})
		return err
	})
	if err != nil {
		return // it has fired, perhaps in a call of which nothing was heard
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if first, fired := m.fires[instant]; fired {
		m.problems = append(m.problems, fmt.Sprintf("%s fired for job %s and for %s", instant, first, id))
	}
	m.fires[instant], m.jobs[id] = id, true
}

// job picks a job, most often one that has not ended.
func (m *model) job(n int) uuid.UUID {
	var ids []uuid.UUID
	rows, err := m.db.Query(m.ctx, "select job_id from job where status in ('pending', 'running') or $1 % 4 = 0 order by job_id", n)
	if err == nil {
		for rows.Next() {
			var id uuid.UUID
			_ = rows.Scan(&id)
			ids = append(ids, id)
		}
		err = rows.Err()
	}
	if err != nil {
		m.problem("list jobs: %s", err)
	}
	return pick(ids, n)
}

func (m *model) cancel(at int, id uuid.UUID) {
	if id == uuid.Nil {
		return
	}
	err := m.ask("cancel", at, func(e *engine.Engine) error {
		_, err := e.Cancel(m.ctx, id)
		return err
	})
	if err != nil {
		return
	}
	now := m.tick()
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, before := m.cancelled[id]; !before {
		m.cancelled[id] = now
	}
}

// drain lets everything come to its end: the workers of before are lost, and another one works off all that is there. Before
// that, what is below stopped steps is to be stopped without anybody's help.
func (m *model) drain(rt *rapid.T) {
	for deadline := time.Now().Add(10 * time.Second); ; {
		going, err := m.store.StoppedChildren(m.ctx)
		if err != nil || len(going) == 0 {
			require.NoError(rt, err)
			break
		}
		if time.Now().After(deadline) {
			rt.Fatalf("jobs that go on though the steps above them do not: %v\n%s", going, strings.Join(m.query(describeOpen), "\n"))
		}
		m.await(going[0])
	}
	m.exec("update worker set last_heartbeat = now() - interval '1 hour'")
	if _, err := m.store.DeactivateWorkers(m.ctx, 30*time.Minute); err != nil {
		m.problem("deactivate workers: %s", err)
	}
	w := m.register("last", false, 0)
	deadline := time.Now().Add(20 * time.Second)
	for at := 0; time.Now().Before(deadline); at++ {
		runs := m.claim(at, w, 10)
		m.startRuns(at, runs)
		m.report(at, runs, slices.Repeat([]api.Completion{{ExitCode: new(0), Output: json.RawMessage(`{"n": 1}`)}}, len(runs)))
		if len(runs) > 0 {
			continue
		}
		open := m.query("select job_id::text from job where status in ('pending', 'running') order by job_id")
		if len(open) == 0 {
			return
		}
		m.await(uuid.MustParse(open[0]))
	}
	rt.Errorf("jobs that do not end:\n%s", strings.Join(m.query(describeOpen), "\n"))
}
