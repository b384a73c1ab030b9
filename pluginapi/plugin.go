package pluginapi

import (
	"context"
	"encoding/json"
)

// Kind says what a plugin is for. It is an open set: a host ignores kinds that it does not know.
type Kind string

// The kinds of plugins.
const (
	KindRunner   Kind = "runner"
	KindSource   Kind = "source"
	KindLogStore Kind = "logstore"
)

// Plugin is what every plugin has, whatever its kind. All methods may be called concurrently.
type Plugin interface {
	// Describe says what the plugin is. It is static: it works before Configure, has no side effects, and gives the
	// same answer every time.
	Describe(ctx context.Context) (*Description, error)
	// Configure is called once, after Describe and before anything else; Serve refuses what comes before it or twice. The configuration was checked against
	// Description.ConfigSchema. Problems are returned as [Diagnostics] or as an [*Error] with CodeInvalid; the host then
	// gives up on the plugin until its configuration changes. It should not wait for remote services: that is what
	// CheckHealth is for.
	Configure(ctx context.Context, cfg *Config) error
	// CheckHealth says whether the plugin can work now. It is called every few seconds after Configure and must answer
	// within three. An error counts as unhealthy.
	CheckHealth(ctx context.Context) (*Health, error)
}

// Validator is optional: it checks what a JSON Schema cannot express. A plugin without it accepts whatever its schema
// accepts. The call must not depend on remote services.
type Validator interface {
	Validate(ctx context.Context, req *ValidateRequest) (Diagnostics, error)
}

// Description says what a plugin is.
type Description struct {
	Kind         Kind            // set by Serve
	Name         string          // "shell"; third parties use "vendor.name"
	Version      string          // of the plugin, for people
	ConfigSchema json.RawMessage // JSON Schema 2020-12 of Config.Settings; nil accepts an empty object only

	ActionTypes    []ActionType    // runners: what it executes
	SettingsSchema json.RawMessage // sources: JSON Schema of the settings of a workspace
}

// ActionType is a type of action that a runner executes. (Name, Runner) is unique among all plugins of a host.
type ActionType struct {
	Name       string          // "shell"; third parties use "vendor.name"
	Runner     string          // variant of the type: local, docker, pod; "" for types that have only one
	Tag        string          // what a step of this type requires of a worker: shell, docker, kubernetes
	SpecSchema json.RawMessage // JSON Schema 2020-12 of RunRequest.Spec
	Workspace  WorkspaceMode   // how the files of the workspace reach the step
	Attachable bool            // the runner implements Attacher for this type, and its steps outlive the plugin
	Examples   Examples
}

// WorkspaceMode says how a runner wants the files of a workspace.
type WorkspaceMode string

// How a runner wants the files of a workspace.
const (
	WorkspaceNone     WorkspaceMode = ""         // not at all
	WorkspaceHostDir  WorkspaceMode = "host_dir" // as a directory on the worker's machine
	WorkspaceDownload WorkspaceMode = "download" // as a URL of a tar.gz and a short-lived token
)

// Examples are specs with which the conformance suite exercises a runner. What has no example is reported as not covered.
type Examples struct {
	Succeed json.RawMessage // ends with exit code 0 within seconds
	Fail    json.RawMessage // ends with an exit code other than 0 within seconds
	Long    json.RawMessage // runs for at least a minute, ends when told to stop
	Large   json.RawMessage // writes the numbers 1 to 1500000 to stdout, each on a line of its own
	// Stubborn writes a line to stdout and then runs for at least a minute whatever polite signals it gets.
	Stubborn json.RawMessage
	// Killed ends by a signal that nobody sent from outside, within seconds.
	Killed json.RawMessage
	// Unterminated writes "no newline" to stdout, and nothing after it, and ends with exit code 0 within seconds.
	Unterminated json.RawMessage
	// Endless writes to stdout as fast as it can, without end, until told to stop.
	Endless json.RawMessage
}

// ByName returns all examples by the names that they have in the protocol and in files, also those that are not set.
func (e *Examples) ByName() map[string]*json.RawMessage {
	return map[string]*json.RawMessage{
		"succeed": &e.Succeed, "fail": &e.Fail, "long": &e.Long, "large": &e.Large, "stubborn": &e.Stubborn,
		"killed": &e.Killed, "unterminated": &e.Unterminated, "endless": &e.Endless,
	}
}

// Config is what the operator configured for the plugin.
type Config struct {
	Settings json.RawMessage // a JSON object; checked against Description.ConfigSchema
	DataDir  string          // an existing directory for the plugin's own files, kept between starts; "" when there is none
}

// HealthState is the state of a plugin.
type HealthState string

// The states of a plugin.
const (
	Healthy   HealthState = "healthy"
	Unhealthy HealthState = "unhealthy" // normally works, not at the moment
	// Unavailable means that what the plugin needs is not there at all, such as a container engine on a machine that
	// has none. It is no reason for alarm unless the operator configured the plugin.
	Unavailable HealthState = "unavailable"
)

// Health tells whether a plugin can work now.
type Health struct {
	State   HealthState
	Message string // why, for people; "" when healthy
}

// ValidateRequest asks for a check of the spec of an action (runners) or the settings of a workspace (sources).
type ValidateRequest struct {
	Type   string          // runners: ActionType.Name
	Runner string          // runners: ActionType.Runner
	Spec   json.RawMessage // checked against the schema already; strings may still be templates
}
