package engine_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/engine"
)

func (m *model) worker(n int) *modelWorker {
	m.mu.Lock()
	defer m.mu.Unlock()
	return pick(m.workers, n)
}

// register starts a worker. What it is told to go on with is its own from then on.
func (m *model) register(name string, attachable bool, at int) *modelWorker {
	var registered api.Registered
	err := m.ask("register", at, func(e *engine.Engine) (err error) {
		registered, err = e.Register(m.ctx, engine.DefaultToken, api.Register{Name: name, Tags: []string{"shell"}, Protocol: api.Protocol, Plugins: shellPlugin(attachable)})
		return err
	})
	if errors.Is(err, core.ErrWorkerRevoked) {
		return nil
	}
	if err != nil {
		m.problem("register: %s", err)
		return nil
	}
	w := &modelWorker{id: uuid.MustParse(registered.WorkerID), name: name}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.workers = append(m.workers, w)
	for _, claim := range registered.Resume {
		m.runs = append(m.runs, &run{w, claim})
	}
	return w
}

func (m *model) heartbeat(_, n int) {
	if err := m.store.Heartbeats(m.ctx, map[uuid.UUID]time.Time{m.worker(n).id: time.Now()}); err != nil {
		m.problem("heartbeat: %s", err)
	}
}

// fallSilent has a worker judged to be lost. The sweep that has to follow may be another replica's.
func (m *model) fallSilent(_, n int) { m.silence(m.worker(n)) }

func (m *model) silence(w *modelWorker) {
	m.exec("update worker set last_heartbeat = now() - interval '1 hour' where worker_id = $1", w.id)
	if _, err := m.store.DeactivateWorkers(m.ctx, 30*time.Minute); err != nil {
		m.problem("deactivate workers: %s", err)
	}
}

// late lets the clock run for one of the steps that run.
func (m *model) late(set, condition string) func(at, n int) {
	return func(_, n int) {
		m.exec("update job_step set "+set+` where step_id = (select step_id from job_step where status = 'running' and `+condition+`
			order by step_id offset $1 % greatest(1, (select count(*) from job_step where status = 'running' and `+condition+`)) limit 1)`, n)
	}
}

func (m *model) claim(at int, w *modelWorker, n int) []*run {
	begin := m.tick()
	request := api.ClaimRequest{MaxSteps: &n, WaitSecs: new(0), Tags: []string{"shell"}, ClaimID: uuid.NewString()}
	var response api.ClaimResponse
	err := m.ask("claim", at, func(e *engine.Engine) (err error) {
		response, err = e.Claim(m.ctx, w.id, request, alive)
		request.Retry = true
		return err
	})
	if err != nil {
		return nil
	}
	if at%5 == 0 { // the answer was lost; what was got is asked for again
		if err := m.ask("claim", at, func(e *engine.Engine) (err error) {
			response, err = e.Claim(m.ctx, w.id, request, alive)
			return err
		}); err != nil {
			return nil
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if w.revoked > 0 && w.revoked < begin && !w.restored && len(response.Steps) > 0 {
		m.problems = append(m.problems, fmt.Sprintf("worker %s was revoked, and got %d steps", w.id, len(response.Steps)))
	}
	var runs []*run
	for _, claim := range response.Steps {
		if at, ok := m.cancelled[uuid.MustParse(claim.JobID)]; ok && at < begin {
			m.problems = append(m.problems, fmt.Sprintf("step %d of a cancelled job was handed out", claim.StepID))
		}
		runs = append(runs, &run{w, claim})
	}
	m.runs = append(m.runs, runs...)
	return runs
}

// pickRuns returns runs of one worker.
func (m *model) pickRuns(picks []int) (runs []*run) {
	m.mu.Lock()
	defer m.mu.Unlock()
	open := slices.DeleteFunc(slices.Clone(m.runs), func(r *run) bool { return len(m.accepted[r.claim.StepID]) > 0 })
	for _, n := range picks {
		one := pick(open, n)
		if one == nil || n%5 == 0 { // for a repetition
			one = pick(m.runs, n)
		}
		if one != nil && !slices.Contains(runs, one) && (len(runs) == 0 || runs[0].worker == one.worker) {
			runs = append(runs, one)
		}
	}
	return runs
}

func (m *model) startRuns(at int, runs []*run) {
	if len(runs) == 0 {
		return
	}
	var request api.StartRequest
	for _, r := range runs {
		request.Steps = append(request.Steps, api.StepLease{StepID: r.claim.StepID, Lease: r.claim.Lease})
	}
	begin := m.tick()
	var results api.StepResults
	err := m.ask("start", at, func(e *engine.Engine) (err error) {
		results, err = e.Start(m.ctx, runs[0].worker.id, request)
		return err
	})
	if err != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, result := range results.Results {
		claim := runs[i].claim
		if result.Status != api.Accepted {
			continue
		}
		lease, before := m.started[claim.StepID]
		if before && lease != claim.Lease && claim.State == nil { // with a state it was handed over
			m.problems = append(m.problems, fmt.Sprintf("step %d was started with two leases", claim.StepID))
		}
		if at, ok := m.cancelled[uuid.MustParse(claim.JobID)]; ok && at < begin && !before && claim.State == nil {
			m.problems = append(m.problems, fmt.Sprintf("step %d of a cancelled job was started", claim.StepID))
		}
		m.started[claim.StepID] = claim.Lease
	}
}

// drawReports draws what some runs come to.
func (m *model) drawReports(rt *rapid.T) (at int, picks []int, reports []api.Completion) {
	at, picks = anyNumber.Draw(rt, "replica"), rapid.SliceOfN(anyNumber, 1, 4).Draw(rt, "runs")
	for range picks {
		c := api.Completion{ExitCode: new(0), Output: json.RawMessage(rapid.SampledFrom([]string{"", "1", `{"n": 5}`, `{"n": "x"}`}).Draw(rt, "output"))}
		if rapid.IntRange(0, 2).Draw(rt, "fails") == 0 {
			c = api.Completion{ExitCode: new(1), Stopped: rapid.SampledFrom([]string{"", "", "cancelled", "timed_out"}).Draw(rt, "stopped")}
		}
		reports = append(reports, c)
	}
	return at, picks, reports
}

func (m *model) report(at int, runs []*run, reports []api.Completion) {
	if len(runs) == 0 {
		return
	}
	var request api.CompleteRequest
	for i, r := range runs {
		completion := reports[i]
		completion.StepID, completion.Lease = r.claim.StepID, r.claim.Lease
		request.Completions = append(request.Completions, completion)
	}
	begin := m.tick()
	var response api.CompleteResponse
	err := m.ask("report", at, func(e *engine.Engine) (err error) {
		response, err = e.Complete(m.ctx, runs[0].worker.id, request)
		return err
	})
	if err != nil {
		return
	}
	end := m.tick()
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, got := range response.Results {
		id, before := runs[i].claim.StepID, m.accepted[runs[i].claim.StepID]
		if got.Status == api.Accepted {
			m.accepted[id] = append(before, result{*reports[i].ExitCode == 0, string(reports[i].Output), end})
		}
		for _, other := range before {
			if other.at < begin && got.Status != api.Duplicate && got.Status != api.Invalid {
				m.problems = append(m.problems, fmt.Sprintf("a report of step %d after an accepted one is %s", id, got.Status))
			}
		}
	}
}

// forge reports with a lease that was never given out for the step.
func (m *model) forge(at, n int) {
	runs := m.pickRuns([]int{n})
	if len(runs) == 0 {
		return
	}
	c := api.Completion{StepID: runs[0].claim.StepID, Lease: strings.Repeat("A", len(runs[0].claim.Lease)), ExitCode: new(0)}
	var response api.CompleteResponse
	err := m.ask("forged report", at, func(e *engine.Engine) (err error) {
		response, err = e.Complete(m.ctx, m.worker(at).id, api.CompleteRequest{Completions: []api.Completion{c}})
		return err
	})
	if err == nil && (response.Results[0].Status == api.Accepted || response.Results[0].Status == api.Duplicate) {
		m.problem("a report with a wrong lease is %s", response.Results[0].Status)
	}
}

func (m *model) saveState(at, n int) {
	runs := m.pickRuns([]int{n})
	if len(runs) == 0 {
		return
	}
	_ = m.ask("save state", at, func(e *engine.Engine) error {
		_, err := e.SaveState(m.ctx, runs[0].worker.id, api.StartRequest{Steps: []api.StepLease{
			{StepID: runs[0].claim.StepID, Lease: runs[0].claim.Lease, State: []byte("container 7")},
		}})
		return err
	})
}
