package core

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// NewJob is a job about to be stored together with all its steps.
type NewJob struct {
	Job
	Definition     json.RawMessage // body of DefinitionHash
	IdempotencyKey string          // its hash
	Fire           *Fire           // that the job comes from; nil for all others
	Delivery       *Delivery       // that the job comes from; nil for all others
	Audit          *AuditEntry     // of the job's creation; nil: it is in no audit log
	Steps          []NewStep       // in topological order, their ids ascending
}

// NewStep is a step of a [NewJob].
type NewStep struct {
	Step
	Spec        json.RawMessage // the action as written
	InputSealed []byte          // what Input hides; nil: nothing
}

// Selection says what a transition has to see. Every job that it touches is locked until the transition ends.
type Selection struct {
	Steps []StepID    // these steps, their jobs and their direct dependants
	Jobs  []uuid.UUID // these jobs with all their steps that have not ended
}

// State is what a transition decides upon: the selected jobs and steps as they are under the jobs' locks.
type State struct {
	Jobs  map[uuid.UUID]*Job
	Steps map[StepID]*Step
}

// Changes is what a transition decided. All of it is written in one transaction, each row guarded by the status that
// it was decided on.
type Changes struct {
	Start    []StepID // claimed → started
	HandOver []HandOver
	Requeue  []StepID // claimed and not started → ready
	Ready    []StepID // pending → ready
	Dispatch []Dispatch
	Create   []NewJob
	End      []StepEnd
	Stop     map[StepID]StopReason // running steps whose worker is to be told to stop
	Settled  []StepID              // steps that ended unreported, and of which their worker has spoken since
	OpenDeps map[StepID]int
	Jobs     map[uuid.UUID]JobChange
}

// StepEnd moves a step from one status to a terminal one.
type StepEnd struct {
	ID           StepID
	From, Status StepStatus
	Output       json.RawMessage
	OutputSealed []byte // what Output hides; nil: nothing
	ExitCode     *int
	Error        string
	Unreported   bool // its worker has not said so: should it be heard of again, it has to stop the step
}

// Dispatch moves a step that the server runs itself from pending to running; its child job is created with it.
type Dispatch struct {
	ID StepID
	RenderedInput
}

// HandOver gives a started step to another worker.
type HandOver struct {
	ID        StepID
	WorkerID  uuid.UUID
	LeaseHash []byte
}

// JobChange is the new state of a job. A job that completes gets its output from its sink steps.
type JobChange struct {
	Status   JobStatus
	WorkerID uuid.UUID // of the first start
	Progress Progress
	Error    string
}

// ClaimQuery asks for ready steps.
type ClaimQuery struct {
	WorkerID uuid.UUID
	ClaimID  uuid.UUID
	Routes   []int    // routes whose tags the worker covers
	Leases   [][]byte // hashes of as many leases as steps are wanted
	Retry    bool     // hand out again what ClaimID already has
}

// ClaimedStep is a step with what is needed of its job to run it.
type ClaimedStep struct {
	Step
	Spec           json.RawMessage
	Workspace      string
	TaskName       string
	Revision       string
	RevisionDigest string
	DefinitionHash []byte
	JobInput       json.RawMessage
	JobInputSealed []byte   // what JobInput hides; nil: nothing
	MaskSealed     [][]byte // what is secret in the job beyond the workspace's secrets
}

// RenderedInput is the input of a claimed step as it is stored.
type RenderedInput struct {
	Input  json.RawMessage
	Sealed []byte // what Input hides; nil: nothing
}

// StepOutput is what a completed step has put out.
type StepOutput struct {
	ID     StepID
	Output json.RawMessage // nil: nothing
	Sealed []byte          // what Output hides; nil: nothing
}

// JobSecrets is what it takes to know the secrets of a job.
type JobSecrets struct {
	Workspace  string
	MaskSealed [][]byte
}

// HeldStep is a started step of which a runner has said how it is found again.
type HeldStep struct {
	ClaimedStep
	RunnerState       []byte
	RunnerStateSealed []byte   // what RunnerState hides; nil: nothing
	Ran               Duration // since its start
}

// StepStop is a running step whose worker has to stop it.
type StepStop struct {
	Step
	Reason StopReason
}

// Overdue is what the sweeper found to be past its time.
type Overdue struct {
	Unstarted     []OverdueStep // claimed, and not started in time
	Lost          []OverdueStep // running on a worker that is gone
	TimedOut      []OverdueStep // past their own timeout and the grace that their worker had
	Unstopped     []OverdueStep // told to stop, and never reported
	TimedOutTasks []OverdueStep // past their own timeout; their child jobs run
	TimedOutJobs  []uuid.UUID   // past their task's timeout
}

// ChildJob is a job that has ended, and the step whose task it ran.
type ChildJob struct {
	ID           uuid.UUID
	Workspace    string
	Status       JobStatus
	MaskSealed   [][]byte
	ParentJobID  uuid.UUID
	ParentStepID StepID
}

// OverdueStep is a step as the sweeper found it.
type OverdueStep struct {
	ID       StepID
	WorkerID uuid.UUID // zero for a step of the server's own
	Worker   string    // its name; "" if there is nothing known of it any more
	Heard    time.Time // when it was heard of last
}

// UnclaimableStep is a ready step that nobody could run for too long.
type UnclaimableStep struct {
	ID     StepID
	Reason string // what was missing
}

// SweepLimits are the times after which something is overdue.
type SweepLimits struct {
	Start time.Duration // claimed, not started
	Grace time.Duration // beyond a step's timeout
	Stop  time.Duration // beyond the request to stop
}
