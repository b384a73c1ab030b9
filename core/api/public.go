package api

import (
	"encoding/json"
	"time"
)

// Error is the body of every answer with a status of 400 or more.
type Error struct {
	Error string `json:"error"`
	Code  string `json:"code"`
}

// Config tells clients how to sign in.
type Config struct {
	AuthRequired    bool           `json:"auth_required"`
	HasInternalAuth bool           `json:"has_internal_auth"`
	OIDCProviders   []OIDCProvider `json:"oidc_providers"`
}

// OIDCProvider is one way of single sign-on.
type OIDCProvider struct {
	ID          string `json:"id"`
	DisplayName string `json:"display_name"`
}

// Workspace is one entry of the list of workspaces.
type Workspace struct {
	Name          string         `json:"name"`
	TasksCount    int            `json:"tasks_count"`
	ActionsCount  int            `json:"actions_count"`
	TriggersCount int            `json:"triggers_count"`
	Revision      *string        `json:"revision"`
	Error         string         `json:"error,omitempty"`
	Errors        []Diagnostic   `json:"errors,omitempty"`
	Warnings      []Diagnostic   `json:"warnings,omitempty"`
	Sync          *WorkspaceSync `json:"sync,omitempty"`
}

// Diagnostic is something wrong, or doubtful, in a workflow file.
type Diagnostic struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
}

// WorkspaceSync tells which revision is loaded and when the source was last asked.
type WorkspaceSync struct {
	Revision  string     `json:"revision"`
	Author    string     `json:"author,omitempty"`
	Time      *time.Time `json:"time,omitempty"`
	Message   string     `json:"message,omitempty"`
	CheckedAt *time.Time `json:"checked_at"`
}

// TaskItem is one entry of a workspace's list of tasks.
type TaskItem struct {
	Name        string `json:"name"`
	Mode        string `json:"mode"`
	Workspace   string `json:"workspace"`
	Folder      string `json:"folder,omitempty"`
	HasTriggers bool   `json:"has_triggers"`
}

// Task is a task with its inputs, flow and triggers.
type Task struct {
	Name        string                `json:"name"`
	Mode        string                `json:"mode"`
	Folder      string                `json:"folder,omitempty"`
	TimeoutSecs float64               `json:"timeout_secs,omitempty"`
	Input       map[string]InputField `json:"input"`
	Flow        map[string]FlowStep   `json:"flow"`
	Triggers    []Trigger             `json:"triggers"`
}

// InputField declares one input of a task.
type InputField struct {
	Type        string `json:"type"`
	Required    bool   `json:"required"`
	Default     any    `json:"default,omitempty"`
	Description string `json:"description,omitempty"`
	Enum        []any  `json:"enum,omitempty"`
	Secret      bool   `json:"secret,omitempty"`
}

// FlowStep is one step of a task's flow, as written.
type FlowStep struct {
	Action            string         `json:"action"`
	DependsOn         []string       `json:"depends_on"`
	Input             map[string]any `json:"input"`
	ContinueOnFailure bool           `json:"continue_on_failure"`
	TimeoutSecs       float64        `json:"timeout_secs,omitempty"`
}

// Trigger is a trigger of a workspace; next_runs are its next five fires. Only the list of triggers tells of the last one.
type Trigger struct {
	Name     string         `json:"name"`
	Type     string         `json:"type"`
	Cron     string         `json:"cron,omitempty"`
	Timezone string         `json:"timezone,omitempty"`
	Task     string         `json:"task"`
	Enabled  bool           `json:"enabled"`
	Input    map[string]any `json:"input"`
	NextRuns []time.Time    `json:"next_runs"`
	Last     *TriggerUse    `json:"last,omitempty"`
}

// TriggerUse is the last fire of a trigger by time, or the last request to a webhook.
type TriggerUse struct {
	At     time.Time `json:"at"`
	JobID  *string   `json:"job_id"`
	Reason *string   `json:"reason"` // why there is no job
}

// Fire is one instant at which a trigger by time has run its task, or has tried to.
type Fire struct {
	ScheduledAt time.Time `json:"scheduled_at"`
	FiredAt     time.Time `json:"fired_at"`
	Missed      int       `json:"missed"` // instants before it that passed while no server ran
	JobID       *string   `json:"job_id"`
	Reason      *string   `json:"reason"` // why there is no job
}

// Delivery is a request to a webhook.
type Delivery struct {
	ID            int64     `json:"id"`
	At            time.Time `json:"at"`
	Method        string    `json:"method"`
	RemoteAddress string    `json:"remote_address"`
	Bytes         int       `json:"bytes"`
	Status        int       `json:"status"`
	Reason        *string   `json:"reason"` // why it was refused
	JobID         *string   `json:"job_id"`
}

// WebhookAccepted names the job that a request to a webhook has started.
type WebhookAccepted struct {
	JobID   string `json:"job_id"`
	Trigger string `json:"trigger"` // the webhook's name
	Task    string `json:"task"`
}

// ExecuteRequest starts a task.
type ExecuteRequest struct {
	Input map[string]any `json:"input,omitempty"`
}

// ExecuteResponse names the job that was created.
type ExecuteResponse struct {
	JobID string `json:"job_id"`
}

// Job is one entry of a list of jobs.
type Job struct {
	JobID       string     `json:"job_id"`
	Workspace   string     `json:"workspace"`
	TaskName    string     `json:"task_name"`
	Mode        string     `json:"mode"`
	Status      string     `json:"status"`
	SourceType  string     `json:"source_type"`
	SourceID    *string    `json:"source_id"`
	WorkerID    *string    `json:"worker_id"`
	CreatedAt   time.Time  `json:"created_at"`
	StartedAt   *time.Time `json:"started_at"`
	CompletedAt *time.Time `json:"completed_at"`
}

// JobDetail is a job with its steps in topological order.
type JobDetail struct {
	Job
	Input          any     `json:"input"`
	Output         any     `json:"output"`
	Revision       *string `json:"revision"`
	ErrorMessage   *string `json:"error_message"`
	ParentJobID    *string `json:"parent_job_id"`
	ParentStepName *string `json:"parent_step_name"`
	ChildJobs      []Job   `json:"child_jobs"`
	HookJobs       []Job   `json:"hook_jobs"` // of the hooks that its end has fired
	Steps          []Step  `json:"steps"`
}

// Step is one step of a job. A running step without started_at is claimed by a worker that has not started it yet.
type Step struct {
	StepName          string     `json:"step_name"`
	ActionName        string     `json:"action_name"`
	ActionType        string     `json:"action_type"`
	ActionImage       *string    `json:"action_image"`
	Runner            string     `json:"runner"`
	Input             any        `json:"input"`
	Output            any        `json:"output"`
	Status            string     `json:"status"`
	Attempt           int        `json:"attempt"`
	WorkerID          *string    `json:"worker_id"`
	StartedAt         *time.Time `json:"started_at"`
	CompletedAt       *time.Time `json:"completed_at"`
	ExitCode          *int       `json:"exit_code"`
	ErrorMessage      *string    `json:"error_message"`
	WaitingReason     *string    `json:"waiting_reason"` // why a ready step is not picked up
	DependsOn         []string   `json:"depends_on"`
	ContinueOnFailure bool       `json:"continue_on_failure"`
}

// CancelResponse answers a cancel request; repeating the request is harmless.
type CancelResponse struct {
	JobID  string `json:"job_id"`
	Status string `json:"status"`
}

// Logs is a part of a job's log: JSON lines {step, stream, ts, line}, numbered from 1 over the job.
type Logs struct {
	Logs  string `json:"logs"`
	From  int64  `json:"from"`  // number of the first line in Logs
	Next  int64  `json:"next"`  // number of the first line after Logs
	Total int64  `json:"total"` // lines in the log now
}

// Worker is one entry of the list of workers.
type Worker struct {
	WorkerID      string     `json:"worker_id"`
	Name          string     `json:"name"`
	Status        string     `json:"status"`
	Tags          []string   `json:"tags"`
	Version       string     `json:"version,omitempty"`
	LastHeartbeat *time.Time `json:"last_heartbeat"`
	RegisteredAt  time.Time  `json:"registered_at"`
	TokenName     string     `json:"token_name"` // of the server's token that it registered with; default: worker_token
	RevokedAt     *time.Time `json:"revoked_at"`
}

// RevokedWorker is a worker that was revoked, and what became of its steps.
type RevokedWorker struct {
	Worker
	Requeued int `json:"requeued"` // that it had not started: they are ready again
	Ended    int `json:"ended"`    // that it was running: they have failed, or are cancelled if their jobs are
}

// WorkerDetail is a worker with its plugins and its latest jobs.
type WorkerDetail struct {
	Worker
	Plugins []Plugin `json:"plugins"`
	Jobs    []Job    `json:"jobs"`
}

// HostedPlugin is a plugin and the process that runs it.
type HostedPlugin struct {
	Host     string  `json:"host"`      // server, or the name of a worker
	WorkerID *string `json:"worker_id"` // null: the server
	Plugin
}

// OfferedActionType is a type of action, and how many active workers can run it now. A type that no worker has described
// yet, which only one of ours can be, has no plugin.
type OfferedActionType struct {
	Name       string          `json:"name"`
	Runner     string          `json:"runner,omitempty"`
	Tag        string          `json:"tag"`
	Vendor     string          `json:"vendor,omitempty"` // vendor.name has one
	Builtin    bool            `json:"builtin"`
	Schema     json.RawMessage `json:"schema,omitempty"` // JSON Schema of the keys that belong to the type
	Workspace  string          `json:"workspace,omitempty"`
	Attachable bool            `json:"attachable"`
	Plugin     string          `json:"plugin,omitempty"`
	Version    string          `json:"version,omitempty"` // of the plugin
	Workers    int             `json:"workers"`
}

// AuditEntry is a line of the audit log: who did what, to what, and what came of it.
type AuditEntry struct {
	ID            int64          `json:"id"` // later ones have greater ids
	At            time.Time      `json:"at"`
	Actor         string         `json:"actor"`      // an e-mail, a worker's name; "" if there is none
	ActorType     string         `json:"actor_type"` // user, api_key, worker, operator, system, anonymous
	Action        string         `json:"action"`     // job.execute, user.create, …
	Target        string         `json:"target"`
	Result        string         `json:"result"` // ok, denied, failed
	RemoteAddress *string        `json:"remote_address"`
	RequestID     *string        `json:"request_id"`
	Details       map[string]any `json:"details"` // texts, numbers, true and false
}

// Health answers the probes; Components says more where there is more to say.
type Health struct {
	Status     string            `json:"status"` // ok, unavailable
	Components map[string]string `json:"components,omitempty"`
	Plugins    []Plugin          `json:"plugins,omitempty"` // of this server
}
