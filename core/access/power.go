package access

import (
	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/glob"
)

// Power is what one user may do. The zero value may do nothing. It is safe for concurrent use.
type Power struct {
	role  Level
	rules []*Rule // that name the user; none for an admin
}

// Narrowed tells whether there are rules for the user; otherwise the role says it all.
func (w Power) Narrowed() bool { return len(w.rules) > 0 }

// Task returns what the user may do with a task and its jobs. It does not ask whether there is such a task.
func (w Power) Task(workspace, task string) Level {
	for _, rule := range w.rules {
		if rule.matches(workspace, task) {
			return min(w.role, rule.Allow)
		}
	}
	return w.role
}

// Workspace tells whether the workspace is there for the user. It is hidden if a rule for all its tasks hides it, and no rule
// before that one shows any of its tasks; whether there are tasks that this other rule matches is not asked. A task that may be
// seen is never in a workspace that is hidden.
func (w Power) Workspace(workspace string) bool {
	for _, rule := range w.rules {
		switch {
		case !glob.Match(rule.Workspace, workspace):
		case rule.Allow > LevelNone:
			return w.role > LevelNone
		case rule.allTasks():
			return false
		}
	}
	return w.role > LevelNone
}

// Visible is the same for lists of jobs: what Task returns more than LevelNone for is visible. It is nil if everything is.
func (w Power) Visible() []core.Visibility {
	if w.role == LevelNone {
		return []core.Visibility{{WorkspacePattern: "*", TaskPattern: "*"}}
	}
	var list []core.Visibility
	needed := 0 // without what allows at the end: that is allowed anyway
	for _, rule := range w.rules {
		for _, task := range rule.Tasks {
			list = append(list, core.Visibility{WorkspacePattern: rule.Workspace, TaskPattern: task, Allowed: rule.Allow > LevelNone})
		}
		if rule.Allow == LevelNone {
			needed = len(list)
		}
	}
	if needed == 0 {
		return nil
	}
	return list[:needed]
}
