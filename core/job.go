package core

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Job is one run of a task.
type Job struct {
	ID              uuid.UUID
	Workspace       string
	TaskName        string
	Mode            string
	Status          JobStatus
	SourceType      SourceType
	SourceID        string // "" when there is none
	WorkerID        uuid.UUID
	Revision        string
	RevisionDigest  string // names the revision's files, whatever the source has under the revision's name later
	DefinitionHash  []byte
	Input           json.RawMessage // an object, what is secret masked
	InputSealed     []byte          // the input as it was given, if that is another one
	MaskSealed      [][]byte        // what is secret in the job beyond the workspace's secrets
	Output          json.RawMessage // an object, or nil
	ErrorMessage    string
	ParentJobID     uuid.UUID
	ParentStepName  string
	OriginJobID     uuid.UUID // the job whose hook this is, or is below: it fires no hooks
	Depth           int       // how many jobs there are above it
	CreatedAt       time.Time
	StartedAt       time.Time // zero until a step has started
	CompletedAt     time.Time // zero until the end
	CancelRequested time.Time // zero unless asked for
	Timeout         Duration  // 0 is none
	Progress        Progress
}

// Pin is a revision that an unfinished job needs.
type Pin struct{ Workspace, Revision string }

// Step is one step of a job, as it is stored.
type Step struct {
	ID                StepID
	JobID             uuid.UUID
	Name              string
	ActionName        string
	ActionType        string
	ActionImage       string
	Runner            string
	Tags              []string
	Input             json.RawMessage // templates until the claim, rendered from then on
	Output            json.RawMessage // nil when there is none
	Status            StepStatus
	Attempt           int
	WorkerID          uuid.UUID
	ReadyAt           time.Time
	ClaimedAt         time.Time
	StartedAt         time.Time
	CompletedAt       time.Time
	ExitCode          *int
	ErrorMessage      string
	StopReason        StopReason
	ContinueOnFailure bool
	DependsOn         []string
	WaitingReason     string // ready steps only: why nobody picks it up

	Dependants []StepID // the steps that name this one in depends_on
	OpenDeps   int      // dependencies that have not ended
	Route      int      // number of the step's set of required tags; 0 for steps that the server runs itself
	Timeout    Duration // 0 is none
	LeaseHash  []byte   // SHA-256 of the current attempt's lease
}

// JobFilter selects jobs; zero fields do not restrict. Jobs come newest first.
type JobFilter struct {
	Workspace   string
	TaskName    string
	Statuses    []JobStatus
	SourceTypes []SourceType
	Since       time.Time
	Until       time.Time
	ParentJobID uuid.UUID
	HookOf      uuid.UUID // only jobs of this job's hooks
	WorkerID    uuid.UUID
	Visible     []Visibility // the first that matches a job decides; a job that none matches is one of them
	BeforeTime  time.Time    // with BeforeID: only jobs older than this one
	BeforeID    uuid.UUID
	Limit       int // 1–500
	Offset      int // 0–10,000
}

// Visibility says whether jobs of some tasks are to be seen. A job is that of [Job.ScopeTask]. The patterns are globs for the whole
// name: * is any run of characters, ? is one.
type Visibility struct {
	WorkspacePattern, TaskPattern string
	Allowed                       bool
}

// HookTask is what stands before the action's name in the TaskName of a hook's job that is of no task.
const HookTask = "_hook:"

// ScopeTask is the task by which it is judged who may see and cancel the job: its own, also for a child job and for a hook that
// runs a task. The job of a hook that runs an action is judged by the task whose hook it is. It needs TaskName, SourceType and
// SourceID.
func (j *Job) ScopeTask() string {
	if task, ok := j.HookedTask(); ok && strings.HasPrefix(j.TaskName, HookTask) {
		return task
	}
	return j.TaskName
}

// HookedTask is the task whose hook has started the job, if it is a hook's. It needs SourceType and SourceID.
func (j *Job) HookedTask() (task string, ok bool) {
	if j.SourceType != SourceHook {
		return "", false
	}
	// workspace/task/job/place, and of these only a task's name may hold a slash.
	_, rest, _ := strings.Cut(j.SourceID, "/")
	for range 2 {
		rest = rest[:max(strings.LastIndexByte(rest, '/'), 0)]
	}
	return rest, true
}

// CountLimit is up to where the number of all jobs that match a filter is counted exactly.
const CountLimit = 10_000

// Worker is a registered worker process.
type Worker struct {
	ID            uuid.UUID
	Name          string
	Status        WorkerStatus
	Tags          []string
	Version       string
	Plugins       json.RawMessage // []api.Plugin
	LastHeartbeat time.Time
	RegisteredAt  time.Time
	Token         string    // name of the token that it registered with
	RevokedAt     time.Time // zero: it was not
}
