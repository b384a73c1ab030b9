package core_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stroem/stroem/core"
)

// flow is a job in memory: the reference against which Advance is run.
type flow struct {
	progress core.Progress
	status   map[core.StepID]core.StepStatus
	deps     map[core.StepID][]core.StepID
	open     map[core.StepID]int
	flagged  map[core.StepID]bool
	job      core.JobStatus
}

func newFlow(deps map[core.StepID][]core.StepID, flagged map[core.StepID]bool) *flow {
	f := &flow{
		progress: core.Progress{OpenSteps: len(deps)}, deps: deps, flagged: flagged,
		status: map[core.StepID]core.StepStatus{}, open: map[core.StepID]int{},
	}
	var roots []core.Dependant
	for id, on := range deps {
		f.status[id], f.open[id] = core.StepPending, len(on)
		if len(on) == 0 {
			roots = append(roots, f.dependant(id))
		}
	}
	f.apply(core.Advance(f.progress, nil, roots))
	return f
}

func (f *flow) dependants(id core.StepID) []core.StepID {
	var ids []core.StepID
	for other, on := range f.deps {
		if slices.Contains(on, id) {
			ids = append(ids, other)
		}
	}
	slices.Sort(ids)
	return ids
}

func (f *flow) dependant(id core.StepID) core.Dependant {
	return core.Dependant{
		ID: id, Status: f.status[id], OpenDeps: f.open[id], ContinueOnFailure: f.flagged[id], Dependants: f.dependants(id),
	}
}

// end brings steps to their end together, as completions that waited for the job's lock.
func (f *flow) end(outcomes map[core.StepID]core.StepStatus) {
	var ended []core.Ended
	for id, status := range outcomes {
		f.status[id] = status
		ended = append(ended, core.Ended{ID: id, Status: status, ContinueOnFailure: f.flagged[id], Dependants: f.dependants(id)})
	}
	for len(ended) > 0 {
		seen := map[core.StepID]bool{}
		var dependants []core.Dependant
		for _, step := range ended {
			for _, id := range step.Dependants {
				if !seen[id] {
					seen[id] = true
					dependants = append(dependants, f.dependant(id))
				}
			}
		}
		ended = f.apply(core.Advance(f.progress, ended, dependants))
	}
}

func (f *flow) apply(t core.Transitions) []core.Ended {
	f.progress = t.Progress
	maps.Copy(f.open, t.OpenDeps)
	for _, id := range t.Ready {
		f.status[id] = core.StepReady
	}
	for _, end := range t.End {
		f.status[end.ID] = end.Status
	}
	if t.Job != "" {
		f.job = t.Job
	}
	return t.End
}

func (f *flow) ready() []core.StepID {
	var ids []core.StepID
	for id, status := range f.status {
		if status == core.StepReady {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// drawFlow draws a graph without cycles, with some steps that continue on failure, and how each step would end.
func drawFlow(t *rapid.T) (deps map[core.StepID][]core.StepID, flagged map[core.StepID]bool, fails map[core.StepID]bool) {
	n := rapid.IntRange(1, 12).Draw(t, "steps")
	deps, flagged, fails = map[core.StepID][]core.StepID{}, map[core.StepID]bool{}, map[core.StepID]bool{}
	for i := range n {
		id := core.StepID(i + 1)
		deps[id] = nil
		for j := range i {
			if rapid.IntRange(0, 3).Draw(t, "edge") == 0 {
				deps[id] = append(deps[id], core.StepID(j+1))
			}
		}
		flagged[id] = rapid.Bool().Draw(t, "continue on failure")
		fails[id] = rapid.IntRange(0, 2).Draw(t, "fails") == 0
	}
	return deps, flagged, fails
}

// run ends ready steps in an order and in batches that choose picks, until none is left. It returns how often each step
// ran.
func run(f *flow, fails map[core.StepID]bool, choose func([]core.StepID) []core.StepID, check func(core.StepID)) map[core.StepID]int {
	runs := map[core.StepID]int{}
	for ready := f.ready(); len(ready) > 0; ready = f.ready() {
		outcomes := map[core.StepID]core.StepStatus{}
		for _, id := range choose(ready) {
			check(id)
			runs[id]++
			outcomes[id] = core.StepCompleted
			if fails[id] {
				outcomes[id] = core.StepFailed
			}
		}
		f.end(outcomes)
	}
	return runs
}

func TestAdvanceRunsEveryFlowToItsEnd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		deps, flagged, fails := drawFlow(t)
		f := newFlow(deps, flagged)
		runs := run(f, fails, func(ready []core.StepID) []core.StepID {
			picked := rapid.SliceOfNDistinct(rapid.SampledFrom(ready), 1, len(ready), rapid.ID).Draw(t, "end")
			return picked
		}, func(id core.StepID) {
			for _, dependency := range deps[id] {
				require.True(t, f.status[dependency].Terminal(), "step %d runs before step %d has ended", id, dependency)
				if !flagged[id] {
					require.Equal(t, core.StepCompleted, f.status[dependency], "step %d runs after step %d", id, dependency)
				}
			}
		})
		intolerable := false
		for id, status := range f.status {
			require.True(t, status.Terminal(), "step %d is left %s", id, status)
			require.Equal(t, status != core.StepSkipped, runs[id] == 1, "step %d is %s and ran %d times", id, status, runs[id])
			intolerable = intolerable || status == core.StepFailed && !flagged[id]
		}
		want := core.JobCompleted
		if intolerable {
			want = core.JobFailed
		}
		require.Equal(t, want, f.job)
		require.Zero(t, f.progress.OpenSteps)
	})
}

func TestAdvanceEndsAlikeInAnyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		deps, flagged, fails := drawFlow(t)
		all := newFlow(deps, flagged)
		run(all, fails, func(ready []core.StepID) []core.StepID { return ready }, func(core.StepID) {})
		one := newFlow(deps, flagged)
		run(one, fails, func(ready []core.StepID) []core.StepID {
			return []core.StepID{rapid.SampledFrom(ready).Draw(t, "next")}
		}, func(core.StepID) {})
		require.Empty(t, cmp.Diff(all.status, one.status))
		require.Equal(t, all.job, one.job)
	})
}

func TestAdvanceStopsWhenCancelledOrTimedOut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		deps, flagged, fails := drawFlow(t)
		f := newFlow(deps, flagged)
		cancel := rapid.Bool().Draw(t, "cancel")
		stopAfter, ran := rapid.IntRange(0, len(deps)-1).Draw(t, "stop after"), 0
		for ready := f.ready(); len(ready) > 0; ready = f.ready() {
			if ran == stopAfter {
				f.progress.CancelRequested, f.progress.TimedOut = cancel, !cancel
				stop := map[core.StepID]core.StepStatus{}
				for id, status := range f.status {
					if !status.Terminal() {
						stop[id] = map[bool]core.StepStatus{true: core.StepCancelled, false: core.StepSkipped}[cancel]
					}
				}
				f.end(stop)
				require.Equal(t, map[bool]core.JobStatus{true: core.JobCancelled, false: core.JobFailed}[cancel], f.job)
				require.Empty(t, f.ready())
				return
			}
			ran++
			status := core.StepCompleted
			if fails[ready[0]] {
				status = core.StepFailed
			}
			f.end(map[core.StepID]core.StepStatus{ready[0]: status})
		}
	})
}

func TestContinueOnFailure(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name          string
		first, second bool // continue on failure
		wantSecond    core.StepStatus
		wantJob       core.JobStatus
	}{
		{"neither", false, false, core.StepSkipped, core.JobFailed},
		{"the failing step: tolerated, its dependant is skipped", true, false, core.StepSkipped, core.JobCompleted},
		{"the dependant: it runs, and does not forgive", false, true, core.StepCompleted, core.JobFailed},
		{"both", true, true, core.StepCompleted, core.JobCompleted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := newFlow(map[core.StepID][]core.StepID{1: nil, 2: {1}}, map[core.StepID]bool{1: tc.first, 2: tc.second})
			run(f, map[core.StepID]bool{1: true}, func(ready []core.StepID) []core.StepID { return ready }, func(core.StepID) {})
			require.Equal(t, tc.wantSecond, f.status[2])
			require.Equal(t, tc.wantJob, f.job)
		})
	}
}

func TestAdvanceTouchesOnlyDependants(t *testing.T) {
	t.Parallel()
	// A flagged step behind a skipped one must still run: 1 fails, 2 is skipped, 3 continues on failure.
	f := newFlow(map[core.StepID][]core.StepID{1: nil, 2: {1}, 3: {2}}, map[core.StepID]bool{3: true})
	runs := run(f, map[core.StepID]bool{1: true}, func(ready []core.StepID) []core.StepID { return ready }, func(core.StepID) {})
	require.Equal(t, map[core.StepID]int{1: 1, 3: 1}, runs)
	require.Equal(t, core.JobFailed, f.job)
}
