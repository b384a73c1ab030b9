package engine

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
)

// Store keeps jobs, steps and workers. All methods are safe for concurrent use; each is one transaction. A transaction
// whose outcome is not known (the connection broke while it committed) is an error, and may have happened.
type Store interface {
	// StepIDs reserves n ascending step ids.
	StepIDs(ctx context.Context, n int) ([]core.StepID, error)
	// CreateJobs stores jobs with their steps, all or none.
	CreateJobs(ctx context.Context, jobs []core.NewJob) error
	JobByIdempotencyKey(ctx context.Context, workspace, task, key string) (core.Job, error)

	// Transition locks what is selected, calls decide, and writes the changes that it returns. It calls decide again
	// with a fresh state when the transaction has to be repeated.
	Transition(ctx context.Context, sel core.Selection,
		decide func(ctx context.Context, state *core.State, more func([]core.StepID) error) (*core.Changes, error)) error

	// Claim hands ready steps to a worker, and tells it which of its steps to stop.
	Claim(ctx context.Context, q core.ClaimQuery) ([]core.ClaimedStep, []core.StepStop, error)
	Outputs(ctx context.Context, jobID uuid.UUID, steps []string) (map[string]core.StepOutput, error)
	SaveInputs(ctx context.Context, inputs map[core.StepID]core.RenderedInput) error
	StepLease(ctx context.Context, id core.StepID, jobID uuid.UUID, name string) (core.ClaimedStep, error)
	// GetJobRow returns a job without its steps, its progress and its output.
	GetJobRow(ctx context.Context, id uuid.UUID) (core.Job, error)
	FailedSteps(ctx context.Context, job uuid.UUID) ([]core.Step, error)
	SinkOutputs(ctx context.Context, job uuid.UUID) (map[string]core.StepOutput, error)
	// EndedChildren returns child jobs that have ended while their step runs: those of the given ones, or all for nil.
	EndedChildren(ctx context.Context, ids []uuid.UUID) ([]core.ChildJob, error)
	// StoppedChildren returns child jobs that go on though their step was told to stop, or has ended.
	StoppedChildren(ctx context.Context) ([]uuid.UUID, error)

	SaveRunnerState(ctx context.Context, id core.StepID, leaseHash, state, sealed []byte) (bool, error)
	JobSecrets(ctx context.Context, id uuid.UUID) (core.JobSecrets, error)
	AddJobSecrets(ctx context.Context, id uuid.UUID, sealed []byte) error

	Definition(ctx context.Context, hash []byte) ([]byte, error)
	Route(ctx context.Context, tags []string) (int, error)
	Routes(ctx context.Context) (map[int][]string, error)
	JobStatus(ctx context.Context, id uuid.UUID) (core.JobStatus, error)

	// RegisterWorker stores a worker in place of the older ones of its name, and has takeOver decide, as Transition has
	// decide, what becomes of their running steps. held are those of them that can be found again.
	RegisterWorker(ctx context.Context, w core.Worker, types []core.ActionType, tokenHash []byte,
		takeOver func(ctx context.Context, superseded []uuid.UUID, held []core.HeldStep, state *core.State,
			more func([]core.StepID) error) (*core.Changes, error)) (superseded []uuid.UUID, err error)
	// LostRuns returns what may be left of steps that ended without a word of a worker of this name, until ForgetRuns.
	LostRuns(ctx context.Context, worker string) ([]core.HeldStep, error)
	ForgetRuns(ctx context.Context, worker uuid.UUID, ids []core.StepID) error
	// RevokeWorker revokes a worker and the one that has its name now, if that is another, and has takeOver decide about their
	// running steps; RestoreWorker lets the name in again. Both return the workers that they have changed.
	RevokeWorker(ctx context.Context, id uuid.UUID,
		takeOver func(ctx context.Context, revoked []uuid.UUID, held []core.HeldStep, state *core.State,
			more func([]core.StepID) error) (*core.Changes, error)) (revoked []uuid.UUID, err error)
	RestoreWorker(ctx context.Context, id uuid.UUID) (restored []uuid.UUID, err error)
	UpdateWorker(ctx context.Context, w core.Worker, types []core.ActionType) error
	WorkerByToken(ctx context.Context, tokenHash []byte) (w core.Worker, superseded bool, err error)
	Heartbeats(ctx context.Context, heard map[uuid.UUID]time.Time) error
	DeactivateWorkers(ctx context.Context, timeout time.Duration) ([]uuid.UUID, error)
	Overdue(ctx context.Context, limits core.SweepLimits) (core.Overdue, error)
	// Unclaimable returns ready steps that no worker could have run for as long as limit, or the first of them.
	Unclaimable(ctx context.Context, limit time.Duration) ([]core.UnclaimableStep, error)

	// Notify wakes the other replicas; Listen hears them. Lead waits until this replica is the one that leads, and
	// runs lead while it is.
	Notify(ctx context.Context) error
	Listen(ctx context.Context, wake, types func()) error
	Lead(ctx context.Context, lead func(context.Context) error) (led bool, err error)
}

// Workspaces gives the last good content of a workspace and its revision; an error with core.CodeNotFound if there is
// no such workspace.
type Workspaces interface {
	Workspace(name string) (*core.Workspace, string, error)
}
