package core

import "time"

// ActorType is the kind of an [Actor].
type ActorType string

// Kinds of actors.
const (
	ActorUser      ActorType = "user"
	ActorAPIKey    ActorType = "api_key" // of a user, by whose e-mail it is named
	ActorWorker    ActorType = "worker"
	ActorOperator  ActorType = "operator" // on the command line of a machine of the server
	ActorSystem    ActorType = "system"   // the server itself
	ActorAnonymous ActorType = "anonymous"
)

// Actor is who does something: a user by their e-mail, a worker by its name.
type Actor struct {
	Type ActorType
	Name string
}

// Results of what was done.
const (
	AuditOK     = "ok"
	AuditDenied = "denied" // credentials or rights were missing
	AuditFailed = "failed"
)

// AuditEntry is one line of the audit log.
type AuditEntry struct {
	ID            int64     // set by the store
	At            time.Time // set by the store
	Actor         Actor
	Action        string // such as user.create: what is acted on, and how
	Target        string // what it was done to: an e-mail, a job's id, workspace/task
	Result        string
	RemoteAddress string // "" where there is none
	RequestID     string // "" where there is none
	Details       map[string]any
}

// AuditFilter selects entries; zero fields do not restrict. Entries come newest first.
type AuditFilter struct {
	Actor   string // a name, whatever its case, or a type of actors
	Action  string // or its beginning, if that ends with a dot: user.
	Target  string
	Results []string
	Since   time.Time
	Until   time.Time
	Before  int64 // only entries with a smaller id
	Limit   int   // 1–500
	Offset  int   // 0–10,000
}
