package api

import (
	"encoding/json"
	"time"
)

// Protocol is the version of the worker protocol that this code speaks.
const Protocol = 1

// Register introduces a worker. It is sent with a token of the server's configuration; the answer carries the worker's own. A
// worker that is told worker_token_changed sends its own with it, and goes on as the same one, with what it runs.
type Register struct {
	Name         string   `json:"name"`
	Tags         []string `json:"tags,omitempty"`
	Capabilities []string `json:"capabilities,omitempty"` // older name of tags
	Version      string   `json:"version,omitempty"`
	Protocol     int      `json:"protocol,omitempty"`
	Plugins      []Plugin `json:"plugins,omitempty"`
	WorkerToken  string   `json:"worker_token,omitempty"` // the worker's own
}

// Plugin describes a plugin that a worker or the server runs.
type Plugin struct {
	Kind        string       `json:"kind,omitempty"` // runner, source, logstore
	Name        string       `json:"name"`
	Version     string       `json:"version"`         // "" before it has started once
	State       string       `json:"state,omitempty"` // starting, configuring, ready, unhealthy, backoff, failed, draining
	Since       *time.Time   `json:"since,omitempty"` // of the state
	Restarts    int          `json:"restarts"`
	LastError   string       `json:"last_error,omitempty"` // why it is not ready
	ActionTypes []ActionType `json:"action_types,omitempty"`
}

// ActionType is a kind of action that a runner plugin executes; (Name, Runner) is its key.
type ActionType struct {
	Name       string          `json:"name"`
	Runner     string          `json:"runner,omitempty"`
	Tag        string          `json:"tag"`
	Workspace  string          `json:"workspace,omitempty"`
	Attachable bool            `json:"attachable,omitempty"`
	SpecSchema json.RawMessage `json:"spec_schema,omitempty"`
}

// Registered answers Register. Every call by the worker counts as a heartbeat.
type Registered struct {
	WorkerID              string    `json:"worker_id"`
	Token                 string    `json:"token"`
	HeartbeatIntervalSecs float64   `json:"heartbeat_interval_secs"`
	MaxStepBytes          int64     `json:"max_step_bytes,omitempty"` // of one step's log; 0: no limit
	Resume                []Claim   `json:"resume"`                   // running steps of the older worker, to be attached to
	Remove                []LostRun `json:"remove"`                   // to be removed before work is asked for, and then reported
}

// LostRun is a run whose step has ended without its worker: something of it may be left.
type LostRun struct {
	StepID     int64  `json:"step_id"`
	Attempt    int    `json:"attempt"`
	JobID      string `json:"job_id"`
	StepName   string `json:"step_name"`
	Workspace  string `json:"workspace"`
	TaskName   string `json:"task_name"`
	ActionType string `json:"action_type"`
	Runner     string `json:"runner"`
	State      []byte `json:"state,omitempty"` // what the runner said when it started
}

// RemovedRequest reports lost runs of which nothing is left.
type RemovedRequest struct {
	StepIDs []int64 `json:"step_ids"`
}

// Heartbeat tells that the worker lives and, if Plugins is set, what its plugins have become.
type Heartbeat struct {
	WorkerID string   `json:"worker_id,omitempty"`
	Tags     []string `json:"tags,omitempty"`
	Plugins  []Plugin `json:"plugins,omitempty"`
}

// ClaimRequest asks for work. Repeating a claim_id whose answer was lost returns the same steps. Without max_steps the
// answer is a single step with nothing but the nine keys of the oldest form (see [SingleClaim]).
type ClaimRequest struct {
	ClaimID      string   `json:"claim_id,omitempty"`
	Retry        bool     `json:"retry,omitempty"`     // this claim_id was sent before and its answer is not known
	MaxSteps     *int     `json:"max_steps,omitempty"` // 0 only listens for stops
	WaitSecs     *int     `json:"wait_secs,omitempty"` // 0–60, default 25
	WorkerID     string   `json:"worker_id,omitempty"`
	Tags         []string `json:"tags,omitempty"`
	Capabilities []string `json:"capabilities,omitempty"`
}

// ClaimResponse carries steps to run and steps to stop. A stop is repeated until the step is reported.
type ClaimResponse struct {
	Steps []Claim `json:"steps"`
	Stop  []Stop  `json:"stop"`
}

// Claim is a step handed to a worker. Nothing may be spawned before the server has accepted its start.
type Claim struct {
	StepID    int64  `json:"step_id"`
	Lease     string `json:"lease"` // 32 random bytes, base64url; proves that this attempt is the caller's
	Attempt   int    `json:"attempt"`
	Workspace string `json:"workspace"`
	Revision  string `json:"revision"`
	// RevisionDigest names the files of the revision: two revisions may have one name, if the workspace got another source.
	RevisionDigest string          `json:"revision_digest,omitempty"`
	WorkspaceURL   string          `json:"workspace_url"` // path of the revision's tarball, which the lease opens
	JobID          string          `json:"job_id"`
	StepName       string          `json:"step_name"`
	TaskName       string          `json:"task_name"`
	ActionName     string          `json:"action_name"`
	ActionType     string          `json:"action_type"`
	ActionImage    *string         `json:"action_image"`
	ActionSpec     json.RawMessage `json:"action_spec"` // the whole action, rendered
	Input          json.RawMessage `json:"input"`       // rendered
	Runner         string          `json:"runner"`
	TimeoutSecs    float64         `json:"timeout_secs,omitempty"`
	Mask           []string        `json:"mask,omitempty"` // values never to be shown in logs

	// Only of steps to be resumed:

	State       []byte    `json:"state,omitempty"`        // what the runner said when it started
	RanSecs     float64   `json:"ran_secs,omitempty"`     // of the timeout
	LogPosition int64     `json:"log_position,omitempty"` // number of the last line that is stored; lines go on behind it
	LogKnown    *LogKnown `json:"log_known,omitempty"`    // nil: no line is stored
}

// LogKnown says which part of a step's output is stored already, for one who asks its runner for the rest: output from
// Since on comes again, and that begins with so many lines of either stream as are stored of it.
type LogKnown struct {
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"` // time of the last line stored
	Stdout int64     `json:"stdout"`
	Stderr int64     `json:"stderr"`
}

// SingleClaim is the answer to a claim without max_steps: nine keys, all null when there is no work.
type SingleClaim struct {
	Workspace   *string         `json:"workspace"`
	JobID       *string         `json:"job_id"`
	StepName    *string         `json:"step_name"`
	ActionName  *string         `json:"action_name"`
	ActionType  *string         `json:"action_type"`
	ActionImage *string         `json:"action_image"`
	ActionSpec  json.RawMessage `json:"action_spec"`
	Input       json.RawMessage `json:"input"`
	Runner      *string         `json:"runner"`
	StepID      *int64          `json:"step_id,omitempty"`
	Lease       *string         `json:"lease,omitempty"`
}

// Stop names a running step that must end. The server keeps only the hash of a lease, so the step is named by its id
// and attempt.
type Stop struct {
	StepID   int64  `json:"step_id"`
	Attempt  int    `json:"attempt"`
	JobID    string `json:"job_id"`
	StepName string `json:"step_name"`
	Reason   string `json:"reason"` // cancelled, timed_out, superseded
}

// WorkspaceTokenRequest asks for a token with which a step's container downloads the files of the step's revision. The lease is in
// X-Stroem-Lease.
type WorkspaceTokenRequest struct {
	StepID int64 `json:"step_id"`
}

// WorkspaceToken opens a claim's workspace_url, as a bearer token, until its time or the end of the attempt.
type WorkspaceToken struct {
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
}

// StepLease proves which attempt a report is about.
type StepLease struct {
	StepID int64  `json:"step_id"`
	Lease  string `json:"lease"`

	// Only with /worker/steps/state:

	State []byte   `json:"state,omitempty"` // what the runner said when it started, at most 4 KiB
	Mask  []string `json:"mask,omitempty"`  // values that the worker has found out itself and that are secret
}

// StartRequest reports that the steps of a claim are about to be spawned.
type StartRequest struct {
	Steps []StepLease `json:"steps"`
}

// StepResults answers per step, in the order of the request.
type StepResults struct {
	Results []StepResult `json:"results"`
}

// StepResult tells what became of a report: accepted; duplicate (accepted before); stale (the attempt is no longer
// current: drop it); invalid (the lease is wrong).
type StepResult struct {
	StepID int64  `json:"step_id"`
	Status string `json:"status"`
}

// Statuses of a StepResult.
const (
	Accepted  = "accepted"
	Duplicate = "duplicate"
	Stale     = "stale"
	Invalid   = "invalid"
)

// Completion reports the end of a step. It failed if ExitCode is not 0 or Error is set.
type Completion struct {
	StepID   int64           `json:"step_id,omitempty"`
	Lease    string          `json:"lease,omitempty"`
	Output   json.RawMessage `json:"output,omitempty"`
	ExitCode *int            `json:"exit_code,omitempty"`
	Error    string          `json:"error,omitempty"`
	Stopped  string          `json:"stopped,omitempty"` // cancelled, timed_out: why the worker stopped it
	Mask     []string        `json:"mask,omitempty"`    // values that the worker has found out itself and that are secret
	Logs     *LogBatch       `json:"logs,omitempty"`    // the last lines, stored before the completion
}

// LogBatch is a run of a step's log lines in storage format. First is the number of its first line within the attempt,
// from 1, so that a batch that is sent twice is stored once.
type LogBatch struct {
	First int64  `json:"first"`
	Lines string `json:"lines"` // NDJSON: {"step","stream","ts","line"} and a newline each
}

// CompleteRequest reports ended steps and, if Claim is set, asks for the next ones in the same round trip (without
// waiting).
type CompleteRequest struct {
	Completions []Completion  `json:"completions"`
	Claim       *ClaimRequest `json:"claim,omitempty"`
}

// CompleteResponse answers CompleteRequest.
type CompleteResponse struct {
	Results []StepResult `json:"results"`
	Steps   []Claim      `json:"steps"`
	Stop    []Stop       `json:"stop"`
}

// LogPush is the JSON form of a log batch. The other form is NDJSON in storage format with ?step= and ?first=.
type LogPush struct {
	StepName string    `json:"step_name,omitempty"`
	First    int64     `json:"first,omitempty"`
	Lines    []LogLine `json:"lines"`
}

// LogLine is one line of output.
type LogLine struct {
	TS     string `json:"ts"`
	Stream string `json:"stream"`
	Line   string `json:"line"`
}

// Status is the body of answers that have nothing else to say.
type Status struct {
	Status string `json:"status"`
}
