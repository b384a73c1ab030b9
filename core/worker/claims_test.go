package worker_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/worker"
	"github.com/stroem/stroem/pluginapi"
)

const (
	registerPath  = "/worker/register"
	claimPath     = "/worker/jobs/claim"
	startPath     = "/worker/steps/start"
	statePath     = "/worker/steps/state"
	removedPath   = "/worker/steps/removed"
	completePath  = "/worker/steps/complete"
	heartbeatPath = "/worker/heartbeat"
)

func TestRegistration(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	startWorker(t, s, newScripted(nil), func(o *worker.Options) { o.Labels = []string{"gpu", "shell"} })
	s.eventually("the worker claims", func() bool { return len(s.claims) > 0 })
	s.do(func() {
		for _, w := range s.workers {
			require.Equal(t, "w", w.Name)
			require.Equal(t, "1", w.Version)
			require.Equal(t, 1, w.Protocol)
			require.Equal(t, []string{"acme", "acme.noop", "gpu", "pods", "shell"}, w.Tags)
		}
		require.Equal(t, []string{"acme", "acme.noop", "gpu", "pods", "shell"}, s.claims[0].Tags)
		require.Equal(t, 4, *s.claims[0].MaxSteps)
	})
}

func TestClaimsInBulk(t *testing.T) {
	t.Parallel()
	s, gate := newServer(t), newGate()
	steps := map[string]behaviour{}
	for i := range 10 {
		name := fmt.Sprintf("step%d", i)
		steps[name] = gate.run
		s.add(name)
	}
	runner := newScripted(steps)
	startWorker(t, s, runner)
	for range 4 {
		receive(t, gate.running)
	}
	s.eventually("a claim listens while all slots are taken", func() bool {
		return *s.claims[len(s.claims)-1].MaxSteps == 0
	})
	s.do(func() { require.Equal(t, []int{4}, s.starts, "one call starts all steps of a claim") })
	close(gate.open)
	for _, st := range s.steps {
		require.Equal(t, 0, *s.result(st).ExitCode)
	}
	s.do(func() {
		for _, st := range s.steps {
			require.Equal(t, 1, runner.ran(st.StepName))
			require.Equal(t, 1, st.reports)
		}
	})
	require.Equal(t, 4, runner.most)
}

func TestFreedSlotsAreAskedForAgain(t *testing.T) {
	t.Parallel()
	s, gate := newServer(t), newGate()
	first := s.add("first")
	startWorker(t, s, newScripted(map[string]behaviour{"first": gate.run}), func(o *worker.Options) { o.Slots = 1 })
	receive(t, gate.running)
	s.eventually("the only slot is taken", func() bool { return *s.claims[len(s.claims)-1].MaxSteps == 0 })
	close(gate.open)
	s.result(first)
	s.eventually("the slot is offered by the open claim", func() bool { return *s.claims[len(s.claims)-1].MaxSteps == 1 })
	s.result(s.add("second"))
}

func TestLostClaimAnswer(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	steps := []*step{s.add("a"), s.add("b")}
	s.fail(claimPath, lost)
	runner := newScripted(nil)
	startWorker(t, s, runner)
	for _, st := range steps {
		s.result(st)
		require.Equal(t, 1, runner.ran(st.StepName))
	}
	s.do(func() {
		require.True(t, s.claims[1].Retry)
		require.Equal(t, s.claims[0].ClaimID, s.claims[1].ClaimID)
		require.Zero(t, *s.claims[1].WaitSecs, "a repeated claim brings nothing new: it must not wait")
	})
}

func TestLostStartAnswer(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	st := s.add("a")
	s.fail(startPath, lost, proxy503)
	runner := newScripted(nil)
	startWorker(t, s, runner)
	s.result(st)
	require.Equal(t, 1, runner.ran("a"))
}

func TestRefusedStart(t *testing.T) {
	t.Parallel()
	s, gate := newServer(t), newGate()
	runner := newScripted(map[string]behaviour{"a": gate.run})
	p := startWorker(t, s, runner, func(o *worker.Options) { o.Slots = 1 })
	s.fail(startPath, refusal)
	refused := s.add("a")
	s.result(s.add("b"))
	require.Zero(t, runner.ran("a"), "nothing is spawned whose start was not accepted")
	s.do(func() { require.Equal(t, "claimed", refused.status) })
	require.Contains(t, p.log.String(), "they go back to the server")
}

func TestStaleStart(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	runner := newScripted(nil)
	s.fail(startPath, dropped)
	stale, good := s.add("stale"), s.add("good")
	startWorker(t, s, runner)
	s.eventually("the steps are claimed", func() bool { return stale.status == "claimed" })
	s.do(func() { stale.status = "done" }) // cancelled meanwhile
	s.result(good)
	require.Zero(t, runner.ran("stale"))
}

func TestNothingIsClaimedWithoutRunners(t *testing.T) {
	t.Parallel()
	s, runner := newServer(t), newScripted(nil)
	runner.types = nil
	st := s.add("a")
	startWorker(t, s, runner, func(o *worker.Options) { o.Changed, o.Labels = runner.Changed, []string{"gpu"} })
	s.eventually("the worker listens", func() bool { return len(s.claims) > 0 })
	s.do(func() {
		require.Zero(t, *s.claims[0].MaxSteps)
		require.Empty(t, s.claims[0].Tags)
	})
	runner.offer(pluginapi.ActionType{Name: "shell", Runner: "local", Tag: "shell"})
	s.result(st)
}

func TestChangedRunners(t *testing.T) {
	t.Parallel()
	s, runner := newServer(t), newScripted(nil)
	startWorker(t, s, runner, func(o *worker.Options) { o.Changed = runner.Changed })
	s.eventually("the worker claims", func() bool { return len(s.claims) > 0 })
	runner.offer(pluginapi.ActionType{Name: "other.type", Tag: "other"})
	s.eventually("the claim asks for other tags", func() bool { return slices.Contains(s.claims[len(s.claims)-1].Tags, "other") })
	s.do(func() { require.True(t, s.claims[1].Retry, "what the interrupted claim may have brought is not lost") })
	s.result(s.add("b", func(st *step) { st.tag, st.ActionType, st.Runner = "other", "other.type", "none" }))
}

// TestEverythingGoesWrongNowAndThen loses requests and answers of all kinds: no step may run twice, and no result may be
// lost.
func TestEverythingGoesWrongNowAndThen(t *testing.T) {
	t.Parallel()
	s, runner := newServer(t), newScripted(nil)
	const steps = 150
	random := rand.New(rand.NewPCG(1, 2)) // repeatable
	for _, path := range []string{claimPath, startPath, completePath} {
		for range 15 {
			s.fail(path, []fault{"", "", "", dropped, lost, proxy503}[random.IntN(6)])
		}
	}
	for i := range steps {
		s.add(fmt.Sprintf("step%d", i))
	}
	startWorker(t, s, runner, func(o *worker.Options) { o.Slots = 8 })
	for _, st := range s.steps {
		s.result(st)
		require.LessOrEqual(t, runner.ran(st.StepName), 1)
		require.Equal(t, 1, st.reports)
		require.Equal(t, 0, *st.result.ExitCode)
	}
	require.LessOrEqual(t, runner.most, 8)
}

func TestReportsComeTogether(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	blocked := newGate()
	steps := map[string]behaviour{}
	for i := range 8 {
		steps[fmt.Sprintf("step%d", i)] = func(_ context.Context, _ *pluginapi.RunRequest, _ pluginapi.Output) (*pluginapi.Result, error) {
			<-blocked.open
			return &pluginapi.Result{}, nil
		}
		s.add(fmt.Sprintf("step%d", i))
	}
	s.fail(completePath, dropped) // while the first report waits for its next attempt, the others end
	startWorker(t, s, newScripted(steps), func(o *worker.Options) { o.Slots = 8 })
	s.eventually("all run", func() bool { return len(s.starts) == 1 })
	close(blocked.open)
	for _, st := range s.steps {
		s.result(st)
	}
	s.do(func() { require.LessOrEqual(t, len(s.reports), 3, "results: %v", s.reports) })
}
