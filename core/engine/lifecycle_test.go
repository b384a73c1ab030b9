package engine_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/engine"
)

func one(t *testing.T, config engine.Config) (*bundle, *worker, uuid.UUID) {
	t.Helper()
	b := newBundle(t, flow(map[string]core.FlowStep{"a": {}, "b": {DependsOn: []string{"a"}}}), config)
	return b, b.worker(t, "w"), b.execute(t, nil)
}

func TestAReportIsAcceptedOnce(t *testing.T) {
	t.Parallel()
	b, w, id := one(t, engine.Config{})
	step := w.claim(1)[0]
	other := b.worker(t, "other")
	require.Equal(t, []string{api.Invalid}, other.start(step), "a lease belongs to its worker")
	require.Equal(t, []string{api.Accepted}, w.start(step))
	require.Equal(t, []string{api.Accepted}, w.start(step), "a start that is repeated")
	forged := step
	forged.Lease = strings.Repeat("A", len(step.Lease))
	require.Equal(t, []string{api.Invalid}, w.report(succeed(forged, "")))
	require.Equal(t, []string{api.Accepted}, w.report(succeed(step, `1`)))
	require.Equal(t, []string{api.Duplicate}, w.report(fail(step)), "a late second report changes nothing")
	_, states := b.states(t, id)
	require.Equal(t, map[string]core.StepStatus{"a": "completed", "b": "ready"}, states)
	_, err := b.CheckLease(t.Context(), w.id, engine.StepRef{StepID: core.StepID(step.StepID)}, step.Lease)
	require.ErrorIs(t, err, engine.ErrLeaseStale)
}

func TestReportsOfManyWorkersAtOnce(t *testing.T) {
	t.Parallel()
	steps := map[string]core.FlowStep{"end": {}}
	for name := range strings.SplitSeq("abcdefghijklmnopqrst", "") {
		steps[name] = core.FlowStep{}
		end := steps["end"]
		end.DependsOn = append(end.DependsOn, name)
		steps["end"] = end
	}
	b := newBundle(t, flow(steps), engine.Config{})
	w := b.worker(t, "w")
	id := b.execute(t, nil)
	claimed := w.claim(20)
	require.Len(t, claimed, 20)
	w.start(claimed...)
	done := make(chan []string)
	for _, step := range claimed {
		go func() {
			response, err := w.e.Complete(context.WithoutCancel(t.Context()), w.id, api.CompleteRequest{Completions: []api.Completion{succeed(step, "")}})
			if err != nil {
				done <- []string{err.Error()}
				return
			}
			done <- statuses(response.Results)
		}()
	}
	for range claimed {
		require.Equal(t, []string{api.Accepted}, <-done)
	}
	require.Equal(t, []string{"end"}, w.work())
	job, _ := b.states(t, id)
	require.Equal(t, core.JobCompleted, job)
}

func TestOutputsThatCannotBeStored(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		output, want, message string
	}{
		"NUL is replaced":    {output: `{"a":"x\u0000y"}`, want: `{"a":"x` + "\uFFFD" + `y"}`},
		"a lone surrogate":   {output: `"\ud800"`, want: `"` + "\uFFFD" + `"`},
		"an escaped escape":  {output: `"\\u0000"`, want: `"\\u0000"`},
		"too large":          {output: `"` + strings.Repeat("x", 1<<20) + `"`, message: "at most 1048576 are kept"},
		"not JSON":           {output: `{`, message: "is not JSON"},
		"a number too large": {output: `1e999999`, message: "cannot be stored"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, w, id := one(t, engine.Config{})
			step := w.claim(1)[0]
			w.start(step)
			require.Equal(t, []string{api.Accepted}, w.report(succeed(step, tc.output)))
			_, steps, err := b.store.GetJob(t.Context(), id)
			require.NoError(t, err)
			if tc.message != "" {
				require.Equal(t, core.StepFailed, steps[0].Status)
				require.Contains(t, steps[0].ErrorMessage, tc.message)
				return
			}
			require.Equal(t, core.StepCompleted, steps[0].Status)
			require.JSONEq(t, tc.want, string(steps[0].Output))
		})
	}
}

func TestFailureTexts(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		completion api.Completion
		status     core.StepStatus
		message    string
	}{
		"exit code alone":      {api.Completion{ExitCode: new(7)}, core.StepFailed, "Process exited with code 7"},
		"exit 0 with an error": {api.Completion{ExitCode: new(0), Error: "odd"}, core.StepFailed, "odd"},
		"nothing at all":       {api.Completion{}, core.StepCompleted, ""},
		"NUL in the error":     {api.Completion{ExitCode: new(1), Error: "a\x00b"}, core.StepFailed, "a\uFFFDb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, w, id := one(t, engine.Config{})
			step := w.claim(1)[0]
			w.start(step)
			tc.completion.StepID, tc.completion.Lease = step.StepID, step.Lease
			tc.completion.Output = json.RawMessage(`{"dropped":true}`)
			require.Equal(t, []string{api.Accepted}, w.report(tc.completion))
			_, steps, err := b.store.GetJob(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, tc.status, steps[0].Status)
			require.Equal(t, tc.message, steps[0].ErrorMessage)
			require.Equal(t, tc.status == core.StepCompleted, steps[0].Output != nil)
		})
	}
}

func TestWaitingClaimIsWokenByWhatBecomesReady(t *testing.T) {
	t.Parallel()
	b := newBundle(t, flow(map[string]core.FlowStep{"a": {}}), engine.Config{PollInterval: time.Hour})
	w := b.worker(t, "w")
	// A job first, so that its route is known, and one replica more, which only hears of it by notification.
	b.execute(t, nil)
	w.work()
	second := b.run(t, engine.Config{PollInterval: time.Hour})
	for name, e := range map[string]*engine.Engine{"the same replica": b.Engine, "another replica": second} {
		got := make(chan api.ClaimResponse, 1)
		listening := make(chan struct{}, 1)
		go func() {
			response, err := e.Claim(context.WithoutCancel(t.Context()), w.id, api.ClaimRequest{MaxSteps: new(1), WaitSecs: new(30), Tags: []string{"shell"}},
				func() bool {
					select {
					case listening <- struct{}{}:
					default:
					}
					return true
				})
			if err != nil {
				t.Errorf("claim: %v", err)
			}
			got <- response
		}()
		<-listening
		start := time.Now()
		id := b.execute(t, nil)
		response := <-got
		require.Len(t, response.Steps, 1, name)
		require.Equal(t, id.String(), response.Steps[0].JobID)
		require.Less(t, time.Since(start), 5*time.Second)
		w.start(response.Steps...)
		w.report(succeed(response.Steps[0], ""))
	}
}

func TestAClientThatIsGoneGetsNothing(t *testing.T) {
	t.Parallel()
	b, w, id := one(t, engine.Config{})
	_, err := b.Claim(t.Context(), w.id, api.ClaimRequest{MaxSteps: new(1)}, func() bool { return false })
	require.ErrorIs(t, err, context.Canceled)
	_, states := b.states(t, id)
	require.Equal(t, core.StepReady, states["a"])
}

func TestCancel(t *testing.T) {
	t.Parallel()
	b, w, id := one(t, engine.Config{})
	step := w.claim(1)[0]
	w.start(step)
	status, err := b.Cancel(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, core.JobRunning, status)
	response, err := b.Claim(t.Context(), w.id, api.ClaimRequest{MaxSteps: new(0), WaitSecs: new(30)}, alive)
	require.NoError(t, err)
	require.Equal(t, []api.Stop{{StepID: step.StepID, Attempt: 1, JobID: id.String(), StepName: "a", Reason: "cancelled"}}, response.Stop)
	require.Empty(t, w.stops(), "it has been told")
	again, err := b.Claim(t.Context(), w.id, api.ClaimRequest{MaxSteps: new(0), WaitSecs: new(0), Retry: true}, alive)
	require.NoError(t, err)
	require.Equal(t, response.Stop, again.Stop, "but the answer may have been lost")
	report := fail(step)
	report.Stopped = "cancelled"
	require.Equal(t, []string{api.Accepted}, w.report(report))
	job, states := b.states(t, id)
	require.Equal(t, core.JobCancelled, job)
	require.Equal(t, map[string]core.StepStatus{"a": "cancelled", "b": "cancelled"}, states)
	status, err = b.Cancel(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, core.JobCancelled, status, "cancelling twice is harmless")
}

func TestCancelBeforeAnythingRan(t *testing.T) {
	t.Parallel()
	b, w, id := one(t, engine.Config{})
	claimed := w.claim(1)[0]
	status, err := b.Cancel(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, core.JobCancelled, status)
	require.Equal(t, []string{api.Stale}, w.start(claimed))
	_, err = b.Cancel(t.Context(), uuid.New())
	require.Equal(t, core.CodeNotFound, core.ErrorCode(err))
}

func TestASuccessBeforeTheStopStands(t *testing.T) {
	t.Parallel()
	b, w, id := one(t, engine.Config{})
	step := w.claim(1)[0]
	w.start(step)
	_, err := b.Cancel(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, []string{api.Accepted}, w.report(succeed(step, "1")))
	job, states := b.states(t, id)
	require.Equal(t, core.JobCancelled, job)
	require.Equal(t, map[string]core.StepStatus{"a": "completed", "b": "cancelled"}, states)
}

func TestCancelAFinishedJob(t *testing.T) {
	t.Parallel()
	b, w, id := one(t, engine.Config{})
	w.work()
	_, err := b.Cancel(t.Context(), id)
	require.Equal(t, core.CodeConflict, core.ErrorCode(err))
	require.ErrorContains(t, err, "already ended: it is completed")
}

func TestTaskTimeout(t *testing.T) {
	t.Parallel()
	ws := flow(map[string]core.FlowStep{"a": {}, "b": {DependsOn: []string{"a"}}, "c": {}})
	ws.Tasks["task"].Timeout = core.Duration(20 * time.Millisecond)
	b := newBundle(t, ws, engine.Config{SweepInterval: 10 * time.Millisecond})
	id := b.execute(t, nil)
	w := b.worker(t, "w")
	step := w.claim(1)[0]
	w.start(step)
	response, err := b.Claim(t.Context(), w.id, api.ClaimRequest{MaxSteps: new(0), WaitSecs: new(30)}, alive)
	require.NoError(t, err)
	require.Len(t, response.Stop, 1)
	require.Equal(t, "timed_out", response.Stop[0].Reason)
	report := fail(step)
	report.Stopped = "timed_out"
	w.report(report)
	job, steps, err := b.store.GetJob(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, core.JobFailed, job.Status)
	require.Equal(t, "Timed out after 20ms", job.ErrorMessage)
	require.Equal(t, "Stopped: the task timed out after 20ms", steps[0].ErrorMessage)
	require.Equal(t, core.StepSkipped, steps[1].Status)
	require.Equal(t, core.StepSkipped, steps[2].Status)
}

func TestStepTimeoutReportedByTheWorker(t *testing.T) {
	t.Parallel()
	b := newBundle(t, flow(map[string]core.FlowStep{"a": {Timeout: core.Duration(30 * time.Second)}}), engine.Config{})
	id := b.execute(t, nil)
	w := b.worker(t, "w")
	step := w.claim(1)[0]
	require.InDelta(t, 30, step.TimeoutSecs, 0)
	w.start(step)
	report := fail(step)
	report.Stopped = "timed_out"
	w.report(report)
	_, steps, err := b.store.GetJob(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "Timed out after 30s", steps[0].ErrorMessage)
}

func TestWhyAStepWaits(t *testing.T) {
	t.Parallel()
	ws := flow(map[string]core.FlowStep{"a": {}})
	ws.Actions["act"].Tags = []string{"gpu", "huge"}
	b := newBundle(t, ws, engine.Config{})
	id := b.execute(t, nil)
	b.worker(t, "small", "shell", "gpu")
	_, steps, err := b.store.GetJob(t.Context(), id)
	require.NoError(t, err)
	require.Contains(t, steps[0].WaitingReason, "gpu, huge, shell")
	b.worker(t, "large", "shell", "gpu", "huge")
	_, steps, err = b.store.GetJob(t.Context(), id)
	require.NoError(t, err)
	require.Empty(t, steps[0].WaitingReason)
}

func TestSupersededWorkerIsTold(t *testing.T) {
	t.Parallel()
	b := newBundle(t, flow(map[string]core.FlowStep{"a": {}}), engine.Config{})
	first, err := b.Register(t.Context(), engine.DefaultToken, api.Register{Name: "w", Tags: []string{"shell"}})
	require.NoError(t, err)
	_, err = b.AuthenticateWorker(t.Context(), first.Token)
	require.NoError(t, err)
	b.worker(t, "w")
	_, err = b.AuthenticateWorker(t.Context(), first.Token)
	require.Equal(t, core.CodeConflict, core.ErrorCode(err))
	_, err = b.AuthenticateWorker(t.Context(), "nonsense")
	require.Equal(t, core.CodeUnauthenticated, core.ErrorCode(err))
	_, err = b.Register(t.Context(), engine.DefaultToken, api.Register{Name: "w", Protocol: 9})
	require.ErrorContains(t, err, "protocol 9")
}
