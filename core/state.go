package core

// JobStatus is the state of a job: pending → running → completed, failed or cancelled.
type JobStatus string

// Job states.
const (
	JobPending   JobStatus = "pending"
	JobRunning   JobStatus = "running"
	JobCompleted JobStatus = "completed"
	JobFailed    JobStatus = "failed"
	JobCancelled JobStatus = "cancelled"
)

// Terminal tells whether the job has ended.
func (s JobStatus) Terminal() bool { return s == JobCompleted || s == JobFailed || s == JobCancelled }

// StepStatus is the state of a step: pending → ready → running → completed, failed or cancelled; pending → skipped or
// cancelled; ready → cancelled.
type StepStatus string

// Step states. A claimed step is running with no start time until its worker reports the start.
const (
	StepPending   StepStatus = "pending"
	StepReady     StepStatus = "ready"
	StepRunning   StepStatus = "running"
	StepCompleted StepStatus = "completed"
	StepFailed    StepStatus = "failed"
	StepSkipped   StepStatus = "skipped"
	StepCancelled StepStatus = "cancelled"
)

// Terminal tells whether the step has ended.
func (s StepStatus) Terminal() bool {
	return s == StepCompleted || s == StepFailed || s == StepSkipped || s == StepCancelled
}

// Failing tells whether a dependant that does not continue on failure is skipped after a step that ended so.
func (s StepStatus) Failing() bool { return s.Terminal() && s != StepCompleted }

// SourceType says what started a job.
type SourceType string

// What starts jobs.
const (
	SourceTrigger SourceType = "trigger"
	SourceUser    SourceType = "user"
	SourceAPI     SourceType = "api"
	SourceWebhook SourceType = "webhook"
	SourceHook    SourceType = "hook"
	SourceTask    SourceType = "task"
)

// StopReason says why a running step has to stop.
type StopReason string

// Reasons for a stop.
const (
	StopCancelled  StopReason = "cancelled"
	StopTimedOut   StopReason = "timed_out"
	StopSuperseded StopReason = "superseded"
)

// WorkerStatus is the state of a worker.
type WorkerStatus string

// Worker states.
const (
	WorkerActive   WorkerStatus = "active"
	WorkerInactive WorkerStatus = "inactive"
)
