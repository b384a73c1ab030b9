package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/pluginapi"
)

// recordSuffix ends the names of files in the scratch directory that tell of a run, beside its own directory: no step
// gets at them.
const recordSuffix = ".json"

// lostRun is what a worker needs to know of a step to remove its run.
func lostRun(step *api.Claim, state []byte) api.LostRun {
	return api.LostRun{
		StepID: step.StepID, Attempt: step.Attempt, JobID: step.JobID, StepName: step.StepName, Workspace: step.Workspace,
		TaskName: step.TaskName, ActionType: step.ActionType, Runner: step.Runner, State: state,
	}
}

// record writes down a run for the next worker, with what its runner has said of it. A worker that dies meanwhile leaves the
// record before it whole.
func (s *session) record(run api.LostRun) {
	file := filepath.Join(s.ScratchDir, runID(run.JobID, run.StepID, run.Attempt)+recordSuffix)
	content, err := json.Marshal(run)
	if err == nil {
		err = os.WriteFile(file+".new", content, 0o600)
	}
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		s.Logger.Warn("a run could not be written down: nobody would remove what it leaves in a crash", "run", file, "error", err)
	}
}

// settle sees to what a run may have left when the call of its runner is over: nothing, if it came to a result. One that was
// let go of goes on. All others are removed: by the plugin's host if the plugin has died and the run with it, as soon as it
// is up again. What
// could not be removed, or not yet, stays written down for the next worker.
func (s *session) settle(call context.Context, run api.LostRun, err error) error {
	id := runID(run.JobID, run.StepID, run.Attempt)
	switch {
	case letGo(call):
		return nil
	case err == nil:
	case errors.Is(err, pluginhost.ErrPluginGone) && !notBegun(err) && !errors.Is(err, pluginhost.ErrRunLeft):
		s.discard(filepath.Join(s.ScratchDir, id))
		return nil
	default:
		if err := s.remove(s.calls, run); err != nil { //nolint:contextcheck // also for a step that is stopped
			s.Logger.WarnContext(call, "a run that was broken off could not be removed; the next start of the worker tries again", "run", id, "error", err)
			s.discard(filepath.Join(s.ScratchDir, id))
			return err
		}
	}
	s.forget(id)
	return nil
}

// forget removes what a run has in the scratch directory.
func (s *session) forget(run string) {
	s.discard(filepath.Join(s.ScratchDir, run))
	s.discard(filepath.Join(s.ScratchDir, run+recordSuffix))
}

func (s *session) discard(path string) {
	if err := removeAll(path); err != nil {
		s.Logger.Warn("it could not be removed from the scratch directory", "path", path, "error", err)
	}
}

const (
	removeLimit  = 30 * time.Second // for a plugin to remove a run
	removeAtOnce = 8
)

// clear removes what workers before this one left behind, within RemoveLimit, and then lets work be taken: what the server says was lost,
// what is written down of runs that do not go on, and what else is in the scratch directory. What takes time is done by
// the function that it returns, nil if there is nothing.
func (s *session) clear() (finish func()) {
	lost, rest := s.leftovers()
	if len(lost) > 0 {
		return func() { s.clearLost(lost, rest) }
	}
	s.clearRest(rest)
	return nil
}

func (s *session) clearRest(rest []string) {
	for _, path := range rest {
		s.discard(path)
	}
	s.cleared.Store(true)
}

func (s *session) clearLost(lost map[string]api.LostRun, rest []string) {
	var mu sync.Mutex
	var group sync.WaitGroup
	var removed []int64
	ctx, cancel := context.WithTimeout(s.calls, s.RemoveLimit)
	defer cancel()
	turns := make(chan struct{}, removeAtOnce)
	for run, l := range lost {
		turns <- struct{}{}
		group.Go(func() {
			defer func() { <-turns }()
			if err := s.remove(ctx, l); err != nil {
				s.Logger.WarnContext(ctx, "remains of a lost run could not be removed; the next start of the worker tries again", "run", run, "error", err)
				return
			}
			s.Logger.InfoContext(ctx, "removed what was left of a lost run", "run", run)
			s.forget(run)
			mu.Lock()
			defer mu.Unlock()
			removed = append(removed, l.StepID)
		})
	}
	group.Wait()
	s.clearRest(rest)
	s.ask()
	s.reportRemoved(removed)
}

// leftovers returns the lost runs, by id, and what else is in the scratch directory and belongs to no run that goes on.
func (s *session) leftovers() (lost map[string]api.LostRun, rest []string) {
	lost = map[string]api.LostRun{}
	goesOn := map[string]bool{}
	for _, step := range s.identity.Resume {
		goesOn[runID(step.JobID, step.StepID, step.Attempt)] = true
	}
	entries, err := os.ReadDir(s.ScratchDir)
	if err != nil {
		s.Logger.Warn("read the scratch directory", "error", err)
	}
	for _, entry := range entries {
		run, isRecord := strings.CutSuffix(entry.Name(), recordSuffix)
		path := filepath.Join(s.ScratchDir, entry.Name())
		switch {
		case goesOn[run]:
		case !isRecord:
			rest = append(rest, path)
		default:
			var l api.LostRun
			if content, err := os.ReadFile(path); err == nil && json.Unmarshal(content, &l) == nil && runID(l.JobID, l.StepID, l.Attempt) == run { //nolint:gosec // in a directory of ours
				lost[run] = l
			} else {
				rest = append(rest, path)
			}
		}
	}
	for _, l := range s.identity.Remove {
		lost[runID(l.JobID, l.StepID, l.Attempt)] = l
	}
	return lost, rest
}

// remove has the runner remove a run. Without a runner of its type, that is an error.
func (s *session) remove(ctx context.Context, l api.LostRun) error {
	request := &pluginapi.RemoveRequest{
		RunID: runID(l.JobID, l.StepID, l.Attempt), Type: l.ActionType, Runner: variant(l.Runner), State: l.State,
		Labels: labels(l.Workspace, l.TaskName, l.JobID, l.StepName),
	}
	runner, ok := s.Runners.Runner(request.Type, request.Runner)
	if !ok {
		return fmt.Errorf("no runner of this worker offers the action type %s/%s", l.ActionType, l.Runner)
	}
	ctx, cancel := context.WithTimeout(ctx, removeLimit)
	defer cancel()
	return repeat(ctx, notBegun, func() error { return runner.Remove(ctx, request) })
}

// reportRemoved tells the server what it need not tell the next worker any more.
func (s *session) reportRemoved(removed []int64) {
	if len(removed) == 0 {
		return
	}
	var delay backoff
	for {
		err := s.note(s.server.Removed(s.calls, api.RemovedRequest{StepIDs: removed}))
		if err == nil || s.calls.Err() != nil {
			return
		}
		s.Logger.Warn("lost runs that were removed could not be reported", "error", err)
		if refused(err) || delay.wait(s.calls, time.Second, time.Minute) != nil {
			return
		}
	}
}
