package core

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// Workspace is the merged and validated content of a workspace's workflow files at one revision.
type Workspace struct {
	Secrets   map[string]any      `json:"secrets,omitempty"`
	Actions   map[string]*Action  `json:"actions,omitempty"`
	Tasks     map[string]*Task    `json:"tasks,omitempty"`
	Triggers  map[string]*Trigger `json:"triggers,omitempty"`
	OnSuccess []Hook              `json:"on_success,omitempty"`
	OnError   []Hook              `json:"on_error,omitempty"`

	Digest string `json:"-"` // names the files of the revision by what they are; "": they are kept nowhere
}

// Action says how one piece of work is run. The fields are what every action type has; Spec holds what belongs to the
// type (cmd, script, image, …), checked against the JSON Schema of (Type, Runner).
type Action struct {
	Type      string                // shell, docker, pod, task, or vendor.name
	Runner    string                // shell only: local, docker, pod
	Task      string                // type task only: the task to run as a child job
	Tags      []string              // additional routing tags, in the order written
	Env       map[string]string     // values are templates
	Input     map[string]InputField // enforced when the step starts
	Output    map[string]any        // documentation only
	Workspace string                // "" shares the revision's read-only directory; "copy" gives a private, writable one
	Spec      map[string]any        // type-specific keys, templates at any depth
}

// Action types that the core itself knows, and the runners of shell actions.
const (
	TypeShell  = "shell"
	TypeDocker = "docker"
	TypePod    = "pod"
	TypeTask   = "task"

	RunnerLocal  = "local"
	RunnerDocker = "docker"
	RunnerPod    = "pod"
	RunnerNone   = "none"
)

// RunnerName is the runner as stored with a step: local, docker or pod for shell actions, none for all others.
func (a *Action) RunnerName() string {
	if a.Type != TypeShell {
		return RunnerNone
	}
	if a.Runner == "" {
		return RunnerLocal
	}
	return a.Runner
}

// RequiredTags are the tags that a worker must have to run the action: the tag of its type, then its own tags in order,
// without repetition. A task action needs no worker and has none.
func (a *Action) RequiredTags() []string {
	if a.Type == TypeTask {
		return []string{}
	}
	tags := []string{a.baseTag()}
	for _, tag := range a.Tags {
		if !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	return tags
}

func (a *Action) baseTag() string {
	switch {
	case a.Type == TypePod, a.Type == TypeShell && a.Runner == RunnerPod:
		return "kubernetes"
	case a.Type == TypeShell && a.Runner == RunnerDocker:
		return "docker"
	default: // workers offer the names of third parties' types as tags
		return a.Type
	}
}

// MarshalJSON writes the action as it stands in YAML: the type-specific keys beside the common ones.
func (a Action) MarshalJSON() ([]byte, error) {
	flat := maps.Clone(a.Spec)
	if flat == nil {
		flat = map[string]any{}
	}
	set := func(key string, value any, present bool) {
		if present {
			flat[key] = value
		}
	}
	set("type", a.Type, true)
	set("runner", a.Runner, a.Runner != "")
	set("task", a.Task, a.Task != "")
	set("tags", a.Tags, len(a.Tags) > 0)
	set("env", a.Env, len(a.Env) > 0)
	set("input", a.Input, len(a.Input) > 0)
	set("output", a.Output, len(a.Output) > 0)
	set("workspace", a.Workspace, a.Workspace != "")
	return json.Marshal(flat)
}

// UnmarshalJSON is the reverse of [Action.MarshalJSON].
func (a *Action) UnmarshalJSON(data []byte) error {
	var known struct {
		Type      string                `json:"type"`
		Runner    string                `json:"runner"`
		Task      string                `json:"task"`
		Tags      []string              `json:"tags"`
		Env       map[string]string     `json:"env"`
		Input     map[string]InputField `json:"input"`
		Output    map[string]any        `json:"output"`
		Workspace string                `json:"workspace"`
	}
	if err := json.Unmarshal(data, &known); err != nil {
		return err
	}
	var spec map[string]any
	if err := json.Unmarshal(data, &spec); err != nil {
		return err
	}
	for _, key := range ActionKeys {
		delete(spec, key)
	}
	*a = Action{
		Type: known.Type, Runner: known.Runner, Task: known.Task, Tags: known.Tags, Env: known.Env,
		Input: known.Input, Output: known.Output, Workspace: known.Workspace, Spec: spec,
	}
	return nil
}

// ActionKeys are the keys that every action type has; all others belong to the type's own spec.
var ActionKeys = []string{"type", "runner", "task", "tags", "env", "input", "output", "workspace"}

// InputField declares one input of a task or action.
type InputField struct {
	Type        string `json:"type"` // string, number, integer, boolean, object, array, date
	Required    bool   `json:"required,omitempty"`
	Default     any    `json:"default,omitempty"` // a string may be a template over secret
	Description string `json:"description,omitempty"`
	Enum        []any  `json:"enum,omitempty"`
	Secret      bool   `json:"secret,omitempty"`
}

// Task is a named flow of steps that can be run as a job.
type Task struct {
	Mode      string                `json:"mode,omitempty"` // distributed or local; no difference in behaviour
	Folder    string                `json:"folder,omitempty"`
	Timeout   Duration              `json:"timeout,omitzero"`
	Input     map[string]InputField `json:"input,omitempty"`
	Flow      map[string]FlowStep   `json:"flow"`
	OnSuccess []Hook                `json:"on_success,omitempty"`
	OnError   []Hook                `json:"on_error,omitempty"`
}

// FlowStep is one node of a task's flow.
type FlowStep struct {
	Action            string         `json:"action"`
	DependsOn         []string       `json:"depends_on,omitempty"`
	Input             map[string]any `json:"input,omitempty"` // strings at any depth are templates
	ContinueOnFailure bool           `json:"continue_on_failure,omitempty"`
	Timeout           Duration       `json:"timeout,omitzero"`
}

// Hook runs an action when a job has ended.
type Hook struct {
	Action string         `json:"action"`
	Input  map[string]any `json:"input,omitempty"`
}

// Trigger starts a task by time or by webhook.
type Trigger struct {
	Type     string         `json:"type"` // scheduler, webhook
	Cron     string         `json:"cron,omitempty"`
	Timezone string         `json:"timezone,omitempty"`
	Name     string         `json:"name,omitempty"` // webhook: last part of its URL
	Secret   string         `json:"secret,omitempty"`
	Task     string         `json:"task"`
	Input    map[string]any `json:"input,omitempty"`
	Enabled  bool           `json:"enabled"`
}

// Duration is a time span written as "30s", "5m", "1h30m" or a number of seconds; it travels as seconds.
type Duration time.Duration

// MarshalJSON writes seconds.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).Seconds()) }

// UnmarshalJSON reads seconds.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var seconds float64
	if err := json.Unmarshal(data, &seconds); err != nil {
		return err
	}
	*d = Duration(seconds * float64(time.Second))
	return nil
}

// String is the shortest form a person would write: 30s, 5m, 1h30m.
func (d Duration) String() string {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Definition is what a job runs: one task and all that it refers to, taken from one revision. It is stored once per
// content and never changes, so that editing YAML cannot alter a job under way.
type Definition struct {
	Task    Task               `json:"task"`
	Actions map[string]*Action `json:"actions"` // the actions that Task's flow and hooks name
}
