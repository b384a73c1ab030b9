package webhook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/time/rate"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/template"
)

// Workspaces gives the last good content of workspaces.
type Workspaces interface {
	Names() []string
	Workspace(name string) (*core.Workspace, string, error)
	// Changed returns a channel that is closed at the next change of any workspace.
	Changed() <-chan struct{}
}

// Target is the trigger that a webhook's name leads to.
type Target struct {
	Workspace, Name string // the trigger's own
	Trigger         *core.Trigger
	secret          string // "": anybody may call
	secretErr       error  // it has one that cannot be made
	refusals        *rate.Limiter
}

// Check tells whether the caller may start the trigger's task. Errors: unauthenticated, which says nothing of the reason to the
// caller and wraps it; unavailable if the trigger's secret is a template that cannot be rendered.
func (t *Target) Check(r *Request) error {
	switch {
	case t.secretErr != nil:
		return &core.Error{Code: core.CodeUnavailable, Message: "The webhook's secret cannot be made from the workspace's secrets", Err: t.secretErr}
	case t.secret == "":
		return nil
	}
	if err := r.authenticate(t.secret); err != nil {
		return &core.Error{Code: core.CodeUnauthenticated, Message: "Invalid or missing secret", Err: err}
	}
	return nil
}

// Notable tells whether one more refusal is to be recorded: not all of a flood are.
func (t *Target) Notable() bool { return t.refusals.Allow() }

// How many refusals of a trigger are recorded: so many at once, and then so many a second.
const (
	refusalBurst = 100
	refusalRate  = 2
)

// Index finds triggers by the names of their webhooks. It is safe for concurrent use, and follows the workspaces.
type Index struct {
	workspaces Workspaces

	mu      sync.Mutex
	changed <-chan struct{} // of what targets were made from
	targets map[string][]*Target
}

// NewIndex returns an index of the workspaces.
func NewIndex(workspaces Workspaces) *Index { return &Index{workspaces: workspaces} }

// Find returns the enabled trigger of the first workspace by name, else a disabled one; nil if there is none.
func (x *Index) Find(ctx context.Context, name string) *Target {
	targets := x.current(ctx)[name]
	for _, t := range targets {
		if t.Trigger.Enabled {
			return t
		}
	}
	if len(targets) > 0 {
		return targets[0]
	}
	return nil
}

// Warnings says which webhooks of a workspace share their name with enabled ones of others, to somebody who sees the tasks that
// sees tells of: other webhooks of the workspace are passed over, and other workspaces not named.
func (x *Index) Warnings(ctx context.Context, workspace string, sees func(workspace, task string) bool) []string {
	var warnings []string
	for name, targets := range x.current(ctx) {
		var owners []string
		mine := false
		for _, t := range targets {
			switch seen := sees(t.Workspace, t.Trigger.Task); {
			case !t.Trigger.Enabled:
			case !seen:
				owners = append(owners, "a hidden one")
			default:
				owners = append(owners, t.Workspace)
				mine = mine || t.Workspace == workspace
			}
		}
		if mine && len(owners) > 1 {
			warnings = append(warnings, fmt.Sprintf("the webhook name '%s' is used in the workspaces %s: requests go to %s",
				name, strings.Join(owners, ", "), owners[0]))
		}
	}
	return warnings
}

func (x *Index) current(ctx context.Context) map[string][]*Target {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.changed != nil {
		select {
		case <-x.changed:
		default:
			return x.targets
		}
	}
	x.changed = x.workspaces.Changed() // asked before looking at them
	x.targets = map[string][]*Target{}
	for _, workspace := range x.workspaces.Names() {
		content, _, err := x.workspaces.Workspace(workspace)
		if err != nil {
			continue // it has no good revision
		}
		for name, trigger := range content.Triggers {
			if trigger.Type != "webhook" {
				continue
			}
			t := &Target{Workspace: workspace, Name: name, Trigger: trigger, refusals: rate.NewLimiter(refusalRate, refusalBurst)}
			t.secret, t.secretErr = template.RenderString(ctx, trigger.Secret, template.Context{"secret": content.Secrets})
			if t.secretErr == nil && t.secret == "" && trigger.Secret != "" {
				t.secretErr = errors.New("it is empty")
			}
			x.targets[trigger.Name] = append(x.targets[trigger.Name], t)
		}
	}
	return x.targets
}
